package langpkg

import (
	"context"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/inventory"
)

// Shapes after dotnet publish; names and versions are facts.
const depsJSON = `{
  "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0/linux-x64", "signature": ""},
  "targets": {
    ".NETCoreApp,Version=v8.0": {},
    ".NETCoreApp,Version=v8.0/linux-x64": {
      "App/1.0.0": {"dependencies": {"Newtonsoft.Json": "13.0.3"}, "runtime": {"App.dll": {}}},
      "Newtonsoft.Json/13.0.3": {"runtime": {"lib/net6.0/Newtonsoft.Json.dll": {"assemblyVersion": "13.0.0.0"}}},
      "Ref.Only/1.0.0": {"compile": {"ref/net6.0/Ref.Only.dll": {}}},
      "Placeholder/2.0.0": {"runtime": {"lib/net6.0/_._": {}}},
      "Native.Lib/3.0.0": {"runtimeTargets": {"runtimes/linux-x64/native/x.so": {"rid": "linux-x64"}}},
      "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.11": {"runtime": {"System.Private.CoreLib.dll": {}}}
    }
  },
  "libraries": {
    "App/1.0.0": {"type": "project"},
    "Newtonsoft.Json/13.0.3": {"type": "package", "sha512": "x"},
    "Ref.Only/1.0.0": {"type": "package"},
    "Placeholder/2.0.0": {"type": "package"},
    "Native.Lib/3.0.0": {"type": "package"},
    "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.11": {"type": "runtimepack"}
  }}`

func TestNET01DeployedLibraries(t *testing.T) {
	t.Parallel()
	equal(t, brief(analyze(t, dotnet{}, "app/App.deps.json", depsJSON)), []string{
		"Newtonsoft.Json 13.0.3", "Native.Lib 3.0.0", "Microsoft.NETCore.App.Runtime.linux-x64 8.0.11"})
	equal(t, brief(analyze(t, dotnet{}, "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.11/Microsoft.NETCore.App.deps.json", `{"targets":{},"libraries":{}}`)),
		[]string{"Microsoft.NETCore.App 8.0.11"})
	equal(t, brief(analyze(t, dotnet{}, "wp-includes/editor.deps.json", `["lodash","react"]`)), nil)
}

func TestPHP01InstalledJSON(t *testing.T) {
	t.Parallel()
	packages := `[{"name":"monolog/monolog","version":"2.9.1","license":["MIT"],"authors":[{"name":"Ann"}]},
	{"name":"phpunit/phpunit","version":"v9.6.0"},{"name":"acme/branch","version":"dev-main"},{"name":"noversion/x"}]`
	for content, want := range map[string][]string{
		packages: {"monolog/monolog 2.9.1", "phpunit/phpunit v9.6.0", "acme/branch dev-main"},
		`{"packages":` + packages + `,"dev":true,"dev-package-names":["phpunit/phpunit"]}`: {"monolog/monolog 2.9.1", "phpunit/phpunit v9.6.0 dev", "acme/branch dev-main"},
		`{"dev-package-names":["phpunit/phpunit"],"packages":` + packages + `}`:            {"monolog/monolog 2.9.1", "phpunit/phpunit v9.6.0 dev", "acme/branch dev-main"},
		`{"packages":[]}`: nil,
		`[]`:              nil,
	} {
		facts := analyze(t, composer{}, "app/vendor/composer/installed.json", content)
		equal(t, brief(facts), want)
		if len(want) > 0 {
			equal(t, facts.Packages[0].Licenses, []string{"MIT"})
			equal(t, facts.Packages[0].Supplier, "Ann")
		}
	}
}

const gemspec = `# -*- encoding: utf-8 -*-
# stub: nokogiri 1.15.4 x86_64-linux lib

Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.15.4"
  s.platform = "x86_64-linux".freeze
  s.authors = ["Ann".freeze, "Bo".freeze]
  s.files = ["a".freeze]
  s.licenses = ["MIT".freeze, "Apache-2.0".freeze]
end
`

func TestRB01Gemspecs(t *testing.T) {
	t.Parallel()
	dir := "usr/local/bundle/specifications/"
	facts := analyze(t, gem{}, dir+"nokogiri-1.15.4-x86_64-linux.gemspec", gemspec)
	equal(t, facts.Packages, []plimsoll.Package{{Type: plimsoll.TypeGem, Name: "nokogiri", Version: "1.15.4", Licenses: []string{"MIT", "Apache-2.0"},
		Supplier: "Ann", Path: dir + "nokogiri-1.15.4-x86_64-linux.gemspec", Evidence: plimsoll.EvidenceMetadata}})
	equal(t, brief(analyze(t, gem{}, dir+"default/json-2.6.3.gemspec", "# stub: json 2.6.3 ruby lib\n")), []string{"json 2.6.3 in ruby"})
	for base, want := range map[string]string{
		"nokogiri-1.15.4-x86_64-linux": "nokogiri 1.15.4",
		"net-http-persistent-4.0.2":    "net-http-persistent 4.0.2",
		"rails-7.1.0.rc1":              "rails 7.1.0.rc1",
	} {
		equal(t, brief(analyze(t, gem{}, dir+base+".gemspec", "")), []string{want})
	}
	equal(t, analyze(t, gem{}, dir+"x.gemspec", "").Problems[0].Code, plimsoll.ProblemUnidentified)
	equal(t, brief(analyze(t, gem{}, dir+"a-1.gemspec", "Gem::Specification.new do |s|\n  s.name = \"a\"\n  s.version = \"1\"\n  s.files = [\""+strings.Repeat("x", maxGemspec))), []string{"a 1"})
}

func TestSmallRecords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a             inventory.Analyzer
		path, content string
		want          string
	}{
		{conda{}, "opt/conda/conda-meta/numpy-1.26.0-py311_0.json", `{"build":"py311_0","name":"numpy","version":"1.26.0","license":"BSD-3-Clause","subdir":"linux-64","files":["a"]}`, "numpy 1.26.0"},
		{conda{}, "opt/conda/conda-meta/pinned.json", `{}`, ""},
		{erlang{}, "app/lib/cowboy-2.9.0/ebin/cowboy.app", "{application, 'cowboy', [\n\t{description, \"Small\"},\n\t{vsn, \"2.9.0\"},\n\t{modules, []}]}.", "cowboy 2.9.0"},
		{erlang{}, "usr/local/lib/erlang/lib/ssl-11.0/ebin/ssl.app", `{application, ssl, [{vsn, "11.0"}]}.`, "ssl 11.0 in erlang"},
		{erlang{}, "usr/local/lib/erlang/releases/26/OTP_VERSION", "26.2.1\n", "erlang 26.2.1"},
		{erlang{}, "x/ebin/x.app", "garbage", ""},
		{cran{}, "usr/local/lib/R/site-library/jsonlite/DESCRIPTION", "Package: jsonlite\nVersion: 1.8.8\nLicense: MIT + file LICENSE\nBuilt: R 4.3.2; x86_64\n", "jsonlite 1.8.8"},
		{cran{}, "usr/lib/R/library/stats/DESCRIPTION", "Package: stats\nVersion: 4.3.2\nPriority: base\nBuilt: R 4.3.2\n", "stats 4.3.2 in R"},
		{cran{}, "src/library/x/DESCRIPTION", "Package: x\nVersion: 1.0\n", ""},
		{cpan{}, "usr/local/lib/perl5/x/.meta/JSON-4.10/install.json", `{"name":"JSON","version":"4.10","dist":"JSON-4.10","target":"JSON"}`, "JSON 4.10"},
		{cpan{}, "usr/local/lib/perl5/x/.meta/LWP-6/install.json", `{"name":"LWP","version":6.72,"dist":"libwww-perl-6.72"}`, "libwww-perl 6.72"},
		{luarocks{}, "usr/local/lib/luarocks/rocks-5.1/luasocket/3.0.0-1/rock_manifest", "", "luasocket 3.0.0-1"},
	} {
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		facts := analyze(t, c.a, c.path, c.content)
		equal(t, brief(facts), want)
		for _, p := range facts.Packages {
			if p.Path != c.path || p.Evidence == "" || p.Type == "" {
				t.Errorf("%s: %+v", c.path, p)
			}
		}
	}
}

func TestSBOMClaims(t *testing.T) {
	t.Parallel()
	cyclonedx := `{"bomFormat":"CycloneDX","metadata":{"tools":{"components":[{"name":"syft","version":"1.4.1"}]}},"components":[
{"purl":"pkg:npm/%40s/n@1.0.0","licenses":[{"license":{"id":"MIT"}},{"expression":"ISC OR MIT"}]},
{"purl":"pkg:deb/debian/bash@5.2"},
{"purl":"pkg:maven/org.a/alpha@1.0?type=jar","components":[{"purl":"pkg:golang/example.org/m/v2@v2.0.0#sub"}]},
{"name":"no purl"},{"purl":"pkg:pypi/x"},{"purl":"pkg:unknown/x@1"}]}`
	facts := analyze(t, sbom{}, "app/bom.json", cyclonedx)
	equal(t, brief(facts), []string{"@s/n 1.0.0", "org.a:alpha 1.0", "example.org/m/v2 v2.0.0"})
	equal(t, facts.Packages[0].Licenses, []string{"MIT", "ISC OR MIT"})
	equal(t, facts.Packages[0].Evidence, plimsoll.EvidenceSBOM)

	equal(t, facts.Packages[0].Remark, "claimed by an SBOM of syft 1.4.1")

	spdx := `{"spdxVersion":"SPDX-2.3","creationInfo":{"creators":["Organization: Bitnami","Tool: builder-2"]},"packages":[{"name":"redis","licenseDeclared":"BSD-3-Clause","externalRefs":[
{"referenceType":"cpe23Type","referenceLocator":"cpe:x"},{"referenceType":"purl","referenceLocator":"pkg:generic/redis@7.2.4"}]},
{"name":"x","licenseDeclared":"NOASSERTION"}]}`
	facts = analyze(t, sbom{}, "opt/bitnami/redis/.spdx-redis.spdx", spdx)
	equal(t, brief(facts), []string{"redis 7.2.4"})
	equal(t, facts.Packages[0].Remark, "claimed by an SBOM of builder-2")
	// OS-09: Bitnami's own lists name its builds.
	facts = analyze(t, sbom{}, "opt/bitnami/redis/.spdx-redis.spdx", `{"spdxVersion":"SPDX-2.3","packages":[{"name":"redis","externalRefs":[
{"referenceType":"purl","referenceLocator":"pkg:bitnami/redis@7.2.4-11?arch=amd64&distro=debian-12"}]}]}`)
	equal(t, brief(facts), []string{"redis 7.2.4"})
	equal(t, facts.Packages[0].Type, plimsoll.TypeBitnami)
	equal(t, analyze(t, sbom{}, "bom.json", `{"metadata":{"tools":[{"vendor":"a","name":"old","version":"1"}]},"components":[{"purl":"pkg:npm/a@1"}]}`).Packages[0].Remark, "claimed by an SBOM of old 1")

	equal(t, brief(analyze(t, sbom{}, "x/site-packages/fast-1.0.dist-info/sboms/fast.cyclonedx.json", `{"components":[{"purl":"pkg:cargo/serde@1.0"}]}`)),
		[]string{"serde 1.0 in fast"})
	equal(t, brief(analyze(t, sbom{}, "opt/x/.spdx-x.spdx", "SPDXVersion: SPDX-2.3\n")), nil)
	equal(t, brief(analyze(t, sbom{}, "app/bom.json", `{"packages":{"node_modules/a":{}},"other":1}`)), nil)
}

func TestTruncatedRecordsAreCorrupt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a             inventory.Analyzer
		path, content string
	}{
		{dotnet{}, "a.deps.json", depsJSON[:len(depsJSON)/2]},
		{composer{}, "composer/installed.json", `{"packages":[{"name":"a/b","version":"1.0"},`},
		{composer{}, "composer/installed.json", `nonsense`},
		{conda{}, "conda-meta/a.json", `{"name":"a","vers`},
		{sbom{}, "bom.json", `{"components":[{"purl":`},
		{npm{}, "node_modules/.package-lock.json", `{"packages":{"node_modules/a":{`},
		{npm{}, ".pnp.data.json", `{"packageRegistryData":[`},
		{python{}, "x.dist-info/direct_url.json", `{"url":`},
	} {
		if _, err := c.a.Analyze(context.Background(), file(c.path, c.content)); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v", c.path, err)
		}
	}
}
