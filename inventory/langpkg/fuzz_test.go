package langpkg

import (
	"archive/zip"
	"context"
	"testing"
	"unicode/utf8"

	"plimsoll"
	"plimsoll/inventory"
)

// fuzz feeds bytes to one analyser under each of the paths. Whatever they are,
// there is no panic, errors have a code, and what comes out is identified, valid
// and bounded.
func fuzz(f *testing.F, a inventory.Analyzer, paths []string, seeds ...string) {
	for i := range paths {
		for _, s := range seeds {
			f.Add(i, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		path := paths[uint(which)%uint(len(paths))]
		facts, err := a.Analyze(context.Background(), file(path, string(data)))
		if err != nil && plimsoll.CodeOf(err) == plimsoll.CodeInternal {
			t.Errorf("error without a code: %v", err)
		}
		for _, p := range facts.Packages {
			q := p
			if !identified(&q) || q.Name != p.Name || q.Version != p.Version || p.Type == "" || p.Evidence == "" || p.Path == "" {
				t.Errorf("package %+v", p)
			}
			for _, s := range append([]string{p.Name, p.Version, p.Supplier, p.Origin, p.Bundled, p.Arch}, p.Licenses...) {
				if !utf8.ValidString(s) || len(s) > maxOrigin {
					t.Errorf("text %q", s)
				}
			}
		}
		for _, n := range facts.Notes {
			if n.Path == "" || n.Key == "" || !utf8.ValidString(n.Value) {
				t.Errorf("note %+v", n)
			}
		}
		for _, p := range facts.Problems {
			if p.Code == "" || p.Detail == "" {
				t.Errorf("problem %+v", p)
			}
		}
	})
}

func FuzzPython(f *testing.F) {
	fuzz(f, python{}, []string{"a-1.dist-info/METADATA", "a-1-py3.egg-info", "a.dist-info/direct_url.json"}, metadata,
		`{"url":"https://u:p@example.org/r.git","vcs_info":{"vcs":"git","commit_id":"abc"}}`, `{"url":"file:///src","dir_info":{"editable":true}}`)
}

func FuzzNPM(f *testing.F) {
	fuzz(f, npm{}, []string{"node_modules/a/package.json", "node_modules/.package-lock.json", ".pnp.data.json", ".pnp.cjs", ".yarn/cache/a.zip"}, usualPackageJSON, pnp,
		`{"packages":{"node_modules/a":{"dev":true},"node_modules/a/node_modules/b":{"inBundle":true,"name":"c"}}}`, "const RAW_RUNTIME_STATE =\n'"+`{"packageRegistryData":[]}';`,
		zipOf(f, zip.Deflate, "node_modules/a/package.json", usualPackageJSON))
}

func FuzzJar(f *testing.F) {
	name, content := pom("org.a", "alpha", "1.0")
	inner := jar(f, name, content)
	fuzz(f, java{}, []string{"alpha-1.0.jar", "app.war"}, inner, zipOf(f, zip.Deflate, "lib/a.jar", inner, "META-INF/MANIFEST.MF", "Implementation-Version: 1.0\n"),
		jar(f, "lib/a.jar", inner, "META-INF/sbom/application.cdx.json", `{"components":[{"purl":"pkg:maven/a/b@1"}]}`), directoryOf(3),
		jar(f, "x/com/alibaba/fastjson/JSON.class", class("1.2.3")), jar(f, "log4j/core/LoggerContext.class", ""))
}

func FuzzExecutable(f *testing.F) {
	fuzz(f, executable{}, []string{"usr/bin/nginx", "usr/lib/libpython3.12.so.1.0", "x.exe"}, elfOf(".rodata", "nginx/1.2.3\x003.12.1\x00"),
		elfOf(".dep-v0", compressed(`{"packages":[{"name":"a","version":"1","source":"crates.io"}]}`)), elfOf(".go.buildinfo", "\xff Go buildinf:\x08\x02"), "MZ", bundleOf(depsJSON, nil))
}

func FuzzRecords(f *testing.F) {
	type entry struct {
		a    inventory.Analyzer
		path string
	}
	entries := []entry{{dotnet{}, "a.deps.json"}, {composer{}, "composer/installed.json"}, {gem{}, "specifications/a-1.gemspec"},
		{conda{}, "conda-meta/a.json"}, {erlang{}, "ebin/a.app"}, {erlang{}, "releases/1/OTP_VERSION"}, {cran{}, "library/a/DESCRIPTION"},
		{cpan{}, ".meta/a/install.json"}, {sbom{}, "bom.json"}, {jdk{}, "jdk/release"}, {dotnet{}, "a.dll"},
		{dart{}, "dart/version"}, {dart{}, "hosted/pub.dev/a-1/pubspec.yaml"}, {haskell{}, "x/package.db/a.conf"}, {swift{}, ".build/workspace-state.json"}}
	var paths []string
	byPath := map[string]inventory.Analyzer{}
	for _, e := range entries {
		paths, byPath[e.path] = append(paths, e.path), e.a
	}
	fuzz(f, dispatch(byPath), paths, depsJSON, gemspec, `{"packages":[{"name":"a/b","version":"1"}],"dev-package-names":["a/b"]}`,
		`{application, a, [{vsn, "1"}]}.`, "Package: a\nVersion: 1\nBuilt: x\n", `{"components":[{"purl":"pkg:npm/a@1"}]}`, "JAVA_VERSION=\"17\"\n",
		assemblyOf(true, "ProductVersion", "1.2.3"), "name: a\nversion: 1\n", `{"object":{"dependencies":[{"packageRef":{"location":"https://a/b"},"state":{"checkoutState":{"version":"1.0.0"}}}]}}`)
}

// dispatch is one analyser for several, by path.
type dispatch map[string]inventory.Analyzer

func (dispatch) Name() string                { return "dispatch" }
func (dispatch) Version() int                { return 1 }
func (dispatch) Wants(string) inventory.Want { return inventory.Yes }
func (d dispatch) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	return d[f.Path].Analyze(ctx, f)
}
