package ospkg

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

func TestRPM07ContentSetsOfTheBuild(t *testing.T) {
	t.Parallel()
	const sets = `{"metadata":{"icm_version":1},"content_sets":["rhel-8-for-x86_64-baseos-rpms","rhel-8-for-x86_64-appstream-rpms","rhel-8-for-x86_64-baseos-rpms"],"image_contents":[]}`
	want := []string{"rhel-8-for-x86_64-appstream-rpms", "rhel-8-for-x86_64-baseos-rpms"}
	for _, path := range []string{"root/buildinfo/content_manifests/ubi8-container-8.5-214.json", "usr/share/buildinfo/content-sets.json", "usr/share/buildinfo/content_manifests/x.json"} {
		facts, err := analyze(t, path, []byte(sets))
		if err != nil || facts.System == nil {
			t.Fatalf("%s: %v, %v", path, facts, err)
		}
		if diff := cmp.Diff(want, facts.System.Repositories); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	for what, content := range map[string]string{"another file": `{"labels":{"name":"x"}}`, "a list": `[1]`, "no JSON": "x", "empty": "", "sets of another kind": `{"content_sets":"all"}`} {
		if facts, err := analyze(t, "root/buildinfo/content_manifests/labels.json", []byte(content)); err != nil || facts.System != nil || len(facts.Problems) > 0 {
			t.Errorf("%s: %+v, %v", what, facts, err)
		}
	}
	many := `{"content_sets":["` + strings.Repeat(`x","`, maxContentSets) + `x"]}`
	if _, err := analyze(t, "root/buildinfo/content_manifests/x.json", []byte(many)); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("%v", err)
	}
}

func FuzzContentSets(f *testing.F) {
	f.Add([]byte(`{"content_sets":["a","b"]}`))
	fuzzFile(f, "root/buildinfo/content_manifests/x.json")
}

// The records of all layers belong to the one system.
func TestRPM07RecordsOfLayersAreJoined(t *testing.T) {
	t.Parallel()
	inv := scan(t,
		map[string]string{"etc/os-release": "ID=rhel\nVERSION_ID=8.4\n", "root/buildinfo/content_manifests/ubi8.json": `{"content_sets":["b","a"]}`},
		map[string]string{"root/buildinfo/content_manifests/app.json": `{"content_sets":["c","a"]}`, "root/buildinfo/content_manifests/labels.json": `{}`})
	if len(inv.Systems) != 1 {
		t.Fatalf("%+v", inv.Systems)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, inv.Systems[0].Repositories); diff != "" {
		t.Error(diff)
	}
}

// scan reads an image of layers, each given by its files.
func scan(t *testing.T, layers ...map[string]string) plimsoll.Inventory {
	t.Helper()
	var roots []string
	for i, files := range layers {
		roots = append(roots, filepath.Join(t.TempDir(), fmt.Sprint(i)))
		for name, content := range files {
			file := filepath.Join(roots[i], name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := inventory.Scanner{Analyzers: Analyzers()}
	inv, err := s.Scan(t.Context(), plimsoll.Image{Layers: make([]plimsoll.Layer, len(roots))}, func() (layers []layerfs.Layer, err error) {
		for _, root := range roots {
			l, err := layerfs.RootFS(root, layerfs.DirOptions{})
			if err != nil {
				return nil, err
			}
			layers = append(layers, l)
		}
		return layers, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}
