//go:build e2e

package lab

import "testing"

// TestRecipes makes every image that the cache does not hold yet, and checks
// that its truth is not empty by accident.
func TestRecipes(t *testing.T) {
	tests := []struct {
		recipe Recipe
		kind   string
		least  int
	}{
		{Debian("11"), "deb", 70},
		{Debian("12"), "deb", 70},
		{Debian("13"), "deb", 70},
		{Debian("sid"), "deb", 70},
		{Layered(), "deb", 80},
		{Python(), "pypi", 20},
		{Python(), "pypi-dist", 20},
		{Node(), "npm", 500},
		{Java(), "maven", 50},
		{Ruby(), "gem", 50},
		{PHP(), "composer", 9},
		{Go(), "golang", 40},
		{GoStatic(), "golang", 1},
		{RPM(t, "cbl-mariner-2.0"), "rpm", 129},
		{RPM(t, "fedora35"), "rpm", 137},
		{RPM(t, "sle15-bci"), "rpm", 35},
		{RPM(t, "centos8-modularitylabel"), "rpm", 500},
		{RPMBuilt(), "rpm", 6},
		{RPMSystem("registry.test/rpm:1", "ID=test\n", "Test", "bash - 5.0 1 -", "openssl 1 1.1 1 -", "nodejs - 14 1 nodejs:14:1:1"), "rpm", 3},
		{Alpine(t), "apk", 14},
		{HundredLayers(), "npm", 90},
		{Huge(), "npm", 1500},
		{Tiny("my--app:v1--rc"), "npm", 1},
		{Tiny(""), "npm", 1},
	}
	for _, test := range tests {
		t.Run(test.recipe.Name, func(t *testing.T) {
			if got := len(test.recipe.Truth(t, test.kind)); got < test.least {
				t.Errorf("%d packages of kind %s, want at least %d", got, test.kind, test.least)
			}
		})
	}
}
