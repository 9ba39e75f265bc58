package ospkg

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/inventory"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// analyze runs the one analyser that wants path.
func analyze(t testing.TB, path string, content []byte) (inventory.Facts, error) {
	t.Helper()
	for _, a := range Analyzers() {
		if a.Wants(path) == inventory.Yes {
			return a.Analyze(context.Background(), fileOf(path, content))
		}
	}
	t.Fatalf("no analyser wants %s", path)
	return inventory.Facts{}, nil
}

func fileOf(path string, content []byte) inventory.File {
	return inventory.File{Path: path, Size: int64(len(content)), ReaderAt: bytes.NewReader(content)}
}

// mustAnalyze expects neither an error nor a problem.
func mustAnalyze(t testing.TB, path string, content []byte) inventory.Facts {
	t.Helper()
	facts, err := analyze(t, path, content)
	if err != nil || len(facts.Problems) > 0 {
		t.Fatalf("%s: error %v, problems %v", path, err, facts.Problems)
	}
	return facts
}

// fixture returns a file of testdata, unpacked when its name ends in .zst.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, ".zst") {
		return b
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if b, err = z.DecodeAll(b, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

// summary prints the facts one package a line, for golden files.
func summary(facts inventory.Facts) string {
	var b strings.Builder
	for _, p := range facts.Packages {
		fmt.Fprintf(&b, "%s %s %s source=%s/%s", p.Name, p.Version, p.Arch, p.Source.Name, p.Source.Version)
		for _, field := range []struct{ key, value string }{
			{"module", p.Module}, {"licenses", strings.Join(p.Licenses, "|")}, {"supplier", p.Supplier}, {"origin", p.Origin}, {"root", p.Root},
		} {
			if field.value != "" {
				fmt.Fprintf(&b, " %s=%q", field.key, field.value)
			}
		}
		b.WriteByte('\n')
	}
	paths := 0
	for _, o := range facts.Owns {
		paths += len(o.Paths)
	}
	fmt.Fprintf(&b, "%d packages, %d owned paths\n", len(facts.Packages), paths)
	return b.String()
}

func owned(facts inventory.Facts) map[string][]string {
	m := make(map[string][]string)
	for _, o := range facts.Owns {
		m[o.Package] = append(m[o.Package], o.Paths...)
	}
	return m
}

func TestIMG22DatabasesAreFoundUnderAnyRoot(t *testing.T) {
	tests := map[string]string{ // path to analyser and root
		"var/lib/dpkg/status":                      "dpkg in ",
		"srv/chroot/var/lib/dpkg/status":           "dpkg in srv/chroot",
		"lib/dpkg/status":                          "dpkg in ",
		"opt/x/lib/dpkg/status":                    "dpkg in opt/x",
		"var/lib/dpkg/status.d/libc6":              "dpkg in ",
		"var/lib/dpkg/status.d/libc6.md5sums":      "dpkg-files in ",
		"usr/lib/opkg/status":                      "dpkg in ",
		"var/lib/dpkg/status-old":                  "",
		"xvar/lib/dpkg/status":                     "dpkg in xvar",
		"var/xlib/dpkg/status":                     "",
		"var/lib/dpkg/info/libc6:amd64.list":       "dpkg-files in ",
		"a/var/lib/dpkg/info/zlib1g.list":          "dpkg-files in a",
		"var/lib/dpkg/info/libc6.postinst":         "",
		"usr/share/doc/libc6/copyright":            "dpkg-copyright in ",
		"usr/share/doc/libc6/x/copyright":          "",
		"lib/apk/db/installed":                     "apk in ",
		"usr/lib/apk/db/installed":                 "apk in ",
		"rootfs/lib/apk/db/installed":              "apk in rootfs",
		"var/lib/rpm/Packages":                     "rpm in ",
		"usr/lib/sysimage/rpm/Packages.db":         "rpm in ",
		"usr/share/rpm/rpmdb.sqlite":               "rpm in ",
		"b/usr/share/rpm/rpmdb.sqlite":             "rpm in b",
		"var/lib/rpm/rpmdb.sqlite-wal":             "rpm-wal in ",
		"var/lib/rpm/Name":                         "",
		"home/u/Packages":                          "",
		"var/lib/rpmmanifest/container-manifest-2": "rpm-manifest in ",
		"var/lib/pacman/local/zlib-1:1.3-1/desc":   "alpm in ",
		"var/lib/pacman/local/ALPM_DB_VERSION":     "",
		"var/lib/chisel/manifest.wall":             "chisel in ",
		"nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8/lib/libc.so.6": "nix in ",
		"snap/core20/2318/meta/snap.yaml":                                       "snap in ",
		"etc/os-release":                                                        "os-release in ",
		"usr/lib/os-release":                                                    "os-release in ",
		"srv/chroot/usr/lib/os-release":                                         "os-release in srv/chroot",
		"usr/etc/redhat-release":                                                "os-release in ",
		"etc/debian_version":                                                    "os-release in ",
		"opt/os-release":                                                        "",
		"usr/local/lib/python3/site-packages/etcd/etc-release":                  "",
	}
	roots := map[string]func(string) string{
		"dpkg":           func(p string) string { r, _, _ := dpkgDatabase(p); return r },
		"dpkg-files":     func(p string) string { r, _, _ := dpkgFileList(p); return r },
		"dpkg-copyright": func(p string) string { r, _, _ := copyrightOf(p); return r },
		"apk":            func(p string) string { r, _ := apkDatabase(p); return r },
		"rpm":            func(p string) string { r, _ := rpmDatabase(p); return r },
		"rpm-wal":        func(p string) string { d, _ := split(p); r, _ := rpmRoot(d); return r },
		"rpm-manifest":   func(p string) string { r, _ := cutRoot(p, rpmManifestPath); return r },
		"alpm":           func(p string) string { r, _, _, _ := alpmEntry(p); return r },
		"nix":            func(string) string { return "" },
		"snap":           func(string) string { return "" },
		"chisel":         func(p string) string { r, _ := cutRoot(p, "var/lib/chisel/manifest.wall"); return r },
		"os-release":     func(p string) string { r, _, _ := identityFile(p); return r },
	}
	for path, want := range tests {
		got := ""
		for _, a := range Analyzers() {
			if a.Wants(path) != inventory.No {
				if got != "" {
					t.Errorf("%s is wanted twice", path)
				}
				got = a.Name() + " in " + roots[a.Name()](path)
			}
			if n := testing.AllocsPerRun(10, func() { a.Wants(path) }); n > 0 {
				t.Errorf("%s.Wants(%s) allocates", a.Name(), path)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestAnalyzersAreDistinct(t *testing.T) {
	seen := make(map[string]bool)
	for _, a := range Analyzers() {
		if seen[a.Name()] || a.Version() < 1 {
			t.Errorf("analyser %s version %d", a.Name(), a.Version())
		}
		seen[a.Name()] = true
	}
}

// checkFacts is the oracle of the fuzz targets: whatever the input, what comes
// out is within the limits and fit to be kept.
func checkFacts(t *testing.T, facts inventory.Facts, err error) {
	t.Helper()
	if err != nil && plimsoll.CodeOf(err) == plimsoll.CodeInternal {
		t.Errorf("error without a code: %v", err)
	}
	for _, p := range facts.Packages {
		if p.Name == "" || p.Version == "" || len(p.Name) > maxName || len(p.Version) > maxName {
			t.Errorf("package %q %q", p.Name, p.Version)
		}
		for _, s := range append(p.Licenses, p.Name, p.Version, p.Arch, p.Source.Name, p.Source.Version, p.Module, p.Supplier, p.Origin) {
			if strings.ToValidUTF8(s, "") != s || len(s) > 3*maxField {
				t.Errorf("field %q of package %s", s, p.Name)
			}
		}
	}
	for _, o := range facts.Owns {
		for _, path := range o.Paths {
			if !inventory.MayOwn(path) || path[0] == '/' {
				t.Errorf("owned path %q", path)
			}
		}
	}
	for _, p := range facts.Problems {
		if p.Code == "" || p.Detail == "" {
			t.Errorf("problem without code or detail: %+v", p)
		}
	}
}

func fuzzFile(f *testing.F, path string) {
	f.Fuzz(func(t *testing.T, content []byte) {
		facts, err := analyze(t, path, content)
		checkFacts(t, facts, err)
	})
}
