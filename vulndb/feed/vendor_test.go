package feed

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/vulndb"
)

// rows writes records as lines: "ID (flaws)", then for each row "  ecosystem
// package [arches] [modules]: range state (note) ratings".
func rows(records []vulndb.Record) []string {
	var lines []string
	for _, r := range records {
		lines = append(lines, fmt.Sprintf("%s by %s about %s", r.Advisory.ID, r.Advisory.Provider, strings.Join(r.Flaws, " ")))
		for _, a := range r.Affected {
			s := "  " + a.Ecosystem + " " + a.Package
			for _, list := range [][]string{a.Arches, a.Modules} {
				if len(list) > 0 {
					s += " " + strings.Join(list, ",")
				}
			}
			s += ":"
			for _, rng := range a.Ranges {
				for _, e := range rng.Events {
					switch {
					case e.Fixed != "":
						s += " <" + e.Fixed
					case e.LastAffected != "":
						s += " <=" + e.LastAffected
					}
				}
			}
			if a.State != "" {
				s += " " + string(a.State)
			}
			if a.Note != "" {
				s += " (" + a.Note + ")"
			}
			for _, rating := range a.Ratings {
				s += " " + rating.Severity.String()
			}
			lines = append(lines, s)
		}
	}
	return lines
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCSAF(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, bound string
		want              []string
	}{
		{"RPM-05 RPM-06 RPM-08 Red Hat's state of one flaw", "redhat-vex.json", "", []string{
			"REDHAT-CVE-2024-10041 by Red Hat about CVE-2024-10041",
			"  Red Hat:enterprise_linux:6 pam src: <0 (vulnerable_code_not_present)",
			"  Red Hat:enterprise_linux:7 pam src: end-of-life (Out of support scope)",
			"  Red Hat:enterprise_linux:8 nodejs src nodejs:18: deferred (Fix deferred)",
			"  Red Hat:enterprise_linux:8 pam src: under-investigation (Under investigation)",
			"  Red Hat:enterprise_linux:8::appstream nodejs nodejs:20: <1:20.16.0-1.module+el8.10.0+22202+761b9a65",
			"  Red Hat:enterprise_linux:9::baseos pam: <1.5.1-21.el9_5",
			"  Red Hat:rhel_eus:9.2::baseos pam: <1.5.1-15.el9_2 extended-only",
		}},
		{"RPM-10 SUSE names products and leaves epochs out", "suse-vex.json", "", []string{
			"SUSE-CVE-2023-0464 by SUSE about CVE-2023-0464",
			"  SUSE:Linux Enterprise Module for Basesystem 15 SP5 libopenssl-1_1-devel: <1.1.1l-150500.17.3.1",
			"  SUSE:Linux Enterprise Module for Basesystem 15 SP5 libopenssl1_1: <1.1.1l-150500.17.3.1",
			"  SUSE:Linux Enterprise Module for Basesystem 15 SP5 libopenssl1_1-32bit: <1.1.1l-150500.17.3.1",
			"  SUSE:Linux Enterprise Server 15 SP5 libopenssl1_0_0: not-fixed",
			"  SUSE:Linux Enterprise Server 15 SP5 libopenssl1_1: <0",
			"  openSUSE:Leap 15.5 libopenssl1_1: <1.1.1l-150500.17.3.1",
			"  openSUSE:Tumbleweed openssl-1_1: under-investigation (Under investigation)",
		}},
		{"ADV-06 a notice about two flaws in the same packages is one record", "openeuler-sa.json", "", []string{
			"openEuler-SA-2024-9001 by openEuler about CVE-2024-90001 CVE-2024-90002",
			"  openEuler:22.03-LTS-SP3 bzip2: <1.0.8-6.oe2203sp3",
			"  openEuler:24.03-LTS bzip2: <1.0.8-7.oe2403",
		}},
		{"ADV-06 a notice whose flaws are not in the same packages", "openeuler-sa-split.json", "", []string{
			"openEuler-SA-2024-9002/CVE-2024-90003 by openEuler about CVE-2024-90003",
			"  openEuler:22.03-LTS-SP3 bzip2: <1.0.8-6.oe2203sp3",
			"  openEuler:24.03-LTS bzip2: <1.0.8-7.oe2403",
			"openEuler-SA-2024-9002/CVE-2024-90004 by openEuler about CVE-2024-90004",
			"  openEuler:22.03-LTS-SP3 bzip2: <1.0.8-6.oe2203sp3",
		}},
		{"the operator may name the system", "suse-vex.json", "Own Linux:1", []string{
			"SUSE-CVE-2023-0464 by SUSE about CVE-2023-0464",
			"  Own Linux:1 libopenssl-1_1-devel: <1.1.1l-150500.17.3.1",
			"  Own Linux:1 libopenssl1_0_0: not-fixed",
			"  Own Linux:1 libopenssl1_1: <0",
			"  Own Linux:1 libopenssl1_1: <1.1.1l-150500.17.3.1",
			"  Own Linux:1 libopenssl1_1-32bit: <1.1.1l-150500.17.3.1",
			"  Own Linux:1 openssl-1_1: under-investigation (Under investigation)",
		}},
	} {
		records, err := parseCSAF(testdata(t, "csaf/"+tt.file), tt.bound)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, rows(records)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What a document says apart from packages.
func TestCSAFAdvisory(t *testing.T) {
	t.Parallel()
	records, err := parseCSAF(testdata(t, "csaf/redhat-vex.json"), "")
	if err != nil {
		t.Fatal(err)
	}
	want := plimsoll.Advisory{
		ID: "REDHAT-CVE-2024-10041", Provider: "Red Hat", Upstream: []string{"CVE-2024-10041"},
		Published: mustTime(t, "2024-10-18T00:00:00Z"), Modified: mustTime(t, "2024-12-18T09:14:23Z"),
		Summary: "pam: libpam: state of one flaw", Details: "A flaw of pam.",
		Ratings: []plimsoll.Rating{
			{Source: "Red Hat", Method: "CVSS_V3", Vector: "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:H/I:N/A:N", Score: 4.7, Severity: plimsoll.SeverityMedium},
			{Source: "Red Hat", Severity: plimsoll.SeverityMedium},
		},
		References: []string{"https://www.redhat.com/csaf/cve-2024-10041.json", "https://access.redhat.com/security/cve/CVE-2024-10041"},
	}
	if diff := cmp.Diff(want, records[0].Advisory); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCSAFRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"no JSON", `<html>`, "invalid character"},
		{"another format", `{"document":{}}`, "csaf_version"},
		{"no name", `{"document":{"csaf_version":"2.0"}}`, "tracking id"},
		{"a draft", `{"document":{"csaf_version":"2.0","tracking":{"id":"X-1","status":"draft"}}}`, errNotAdvisory.Error()},
		{"no flaw", `{"document":{"csaf_version":"2.0","tracking":{"id":"X-1"}}}`, errNotAdvisory.Error()},
		{"a chain of relationships without end", `{"document":{"csaf_version":"2.0","tracking":{"id":"X-1"}},"product_tree":{"relationships":[
			{"full_product_name":{"product_id":"a"},"product_reference":"b","relates_to_product_reference":"a"},
			{"full_product_name":{"product_id":"b"},"product_reference":"a","relates_to_product_reference":"b"}]},
			"vulnerabilities":[{"cve":"CVE-2024-1","product_status":{"known_affected":["a","b"]}}]}`, ""},
	} {
		_, err := parseCSAF([]byte(tt.text), "")
		if got := fmt.Sprint(err); !strings.Contains(got, tt.want) || (err == nil) != (tt.want == "") {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDEB07Tracker(t *testing.T) {
	t.Parallel()
	var records []vulndb.Record
	err := parseTracker(bytes.NewReader(testdata(t, "tracker.json")), func(r vulndb.Record) error {
		records = append(records, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"DEBIANTRACKER-CVE-2010-4756 by Debian security tracker about CVE-2010-4756",
		"  Debian:12 glibc: not-fixed low",
		"DEBIANTRACKER-CVE-2024-2379 by Debian security tracker about CVE-2024-2379",
		"  Debian:12 curl: <0 low",
		"  Debian:13 curl: <8.7.1-1",
		"DEBIANTRACKER-CVE-2024-7264 by Debian security tracker about CVE-2024-7264",
		"  Debian:11 curl: <7.74.0-1.3+deb11u13",
		"  Debian:12 curl: <7.88.1-10+deb12u7",
		"  Debian:13 curl: <8.9.1-1",
		"DEBIANTRACKER-CVE-2024-90010 by Debian security tracker about CVE-2024-90010",
		"  Debian:10 glibc: end-of-life (end-of-life)",
		"  Debian:11 glibc: will-not-fix (ignored: Too intrusive to backport)",
		"  Debian:12 glibc: deferred (no-dsa: Minor issue)",
		"  Debian:12 tar: under-investigation (undetermined)",
		"  Debian:13 glibc: deferred (postponed: Wait for the point release)",
		"  Debian:13 tar: not-fixed low",
		"DEBIANTRACKER-TEMP-0841856-B18BAF by Debian security tracker about TEMP-0841856-B18BAF",
		"  Debian:11 bash: not-fixed low",
		"  Debian:12 bash: not-fixed low",
	}
	if diff := cmp.Diff(want, rows(records)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTrackerRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{`[]`, "not the tracker's data"},
		{`{"tar":{"CVE-2024-1":{"releases":{"bookworm":{"status":"resolved"}}}}}`, `CVE-2024-1 in "tar": resolved without a version`},
		{`{"tar":{"CVE-2024-1":{"releases":{"bookworm":{"status":"maybe"}}}}}`, `status "maybe" is not known`},
		{`{"tar":[]}`, `source package "tar"`},
		{`{"":{}}`, "no usable name"},
		{`{"tar":{"CVE-2024-1":{"releases":`, "unexpected EOF"},
	} {
		err := parseTracker(strings.NewReader(tt.text), func(vulndb.Record) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.text, err, tt.want)
		}
	}
	stop := errors.New("disk full")
	if err := parseTracker(bytes.NewReader(testdata(t, "tracker.json")), func(vulndb.Record) error { return stop }); err != stop {
		t.Errorf("got %v, want the visitor's error", err)
	}
}

func TestAPK02SecDB(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		files    []string
		want     []string
		problems []string
	}{
		{"main and community, several IDs an entry, never affected, wrong data", []string{"alpine-main.json", "alpine-community.json"}, []string{
			"ALPINESECDB-CVE-2017-12135 by Alpine secdb about CVE-2017-12135", "  Alpine:v3.20 xen: <0",
			"ALPINESECDB-CVE-2017-17439 by Alpine secdb about CVE-2017-17439", "  Alpine:v3.20 heimdal: <7.1.0-r2",
			"ALPINESECDB-CVE-2018-7540 by Alpine secdb about CVE-2018-7540", "  Alpine:v3.20 xen: <4.10.0-r2",
			"ALPINESECDB-CVE-2018-7541 by Alpine secdb about CVE-2018-7541", "  Alpine:v3.20 xen: <4.10.0-r2",
			"ALPINESECDB-CVE-2021-41089 by Alpine secdb about CVE-2021-41089", "  Alpine:v3.20 docker: <20.10.9-r0",
			"ALPINESECDB-CVE-2021-41190 by Alpine secdb about CVE-2021-41190", "  Alpine:v3.20 runc: <1.0.3-r0",
			"ALPINESECDB-CVE-2024-28085 by Alpine secdb about CVE-2024-28085", "  Alpine:v3.20 util-linux: <2.39-r1 <2.40-r0",
			"ALPINESECDB-XSA-248 by Alpine secdb about XSA-248", "  Alpine:v3.20 xen: <4.10.0-r1",
		}, []string{"docker"}},
		{"APK-03 Wolfi", []string{"wolfi.json"}, []string{
			"WOLFI-CVE-2023-90001 by Wolfi about CVE-2023-90001", "  Wolfi grafana: <0",
			"WOLFI-CVE-2023-90002 by Wolfi about CVE-2023-90002", "  Wolfi grafana: <10.1.0-r1",
			"WOLFI-GHSA-aaaa-bbbb-cccc by Wolfi about GHSA-aaaa-bbbb-cccc", "  Wolfi grafana: <0",
		}, nil},
	} {
		var db secDB
		var problems []string
		for _, file := range tt.files {
			err := db.read(bytes.NewReader(testdata(t, "secdb/"+file)), "", func(name string, err error) { problems = append(problems, name) })
			if err != nil {
				t.Fatalf("%s: %s: %v", tt.name, file, err)
			}
		}
		var records []vulndb.Record
		if err := db.records(func(r vulndb.Record) error { records = append(records, r); return nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, rows(records)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.problems, problems); diff != "" {
			t.Errorf("%s: problems (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestSecDBRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`[]`, `{}`, `{"distroversion":"v3.20","packages":[]}`, `{"distroversion":"../x","packages":[{"pkg":{"name":"a"}}]}`, `{"distroversion":"v3.20","packages":[{"pkg":{}}]}`, `{"distroversion":"v3.20","pack`} {
		var db secDB
		if err := db.read(strings.NewReader(text), "", func(string, error) {}); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
	var db secDB
	for i, file := range []string{"alpine-main.json", "wolfi.json"} {
		if err := db.read(bytes.NewReader(testdata(t, "secdb/"+file)), "", func(string, error) {}); (err != nil) != (i == 1) {
			t.Errorf("%s after the others: got %v", file, err)
		}
	}
}

func mustTime(t *testing.T, s string) (at time.Time) {
	t.Helper()
	at, err := parseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Each fuzz target checks that hostile input neither panics nor makes records
// that the database would not take, or not twice the same.
func FuzzCSAF(f *testing.F) {
	for _, name := range []string{"redhat-vex.json", "suse-vex.json", "openeuler-sa-split.json"} {
		f.Add(testdata(f, "csaf/"+name), "")
	}
	f.Fuzz(func(t *testing.T, b []byte, bound string) {
		first, err := parseCSAF(b, bound)
		if err != nil {
			return
		}
		second, _ := parseCSAF(b, bound)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("two readings differ:\n%s", diff)
		}
		storable(t, first)
	})
}

func FuzzTracker(f *testing.F) {
	f.Add(testdata(f, "tracker.json"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var records []vulndb.Record
		if parseTracker(bytes.NewReader(b), func(r vulndb.Record) error { records = append(records, r); return nil }) == nil {
			storable(t, records)
		}
	})
}

func FuzzSecDB(f *testing.F) {
	for _, name := range []string{"alpine-main.json", "alpine-community.json", "wolfi.json"} {
		f.Add(testdata(f, "secdb/"+name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var db secDB
		if db.read(bytes.NewReader(b), "", func(string, error) {}) != nil {
			return
		}
		var records []vulndb.Record
		db.records(func(r vulndb.Record) error { records = append(records, r); return nil })
		storable(t, records)
	})
}

// storable checks what package vulndb asks of a record beyond its own refusals.
func storable(t *testing.T, records []vulndb.Record) {
	t.Helper()
	w := vulndb.NewWriter(t.TempDir() + "/x")
	defer w.Abort()
	for _, r := range records {
		if r.Advisory.ID == "" || r.Advisory.Provider == "" || len(r.Flaws) == 0 {
			t.Errorf("record without name, provider or flaw: %+v", r.Advisory)
		}
		if err := w.Add(r); err != nil && plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Error(err)
		}
	}
}
