package langpkg

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// scanDir reads a directory as an image of one layer.
func scanDir(t *testing.T, dir string) plimsoll.Inventory {
	t.Helper()
	s := inventory.Scanner{Analyzers: Analyzers(), Workers: 2}
	inv, err := s.Scan(t.Context(), plimsoll.Image{Layers: []plimsoll.Layer{{}}}, func() ([]layerfs.Layer, error) {
		l, err := layerfs.RootFS(dir, layerfs.DirOptions{})
		return []layerfs.Layer{l}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func write(t *testing.T, dir, path, content string) {
	t.Helper()
	path = filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pnpm's store holds each package once; what needs it has a link. Every package
// here links to a hundred others: the work is that of the files.
func TestNPM04LinkWebIsLinear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const packages, links = 200, 100
	name := func(i int) string { return fmt.Sprintf("p%d", i%packages) }
	for i := range packages {
		home := "app/node_modules/.pnpm/" + name(i) + "@1.0.0/node_modules/"
		write(t, dir, home+name(i)+"/package.json", fmt.Sprintf(`{"name":"p%d","version":"1.0.0"}`, i))
		for j := 1; j <= links; j++ {
			if err := os.Symlink("../../"+name(i+j)+"@1.0.0/node_modules/"+name(i+j), filepath.Join(dir, home+name(i+j))); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(".pnpm/"+name(i)+"@1.0.0/node_modules/"+name(i), filepath.Join(dir, "app/node_modules", name(i))); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	inv := scanDir(t, dir)
	if len(inv.Packages) != packages || len(inv.Problems) > 0 {
		t.Errorf("%d packages, problems %v", len(inv.Packages), inv.Problems)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("took %s", d)
	}
}

// What Yarn's map names and an archive of the cache holds is one package; what
// only the map knows counts on its word.
func TestNPM05MapAndArchivesAreOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app/.pnp.data.json", pnp)
	write(t, dir, "app/.yarn/cache/lodash-npm-4.17.21-6382451519-eb835a2e51.zip",
		zipOf(t, zip.Deflate, "node_modules/lodash/package.json", `{"name":"lodash","version":"4.17.21"}`))
	var got []string
	for _, p := range scanDir(t, dir).Packages {
		got = append(got, p.Name+" "+p.Path)
	}
	equal(t, got, []string{"@s/peer app/.pnp.data.json",
		"lodash app/.yarn/cache/lodash-npm-4.17.21-6382451519-eb835a2e51.zip!/node_modules/lodash/package.json"})
}

// What conda installed and what pip added to its environment are told apart.
func TestPY04PipInConda(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	site := "opt/conda/lib/python3.11/site-packages/"
	write(t, dir, "opt/conda/conda-meta/pytorch-2.1.0-0.json", `{"name":"pytorch","version":"2.1.0","files":["lib/python3.11/site-packages/torch-2.1.0.dist-info/METADATA"]}`)
	write(t, dir, site+"torch-2.1.0.dist-info/METADATA", "Name: torch\nVersion: 2.1.0\n")
	write(t, dir, site+"six-1.16.0.dist-info/METADATA", "Name: six\nVersion: 1.16.0\n")
	var got []string
	for _, p := range scanDir(t, dir).Packages {
		got = append(got, string(p.Type)+" "+p.Name+" "+p.Origin)
	}
	equal(t, got, []string{"conda pytorch ", "pypi six ", "pypi torch conda: pytorch 2.1.0"})
}

// An assembly beside a deps.json that accounts for it is not found twice.
func TestNET01AssembliesWithAndWithoutDeps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "app/App.deps.json", depsJSON)
	for _, name := range []string{"App", "Newtonsoft.Json", "Plugin"} {
		write(t, dir, "app/"+name+".dll", assemblyOf(true, "ProductVersion", "13.0.3"))
	}
	var got []string
	for _, p := range scanDir(t, dir).Packages {
		got = append(got, p.Name+" "+string(p.Evidence))
	}
	equal(t, got, []string{"Microsoft.NETCore.App.Runtime.linux-x64 metadata", "Native.Lib metadata", "Newtonsoft.Json metadata", "Plugin binary"})
}

// One program under several names, by hard link, is one set of packages.
func TestGO05HardLinksAreOneProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "usr/bin/busybox", elfOf(".rodata", "BusyBox v1.36.1 (2023)"))
	if err := os.Chmod(filepath.Join(dir, "usr/bin/busybox"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", "ls"} {
		if err := os.Link(filepath.Join(dir, "usr/bin/busybox"), filepath.Join(dir, "usr/bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	inv := scanDir(t, dir)
	if len(inv.Packages) != 1 || !slices.Equal(inv.Packages[0].Locations, []string{"usr/bin/ls", "usr/bin/sh"}) {
		t.Errorf("%+v", inv.Packages)
	}
}
