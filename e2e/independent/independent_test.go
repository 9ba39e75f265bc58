package independent

import (
	"archive/zip"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, dir, ecosystem string, records map[string]string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, ecosystem), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, ecosystem, "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for name, text := range records {
		w, err := z.Create(name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// The judge of others must itself be right about the forms that records take.
func TestCompute(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "Go", map[string]string{
		"GO-1": `{"id":"GO-1","aliases":["CVE-1","GHSA-1"],"affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[
			{"type":"SEMVER","events":[{"fixed":"2.1.0"},{"introduced":"2.0.0"},{"introduced":"0"},{"fixed":"1.2.0"}]}]}]}`,
		"GO-2": `{"id":"GO-2","affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"1.1.0"}]}]}]}`,
		"GO-3": `{"id":"GO-3","withdrawn":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"m"},"versions":["1.1.0"]}]}`,
		"GO-4": `{"id":"GO-4","affected":[{"package":{"ecosystem":"Go","name":"m"},"versions":["1.1.0"],"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}`,
		"GO-5": `{"id":"GO-5","affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0"}]}]}]}`,
		"GO-6": `{"id":"GO-6","affected":[{"package":{"ecosystem":"Go","name":"m"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"not a version"}]}]}]}`,
	})
	got, err := Compute(context.Background(), dir, []Item{{"Go", "m", "1.1.0"}, {"Go", "m", "1.2.0"}, {"Go", "m", "2.0.5"}, {"Go", "m", "1.1.0"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Match{
		{Item: Item{"Go", "m", "1.1.0"}, Record: "GO-1", Vulnerability: "CVE-1"},
		{Item: Item{"Go", "m", "1.1.0"}, Record: "GO-2", Vulnerability: "GO-2"},
		{Item: Item{"Go", "m", "1.1.0"}, Record: "GO-4", Vulnerability: "GO-4"},
		{Item: Item{"Go", "m", "1.1.0"}, Record: "GO-6", Vulnerability: "GO-6", Refused: true},
		{Item: Item{"Go", "m", "1.2.0"}, Record: "GO-6", Vulnerability: "GO-6", Refused: true},
		{Item: Item{"Go", "m", "2.0.5"}, Record: "GO-1", Vulnerability: "CVE-1"},
		{Item: Item{"Go", "m", "2.0.5"}, Record: "GO-6", Vulnerability: "GO-6", Refused: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("matches (-want +got):\n%s", diff)
	}
}
