package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/engine/enginetest"
	"plimsoll/layerfs"
)

// dataRoot is a data root made by hand, as Docker lays it out.
type dataRoot struct {
	testing.TB
	dir, driver string
}

func newRoot(t testing.TB, dir string) dataRoot {
	return dataRoot{t, dir, "overlay2"}
}

func (r dataRoot) write(name, content string) {
	r.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.Fatal(err)
	}
}

func (r dataRoot) record(name, content string) {
	r.Helper()
	r.write(filepath.Join("image", r.driver, name), content)
}

// image adds an image of the given layers; each holds one file of its name.
func (r dataRoot) image(layers ...string) plimsoll.Digest {
	r.Helper()
	var diffIDs []plimsoll.Digest
	for _, l := range layers {
		diffIDs = append(diffIDs, plimsoll.DigestOf([]byte(l)))
	}
	for i, chain := range plimsoll.ChainIDs(diffIDs) {
		cacheID := plimsoll.DigestOf([]byte("cache" + chain)).Hex()
		db := "layerdb/sha256/" + chain.Hex() + "/"
		r.record(db+"cache-id", cacheID)
		r.record(db+"size", fmt.Sprint(100*(i+1)))
		sub := drivers[r.driver]
		r.write(filepath.Join(r.driver, cacheID, sub, layers[i]), "content of "+layers[i])
		if r.driver == "overlay" { // a full tree
			for _, lower := range layers[:i] {
				parent := plimsoll.DigestOf([]byte("cache" + plimsoll.ChainIDs(diffIDs)[i-1])).Hex()
				os.Link(filepath.Join(r.dir, "overlay", parent, sub, lower), filepath.Join(r.dir, "overlay", cacheID, sub, lower))
			}
		}
	}
	config, _ := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	id := plimsoll.DigestOf(config)
	r.record("imagedb/content/sha256/"+id.Hex(), string(config))
	return id
}

// names names images: reference, ID, reference, ID …
func (r dataRoot) names(pairs ...string) {
	r.Helper()
	repos := map[string]map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		repos[pairs[i]+" repo"] = map[string]string{pairs[i]: pairs[i+1]}
	}
	b, _ := json.Marshal(map[string]any{"Repositories": repos})
	r.record("repositories.json", string(b))
}

// open returns the only store of the root.
func (r dataRoot) open() *Store {
	r.Helper()
	stores, problems := Discover(context.Background(), Options{Roots: []string{r.dir}})
	if len(stores) != 1 || len(problems) != 0 {
		r.Fatalf("got %d stores and %+v, want one store", len(stores), problems)
	}
	r.Cleanup(func() { stores[0].Close() })
	return stores[0]
}

func images(t testing.TB, s *Store) []plimsoll.Image {
	t.Helper()
	list, problems, err := s.Images(context.Background())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return list
}

func TestIMG01LayersFromDiskBottomFirst(t *testing.T) {
	// A path with a space, as DockerRootDir may be.
	r := newRoot(t, filepath.Join(t.TempDir(), "data root"))
	one := r.image("base")
	two := r.image("base", "top")
	r.names("base:1", string(one), "top:1", string(two))
	s := r.open()
	if want := "docker " + r.dir; s.Name() != want {
		t.Errorf("the store is named %q, want %q", s.Name(), want)
	}
	list := images(t, s)
	if len(list) != 2 || list[0].ID > list[1].ID {
		t.Fatalf("got %+v, want two images, sorted by ID", list)
	}
	for _, img := range list {
		if img.ID != two {
			continue
		}
		if img.Engine != plimsoll.Docker || img.Store != r.dir || img.Size != 300 || img.Layers[1].Size != 200 || img.Problem != nil {
			t.Errorf("got %+v", img)
		}
		if diff := cmp.Diff([]string{"content of base", ""}, enginetest.Contents(t, s, img, "base")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"", "content of top"}, enginetest.Contents(t, s, img, "top")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestIMG02LegacyOverlay(t *testing.T) {
	r := newRoot(t, t.TempDir())
	r.driver = "overlay"
	r.image("base", "top")
	s := r.open()
	if !strings.HasSuffix(s.Name(), " (overlay)") {
		t.Errorf("the store is named %q", s.Name())
	}
	img := images(t, s)[0]
	if img.Problem != nil {
		t.Fatal(img.Problem)
	}
	layers, err := s.Layers(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, l := range layers {
		index, _, err := l.Scan(context.Background(), ignore{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		index.Walk(func(e layerfs.Entry) error {
			if e.Kind == layerfs.KindFile {
				names = append(names, e.Path)
			}
			return nil
		})
		got = append(got, names)
	}
	if diff := cmp.Diff([][]string{{"base"}, {"top"}}, got); diff != "" {
		t.Errorf("a file of the layer below is not this layer's: %s", diff)
	}
}

type ignore struct{}

func (ignore) Wants(string) layerfs.Want                            { return layerfs.No }
func (ignore) Visit(context.Context, string, *layerfs.File, string) {}

func TestIMG03NamesOfAllKinds(t *testing.T) {
	r := newRoot(t, t.TempDir())
	id := r.image("a")
	none := r.image("b")
	digest := plimsoll.DigestOf([]byte("manifest"))
	r.names("my--app/x--y:1", string(id), "Host.Example:5000/a/b:2", string(id), "localhost:5000/z:latest", string(id),
		"debian@"+string(digest), string(id), "gone:1", string(digest))
	for _, img := range images(t, r.open()) {
		var names []string
		var manifests []plimsoll.Digest
		if img.ID == id {
			names = []string{"Host.Example:5000/a/b:2", "localhost:5000/z:latest", "my--app/x--y:1"}
			manifests = []plimsoll.Digest{digest}
		} else if img.ID != none {
			t.Fatalf("unexpected image %s", img.ID)
		}
		if diff := cmp.Diff(names, img.Names); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(manifests, img.Manifests); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBuildStepsAreNotImages(t *testing.T) {
	r := newRoot(t, t.TempDir())
	step, used, named, final := r.image("a"), r.image("a", "b"), r.image("a", "b", "c"), r.image("a", "b", "c", "d")
	for child, parent := range map[plimsoll.Digest]plimsoll.Digest{used: step, named: used, final: named} {
		r.record("imagedb/metadata/sha256/"+child.Hex()+"/parent", string(parent))
	}
	r.names("n:1", string(named))
	r.container(strings.Repeat("c", 64), used, `{"Running":true,"StartedAt":"2024-01-01T00:00:00Z"}`)
	got := map[plimsoll.Digest]bool{}
	for _, img := range images(t, r.open()) {
		got[img.ID] = true
	}
	want := map[plimsoll.Digest]bool{used: true, named: true, final: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func (r dataRoot) container(id string, image plimsoll.Digest, state string) {
	r.Helper()
	r.write("containers/"+id+"/config.v2.json", fmt.Sprintf(
		`{"ID":%q,"Name":"/web","Driver":%q,"Image":%q,"State":%s,"Config":{"Env":["SECRET=1"],"Labels":{"io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.name":"web-1"}}}`,
		id, r.driver, image, state))
}

func TestContainers(t *testing.T) {
	const started = `"StartedAt":"2024-01-01T00:00:00Z"`
	for state, want := range map[string]string{
		`{"Running":true,` + started + `}`:                                  "running",
		`{"Running":true,"Paused":true,` + started + `}`:                    "paused",
		`{"Running":true,"Restarting":true,` + started + `}`:                "restarting",
		`{"Running":false,"StartedAt":"0001-01-01T00:00:00Z"}`:              "created",
		`{"Running":false,` + started + `}`:                                 "exited",
		`{"Dead":true,` + started + `}`:                                     "dead",
		`{"RemovalInProgress":true,"StartedAt":"2024-01-01T00:00:00.123Z"}`: "removing",
	} {
		r := newRoot(t, t.TempDir())
		image := r.image("a")
		id := strings.Repeat("c", 64)
		r.container(id, image, state)
		r.write("containers/not-an-id/config.v2.json", "{")
		wantList := []plimsoll.Container{{ID: id, Name: "web", State: want, Pod: "shop/web-1"}}
		if diff := cmp.Diff(wantList, images(t, r.open())[0].Containers); diff != "" {
			t.Error(diff)
		}
	}
}

func TestHostileStoreIsAProblemOfOneImage(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(r dataRoot, id plimsoll.Digest, layer string)
		want   plimsoll.ProblemCode
	}{
		"configuration is cut off": {func(r dataRoot, id plimsoll.Digest, _ string) {
			r.record("imagedb/content/sha256/"+id.Hex(), `{"rootfs`)
		}, plimsoll.ProblemCorruptStore},
		"configuration of another image": {func(r dataRoot, id plimsoll.Digest, _ string) {
			r.record("imagedb/content/sha256/"+id.Hex(), `{"rootfs":{"type":"layers"}}`)
		}, plimsoll.ProblemCorruptStore},
		"configuration is huge": {func(r dataRoot, id plimsoll.Digest, _ string) {
			os.Truncate(filepath.Join(r.dir, "image/overlay2/imagedb/content/sha256", id.Hex()), 1<<40)
		}, plimsoll.ProblemLimit},
		"cache ID leads out": {func(r dataRoot, _ plimsoll.Digest, layer string) {
			r.record("layerdb/sha256/"+layer+"/cache-id", "../../../../etc")
		}, plimsoll.ProblemCorruptStore},
		"cache ID is huge": {func(r dataRoot, _ plimsoll.Digest, layer string) {
			r.record("layerdb/sha256/"+layer+"/cache-id", strings.Repeat("a", 1000))
		}, plimsoll.ProblemLimit},
		"layer record is missing": {func(r dataRoot, _ plimsoll.Digest, layer string) {
			os.RemoveAll(filepath.Join(r.dir, "image/overlay2/layerdb/sha256", layer))
		}, plimsoll.ProblemLayerMissing},
		"layer directory is missing": {func(r dataRoot, _ plimsoll.Digest, layer string) {
			os.RemoveAll(r.layerDir(layer))
		}, plimsoll.ProblemLayerMissing},
		"layer directory is a link": {func(r dataRoot, _ plimsoll.Digest, layer string) {
			os.RemoveAll(r.layerDir(layer))
			os.Symlink("/", r.layerDir(layer))
		}, plimsoll.ProblemCorruptStore},
		"layer directory is behind a link": {func(r dataRoot, _ plimsoll.Digest, layer string) {
			os.RemoveAll(filepath.Dir(r.layerDir(layer)))
			os.Symlink("/", filepath.Dir(r.layerDir(layer)))
		}, plimsoll.ProblemCorruptStore},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoot(t, t.TempDir())
			bad, good := r.image("bad"), r.image("good")
			r.names("bad:1", string(bad), "good:1", string(good))
			test.damage(r, bad, plimsoll.DigestOf([]byte("bad")).Hex())
			for _, img := range images(t, r.open()) {
				switch {
				case img.ID == good && img.Problem != nil:
					t.Errorf("the good image has %+v", img.Problem)
				case img.ID == bad && (img.Problem == nil || img.Problem.Code != test.want || img.Problem.Detail == ""):
					t.Errorf("the bad image has %+v, want %s", img.Problem, test.want)
				case img.ID == bad && img.Names[0] != "bad:1":
					t.Errorf("the bad image is named %q", img.Names)
				}
			}
		})
	}
}

// layerDir returns the directory of the lowest layer with the diff ID.
func (r dataRoot) layerDir(diffID string) string {
	return filepath.Join(r.dir, r.driver, plimsoll.DigestOf([]byte("cache"+"sha256:"+diffID)).Hex(), drivers[r.driver])
}

func TestBrokenNamesLeaveImages(t *testing.T) {
	r := newRoot(t, t.TempDir())
	r.image("a")
	r.record("repositories.json", `{"Repositories":{"a":`)
	list, problems, err := r.open().Images(context.Background())
	if err != nil || len(list) != 1 || list[0].Problem != nil {
		t.Errorf("got %+v, %v, want the image", list, err)
	}
	if len(problems) != 1 || problems[0].Code != plimsoll.ProblemCorruptStore {
		t.Errorf("got %+v, want that names are unknown", problems)
	}
}

func TestIMG23ImageRemovedWhileRead(t *testing.T) {
	r := newRoot(t, t.TempDir())
	id := r.image("a", "b")
	s := r.open()
	img := images(t, s)[0]
	os.RemoveAll(filepath.Join(r.dir, "overlay2"))
	_, err := s.Layers(context.Background(), img)
	var f *engine.Fault
	if !errors.As(err, &f) || f.Problem != plimsoll.ProblemLayerMissing {
		t.Errorf("layers removed: got %v", err)
	}
	os.Remove(filepath.Join(r.dir, "image/overlay2/imagedb/content/sha256", id.Hex()))
	_, err = s.Layers(context.Background(), img)
	if !errors.As(err, &f) || f.Problem != plimsoll.ProblemImageGone {
		t.Errorf("image removed: got %v", err)
	}
}

func TestIMG06ManyLayers(t *testing.T) {
	var layers []string
	for i := range 127 {
		layers = append(layers, fmt.Sprint("layer", i))
	}
	r := newRoot(t, t.TempDir())
	r.image(layers...)
	s := r.open()
	found := enginetest.Contents(t, s, images(t, s)[0], "layer126")
	if found[126] != "content of layer126" || found[125] != "" {
		t.Errorf("got %q", found)
	}
}

func TestOpaquesComeFromTheTarSplit(t *testing.T) {
	r := newRoot(t, t.TempDir())
	r.image("a")
	chain := plimsoll.DigestOf([]byte("a"))
	r.record("layerdb/sha256/"+chain.Hex()+"/tar-split.json.gz", "members")
	got, err := r.open().tarSplit(chain)
	if err != nil {
		t.Fatal(err)
	}
	defer got.File.Close()
	if b, err := io.ReadAll(got.File); string(b) != "members" || got.Tar || err != nil {
		t.Errorf("got %q, %+v, %v", b, got, err)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(`{"Repositories":{"a":{"a:1":"sha256:"}}}`, `{"Name":"/x","State":{},"Config":{}}`, "abc", "12")
	f.Fuzz(func(t *testing.T, names, container, cacheID, size string) {
		r := newRoot(t, t.TempDir())
		id := r.image("a")
		r.record("repositories.json", names)
		r.write("containers/"+id.Hex()+"/config.v2.json", container)
		db := "layerdb/sha256/" + plimsoll.DigestOf([]byte("a")).Hex()
		r.record(db+"/cache-id", cacheID)
		r.record(db+"/size", size)
		list, _, err := r.open().Images(context.Background())
		if err != nil || len(list) != 1 || list[0].Size < 0 {
			t.Errorf("got %+v, %v", list, err)
		}
	})
}
