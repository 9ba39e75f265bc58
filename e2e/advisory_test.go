//go:build e2e

package e2e

import (
	"archive/zip"
	"cmp"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"

	"plimsoll/e2e/independent"
	"plimsoll/e2e/lab"
	"plimsoll/sample"
)

// osvExports returns a directory of OSV exports in OSV's own layout: the one
// that PLIMSOLL_OSV_DIR names, else the one beside the repository, else the sample
// records of this repository.
func osvExports(t testing.TB) string {
	t.Helper()
	beside := filepath.Join("..", "..", "shared", "data", "osv")
	if dir := cmp.Or(os.Getenv("PLIMSOLL_OSV_DIR"), beside); isDir(dir) {
		return dir
	}
	dir := t.TempDir()
	records := sample.Advisories()
	ecosystems, err := fs.ReadDir(records, ".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range ecosystems {
		if !e.IsDir() {
			continue
		}
		names = append(names, e.Name())
		if err := os.Mkdir(filepath.Join(dir, e.Name()), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(dir, e.Name(), "all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		w := zip.NewWriter(f)
		sub, err := fs.Sub(records, e.Name())
		if err == nil {
			err = w.AddFS(sub)
		}
		if err == nil {
			err = w.Close()
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ecosystems.txt"), []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// serve is a file server over dir, as a mirror of advisories is.
func serve(t testing.TB, dir string) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}

var judged = []string{"Debian", "npm", "PyPI"}

// Findings are those that a second, independent computation finds in the same
// records with the reference implementations of each version order. Left out are
// records whose versions the reference refuses; each is logged.
func TestFindingsEqualAnIndependentComputation(t *testing.T) {
	recipes := []lab.Recipe{lab.Debian("11"), lab.Debian("12"), lab.Debian("13"), lab.Layered(), lab.Python(), lab.Node()}
	u, _ := inDocker(t, recipes...)
	dir := osvExports(t)
	if a := u.run("db", "update", "--osv", serve(t, dir), "--kev", "", "--epss", "", "--ecosystems", strings.Join(judged, ",")); a.code != 0 {
		t.Fatalf("db update: exit code %d: %s", a.code, a.stderr)
	}
	for _, recipe := range recipes {
		t.Run(recipe.Name, func(t *testing.T) {
			r := only(t, u.report([]string{"scan", "-o", "json", "--show-suppressed", recipe.Name}, 0, 4))
			if !r.Matched {
				t.Fatal("nothing was judged")
			}
			items := itemsOf(r)
			matches, err := independent.Compute(t.Context(), dir, items)
			if err != nil {
				t.Fatal(err)
			}
			want, overruled := make(map[string]bool), make(map[string]string)
			for _, m := range matches {
				key := fmt.Sprintf("%s %s %s %s", m.Ecosystem, m.Package, m.Version, m.Record)
				if m.Refused {
					t.Logf("not compared: the reference implementation cannot order the versions of %s", m.Record)
					continue
				}
				if m.OverruledBy != "" {
					overruled[key] = m.OverruledBy
					continue
				}
				want[key] = true
			}
			got := make(map[string]bool)
			for _, f := range r.Findings {
				for _, reason := range f.Reasons {
					key := fmt.Sprintf("%s %s %s %s", reason.Ecosystem, reason.Package, reason.Version, reason.Advisory)
					// The distribution's record of the release overrules its notice
					// (DSA, DLA); a notice may still stand beside a record that agrees.
					if overruled[key] == "" {
						got[key] = true
					}
				}
			}
			t.Logf("%d packages, %d matches, %d notices overruled by the release's own record", len(items), len(want), len(overruled))
			// 1.3~deb12u6 is 1.3 rebuilt for Debian 12 and holds all of it; dpkg's order
			// alone, which puts it below 1.3, does not tell.
			rebuild := regexp.MustCompile(`^(.*)~deb[0-9]+u[0-9]+$`)
			for _, m := range matches {
				key := fmt.Sprintf("%s %s %s %s", m.Ecosystem, m.Package, m.Version, m.Record)
				base := rebuild.FindStringSubmatch(m.Version)
				if base == nil || !want[key] || got[key] {
					continue
				}
				again, err := independent.Compute(t.Context(), dir, []independent.Item{{Ecosystem: m.Ecosystem, Package: m.Package, Version: base[1]}})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(again, func(n independent.Match) bool { return n.Record == m.Record && !n.Refused }) {
					t.Logf("not compared: %s is a rebuild of %s, which %s does not call affected", m.Version, base[1], m.Record)
					delete(want, key)
				}
			}
			if diff := godiff.Diff(keys(want), keys(got)); diff != "" {
				t.Errorf("matches (-independent +plimsoll):\n%s", diff)
			}
		})
	}
}

func keys(set map[string]bool) []string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// itemsOf lists what advisories speak about: source packages of the
// distribution's own, and language packages that no system package owns.
func itemsOf(r result) []independent.Item {
	release := ""
	for _, f := range []string{"11", "12", "13"} {
		if strings.Contains(string(r.Systems), `"versionId": "`+f+`"`) || strings.Contains(string(r.Systems), `"versionId":"`+f+`"`) {
			release = f
		}
	}
	seen := make(map[independent.Item]bool)
	for _, p := range r.Packages {
		item := independent.Item{Package: p.Name, Version: p.Version}
		switch {
		case p.Type == "deb" && p.Origin == "" && release != "":
			item.Ecosystem = "Debian:" + release
			if p.Source != nil {
				item.Package, item.Version = cmp.Or(p.Source.Name, p.Name), cmp.Or(p.Source.Version, p.Version)
			}
		case p.Type == "npm" && p.Owner == "":
			item.Ecosystem = "npm"
		case p.Type == "pypi" && p.Owner == "":
			item.Ecosystem = "PyPI"
			item.Package = strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(p.Name))
		default:
			continue
		}
		seen[item] = true
	}
	var items []independent.Item
	for item := range seen {
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b independent.Item) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Package, b.Package), strings.Compare(a.Version, b.Version))
	})
	return items
}
