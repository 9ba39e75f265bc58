package podman

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/engine/enginetest"
)

// graphRootDir is a containers-storage made by hand.
type graphRootDir struct {
	testing.TB
	dir        string
	images     []map[string]any
	layers     []map[string]any
	containers []map[string]any
}

func newRoot(t testing.TB, dir string) *graphRootDir { return &graphRootDir{TB: t, dir: dir} }

func (r *graphRootDir) write(name string, content any) {
	r.Helper()
	b, ok := content.([]byte)
	if !ok {
		b, _ = json.Marshal(content)
	}
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		r.Fatal(err)
	}
}

func idOf(words ...any) string { return plimsoll.DigestOf(fmt.Append(nil, words...)).Hex() }

// layerID is the ID of a layer on top of others.
func layerID(names ...string) string { return idOf("layer", strings.Join(names, "/")) }

// addLayers adds layers, bottom first, each with a file of its name.
func (r *graphRootDir) addLayers(names ...string) {
	r.Helper()
	for i, name := range names {
		l := map[string]any{"id": layerID(names[:i+1]...), "diff-digest": "sha256:" + idOf(name), "diff-size": 100}
		if i > 0 {
			l["parent"] = layerID(names[:i]...)
		}
		r.layers = append(r.layers, l)
		r.write(filepath.Join("overlay", l["id"].(string), "diff", name), []byte("content of "+name))
	}
}

// image adds an image of the layers and returns its ID.
func (r *graphRootDir) image(names []string, layers ...string) plimsoll.Digest {
	r.Helper()
	diffIDs := []string{}
	for _, l := range layers {
		diffIDs = append(diffIDs, "sha256:"+idOf(l))
	}
	config, _ := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	id := plimsoll.DigestOf(config)
	manifest, _ := json.Marshal(map[string]any{"config": map[string]any{"digest": id}, "layers": []any{}})
	r.record(id.Hex(), names, layerID(layers...), map[string][]byte{
		"manifest": manifest, "manifest-" + string(plimsoll.DigestOf(manifest)): manifest, string(id): config,
	})
	return id
}

func (r *graphRootDir) record(id string, names []string, layer string, bigData map[string][]byte) {
	r.Helper()
	var keys []string
	for name, b := range bigData {
		keys = append(keys, name)
		if name != "manifest" {
			name = "=" + base64.StdEncoding.EncodeToString([]byte(name))
		}
		r.write(filepath.Join("overlay-images", id, name), b)
	}
	r.images = append(r.images, map[string]any{"id": id, "names": names, "layer": layer, "big-data-names": keys})
}

func (r *graphRootDir) save() {
	r.Helper()
	r.write("overlay-images/images.json", r.images)
	r.write("overlay-layers/layers.json", r.layers)
	r.write("overlay-containers/containers.json", r.containers)
}

func (r *graphRootDir) open() *Store {
	r.Helper()
	r.save()
	stores, problems := Discover(context.Background(), Options{Roots: []string{r.dir}})
	if len(stores) != 1 || len(problems) != 0 {
		r.Fatalf("got %d stores and %+v, want one store", len(stores), problems)
	}
	r.Cleanup(func() { stores[0].Close() })
	return stores[0]
}

func list(t testing.TB, s *Store) []plimsoll.Image {
	t.Helper()
	images, problems, err := s.Images(context.Background())
	if err != nil || len(problems) != 0 {
		t.Fatal(err, problems)
	}
	return images
}

func TestImagesAndLayers(t *testing.T) {
	r := newRoot(t, filepath.Join(t.TempDir(), "graph root"))
	r.addLayers("base", "top")
	id := r.image([]string{"localhost/my--app:1", "docker.io/library/app:1", "Host.Example:5000/a:2"}, "base", "top")
	none := r.image(nil, "base")
	r.record(idOf("list"), []string{"localhost/list:1"}, "", map[string][]byte{
		"manifest": []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null}`),
	})
	r.containers = []map[string]any{
		{"id": "2", "names": []string{"pod"}, "image": id.Hex(), "metadata": `{"pod-name":"k8s_web-1_shop_uid_0"}`},
		{"id": "1", "image": id.Hex(), "metadata": "not JSON"},
	}
	s := r.open()
	images := list(t, s)
	if len(images) != 2 {
		t.Fatalf("got %+v, want two images: a manifest list is none", images)
	}
	for _, img := range images {
		if img.ID == none {
			if img.Names != nil || img.Problem != nil {
				t.Errorf("got %+v", img)
			}
			continue
		}
		want := []string{"Host.Example:5000/a:2", "app:1", "localhost/my--app:1"}
		if diff := cmp.Diff(want, img.Names); diff != "" {
			t.Error(diff)
		}
		if img.ID != id || img.Engine != plimsoll.Podman || img.Store != r.dir || img.Size != 200 || len(img.Manifests) != 1 {
			t.Errorf("got %+v", img)
		}
		if diff := cmp.Diff([]plimsoll.Container{{ID: "1"}, {ID: "2", Name: "pod", Pod: "shop/web-1"}}, img.Containers); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"", "content of top"}, enginetest.Contents(t, s, img, "top")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestHostileStoreIsAProblemOfOneImage(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(r *graphRootDir, id plimsoll.Digest)
		want   plimsoll.ProblemCode
	}{
		"layer has no record":     {func(r *graphRootDir, _ plimsoll.Digest) { r.layers = r.layers[1:] }, plimsoll.ProblemLayerMissing},
		"layer has no directory":  {func(r *graphRootDir, _ plimsoll.Digest) { os.RemoveAll(r.diff("bad")) }, plimsoll.ProblemLayerMissing},
		"layer is its own parent": {func(r *graphRootDir, _ plimsoll.Digest) { r.layers[0]["parent"] = layerID("bad") }, plimsoll.ProblemCorruptStore},
		"layer is another one":    {func(r *graphRootDir, _ plimsoll.Digest) { r.layers[0]["diff-digest"] = "sha256:" + idOf("x") }, plimsoll.ProblemCorruptStore},
		"layer ID leads out": {func(r *graphRootDir, _ plimsoll.Digest) {
			r.layers[0]["id"], r.images[0]["layer"] = "../../../etc", "../../../etc"
		}, plimsoll.ProblemLayerMissing},
		"layer is a link": {func(r *graphRootDir, _ plimsoll.Digest) {
			os.RemoveAll(r.diff("bad"))
			os.Symlink("/", r.diff("bad"))
		}, plimsoll.ProblemCorruptStore},
		"too many layers": {func(r *graphRootDir, _ plimsoll.Digest) {
			r.addLayers("bad", "more")
			r.images[0]["layer"] = layerID("bad", "more")
		}, plimsoll.ProblemCorruptStore},
		"configuration is missing": {func(r *graphRootDir, id plimsoll.Digest) {
			os.Remove(filepath.Join(r.dir, "overlay-images", id.Hex(), "="+base64.StdEncoding.EncodeToString([]byte(id))))
		}, plimsoll.ProblemLayerMissing},
		"configuration is another one": {func(r *graphRootDir, id plimsoll.Digest) {
			r.write(filepath.Join("overlay-images", id.Hex(), "="+base64.StdEncoding.EncodeToString([]byte(id))), []byte("{}"))
		}, plimsoll.ProblemCorruptStore},
		"manifest is ambiguous": {func(r *graphRootDir, id plimsoll.Digest) {
			r.write(filepath.Join("overlay-images", id.Hex(), "manifest"), []byte(`{"manifests":[],"config":{}}`))
		}, plimsoll.ProblemCorruptStore},
		"manifest is an index": {func(r *graphRootDir, id plimsoll.Digest) {
			r.write(filepath.Join("overlay-images", id.Hex(), "manifest"), []byte(`{"manifests":[]}`))
		}, plimsoll.ProblemCorruptStore},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoot(t, t.TempDir())
			r.addLayers("bad")
			bad := r.image([]string{"bad:1"}, "bad")
			r.addLayers("good")
			good := r.image([]string{"good:1"}, "good")
			test.damage(r, bad)
			found := 0
			for _, img := range list(t, r.open()) {
				switch {
				case img.ID == good && img.Problem != nil:
					t.Errorf("the good image has %+v", img.Problem)
				case img.ID != good && (img.Problem == nil || img.Problem.Code != test.want || img.Names[0] != "bad:1"):
					t.Errorf("the bad image %q has %+v, want %s", img.Names, img.Problem, test.want)
				}
				found++
			}
			if found != 2 {
				t.Errorf("got %d images, want 2", found)
			}
		})
	}
}

func (r *graphRootDir) diff(names ...string) string {
	return filepath.Join(r.dir, "overlay", layerID(names...), "diff")
}

func TestBrokenLists(t *testing.T) {
	r := newRoot(t, t.TempDir())
	r.addLayers("a")
	r.image([]string{"a:1"}, "a")
	s := r.open()
	r.write("overlay-containers/containers.json", []byte("{"))
	r.write("overlay-layers/layers.json", []byte("[{"))
	images, problems, err := s.Images(context.Background())
	if err != nil || len(images) != 1 || images[0].Problem == nil || len(problems) != 2 {
		t.Errorf("got %+v, %+v, %v", images, problems, err)
	}
	r.write("overlay-images/images.json", []byte("[{"))
	if _, _, err := s.Images(context.Background()); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
		t.Errorf("got %v", err)
	}
}

// What is known of a store follows its lists.
func TestListsThatChange(t *testing.T) {
	r := newRoot(t, t.TempDir())
	r.addLayers("base", "one")
	r.image([]string{"example.test/one:1"}, "base", "one")
	r.save()
	s := r.open()
	if got := list(t, s); len(got) != 1 {
		t.Fatalf("%d images", len(got))
	}
	r.addLayers("other")
	r.image([]string{"example.test/other:1"}, "other")
	r.save()
	got := list(t, s)
	if len(got) != 2 {
		t.Fatalf("%d images after one more", len(got))
	}
	for _, img := range got {
		layers, err := s.Layers(t.Context(), img)
		if err != nil || len(layers) != len(img.Layers) {
			t.Errorf("%v: %d layers, %v", img.Names, len(layers), err)
		}
		for _, l := range layers {
			l.Close()
		}
	}
}

func TestIMG23ImageRemovedWhileRead(t *testing.T) {
	r := newRoot(t, t.TempDir())
	r.addLayers("a")
	r.image([]string{"a:1"}, "a")
	s := r.open()
	img := list(t, s)[0]
	var f *engine.Fault
	os.RemoveAll(r.diff("a"))
	if _, err := s.Layers(context.Background(), img); !errors.As(err, &f) || f.Problem != plimsoll.ProblemLayerMissing {
		t.Errorf("layer removed: got %v", err)
	}
	r.images = nil
	r.save()
	if _, err := s.Layers(context.Background(), img); !errors.As(err, &f) || f.Problem != plimsoll.ProblemImageGone {
		t.Errorf("image removed: got %v", err)
	}
}

func TestDiscover(t *testing.T) {
	h := t.TempDir()
	storage := func(path string, names ...string) {
		r := newRoot(t, filepath.Join(h, path))
		if path == "/ro" { // a store for others
			r.addLayers("shared")
		}
		r.image(names, "shared")
		r.save()
	}
	for _, path := range []string{"/var/lib/containers/storage", "/data/graph", "/ro", "/home/ann/.local/share/containers/storage", "/scratch/bob"} {
		storage(path, path[1:]+":1")
	}
	file := func(name, text string) {
		os.MkdirAll(filepath.Dir(filepath.Join(h, name)), 0o755)
		os.WriteFile(filepath.Join(h, name), []byte(text), 0o644)
	}
	file("etc/passwd", "ann:x:1:1::/home/ann:/bin/sh\nbob:x:2:1::/home/bob:/bin/sh\neve:x:3:1::/home/eve:\n")
	file("etc/containers/storage.conf", "[storage]\ndriver = \"overlay\"\n# graphroot = \"/comment\"\n graphroot = \"/data/graph\"\n"+
		"[storage.options]\nadditionalimagestores = [\n  # \"/commented\",\n  \"/ro\",\n  \"/missing\",\n]\n")
	file("usr/share/containers/storage.conf", "graphroot = \"/distribution\"\n")
	file("home/bob/.config/containers/storage.conf", "[storage]\nrootless_storage_path = \"/scratch/bob\"\n")
	file("home/eve/.local/share/containers/storage/vfs-images/images.json", "[]")
	for i := range 3 {
		file(fmt.Sprintf("home/eve/.local/share/containers/storage/vfs-images/%d/manifest", i), "{}")
	}
	stores, problems := Discover(context.Background(), Options{Host: engine.Host{Root: h}})
	got := map[string]bool{} // readable?
	for _, s := range stores {
		for _, img := range list(t, s) {
			got[s.dir.Path()[len(h):]] = img.Problem == nil
		}
		s.Close()
	}
	want := map[string]bool{
		"/data/graph": true, "/var/lib/containers/storage": true, "/ro": true,
		"/home/ann/.local/share/containers/storage": true,
		"/scratch/bob": false, // its own configuration names no other store
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 || problems[0].Code != plimsoll.ProblemUnsupportedDriver {
		t.Errorf("got %+v, want the driver vfs", problems)
	}
}

func TestDiscoverNamedRootIsMissing(t *testing.T) {
	empty := t.TempDir()
	for _, root := range []string{filepath.Join(empty, "none"), empty} {
		stores, problems := Discover(context.Background(), Options{Roots: []string{root}})
		if len(stores) != 0 || len(problems) != 1 || problems[0].Code != plimsoll.ProblemEngineUnavailable {
			t.Errorf("got %v, %+v", stores, problems)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(`[{"id":"00","names":["a:1"],"layer":"11","big-data-names":["manifest"]}]`), []byte(`[{"id":"11","parent":"22"}]`),
		[]byte(`[{"id":"1","image":"00","metadata":"{}"}]`))
	f.Fuzz(func(t *testing.T, images, layers, containers []byte) {
		r := newRoot(t, t.TempDir())
		r.addLayers("a")
		r.image([]string{"a:1"}, "a")
		s := r.open()
		r.write("overlay-images/images.json", images)
		r.write("overlay-layers/layers.json", layers)
		r.write("overlay-containers/containers.json", containers)
		list, _, _ := s.Images(context.Background())
		for _, img := range list {
			s.Layers(context.Background(), img)
		}
	})
}
