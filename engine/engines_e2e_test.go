//go:build e2e

package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/e2e/lab"
	"plimsoll/engine/archive"
	"plimsoll/engine/containerd"
	"plimsoll/engine/docker"
	"plimsoll/engine/podman"
	"plimsoll/layerfs"
)

type store interface {
	Images(context.Context) ([]plimsoll.Image, []plimsoll.Problem, error)
	Layers(context.Context, plimsoll.Image) ([]layerfs.Layer, error)
	Close() error
}

// stacked is an image with all that layers can do to each other.
func stacked() lab.Recipe {
	return lab.Handmade("registry.example:5000/my--app:1",
		map[string]string{"etc/a": "a", "etc/b": "b", "opt/x/y": "y", "srv/keep": "k"},
		map[string]string{"etc/.wh.a": "", "opt/x/.wh..wh..opq": "", "opt/x/z": "z"},
		map[string]string{"srv/.wh.keep": "", "srv/new": "n", "etc/a": "again"})
}

// TestIMG01EveryEngineGivesTheSameLayers: an image's layers are the same, entry
// by entry, whichever engine holds it and whether its daemon runs.
func TestIMG01EveryEngineGivesTheSameLayers(t *testing.T) {
	l, recipe := lab.New(t), stacked()

	saved, err := archive.Open(t.Context(), recipe.Archive(t), archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := layersOf(t, saved, recipe)
	same := func(t *testing.T, s store) {
		t.Helper()
		if diff := cmp.Diff(want, layersOf(t, s, recipe)); diff != "" {
			t.Error(diff)
		}
	}

	d := l.Docker(t)
	d.Load(t, recipe)
	fromDocker := func() store {
		return one(docker.Discover(t.Context(), docker.Options{Roots: []string{d.Root}}))(t)
	}
	t.Run("docker", func(t *testing.T) { same(t, fromDocker()) })
	d.Stop(t)
	t.Run("docker stopped", func(t *testing.T) {
		unchanged(t, d.Root)
		same(t, fromDocker())
	})

	c := l.Containerd(t)
	for _, namespace := range []string{"default", "k8s.io", "moby"} {
		c.Load(t, namespace, recipe)
	}
	inContainerd := func(t *testing.T, o containerd.Options) {
		stores, problems := containerd.Discover(t.Context(), o)
		if len(stores) != 3 || len(problems) != 0 {
			t.Fatalf("got %d stores, want 3: %+v", len(stores), problems)
		}
		for _, s := range stores {
			same(t, s)
		}
	}
	t.Run("containerd by its socket", func(t *testing.T) { inContainerd(t, containerd.Options{Addresses: []string{c.Address}}) })
	t.Run("containerd by its disk", func(t *testing.T) { inContainerd(t, containerd.Options{Roots: []string{c.Root}}) })
	t.Run("IMG-04 containerd after its blobs were discarded", func(t *testing.T) {
		discardLayers(t, c)
		inContainerd(t, containerd.Options{Addresses: []string{c.Address}})
	})
	c.Stop(t)
	t.Run("containerd stopped", func(t *testing.T) {
		unchanged(t, c.Root)
		inContainerd(t, containerd.Options{Roots: []string{c.Root}})
	})

	p := l.Podman(t)
	p.Load(t, recipe)
	t.Run("podman", func(t *testing.T) {
		unchanged(t, p.Root)
		same(t, one(podman.Discover(t.Context(), podman.Options{Roots: []string{p.Root}}))(t))
	})
}

// discardLayers removes what is no JSON document from the content store.
func discardLayers(t *testing.T, c *lab.Containerd) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(c.Root, "io.containerd.content.v1.content/blobs/sha256/*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal(blobs, err)
	}
	for _, blob := range blobs {
		content, err := os.ReadFile(blob)
		if errors.Is(err, fs.ErrNotExist) {
			continue // containerd collects its garbage
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(content, []byte("{")) {
			os.Remove(blob)
		}
	}
}

// unchanged fails the test if anything below dir is another one at its end
// (IMG-26).
func unchanged(t *testing.T, dir string) {
	t.Helper()
	before := lab.HashTree(t, dir)
	t.Cleanup(func() {
		if diff := cmp.Diff(before, lab.HashTree(t, dir)); diff != "" {
			t.Error(diff)
		}
	})
}

func one[S store](stores []S, problems []plimsoll.Problem) func(testing.TB) store {
	return func(t testing.TB) store {
		t.Helper()
		if len(stores) != 1 || len(problems) != 0 {
			t.Fatalf("got %d stores, want 1: %+v", len(stores), problems)
		}
		return stores[0]
	}
}

// layersOf lists the entries of each layer of the recipe's image, and closes s.
func layersOf(t testing.TB, s store, recipe lab.Recipe) [][]string {
	t.Helper()
	defer s.Close()
	images, problems, err := s.Images(t.Context())
	if err != nil || len(problems) != 0 {
		t.Fatal(err, problems)
	}
	i := slices.IndexFunc(images, func(img plimsoll.Image) bool { return string(img.ID) == recipe.ID(t) })
	if i < 0 || images[i].Problem != nil || !slices.Contains(images[i].Names, recipe.Name) {
		t.Fatalf("got %+v, want a readable image %s", images, recipe.Name)
	}
	layers, err := s.Layers(t.Context(), images[i])
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]string, len(layers))
	for i, layer := range layers {
		index, problems, err := layer.Scan(t.Context(), nothing{})
		if err != nil || len(problems) != 0 {
			t.Fatal(err, problems)
		}
		index.Walk(func(e layerfs.Entry) error {
			line := fmt.Sprintf("%d %s %s opaque=%t", e.Kind, e.Path, e.Target, e.Opaque)
			if f, err := layer.Open(e.Path); err == nil {
				b := make([]byte, f.Size)
				f.ReadAt(b, 0)
				f.Close()
				line += " " + string(b)
			}
			all[i] = append(all[i], line)
			return nil
		})
		layer.Close()
	}
	return all
}

type nothing struct{}

func (nothing) Wants(string) layerfs.Want                            { return layerfs.No }
func (nothing) Visit(context.Context, string, *layerfs.File, string) {}
