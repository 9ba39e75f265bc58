package inventory_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/inventory"
)

// claims is an analyser that takes a file's word for any number of packages:
// "deb 3" are three packages of the system, "pypi 3" three others.
type claims struct{ asked *int }

func (claims) Name() string { return "claims" }
func (claims) Version() int { return 1 }

func (claims) Wants(path string) inventory.Want {
	if strings.HasSuffix(path, ".claims") {
		return inventory.Yes
	}
	return inventory.No
}

func (c claims) Analyze(_ context.Context, f inventory.File) (facts inventory.Facts, err error) {
	if c.asked != nil {
		*c.asked++
	}
	b := make([]byte, min(f.Size, 100))
	if _, err := f.ReadAt(b, 0); err != nil {
		return facts, err
	}
	var typ plimsoll.PackageType
	count := 0
	if _, err := fmt.Sscan(string(b), &typ, &count); err != nil {
		return facts, plimsoll.Errorf(plimsoll.CodeCorrupt, "read claims", "%w", err)
	}
	for i := range count {
		facts.Packages = append(facts.Packages, plimsoll.Package{Type: typ, Name: fmt.Sprint("p", i), Version: "1", Path: f.Path + fmt.Sprint("!/", i)})
	}
	return facts, nil
}

func TestPackagesOfTheSystemAreNotPushedOut(t *testing.T) {
	img := newImage(t, []entry{{"a.claims", "npm 250001"}, {"z.claims", "deb 7"}})
	inv := scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{claims{}}}, img)
	system := 0
	for _, p := range inv.Packages {
		if p.Type.System() {
			system++
		}
	}
	if len(inv.Packages) != 250_000 || system != 7 || len(inv.Problems) != 1 || inv.Problems[0].Code != plimsoll.ProblemLimit {
		t.Errorf("got %d packages, %d of the system, %+v", len(inv.Packages), system, inv.Problems)
	}
}

func TestIMG18ManyPackagesUnderFurtherNamesTakeNoTime(t *testing.T) {
	img := newImage(t, []entry{{"a.claims", "npm 100000"}, {"b.claims=>a.claims", ""}, {"c.claims=>a.claims", ""}})
	begin := time.Now()
	inv := scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{claims{}}}, img)
	if took := time.Since(begin); took > 20*time.Second { // comparing all with all takes minutes
		t.Errorf("took %s", took)
	}
	if len(inv.Packages) != 100_000 {
		t.Fatalf("got %d packages", len(inv.Packages))
	}
	for _, p := range inv.Packages {
		number := strings.TrimPrefix(p.Path, "a.claims")
		if len(p.Locations) != 2 || p.Locations[0] != "b.claims"+number || p.Locations[1] != "c.claims"+number {
			t.Fatalf("got %+v", p)
		}
	}
}

func TestIMG17LinksDoNotMultiplyWork(t *testing.T) {
	asked := 0
	entries := []entry{{"large", "npm 1 " + strings.Repeat(" ", 64<<20)}}
	for i := range 100 {
		entries = append(entries, entry{fmt.Sprintf("%03d.claims->/large", i), ""})
	}
	img := newImage(t, entries)
	inv := scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{claims{&asked}}}, img)
	if asked != 16 || len(inv.Problems) != 1 || inv.Problems[0].Path != "016.claims" || inv.Complete() {
		t.Errorf("%d links were followed, %+v", asked, inv.Problems)
	}
}

func TestProblemsOfOneKindAreCounted(t *testing.T) {
	var entries []entry
	for i := range 1500 {
		entries = append(entries, entry{fmt.Sprintf("%04d.claims", i), "broken"})
	}
	inv := scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{claims{}}}, newImage(t, entries))
	if n := len(inv.Problems); n != 1001 || inv.Problems[n-1].Count != 500 || inv.Problems[0].Path != "0000.claims" {
		t.Errorf("got %d problems", n)
	}
}

func TestIMG19SpecialFileUnderAWantedNameIsTold(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "a.claims", Typeflag: tar.TypeFifo}, {Name: "b.claims", Typeflag: tar.TypeSymlink, Linkname: "/dev/full"},
		{Name: "dev/full", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 7}, {Name: "c.claims", Typeflag: tar.TypeFifo},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	img := newImage(t, nil, []entry{{"c.claims", "npm 1"}}) // the upper layer hides one of them
	img.tars[0] = b.Bytes()
	inv := scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{claims{}}}, img)
	var paths []string
	for _, p := range inv.Problems {
		paths = append(paths, string(p.Code)+" "+p.Path)
	}
	check(t, paths, []string{"unreadable-file a.claims", "unreadable-file b.claims"})
}

// Facts in the file of another layer, or an inventory in that of another image,
// are not those that were asked for.
func TestCachedValueOfAnotherIsAMiss(t *testing.T) {
	one, two := newImage(t, []entry{{"a.pkgs", "honest 1\n"}}), newImage(t, []entry{{"a.pkgs", "forged 1\n"}})
	cache := &memoryCache{values: map[string][]byte{}}
	s := &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}}, Cache: cache}
	want := scan(t, s, one)
	honest := maps.Clone(cache.values)
	scan(t, s, two)
	for to := range honest {
		kind, _, _ := strings.Cut(to, "/")
		for from, value := range cache.values {
			if _, own := honest[from]; !own && strings.HasPrefix(from, kind+"/") {
				cache.values[to] = value
			}
		}
	}
	check(t, scan(t, s, one), want)
	if one.scans.Load() != 2 {
		t.Errorf("the layer was read %d times, want 2", one.scans.Load())
	}
}

// A store that a user of the host writes can put any files under the diff ID of
// a layer that other stores have, too.
func TestFactsOfOneStoreAreNotThoseOfAnother(t *testing.T) {
	honest, forged := newImage(t, []entry{{"a.pkgs", "honest 1\n"}}), newImage(t, []entry{{"a.pkgs", "forged 1\n"}})
	forged.Image = honest.Image
	honest.Engine, honest.Store = plimsoll.Docker, "/var/lib/docker"
	forged.Engine, forged.Store = plimsoll.Docker, "/home/user/.local/share/docker"
	s := &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}}, Cache: &memoryCache{values: map[string][]byte{}}}
	scan(t, s, forged)
	check(t, packages(honest, scan(t, s, honest)), []found{{Name: "honest", Version: "1", Path: "a.pkgs"}})
}

func TestPackagesOfAllLayersAreBounded(t *testing.T) {
	var layers [][]entry
	for i := range 3 {
		layers = append(layers, []entry{{"a.claims", fmt.Sprint("deb ", 200_000+i)}})
	}
	s := &inventory.Scanner{Analyzers: []inventory.Analyzer{claims{}}, Workers: 2}
	img := newImage(t, layers...)
	if _, err := s.Scan(t.Context(), img.Image, img.open); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("got %v", err)
	}
}
