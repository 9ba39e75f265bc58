//go:build e2e

package match_test

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
// of each is logged. PLIMSOLL_OSV_DIR names a directory of OSV exports, which may
// also stand beside the repository; without one the extract in testdata/osv is
// used, and the records of the labelled cases for other ecosystems.
func TestAccuracy(t *testing.T) {
	extract := filepath.Join("testdata", "osv")
	dir := cmp.Or(os.Getenv("PLIMSOLL_OSV_DIR"), filepath.Join("..", "..", "shared", "data", "osv"))
	if _, err := os.Stat(dir); err != nil {
		dir = extract
	}
	type source struct {
		dir   string
		db    *vulndb.DB
		items map[string][]independent.Item // by family
	}
	all := source{dir, compile(t, dir), make(map[string][]independent.Item)}
	few := source{labelExports(t), compiled(t, labelRecords(t)), make(map[string][]independent.Item)}
	const most = 2000
	for family := range familyTypes {
		from := all
		if _, err := os.Stat(filepath.Join(dir, family)); err != nil && dir == extract {
			from = few
		}
		from.items[family] = itemsOf(t, filepath.Join(from.dir, family, "all.zip"), most)
	}
	for _, s := range []source{all, few} {
		if len(s.items) == 0 {
			continue
		}
		start := time.Now()
		asked := slices.Concat(slices.Collect(maps.Values(s.items))...)
		for _, item := range s.items["Debian"] {
			if base, ok := rebuildOf(item); ok {
				asked = append(asked, base)
			}
		}
		matches, err := independent.Compute(t.Context(), s.dir, asked)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("the independent computation took %v", time.Since(start).Round(time.Second))
		for _, family := range slices.Sorted(maps.Keys(s.items)) {
			t.Run(family, func(t *testing.T) {
				if len(s.items[family]) == 0 {
					t.Fatal("no items")
				}
				own := slices.DeleteFunc(slices.Clone(matches), func(m independent.Match) bool { return familyOf(m.Ecosystem) != family })
				compare(t, family, s.db, own, s.items[family])
			})
		}
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
		// Subscribers' channels speak about the same system as the free one, and are
		// among the stated cases.
		if strings.HasPrefix(item.Ecosystem, "Ubuntu:Pro:") {
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
	case familyTypes[family] == plimsoll.TypeDeb:
		return v + "~bpo1"
	case familyTypes[family] == plimsoll.TypeRPM:
		return v + "~1"
	case familyTypes[family] == plimsoll.TypeAPK, family == "NuGet":
		return oneLess(v)
	case family == "PyPI":
		return v + ".post1"
	case family == "Go" && strings.Contains(v, "-0.2"):
		return v
	}
	return v + "-rc.1"
}

var lastNumber = regexp.MustCompile(`^(.*?)([0-9]+)(-r0)?$`)

// oneLess counts the last number of v down, "" when it is zero already.
func oneLess(v string) string {
	m := lastNumber.FindStringSubmatch(v)
	if m == nil {
		return ""
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || n == 0 {
		return ""
	}
	return m[1] + strconv.Itoa(n-1) + m[3]
}

// answer is one record's word on one item.
type answer struct {
	independent.Item
	record string
}

func compare(t *testing.T, family string, db *vulndb.DB, matches []independent.Match, items []independent.Item) {
	ctx := context.Background()
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
	pairs := make(map[answer]bool)
	among := make(map[independent.Item]bool)
	for _, item := range items {
		among[item] = true
		rows, err := db.Affected(item.Ecosystem, plimsoll.NormalizeName(item.Ecosystem, item.Package))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			pairs[answer{item, r.AdvisoryID}] = true
		}
	}
	explained := make(map[string]int)
	unexplained := 0
	report := func(what string, a answer) {
		if unexplained++; unexplained <= 20 {
			t.Errorf("%s: %s %s %s by %s", what, a.Ecosystem, a.Package, a.Version, a.record)
		}
	}
	for a, by := range theirs {
		if !among[a.Item] {
			continue // what another was made from
		}
		pairs[a] = true
		base, rebuilt := rebuildOf(a.Item)
		_, affected := theirs[answer{base, a.record}]
		switch {
		case ours[a]:
		case by != "":
			explained["a notice that the distribution's own record of the flaw overrules"]++
		case rebuilt && !affected:
			explained["a rebuild for a release, which dpkg orders below the fixed version that it was made from"]++
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
		pairs[a] = true
		if _, ok := theirs[a]; !ok && !refused[a] {
			report("not affected", a)
		}
	}
	for a := range refused {
		if !among[a.Item] {
			delete(refused, a)
		}
		delete(pairs, a)
	}
	differ := 0
	for why, n := range explained {
		t.Logf("%d: %s", n, why)
		differ += n
	}
	t.Logf("AGREEMENT | %s | %d | %d | %d | %d | %d | %d |", family, len(items), len(pairs), len(pairs)-differ-unexplained, differ, unexplained, len(refused))
	if unexplained > 0 {
		t.Errorf("%d differences without an explanation", unexplained)
	}
}

var rebuild = regexp.MustCompile(`^(.*)~deb[0-9]+u[0-9]+$`)

// rebuildOf returns what a Debian package was made from again for a release.
func rebuildOf(item independent.Item) (base independent.Item, ok bool) {
	m := rebuild.FindStringSubmatch(item.Version)
	if m == nil || familyOf(item.Ecosystem) != "Debian" {
		return base, false
	}
	base = item
	base.Version = m[1]
	return base, true
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
