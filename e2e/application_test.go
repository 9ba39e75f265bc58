//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/e2e/lab"
)

// Language packages equal what the ecosystem's own tool lists in the image, each
// as often as it is installed.
func TestApplicationPackagesEqualTheirOwnTools(t *testing.T) {
	python := func(p pkg) bool { return p.Type == "pypi" && strings.HasPrefix(p.Path, "opt/venv/") }
	for _, test := range []struct {
		acceptance string
		recipe     lab.Recipe
		truth      string
		keep       func(pkg) bool
		least      int
	}{
		{"NPM-02", lab.Node(), "npm", func(p pkg) bool { return p.Type == "npm" && strings.HasPrefix(p.Path, "app/") }, 500},
		{"PY-01", lab.Python(), "pypi", python, 20},
		{"PY-03", lab.Python(), "pypi-dist", func(p pkg) bool {
			return p.Type == "pypi" && strings.HasPrefix(p.Path, "usr/lib/python3/dist-packages/")
		}, 20},
		{"GO-01", lab.Go(), "golang", func(p pkg) bool { return p.Type == "golang" && strings.HasPrefix(p.Path, "usr/local/bin/") }, 10},
		{"GO-01-scratch", lab.GoStatic(), "golang", ofType("golang"), 1},
		{"RB-01", lab.Ruby(), "gem", ofType("gem"), 20},
		{"PHP-01", lab.PHP(), "composer", func(p pkg) bool { return p.Type == "composer" && strings.HasPrefix(p.Path, "app/") }, 3},
	} {
		t.Run(test.acceptance, func(t *testing.T) {
			u, _ := inDocker(t, test.recipe)
			got := only(t, u.sbom(test.recipe.Name))
			want := test.recipe.Truth(t, test.truth)
			if len(want) < test.least {
				t.Fatalf("the ecosystem's own tool lists only %d packages", len(want))
			}
			if diff := cmp.Diff(want, got.listed(test.keep)); diff != "" {
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
