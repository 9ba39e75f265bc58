//go:build e2e

package lab

import "testing"

// TestRecipes makes every image that the cache does not hold yet.
func TestRecipes(t *testing.T) {
	for _, r := range []Recipe{
		Debian("11"), Debian("12"), Debian("13"), Debian("sid"), Layered(),
		Python(), Node(), Java(), Ruby(), PHP(), Go(), GoStatic(),
		RPM(t, "cbl-mariner-2.0"), RPM(t, "fedora35"), RPM(t, "sle15-bci"), RPM(t, "centos8-modularitylabel"),
		RPMBuilt(), Alpine(t, "3.10.2"), Alpine(t, "3.11.5"),
		HundredLayers(), Huge(), Tiny("my--app:v1--rc"), Tiny(""),
	} {
		t.Run(r.Name, func(t *testing.T) { t.Log(r.ID(t)) })
	}
}
