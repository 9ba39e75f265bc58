package match_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/inventory/ospkg"
	"plimsoll/match"
)

// The rpm database of a real system with packages of modules (nodejs:10,
// container-tools:rhel8), judged by AlmaLinux's errata, most of which are about
// other streams of the same modules.
func TestRPM05ModulesOfARealDatabase(t *testing.T) {
	inv := plimsoll.Inventory{
		Systems:  []plimsoll.OS{{ID: "almalinux", VersionID: "8.4", Version: "8.4"}},
		Packages: packagesOf(t, filepath.Join("..", "inventory", "ospkg", "testdata", "rpm", "centos8.bdb.zst")),
	}
	db := compiled(t, os.DirFS(filepath.Join("testdata", "modules")))
	e, err := match.Evaluate(t.Context(), db, inv, match.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	ordinary := 0
	for _, f := range e.Findings {
		for _, r := range f.Reasons {
			switch built := strings.Contains(r.Range, ".module_el"); {
			case built != (f.Package.Module != ""):
				t.Errorf("%s %s of module %q is judged by %s (%s)", f.Package.Name, f.Package.Version, f.Package.Module, r.Advisory, r.Range)
			case built:
				_, stream, _ := strings.Cut(f.Package.Module, ":")
				stream, _, _ = strings.Cut(stream, ":")
				got = append(got, f.Package.Name+":"+stream+" "+r.Range)
			default:
				ordinary++
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"criu:rhel8 < 3.15-1.module_el8.6.0+2876+9ed4eae2",
		"nodejs:10 < 1:10.24.0-1.module_el8.3.0+2047+b07ac28e",
		"nodejs:10 < 1:10.24.0-1.module_el8.4.0+2224+b07ac28e",
		"nodejs:10 < 1:10.24.0-1.module_el8.5.0+81+7dbe79d3",
		"slirp4netns:rhel8 < 1.1.8-1.module_el8.6.0+2876+9ed4eae2",
		"udica:rhel8 < 0.2.4-1.module_el8.6.0+2876+9ed4eae2",
	}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("modular packages (-want +got):\n%s", diff)
	}
	if ordinary == 0 {
		t.Error("no ordinary package was judged")
	}
}

// packagesOf reads a package database of the test data of package ospkg.
func packagesOf(t *testing.T, file string) []plimsoll.Package {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if b, err = z.DecodeAll(b, nil); err != nil {
		t.Fatal(err)
	}
	f := inventory.File{Path: "var/lib/rpm/Packages", Size: int64(len(b)), ReaderAt: bytes.NewReader(b)}
	for _, a := range ospkg.Analyzers() {
		if a.Wants(f.Path) == inventory.Yes {
			facts, err := a.Analyze(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			return facts.Packages
		}
	}
	t.Fatal("no analyser wants the database")
	return nil
}
