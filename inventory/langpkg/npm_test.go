package langpkg

import (
	"archive/zip"
	"context"
	"fmt"
	"strings"
	"testing"

	"plimsoll"
)

func TestNPM01OnlyNamedVersionsUnderNodeModules(t *testing.T) {
	t.Parallel()
	for content, want := range map[string][]string{
		`{"name":"a","version":"1.2.3"}`:                                {"a 1.2.3"},
		`{"name":"@s/a","version":"v1.2.3"}`:                            {"@s/a 1.2.3"},
		`{"name":"a","version":"1.0.0-rc.1+build"}`:                     {"a 1.0.0-rc.1+build"},
		`{"name":"a","version":"1.0.0","private":true}`:                 nil,
		`{"type":"module"}`:                                             nil,
		`{"name":"a"}`:                                                  nil,
		`{"name":"a","Version":"1.0.0"}`:                                nil,
		`{"name":["a"],"version":1}`:                                    nil,
		`{"name":"` + strings.Repeat("a", 300) + `","version":"1.0.0"}`: nil,
		"\xef\xbb\xbf" + `{"name":"a","version":"1.0.0"}`:               {"a 1.0.0"},
	} {
		equal(t, brief(analyze(t, npm{}, "app/node_modules/a/package.json", content)), want)
	}
}

func TestNPMMetadata(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]plimsoll.Package{
		`"license":"MIT","author":"Ann <ann@example.org> (https://example.org)"`:                     {Licenses: []string{"MIT"}, Supplier: "Ann"},
		`"license":{"type":"BSD-3-Clause","url":"u"},"author":{"name":"Bo","email":"b@example.org"}`: {Licenses: []string{"BSD-3-Clause"}, Supplier: "Bo"},
		`"licenses":[{"type":"MIT"},{"type":"Apache-2.0"}]`:                                          {Licenses: []string{"MIT", "Apache-2.0"}},
		`"license":["MIT","ISC"]`: {Licenses: []string{"MIT", "ISC"}},
		`"license":false`:         {},
	} {
		want.Type, want.Name, want.Version = plimsoll.TypeNPM, "a", "1.0.0"
		want.Path, want.Evidence = "node_modules/a/package.json", plimsoll.EvidenceMetadata
		facts := analyze(t, npm{}, want.Path, `{"name":"a","version":"1.0.0",`+content+`}`)
		equal(t, facts.Packages, []plimsoll.Package{want})
	}
}

func TestNPM06BundledByPlace(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"usr/lib/node_modules/npm/package.json":                           "a 1.0.0",
		"usr/lib/node_modules/npm/node_modules/a/package.json":            "a 1.0.0 in npm",
		"app/node_modules/npm/node_modules/b/node_modules/a/package.json": "a 1.0.0 in npm",
		"app/node_modules/x/dist/node_modules/a/package.json":             "a 1.0.0 in x",
		"app/node_modules/@s/x/dist/node_modules/a/package.json":          "a 1.0.0 in @s/x",
		"app/node_modules/x/node_modules/a/package.json":                  "a 1.0.0",
	} {
		equal(t, brief(analyze(t, npm{}, path, `{"name":"a","version":"1.0.0"}`)), []string{want})
	}
}

func TestNPM03HiddenLockFile(t *testing.T) {
	t.Parallel()
	facts := analyze(t, npm{}, "app/node_modules/.package-lock.json", `{
  "name": "app", "lockfileVersion": 3, "requires": true,
  "packages": {
    "node_modules/jest": {"version": "29.7.0", "dev": true},
    "node_modules/lodash-old": {"name": "lodash", "version": "4.17.20"},
    "node_modules/outer": {"version": "1.0.0"},
    "node_modules/outer/node_modules/in": {"version": "1.0.0", "inBundle": true},
    "node_modules/outer/node_modules/in/node_modules/@s/deep": {"version": "1.0.0", "inBundle": true, "optional": true},
    "packages/local": {"dev": true},
    "packages/local/node_modules/tool": {"version": "1.0.0", "dev": true},
    "node_modules/../../etc": {"dev": true}
  }}`)
	equal(t, brief(facts), nil)
	equal(t, notes(facts), []string{
		"app/node_modules/jest/package.json dev",
		"app/node_modules/lodash-old/package.json alias lodash",
		"app/packages/local/node_modules/tool/package.json dev",
		"app/node_modules/outer/node_modules/in/package.json bundled outer",
		"app/node_modules/outer/node_modules/in/node_modules/@s/deep/package.json bundled outer",
	})
}

const pnp = `{"__info":["x"],"packageRegistryData":[[null,[[null,{"packageLocation":"./"}]]],
["app",[["workspace:.",{}]]],
["lodash",[["npm:4.17.21",{"packageLocation":"../.yarn/berry/cache/lodash.zip/"}]]],
["@s/peer",[["npm:1.0.0",{}],["virtual:0011#npm:1.0.0",{}],["virtual:2233#npm:1.0.0",{}]]],
["patched",[["patch:patched@npm%3A1.0.0#~builtin",{}]]]]}`

func TestNPM05PlugAndPlay(t *testing.T) {
	t.Parallel()
	want := []string{"@s/peer 1.0.0", "lodash 4.17.21"}
	equal(t, brief(analyze(t, npm{}, "app/.pnp.data.json", pnp)), want)
	script := "#!/usr/bin/env node\n\"use strict\";\n\nconst RAW_RUNTIME_STATE =\n'" + strings.ReplaceAll(pnp, "\n", "\\\n") + "';\n\nfunction $$SETUP_STATE(h,b){}"
	equal(t, brief(analyze(t, npm{}, "app/.pnp.cjs", script)), want)
	equal(t, brief(analyze(t, npm{}, "app/.pnp.cjs", "module.exports = {}")), nil)
}

func TestNPM05ArchivesOfTheCache(t *testing.T) {
	t.Parallel()
	const path = "app/.yarn/cache/lodash-npm-4.17.21-6382451519-eb835a2e51.zip"
	archive := zipOf(t, zip.Deflate, "node_modules/lodash/package.json", `{"name":"lodash","version":"4.17.21","license":"MIT"}`,
		"node_modules/lodash/fp/package.json", `{"name":"fp","version":"1.0.0"}`,
		"node_modules/lodash/node_modules/inner/package.json", `{"name":"inner","version":"2.0.0"}`)
	facts := analyze(t, npm{}, path, archive)
	equal(t, brief(facts), []string{"lodash 4.17.21", "inner 2.0.0"})
	equal(t, facts.Packages[0].Path, path+"!/node_modules/lodash/package.json")
	equal(t, facts.Packages[0].Licenses, []string{"MIT"})
	for what, content := range map[string]string{"no zip": "x", "not JSON": zipOf(t, zip.Store, "node_modules/a/package.json", "{"), "cut": archive[:len(archive)-30]} {
		if _, err := (npm{}).Analyze(context.Background(), file(path, content)); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
	var many []string
	for i := range maxYarnArchive + 1 {
		many = append(many, fmt.Sprintf("node_modules/a%d/package.json", i), `{"name":"a","version":"1.0.0"}`)
	}
	if _, err := (npm{}).Analyze(context.Background(), file(path, zipOf(t, zip.Store, many...))); plimsoll.CodeOf(err) == "" {
		t.Error("more packages than the limit and no error")
	}
}

func TestBrokenPackageJSONIsCorrupt(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", `{"name":"a",`, "\x00\x01", "not json"} {
		_, err := npm{}.Analyze(context.Background(), file("node_modules/a/package.json", content))
		if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// usualPackageJSON has the size and shape of most of a real tree's.
var usualPackageJSON = `{"name":"usual","version":"1.2.3","description":"` + strings.Repeat("words ", 10) + `","license":"MIT",
"author":{"name":"Ann","email":"ann@example.org"},"repository":{"type":"git","url":"https://example.org/usual.git"},"exports":{` +
	func() string {
		var b strings.Builder
		for i := range 20 {
			fmt.Fprintf(&b, `"./lib/part%d":{"import":"./esm/part%d.mjs","require":"./cjs/part%d.js"},`, i, i, i)
		}
		return b.String()
	}() + `"./package.json":"./package.json"},"dependencies":{"a":"^1.0.0","b":"~2.0.0"},"scripts":{"test":"node --test \"quoted\""}}`

func BenchmarkPackageJSON(b *testing.B) {
	f := file("app/node_modules/usual/package.json", usualPackageJSON)
	b.SetBytes(f.Size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (npm{}).Analyze(context.Background(), f); err != nil {
			b.Fatal(err)
		}
	}
}
