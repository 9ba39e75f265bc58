//go:build e2e

package match_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/e2e/independent"
	"plimsoll/match"
	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

// TestAccuracy judges packages at and around every version that records name,
// and compares each answer with the independent computation from the same
// records. Every difference must have one of the reasons in explain; the count
// of each is logged. PLIMSOLL_OSV_DIR names a directory of OSV exports; without
// it the extract in testdata/osv is used.
func TestAccuracy(t *testing.T) {
	dir := os.Getenv("PLIMSOLL_OSV_DIR")
	if dir == "" {
		dir = filepath.Join("testdata", "osv")
	}
	db := compile(t, dir)
	for family, most := range map[string]int{
		"Debian": 200, // dpkg starts twice for each of the many records about one
		"PyPI":   5000, "npm": 5000, "Go": 5000, "crates.io": 5000, "AlmaLinux": 5000,
	} {
		t.Run(family, func(t *testing.T) {
			items := itemsOf(t, filepath.Join(dir, family, "all.zip"), most)
			if len(items) == 0 {
				t.Fatal("no items")
			}
			compare(t, db, dir, items)
		})
	}
}

func compile(t *testing.T, dir string) *vulndb.DB {
	t.Helper()
	out := t.TempDir()
	_, sum, err := feed.Update(context.Background(), feed.Options{Base: dir, Dir: out})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Broken > 0 {
		t.Errorf("%d records could not be read: %v", sum.Broken, sum.Problems)
	}
	db, err := vulndb.OpenCurrent(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// itemsOf returns packages at the versions of their records' events and next
// to them, every nth so that there are at most most.
func itemsOf(t *testing.T, path string, most int) []independent.Item {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	family := filepath.Base(filepath.Dir(path))
	set := make(map[independent.Item]bool)
	modular := make(map[string]bool)
	for _, member := range z.File {
		var r struct {
			Affected []struct {
				Package  struct{ Ecosystem, Name string }
				Versions []string
				Ranges   []struct {
					Type   string
					Events []struct{ Introduced, Fixed, Last_affected string }
				}
			}
		}
		f, err := member.Open()
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(f).Decode(&r)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range r.Affected {
			if base, _, _ := strings.Cut(a.Package.Ecosystem, ":"); base != family {
				continue
			}
			add := func(v string) {
				if v != "" && v != "0" {
					set[independent.Item{Ecosystem: a.Package.Ecosystem, Package: a.Package.Name, Version: v}] = true
				}
				if strings.Contains(v, "module") {
					modular[a.Package.Name] = true
				}
			}
			for _, v := range a.Versions[:min(3, len(a.Versions))] {
				add(v)
			}
			for _, rng := range a.Ranges {
				if rng.Type == "GIT" {
					continue
				}
				for _, e := range rng.Events {
					v := e.Introduced + e.Fixed + e.Last_affected
					add(v)
					add(neighbour(family, v))
				}
			}
		}
	}
	var items []independent.Item
	for item := range set {
		// The independent computation knows no modules, and releases before 7 had
		// minor numbers that os-release never knew.
		if release, ok := strings.CutPrefix(item.Ecosystem, "Debian:"); ok && strings.Contains(release, ".") {
			continue
		}
		if !modular[item.Package] {
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b independent.Item) int {
		return strings.Compare(a.Ecosystem+"\x00"+a.Package+"\x00"+a.Version, b.Ecosystem+"\x00"+b.Package+"\x00"+b.Version)
	})
	step := len(items)/most + 1
	var some []independent.Item
	for i := 0; i < len(items); i += step {
		some = append(some, items[i])
	}
	return some
}

// neighbour returns a version close to v.
func neighbour(family, v string) string {
	switch {
	case v == "" || v == "0":
		return ""
	case family == "Debian":
		return v + "~bpo1"
	case family == "AlmaLinux":
		return v + ".1"
	case family == "PyPI":
		return v + ".post1"
	case family == "Go" && strings.Contains(v, "-0.2"):
		return v
	}
	return v + "-rc.1"
}

// answer is one record's word on one item.
type answer struct {
	independent.Item
	record string
}

func compare(t *testing.T, db *vulndb.DB, dir string, items []independent.Item) {
	ctx := context.Background()
	start := time.Now()
	matches, err := independent.Compute(ctx, dir, items)
	if err != nil {
		t.Fatal(err)
	}
	slow := time.Since(start)
	theirs := make(map[answer]string) // by whom overruled; empty: by nobody for some vulnerability
	refused := make(map[answer]bool)
	for _, m := range matches {
		key := answer{m.Item, m.Record}
		if m.Refused {
			refused[key] = true
			continue
		}
		if by, ok := theirs[key]; !ok || by != "" {
			theirs[key] = m.OverruledBy
		}
	}
	start = time.Now()
	ours := make(map[answer]bool)
	problems := make(map[string]string)
	for _, inv := range inventories(items) {
		e, err := match.Evaluate(ctx, db, inv, match.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range e.Problems {
			problems[p.Path] = p.Detail
		}
		for _, f := range e.Findings {
			for _, r := range f.Reasons {
				name := f.Package.Name
				if f.Package.Source.Name != "" {
					name = f.Package.Source.Name
				}
				ours[answer{independent.Item{Ecosystem: r.Ecosystem, Package: name, Version: r.Version}, r.Advisory}] = true
			}
		}
	}
	t.Logf("%d items, %d matches; independent %v, ours %v", len(items), len(theirs), slow.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	explained := make(map[string]int)
	unexplained := 0
	report := func(what string, a answer) {
		if unexplained++; unexplained <= 20 {
			t.Errorf("%s: %s %s %s by %s", what, a.Ecosystem, a.Package, a.Version, a.record)
		}
	}
	for a, by := range theirs {
		switch {
		case ours[a]:
		case by != "":
			explained["a notice that the distribution's own record of the flaw overrules"]++
		case a.Ecosystem == "Go" && strings.HasPrefix(strings.TrimPrefix(a.Version, "v"), "0.0.0-"):
			explained["a commit without a release, compared by its date"]++
		case problems[pathOf(a.Item)] != "":
			explained["a version that the scheme does not read, counted as a problem"]++
		case !holds(t, db, a):
			explained["a record that the database leaves out: for another platform, or about no flaw"]++
		default:
			report("missing", a)
		}
	}
	for a := range ours {
		switch _, ok := theirs[a]; {
		case ok:
		case refused[a]:
			explained["a version that the reference refuses and feeds use all the same"]++
		default:
			report("not affected", a)
		}
	}
	for why, n := range explained {
		t.Logf("%d of %d: %s", n, len(theirs), why)
	}
	if unexplained > 0 {
		t.Errorf("%d differences without an explanation", unexplained)
	}
}

// holds says whether the database has the record for the package.
func holds(t *testing.T, db *vulndb.DB, a answer) bool {
	t.Helper()
	rows, err := db.Affected(a.Ecosystem, plimsoll.NormalizeName(a.Ecosystem, a.Package))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(rows, func(r plimsoll.Affected) bool { return r.AdvisoryID == a.record })
}

func pathOf(i independent.Item) string { return fmt.Sprintf("app/%s@%s", i.Package, i.Version) }

// inventories puts items into inventories of the systems that they belong to.
func inventories(items []independent.Item) []plimsoll.Inventory {
	types := map[string]plimsoll.PackageType{"Debian": plimsoll.TypeDeb, "AlmaLinux": plimsoll.TypeRPM, "PyPI": plimsoll.TypePyPI,
		"npm": plimsoll.TypeNPM, "Go": plimsoll.TypeGo, "crates.io": plimsoll.TypeCargo}
	byEcosystem := make(map[string]*plimsoll.Inventory)
	var list []plimsoll.Inventory
	for _, item := range items {
		family, release, _ := strings.Cut(item.Ecosystem, ":")
		inv := byEcosystem[item.Ecosystem]
		if inv == nil {
			inv = &plimsoll.Inventory{}
			if release != "" {
				inv.Systems = []plimsoll.OS{{ID: strings.ToLower(family), VersionID: release}}
			}
			byEcosystem[item.Ecosystem] = inv
		}
		p := plimsoll.Package{Type: types[family], Name: item.Package, Version: item.Version, Path: pathOf(item)}
		if p.Type == plimsoll.TypeDeb {
			p.Name, p.Source = "lib"+p.Name, plimsoll.SourcePackage{Name: item.Package, Version: item.Version}
		}
		inv.Packages = append(inv.Packages, p)
	}
	for _, inv := range byEcosystem {
		list = append(list, *inv)
	}
	return list
}
