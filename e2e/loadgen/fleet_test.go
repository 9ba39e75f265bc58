package loadgen

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/match"
	"plimsoll/vulndb"
)

// built are the generations, each compiled once for all tests.
var built = map[int]func() ([]byte, error){
	First:  sync.OnceValues(func() ([]byte, error) { return build(First) }),
	Second: sync.OnceValues(func() ([]byte, error) { return build(Second) }),
}

func build(generation int) ([]byte, error) {
	dir, err := os.MkdirTemp("", "loadgen-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "generation")
	if _, err := Compile(context.Background(), path, generation); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func compiled(t *testing.T, generation int) *vulndb.DB {
	t.Helper()
	content, err := built[generation]()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "generation")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := vulndb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// TestFleetHasWhatItSays compares what the generator promises with what the
// matcher finds, by both generations.
func TestFleetHasWhatItSays(t *testing.T) {
	t.Parallel()
	f := Fleet{Small}
	for _, generation := range []int{First, Second} {
		db := compiled(t, generation)
		total, packages := 0, 0
		for i := range f.Distinct {
			inv := f.Inventory(i)
			e, err := match.Evaluate(context.Background(), db, *inv, match.Options{Now: db.Generation().Built})
			if err != nil {
				t.Fatal(err)
			}
			if want := f.Expected(i, generation); len(e.Findings) != want || want == 0 {
				t.Errorf("generation %d, image %d has %d findings, want %d", generation, i, len(e.Findings), want)
			}
			for _, p := range e.Problems {
				t.Errorf("image %d: %+v", i, p)
			}
			total, packages = total+len(e.Findings), packages+len(inv.Packages)
		}
		mean := total / f.Distinct
		t.Logf("generation %d: %d records, %d findings and %d packages in an image", generation, db.Generation().Advisories, mean, packages/f.Distinct)
		if mean < 300 || mean > 500 {
			t.Errorf("an image has %d findings, want about 400", mean)
		}
	}
}

func TestEveryImageIsSomewhere(t *testing.T) {
	for _, size := range []Size{Small, Large} {
		f := Fleet{size}
		hosts := make(map[int]int)
		for h := range f.Hosts {
			images := f.Images(h)
			if len(images) != f.PerHost {
				t.Fatalf("host %d has %d images", h, len(images))
			}
			for _, i := range images {
				hosts[i]++
			}
		}
		if len(hosts) != f.Distinct {
			t.Errorf("%d of %d images are on a host", len(hosts), f.Distinct)
		}
	}
}

func TestFleetIsTheSameAgain(t *testing.T) {
	f, other := Fleet{Small}, Fleet{Size{Hosts: 10, PerHost: 5, Distinct: 20, Seed: 2}}
	if a := f.Image(3, 3); !cmp.Equal(a, f.Image(3, 3)) || cmp.Equal(a, other.Image(3, 3)) {
		t.Error("an image is not a function of size and seed")
	}
	own := layer{"own", 3}
	if a := f.tar(own); !bytes.Equal(a, f.tar(own)) || bytes.Equal(a, other.tar(own)) {
		t.Error("a layer is not a function of size and seed")
	}
	shared := make(map[layer]int)
	for i := range f.Distinct {
		shared[f.layers(i)[0]]++
	}
	if len(shared) < 2 || len(shared) > f.Distinct/2 {
		t.Errorf("%d base layers for %d images", len(shared), f.Distinct)
	}
}
