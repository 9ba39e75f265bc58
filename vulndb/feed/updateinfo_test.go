package feed

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"os"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/vulndb"
)

// errataOf reads an updateinfo.xml that is bound to claim, and returns what it
// says in words, sorted: the advisories, then the rows about packages.
func errataOf(t testing.TB, claim string, documents ...string) (records []vulndb.Record, problems []plimsoll.Problem, err error) {
	t.Helper()
	s, err := ParseSource("updateinfo@" + claim + "=/x")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for i, d := range documents {
		file := filepath.Join(t.TempDir(), fmt.Sprint(i, "-updateinfo.xml"))
		if err := os.WriteFile(file, []byte(d), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	w := vulndb.NewWriter(filepath.Join(t.TempDir(), "x"))
	defer w.Abort()
	r := &reader{w: w, watch: func(r vulndb.Record) { records = append(records, r) }}
	g := sourceFiles{kind: kinds["updateinfo"], system: s.System, name: s.name(), files: files}
	_, err = g.load(t.Context(), r)
	return records, r.problems, err
}

// words writes a record as lines that can be read.
func words(r vulndb.Record) []string {
	a := r.Advisory
	line := fmt.Sprintf("%s of %s, %s: %s", a.ID, a.Provider, a.Modified.Format(time.DateOnly), strings.Join(r.Flaws, " "))
	for _, rating := range a.Ratings {
		line += " " + rating.Severity.String()
	}
	if !a.Withdrawn.IsZero() {
		line += " withdrawn"
	}
	list := []string{line}
	for _, f := range r.Affected {
		line := fmt.Sprintf("  %s %s < %s", f.Ecosystem, f.Package, f.Ranges[0].Events[1].Fixed)
		if len(f.Arches) > 0 {
			line += " on " + strings.Join(f.Arches, " ")
		}
		if len(f.Modules) > 0 {
			line += " of " + strings.Join(f.Modules, " ")
		}
		if f.Epochless {
			line += " without epochs"
		}
		if f.Note != "" {
			line += " (" + f.Note + ")"
		}
		list = append(list, line)
	}
	return list
}

// TestUpdateInfoShapes: what publishers write. The shapes are genuine, the texts
// are ours.
func TestUpdateInfoShapes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, claim, document string
		want                  []string
	}{
		{"openEuler's tools, as EulerOS and its relatives use them: RPM-10 no epochs, lists of architectures, hot patches apart", "euleros:2.0-SP9", `<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="example.org" type="security" status="stable">
    <id>EulerOS-SA-2022-1001</id>
    <title>An update for polkit is now available for EulerOS 2.0 SP9</title>
    <severity>Important</severity>
    <release>EulerOS 2.0 SP9</release>
    <issued date="2022-02-15"></issued>
    <references>
      <reference href="https://nvd.example/CVE-2021-4034" id="CVE-2021-4034" title="CVE-2021-4034" type="cve"></reference>
    </references>
    <description>A flaw of pkexec.(CVE-2021-4034)</description>
    <pkglist>
      <collection>
        <name>EulerOS</name>
        <package arch="aarch64/noarch/x86_64" name="polkit-help" release="9.h3.eulerosv2r9" version="0.116"><filename>polkit-help-0.116-9.h3.eulerosv2r9.noarch.rpm</filename></package>
        <package arch="aarch64" name="polkit" release="9.h3.eulerosv2r9" version="0.116"><filename>polkit.aarch64.rpm</filename></package>
        <package arch="x86_64" name="polkit" release="9.h3.eulerosv2r9" version="0.116"><filename>polkit.x86_64.rpm</filename></package>
        <package arch="src" name="polkit" release="9.h3.eulerosv2r9" version="0.116"><filename>polkit.src.rpm</filename></package>
      </collection>
      <hot_patch_collection>
        <package arch="x86_64" name="patch-polkit-0.116-9-HP001" release="1" version="1"/>
      </hot_patch_collection>
    </pkglist>
  </update>
</updates>`, []string{
			"EulerOS-SA-2022-1001 of EulerOS, 2022-02-15: CVE-2021-4034 high",
			"  EulerOS:2.0-SP9 polkit < 0.116-9.h3.eulerosv2r9 on amd64 arm64 without epochs",
			"  EulerOS:2.0-SP9 polkit-help < 0.116-9.h3.eulerosv2r9 without epochs"}},
		{"Kylin: severity in Chinese", "kylin:V10-SP3", `<updates><update from="example.org" status="final" type="security" version="1">
  <id>KYSA-202506-1068</id><title>glibc</title><severity>重要</severity><issued date="2025-06-17 00:00:00"/>
  <references><reference href="https://example.org/CVE-2025-4802" id="CVE-2025-4802" type="cve"/></references>
  <pkglist><collection short="ky10"><name>Kylin V10</name>
    <package name="glibc" epoch="0" version="2.28" release="101.p06.ky10" arch="x86_64" src="glibc-2.28-101.p06.ky10.src.rpm"/>
  </collection></pkglist></update></updates>`, []string{
			"KYSA-202506-1068 of Kylin, 2025-06-17: CVE-2025-4802 high",
			"  Kylin:V10-SP3 glibc < 2.28-101.p06.ky10 on amd64"}},
		{"Amazon Linux: dates without seconds, words in lower case, an epoch", "amzn:2", `<?xml version="1.0" ?>
<updates><update author="security@example.org" from="security@example.org" status="final" type="security" version="1.4"><id>ALAS2-2018-951</id><title>ALAS2-2018-951</title><issued date="2018-02-07 19:36" /><updated date="2018-02-08 00:11" /><severity>medium</severity><description>Fixes:
CVE-2017-8816:
	a flaw, unlike CVE-1999-0001</description><references><reference href="http://example.org/?name=CVE-2017-8816" id="CVE-2017-8816" title="" type="cve" /><reference href="http://example.org/?name=CVE-2018-1000007" id="CVE-2018-1000007" title="" type="cve" /></references><pkglist><collection short="amazon-linux-2"><name>Amazon Linux 2</name><package arch="x86_64" epoch="1" name="curl" release="9.amzn2.0.1" version="7.55.1"><filename>Packages/curl.rpm</filename></package></collection></pkglist></update></updates>`, []string{
			"ALAS2-2018-951 of Amazon Linux, 2018-02-08: CVE-2017-8816 CVE-2018-1000007 medium",
			"  Amazon Linux:2 curl < 1:7.55.1-9.amzn2.0.1 on amd64"}},
		{"Red Hat's relatives: RPM-05 collections of module streams", "ol:8", `<updates><update from="el-errata@example.org" status="final" type="security" version="1">
  <id>ELSA-2021-0711</id><title>virt:ol</title><issued date="2021-03-04 00:00:00"/><severity>IMPORTANT</severity>
  <references><reference href="https://linux.example/cve/CVE-2020-35517.html" title="CVE-2020-35517" type="cve" id="CVE-2020-35517"/><reference href="https://linux.example/ELSA-2021-0711.html" id="ELSA-2021-0711" type="self"/></references>
  <pkglist>
    <collection short="a"><name>a</name><module name="virt" stream="ol" version="8030020210302" context="1" arch="x86_64"/>
      <package name="qemu-kvm" version="4.2.0" release="34.module+el8.3.0+9903+1" epoch="15" arch="x86_64" src="qemu-kvm.src.rpm"/></collection>
    <collection short="b"><name>b</name><module name="virt-devel" stream="rhel"/>
      <package name="qemu-kvm-tests" version="4.2.0" release="34.module+el8.3.0+9903+1" epoch="15" arch="x86_64"/></collection>
  </pkglist></update></updates>`, []string{
			"ELSA-2021-0711 of Oracle Linux, 2021-03-04: CVE-2020-35517 high",
			"  Oracle Linux:8 qemu-kvm < 15:4.2.0-34.module+el8.3.0+9903+1 on amd64 of virt:ol",
			"  Oracle Linux:8 qemu-kvm-tests < 15:4.2.0-34.module+el8.3.0+9903+1 on amd64 of virt-devel:rhel"}},
		{"Fedora: CVEs in the titles of Bugzilla entries, no rating", "fedora:42", `<updates><update from="updates@example.org" status="stable" type="security" version="2.0">
  <id>FEDORA-2025-0123456789</id><title>curl-8.11.1-5.fc42</title><issued date="2025-06-01 01:02:03"/><severity>None</severity>
  <references><reference href="https://bugzilla.example/1" id="1" type="bugzilla" title="CVE-2025-0725 curl: a flaw [fedora-42]"/></references>
  <pkglist><collection short="F42"><name>Fedora 42</name>
    <package name="curl" version="8.11.1" release="5.fc42" epoch="0" arch="x86_64"/><package name="curl" version="8.11.1" release="5.fc42" epoch="0" arch="i686"/></collection></pkglist></update>
<update status="stable" type="bugfix"><id>FEDORA-2025-aaaaaaaaaa</id><title>bash</title><pkglist><collection><package name="bash" version="9" release="1" epoch="0" arch="x86_64"/></collection></pkglist></update></updates>`, []string{
			"FEDORA-2025-0123456789 of Fedora, 2025-06-01: CVE-2025-0725",
			"  Fedora:42 curl < 8.11.1-5.fc42 on 386 amd64"}},
		{"SUSE: seconds since 1970, a retracted update", "sles:15.3", `<updates>
<update from="maint@example.org" status="stable" type="security" version="1"><id>SUSE-SLE-Module-Basesystem-15-SP3-2021-1234</id><title>Security update for curl</title><severity>moderate</severity><issued date="1619700000"/>
  <references><reference href="https://example.org/CVE-2021-22876" id="CVE-2021-22876" title="CVE-2021-22876" type="cve"/><reference href="https://bugzilla.example/2" id="1183933" title="VUL-0: CVE-2021-22876" type="bugzilla"/></references>
  <pkglist><collection><package name="curl" epoch="0" version="7.66.0" release="4.14.1" arch="x86_64"/></collection></pkglist></update>
<update status="retracted" type="security"><id>SUSE-SLE-Module-Basesystem-15-SP3-2021-9</id><title>x</title><issued date="1619700000"/><references/>
  <pkglist><collection><package name="curl" epoch="0" version="9" release="1" arch="x86_64"/></collection></pkglist></update></updates>`, []string{
			"SUSE-SLE-Module-Basesystem-15-SP3-2021-1234 of SUSE Linux Enterprise Server, 2021-04-29: CVE-2021-22876 medium",
			"  SUSE Linux Enterprise Server:15.3 curl < 7.66.0-4.14.1 on amd64",
			"SUSE-SLE-Module-Basesystem-15-SP3-2021-9 of SUSE Linux Enterprise Server, 2021-04-29:  withdrawn"}},
		{"ADV-13 a build of one architecture, and another of the other", "photon:5.0", `<updates><update type="security" status="stable"><id>PHSA-2024-5.0-0300</id><title>t</title><issued date="2024-07-01T00:00:00Z"/><references><reference id="CVE-2024-6387, CVE-2024-6409" type="cve"/></references>
  <pkglist><collection><package name="openssh" epoch="0" version="9.3p2" release="10.ph5" arch="x86_64"/></collection></pkglist>
  <pkglist><collection><package name="openssh" epoch="0" version="9.3p2" release="11.ph5" arch="aarch64"/></collection></pkglist></update></updates>`, []string{
			"PHSA-2024-5.0-0300 of Photon OS, 2024-07-01: CVE-2024-6387 CVE-2024-6409",
			"  Photon OS:5.0 openssh < 9.3p2-10.ph5 on amd64",
			"  Photon OS:5.0 openssh < 9.3p2-11.ph5 on arm64"}},
		{"a security update that names no CVE stands for itself; one that names it in its text for that", "ctyunos:23.01", `<updates>
<update type="security"><id>CTyunOS-SA-1</id><title>t</title><issued date="2024-01-01"/><pkglist><collection><package name="a" version="1" release="2" arch="x86_64"/></collection></pkglist></update>
<update type="security"><id>CTyunOS-SA-2</id><title>t</title><issued date="2024-01-01"/><description>(CVE-2024-0001)</description><pkglist><collection><package name="a" version="1" release="3" arch="x86_64"/></collection></pkglist></update></updates>`, []string{
			"CTyunOS-SA-1 of CTyunOS, 2024-01-01: ", "  CTyunOS:23.01 a < 1-2 on amd64 without epochs",
			"CTyunOS-SA-2 of CTyunOS, 2024-01-01: CVE-2024-0001", "  CTyunOS:23.01 a < 1-3 on amd64 without epochs"}},
		{"a bugfix update that refers to a CVE fixes it, and says what it is; one that mentions a CVE is none", "ol:9", `<updates>
<update type="bugfix"><id>ELBA-2024-1</id><title>t</title><issued date="2024-01-01"/><references><reference id="CVE-2024-0001" type="cve"/></references><pkglist><collection><package name="a" epoch="0" version="1" release="2" arch="noarch"/></collection></pkglist></update>
<update type="enhancement"><id>ELEA-2024-2</id><title>CVE-2024-0002</title><issued date="2024-01-01"/><description>a regression of the fix for CVE-2024-0002</description><references><reference id="2" type="bugzilla" title="CVE-2024-0002 a: regression"/></references><pkglist><collection><package name="a" epoch="0" version="1" release="3" arch="noarch"/></collection></pkglist></update></updates>`, []string{
			"ELBA-2024-1 of Oracle Linux, 2024-01-01: CVE-2024-0001",
			`  Oracle Linux:9 a < 1-2 (published as an update of the type "bugfix" that refers to the CVE)`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			records, problems, err := errataOf(t, tt.claim, tt.document)
			if err != nil || problems != nil {
				t.Fatal(err, problems)
			}
			var got []string
			for _, r := range records {
				got = append(got, words(r)...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestUpdateInfoOfSeveralRepositories: one erratum stands in several repositories
// of a distribution, with the packages of each (ADV-06).
func TestUpdateInfoOfSeveralRepositories(t *testing.T) {
	t.Parallel()
	repository := func(date, cve, name string) string {
		return `<updates><update type="security"><id>ANSA-2024:1</id><title>t</title><issued date="` + date + `"/><severity>low</severity>
			<references><reference id="` + cve + `" type="cve" href="https://example.org/` + cve + `"/></references>
			<pkglist><collection><package name="` + name + `" epoch="0" version="1" release="1.an8" arch="x86_64"/></collection></pkglist></update></updates>`
	}
	records, _, err := errataOf(t, "anolis:8", repository("2024-01-01", "CVE-2024-0002", "b"), repository("2024-02-01", "CVE-2024-0001", "a"))
	if err != nil || len(records) != 1 {
		t.Fatal(err, records)
	}
	want := []string{"ANSA-2024:1 of Anolis OS, 2024-02-01: CVE-2024-0001 CVE-2024-0002 low", "  Anolis OS:8 a < 1-1.an8 on amd64", "  Anolis OS:8 b < 1-1.an8 on amd64"}
	if diff := cmp.Diff(want, words(records[0])); diff != "" {
		t.Error(diff)
	}
}

func TestUpdateInfoFaults(t *testing.T) {
	t.Parallel()
	update := func(id, builds string) string {
		return `<update type="security"><id>` + id + `</id><issued date="2024-01-01"/><pkglist><collection>` + builds + `</collection></pkglist></update>`
	}
	good := update("SA-1", `<package name="a" epoch="0" version="1" release="1" arch="x86_64"/>`)
	for _, tt := range []struct {
		name, document string
		code           plimsoll.Code
		text           string
	}{
		{"cut off", "<updates>" + good + "<update", plimsoll.CodeCorrupt, "EOF"},
		{"another document", `<repomd xmlns="x"/>`, plimsoll.CodeCorrupt, "it begins with <repomd>"},
		{"a web page", "<!DOCTYPE html><html><body>log in</html>", plimsoll.CodeCorrupt, "it begins with <html>"},
		{"empty", "", plimsoll.CodeCorrupt, "the file is empty"},
		{"no errata", "<updates></updates>", plimsoll.CodeCorrupt, "no advisories"},
		{"only other updates", `<updates><update type="enhancement"><id>1</id></update></updates>`, plimsoll.CodeCorrupt, "no advisories"},
		{"no ids", "<updates>" + update("", "") + "</updates>", plimsoll.CodeCorrupt, "no usable id"},
		{"an entity bomb is not expanded", `<!DOCTYPE u [<!ENTITY a "aaaa">]><updates>` + update("&a;&a;", "") + "</updates>", plimsoll.CodeCorrupt, "entity"},
		{"an update without end", "<updates><update><id>" + strings.Repeat("x", maxUpdate+1<<20) + "</id></update></updates>", plimsoll.CodeCorrupt, "too large"},
		{"very deep, and nothing in it", "<updates><update>" + strings.Repeat("<a>", 20_000) + strings.Repeat("</a>", 20_000) + "</update></updates>", plimsoll.CodeCorrupt, "no usable id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := errataOf(t, "euleros:2.0-SP9", tt.document)
			if plimsoll.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, want %s and %q", err, tt.code, tt.text)
			}
		})
	}
	// One bad package among many is counted and left out; its neighbours stay.
	records, problems, err := errataOf(t, "euleros:2.0-SP9", "<updates>"+strings.Repeat(good, 1)+
		update("SA-2", `<package name="b" epoch="x" version="1" release="1"/><package name="c" epoch="0" version="1"/>`)+
		strings.Join(slices.Collect(func(yield func(string) bool) {
			for i := range 30 {
				if !yield(update(fmt.Sprint("SA-3-", i), `<package name="d" epoch="0" version="1" release="1"/>`)) {
					return
				}
			}
		}), "")+"</updates>")
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Detail, "epoch") || len(records) != 32 {
		t.Fatal(err, problems, len(records))
	}
	if got := words(records[1]); len(got) != 2 || got[1] != "  EulerOS:2.0-SP9 c < 1" {
		t.Errorf("%q", got)
	}
}

func FuzzUpdateInfo(f *testing.F) {
	f.Add(`<updates><update type="security" status="final"><id>A-1</id><issued date="2024-01-01"/><references><reference id="CVE-2024-0001" type="cve"/></references><pkglist><collection><module name="a" stream="1"/><package name="a" epoch="1" version="1" release="2" arch="x86_64/noarch"/></collection></pkglist></update></updates>`)
	f.Add(`<updates><update><id>A</id></update></updates>`)
	f.Add(`<updates><x><update/></x></updates>`)
	source, err := ParseSource("updateinfo@euleros:2.0-SP9=/x")
	if err != nil {
		f.Fatal(err)
	}
	in := &intake{reader: &reader{}, system: source.System}
	f.Fuzz(func(t *testing.T, document string) {
		_ = eachUpdate(t.Context(), strings.NewReader(document), func(u *updateXML) error {
			e, err := in.erratum(u)
			if err != nil {
				return nil
			}
			for i := range u.Collections {
				_, _ = e.take(&u.Collections[i]) // bad packages are left out
			}
			for _, a := range e.affected(in.bound()) {
				if a.Package == "" || a.Ecosystem != "EulerOS:2.0-SP9" || a.Ranges[0].Events[1].Fixed == "" || len(a.Arches) > maxArches {
					t.Fatalf("%+v", a)
				}
			}
			return nil
		})
	})
}
