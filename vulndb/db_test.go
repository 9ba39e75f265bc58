package vulndb

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func fixedIn(version string) []plimsoll.Range {
	return []plimsoll.Range{{Type: plimsoll.RangeEcosystem, Events: []plimsoll.Event{{Introduced: "0"}, {Fixed: version}}}}
}

func on(ecosystem, name, fixed string) plimsoll.Affected {
	return plimsoll.Affected{Ecosystem: ecosystem, Package: name, Ranges: fixedIn(fixed)}
}

// records is a small collection with every kind of relation.
func records() []Record {
	high := plimsoll.Rating{Source: "GitHub", Method: "CVSS_V3", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Score: 7.5, Severity: plimsoll.SeverityHigh}
	return []Record{
		{
			Advisory: plimsoll.Advisory{ID: "GHSA-aaaa-bbbb-cccc", Provider: "GitHub", Aliases: []string{"CVE-2026-10"}, Modified: day(2), Published: day(1),
				Summary: "flaw ten", Details: "long words", Ratings: []plimsoll.Rating{high}, References: []string{"https://example.org/b", "https://example.org/a"}},
			Affected: []plimsoll.Affected{on("PyPI", "lib", "2.0"), {Ecosystem: "npm", Package: "@s/lib", Versions: []string{"1.0.0", "1.0.1"}, Arches: []string{"amd64"}}},
		},
		{
			Advisory: plimsoll.Advisory{ID: "PYSEC-2026-1", Provider: "PyPA", Aliases: []string{"GHSA-aaaa-bbbb-cccc"}, Modified: day(3)},
			Affected: []plimsoll.Affected{on("PyPI", "lib", "2.0")},
		},
		{
			Advisory: plimsoll.Advisory{ID: "DSA-1-1", Provider: "Debian", Upstream: []string{"CVE-2026-10", "CVE-2026-9"}, Modified: day(4), Summary: "lib - security update"},
			Affected: []plimsoll.Affected{{Ecosystem: "Debian:12", Package: "lib", Ranges: fixedIn("1.9-1+deb12u1"), State: plimsoll.FixDeferred, Note: "no-dsa: Minor issue", Preferred: true, Modules: []string{"m:1"},
				Ratings: []plimsoll.Rating{{Source: "Debian", Severity: plimsoll.SeverityLow}}}},
			Flaws: []string{"CVE-2026-10", "CVE-2026-9"},
		},
		{
			Advisory: plimsoll.Advisory{ID: "DEBIAN-CVE-2026-10", Provider: "Debian", Upstream: []string{"CVE-2026-10"}, Modified: day(5)},
			Affected: []plimsoll.Affected{on("Debian:12", "lib", "1.9-1+deb12u1")},
			Flaws:    []string{"CVE-2026-10"},
		},
		{
			Advisory: plimsoll.Advisory{ID: "GHSA-gone-gone-gone", Provider: "GitHub", Aliases: []string{"CVE-2026-11"}, Modified: day(6), Withdrawn: day(6), Summary: "was none"},
			Affected: []plimsoll.Affected{},
		},
		{
			Advisory: plimsoll.Advisory{ID: "MAL-2026-1", Provider: "OpenSSF", Modified: day(1), Summary: "malicious code", Malicious: true},
			Affected: []plimsoll.Affected{{Ecosystem: "npm", Package: "evil", Versions: []string{"6.6.6"}}},
		},
		{
			Advisory: plimsoll.Advisory{ID: "GO-2026-7", Provider: "Go", Aliases: []string{"CVE-2026-7"}, Modified: day(1), Summary: "old words"},
			Affected: []plimsoll.Affected{on("Go", "stdlib", "1.1")},
		},
		{
			Advisory: plimsoll.Advisory{ID: "GO-2026-7", Provider: "Go", Aliases: []string{"CVE-2026-7"}, Modified: day(8), Summary: "new words", Details: "** DISPUTED ** the vendor disagrees"},
			Affected: []plimsoll.Affected{on("Go", "stdlib", "1.2")},
		},
	}
}

// build writes a generation and returns its path.
func build(t testing.TB, list []Record, most int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.plimdb")
	w := NewWriter(path)
	if most > 0 {
		w.records.most, w.extras.most = most, most
	}
	for _, r := range list {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.AddEPSS("CVE-2026-10", plimsoll.EPSS{Score: 0.25, Percentile: 0.9, Date: day(9)}); err != nil {
		t.Fatal(err)
	}
	if err := w.AddEPSS("CVE-1999-1", plimsoll.EPSS{Score: 0.5}); err != nil {
		t.Fatal(err)
	}
	if err := w.AddKEV("GHSA-aaaa-bbbb-cccc", plimsoll.KEV{Added: day(1), Due: day(20), Ransomware: true, Action: "upgrade"}); err != nil {
		t.Fatal(err)
	}
	if err := w.AddRating("CVE-2026-9", plimsoll.Rating{Source: "NVD", Method: "CVSS_V3", Score: 9.8, Severity: plimsoll.SeverityCritical}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(t.Context(), []plimsoll.DataSource{{Name: "osv/test", Newest: day(8), Records: len(list)}}, false); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	db := open(t, build(t, records(), 0))
	if err := db.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := db.Generation()
	if g.Schema != Schema || !g.Built.Equal(day(8)) || g.Advisories != 6 || len(g.Sources) != 1 || g.Sources[0].Records != 8 {
		t.Errorf("generation %+v", g)
	}
	if diff := cmp.Diff([]string{"Debian:12", "Go", "PyPI", "npm"}, db.Ecosystems()); diff != "" {
		t.Error(diff)
	}

	lib := plimsoll.Affected{Vulnerability: "CVE-2026-10", Ecosystem: "PyPI", Package: "lib", Ranges: fixedIn("2.0")}
	ghsa, pysec := lib, lib
	ghsa.AdvisoryID, ghsa.Provider, ghsa.Modified = "GHSA-aaaa-bbbb-cccc", "GitHub", day(2)
	pysec.AdvisoryID, pysec.Provider, pysec.Modified = "PYSEC-2026-1", "PyPA", day(3)
	debian := plimsoll.Affected{AdvisoryID: "DSA-1-1", Vulnerability: "CVE-2026-9", Provider: "Debian", Modified: day(4), Ecosystem: "Debian:12",
		Package: "lib", Ranges: fixedIn("1.9-1+deb12u1"), State: plimsoll.FixDeferred, Note: "no-dsa: Minor issue", Preferred: true, Modules: []string{"m:1"},
		Ratings: []plimsoll.Rating{{Source: "Debian", Severity: plimsoll.SeverityLow}}}
	debianTen := debian
	debianTen.Vulnerability = "CVE-2026-10"
	debianCVE := plimsoll.Affected{AdvisoryID: "DEBIAN-CVE-2026-10", Vulnerability: "CVE-2026-10", Provider: "Debian", Modified: day(5),
		Ecosystem: "Debian:12", Package: "lib", Ranges: fixedIn("1.9-1+deb12u1")}
	for _, tt := range []struct {
		name, ecosystem, pkg string
		want                 []plimsoll.Affected
	}{
		{"ADV-05 transitive aliases share one vulnerability", "PyPI", "lib", []plimsoll.Affected{ghsa, pysec}},
		{"ADV-06 one row for each CVE of an advisory", "Debian:12", "lib", []plimsoll.Affected{debianCVE, debian, debianTen}},
		{"ADV-07 another release has nothing", "Debian:11", "lib", nil},
		{"ADV-08 malicious", "npm", "evil", []plimsoll.Affected{{AdvisoryID: "MAL-2026-1", Vulnerability: "MAL-2026-1", Provider: "OpenSSF",
			Modified: day(1), Ecosystem: "npm", Package: "evil", Versions: []string{"6.6.6"}, Malicious: true}}},
		{"the newest version of a record counts", "Go", "stdlib", []plimsoll.Affected{{AdvisoryID: "GO-2026-7", Vulnerability: "CVE-2026-7",
			Provider: "Go", Modified: day(8), Ecosystem: "Go", Package: "stdlib", Ranges: fixedIn("1.2")}}},
		{"no such package", "PyPI", "li", nil},
		{"no such ecosystem", "PyP", "Ilib", nil},
	} {
		for range 2 { // from the file, then from memory
			got, err := db.Affected(tt.ecosystem, tt.pkg)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s:\n%s", tt.name, diff)
			}
		}
	}
}

func TestVulnerability(t *testing.T) {
	t.Parallel()
	db := open(t, build(t, records(), 0))
	want := plimsoll.Vulnerability{
		ID: "CVE-2026-10", Aliases: []string{"GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1"}, Summary: "flaw ten", Details: "long words",
		Severity: plimsoll.SeverityHigh, SeveritySource: "GitHub",
		Ratings: []plimsoll.Rating{{Source: "GitHub", Method: "CVSS_V3", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Score: 7.5, Severity: plimsoll.SeverityHigh}},
		EPSS:    &plimsoll.EPSS{Score: 0.25, Percentile: 0.9, Date: day(9)},
		KEV:     &plimsoll.KEV{Added: day(1), Due: day(20), Ransomware: true, Action: "upgrade"},
		// Sorted, of all records that are about this flaw alone.
		References: []string{"https://example.org/a", "https://example.org/b"},
		Published:  day(1),
	}
	for _, id := range []string{"CVE-2026-10", "GHSA-aaaa-bbbb-cccc", "PYSEC-2026-1", "DEBIAN-CVE-2026-10"} {
		got, err := db.Vulnerability(id)
		if err != nil {
			t.Fatal(id, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", id, diff)
		}
	}
	if v, err := db.Vulnerability("CVE-2026-9"); err != nil || v.Severity != plimsoll.SeverityCritical || v.SeveritySource != "NVD" || v.Summary != "lib - security update" {
		t.Errorf("CVE-2026-9: %+v %v", v, err)
	}
	if v, err := db.Vulnerability("CVE-2026-7"); err != nil || !v.Disputed {
		t.Errorf("ADV-01 disputed: %+v %v", v, err)
	}
	for _, id := range []string{"CVE-2026-11", "CVE-1999-1", "", "CVE-2026-1"} {
		if _, err := db.Vulnerability(id); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("%q: %v, want not found", id, err)
		}
	}
	for _, id := range []string{"DSA-1-1", "GHSA-aaaa-bbbb-cccc", "DEBIAN-CVE-2026-10", "GHSA-gone-gone-gone"} {
		a, err := db.Advisory(id)
		if err != nil || a.ID != id {
			t.Errorf("advisory %q: %+v %v", id, a, err)
		}
		if id == "GHSA-gone-gone-gone" && a.Withdrawn.IsZero() {
			t.Errorf("ADV-01 withdrawn: %+v", a)
		}
	}
	for _, id := range []string{"CVE-2026-10", ""} {
		if _, err := db.Advisory(id); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("advisory %q: %v, want not found", id, err)
		}
	}
}

// TestADV14SameBytes: the order of the records, repetition and the memory that
// sorting had do not show in the file.
func TestADV14SameBytes(t *testing.T) {
	t.Parallel()
	list := append(records(), many(500)...)
	want := read(t, build(t, list, 0))
	rng := rand.New(rand.NewPCG(1, 2))
	for i, most := range []int{0, 4 << 10, 100} {
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		again := list
		if i > 0 {
			again = append(again[:len(again):len(again)], list[:20]...)
		}
		path := filepath.Join(t.TempDir(), "again.plimdb")
		w := NewWriter(path)
		if most > 0 {
			w.records.most, w.extras.most = most, most
		}
		for _, r := range again {
			if err := w.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		w.AddRating("CVE-2026-9", plimsoll.Rating{Source: "NVD", Method: "CVSS_V3", Score: 9.8, Severity: plimsoll.SeverityCritical})
		w.AddKEV("GHSA-aaaa-bbbb-cccc", plimsoll.KEV{Added: day(1), Due: day(20), Ransomware: true, Action: "upgrade"})
		w.AddEPSS("CVE-1999-1", plimsoll.EPSS{Score: 0.5})
		w.AddEPSS("CVE-2026-10", plimsoll.EPSS{Score: 0.25, Percentile: 0.9, Date: day(9)})
		g, err := w.Finish(t.Context(), []plimsoll.DataSource{{Name: "osv/test", Newest: day(8), Records: 508, URL: "https://elsewhere", Fetched: day(30)}}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); !bytes.Equal(got, want) {
			t.Errorf("with %d bytes of memory: another file, %d and %d bytes", most, len(got), len(want))
		}
		if db := open(t, path); db.Generation().ID != g.ID {
			t.Errorf("ID %s, the file says %s", g.ID, db.Generation().ID)
		}
	}
}

// many makes records up, several for each package.
func many(n int) []Record {
	var list []Record
	for i := range n {
		r := Record{Advisory: plimsoll.Advisory{ID: fmt.Sprintf("GHSA-%04d", i), Provider: "GitHub", Modified: day(1), Aliases: []string{fmt.Sprintf("CVE-2025-%d", i)},
			Summary: fmt.Sprintf("flaw %d of a library", i), Details: "An attacker who sends a crafted request can read memory that is not theirs."}}
		for j := range 1 + i%3 {
			r.Affected = append(r.Affected, on("npm", fmt.Sprintf("package-%d", (i*7+j)%(n/2+1)), fmt.Sprintf("%d.%d.0", i%9, j)))
		}
		list = append(list, r)
	}
	return list
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	db := open(t, build(t, many(300), 0))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 400 {
				n := (i*31 + w*17) % 300
				if _, err := db.Affected("npm", fmt.Sprintf("package-%d", n)); err != nil {
					t.Error(err)
				}
				if v, err := db.Vulnerability(fmt.Sprintf("GHSA-%04d", n)); err != nil || v.ID != fmt.Sprintf("CVE-2025-%d", n) {
					t.Error(v.ID, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestDamage: a flipped bit or a cut anywhere is an error, at the latest in
// Verify, and never a panic.
func TestDamage(t *testing.T) {
	t.Parallel()
	whole := read(t, build(t, records(), 0))
	check := func(what string, b []byte) {
		t.Helper()
		db, err := NewDB(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			err = db.Verify(t.Context())
			db.Close()
		}
		if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v, want corrupt", what, err)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		check(fmt.Sprintf("byte %d", i), b)
	}
	for i := 0; i < len(whole); i += 37 {
		check(fmt.Sprintf("cut at %d", i), whole[:i])
	}
	check("longer", append(bytes.Clone(whole), 0))
	check("a web page", bytes.Repeat([]byte("<html>"), 500))
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("missing: %v", err)
	}
	if _, err := Open(dir); plimsoll.CodeOf(err) != plimsoll.CodeUnreadable {
		t.Errorf("directory: %v", err)
	}
	if _, err := OpenCurrent(dir); plimsoll.CodeOf(err) != plimsoll.CodeNotFound || plimsoll.HintOf(err) == "" {
		t.Errorf("no current: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := open(t, build(t, records(), 0)).Verify(ctx); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAddRefusesUnusableRecords(t *testing.T) {
	t.Parallel()
	w := NewWriter(filepath.Join(t.TempDir(), "x"))
	defer w.Abort()
	for _, r := range []Record{
		{},
		{Advisory: plimsoll.Advisory{ID: "A\x00B"}},
		{Advisory: plimsoll.Advisory{ID: "A", Aliases: []string{""}}},
		{Advisory: plimsoll.Advisory{ID: "A"}, Affected: []plimsoll.Affected{on("npm", "", "1")}},
		{Advisory: plimsoll.Advisory{ID: "A"}, Affected: []plimsoll.Affected{on("n\x00pm", "x", "1")}},
		{Advisory: plimsoll.Advisory{ID: string(make([]byte, maxKey))}},
	} {
		if err := w.Add(r); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("%.40q: %v, want invalid", r.Advisory.ID, err)
		}
	}
	if _, err := w.Finish(t.Context(), nil, true); err != nil {
		t.Errorf("an empty generation: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	whole := read(f, build(f, records(), 0))
	f.Add(whole, uint32(0))
	f.Add(whole[:len(whole)/2], uint32(7))
	f.Fuzz(func(t *testing.T, b []byte, _ uint32) {
		db, err := NewDB(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		defer db.Close()
		db.Verify(t.Context())
		for _, e := range db.Ecosystems() {
			db.Affected(e, "lib")
		}
		db.Vulnerability("CVE-2026-10")
		db.Advisory("DSA-1-1")
	})
}

// FuzzDecode reads values as if their block's checksum were right.
func FuzzDecode(f *testing.F) {
	r := records()
	f.Add(appendAdvisory(nil, &r[0].Advisory))
	f.Add(appendVulnerability(nil, &plimsoll.Vulnerability{ID: "A", EPSS: &plimsoll.EPSS{}, KEV: &plimsoll.KEV{}}))
	var sum counts
	sum.add(&r[2].Affected[0], []string{"A", "B"})
	f.Add(appendAffected(sum.append(nil), &r[2].Affected[0], []string{"A", "B"}))
	f.Add(appendEntry(appendEntry(nil, []byte("a"), []byte("b")), []byte("c"), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodePackage("e", "n", b)
		(&decoder{s: string(b)}).advisory()
		(&decoder{s: string(b)}).vulnerability()
		(&decoder{s: string(b)}).generation()
		decodeRecord(b, true)
		parsePlace(b)
		if blk, err := parseBlock(b); err == nil {
			blk.seek([]byte("b"))
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	path := build(b, many(20_000), 0)
	for b.Loop() {
		db, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
}

func BenchmarkAffected(b *testing.B) {
	db := open(b, build(b, many(20_000), 0))
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("package-%d", i)
	}
	for _, bb := range []struct {
		name, prefix string
		step         int
	}{{"sorted", "", 1}, {"random", "", 7919}, {"miss", "no-", 1}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := db.Affected("npm", bb.prefix+names[i%len(names)]); err != nil {
					b.Fatal(err)
				}
				i += bb.step
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	list := many(20_000)
	for b.Loop() {
		build(b, list, 0)
	}
	b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "records/s")
}
