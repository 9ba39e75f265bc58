package match

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// What ends a branch and not the flaw is not among the fixes.
func TestADV10FixedVersions(t *testing.T) {
	adv := generation(about("FOP-1", "Packagist", "a/b", "introduced 1.0", "fixed 2.0", "introduced 2.0", "fixed 2.9", "introduced 3.0", "fixed 3.1"))
	f := evaluate(t, adv, app(lang("composer", "a/b", "1.5")), Options{}).Findings[0]
	if diff := cmp.Diff([]string{"2.9", "3.1"}, f.FixedVersions); diff != "" || f.FixedVersion != "2.9" {
		t.Errorf("fixed in %s (-want +got):\n%s", f.FixedVersion, diff)
	}
}

func TestCoverage(t *testing.T) {
	adv := generation(about("DEBIAN-CVE-2024-1", "Debian:9", "tar", "introduced 0"), about("GHSA-1", "npm", "x", "introduced 0"))
	inv := install("debian", "9", deb("tar", "1"), deb("gzip", "1"), withOrigin(deb("docker-ce", "1"), "Docker"),
		lang("npm", "a", "1.0.0"), lang("npm", "b", "1.0.0"), lang("conda", "c", "1"), lang("hex", "d", "1.0.0"),
		withOwner(lang("npm", "e", "1.0.0"), "gzip"))
	e := evaluate(t, adv, inv, Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	end := time.Date(2022, 6, 30, 0, 0, 0, 0, time.UTC)
	want := []plimsoll.Coverage{
		{Group: "conda", Class: plimsoll.ClassApplication, Packages: 1},
		{Group: "deb (third-party: Docker)", Class: plimsoll.ClassSystem, Packages: 1},
		{Group: "debian 9", Class: plimsoll.ClassSystem, Ecosystem: "Debian:9", Packages: 2, EndOfLife: end, Ended: true},
		{Group: "hex", Class: plimsoll.ClassApplication, Packages: 1},
		{Group: "npm", Class: plimsoll.ClassApplication, Ecosystem: "npm", Packages: 2},
		{Group: "npm in packages of debian 9", Class: plimsoll.ClassApplication, Ecosystem: "Debian:9", Packages: 1, EndOfLife: end, Ended: true},
	}
	if diff := cmp.Diff(want, e.Coverage); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"end-of-life", "no-advisory-source", "no-advisory-source", "no-advisory-source"}, codes(e.Problems)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// TestOS07RuntimesEnd: a runtime that no distribution looks after is judged as the
// system is: shown, and its findings stay.
func TestOS07RuntimesEnd(t *testing.T) {
	node := func(path string) plimsoll.Package {
		return plimsoll.Package{Type: plimsoll.TypeGeneric, Name: "node", Version: "16.20.2", Path: path}
	}
	inv := debian(deb("nodejs", "12.22.12-1"), node("opt/b/node"), node("opt/a/node"), lang(plimsoll.TypeNPM, "ws", "1.0.0"))
	adv := generation(about("GHSA-1", "npm", "ws", "introduced 0"))
	for day, want := range map[int]int{10: 0, 12: 1} { // September 11 is the last day
		e := evaluate(t, adv, inv, Options{Now: time.Date(2023, 9, day, 0, 0, 0, 0, time.UTC)})
		var told []plimsoll.Problem
		for _, p := range e.Problems {
			if p.Code == plimsoll.ProblemEndOfLife {
				told = append(told, p)
			}
		}
		if len(told) != want || want == 1 && (told[0].Count != 2 || told[0].Path != "opt/a/node" || told[0].Detail != "Node.js 16 reached its end of life on 2023-09-11") {
			t.Errorf("on day %d: %+v", day, told)
		}
		if len(e.Findings) != 1 {
			t.Errorf("findings %q", brief(e.Findings))
		}
	}
	verdicts, err := Judge(t.Context(), adv, plimsoll.OS{}, []plimsoll.Package{node("x")}, Options{Now: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil || len(verdicts[0].Problems) != 1 {
		t.Errorf("judged alone: %+v %v", verdicts, err)
	}
}
