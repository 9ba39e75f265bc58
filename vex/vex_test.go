package vex

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// shop is a scanned image: a Debian system, Java and Go software.
func shop() *plimsoll.Result {
	digest := func(c string) plimsoll.Digest { return plimsoll.Digest("sha256:" + strings.Repeat(c, 64)) }
	libssl := plimsoll.Package{Type: plimsoll.TypeDeb, Name: "libssl3", Version: "1:3.0.11-1", Arch: "amd64", Path: "var/lib/dpkg/status",
		Source: plimsoll.SourcePackage{Name: "openssl", Version: "1:3.0.11-1"}}
	log4j := plimsoll.Package{Type: plimsoll.TypeMaven, Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1", Path: "app.jar!/BOOT-INF/lib/log4j.jar"}
	app := plimsoll.Package{Type: plimsoll.TypeMaven, Name: "com.shop:app", Version: "1.0", Path: "app.jar"}
	tool := plimsoll.Package{Type: plimsoll.TypeGo, Name: "example.com/tool", Version: "v1.2.3", Path: "usr/bin/tool"}
	net := plimsoll.Package{Type: plimsoll.TypeGo, Name: "golang.org/x/net", Version: "v0.1.0", Path: "usr/bin/tool"}
	other := plimsoll.Package{Type: plimsoll.TypeGo, Name: "golang.org/x/net", Version: "v0.1.0", Path: "usr/bin/other"}
	node := plimsoll.Package{Type: plimsoll.TypeNPM, Name: "@babel/traverse", Version: "7.22.0", Path: "srv/package.json"}
	jinja := plimsoll.Package{Type: plimsoll.TypePyPI, Name: "jaraco_context", Version: "4.0", Path: "lib/METADATA"}
	found := func(id string, p plimsoll.Package, aliases ...string) plimsoll.Finding {
		return plimsoll.Finding{Vulnerability: plimsoll.Vulnerability{ID: id, Aliases: aliases}, Package: p, Status: plimsoll.StatusAffected, State: plimsoll.FixNone}
	}
	return &plimsoll.Result{
		Image: plimsoll.Image{ID: digest("a"), Manifests: []plimsoll.Digest{digest("b")}, Names: []string{"docker.io/library/shop:1.0", "ghcr.io/acme/shop:1.0"},
			Platform: plimsoll.Platform{OS: "linux", Architecture: "amd64"}},
		Matched: true,
		Inventory: plimsoll.Inventory{
			Systems:  []plimsoll.OS{{ID: "debian", VersionID: "12", Codename: "bookworm", CPE: "cpe:/o:debian:debian_linux:12"}},
			Packages: []plimsoll.Package{libssl, log4j, app, tool, net, other, node, jinja},
		},
		Findings: []plimsoll.Finding{
			found("CVE-2023-5678", libssl),
			found("CVE-2021-44228", log4j, "GHSA-jfh8-c2jp-5v3q"),
			found("CVE-2022-41723", net, "GHSA-vvpx-j8f3-3w6h", "GO-2023-1571"),
			found("CVE-2022-41723", other, "GHSA-vvpx-j8f3-3w6h", "GO-2023-1571"),
			found("CVE-2023-45133", node),
			found("CVE-2024-1", jinja),
		},
	}
}

// Wants 26: registry aliases, encodings, tags and digests, aliases of the
// vulnerability; each as a statement about the shop's image.
func TestWhatAStatementIsAbout(t *testing.T) {
	shopA, shopB := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	const ssl, log4j, net, babel, jaraco = "CVE-2023-5678", "CVE-2021-44228", "CVE-2022-41723", "CVE-2023-45133", "CVE-2024-1"
	image := func(ids ...string) []plimsoll.VEXProduct { return []plimsoll.VEXProduct{{IDs: ids}} }
	for name, test := range map[string]struct {
		vulnerability string
		product       plimsoll.VEXProduct
		status        plimsoll.VEXStatus // not_affected unless set
		want          int                // findings
		why           string             // part of the explanation
	}{
		"package":                       {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3@1:3.0.11-1"}}, "", 1, ""},
		"package, encoded":              {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3@1%3A3.0.11-1?arch=amd64&distro=debian-12"}}, "", 1, ""},
		"package, any version":          {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}}, "", 1, ""},
		"distribution by codename":      {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3?distro=bookworm"}}, "", 1, ""},
		"distribution's point release":  {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3?distro=debian-12.4"}}, "", 1, ""},
		"source":                        {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/openssl@1:3.0.11-1?arch=source"}}, "", 1, ""},
		"source that does not say so":   {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/openssl@1:3.0.11-1"}}, "", 0, "arch=source"},
		"other version":                 {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3@3.0.12-1"}}, "", 0, `"1:3.0.11-1" is installed`},
		"other distribution":            {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/ubuntu/libssl3"}}, "", 0, `this system is "debian"`},
		"other release":                 {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3?distro=debian-1"}}, "", 0, `this system is "debian-12"`},
		"other architecture":            {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3?arch=arm64"}}, "", 0, "architecture"},
		"other type":                    {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:generic/libssl3"}}, "", 0, `the type "generic"`},
		"alias GHSA":                    {"GHSA-jfh8-c2jp-5v3q", plimsoll.VEXProduct{IDs: []string{"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}}, "", 1, ""},
		"alias in other letters":        {"ghsa-JFH8-c2jp-5v3q", plimsoll.VEXProduct{IDs: []string{"pkg:maven/org.apache.logging.log4j/log4j-core"}}, "", 1, ""},
		"maven with a qualifier":        {log4j, plimsoll.VEXProduct{IDs: []string{"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1?type=jar"}}, "", 1, ""},
		"other namespace":               {log4j, plimsoll.VEXProduct{IDs: []string{"pkg:maven/org.other/log4j-core@2.14.1"}}, "", 0, "org.other/log4j-core"},
		"go, everywhere":                {net, plimsoll.VEXProduct{IDs: []string{"pkg:golang/golang.org/x/net@0.1.0"}}, "", 2, ""},
		"go, a part of the module":      {net, plimsoll.VEXProduct{IDs: []string{"pkg:golang/golang.org/x/net@v0.1.0#http2/hpack"}}, "", 0, "a part of the package only"},
		"npm, scope encoded":            {babel, plimsoll.VEXProduct{IDs: []string{"pkg:npm/%40babel/traverse@7.22.0"}}, "", 1, ""},
		"npm, scope as it is":           {babel, plimsoll.VEXProduct{IDs: []string{"pkg:npm/@babel/traverse@7.22.0"}}, "", 1, ""},
		"pypi, other spelling":          {jaraco, plimsoll.VEXProduct{IDs: []string{"pkg:pypi/Jaraco.Context"}}, "", 1, ""},
		"vers range":                    {babel, plimsoll.VEXProduct{IDs: []string{"pkg:npm/%40babel/traverse"}, Versions: []string{"vers:npm/<8"}}, "", 0, "ranges are not compared"},
		"listed version":                {babel, plimsoll.VEXProduct{IDs: []string{"pkg:npm/%40babel/traverse"}, Versions: []string{"7.21.0", "7.22.0"}}, "", 1, ""},
		"image by repository":           {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/shop?repository_url=ghcr.io/acme/shop"}}, "", 1, ""},
		"image by what is above":        {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/shop?repository_url=ghcr.io%2Facme"}}, "", 1, ""},
		"image by another registry":     {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/shop?repository_url=quay.io/acme/shop"}}, "", 0, "it is about the image"},
		"image on Docker's registry":    {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/shop?repository_url=https://index.docker.io/library/shop"}}, "", 1, ""},
		"image of the type docker":      {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:docker/shop@1.0"}}, "", 1, ""},
		"image of another tag":          {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/shop?tag=2.0"}}, "", 0, `the tag "2.0"`},
		"image by manifest":             {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/elsewhere@" + shopB}}, "", 1, ""},
		"image by manifest, encoded":    {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/elsewhere@sha256%3A" + strings.Repeat("b", 64)}}, "", 1, ""},
		"image by ID":                   {ssl, plimsoll.VEXProduct{IDs: []string{shopA}}, "", 1, ""},
		"image by another digest":       {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/shop@sha256:" + strings.Repeat("c", 64)}}, "", 0, "another image of this repository"},
		"image by reference":            {ssl, plimsoll.VEXProduct{IDs: []string{"shop:1.0"}}, "", 1, ""},
		"image for another processor":   {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:oci/shop?arch=arm64"}}, "", 0, "this image is for"},
		"package in the image":          {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}, Within: image("pkg:oci/shop@" + shopB)}, "", 1, ""},
		"package in another image":      {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}, Within: image("pkg:oci/other")}, "", 0, `the image "pkg:oci/other"`},
		"module of a program":           {net, plimsoll.VEXProduct{IDs: []string{"pkg:golang/golang.org/x/net"}, Within: image("pkg:golang/example.com/tool@v1.2.3")}, "", 1, ""},
		"library in an archive":         {log4j, plimsoll.VEXProduct{IDs: []string{"pkg:maven/org.apache.logging.log4j/log4j-core"}, Within: image("pkg:maven/com.shop/app@1.0")}, "", 1, ""},
		"module of an absent program":   {net, plimsoll.VEXProduct{IDs: []string{"pkg:golang/golang.org/x/net"}, Within: image("pkg:golang/example.com/absent")}, "", 0, "is not in the image"},
		"platform":                      {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}, Within: image("cpe:2.3:o:debian:debian_linux:12:*:*:*:*:*:*:*")}, "", 1, ""},
		"another platform":              {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}, Within: image("cpe:/o:debian:debian_linux:11")}, "", 0, "the platform"},
		"a name that means nothing":     {ssl, plimsoll.VEXProduct{IDs: []string{"https://shop.example/product"}}, "", 0, "could be compared"},
		"no name":                       {ssl, plimsoll.VEXProduct{}, "", 0, "no identifier"},
		"fixed in this version":         {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3@1:3.0.11-1"}}, plimsoll.VEXFixed, 1, ""},
		"fixed, nobody knows where":     {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}}, plimsoll.VEXFixed, 0, "not in which version"},
		"fixed in this image":           {ssl, plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}, Within: image(shopA)}, plimsoll.VEXFixed, 1, ""},
		"unknown vulnerability":         {"CVE-1999-1", plimsoll.VEXProduct{IDs: []string{"pkg:deb/debian/libssl3"}}, "", 0, "was found to have"},
		"unknown, in a clean package":   {"CVE-1999-1", plimsoll.VEXProduct{IDs: []string{"pkg:maven/com.shop/app"}}, "", 0, "no advisory finds"},
		"unknown, in no package at all": {"CVE-1999-1", plimsoll.VEXProduct{IDs: []string{"pkg:npm/absent"}}, "", 0, "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.status == "" {
				test.status = plimsoll.VEXNotAffected
			}
			r := shop()
			set := NewSet(Document{Statements: []plimsoll.VEXStatement{{Number: 1, Vulnerabilities: []string{test.vulnerability}, Status: test.status, Products: []plimsoll.VEXProduct{test.product}}}})
			set.Apply(r)
			handled := 0
			for _, f := range r.Findings {
				if f.Status == plimsoll.StatusHandled {
					handled++
				}
			}
			e := set.Explain(r)[0]
			if handled != test.want || len(e.Applied) != test.want || !strings.Contains(e.Why, test.why) {
				t.Errorf("handled %d, want %d; explained: %+v", handled, test.want, e)
			}
			if len(r.Findings) != 6 {
				t.Errorf("a finding is gone: %d", len(r.Findings))
			}
		})
	}
}

// The newest statement decides, of equally new ones the one that hides nothing;
// the others stay as evidence.
func TestStatementsThatDisagree(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	says := func(status plimsoll.VEXStatus, at time.Time) plimsoll.VEXStatement {
		return plimsoll.VEXStatement{Vulnerabilities: []string{"CVE-2023-5678"}, Status: status, Time: at, Products: []plimsoll.VEXProduct{{IDs: []string{"pkg:deb/debian/libssl3"}}}}
	}
	for name, test := range map[string]struct {
		statements []plimsoll.VEXStatement
		want       plimsoll.Status
	}{
		"affected later":         {[]plimsoll.VEXStatement{says("not_affected", day(1)), says("affected", day(2))}, plimsoll.StatusAffected},
		"not affected later":     {[]plimsoll.VEXStatement{says("not_affected", day(2)), says("under_investigation", day(1))}, plimsoll.StatusHandled},
		"at the same time":       {[]plimsoll.VEXStatement{says("not_affected", day(1)), says("affected", day(1))}, plimsoll.StatusAffected},
		"only an investigation":  {[]plimsoll.VEXStatement{says("under_investigation", day(1))}, plimsoll.StatusAffected},
		"a date against no date": {[]plimsoll.VEXStatement{says("affected", time.Time{}), says("not_affected", day(1))}, plimsoll.StatusHandled},
	} {
		t.Run(name, func(t *testing.T) {
			r := shop()
			NewSet(Document{Statements: test.statements}).Apply(r)
			if f := r.Findings[0]; f.Status != test.want || len(f.VEX) != len(test.statements) {
				t.Errorf("%s with %d statements", f.Status, len(f.VEX))
			}
		})
	}
}

func TestRead(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	pkg := func(id string, within ...string) plimsoll.VEXProduct {
		p := plimsoll.VEXProduct{IDs: []string{id}}
		for _, w := range within {
			p.Within = append(p.Within, plimsoll.VEXProduct{IDs: []string{w}})
		}
		return p
	}
	for name, test := range map[string]struct {
		text string
		want Document
	}{
		"OpenVEX 0.2.0": {`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://a.example/1","author":"A","timestamp":"2026-02-03T04:05:06Z","version":3,"statements":[
			{"vulnerability":{"@id":"https://nvd.example/CVE-2024-1","name":"CVE-2024-1","aliases":["GHSA-x"]},"status":"not_affected","justification":"component_not_present","impact_statement":"not\nbuilt",
			 "products":[{"@id":"pkg:oci/shop","subcomponents":[{"@id":"pkg:npm/a@1"}]},{"@id":"x","identifiers":{"purl":"pkg:npm/b@1"}}]}]}`,
			Document{Format: OpenVEX, ID: "https://a.example/1", Version: "3", Author: "A", Time: at, Statements: []plimsoll.VEXStatement{{Document: "https://a.example/1", Number: 1, Author: "A", Time: at,
				Vulnerabilities: []string{"CVE-2024-1", "GHSA-x"}, Status: plimsoll.VEXNotAffected, Justification: "component_not_present", Impact: "not built",
				Products: []plimsoll.VEXProduct{pkg("pkg:npm/a@1", "pkg:oci/shop"), {IDs: []string{"x", "pkg:npm/b@1"}}}}}}},
		"OpenVEX 0.0.1": {`{"@context":"https://openvex.dev/ns","@id":"old","author":"A","version":"1","statements":[
			{"vulnerability":"CVE-2024-1","timestamp":"2026-02-03T04:05:06Z","status":"fixed","products":["pkg:oci/shop"],"subcomponents":["pkg:npm/a@1"]}]}`,
			Document{Format: OpenVEX, ID: "old", Version: "1", Author: "A", Statements: []plimsoll.VEXStatement{{Document: "old", Number: 1, Author: "A", Time: at,
				Vulnerabilities: []string{"CVE-2024-1"}, Status: plimsoll.VEXFixed, Products: []plimsoll.VEXProduct{pkg("pkg:npm/a@1", "pkg:oci/shop")}}}}},
		"CSAF": {`{"document":{"category":"csaf_vex","csaf_version":"2.0","publisher":{"name":"Vendor"},"tracking":{"id":"V-1","version":"2","current_release_date":"2026-02-03T04:05:06Z"}},
			"product_tree":{"branches":[{"branches":[{"product":{"product_id":"el9","product_identification_helper":{"cpe":"cpe:/o:redhat:enterprise_linux:9"}}},
				{"product":{"product_id":"ssl","product_identification_helper":{"purl":"pkg:rpm/redhat/openssl?arch=src"}}}]}],
			 "relationships":[{"category":"default_component_of","full_product_name":{"product_id":"el9:ssl"},"product_reference":"ssl","relates_to_product_reference":"el9"}],
			 "product_groups":[{"group_id":"g","product_ids":["el9:ssl"]}]},
			"vulnerabilities":[{"cve":"CVE-2024-1","product_status":{"known_not_affected":["el9:ssl"],"recommended":["ssl"]},
			 "flags":[{"label":"vulnerable_code_not_present","group_ids":["g"]}],"threats":[{"category":"impact","details":"Older.","product_ids":["el9:ssl"]}]}]}`,
			Document{Format: CSAF, ID: "V-1", Version: "2", Author: "Vendor", Time: at, Statements: []plimsoll.VEXStatement{{Document: "V-1", Number: 1, Author: "Vendor", Time: at,
				Vulnerabilities: []string{"CVE-2024-1"}, Status: plimsoll.VEXNotAffected, Justification: "vulnerable_code_not_present", Impact: "Older.",
				Products: []plimsoll.VEXProduct{pkg("pkg:rpm/redhat/openssl?arch=src", "cpe:/o:redhat:enterprise_linux:9")}}}}},
		"CycloneDX": {`{"bomFormat":"CycloneDX","specVersion":"1.5","serialNumber":"urn:uuid:1","metadata":{"timestamp":"2026-02-03T04:05:06Z","authors":[{"name":"B"}],
			"component":{"type":"container","bom-ref":"img","name":"ghcr.io/acme/shop","version":"1.0"}},"components":[{"type":"library","bom-ref":"a","name":"a","purl":"pkg:npm/a@1"}],
			"vulnerabilities":[{"id":"CVE-2024-1","references":[{"id":"GHSA-x"}],"analysis":{"state":"false_positive","justification":"code_not_reachable","detail":"No.","response":["will_not_fix"]},
				"affects":[{"ref":"a"},{"ref":"urn:cdx:2/1#pkg:npm/b@2","versions":[{"version":"2","status":"affected"}]},{"ref":"img"},{"ref":"nowhere"}]},{"id":"CVE-2024-2","affects":[{"ref":"a"}]}]}`,
			Document{Format: CycloneDX, ID: "urn:uuid:1", Author: "B", Time: at, Statements: []plimsoll.VEXStatement{{Document: "urn:uuid:1", Number: 1, Author: "B", Time: at,
				Vulnerabilities: []string{"CVE-2024-1", "GHSA-x"}, Status: plimsoll.VEXNotAffected, Justification: "code_not_reachable", Impact: "No.", Action: "will_not_fix",
				Products: []plimsoll.VEXProduct{pkg("pkg:npm/a@1", "ghcr.io/acme/shop:1.0"), {IDs: []string{"pkg:npm/b@2"}, Versions: []string{"2"}}, pkg("ghcr.io/acme/shop:1.0"), {}}}}}},
		"CycloneDX XML": {`<bom xmlns="http://cyclonedx.org/schema/bom/1.4" serialNumber="s"><components><component type="library" bom-ref="a"><name>a</name><purl>pkg:npm/a@1</purl></component></components>
			<vulnerabilities><vulnerability><id>CVE-2024-1</id><analysis><state>in_triage</state></analysis><affects><target><ref>a</ref></target></affects></vulnerability></vulnerabilities></bom>`,
			Document{Format: CycloneDX, ID: "s", Statements: []plimsoll.VEXStatement{{Document: "s", Number: 1, Vulnerabilities: []string{"CVE-2024-1"}, Status: plimsoll.VEXUnderInvestigation,
				Products: []plimsoll.VEXProduct{pkg("pkg:npm/a@1")}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader("\ufeff \n" + test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestHostileDocuments(t *testing.T) {
	statement := `{"vulnerability":"CVE-2024-1","status":"fixed","products":["pkg:npm/a@1"]}`
	openvex := func(statements string) string {
		return `{"@context":"https://openvex.dev/ns","statements":[` + statements + `]}`
	}
	csaf := func(tree, status string) string {
		return `{"document":{"csaf_version":"2.0"},"product_tree":` + tree + `,"vulnerabilities":[{"cve":"CVE-2024-1","product_status":` + status + `}]}`
	}
	branches := strings.Repeat(`[{"branches":`, 200) + "[]" + strings.Repeat("}]", 200)
	var web []string // each product is made of the one before, twice
	for i := range 60 {
		a, b := strconv.Itoa(i), strconv.Itoa(i+1)
		web = append(web, `{"category":"x","full_product_name":{"product_id":"`+b+`"},"product_reference":"`+a+`","relates_to_product_reference":"`+a+`"}`)
	}
	for name, test := range map[string]struct {
		text string
		code plimsoll.Code // "" when it can be read
	}{
		"empty":              {"", plimsoll.CodeInvalid},
		"no document":        {"hello", plimsoll.CodeInvalid},
		"other JSON":         {`{"a":1}`, plimsoll.CodeInvalid},
		"list":               {`[]`, plimsoll.CodeInvalid},
		"other XML":          {`<html></html>`, plimsoll.CodeInvalid},
		"truncated":          {openvex(statement)[:40], plimsoll.CodeInvalid},
		"no statements":      {openvex(""), plimsoll.CodeInvalid},
		"unknown status":     {openvex(`{"vulnerability":"CVE-2024-1","status":"fine"}`), plimsoll.CodeInvalid},
		"about nothing":      {openvex(`{"status":"fixed"}`), plimsoll.CodeInvalid},
		"control characters": {openvex(`{"vulnerability":"CVE-2024-1","status":"fixed","products":["pkg:npm/a\u001b[31m"]}`), ""},
		"nested deeply":      {strings.Repeat(`{"@context":`, 20_000), plimsoll.CodeLimit},
		"empty statements":   {openvex(strings.Repeat("{},", maxObjects) + "{}"), plimsoll.CodeLimit},
		"empty elements":     {`<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><vulnerabilities>` + strings.Repeat("<vulnerability/>", maxObjects) + `</vulnerabilities></bom>`, plimsoll.CodeLimit},
		"deep branches":      {csaf(`{"branches":`+branches+`}`, `{"fixed":["a"]}`), plimsoll.CodeLimit},
		"a circle":           {csaf(`{"relationships":[{"full_product_name":{"product_id":"a"},"product_reference":"b","relates_to_product_reference":"a"},{"full_product_name":{"product_id":"b"},"product_reference":"a","relates_to_product_reference":"b"}]}`, `{"fixed":["a"]}`), ""},
		"a web":              {csaf(`{"relationships":[`+strings.Join(web, ",")+`]}`, `{"fixed":["`+"60"+`"]}`), ""},
		"entities in XML":    {`<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><bom xmlns="http://cyclonedx.org/schema/bom/1.4">&b;</bom>`, plimsoll.CodeInvalid},
		"too many products":  {openvex(`{"vulnerability":"CVE-2024-1","status":"fixed","products":[` + strings.TrimSuffix(strings.Repeat(`"",`, maxProducts+1), ",") + `]}`), plimsoll.CodeLimit},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Read(strings.NewReader(test.text))
			if plimsoll.CodeOf(err) != test.code {
				t.Fatalf("%v", err)
			}
			if err == nil {
				r := shop()
				set := NewSet(d)
				set.Apply(r)
				set.Explain(r)
			}
		})
	}
	if _, err := Read(zeros{}); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("without end: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-2023-5678","status":"fixed","products":["pkg:deb/debian/libssl3"]}]}`))
	f.Add([]byte(`{"document":{"csaf_version":"2.0"},"product_tree":{"full_product_names":[{"product_id":"a","product_identification_helper":{"purl":"pkg:npm/a"}}]},"vulnerabilities":[{"cve":"CVE-2023-5678","product_status":{"fixed":["a"]}}]}`))
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","vulnerabilities":[{"id":"CVE-2023-5678","analysis":{"state":"not_affected"},"affects":[{"ref":"pkg:deb/debian/libssl3"}]}]}`))
	f.Add([]byte(`<bom xmlns="http://cyclonedx.org/schema/bom/1.4"><vulnerabilities><vulnerability><id>CVE-2023-5678</id><analysis><state>resolved</state></analysis></vulnerability></vulnerabilities></bom>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Read(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		if len(d.Statements) == 0 {
			t.Fatal("a document without statements")
		}
		r := shop()
		set := NewSet(d)
		set.Apply(r)
		for i, e := range set.Explain(r) {
			if e.Why == "" || e.Statement.Number != i+1 {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, id := range []string{"pkg:oci/shop@sha256:" + strings.Repeat("a", 64), "pkg:docker/a/b@1?repository_url=ghcr.io", "cpe:/o:a:b:1", "cpe:2.3:o:a:b:1:*", "shop:1.0@sha256:00", "pkg:rpm/redhat/a@1?epoch=1&rpmmod=a:b"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		r := shop()
		NewSet(Document{Statements: []plimsoll.VEXStatement{{Vulnerabilities: []string{"CVE-2023-5678"}, Status: plimsoll.VEXNotAffected,
			Products: []plimsoll.VEXProduct{{IDs: []string{id}}, {IDs: []string{"pkg:deb/debian/libssl3"}, Within: []plimsoll.VEXProduct{{IDs: []string{id}}}}}}}}).Apply(r)
	})
}
