//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/e2e/lab"
)

// Language packages equal what the ecosystem's own tool lists in the image, each
// as often as it is installed.
func TestApplicationPackagesEqualTheirOwnTools(t *testing.T) {
	in := func(typ, dir string) func(pkg) bool {
		return func(p pkg) bool { return p.Type == typ && strings.HasPrefix(p.Path, dir) }
	}
	// The main module has no version of its own and the standard library is none
	// of the modules that the go command lists.
	module := func(p pkg) bool { return p.Type == "golang" && p.Version != "(devel)" && p.Name != "stdlib" }
	same := func(list []string) []string { return list }
	for _, test := range []struct {
		acceptance string
		recipe     lab.Recipe
		truth      string
		keep       func(pkg) bool
		alike      func([]string) []string // what both lists are compared as
		least      int
	}{
		// npm lists the application itself too, which is not installed (NPM-01).
		{"NPM-02", lab.Node(), "npm", in("npm", "app/"), func(list []string) []string {
			return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "old-app 0.0.1" })
		}, 500},
		{"PY-01", lab.Python(), "pypi", in("pypi", "opt/venv/"), same, 20},
		// Python lists a package twice that has .egg-info beside .dist-info (PY-02).
		{"PY-03", lab.Python(), "pypi-dist", in("pypi", "usr/lib/python3/dist-packages/"), distinct, 20},
		{"GO-01", lab.Go(), "golang", module, same, 10},
		{"GO-01-scratch", lab.GoStatic(), "golang", module, same, 1},
		// Ruby lists a gem once that Debian installed in two places.
		{"RB-01", lab.Ruby(), "gem", in("gem", ""), distinct, 20},
		{"PHP-01", lab.PHP(), "composer", in("composer", "app/"), same, 3},
	} {
		t.Run(test.acceptance, func(t *testing.T) {
			u, _ := inDocker(t, test.recipe)
			got := only(t, u.sbom(test.recipe.Name))
			want := test.recipe.Truth(t, test.truth)
			if len(want) < test.least {
				t.Fatalf("the ecosystem's own tool lists only %d packages", len(want))
			}
			if diff := cmp.Diff(test.alike(want), test.alike(got.listed(test.keep))); diff != "" {
				t.Errorf("packages (-own tool +plimsoll):\n%s", diff)
			}
		})
	}
}

// Each artifact that names itself in a pom.properties is found in every archive,
// nested ones included; archives without one are recognised by manifest or name.
func TestJAR05NestedArchivesAreFound(t *testing.T) {
	recipe := lab.Java()
	u, _ := inDocker(t, recipe)
	r := only(t, u.sbom(recipe.Name))
	found := make(map[string]int)
	for _, line := range r.listed(ofType("maven")) {
		found[line]++
	}
	want := recipe.Truth(t, "maven")
	if len(want) < 30 {
		t.Fatalf("only %d pom.properties in the image", len(want))
	}
	for _, line := range want {
		if found[line] == 0 {
			t.Errorf("no package for the pom.properties of %s", line)
		}
		found[line]--
	}
	nested := 0
	for _, p := range r.Packages {
		if strings.Contains(p.Path, "!/") {
			nested++
		}
	}
	if nested == 0 {
		t.Error("no nested archive was found")
	}
}
