//go:build e2e

package independent

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestComputeDebian(t *testing.T) {
	dir := t.TempDir()
	affected := func(fixed string) string {
		return `"affected":[{"package":{"ecosystem":"Debian:12","name":"tar"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"` + fixed + `"}]}]}]}`
	}
	write(t, dir, "Debian", map[string]string{
		"DSA-1-1":      `{"id":"DSA-1-1","upstream":["CVE-1","DEBIAN-CVE-1","CVE-2"],` + affected("1.34-2"),
		"DEBIAN-CVE-1": `{"id":"DEBIAN-CVE-1","upstream":["CVE-1"],` + affected("1.34-1"),
	})
	got, err := Compute(context.Background(), dir, []Item{{"Debian:12", "tar", "1.34-1+b1"}, {"Debian:11", "tar", "1.0-1"}})
	if err != nil {
		t.Fatal(err)
	}
	item := Item{"Debian:12", "tar", "1.34-1+b1"}
	want := []Match{
		{Item: item, Record: "DSA-1-1", Vulnerability: "CVE-1", OverruledBy: "DEBIAN-CVE-1"},
		{Item: item, Record: "DSA-1-1", Vulnerability: "CVE-2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("matches (-want +got):\n%s", diff)
	}
}

// Every reference implementation that is here answers, in its own order.
func TestReferences(t *testing.T) {
	for _, tt := range []struct{ order, older, newer string }{
		{"Debian", "1.0~rc1-1", "1.0-1"},
		{"AlmaLinux", "0:1.9-2.el8", "1:1.0-1.el8"},
		{"PyPI", "1.0.dev1", "1.0a1"},
		{"npm", "1.0.0-beta.2", "1.0.0-beta.11"},
		{"SEMVER", "1.0.0-rc.1", "1.0.0"},
		{"RubyGems", "1.0.0.rc1", "1.0.0"},
		{"Packagist", "1.0.0-beta2", "v1.0"},
		{"Maven", "1.0-SNAPSHOT", "1.0"},
		{"Alpine", "1.9.3-r10", "1.10.0-r2"},
		{"NuGet", "4.5.9", "4.5.10"},
		{"Go", "1.0.0-0.20200101000000-0123456789ab", "1.0.0"},
	} {
		t.Run(tt.order, func(t *testing.T) {
			q := newQuestions()
			pairs := [][2]string{{tt.older, tt.newer}, {tt.newer, tt.older}, {tt.older, tt.older}}
			for _, p := range pairs {
				q.note(tt.order, p[0], p[1])
			}
			if err := q.answer(context.Background()); err != nil {
				t.Fatal(err)
			}
			got := [3]int{q.lookup(tt.order, tt.older, tt.newer), q.lookup(tt.order, tt.newer, tt.older), q.lookup(tt.order, tt.older, tt.older)}
			if got != [3]int{-1, 1, 0} {
				t.Errorf("%s and %s: got %v, want [-1 1 0]", tt.older, tt.newer, got)
			}
		})
	}
}

// What not every scheme orders alike is refused, not guessed.
func TestPlainOrderRefuses(t *testing.T) {
	for _, p := range [][2]string{{"1.0", "1.0.0"}, {"1.0", "1.0-r0"}, {"1.0a", "1.0b"}, {"1.01", "1.2"}, {"1.0_p1-r0", "1.0-r0"}, {"1.0-rc1", "1.0"}, {"", "1"}} {
		if got := comparePlain(p[0], p[1]); got != unordered {
			t.Errorf("%q and %q: got %d", p[0], p[1], got)
		}
	}
}
