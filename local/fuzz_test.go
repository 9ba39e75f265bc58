package local

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// fuzzedPaths are paths under which FuzzAnalyzers feeds bytes to whoever wants
// them: at least one for each analyser.
var fuzzedPaths = []string{
	"etc/os-release", "etc/redhat-release", "etc/debian_version", "etc/lsb-release", "etc/system-release-cpe",
	"var/lib/dpkg/status", "var/lib/dpkg/status.d/p", "var/lib/dpkg/info/p.list", "usr/share/doc/p/copyright", "var/lib/chisel/manifest.wall",
	"lib/apk/db/installed", "var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite-wal",
	"var/lib/rpmmanifest/container-manifest-2", "root/buildinfo/content_manifests/a.json", "var/lib/pacman/local/p-1-1/desc", "var/lib/pacman/local/p-1-1/files",
	"nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8/lib/libc.so.6", "snap/core20/2318/meta/snap.yaml", "var/lib/snapd/snaps/core20_2318.snap",
	"a-1.dist-info/METADATA", "a-1.egg", "a.dist-info/direct_url.json", "node_modules/a/package.json", "node_modules/.package-lock.json", ".pnp.cjs", "a.jar",
	"opt/jdk/release", "usr/bin/a", "usr/lib/libpython3.12.so.1.0", "a.deps.json", "a.dll", "vendor/composer/installed.json", "specifications/a-1.gemspec", "conda-meta/a.json",
	"usr/lib/erlang/lib/a-1/ebin/a.app", "usr/lib/R/library/a/DESCRIPTION", "usr/share/perl5/.meta/a-1/install.json", "usr/lib/luarocks/rocks-5.1/a/1-1/rock_manifest",
	"usr/lib/dart/version", "root/.pub-cache/hosted/pub.dev/a-1/pubspec.yaml", "x/package.db/a.conf", ".build/workspace-state.json", "usr/share/sbom/a.cdx.json", "opt/bitnami/a/.spdx-a.spdx",
}

// An analyser that nobody fuzzes is one that the first hostile image does.
func TestEveryAnalyzerIsFuzzed(t *testing.T) {
	for _, a := range Analyzers() {
		if !slices.ContainsFunc(fuzzedPaths, func(path string) bool { return a.Wants(path) != inventory.No }) {
			t.Errorf("%s wants none of the paths of FuzzAnalyzers: add one", a.Name())
		}
	}
	for _, path := range fuzzedPaths {
		if !slices.ContainsFunc(Analyzers(), func(a inventory.Analyzer) bool { return a.Wants(path) != inventory.No }) {
			t.Errorf("no analyser wants %s", path)
		}
	}
}

// FuzzAnalyzers feeds one file, and another as each of its siblings, to all
// analysers that want its path. Whatever they hold: no panic, errors have a code,
// and what comes out is text within bounds. Targets with a format's own seeds are
// beside the analysers.
func FuzzAnalyzers(f *testing.F) {
	analyzers := Analyzers()
	for i := range fuzzedPaths {
		for _, seed := range []string{"", "{}", "[[[", "a: 1\nb: 2\n", "ID=x\nVERSION_ID=1\n", "\x7fELF\x02\x01\x01", "PK\x05\x06" + strings.Repeat("\x00", 18), "\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00", `{"name":"a","version":"1"}`} {
			f.Add(uint8(i), []byte(seed), []byte{})
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content, sibling []byte) {
		file := inventory.File{Path: fuzzedPaths[int(which)%len(fuzzedPaths)], Size: int64(len(content)), Mode: 0o755, ReaderAt: bytes.NewReader(content)}
		file.Sibling = func(string) (*layerfs.File, error) {
			if len(sibling) == 0 {
				return nil, fs.ErrNotExist
			}
			return &layerfs.File{ReaderAt: bytes.NewReader(sibling), Size: int64(len(sibling))}, nil
		}
		for _, a := range analyzers {
			if a.Wants(file.Path) == inventory.No {
				continue
			}
			facts, err := a.Analyze(t.Context(), file)
			if err != nil && plimsoll.CodeOf(err) == plimsoll.CodeInternal {
				t.Errorf("%s: an error without a code: %v", a.Name(), err)
			}
			const most = 64 << 10
			for _, p := range facts.Packages {
				if p.Type == "" || p.Name == "" || p.Version == "" {
					t.Errorf("%s: package %+v", a.Name(), p)
				}
				for _, s := range append([]string{p.Name, p.Version, p.Arch, p.Source.Name, p.Source.Version, p.Module, p.Supplier, p.Origin, p.Bundled, p.Remark}, p.Licenses...) {
					if !utf8.ValidString(s) || len(s) > most {
						t.Errorf("%s: text %.200q", a.Name(), s)
					}
				}
			}
			for _, o := range facts.Owns {
				if slices.ContainsFunc(o.Paths, func(path string) bool { return path == "" || path[0] == '/' }) {
					t.Errorf("%s: owns %q", a.Name(), o.Paths)
				}
			}
			for _, n := range facts.Notes {
				if n.Key == "" || !utf8.ValidString(n.Value) || len(n.Value) > most {
					t.Errorf("%s: note %+v", a.Name(), n)
				}
			}
			for _, p := range facts.Problems {
				if p.Code == "" || p.Detail == "" {
					t.Errorf("%s: problem %+v", a.Name(), p)
				}
			}
		}
	})
}
