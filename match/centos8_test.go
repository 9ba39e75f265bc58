package match_test

import (
	"bytes"
	"context"
	"fmt"
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
	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

// The whole package database of a CentOS 8.2 with 21 packages of the module
// streams container-tools:rhel8, nodejs:10, python36:3.6 and javapackages, judged
// as the AlmaLinux that rebuilds the same sources. What must be found was computed
// apart: rpm's own order of versions, the stream from the title of each advisory
// (testdata/centos8/README.md).
func TestRPM05AlmaLinuxOnCentOS8RespectsModules(t *testing.T) {
	inv := plimsoll.Inventory{Systems: []plimsoll.OS{{ID: "centos", VersionID: "8"}}, Packages: centos8(t)}
	dir := t.TempDir()
	_, sum, err := feed.Update(context.Background(), feed.Options{Base: filepath.Join("testdata", "centos8"), Dir: dir})
	if err != nil || sum.Broken > 0 {
		t.Fatalf("%v, %d broken records", err, sum.Broken)
	}
	db, err := vulndb.OpenCurrent(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got, err := match.Evaluate(context.Background(), db, inv, match.Options{Distro: "almalinux:8.2"})
	if err != nil {
		t.Fatal(err)
	}
	advisories := map[string][]string{}
	for _, f := range got.Findings {
		name := f.Package.Name + " " + f.Package.Version
		for _, r := range f.Reasons {
			advisories[name] = append(advisories[name], r.Advisory)
		}
	}
	var lines []string
	for name, ids := range advisories {
		slices.Sort(ids)
		lines = append(lines, name+": "+strings.Join(slices.Compact(ids), " "))
	}
	slices.Sort(lines)
	want, err := os.ReadFile(filepath.Join("testdata", "centos8", "want.txt"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(strings.TrimSpace(string(want)), "\n")
	slices.Sort(wanted)
	if diff := cmp.Diff(wanted, lines); diff != "" {
		t.Errorf("(-computed apart +got):\n%s", diff)
	}
	// ALSA-2024:4246 is about container-tools and does not say of which stream:
	// that is counted, not guessed.
	var problems []string
	for _, p := range got.Problems {
		problems = append(problems, fmt.Sprintf("%s %d", p.Code, p.Count))
	}
	if diff := cmp.Diff([]string{"stream-unknown 15"}, problems); diff != "" {
		t.Error(diff)
	}
}

// centos8 reads the database that is test data of package ospkg.
func centos8(t *testing.T) []plimsoll.Package {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("..", "inventory", "ospkg", "testdata", "rpm", "centos8.bdb.zst"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	content, err := z.DecodeAll(packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	const path = "var/lib/rpm/Packages"
	for _, a := range ospkg.Analyzers() {
		if a.Name() != "rpm" {
			continue
		}
		facts, err := a.Analyze(context.Background(), inventory.File{Path: path, Size: int64(len(content)), ReaderAt: bytes.NewReader(content)})
		if err != nil {
			t.Fatal(err)
		}
		return facts.Packages
	}
	t.Fatal("no analyser of rpm databases")
	return nil
}
