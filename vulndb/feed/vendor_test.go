package feed

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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
			"  Red Hat:enterprise_linux:6 src:pam: <0 (vulnerable_code_not_present)",
			"  Red Hat:enterprise_linux:7 src:pam: end-of-life (Out of support scope)",
			"  Red Hat:enterprise_linux:8 src:nodejs nodejs:18: deferred (Fix deferred)",
			"  Red Hat:enterprise_linux:8 src:pam: under-investigation (Under investigation)",
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

// archives packs documents in every way that vendors do, by file name.
func archives(t *testing.T, documents map[string][]byte) map[string][]byte {
	t.Helper()
	var z, tb bytes.Buffer
	zw, tw := zip.NewWriter(&z), tar.NewWriter(&tb)
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		w, err := zw.Create("2024/" + name)
		if err == nil {
			_, err = w.Write(documents[name])
		}
		if err == nil {
			err = tw.WriteHeader(&tar.Header{Name: "2024/" + name, Mode: 0o644, Size: int64(len(documents[name])), Format: tar.FormatUSTAR})
		}
		if err == nil {
			_, err = tw.Write(documents[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// What archives hold beside documents is not read.
	tw.WriteHeader(&tar.Header{Name: "2024/x.json.asc", Mode: 0o644, Size: 1, Format: tar.FormatUSTAR})
	tw.Write([]byte("x"))
	if err := errors.Join(zw.Close(), tw.Close()); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"all.zip": z.Bytes(), "all.tar": tb.Bytes(), "all.tar.gz": packed(t, "gz", tb.Bytes()), "all.tar.zst": packed(t, "zst", tb.Bytes())}
}

// TestVendorPlaces: documents in a directory, or in an archive of any kind on
// disk or on a server, give the same generation.
func TestVendorPlaces(t *testing.T) {
	t.Parallel()
	own := map[string][]byte{"ACME-2026-1.json": []byte(`{"id":"ACME-2026-1","modified":"2026-01-07T00:00:00Z","upstream":["CVE-2026-7"],
		"affected":[{"package":{"ecosystem":"acme:1","name":"tool"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2-1"}]}]}]}`)}
	for _, tt := range []struct {
		kind, ecosystem, name, provider string
		documents                       map[string][]byte
	}{
		{"csaf", "Red Hat:enterprise_linux:9::baseos", "pam", "Red Hat",
			map[string][]byte{"cve-2024-10041.json": testdata(t, "csaf/redhat-vex.json"), "cve-2023-0464.json": testdata(t, "csaf/suse-vex.json")}},
		{"csaf@euleros:2.0-SP9", "EulerOS:2.0-SP9", "bzip2", "openEuler", map[string][]byte{"csaf-openeuler-sa.json": testdata(t, "csaf/openeuler-sa.json")}},
		{"osv-files", "acme:1", "tool", "ACME", own},
		{"secdb", "Alpine:v3.20", "runc", "Alpine secdb", map[string][]byte{"community.json": bytes.ReplaceAll(testdata(t, "secdb/alpine-community.json"), []byte("20.10.11.r0"), []byte("20.10.11-r0")), "main.json": testdata(t, "secdb/alpine-main.json")}},
		{"secdb@chainguard", "Chainguard", "grafana", "Wolfi", map[string][]byte{"security.json": testdata(t, "secdb/wolfi.json")}},
		{"debian-tracker", "Debian:12", "curl", "Debian security tracker", map[string][]byte{"json": testdata(t, "tracker.json")}},
	} {
		s, o := site(t)
		dir := t.TempDir()
		addresses := map[string][]string{dir: {dir}}
		for name, b := range tt.documents {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
			s.put("/"+tt.kind+"/"+name, b)
			addresses["single"] = append(addresses["single"], s.URL+"/"+tt.kind+"/"+name)
		}
		if tt.kind == "debian-tracker" {
			addresses[dir] = []string{filepath.Join(dir, "json")}
		} else {
			for name, b := range archives(t, tt.documents) {
				file := filepath.Join(t.TempDir(), name)
				if err := os.WriteFile(file, b, 0o644); err != nil {
					t.Fatal(err)
				}
				s.put("/"+name, b)
				addresses[name], addresses["server "+name] = []string{file}, []string{s.URL + "/" + name}
			}
		}
		var first []plimsoll.Affected
		for name, list := range addresses {
			o.Dir, o.Sources = t.TempDir(), nil
			for _, address := range list {
				o.Sources = append(o.Sources, mustSource(t, tt.kind+"="+address))
			}
			mustRun(t, o)
			got := affects(t, o, tt.ecosystem, tt.name)
			if first == nil {
				first = got
			}
			if len(got) == 0 || got[0].Provider != tt.provider {
				t.Errorf("%s from %s: %+v", tt.kind, name, got)
			}
			if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("%s from %s differs:\n%s", tt.kind, name, diff)
			}
		}
	}
}

// TestVendorDamage: what is broken is told by name; a source that is broken as a
// whole leaves the generation in use.
func TestVendorDamage(t *testing.T) {
	t.Parallel()
	documents := map[string][]byte{}
	for i := range 30 {
		id := fmt.Sprintf("CVE-2024-%05d", 20000+i)
		documents[strings.ToLower(id)+".json"] = bytes.ReplaceAll(testdata(t, "csaf/suse-vex.json"), []byte("CVE-2023-0464"), []byte(id))
	}
	documents["broken.json"] = []byte("{")
	whole := archives(t, documents)
	s, o := site(t)
	s.put("/csaf.zip", whole["all.zip"])
	o.Sources = []Source{mustSource(t, "csaf="+s.URL+"/csaf.zip")}
	if _, sum := mustRun(t, o); sum.Broken != 1 || len(sum.Problems) != 1 || !strings.Contains(sum.Problems[0].Path, "broken.json") {
		t.Errorf("one broken document: %+v", sum)
	}
	rows := affects(t, o, "SUSE:Linux Enterprise Server 15 SP5", "libopenssl1_0_0")
	for name, b := range map[string][]byte{
		"cut zip": whole["all.zip"][:len(whole["all.zip"])-30], "cut tar": whole["all.tar"][:5000],
		"cut gzip": whole["all.tar.gz"][:len(whole["all.tar.gz"])/2], "web page": []byte("<html>"), "empty": nil,
	} {
		s.put("/csaf.zip", b)
		if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v", name, err)
		}
		if got := affects(t, o, "SUSE:Linux Enterprise Server 15 SP5", "libopenssl1_0_0"); len(got) != len(rows) {
			t.Errorf("%s: %d rows are left of %d", name, len(got), len(rows))
		}
	}
}

// TestPrefer: whom the operator prefers is marked, also when nothing else changes.
func TestPrefer(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	s.put("/tracker", testdata(t, "tracker.json"))
	s.publish(t, "Debian", map[string]string{"DEBIAN-CVE-2024-7264": made("DEBIAN-CVE-2024-7264", "Debian:12", "curl", "9", 2)})
	o.Ecosystems = []string{"Debian"}
	o.Sources = []Source{mustSource(t, "debian-tracker="+s.URL+"/tracker")}
	preferred := func() map[string]bool {
		m := map[string]bool{}
		for _, a := range affects(t, o, "Debian:12", "curl") {
			m[a.AdvisoryID] = a.Preferred
		}
		return m
	}
	mustRun(t, o)
	for _, tt := range []struct {
		prefer string
		osv    bool
		own    bool
	}{
		{"Debian=debian-tracker", false, true}, {"Debian=osv", true, false}, {"Debian=osv/Debian", true, false}, {"Alpine=secdb", false, false},
	} {
		p, err := ParsePreference(tt.prefer)
		if err != nil {
			t.Fatal(err)
		}
		o.Prefer = []Preference{p}
		mustRun(t, o)
		want := map[string]bool{"DEBIAN-CVE-2024-7264": tt.osv, "DEBIANTRACKER-CVE-2024-7264": tt.own, "DEBIANTRACKER-CVE-2024-2379": tt.own}
		if diff := cmp.Diff(want, preferred()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.prefer, diff)
		}
	}
	if _, sum := mustRun(t, o); !sum.Unchanged {
		t.Error("the same preference compiles again")
	}
	for _, bad := range []string{"", "Debian", "Debian=", "=osv", "Debian=nonesuch", "Debian=csaf/", "../x=osv"} {
		if _, err := ParsePreference(bad); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestCSAFDirectory: of a directory on a server, an archive and then only what
// changed is fetched; what is gone is dropped.
func TestCSAFDirectory(t *testing.T) {
	t.Parallel()
	document := func(n, day int) []byte {
		b := bytes.ReplaceAll(testdata(t, "csaf/suse-vex.json"), []byte("CVE-2023-0464"), fmt.Appendf(nil, "CVE-2024-%05d", 20000+n))
		return bytes.ReplaceAll(b, []byte("2024-08-02T02:27:29Z"), fmt.Appendf(nil, "2025-01-%02dT00:00:00Z", day))
	}
	list := func(days map[int]int) []byte {
		var b bytes.Buffer
		for _, n := range slices.Sorted(maps.Keys(days)) {
			fmt.Fprintf(&b, "\"2024/cve-%d.json\",\"2025-01-%02dT00:00:00+00:00\"\n", n, days[n])
		}
		return b.Bytes()
	}
	flaws := func(o Options) (ids []string) {
		for _, a := range affects(t, o, "SUSE:Linux Enterprise Server 15 SP5", "libopenssl1_0_0") {
			ids = append(ids, fmt.Sprint(a.Vulnerability, a.Modified.Format(" Jan 2")))
		}
		return ids
	}
	for _, archived := range []bool{false, true} {
		s, o := site(t)
		for n := range 3 {
			s.put(fmt.Sprintf("/vex/2024/cve-%d.json", n), document(n, 1+n))
		}
		s.put("/vex/changes.csv", list(map[int]int{0: 1, 1: 2, 2: 3}))
		o.Sources = []Source{mustSource(t, "csaf="+s.URL+"/vex/")}
		want := []string{"/vex/2024/cve-0.json", "/vex/2024/cve-1.json", "/vex/2024/cve-2.json", "/vex/changes.csv"}
		if archived {
			s.put("/vex/archive_latest.txt", []byte("vex_2025-01-04.tar.gz\n"))
			whole := archives(t, map[string][]byte{"cve-0.json": document(0, 1), "cve-1.json": document(1, 2), "cve-2.json": document(2, 3)})["all.tar.gz"]
			s.answer("/vex/vex_2025-01-04.tar.gz", func(w http.ResponseWriter, r *http.Request) {
				s.asked = append(s.asked, r.URL.Path)
				w.Header().Set("Last-Modified", "Sun, 05 Jan 2025 00:00:00 GMT")
				w.Write(whole)
			})
			want = []string{"/vex/archive_latest.txt", "/vex/changes.csv", "/vex/vex_2025-01-04.tar.gz"}
		}
		took := func() []string {
			return slices.DeleteFunc(s.took(), func(p string) bool { return !strings.HasPrefix(p, "/vex/") })
		}
		mustRun(t, o)
		if diff := cmp.Diff(want, took()); diff != "" {
			t.Errorf("first, archive %v (-want +took):\n%s", archived, diff)
		}
		if diff := cmp.Diff([]string{"CVE-2024-20000 Jan 1", "CVE-2024-20001 Jan 2", "CVE-2024-20002 Jan 3"}, flaws(o)); diff != "" {
			t.Errorf("first, archive %v:\n%s", archived, diff)
		}
		if _, sum := mustRun(t, o); !sum.Unchanged || len(took()) != 0 {
			t.Errorf("unchanged: %+v", sum)
		}
		// One changes, one comes, one is announced and not there, one goes.
		s.put("/vex/2024/cve-1.json", document(1, 20))
		s.put("/vex/2024/cve-3.json", document(3, 21))
		s.put("/vex/changes.csv", list(map[int]int{1: 20, 2: 3, 3: 21, 4: 22}))
		o.Force = true
		mustRun(t, o)
		if diff := cmp.Diff([]string{"/vex/2024/cve-1.json", "/vex/2024/cve-3.json", "/vex/changes.csv"}, took()); diff != "" {
			t.Errorf("then, archive %v (-want +took):\n%s", archived, diff)
		}
		wantFlaws := []string{"CVE-2024-20001 Jan 20", "CVE-2024-20002 Jan 3", "CVE-2024-20003 Jan 21"}
		if archived { // an archive is taken as it is
			wantFlaws = append([]string{"CVE-2024-20000 Jan 1"}, wantFlaws...)
		}
		if diff := cmp.Diff(wantFlaws, flaws(o)); diff != "" {
			t.Errorf("then, archive %v:\n%s", archived, diff)
		}
	}
}

func TestCSAFDirectoryRefused(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	o.Sources = []Source{mustSource(t, "csaf="+s.URL+"/vex/")}
	if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("no list: %v", err)
	}
	for _, text := range []string{"", "<html>", "a.json", "../a.json,2025-01-01T00:00:00Z", "/etc/a.json,2025-01-01T00:00:00Z", "http://x/a.json,2025-01-01T00:00:00Z",
		"a/../b.json,2025-01-01T00:00:00Z", "a.html,2025-01-01T00:00:00Z", "a.json,yesterday", "\"a.json"} {
		s.put("/vex/changes.csv", []byte(text))
		if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%q: %v", text, err)
		}
	}
	s.put("/vex/changes.csv", []byte("a.json,2025-01-01T00:00:00Z\n"))
	s.put("/vex/archive_latest.txt", []byte("../../etc/passwd"))
	if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
		t.Errorf("archive elsewhere: %v", err)
	}
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte("\"2024/cve-1.json\",\"2025-01-01T00:00:00+00:00\"\n"))
	f.Add([]byte("a.json,2025-01-01T00:00:00Z"))
	f.Fuzz(func(t *testing.T, b []byte) {
		changes, err := parseChanges(b)
		if err != nil {
			return
		}
		for p := range changes {
			if !filepath.IsLocal(p) || strings.Contains(p, "//") || len(p) > 700 {
				t.Errorf("%q leaves the directory", p)
			}
		}
	})
}
