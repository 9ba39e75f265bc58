package sbom

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

func TestRead(t *testing.T) {
	layer := plimsoll.Digest("sha256:" + strings.Repeat("1", 64))
	type claims struct {
		tool, status string
		names        []string
		systems      []plimsoll.OS
		packages     []plimsoll.Package
		problems     []string
	}
	openssl := plimsoll.Package{Type: plimsoll.TypeDeb, Name: "libssl3", Version: "1:3.0.11-1", Arch: "amd64", Source: plimsoll.SourcePackage{Name: "openssl", Version: "1:3.0.11-1"}, Evidence: plimsoll.EvidenceSBOM}
	for name, test := range map[string]struct {
		text string
		want claims
	}{
		"CycloneDX 1.6 of syft": {`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"tools":{"components":[{"type":"application","name":"syft","version":"1.4.1"}]},
			"component":{"type":"container","name":"debian","version":"sha256:` + strings.Repeat("2", 64) + `"}},"components":[
			{"type":"library","name":"libssl3","version":"1:3.0.11-1","purl":"pkg:deb/debian/libssl3@1%3A3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl","properties":[{"name":"syft:location:0:path","value":"/var/lib/dpkg/status"},{"name":"syft:location:0:layerID","value":"` + string(layer) + `"}]},
			{"type":"library","name":"mystery","version":"1"},{"type":"file","name":"/x"},
			{"type":"operating-system","name":"debian","version":"12","description":"Debian GNU/Linux 12 (bookworm)"}]}`,
			claims{"syft 1.4.1", "complete", []string{"debian"}, []plimsoll.OS{{ID: "debian", VersionID: "12", Name: "Debian GNU/Linux 12 (bookworm)"}},
				[]plimsoll.Package{func() plimsoll.Package { p := openssl; p.Path, p.Layer = "var/lib/dpkg/status", layer; return p }()}, []string{"unidentified"}}},
		"CycloneDX 1.4 of trivy": {`{"bomFormat":"CycloneDX","specVersion":"1.4","metadata":{"tools":[{"vendor":"aquasecurity","name":"trivy","version":"0.50"}],
			"component":{"type":"container","name":"rhel:9","properties":[{"name":"aquasecurity:trivy:RepoTag","value":"ubi9:latest"}]}},"components":[
			{"type":"operating-system","name":"redhat","version":"9.2"},
			{"type":"library","name":"openssl-libs","purl":"pkg:rpm/redhat/openssl-libs@3.0.7-6.el9?arch=x86_64&epoch=1&distro=redhat-9.2","properties":[{"name":"aquasecurity:trivy:SrcName","value":"openssl"},{"name":"aquasecurity:trivy:SrcVersion","value":"3.0.7"},{"name":"aquasecurity:trivy:SrcRelease","value":"6.el9"},{"name":"aquasecurity:trivy:SrcEpoch","value":"1"}]}],
			"compositions":[{"aggregate":"incomplete"}]}`,
			claims{"trivy 0.50", "partial", []string{"rhel:9", "ubi9:latest"}, []plimsoll.OS{{ID: "rhel", VersionID: "9.2"}},
				[]plimsoll.Package{{Type: plimsoll.TypeRPM, Name: "openssl-libs", Version: "1:3.0.7-6.el9", Arch: "x86_64", Source: plimsoll.SourcePackage{Name: "openssl", Version: "1:3.0.7-6.el9"}, Evidence: plimsoll.EvidenceSBOM}},
				[]string{"unreadable-file"}}},
		"a source rpm's file, and no system but in qualifiers": {`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[
			{"type":"library","name":"x","purl":"pkg:rpm/rocky/openssl-libs@3.0.7-6.el9?epoch=1&distro=rocky-9.2&upstream=openssl-3.0.7-6.el9.src.rpm"}]}`,
			claims{"an unknown tool", "complete", nil, []plimsoll.OS{{ID: "rocky", VersionID: "9.2", Name: "rocky 9.2"}},
				[]plimsoll.Package{{Type: plimsoll.TypeRPM, Name: "openssl-libs", Version: "1:3.0.7-6.el9", Source: plimsoll.SourcePackage{Name: "openssl", Version: "1:3.0.7-6.el9"}, Evidence: plimsoll.EvidenceSBOM}}, nil}},
		"two systems are none": {`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"operating-system","name":"debian","version":"12"},{"type":"operating-system","name":"alpine","version":"3.19"}]}`,
			claims{"an unknown tool", "complete", nil, nil, nil, []string{"unknown-distro"}}},
		"RPM-02 a system without packages is no clean one": {`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"operating-system","name":"debian","version":"12"},{"type":"library","name":"a","purl":"pkg:npm/a@1"}]}`,
			claims{"an unknown tool", "partial", nil, []plimsoll.OS{{ID: "debian", VersionID: "12"}}, []plimsoll.Package{{Type: plimsoll.TypeNPM, Name: "a", Version: "1", Evidence: plimsoll.EvidenceSBOM}}, []string{"no-packages"}}},
		"one package, listed twice": {`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"a","purl":"pkg:npm/%40b/a@1"},{"type":"library","name":"a","purl":"pkg:npm/@b/a@1"}]}`,
			claims{"an unknown tool", "complete", nil, nil, []plimsoll.Package{{Type: plimsoll.TypeNPM, Name: "@b/a", Version: "1", Evidence: plimsoll.EvidenceSBOM}}, nil}},
		"CycloneDX XML": {`<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component type="library"><name>a</name><purl>pkg:maven/g/a@1?type=jar</purl></component></components></bom>`,
			claims{"an unknown tool", "complete", nil, nil, []plimsoll.Package{{Type: plimsoll.TypeMaven, Name: "g:a", Version: "1", Evidence: plimsoll.EvidenceSBOM}}, nil}},
		"SPDX 2.3": {`{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","dataLicense":"CC0-1.0","documentNamespace":"https://x.example","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Organization: Anchore","Tool: syft-1.4.1"]},"packages":[
			{"SPDXID":"SPDXRef-1","name":"debian","versionInfo":"12","primaryPackagePurpose":"OPERATING-SYSTEM","downloadLocation":"NONE"},
			{"SPDXID":"SPDXRef-2","name":"shop","versionInfo":"1","primaryPackagePurpose":"CONTAINER","downloadLocation":"NONE"},
			{"SPDXID":"SPDXRef-3","name":"libssl3","versionInfo":"1:3.0.11-1","licenseDeclared":"Apache-2.0","downloadLocation":"NONE","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:deb/debian/libssl3@1:3.0.11-1?arch=amd64&upstream=openssl"}]}]}`,
			claims{"syft-1.4.1", "complete", []string{"shop"}, []plimsoll.OS{{ID: "debian", VersionID: "12"}},
				[]plimsoll.Package{func() plimsoll.Package { p := openssl; p.Licenses = []string{"Apache-2.0"}; return p }()}, nil}},
		"types without a source are packages too": {`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"a","purl":"pkg:opam/a@1"},{"type":"application","name":"b","purl":"pkg:Invented/ns/b@2"}]}`,
			claims{"an unknown tool", "complete", nil, nil, []plimsoll.Package{{Type: "invented", Name: "ns/b", Version: "2", Evidence: plimsoll.EvidenceSBOM}, {Type: "opam", Name: "a", Version: "1", Evidence: plimsoll.EvidenceSBOM}}, nil}},
		"purls that cannot be read leave a gap": {`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"a"},{"type":"library","name":"b","purl":"not-a-purl"},{"type":"file","name":"c","purl":"pkg:npm"}]}`,
			claims{"an unknown tool", "partial", nil, nil, nil, []string{"unidentified", "corrupt-file"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(test.text))
			if err != nil {
				t.Fatal(err)
			}
			got := claims{tool: r.Inventory.Claimed, status: string(r.Status), names: r.Image.Names, systems: r.Inventory.Systems, packages: r.Inventory.Packages}
			for i := range got.packages {
				if got.packages[i].PURL == "" {
					t.Error("a package without purl")
				}
				got.packages[i].PURL = ""
			}
			for _, p := range r.Problems {
				got.problems = append(got.problems, string(p.Code))
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(claims{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What cannot be looked up is counted by its kind and named, the first ones.
func TestWhatIsNoPackageIsTold(t *testing.T) {
	components := []string{`{"type":"library","name":"mystery\nx"}`, `{"type":"library","name":"` + strings.Repeat("y", 500) + `"}`, `{"type":"file","name":"no software"}`}
	for range 5 {
		components = append(components, `{"type":"library","name":"a","purl":"pkg:npm"}`)
	}
	r, err := Read(strings.NewReader(`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[` + strings.Join(components, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []plimsoll.Problem{
		{Code: plimsoll.ProblemUnidentified, Count: 2, Detail: `the SBOM names them without a purl, so they cannot be looked up: "mystery\nx", "` + strings.Repeat("y", 80) + `…"`},
		{Code: plimsoll.ProblemCorruptFile, Count: 5, Detail: `purls of the SBOM that cannot be read: "pkg:npm", "pkg:npm", "pkg:npm" and 2 more`},
	}
	if diff := cmp.Diff(want, r.Problems); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHostileDocuments(t *testing.T) {
	nested := func(n int) string {
		return `{"bomFormat":"CycloneDX","components":` + strings.Repeat(`[{"type":"library","name":"a","components":`, n) + "[]" + strings.Repeat("}]", n) + "}"
	}
	for name, test := range map[string]struct {
		text string
		code plimsoll.Code
	}{
		"empty":           {"", plimsoll.CodeInvalid},
		"other JSON":      {`{"a":1}`, plimsoll.CodeInvalid},
		"other XML":       {`<html/>`, plimsoll.CodeInvalid},
		"truncated":       {nested(2)[:60], plimsoll.CodeInvalid},
		"nested":          {nested(100), plimsoll.CodeLimit},
		"nested deeply":   {nested(20_000), plimsoll.CodeLimit},
		"nothing, often":  {`{"bomFormat":"CycloneDX","components":[` + strings.Repeat("{},", maxObjects) + `{}]}`, plimsoll.CodeLimit},
		"empty elements":  {`<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components>` + strings.Repeat("<component/>", 2*maxPackages+1) + `</components></bom>`, plimsoll.CodeLimit},
		"SPDX 3":          {`{"spdxVersion":"SPDX-3.0"}`, plimsoll.CodeInvalid},
		"SPDX of nothing": {`{"spdxVersion":"SPDX-2.3","packages":[null]}`, plimsoll.CodeInvalid},
		"purls of noise":  {`{"bomFormat":"CycloneDX","components":[{"type":"library","name":"a","purl":"pkg:%zz/%%%"},{"type":"library","name":"b","purl":"pkg:deb/` + strings.Repeat("x", 9000) + `"}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(test.text))
			if plimsoll.CodeOf(err) != test.code {
				t.Fatalf("%v", err)
			}
			if err == nil && len(r.Inventory.Packages) > 0 {
				t.Errorf("%+v", r.Inventory.Packages)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"type":"container","name":"a","version":"sha256:0"}},"components":[{"type":"library","name":"a","purl":"pkg:rpm/rocky/a@1?epoch=1&upstream=a-1-1.src.rpm","components":[]}]}`))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","creationInfo":{"creators":["Tool: x"]},"packages":[{"SPDXID":"SPDXRef-1","name":"a","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}]}`))
	f.Add([]byte(`<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><components><component type="library"><name>a</name></component></components></bom>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		if r.Inventory.Claimed == "" {
			t.Fatal("claims of nobody")
		}
		for _, p := range r.Inventory.Packages {
			if p.Name == "" || p.Evidence != plimsoll.EvidenceSBOM {
				t.Fatalf("%+v", p)
			}
		}
	})
}
