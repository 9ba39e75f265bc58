package containerd

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/engine/enginetest"
)

// rootDir is the root of a containerd, made by hand.
type rootDir struct {
	testing.TB
	dir       string
	meta      tree // namespaces
	snapshots tree // of the overlayfs snapshotter
}

func newRoot(t testing.TB) *rootDir {
	r := &rootDir{t, t.TempDir(), tree{}, tree{}}
	r.write(contentPlugin+"/blobs/sha256/.keep", "")
	r.write(overlayPlugin+"/snapshots/.keep", "")
	return r
}

func (r *rootDir) write(name, content string) {
	r.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.Fatal(err)
	}
}

func (r *rootDir) blob(v any) v1.Descriptor {
	r.Helper()
	b, ok := v.([]byte)
	if !ok {
		b, _ = json.Marshal(v)
	}
	d := digest.FromBytes(b)
	r.write(r.blobPath(d), string(b))
	return v1.Descriptor{Digest: d, Size: int64(len(b))}
}

func (r *rootDir) blobPath(d digest.Digest) string {
	return contentPlugin + "/blobs/sha256/" + d.Encoded()
}

// layer is a layer's blob, a tar with one file of the layer's name.
func (r *rootDir) layer(name string, compress bool) (v1.Descriptor, digest.Digest) {
	r.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	text := "content of " + name
	w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644})
	w.Write([]byte(text))
	w.Close()
	diffID := digest.FromBytes(b.Bytes())
	if compress {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b.Bytes())
		w.Close()
		b = z
	}
	return r.blob(b.Bytes()), diffID
}

// image adds an image's blobs and returns its manifest.
func (r *rootDir) image(arch string, layers ...string) v1.Descriptor {
	r.Helper()
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest}
	var diffIDs []digest.Digest
	for i, name := range layers {
		blob, diffID := r.layer(name, i%2 == 0)
		m.Layers, diffIDs = append(m.Layers, blob), append(diffIDs, diffID)
	}
	m.Config = r.blob(map[string]any{
		"os": "linux", "architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	})
	desc := r.blob(m)
	desc.Platform = &v1.Platform{OS: "linux", Architecture: arch}
	return desc
}

func bucketAt(t tree, path ...string) tree {
	for _, name := range path {
		if t[name] == nil {
			t[name] = tree{}
		}
		t = t[name].(tree)
	}
	return t
}

func (r *rootDir) name(namespace, name string, target v1.Descriptor) {
	bucketAt(r.meta, namespace, "images", name, "target")["digest"] = []byte(target.Digest)
}

// unpack makes committed snapshots of an image's layers, each with one file.
func (r *rootDir) unpack(namespace string, manifest v1.Descriptor, names ...string) {
	r.Helper()
	for i, chain := range r.chain(manifest) {
		id := uint64(len(r.snapshots) + 1)
		r.snapshots[fmt.Sprintf("%s/%d/%s", namespace, id+7, chain)] = tree{
			"id": binary.AppendUvarint(nil, id), "kind": []byte{committed}, "size": binary.AppendVarint(nil, 1000),
		}
		r.write(fmt.Sprintf("%s/snapshots/%d/fs/%s", overlayPlugin, id, names[i]), "unpacked "+names[i])
	}
}

func (r *rootDir) chain(manifest v1.Descriptor) []plimsoll.Digest {
	r.Helper()
	var m v1.Manifest
	var c v1.Image
	r.read(r.blobPath(manifest.Digest), &m)
	r.read(r.blobPath(m.Config.Digest), &c)
	var diffIDs []plimsoll.Digest
	for _, d := range c.RootFS.DiffIDs {
		diffIDs = append(diffIDs, plimsoll.Digest(d))
	}
	return plimsoll.ChainIDs(diffIDs)
}

func (r *rootDir) read(name string, v any) {
	r.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// discardLayers removes the blobs of an image's layers.
func (r *rootDir) discardLayers(manifest v1.Descriptor) {
	var m v1.Manifest
	r.read(r.blobPath(manifest.Digest), &m)
	for _, l := range m.Layers {
		os.Remove(filepath.Join(r.dir, r.blobPath(l.Digest)))
	}
}

// open writes the databases and returns the stores by namespace.
func (r *rootDir) open() map[string]*Store {
	r.Helper()
	r.write(metaDB, string(encode(tree{"v1": r.meta}, 4)))
	r.write(overlayPlugin+"/metadata.db", string(encode(tree{"v1": tree{"snapshots": r.snapshots}}, 4)))
	stores, problems := Discover(context.Background(), Options{Roots: []string{r.dir}})
	if len(problems) > 0 {
		r.Fatal(problems)
	}
	found := map[string]*Store{}
	for _, s := range stores {
		found[s.namespace] = s
		r.Cleanup(func() { s.Close() })
	}
	return found
}

func list(t testing.TB, s *Store) ([]plimsoll.Image, []plimsoll.Problem) {
	t.Helper()
	if s == nil {
		t.Fatal("no such namespace")
	}
	images, problems, err := s.Images(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return images, problems
}

func TestIMG04EveryNamespaceByChainID(t *testing.T) {
	r := newRoot(t)
	both := r.image(runtime.GOARCH, "base", "top")
	r.unpack("k8s.io", both, "base", "top")
	r.discardLayers(both)
	r.name("k8s.io", "docker.io/library/app:1", both)
	r.name("k8s.io", string(both.Digest), both)
	r.name("k8s.io", "app@"+string(both.Digest), both)
	pulled := r.image(runtime.GOARCH, "blob", "plain")
	r.name("default", "pulled:1", pulled)
	r.name("team-a", "docker.io/library/app:1", both) // unpacked in another namespace only
	r.name("moby", "docker.io/library/mine:1", pulled)
	bucketAt(r.meta, "k8s.io", "containers", "c1")["image"] = []byte("docker.io/library/app:1")
	bucketAt(r.meta, "k8s.io", "containers", "c1", "labels")["io.kubernetes.container.name"] = []byte("web")
	stores := r.open()

	t.Run("snapshots, blobs gone", func(t *testing.T) {
		images, problems := list(t, stores["k8s.io"])
		if len(images) != 1 || len(problems) != 0 {
			t.Fatalf("got %+v, %+v", images, problems)
		}
		img := images[0]
		if img.Engine != plimsoll.Containerd || img.Store != "k8s.io in "+r.dir || img.Size != 2000 {
			t.Errorf("got %+v", img)
		}
		if diff := cmp.Diff([]string{"app:1"}, img.Names); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]plimsoll.Digest{plimsoll.Digest(both.Digest)}, img.Manifests); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]plimsoll.Container{{ID: "c1", Name: "web"}}, img.Containers); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"", "unpacked top"}, enginetest.Contents(t, stores["k8s.io"], img, "top")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("blobs, never unpacked", func(t *testing.T) {
		images, _ := list(t, stores["default"])
		if diff := cmp.Diff([]string{"content of blob", ""}, enginetest.Contents(t, stores["default"], images[0], "blob")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"", "content of plain"}, enginetest.Contents(t, stores["default"], images[0], "plain")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("neither", func(t *testing.T) {
		images, _ := list(t, stores["team-a"])
		if len(images) != 1 || images[0].Problem == nil || images[0].Problem.Code != plimsoll.ProblemLayerMissing {
			t.Errorf("got %+v, want a missing layer", images)
		}
	})
	t.Run("Docker's", func(t *testing.T) {
		images, _ := list(t, stores["moby"])
		if len(images) != 1 || images[0].Engine != plimsoll.Docker || images[0].Names[0] != "mine:1" {
			t.Errorf("got %+v", images)
		}
	})
}

func TestIMG05IndexWithOnePlatformHere(t *testing.T) {
	r := newRoot(t)
	mine, other, never := r.image(runtime.GOARCH, "mine"), r.image("s390x", "other"), r.image("riscv64", "never")
	r.discardLayers(other)
	os.Remove(filepath.Join(r.dir, r.blobPath(never.Digest)))
	index := r.blob(v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{other, mine, never}})
	r.name("default", "docker.io/library/multi:1", index)
	images, problems := list(t, r.open()["default"])
	if len(images) != 1 || images[0].Problem != nil || images[0].Platform.Architecture != runtime.GOARCH {
		t.Errorf("got %+v, want this machine's", images)
	}
	if len(problems) != 1 || problems[0].Code != plimsoll.ProblemPlatformAbsent || problems[0].Count != 2 {
		t.Errorf("got %+v, want two absent platforms", problems)
	}
}

func TestOtherSnapshotterIsNamed(t *testing.T) {
	r := newRoot(t)
	m := r.image(runtime.GOARCH, "a")
	r.discardLayers(m)
	r.name("default", "a:1", m)
	bucketAt(r.meta, "default", "snapshots", "zfs", string(r.chain(m)[0]))["name"] = []byte("x")
	images, _ := list(t, r.open()["default"])
	if p := images[0].Problem; p == nil || p.Code != plimsoll.ProblemUnsupportedDriver || !strings.Contains(p.Detail, "zfs") {
		t.Errorf("got %+v", p)
	}
}

func TestIMG23ImageRemovedWhileRead(t *testing.T) {
	r := newRoot(t)
	m := r.image(runtime.GOARCH, "a")
	r.name("default", "a:1", m)
	s := r.open()["default"]
	images, _ := list(t, s)
	r.discardLayers(m)
	var f *engine.Fault
	if _, err := s.Layers(context.Background(), images[0]); !errors.As(err, &f) || f.Problem != plimsoll.ProblemLayerMissing {
		t.Errorf("layer removed: got %v", err)
	}
	os.RemoveAll(filepath.Join(r.dir, contentPlugin, "blobs/sha256"))
	if _, err := s.Layers(context.Background(), images[0]); !errors.As(err, &f) || f.Problem != plimsoll.ProblemImageGone {
		t.Errorf("image removed: got %v", err)
	}
}

func TestHostileRecords(t *testing.T) {
	r := newRoot(t)
	good := r.image(runtime.GOARCH, "good")
	r.name("default", "good:1", good)
	r.name("default", "path:1", v1.Descriptor{Digest: "sha256:../../../../../etc/passwd"})
	r.name("default", "none:1", v1.Descriptor{})
	r.name("default", "ambiguous:1", r.blob([]byte(`{"manifests":[],"config":{},"layers":[]}`)))
	wrong := r.blob([]byte("{}"))
	r.write(r.blobPath(wrong.Digest), `{"other":1}`)
	r.name("default", "wrong:1", wrong)
	gone := r.image(runtime.GOARCH, "gone")
	os.Remove(filepath.Join(r.dir, r.blobPath(gone.Digest)))
	r.name("default", "gone:1", gone)

	images, _ := list(t, r.open()["default"])
	got := map[string]plimsoll.ProblemCode{}
	for _, img := range images {
		got[img.Name()] = ""
		if img.Problem != nil {
			got[img.Name()] = img.Problem.Code
		}
	}
	want := map[string]plimsoll.ProblemCode{
		"good:1": "", "path:1": plimsoll.ProblemCorruptStore, "none:1": plimsoll.ProblemCorruptStore,
		"ambiguous:1": plimsoll.ProblemCorruptStore, "wrong:1": plimsoll.ProblemCorruptStore, "gone:1": plimsoll.ProblemLayerMissing,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDatabaseThatIsNone(t *testing.T) {
	r := newRoot(t)
	m := r.image(runtime.GOARCH, "a")
	r.name("default", "a:1", m)
	stores := r.open()
	r.write(overlayPlugin+"/metadata.db", strings.Repeat("garbage", 1000))
	images, _ := list(t, stores["default"])
	if images[0].Problem != nil {
		t.Errorf("blobs are whole, but: %+v", images[0].Problem)
	}
	r.discardLayers(m)
	images, _ = list(t, stores["default"])
	if p := images[0].Problem; p == nil || p.Code != plimsoll.ProblemCorruptStore {
		t.Errorf("got %+v, want the damaged database", p)
	}
	r.write(metaDB, "")
	if _, _, err := stores["default"].Images(context.Background()); plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	_, problems := Discover(context.Background(), Options{Roots: []string{r.dir}})
	if len(problems) != 1 || problems[0].Code != plimsoll.ProblemEngineUnavailable {
		t.Errorf("got %+v", problems)
	}
}

func TestDiscoverPlaces(t *testing.T) {
	make := func(h string, path string) {
		r := newRoot(t)
		r.name("default", "a:1", r.image(runtime.GOARCH, "a"))
		r.open()
		os.MkdirAll(filepath.Dir(filepath.Join(h, path)), 0o755)
		if err := os.Rename(r.dir, filepath.Join(h, path)); err != nil {
			t.Fatal(err)
		}
	}
	h := t.TempDir()
	for _, path := range []string{"/var/lib/containerd", "/var/lib/rancher/k3s/agent/containerd", "/data/docker/containerd/daemon", "/data/configured", "/data/flag"} {
		make(h, path)
	}
	for name, text := range map[string]string{
		"etc/containerd/config.toml": "version = 2\n# root = '/comment'\nroot = \"/data/configured\"\n[grpc]\n  address = '/run/x.sock'\n[proxy_plugins.y.exports]\n  root = \"/elsewhere\"\n",
		"etc/docker/daemon.json":     `{"data-root": "/data/docker"}`,
		"proc/7/cmdline":             "/usr/bin/containerd\x00--root\x00/data/flag\x00",
		"proc/8/cmdline":             "/usr/bin/containerd-shim\x00--root\x00/x\x00",
	} {
		os.MkdirAll(filepath.Dir(filepath.Join(h, name)), 0o755)
		os.WriteFile(filepath.Join(h, name), []byte(text), 0o644)
	}
	stores, problems := Discover(context.Background(), Options{Host: engine.Host{Root: h}})
	var roots []string
	for _, s := range stores {
		roots = append(roots, s.root[len(h):])
		if images, _ := list(t, s); len(images) != 1 || images[0].Problem != nil {
			t.Errorf("%s: got %+v", s.Name(), images)
		}
		s.Close()
		s.Close() // twice does no harm
	}
	want := []string{"/var/lib/containerd", "/var/lib/rancher/k3s/agent/containerd", "/data/docker/containerd/daemon", "/data/flag", "/data/configured"}
	if diff := cmp.Diff(want, roots); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 0 {
		t.Errorf("%+v", problems)
	}
	if c := readConfig(engine.Host{Root: h}, ""); c.address != "/run/x.sock" || c.root != "/data/configured" {
		t.Errorf("got %+v", c)
	}
}

func TestDiscoverSaysWhatItCannotRead(t *testing.T) {
	h := engine.Host{Root: t.TempDir()}
	for name, o := range map[string]Options{
		"root is missing":    {Host: h, Roots: []string{"/nowhere"}},
		"address is missing": {Host: h, Addresses: []string{"/nowhere.sock"}},
	} {
		stores, problems := Discover(context.Background(), o)
		if len(stores) != 0 || len(problems) != 1 || problems[0].Code != plimsoll.ProblemEngineUnavailable {
			t.Errorf("%s: got %v, %+v", name, stores, problems)
		}
	}
	if stores, problems := Discover(context.Background(), Options{Host: h}); len(stores)+len(problems) != 0 {
		t.Errorf("a host without containerd: got %v, %+v", stores, problems)
	}
}
