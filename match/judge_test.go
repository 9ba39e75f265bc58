package match

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// judgedAlone checks that packages judged one by one get the findings that they
// get as an image: that is what lets a fleet judge each distinct package once.
// Every case of TestEvaluate goes through it.
func judgedAlone(t *testing.T, adv Advisories, inv plimsoll.Inventory, o Options, want Evaluation) {
	t.Helper()
	if o.Distro != "" || o.Comprehensive {
		return // a claim about one image, or a question that needs the owner at hand
	}
	foreign := map[[2]string]bool{}
	for _, p := range inv.Packages {
		foreign[[2]string{p.Root, p.Name}] = foreign[[2]string{p.Root, p.Name}] || p.Type.System() && p.Origin != ""
	}
	var findings []plimsoll.Finding
	uncovered := 0
	for _, p := range inv.Packages {
		var system plimsoll.OS
		for _, s := range inv.Systems {
			if s.Root == p.Root {
				system = s
			}
		}
		if !p.Type.System() && foreign[[2]string{p.Root, p.Owner}] {
			p.Owner = ""
		}
		verdicts, err := Judge(context.Background(), adv, system, []plimsoll.Package{p}, o)
		if err != nil {
			t.Fatal(err)
		}
		findings = append(findings, verdicts[0].Findings...)
		if verdicts[0].Ecosystem == "" {
			uncovered++
		}
	}
	owner := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Owner" }, cmp.Ignore())
	if diff := cmp.Diff(want.Findings, sortFindings(findings), owner); diff != "" && len(want.Findings)+len(findings) > 0 {
		t.Errorf("judged alone (-image +alone):\n%s", diff)
	}
	for _, c := range want.Coverage {
		if c.Ecosystem == "" {
			uncovered -= c.Packages
		}
	}
	if uncovered != 0 {
		t.Errorf("judged alone, %d more packages are not covered", uncovered)
	}
}

func TestWhy(t *testing.T) {
	log4j := lang(plimsoll.TypeMaven, "org.apache.logging.log4j:log4j-core", "2.14.1")
	was := []plimsoll.Reason{{Advisory: "GHSA-1", Ecosystem: "Maven", Package: log4j.Name, Version: log4j.Version, Scheme: "maven", Range: "< 2.15"}}
	for _, test := range []struct {
		name string
		now  *memory
		was  []plimsoll.Reason
		want string
	}{
		{"ecosystem gone", generation(), was, "the database holds no advisories for Maven any more"},
		{"withdrawn", generation(about("GHSA-2", "Maven", log4j.Name, "introduced 0")), was,
			"GHSA-1 was withdrawn or does not name org.apache.logging.log4j:log4j-core any more"},
		{"narrowed", generation(about("GHSA-1", "Maven", log4j.Name, "introduced 2.0", "fixed 2.14")), was,
			"GHSA-1 now says >= 2.0, < 2.14, which 2.14.1 is not"},
		{"overruled", generation(about("GHSA-1", "Maven", log4j.Name, "introduced 2.0", "fixed 2.16")), was,
			"GHSA-1 is overruled: another record says that org.apache.logging.log4j:log4j-core 2.14.1 is not affected"},
		{"no range left", generation(about("GHSA-1", "Maven", log4j.Name)), was,
			"GHSA-1 does not call any version of org.apache.logging.log4j:log4j-core affected any more"},
		{"nothing known", generation(), nil, "the records that matched are not known any more"},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "_"), func(t *testing.T) {
			if got := Why(test.now, log4j, test.was); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestJudgeTogether: many packages at once, in any order, are judged as each alone.
func TestJudgeTogether(t *testing.T) {
	adv := generation(
		about("DEBIAN-CVE-2024-1", "Debian:12", "openssl", "introduced 0", "fixed 3.0.13-1~deb12u1"),
		about("GHSA-1", "npm", "ws", "introduced 0", "fixed 8.17.1"),
		about("GHSA-2", "npm", "qs", "introduced 0", "fixed 6.1.0"),
		about("GHSA-3", "PyPI", "urllib3", "introduced 0", "fixed broken version"),
	)
	packages := []plimsoll.Package{
		lang(plimsoll.TypeNPM, "ws", "8.0.0"), deb("openssl", "3.0.9-1"), lang(plimsoll.TypeNPM, "qs", "6.2.0"),
		lang(plimsoll.TypePyPI, "urllib3", "1.26"), lang(plimsoll.TypePyPI, "urllib3", "2.0"), lang(plimsoll.TypeNPM, "ws", "9.0.0"),
		withOwner(lang(plimsoll.TypeNPM, "qs", "1.0"), "node-qs"), lang(plimsoll.TypeConda, "numpy", "1"),
	}
	bookworm := plimsoll.OS{ID: "debian", VersionID: "12"}
	o := Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	together, err := Judge(context.Background(), adv, bookworm, packages, o)
	if err != nil {
		t.Fatal(err)
	}
	var affected []string
	for i, p := range packages {
		alone, err := Judge(context.Background(), adv, bookworm, packages[i:i+1], o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone[0], together[i]); diff != "" {
			t.Errorf("%s %s (-alone +together):\n%s", p.Name, p.Version, diff)
		}
		for _, f := range together[i].Findings {
			affected = append(affected, p.Name+" "+p.Version+" "+f.Vulnerability.ID)
		}
	}
	want := []string{"ws 8.0.0 GHSA-1", "openssl 3.0.9-1 CVE-2024-1"}
	if !slices.Equal(affected, want) {
		t.Errorf("got %q, want %q", affected, want)
	}
	if together[7].Ecosystem != "" || together[7].Why == "" {
		t.Errorf("conda is not covered, and the verdict says so; got %+v", together[7])
	}
	if n := len(together[3].Problems); n != 1 || len(together[4].Problems) != 1 {
		t.Errorf("each package tells of the record that could not be read, got %d and %d", n, len(together[4].Problems))
	}
}
