//go:build e2e

package match_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	godiff "github.com/google/go-cmp/cmp"

	"plimsoll/e2e/independent"
)

var relabel = flag.Bool("relabel", false, "draw the labelled cases anew from PLIMSOLL_OSV_DIR")

// The labels are what the reference implementations say today, from the records
// beside them; nothing of ours had a part in them.
func TestLabelsAreTheReferences(t *testing.T) {
	if *relabel {
		draw(t, os.Getenv("PLIMSOLL_OSV_DIR"))
	}
	records := labelRecords(t)
	flaws := flawsAbout(t, records)
	dir := labelExports(t)
	have := readLabels(t)
	var items []independent.Item
	for _, c := range have {
		items = append(items, c.Item)
	}
	want := label(t, dir, flaws, items)
	if diff := godiff.Diff(lines(want), lines(have)); diff != "" {
		t.Errorf("labels (-references +on record):\n%s", diff)
	}
	count := make(map[string]int)
	for _, c := range have {
		family, _, _ := strings.Cut(c.Ecosystem, ":")
		count[family]++
	}
	for family := range familyTypes {
		if count[family] < 15 {
			t.Errorf("%s has %d labelled packages, less than 15", family, count[family])
		}
	}
}

// What is drawn of each ecosystem. The order is that of a hash over names, so
// that nobody chooses; what is passed over is passed over by kind or size.
const (
	drawSeed     = "ADV-16"
	drawPackages = 20
	drawEach     = 3 // versions and releases of a package
	drawRecords  = 12
	drawBytes    = 6 << 10 // of one record
)

func drawn(parts ...string) string {
	sum := sha256.Sum256([]byte(drawSeed + "\x00" + strings.Join(parts, "\x00")))
	return string(sum[:])
}

// osv is the part of a record that is kept: facts, no sentences.
type osv struct {
	ID        string     `json:"id"`
	Modified  string     `json:"modified"`
	Published string     `json:"published,omitempty"`
	Withdrawn string     `json:"withdrawn,omitempty"`
	Aliases   []string   `json:"aliases,omitempty"`
	Upstream  []string   `json:"upstream,omitempty"`
	Related   []string   `json:"related,omitempty"`
	Affected  []affected `json:"affected"`
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Ranges []struct {
		Type   string              `json:"type"`
		Events []map[string]string `json:"events"`
	} `json:"ranges,omitempty"`
	Versions  []string        `json:"versions,omitempty"`
	Ecosystem json.RawMessage `json:"ecosystem_specific,omitempty"`
}

func familyOf(ecosystem string) string {
	family, _, _ := strings.Cut(ecosystem, ":")
	return family
}

// draw writes records and labels anew.
func draw(t *testing.T, dir string) {
	t.Helper()
	if dir == "" {
		t.Fatal("PLIMSOLL_OSV_DIR is not set")
	}
	type key struct{ family, name string }
	taken := make(map[key]bool)
	all := make(map[string][]osv)
	for _, family := range slices.Sorted(maps.Keys(familyTypes)) {
		all[family] = readExport(t, filepath.Join(dir, family, "all.zip"))
		about := make(map[string]int)
		passed := make(map[string]bool)
		for _, r := range all[family] {
			for _, a := range r.Affected {
				if familyOf(a.Package.Ecosystem) != family {
					continue
				}
				one := r
				one.Affected = []affected{a}
				passed[a.Package.Name] = passed[a.Package.Name] || passOver(one)
				about[a.Package.Name]++
			}
		}
		names := slices.DeleteFunc(slices.Collect(maps.Keys(about)), func(name string) bool {
			return passed[name] || recordsOf(all[family], family, name) > drawRecords
		})
		slices.SortFunc(names, func(a, b string) int { return strings.Compare(drawn(family, a), drawn(family, b)) })
		for _, name := range names[:min(drawPackages, len(names))] {
			taken[key{family, name}] = true
		}
	}
	var items []independent.Item
	seen := make(map[string]bool)
	if err := os.RemoveAll(filepath.Join(labels, "records")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(labels, "records"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, family := range slices.Sorted(maps.Keys(all)) {
		var text bytes.Buffer
		releases, versions := make(map[string][]string), make(map[string][]string)
		for _, r := range all[family] {
			r.Affected = slices.DeleteFunc(slices.Clone(r.Affected), func(a affected) bool {
				return !taken[key{familyOf(a.Package.Ecosystem), a.Package.Name}]
			})
			if len(r.Affected) == 0 {
				continue
			}
			for i := range r.Affected {
				a := &r.Affected[i]
				if familyOf(a.Package.Ecosystem) != family {
					continue
				}
				name := a.Package.Name
				releases[name] = append(releases[name], a.Package.Ecosystem)
				if n := len(a.Versions); n > 0 {
					versions[name] = append(versions[name], a.Versions[0], a.Versions[n-1])
				}
				for _, rng := range a.Ranges {
					for _, e := range rng.Events {
						for _, v := range e {
							if v != "0" && rng.Type != "GIT" {
								versions[name] = append(versions[name], v, neighbour(family, v))
							}
						}
					}
				}
			}
			if seen[r.ID] { // stands in the file of another ecosystem, in the same form
				continue
			}
			seen[r.ID] = true
			line, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(line, '\n'))
		}
		if err := os.WriteFile(filepath.Join(labels, "records", family+".jsonl"), text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(releases)) {
			var candidates []independent.Item
			for _, release := range distinct(releases[name]) {
				for _, v := range distinct(versions[name]) {
					if askable(family, v) {
						candidates = append(candidates, independent.Item{Ecosystem: release, Package: name, Version: v})
					}
				}
			}
			slices.SortFunc(candidates, func(a, b independent.Item) int {
				return strings.Compare(drawn(a.Ecosystem, a.Package, a.Version), drawn(b.Ecosystem, b.Package, b.Version))
			})
			items = append(items, candidates[:min(drawEach, len(candidates))]...)
		}
	}
	cases := label(t, labelExports(t), flawsAbout(t, labelRecords(t)), items)
	if err := os.WriteFile(filepath.Join(labels, "sampled.tsv"), []byte(strings.Join(lines(cases), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func recordsOf(records []osv, family, name string) int {
	n := 0
	for _, r := range records {
		if slices.ContainsFunc(r.Affected, func(a affected) bool {
			return a.Package.Name == name && familyOf(a.Package.Ecosystem) == family
		}) {
			n++
		}
	}
	return n
}

// passOver says that the order of versions alone does not decide about the
// package of a record: modules, other platforms, paid channels, updates that fix
// no flaw, releases that no os-release knows. Such cases are stated. Nor is a
// record taken whose list of versions would fill a page.
func passOver(r osv) bool {
	a := &r.Affected[0]
	text, err := json.Marshal(r)
	_, release, _ := strings.Cut(a.Package.Ecosystem, ":")
	return err != nil || len(text) > drawBytes ||
		strings.Contains(string(text), ".module_") ||
		bytes.Contains(a.Ecosystem, []byte(`"goos"`)) || bytes.Contains(a.Ecosystem, []byte(`"affects"`)) && !bytes.Contains(a.Ecosystem, []byte(`"arch":[]`)) ||
		strings.HasPrefix(release, "Pro:") || familyOf(a.Package.Ecosystem) == "Debian" && strings.Contains(release, ".") ||
		familyOf(a.Package.Ecosystem) == "Packagist" && release != "" ||
		strings.HasPrefix(r.ID, "VICTIMS-") || // shared alike only
		strings.HasPrefix(r.ID, "ALBA-") || strings.HasPrefix(r.ID, "ALEA-")
}

// askable leaves out versions about which a rule beside the order decides:
// Debian's rebuilds for a release, commits that belong to no release.
func askable(family, v string) bool {
	return v != "" && !strings.ContainsAny(v, "\t\n ") &&
		!(familyTypes[family] == "deb" && strings.Contains(v, "~deb")) &&
		!(family == "Go" && strings.HasPrefix(strings.TrimPrefix(v, "v"), "0.0.0-"))
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func readExport(t *testing.T, path string) []osv {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var records []osv
	for _, member := range z.File {
		f, err := member.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		f.Close()
		var r osv
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", path, member.Name, err)
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b osv) int { return strings.Compare(a.ID, b.ID) })
	return records
}

// labelExports returns a directory of the records beside the labels, packed as
// the independent computation reads them.
func labelExports(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	records := labelRecords(t)
	var family string
	var z *zip.Writer
	for _, name := range slices.Sorted(maps.Keys(records)) {
		if f := filepath.Dir(name); f != family {
			if z != nil {
				if err := z.Close(); err != nil {
					t.Fatal(err)
				}
			}
			family = f
			if err := os.Mkdir(filepath.Join(dir, family), 0o755); err != nil {
				t.Fatal(err)
			}
			file, err := os.Create(filepath.Join(dir, family, "all.zip"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			z = zip.NewWriter(file)
		}
		w, err := z.Create(filepath.Base(name))
		if err == nil {
			_, err = w.Write(records[name].Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// flawsAbout returns the names of all flaws that records, withdrawn ones
// included, know of each family's packages.
func flawsAbout(t *testing.T, records fstest.MapFS) map[[2]string][]string {
	t.Helper()
	flaws := make(map[[2]string][]string)
	for name, file := range records {
		var r osv
		if err := json.Unmarshal(file.Data, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var names []string
		for _, id := range append(slices.Clone(r.Aliases), r.Upstream...) {
			if strings.HasPrefix(id, "CVE-") {
				names = append(names, id)
			}
		}
		if len(names) == 0 {
			names = []string{r.ID}
		}
		for _, a := range r.Affected {
			k := subjectOf(a.Package.Ecosystem, a.Package.Name)
			flaws[k] = append(flaws[k], names...)
		}
	}
	for k := range flaws {
		flaws[k] = distinct(flaws[k])
	}
	return flaws
}

// subjectOf is what records speak about, however they spell it.
func subjectOf(ecosystem, name string) [2]string {
	family := familyOf(ecosystem)
	if family == "NuGet" || family == "Packagist" {
		name = strings.ToLower(name)
	}
	return [2]string{family, name}
}

// label asks the references about items. A pair about which they refuse to speak
// has no label.
func label(t *testing.T, dir string, flaws map[[2]string][]string, items []independent.Item) []labelled {
	t.Helper()
	matches, err := independent.Compute(context.Background(), dir, items)
	if err != nil {
		t.Fatal(err)
	}
	type pair struct {
		independent.Item
		flaw string
	}
	yes, refused := make(map[pair]bool), make(map[pair]bool)
	for _, m := range matches {
		p := pair{m.Item, m.Vulnerability}
		switch {
		case m.Refused:
			refused[p] = true
		case m.OverruledBy == "":
			yes[p] = true
		}
	}
	var cases []labelled
	for _, item := range items {
		c := labelled{Item: item}
		for _, flaw := range flaws[subjectOf(item.Ecosystem, item.Package)] {
			switch p := (pair{item, flaw}); {
			case yes[p]:
				c.affected = append(c.affected, flaw)
			case !refused[p]:
				c.not = append(c.not, flaw)
			}
		}
		if len(c.affected)+len(c.not) > 0 {
			cases = append(cases, c)
		}
	}
	slices.SortFunc(cases, func(a, b labelled) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Package, b.Package), strings.Compare(a.Version, b.Version))
	})
	return cases
}

// lines writes cases as sampled.tsv has them.
func lines(cases []labelled) []string {
	list := func(names []string) string { return cmp.Or(strings.Join(names, " "), "-") }
	var out []string
	for _, c := range cases {
		out = append(out, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", c.Ecosystem, c.Package, c.Version, list(c.affected), list(c.not)))
	}
	return out
}
