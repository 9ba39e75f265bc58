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
