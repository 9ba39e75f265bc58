package feed

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/vulndb"
)

var updateGolden = flag.Bool("update", false, "write the golden files")

func parse(t *testing.T, record string) vulndb.Record {
	t.Helper()
	r, err := parseOSV([]byte(record), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOSVFlaws(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, id, refs string
		want           []string
	}{
		{"ADV-05 an alias is the same flaw", "GHSA-x", `"aliases":["CVE-2024-1"]`, nil},
		{"ADV-05 related is not an alias", "GHSA-x", `"related":["CVE-2024-1"]`, nil},
		{"ADV-06 two CVEs are two flaws", "GO-1", `"aliases":["CVE-2024-2","CVE-2024-1","GHSA-x"]`, []string{"CVE-2024-1", "CVE-2024-2"}},
		{"Debian names its CVE under upstream", "DEBIAN-CVE-2024-1", `"upstream":["CVE-2024-1"]`, []string{"CVE-2024-1"}},
		{"ADV-06 DSA", "DSA-1-1", `"upstream":["DEBIAN-CVE-2024-1","CVE-2024-1","CVE-2024-2"]`, []string{"CVE-2024-1", "CVE-2024-2"}},
		{"USN", "USN-1-1", `"upstream":["UBUNTU-CVE-2024-1"],"related":["CVE-2024-1"]`, []string{"CVE-2024-1"}},
		{"an old UBUNTU record", "UBUNTU-CVE-2024-1", `"related":["CVE-2024-1"]`, []string{"CVE-2024-1"}},
		{"nothing but its name", "ALPINE-CVE-2024-1", `"aliases":[]`, []string{"CVE-2024-1"}},
		{"ALSA under related", "ALSA-2024:1", `"related":["CVE-2024-1","CVE-2024-2"]`, []string{"CVE-2024-1", "CVE-2024-2"}},
		{"RLSA under related", "RLSA-2024:1", `"related":["CVE-2024-1"]`, []string{"CVE-2024-1"}},
		{"CGA names CVE and GHSA of one flaw", "CGA-1", `"related":["CGA-1","CVE-2024-1","GHSA-x"]`, []string{"CVE-2024-1"}},
		{"CGA with GHSA alone", "CGA-1", `"upstream":["GHSA-x"]`, []string{"GHSA-x"}},
		{"a distribution's own", "SUSE-SU-2024:1", `"related":[]`, nil},
		{"a CVE record", "CVE-2024-1", `"upstream":["CVE-2024-2"]`, nil},
	} {
		r := parse(t, fmt.Sprintf(`{"id":%q,"modified":"2024-01-01T00:00:00Z",%s}`, tt.id, tt.refs))
		if diff := cmp.Diff(tt.want, r.Flaws); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
	if _, err := parseOSV([]byte(`{"id":"ALBA-1","modified":"2024-01-01T00:00:00Z","related":[]}`), nil); err != errNotAdvisory {
		t.Errorf("an update without a flaw: %v", err)
	}
}

// affectedOf parses one entry of "affected" of a record with an ID.
func affectedOf(t *testing.T, id, top, entry string) []plimsoll.Affected {
	t.Helper()
	return parse(t, fmt.Sprintf(`{"id":%q,"modified":"2024-01-01T00:00:00Z"%s,"affected":[%s]}`, id, top, entry)).Affected
}

func TestOSVAffected(t *testing.T) {
	t.Parallel()
	const ranges = `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}]`
	fixed := []plimsoll.Range{{Type: plimsoll.RangeEcosystem, Events: []plimsoll.Event{{Introduced: "0"}, {Fixed: "2"}}}}
	modular := []plimsoll.Range{{Type: plimsoll.RangeEcosystem, Events: []plimsoll.Event{{Introduced: "0"}, {Fixed: "2.module_el8.6.0+1"}}}}
	low := []plimsoll.Rating{{Source: "Debian", Method: "urgency", Severity: plimsoll.SeverityLow}}
	one := func(ecosystem string, set func(*plimsoll.Affected)) []plimsoll.Affected {
		a := plimsoll.Affected{Ecosystem: ecosystem, Package: "p", Ranges: fixed}
		if set != nil {
			set(&a)
		}
		return []plimsoll.Affected{a}
	}
	for _, tt := range []struct {
		name, id, top, entry string
		want                 []plimsoll.Affected
	}{
		{"ADV-12 the name is normalised", "PYSEC-1", "", `{"package":{"ecosystem":"PyPI","name":"Py_Yaml"},` + ranges + `}`,
			one("PyPI", func(a *plimsoll.Affected) { a.Package = "py-yaml" })},
		{"ADV-01 withdrawn", "PYSEC-1", `,"withdrawn":"2024-02-01T00:00:00Z"`, `{"package":{"ecosystem":"PyPI","name":"p"},` + ranges + `}`, nil},
		{"ADV-01 withdrawn at an unreadable date", "PYSEC-1", `,"withdrawn":"yesterday"`, `{"package":{"ecosystem":"PyPI","name":"p"},` + ranges + `}`, nil},
		{"ADV-03 commits alone", "PYSEC-1", "", `{"package":{"ecosystem":"PyPI","name":"p"},"ranges":[{"type":"GIT","repo":"r","events":[{"introduced":"0"},{"fixed":"abc"}]}]}`, nil},
		{"ADV-02 ADV-03 events and versions", "PYSEC-1", "",
			`{"package":{"ecosystem":"PyPI","name":"p"},"versions":["1.1","1.0","1.1",""],"ranges":[{"type":"GIT","events":[{"introduced":"0"}]},
			{"type":"SEMVER","events":[{"introduced":"1"},{"last_affected":"1.5"},{"introduced":"3"},{"limit":"4"}]}]}`,
			one("PyPI", func(a *plimsoll.Affected) {
				a.Versions = []string{"1.0", "1.1"}
				a.Ranges = []plimsoll.Range{{Type: plimsoll.RangeSemVer, Events: []plimsoll.Event{{Introduced: "1"}, {LastAffected: "1.5"}, {Introduced: "3"}, {Limit: "4"}}}}
			})},
		{"Alpine: fixed in 0 is never affected", "ALPINE-CVE-2024-1", "", `{"package":{"ecosystem":"Alpine:v3.20","name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"0"}]}]}`, nil},
		{"Alpine: two fixes in one range", "ALPINE-CVE-2024-1", "", `{"package":{"ecosystem":"Alpine:v3.20","name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1"},{"fixed":"2"}]}]}`,
			one("Alpine:v3.20", func(a *plimsoll.Affected) {
				a.Ranges = []plimsoll.Range{{Type: plimsoll.RangeEcosystem, Events: []plimsoll.Event{{Introduced: "0"}, {Fixed: "1"}, {Fixed: "2"}}}}
			})},
		{"Debian end of life", "DEBIAN-CVE-2024-1", "", `{"package":{"ecosystem":"Debian:12","name":"p"},` + ranges + `,"versions":["1","1.1"],"ecosystem_specific":{"urgency":"end-of-life"}}`,
			one("Debian:12", func(a *plimsoll.Affected) { a.State = plimsoll.FixEndOfLife })},
		{"Debian unimportant", "DEBIAN-CVE-2024-1", "", `{"package":{"ecosystem":"Debian:12","name":"p"},` + ranges + `,"ecosystem_specific":{"urgency":"unimportant"}}`,
			one("Debian:12", func(a *plimsoll.Affected) { a.Ratings = low })},
		{"Debian undecided", "DEBIAN-CVE-2024-1", "", `{"package":{"ecosystem":"Debian:12","name":"p"},` + ranges + `,"ecosystem_specific":{"urgency":"not yet assigned"}}`, one("Debian:12", nil)},
		{"Ubuntu Pro", "UBUNTU-CVE-2024-1", "", `{"package":{"ecosystem":"Ubuntu:Pro:16.04:LTS","name":"p"},` + ranges + `,"versions":["1"]}`,
			one("Ubuntu:Pro:16.04:LTS", func(a *plimsoll.Affected) { a.State = plimsoll.FixExtended })},
		{"Ubuntu with a priority", "UBUNTU-CVE-2024-1", "", `{"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"p"},` + ranges + `,"ecosystem_specific":{"ubuntu_priority":"medium","availability":"No subscription required"}}`,
			one("Ubuntu:22.04:LTS", func(a *plimsoll.Affected) {
				a.Ratings = []plimsoll.Rating{{Source: "Ubuntu", Method: "priority", Severity: plimsoll.SeverityMedium}}
			})},
		{"Red Hat module", "RHSA-2024:1", `,"upstream":["CVE-2024-1"]`, `{"package":{"ecosystem":"Red Hat:enterprise_linux:8::appstream","name":"p"},` + ranges + `,"ecosystem_specific":{"module":"idm:DL1"}}`,
			one("Red Hat:enterprise_linux:8::appstream", func(a *plimsoll.Affected) { a.Modules = []string{"idm:DL1"} })},
		{"Red Hat module in the purl, extended support", "RHSA-2024:1", `,"upstream":["CVE-2024-1"]`, `{"package":{"ecosystem":"Red Hat:rhel_eus:8.8::baseos","name":"p","purl":"pkg:rpm/redhat/p?rpmmod=perl%3A5.32"},` + ranges + `}`,
			one("Red Hat:rhel_eus:8.8::baseos", func(a *plimsoll.Affected) {
				a.Modules, a.State = []string{"perl:5.32"}, plimsoll.FixExtended
			})},
		{"AlmaLinux modules in the title", "ALSA-2024:1", `,"summary":"Important: virt:rhel and virt-devel:av security update"`, `{"package":{"ecosystem":"AlmaLinux:8","name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.module_el8.6.0+1"}]}]}`,
			one("AlmaLinux:8", func(a *plimsoll.Affected) {
				a.Ranges, a.Modules = modular, []string{"virt-devel:av", "virt:rhel"}
			})},
		{"AlmaLinux module that begins with a digit, an ID that is none", "ALSA-2024:1", `,"summary":"ALSA-2022:5468 389-ds:1.4 security update"`, `{"package":{"ecosystem":"AlmaLinux:8","name":"p"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.module_el8.6.0+1"}]}]}`,
			one("AlmaLinux:8", func(a *plimsoll.Affected) { a.Ranges, a.Modules = modular, []string{"389-ds:1.4"} })},
		{"AlmaLinux without modules", "ALSA-2024:1", `,"summary":"Important: squid:4 security update"`, `{"package":{"ecosystem":"AlmaLinux:8","name":"p"},` + ranges + `}`, one("AlmaLinux:8", nil)},
		{"ADV-13 openEuler", "OESA-2024-1", `,"upstream":["CVE-2024-1"]`, `{"package":{"ecosystem":"openEuler:22.03-LTS","name":"p"},` + ranges + `,"ecosystem_specific":{"aarch64":["p.rpm"],"src":["p.src.rpm"]}}`,
			one("openEuler:22.03-LTS", func(a *plimsoll.Affected) { a.Arches = []string{"arm64"} })},
		{"ADV-13 Rust on Windows", "RUSTSEC-1", "", `{"package":{"ecosystem":"crates.io","name":"p"},` + ranges + `,"ecosystem_specific":{"affects":{"os":["windows"]}}}`, nil},
		{"ADV-13 Rust on 32 bits", "RUSTSEC-1", "", `{"package":{"ecosystem":"crates.io","name":"p"},` + ranges + `,"ecosystem_specific":{"affects":{"arch":["x86"],"os":["linux","windows"]}}}`,
			one("crates.io", func(a *plimsoll.Affected) { a.Arches = []string{"386"} })},
		{"Rust: nobody maintains it", "RUSTSEC-1", "", `{"package":{"ecosystem":"crates.io","name":"p"},` + ranges + `,"database_specific":{"informational":"unmaintained"}}`,
			one("crates.io", func(a *plimsoll.Affected) {
				a.Ratings = []plimsoll.Rating{{Source: "RustSec", Method: "informational", Severity: plimsoll.SeverityNone}}
			})},
		{"ADV-13 Go on Windows", "GO-1", "", `{"package":{"ecosystem":"Go","name":"p"},` + ranges + `,"ecosystem_specific":{"imports":[{"path":"p","goos":["windows"]}]}}`, nil},
		{"Go on Windows or anywhere", "GO-1", "", `{"package":{"ecosystem":"Go","name":"p"},` + ranges + `,"ecosystem_specific":{"imports":[{"path":"p","goos":["windows"]},{"path":"q"}]}}`, one("Go", nil)},
		{"words of another type are no fault", "GHSA-1", `,"database_specific":{"severity":["odd"]}`, `{"package":{"ecosystem":"npm","name":"p"},` + ranges + `,"ecosystem_specific":7,"database_specific":[]}`, one("npm", nil)},
		{"no name", "GHSA-1", "", `{"package":{"ecosystem":"npm"},` + ranges + `}`, nil},
		{"no package", "GHSA-1", "", `{` + ranges + `}`, nil},
	} {
		if diff := cmp.Diff(tt.want, affectedOf(t, tt.id, tt.top, tt.entry)); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

func TestOSVTakesOnlyWhatIsRead(t *testing.T) {
	t.Parallel()
	r, err := parseOSV([]byte(`{"id":"GHSA-1","modified":"2024-01-01T00:00:00Z","affected":[
		{"package":{"ecosystem":"npm","name":"p"},"versions":["1"]},
		{"package":{"ecosystem":"Packagist:https://x","name":"p"},"versions":["1"]},
		{"package":{"ecosystem":"Maven","name":"p"},"versions":["1"]}]}`), map[string]bool{"npm": true, "Packagist": true})
	if err != nil || len(r.Affected) != 2 {
		t.Errorf("%+v %v", r.Affected, err)
	}
}

func TestADV09Ratings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, record string
		want         []plimsoll.Rating
	}{
		{"versions of CVSS", `{"id":"GHSA-1","severity":[
			{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"},
			{"type":"CVSS_V3","score":"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
			{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"},
			{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"},
			{"type":"CVSS_V3","score":"CVSS:3.1/AV:?"}],"database_specific":{"severity":"MODERATE"}}`, []plimsoll.Rating{
			{Source: "GitHub", Method: "CVSS_V2", Vector: "AV:N/AC:L/Au:N/C:C/I:C/A:C", Score: 10, Severity: plimsoll.SeverityHigh},
			{Source: "GitHub", Method: "CVSS_V3", Vector: "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, Severity: plimsoll.SeverityCritical},
			{Source: "GitHub", Method: "CVSS_V3", Vector: "CVSS:3.1/AV:L/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", Score: 2.5, Severity: plimsoll.SeverityLow},
			{Source: "GitHub", Method: "CVSS_V4", Vector: "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Score: 9.3, Severity: plimsoll.SeverityCritical},
			{Source: "GitHub", Severity: plimsoll.SeverityMedium},
		}},
		{"a copied vector is the CVE record's", `{"id":"UBUNTU-CVE-2024-1","severity":[
			{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},{"type":"Ubuntu","score":"low"}]}`, []plimsoll.Rating{
			{Source: "CVE", Method: "CVSS_V3", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, Severity: plimsoll.SeverityCritical},
			{Source: "Ubuntu", Severity: plimsoll.SeverityLow},
		}},
		{"the title's word", `{"id":"ALSA-1","related":["CVE-2024-1"],"summary":"Important: squid:4 security update"}`, []plimsoll.Rating{
			{Source: "AlmaLinux", Severity: plimsoll.SeverityHigh}}},
		{"no word", `{"id":"ALSA-1","related":["CVE-2024-1"],"summary":"squid: update","database_specific":{"severity":"None given"}}`, nil},
	} {
		r, err := parseOSV([]byte(tt.record), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, r.Advisory.Ratings); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

func TestOSVLimits(t *testing.T) {
	t.Parallel()
	packages := func(n int) string {
		return `{"id":"GHSA-1","affected":[` + strings.TrimSuffix(strings.Repeat("{},", n), ",") + `]}`
	}
	ids := func(n int) string {
		return `{"id":"GHSA-1","aliases":[` + strings.TrimSuffix(strings.Repeat(`"A",`, n), ",") + `]}`
	}
	version := func(n int) string {
		return fmt.Sprintf(`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":[{"fixed":%q}]}]}]}`, strings.Repeat("1", n))
	}
	name := func(n int) string {
		return fmt.Sprintf(`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"npm","name":%q},"versions":["1"]}]}`, strings.Repeat("n", n))
	}
	id := func(n int) string { return fmt.Sprintf(`{"id":%q}`, strings.Repeat("I", n)) }
	size := func(n int) string { return `{"id":"GHSA-1"}` + strings.Repeat(" ", n-15) }
	for _, tt := range []struct {
		name   string
		record func(int) string
		limit  int
	}{{"packages", packages, maxAffected}, {"ids", ids, maxIDs}, {"version", version, maxVersion}, {"name", name, maxName}, {"id", id, maxID}, {"bytes", size, maxRecord}} {
		if _, err := parseOSV([]byte(tt.record(tt.limit)), nil); err != nil {
			t.Errorf("%s at the limit: %v", tt.name, err)
		}
		if _, err := parseOSV([]byte(tt.record(tt.limit+1)), nil); err == nil {
			t.Errorf("%s beyond the limit: no error", tt.name)
		}
	}
	r := parse(t, fmt.Sprintf(`{"id":"GHSA-1","details":%q}`, strings.Repeat("é", maxDetails)))
	if n := len(r.Advisory.Details); n > maxDetails || n < maxDetails-1 || strings.ContainsRune(r.Advisory.Details, '\ufffd') {
		t.Errorf("details of %d bytes", n)
	}
}

// TestGoldenRecords reads the published records of testdata.
func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.plimdb")
	w := vulndb.NewWriter(path)
	sources, problems, err := Compile(t.Context(), w, os.DirFS("testdata/osv"))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if _, err := w.Finish(t.Context(), sources, true); err != nil {
		t.Fatal(err)
	}
	db, err := vulndb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "\t")
	g := db.Generation()
	g.ID = ""
	enc.Encode(g)
	for _, e := range db.Ecosystems() {
		for _, name := range packagesOf(t, e) {
			rows, err := db.Affected(e, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range rows {
				enc.Encode(a)
				v, err := db.Vulnerability(a.Vulnerability)
				if err != nil {
					t.Fatal(err)
				}
				v.Details, v.References = "", nil
				enc.Encode(v)
			}
		}
	}
	golden := "testdata/records.golden"
	if *updateGolden {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Error(diff)
	}
}

// packagesOf lists the packages of an ecosystem in testdata.
func packagesOf(t *testing.T, ecosystem string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/osv/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	seen := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, err := parseOSV(b, nil)
		if err != nil && err != errNotAdvisory {
			t.Fatal(f, err)
		}
		for _, a := range r.Affected {
			if a.Ecosystem == ecosystem && !seen[a.Package] {
				seen[a.Package] = true
				names = append(names, a.Package)
			}
		}
	}
	return names
}

func FuzzOSVRecord(f *testing.F) {
	files, _ := filepath.Glob("testdata/osv/*/*.json")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		start := time.Now()
		r, err := parseOSV(b, nil)
		if err != nil {
			return
		}
		if len(r.Affected) > maxAffected || len(r.Advisory.ID) > maxID || !r.Advisory.Withdrawn.IsZero() && r.Affected != nil {
			t.Errorf("%+v", r)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("took %v", d)
		}
	})
}
