package langpkg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/inventory"
)

var _ = [...]inventory.Analyzer{python{}, npm{}, java{}, jdk{}, executable{}, dotnet{}, composer{}, gem{}, conda{}, erlang{}, cran{}, cpan{}, luarocks{}, dart{}, haskell{}, swift{}, sbom{}}

func file(path, content string) inventory.File {
	return inventory.File{Path: path, Size: int64(len(content)), Mode: 0o644, ReaderAt: strings.NewReader(content)}
}

// analyze runs a on a file that it must want, and requires success.
func analyze(t *testing.T, a inventory.Analyzer, path, content string) inventory.Facts {
	t.Helper()
	if a.Wants(path) == inventory.No {
		t.Fatalf("%s does not want %s", a.Name(), path)
	}
	facts, err := a.Analyze(context.Background(), file(path, content))
	if err != nil {
		t.Fatalf("%s of %s: %v", a.Name(), path, err)
	}
	return facts
}

// brief renders packages as "name version" and what else is remarkable.
func brief(facts inventory.Facts) (out []string) {
	for _, p := range facts.Packages {
		s := p.Name + " " + p.Version
		if p.Dev {
			s += " dev"
		}
		if p.Bundled != "" {
			s += " in " + p.Bundled
		}
		out = append(out, s)
	}
	return out
}

func notes(facts inventory.Facts) (out []string) {
	for _, n := range facts.Notes {
		out = append(out, strings.TrimSpace(n.Path+" "+string(n.Key)+" "+n.Value))
	}
	return out
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAnalyzersAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, a := range Analyzers() {
		if seen[a.Name()] || a.Version() < 1 {
			t.Errorf("analyzer %q: repeated name or no version", a.Name())
		}
		seen[a.Name()] = true
	}
}

// wantCases are paths with the analyser that reads them; "" for none.
var wantCases = []struct{ path, analyzer string }{
	{"usr/lib/python3/dist-packages/six-1.16.0.egg-info", "python"},
	{"usr/local/lib/python3.12/site-packages/six-1.16.0.dist-info/METADATA", "python"},
	{"usr/local/lib/python3.12/site-packages/six-1.16.0.dist-info/RECORD", ""},
	{"opt/x/SIX.DIST-INFO/METADATA", "python"},
	{"usr/lib/python3.12/test/test_importlib/data/example-21.12-py3.6.egg", ""},
	{"usr/lib/python3.12/site-packages/tests/fixtures/foo.dist-info/METADATA", ""},
	{"srv/tests/venv/lib/python3.12/site-packages/six.dist-info/METADATA", "python"},
	{"app/node_modules/a/package.json", "npm"},
	{"app/node_modules/@s/n/package.json", "npm"},
	{"app/node_modules/a/node_modules/b/package.json", "npm"},
	{"app/package.json", ""},
	{"app/node_modules/a/test/fixtures/package.json", ""},
	{"app/node_modules/a/lib/package.json", ""},
	{"app/node_modules/@s/package.json", ""},
	{"app/node_modules/package.json", ""},
	{"app/my_node_modules/a/package.json", ""},
	{"app/node_modules/a/test/node_modules/b/package.json", ""},
	{"app/node_modules/a/vendor/node_modules/b/package.json", "npm"},
	{"app/node_modules/.cache/a/package.json", ""},
	{"app/node_modules/.pnpm/a@1.0.0_b@2.0.0/node_modules/a/package.json", "npm"},
	{"app/node_modules/.pnpm/a@1.0.0/node_modules/@s/b/package.json", "npm"},
	{"app/node_modules/.store/a-npm-1.0.0-0123/package/package.json", "npm"},
	{"usr/lib/node_modules/npm/node_modules/semver/package.json", "npm"},
	{"usr/share/nodejs/acorn/package.json", "npm"},
	{"usr/share/nodejs/acorn/dist/package.json", ""},
	{"opt/yarn-v1.22.22/package.json", "npm"},
	{"app/node_modules/.package-lock.json", "npm"},
	{"app/package-lock.json", ""},
	{"app/.pnp.cjs", "npm"},
	{"app/lib/x.jar", "java"},
	{"app/lib/X.WAR", "java"},
	{"app/x.lpkg", "java"},
	{"app/x.jarx", ""},
	{"usr/lib/jvm/temurin-17/release", "jdk binary"},
	{"etc/release", ""},
	{"usr/bin/kubectl", "binary"},
	{"usr/lib/libcrypto.so.3", "binary"},
	{"usr/local/bin/python3.12", "binary"},
	{"opt/tool-1.2.3-linux-amd64", "binary"},
	{"app/node_modules/esbuild/bin/esbuild", "binary"},
	{"app/README.md", ""},
	{"app/LICENSE", ""},
	{"app/.gitignore", ""},
	{"etc/passwd", ""},
	{"usr/share/doc/x/copyright", ""},
	{"usr/share/zoneinfo/Europe/Berlin", ""},
	{"usr/share/filebeat/filebeat", "binary"},
	{"app/App.deps.json", "dotnet"},
	{"app/vendor/composer/installed.json", "composer"},
	{"usr/local/lib/ruby/gems/3.2.0/specifications/rake-13.0.6.gemspec", "gem"},
	{"usr/local/lib/ruby/gems/3.2.0/specifications/default/json-2.6.3.gemspec", "gem"},
	{"usr/local/lib/ruby/gems/3.2.0/gems/rake-13.0.6/rake.gemspec", ""},
	{"opt/conda/conda-meta/numpy-1.26.0-py311_0.json", "conda"},
	{"app/lib/cowboy-2.9.0/ebin/cowboy.app", "erlang"},
	{"usr/local/lib/R/site-library/jsonlite/DESCRIPTION", "cran"},
	{"usr/local/lib/perl5/x86_64/.meta/JSON-4.10/install.json", "cpan"},
	{"usr/local/lib/luarocks/rocks-5.1/luasocket/3.0-1/rock_manifest", "binary luarocks"},
	{"root/.pub-cache/hosted/pub.dev/http-1.2.0/pubspec.yaml", "dart"},
	{"app/pubspec.yaml", ""},
	{"usr/lib/dart/version", "binary dart"},
	{"usr/lib/ghc/lib/package.conf.d/bytestring-0.11.5.2.conf", "haskell"},
	{"root/.cabal/store/ghc-9.4.7/package.db/aeson-2.2.1.0-0123.conf", "haskell"},
	{"etc/bytestring.conf", ""},
	{"app/.build/workspace-state.json", "swift"},
	{"app/Package.resolved", ""},
	{"app/.yarn/cache/lodash-npm-4.17.21-6382451519-eb835a2e51.zip", "npm"},
	{"root/.yarn/berry/cache/lodash-npm-4.17.21-6382451519-10c0.zip", "npm"},
	{"app/archive.zip", ""},
	{"app/Newtonsoft.Json.dll", "dotnet"},
	{"app/de/App.resources.dll", ""},
	{"app/bom.json", "sbom"},
	{"opt/bitnami/redis/.spdx-redis.spdx", "sbom"},
	{"app/node_modules/x/sbom.json", ""},
	{"", ""},
	{"x", "binary"},
}

func TestWants(t *testing.T) {
	t.Parallel()
	for _, c := range wantCases {
		var got string
		for _, a := range Analyzers() {
			if a.Wants(c.path) != inventory.No {
				got += " " + a.Name()
			}
		}
		if got = strings.TrimPrefix(got, " "); got != c.analyzer {
			t.Errorf("%s: wanted by %q, not by %q", c.path, got, c.analyzer)
		}
	}
}

// What a lock file asks for need not be installed: without the tree it counts for
// nothing.
func TestNPM07LockFilesAreNotRead(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"app/package-lock.json", "app/npm-shrinkwrap.json", "app/yarn.lock", "app/pnpm-lock.yaml"} {
		for _, a := range Analyzers() {
			if a.Wants(path) != inventory.No {
				t.Errorf("%s wants %s", a.Name(), path)
			}
		}
	}
}

func TestWantsDoesNotAllocate(t *testing.T) {
	list := Analyzers()
	if n := testing.AllocsPerRun(10, func() {
		for _, c := range wantCases {
			for _, a := range list {
				a.Wants(c.path)
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWants(b *testing.B) {
	list := Analyzers()
	for b.Loop() {
		for _, c := range wantCases {
			for _, a := range list {
				a.Wants(c.path)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(wantCases)), "ns/path")
}

func TestTooLargeFileIsALimit(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{maxText, maxText + 1} {
		f := inventory.File{Path: "node_modules/a/package.json", Size: size, ReaderAt: strings.NewReader(`{"name":"a","version":"1.0.0"}` + strings.Repeat(" ", int(size)))}
		_, err := npm{}.Analyze(context.Background(), f)
		if got, want := plimsoll.CodeOf(err) == plimsoll.CodeLimit, size > maxText; got != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk on fire") }

func TestUnreadableFileIsAnErrorWithACode(t *testing.T) {
	t.Parallel()
	for _, c := range wantCases {
		for _, a := range Analyzers() {
			if a.Wants(c.path) == inventory.No || a.Name() == "luarocks" || strings.HasSuffix(c.path, "/pubspec.yaml") {
				continue
			}
			_, err := a.Analyze(context.Background(), inventory.File{Path: c.path, Size: 1000, ReaderAt: failingReader{}})
			if err == nil || plimsoll.CodeOf(err) == plimsoll.CodeInternal {
				t.Errorf("%s of %s: %v (%s)", a.Name(), c.path, err, plimsoll.CodeOf(err))
			}
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" a ":                    "a",
		"a\x1b[31mb":             "a [31mb",
		"a\xffb":                 "a\uFFFDb",
		"x\x00":                  "x",
		"ab\u00fccd":             "ab\u00fccd",
		"\u202eevil":             "\u202eevil", // escaped where it is shown
		"line\nline":             "line line",
		"\xc3":                   "\uFFFD",
		strings.Repeat("é", 200): strings.Repeat("é", 128),
	} {
		if got := text(in, 256); got != want {
			t.Errorf("text(%q) = %q, not %q", in, got, want)
		}
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{}`:                             "",
		` { "a" : 1 , "b":[{"}":"]"}] }`: `a=1;b=[{"}":"]"}];`,
		`{"a\u0062":"x\"y\\"}`:           `ab="x\"y\\";`,
		"\xef\xbb\xbf{\"a\":null}":       "a=null;",
		`{"a":1,}`:                       "error",
		`{"a":1`:                         "error",
		`{"a"}`:                          "error",
		`{"a":}`:                         "error",
		`{"a":,"b":1}`:                   "error",
		`{a:1}`:                          "error",
		`{"a":"x}`:                       "error",
		`[1]`:                            "error",
		``:                               "error",
		`{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`: "error",
	} {
		var got bytes.Buffer
		if err := members([]byte(in), func(k string, v []byte) error {
			io.WriteString(&got, k+"="+string(v)+";")
			return nil
		}); err != nil {
			got.Reset()
			got.WriteString("error")
		}
		if got.String() != want {
			t.Errorf("%.40s: %q, not %q", in, got.String(), want)
		}
	}
}
