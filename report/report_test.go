package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// now is the time of asking in the tests.
func now() time.Time { return at("2026-11-23") }

// documents are all that this package can write, by golden file.
func documents(r plimsoll.Report, inventory plimsoll.Report, images []plimsoll.Image) map[string]func(io.Writer) error {
	v := r.Results[0].Findings[0].Vulnerability
	explained := r
	explained.Results = append([]plimsoll.Result(nil), r.Results...)
	explained.Results[0].Findings = r.Results[0].Findings[:1]
	wide := Options{Width: 160, Packages: true}
	docs := map[string]func(io.Writer) error{
		"table-160.txt":  func(w io.Writer) error { return Write(w, Table, r, wide) },
		"table-100.txt":  func(w io.Writer) error { return Write(w, Table, r, Options{Width: 100}) },
		"table-80.txt":   func(w io.Writer) error { return Write(w, Table, r, Options{Width: 80, Color: true}) },
		"table-0.txt":    func(w io.Writer) error { return Write(w, Table, r, Options{}) },
		"sbom-table.txt": func(w io.Writer) error { return Write(w, Table, inventory, Options{Width: 120, Packages: true}) },
		"images.txt":     func(w io.Writer) error { return Images(w, Table, images, Options{Width: 120}) },
		"images.json":    func(w io.Writer) error { return Images(w, JSON, images, Options{}) },
		"explain.txt":    func(w io.Writer) error { return Explain(w, Table, v, explained, Options{Width: 100}) },
		"explain.json":   func(w io.Writer) error { return Explain(w, JSON, v, explained, Options{}) },
		"vex.txt":        func(w io.Writer) error { return VEX(w, Table, r, explanations(r), Options{Width: 100}) },
		"vex.json":       func(w io.Writer) error { return VEX(w, JSON, r, explanations(r), Options{}) },
		"database.txt":   func(w io.Writer) error { return Database(w, Table, *r.Generation, now(), Options{Width: 100}) },
		"database.json":  func(w io.Writer) error { return Database(w, JSON, *r.Generation, now(), Options{}) },
		"sbom.json":      func(w io.Writer) error { return Write(w, JSON, inventory, Options{}) },
	}
	for _, f := range Formats() {
		if f == Table {
			continue
		}
		docs["report."+string(f)] = func(w io.Writer) error { return Write(w, f, r, Options{Packages: true}) }
		docs["sbom."+string(f)] = func(w io.Writer) error { return Write(w, f, inventory, Options{Packages: true}) }
	}
	return docs
}

// explanations has, for each result, statements about findings of it and about none.
func explanations(r plimsoll.Report) [][]plimsoll.VEXExplanation {
	list := make([][]plimsoll.VEXExplanation, len(r.Results))
	for i := range r.Results {
		for at, f := range r.Results[i].Findings {
			for _, s := range f.VEX {
				list[i] = append(list[i], plimsoll.VEXExplanation{Statement: s, Nearest: 0, Why: "it names another version: " + s.Author},
					plimsoll.VEXExplanation{Statement: s, Applied: []int{at}, Decided: 1, Nearest: at, Why: "it handles what it is about"})
			}
		}
	}
	return list
}

func render(t testing.TB, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestADV14SameReportSameBytes also keeps the look of every format.
func TestADV14SameReportSameBytes(t *testing.T) {
	for file, write := range documents(sampleReport(), inventoryReport(), sampleImages()) {
		t.Run(file, func(t *testing.T) {
			got := render(t, write)
			for range 5 {
				if again := render(t, write); !bytes.Equal(got, again) {
					t.Fatalf("two runs differ: %s", cmp.Diff(string(got), string(again)))
				}
			}
			golden := filepath.Join("testdata", "golden", file)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s differs (-want +got), run the test with -update when it is meant:\n%s", golden, diff)
			}
		})
	}
}
