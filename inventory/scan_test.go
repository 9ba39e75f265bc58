package inventory_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// lines is an analyser of a format made for these tests: each line of a *.pkgs
// file is "name version", *.owns files list what the package of their name owns,
// and os-release gives the system.
type lines struct{ panics bool }

func (lines) Name() string { return "lines" }
func (lines) Version() int { return 1 }

func (lines) Wants(path string) inventory.Want {
	for _, suffix := range []string{".pkgs", ".owns", ".py", ".claims", "os-release"} {
		if strings.HasSuffix(path, suffix) {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (l lines) Analyze(_ context.Context, f inventory.File) (facts inventory.Facts, err error) {
	scan := bufio.NewScanner(f.Reader(1 << 10))
	for scan.Scan() {
		name, version, _ := strings.Cut(scan.Text(), " ")
		switch {
		case l.panics && name == "panic":
			panic("hostile")
		case strings.HasSuffix(f.Path, "os-release"):
			facts.System = &plimsoll.OS{ID: name, VersionID: version, Path: f.Path, Root: strings.TrimSuffix(strings.TrimSuffix(f.Path, "etc/os-release"), "/")}
		case strings.HasSuffix(f.Path, ".owns"):
			facts.Owns = append(facts.Owns, inventory.Ownership{Package: name, Paths: []string{version}})
		case strings.HasSuffix(f.Path, ".claims"):
			facts.Packages = append(facts.Packages, plimsoll.Package{Type: plimsoll.TypePyPI, Name: name, Version: version, Path: f.Path, Evidence: plimsoll.EvidenceSBOM})
		case strings.HasSuffix(f.Path, ".py"):
			facts.Packages = append(facts.Packages, plimsoll.Package{Type: plimsoll.TypePyPI, Name: name, Version: version, Evidence: plimsoll.EvidenceMetadata})
		default:
			facts.Packages = append(facts.Packages, plimsoll.Package{Type: plimsoll.TypeDeb, Name: name, Version: version, Evidence: plimsoll.EvidencePackageDB})
		}
	}
	return facts, scan.Err()
}

// entry is one member of a layer's tar; a name that ends in "->x" is a symbolic
// link, in "=>x" a hard link.
type entry struct{ name, text string }

func layerTar(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.text)), Typeflag: tar.TypeReg}
		if name, target, ok := strings.Cut(e.name, "->"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeSymlink
		} else if name, target, ok := strings.Cut(e.name, "=>"); ok {
			h.Name, h.Linkname, h.Typeflag = name, target, tar.TypeLink
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testImage is an image made of tars.
type testImage struct {
	plimsoll.Image
	tars  [][]byte
	scans atomic.Int32 // layers that were really read
}

func newImage(t *testing.T, layers ...[]entry) *testImage {
	t.Helper()
	img := &testImage{}
	var diffs []plimsoll.Digest
	for _, entries := range layers {
		content := layerTar(t, entries...)
		img.tars = append(img.tars, content)
		diffs = append(diffs, plimsoll.DigestOf(content))
	}
	img.Layers = plimsoll.NewLayers(diffs, nil)
	img.ID = plimsoll.DigestOf(fmt.Append(nil, diffs))
	return img
}

func (img *testImage) open() ([]layerfs.Layer, error) {
	var layers []layerfs.Layer
	for _, content := range img.tars {
		layers = append(layers, countingLayer{layerfs.TarAt(bytes.NewReader(content), int64(len(content)), layerfs.TarOptions{}), &img.scans})
	}
	return layers, nil
}

type countingLayer struct {
	layerfs.Layer
	scans *atomic.Int32
}

func (l countingLayer) Scan(ctx context.Context, v layerfs.Visitor) (*layerfs.Index, []plimsoll.Problem, error) {
	l.scans.Add(1)
	return l.Layer.Scan(ctx, v)
}

func scan(t *testing.T, s *inventory.Scanner, img *testImage) plimsoll.Inventory {
	t.Helper()
	if s == nil {
		s = &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}}}
	}
	inv, err := s.Scan(t.Context(), img.Image, img.open)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// found is what the tests look at of a package: layer is its number from the bottom.
type found struct {
	Name, Version, Path string
	Layer               int
	Owner               string
	Locations           []string
}

func packages(img *testImage, inv plimsoll.Inventory) []found {
	var out []found
	for _, p := range inv.Packages {
		f := found{Name: p.Name, Version: p.Version, Path: p.Path, Layer: -1, Owner: p.Owner, Locations: p.Locations}
		for i, l := range img.Layers {
			if l.DiffID == p.Layer {
				f.Layer = i
				break
			}
		}
		out = append(out, f)
	}
	return out
}

func check(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A package belongs to the lowest layer since which it has been there, though
// every later layer that touches the database holds it too.
func TestIMG15DatabaseRewrittenInALaterLayer(t *testing.T) {
	img := newImage(t,
		[]entry{{"db.pkgs", "a 1\nb 1\nc 1\n"}},
		[]entry{{"other", ""}},
		[]entry{{"db.pkgs", "a 1\nb 2\n"}},
		[]entry{{"db.pkgs", "a 1\nb 2\nd 1\n"}},
	)
	check(t, packages(img, scan(t, nil, img)), []found{
		{Name: "a", Version: "1", Path: "db.pkgs", Layer: 0},
		{Name: "b", Version: "2", Path: "db.pkgs", Layer: 2},
		{Name: "d", Version: "1", Path: "db.pkgs", Layer: 3},
	})
}

func TestIMG14WhiteoutsOfLowerLayersHideNothingAbove(t *testing.T) {
	img := newImage(t,
		[]entry{{"opt/x.pkgs", "x 1\n"}, {"gone/y.pkgs", "y 1\n"}},
		[]entry{{"opt/.wh.x.pkgs", ""}, {".wh.gone", ""}},
		[]entry{{"opt/x.pkgs", "x 2\n"}},
	)
	check(t, packages(img, scan(t, nil, img)), []found{{Name: "x", Version: "2", Path: "opt/x.pkgs", Layer: 2}})
}

func TestIMG18HardLinksCountOnce(t *testing.T) {
	img := newImage(t, []entry{{"bin/a.pkgs", "tool 1\n"}, {"bin/b.pkgs=>bin/a.pkgs", ""}})
	check(t, packages(img, scan(t, nil, img)), []found{
		{Name: "tool", Version: "1", Path: "bin/a.pkgs", Locations: []string{"bin/b.pkgs"}},
	})
	// When a later layer removes the first name, the second one stands for itself.
	img = newImage(t, []entry{{"bin/a.pkgs", "tool 1\n"}, {"bin/b.pkgs=>bin/a.pkgs", ""}}, []entry{{"bin/.wh.a.pkgs", ""}})
	check(t, packages(img, scan(t, nil, img)), []found{{Name: "tool", Version: "1", Path: "bin/b.pkgs"}})
}

// other wants what lines does not want: the second name of a file may mean
// something to an analyser to which the first means nothing.
type other struct{ lines }

func (other) Name() string { return "other" }

func (other) Wants(path string) inventory.Want {
	if strings.HasSuffix(path, ".other") {
		return inventory.Yes
	}
	return inventory.No
}

func TestIMG18EachNameIsOfferedToThoseThatWantIt(t *testing.T) {
	img := newImage(t, []entry{{"a.pkgs", "x 1\n"}, {"b.other=>a.pkgs", ""}})
	inv := scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}, other{}}}, img)
	check(t, packages(img, inv), []found{{Name: "x", Version: "1", Path: "a.pkgs"}, {Name: "x", Version: "1", Path: "b.other"}})
}

// Of a stream the walk may meet the names of a file in any order.
func TestIMG27HardLinksOfAStreamAreThoseOfADirectory(t *testing.T) {
	img := newImage(t, []entry{{"z.pkgs", "x 1\n"}, {"a.pkgs=>z.pkgs", ""}, {"m.pkgs=>z.pkgs", ""}})
	want := packages(img, scan(t, nil, img))
	content := img.tars[0]
	inv, err := (&inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}}}).Scan(t.Context(), img.Image, func() ([]layerfs.Layer, error) {
		return []layerfs.Layer{layerfs.Tar(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, layerfs.TarOptions{})}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, packages(img, inv), want)
	check(t, want, []found{{Name: "x", Version: "1", Path: "a.pkgs", Locations: []string{"m.pkgs", "z.pkgs"}}})
}

func TestOS01LinkToAnotherLayerIsFollowedInsideTheImage(t *testing.T) {
	img := newImage(t,
		[]entry{{"store/abc/release", "nixos 24.05\n"}},
		[]entry{{"etc/os-release->/store/abc/release", ""}},
	)
	inv := scan(t, nil, img)
	check(t, inv.Systems, []plimsoll.OS{{ID: "nixos", VersionID: "24.05", Path: "etc/os-release"}})
	// A link that leads nowhere proves nothing and aborts nothing (IMG-17).
	img = newImage(t, []entry{{"etc/os-release->../../../nowhere", ""}, {"a.pkgs", "a 1\n"}})
	if inv := scan(t, nil, img); len(inv.Systems) != 0 || len(inv.Packages) != 1 {
		t.Errorf("got %+v", inv)
	}
}

// identity is lines under the name of the analyser of identities.
type identity struct{ lines }

func (identity) Name() string { return "os-release" }

// An image whose identity is a link that leads nowhere is not a clean one.
func TestIMG17DanglingLinkIsTold(t *testing.T) {
	dangling := entry{"etc/os-release->../usr/lib/os-release", ""}
	s := &inventory.Scanner{Analyzers: []inventory.Analyzer{identity{}}}
	for name, test := range map[string]struct {
		entries []entry
		want    int
	}{
		"alone":                {[]entry{dangling}, 1},
		"looping":              {[]entry{{"etc/os-release->os-release", ""}}, 1},
		"beside a six":         {[]entry{dangling, {"six.py", "six 1\n"}}, 1},
		"replaced":             {[]entry{{"etc/os-release->nowhere", ""}, {"etc/os-release", "nixos 24.05\n"}, {"a.pkgs", "a 1\n"}}, 0},
		"a fallback beside it": {[]entry{dangling, {"usr/os-release", "nixos 24.05\n"}, {"a.pkgs", "a 1\n"}}, 0},
		"beside a database":    {[]entry{dangling, {"a.pkgs", "a 1\n"}}, 0},
	} {
		inv := scan(t, s, newImage(t, test.entries))
		told := 0
		for _, p := range inv.Problems {
			if p.Code == plimsoll.ProblemUnreadableFile && p.Path == "etc/os-release" {
				told++
			}
		}
		if told != test.want || test.want > 0 && inv.Complete() {
			t.Errorf("%s: got %+v", name, inv.Problems)
		}
	}
}

func TestRPM02SystemWithoutPackagesIsNotClean(t *testing.T) {
	img := newImage(t, []entry{{"etc/os-release", "debian 12\n"}})
	inv := scan(t, nil, img)
	if len(inv.Problems) != 1 || inv.Problems[0].Code != plimsoll.ProblemNoPackages || inv.Complete() {
		t.Errorf("got %+v, complete %v", inv.Problems, inv.Complete())
	}
}

func TestDEB05OwnershipKnowsMergedUsr(t *testing.T) {
	img := newImage(t,
		[]entry{{"db.pkgs", "python3-six 1.16\n"}, {"six.owns", "python3-six lib/python3/six.py\n"}},
		[]entry{{"usr/lib/python3/six.py", "six 1.16.0\n"}, {"opt/six.py", "six 1.15.0\n"}},
	)
	check(t, packages(img, scan(t, nil, img)), []found{
		{Name: "python3-six", Version: "1.16", Path: "db.pkgs"},
		{Name: "six", Version: "1.15.0", Path: "opt/six.py", Layer: 1},
		{Name: "six", Version: "1.16.0", Path: "usr/lib/python3/six.py", Layer: 1, Owner: "python3-six"},
	})
}

func TestPanicIsAProblemOfItsFile(t *testing.T) {
	img := newImage(t, []entry{{"bad.pkgs", "a 1\npanic now\n"}, {"good.pkgs", "b 1\n"}})
	inv := scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{panics: true}}}, img)
	if len(inv.Problems) != 1 || inv.Problems[0].Code != plimsoll.ProblemPanic || inv.Problems[0].Path != "bad.pkgs" {
		t.Errorf("got %+v", inv.Problems)
	}
	if len(inv.Packages) != 1 || inv.Packages[0].Name != "b" {
		t.Errorf("got %+v", inv.Packages)
	}
}

func TestFilePastItsLimitIsAProblem(t *testing.T) {
	for size, want := range map[int]int{1 << 10: 0, 1<<10 + 1: 1} {
		img := newImage(t, []entry{{"big.pkgs", strings.Repeat("x", size)}})
		if inv := scan(t, nil, img); len(inv.Problems) != want || want > 0 && inv.Problems[0].Code != plimsoll.ProblemLimit {
			t.Errorf("%d bytes: got %+v", size, inv.Problems)
		}
	}
}

func TestPY02EggInfoBesideDistInfoIsOnePackage(t *testing.T) {
	img := newImage(t, []entry{{"site/six-1.dist-info/METADATA.py", ""}, {"site/Foo_bar.egg-info.py", "Foo_bar 1.0\n"}, {"site/foo.bar-1.0.dist-info.py", "foo.bar 1.0\n"}, {"other/foo.py", "foo-bar 1.0\n"}})
	inv := scan(t, nil, img)
	if len(inv.Packages) != 2 {
		t.Errorf("got %+v", packages(img, inv))
	}
}

// A claim of an SBOM counts where nothing better is known, once, in whichever
// letters it is written.
func TestSBOMClaimsAreReconciled(t *testing.T) {
	img := newImage(t, []entry{{"site/foo_bar-1.0.dist-info.py", "Foo_bar 1.0\n"}, {"a.claims", "foo.bar 1.0\nOnly.Claimed 2\n"}, {"b.claims", "only-claimed 2\n"}})
	check(t, packages(img, scan(t, nil, img)), []found{{Name: "Foo_bar", Version: "1.0", Path: "site/foo_bar-1.0.dist-info.py"}, {Name: "Only.Claimed", Version: "2", Path: "a.claims"}})
}

// memoryCache satisfies inventory.Cache.
type memoryCache struct {
	values map[string][]byte
	full   bool
}

func (c *memoryCache) Get(key string) ([]byte, bool) { v, ok := c.values[key]; return v, ok }
func (c *memoryCache) Put(key string, value []byte) error {
	if c.full {
		return errors.New("no space left on device")
	}
	c.values[key] = value
	return nil
}

func TestLayerIsReadOnceForAllImages(t *testing.T) {
	base := []entry{{"etc/os-release", "debian 12\n"}, {"db.pkgs", "a 1\n"}}
	cache := &memoryCache{values: map[string][]byte{}}
	s := &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}}, Cache: cache}
	first, second := newImage(t, base), newImage(t, base, []entry{{"app.pkgs", "b 1\n"}})
	scan(t, s, first)
	warm := scan(t, s, second)
	if first.scans.Load() != 1 || second.scans.Load() != 1 {
		t.Errorf("read %d and %d layers, want 1 and 1: the base only once", first.scans.Load(), second.scans.Load())
	}
	again := scan(t, s, second)
	if second.scans.Load() != 1 {
		t.Error("an unchanged image was read again")
	}
	check(t, again, warm)
	check(t, warm, func() plimsoll.Inventory { inv := scan(t, nil, second); return inv }())
}

// Facts of a layer have the same key on every host if the administrator vouches
// for the store, and else belong to the store alone.
func TestFactsOfVouchedStores(t *testing.T) {
	img := newImage(t, []entry{{"db.pkgs", "a 1\n"}})
	img.Engine, img.Store = plimsoll.Docker, "/var/lib/docker"
	for _, vouched := range []bool{true, false} {
		cache := &memoryCache{values: map[string][]byte{}}
		counted := map[bool]int{}
		s := &inventory.Scanner{
			Analyzers: []inventory.Analyzer{lines{}}, Cache: cache,
			Vouched: func(plimsoll.Image) bool { return vouched },
			Counted: func(_ plimsoll.Digest, cached bool) { counted[cached]++ },
		}
		scan(t, s, img)
		if _, shared := cache.values[s.SharedKey(img.Layers[0].DiffID)]; shared != vouched {
			t.Errorf("vouched %v: kept under the shared key: %v", vouched, shared)
		}
		other := newImage(t, []entry{{"db.pkgs", "a 1\n"}}, []entry{{"x.pkgs", "b 1\n"}})
		other.Engine, other.Store = plimsoll.Podman, "/home/u/storage"
		scan(t, s, other)
		want := map[bool]int{false: 3} // the layer of the other store is read anew
		if vouched {
			want = map[bool]int{false: 2, true: 1}
		}
		check(t, counted, want)
	}
}

func TestBrokenCacheCostsNoResult(t *testing.T) {
	img := newImage(t, []entry{{"db.pkgs", "a 1\n"}})
	want := scan(t, nil, img)
	cache := &memoryCache{values: map[string][]byte{}}
	s := &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}}, Cache: cache}
	scan(t, s, img)
	for key, value := range cache.values {
		for _, broken := range [][]byte{{}, []byte("garbage"), value[:len(value)/2]} {
			cache.values[key] = broken
			check(t, scan(t, s, img), want)
		}
	}
	var faults int
	s.Cache, s.CacheFault = &memoryCache{full: true}, func(error) { faults++ }
	check(t, scan(t, s, img), want)
	if faults == 0 {
		t.Error("a full cache was not told")
	}
}

func TestSameInventoryWithAnyNumberOfWorkers(t *testing.T) {
	var layers [][]entry
	for i := range 8 {
		layers = append(layers, []entry{{fmt.Sprintf("l%d.pkgs", i), fmt.Sprintf("p%d 1\nq 1\n", i)}, {"db.pkgs", strings.Repeat("a 1\n", i)}})
	}
	img := newImage(t, layers...)
	want := scan(t, nil, img)
	for _, workers := range []int{1, 3, 8} {
		check(t, scan(t, &inventory.Scanner{Analyzers: []inventory.Analyzer{lines{}}, Workers: workers}, img), want)
	}
}

func TestPURL(t *testing.T) {
	img := newImage(t, []entry{{"etc/os-release", "debian 12\n"}, {"db.pkgs", "libstdc++6 1:12.2-14+b1\n"}, {"x.py", "Foo_Bar 1.0\n"}})
	var got []string
	for _, p := range scan(t, nil, img).Packages {
		got = append(got, p.PURL)
	}
	check(t, got, []string{"pkg:deb/debian/libstdc%2B%2B6@1:12.2-14%2Bb1?distro=debian-12", "pkg:pypi/foo-bar@1.0"})
}

func TestIMG22StrayReleaseFileMakesNoSecondSystem(t *testing.T) {
	img := newImage(t, []entry{{"etc/os-release", "debian 12\n"}, {"db.pkgs", "a 1\n"}, {"srv/x/etc/os-release", "alpine 3.19\n"}})
	inv := scan(t, nil, img)
	if len(inv.Systems) != 1 || !inv.Complete() {
		t.Errorf("got %+v, %+v", inv.Systems, inv.Problems)
	}
}
