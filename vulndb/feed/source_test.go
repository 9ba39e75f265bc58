package feed

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"plimsoll"
	"plimsoll/vulndb"
)

func TestParseSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, name, fault string }{
		{"updateinfo@euleros:2.0-SP9=https://repo.example/a=b", "updateinfo/EulerOS:2.0-SP9", ""},
		{"updateinfo@hce:2.0=/srv/hce", "updateinfo/Huawei Cloud EulerOS:2.0", ""},
		{"updateinfo@kylin:V10-SP1=/srv", "updateinfo/Kylin:V10-SP1", ""},
		{"updateinfo@kylin:Tercel=/srv", "updateinfo/Kylin:V10-SP1", ""},
		{"updateinfo@uos:20=/srv", "updateinfo/UnionTech OS Server:20", ""},
		{"updateinfo@uniontech-os-server:20=/srv", "updateinfo/UnionTech OS Server:20", ""},
		{"updateinfo@CentOS-Stream:9=/srv", "updateinfo/CentOS Stream:9", ""},
		{"updateinfo@centos:7=/srv", "updateinfo/CentOS:7", ""},
		{"updateinfo@rocky:9.4=/srv", "updateinfo/Rocky Linux:9", ""},
		{"updateinfo@opensuse-tumbleweed=/srv", "updateinfo/openSUSE Tumbleweed", ""},
		{"updateinfo@debian:12=/srv", "", "not a known distribution with rpm packages"},
		{"updateinfo@nonesuch:1=/srv", "", "not a known distribution"},
		{"updateinfo@euleros=/srv", "", "names no release"},
		{"updateinfo@euleros:*=/srv", "", "write it like 2.0, 2.0-SP9"},
		{"updateinfo@euleros:2.9=/srv", "", "write it like 2.0, 2.0-SP9"},
		{"updateinfo@kylin:v10=/srv", "", "write it like V10, V10-SP1"},
		{"updateinfo=/srv", "", "name it"},
		{"updateinfo@euleros:2.0-SP9", "", "names no address"},
		{"updateinfo@euleros:2.0-SP9=", "", "names no address"},
		{"updateinfo@euleros:2.0-SP9=ftp://x", "", "not an http or https URL"},
		{"oval@rhel:8=/srv", "", "no kind of source; there are "},
	} {
		s, err := ParseSource(tt.text)
		switch {
		case tt.fault != "":
			if plimsoll.CodeOf(err) != plimsoll.CodeInvalid || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v, want %q", tt.text, err, tt.fault)
			}
		case err != nil || s.name() != tt.name || s.String() != tt.text:
			t.Errorf("%s: %q %v, want %q", tt.text, s.name(), err, tt.name)
		}
	}
}

// errataXML are n made-up errata of EulerOS.
func errataXML(n int) []byte {
	var b bytes.Buffer
	b.WriteString("<updates>")
	for i := range n {
		fmt.Fprintf(&b, `<update type="security"><id>EulerOS-SA-2026-%04d</id><title>t</title><severity>Low</severity><issued date="2026-01-%02d"/>
			<references><reference id="CVE-2026-%04d" type="cve"/></references>
			<pkglist><collection><package name="p%d" epoch="0" version="1" release="2" arch="x86_64"/></collection></pkglist></update>`, 1000+i, 1+i%28, 1000+i, i)
	}
	b.WriteString("</updates>")
	return b.Bytes()
}

// repository puts errata on the server as a package repository does.
func (s *server) repository(root, href string, errata []byte) {
	s.put(root+"/"+href, errata)
	s.put(root+"/repodata/repomd.xml", fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
		<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm"><revision>1</revision>
		<data type="primary"><checksum type="sha256">00</checksum><location href="repodata/primary.xml.gz"/></data>
		<data type="updateinfo"><checksum type="sha256">%x</checksum><location href="%s"/><timestamp>1</timestamp></data></repomd>`, sha256.Sum256(errata), href))
}

func mustSource(t testing.TB, text string) Source {
	t.Helper()
	s, err := ParseSource(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// affects asks the active generation.
func affects(t *testing.T, o Options, ecosystem, name string) []plimsoll.Affected {
	t.Helper()
	db, err := vulndb.OpenCurrent(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Affected(ecosystem, name)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestUpdateFromRepository(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	s.repository("/os", "repodata/1-updateinfo.xml.gz", packed(t, "gz", errataXML(20)))
	o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP9="+s.URL+"/os/")}
	mustRun(t, o)
	if got := affects(t, o, "EulerOS:2.0-SP9", "p7"); len(got) != 1 || got[0].Vulnerability != "CVE-2026-1007" || got[0].AdvisoryID != "EulerOS-SA-2026-1007" || got[0].Provider != "EulerOS" {
		t.Errorf("%+v", got)
	}
	st, err := Status(o.Dir)
	i := slices.IndexFunc(st.Sources, func(s plimsoll.DataSource) bool { return s.Name == "updateinfo/EulerOS:2.0-SP9" })
	if err != nil || i < 0 || st.Sources[i].Records != 20 || st.Sources[i].URL != s.URL+"/os/" || !st.Sources[i].Fetched.Equal(o.Now()) || st.Sources[i].Newest.Day() != 20 {
		t.Errorf("%+v %v", st.Sources, err)
	}

	// Unchanged, nothing is sent and nothing is compiled.
	s.took()
	if _, sum := mustRun(t, o); !sum.Unchanged || len(s.took()) != 0 {
		t.Errorf("%+v", sum)
	}
	s.repository("/os", "repodata/2-updateinfo.xml.gz", packed(t, "gz", errataXML(21)))
	mustRun(t, o)
	if got, want := s.took(), []string{"/os/repodata/2-updateinfo.xml.gz", "/os/repodata/repomd.xml"}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
	// Bound to another release, the same copy says something else.
	o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP8="+s.URL+"/os/")}
	o.Force = true // the source of SP9 is gone
	mustRun(t, o)
	if got := affects(t, o, "EulerOS:2.0-SP9", "p7"); got != nil {
		t.Errorf("%+v", got)
	}
	if got := affects(t, o, "EulerOS:2.0-SP8", "p20"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// packed compresses as repositories do.
func packed(t testing.TB, how string, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch how {
	case "gz":
		w = gzip.NewWriter(&out)
	case "zst":
		w, err = zstd.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	default:
		return b
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestUpdateInfoPlaces: a repository, its repomd.xml, the file itself, a file or a
// directory on disk, however compressed, all give the same generation.
func TestUpdateInfoPlaces(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	var first plimsoll.Digest
	check := func(name string, o Options) {
		t.Helper()
		o.Dir = t.TempDir()
		g, _ := mustRun(t, o)
		if first == "" {
			first = g.ID
		}
		if g.ID != first {
			t.Errorf("%s: %s, not %s", name, g.ID, first)
		}
	}
	for _, how := range []string{"", "gz", "zst", "xz"} {
		b := packed(t, how, errataXML(30))
		href := "repodata/updateinfo.xml." + how
		root := "/by-" + how
		s.repository(root, href, b)
		dir := t.TempDir()
		os.Mkdir(filepath.Join(dir, "repodata"), 0o755)
		if err := errors.Join(os.WriteFile(filepath.Join(dir, href), b, 0o644), os.WriteFile(filepath.Join(dir, "repodata", "primary.xml"), b, 0o644)); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{s.URL + root, s.URL + root + "/repodata/repomd.xml", s.URL + root + "/" + href, filepath.Join(dir, href), dir} {
			o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP9="+address)}
			check(address, o)
		}
		// With a repomd.xml, the directory holds what it names; older errata may lie beside.
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "repodata", "repomd.xml"), s.files[root+"/repodata/repomd.xml"], 0o644),
			os.WriteFile(filepath.Join(dir, "repodata", "0-updateinfo.xml"), []byte("old"), 0o644)); err != nil {
			t.Fatal(err)
		}
		check("directory of a repository", o)
	}
	// Two repositories of one system are one source.
	all := errataXML(30)
	half := bytes.Index(all, []byte("<update type=\"security\"><id>EulerOS-SA-2026-1011"))
	s.repository("/a", "repodata/updateinfo.xml", append(bytes.Clone(all[:half]), "</updates>"...))
	s.repository("/b", "repodata/updateinfo.xml", append([]byte("<updates>"), all[half:]...))
	o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP9="+s.URL+"/b"), mustSource(t, "updateinfo@euleros:2.0-SP9="+s.URL+"/a")}
	check("two repositories", o)
}

// TestUpdateFromBrokenRepository: whatever goes wrong, the error says what, and
// what the repository said before stays.
func TestUpdateFromBrokenRepository(t *testing.T) {
	t.Parallel()
	const md, errata = "/os/repodata/repomd.xml", "/os/repodata/u.xml"
	place := func(href string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `<repomd><data type="updateinfo"><checksum type="sha256">00</checksum><location href="%s"/></data></repomd>`, href)
		}
	}
	for _, tt := range []struct {
		name, path string
		answer     http.HandlerFunc
		want       plimsoll.Code
		text       string
	}{
		{"no repository", md, http.NotFound, plimsoll.CodeNotFound, "404"},
		{"a web page", md, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }, plimsoll.CodeCorrupt, "no repomd.xml"},
		{"no errata", md, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<repomd/>") }, plimsoll.CodeCorrupt, "publishes no errata"},
		{"errata on another host", md, place("http://127.0.0.2:1/u.xml"), plimsoll.CodeCorrupt, "outside the repository"},
		{"errata on another host, without scheme", md, place("//127.0.0.2:1/u.xml"), plimsoll.CodeCorrupt, "outside the repository"},
		{"errata above the repository", md, place("../../etc/u.xml"), plimsoll.CodeCorrupt, "outside the repository"},
		{"errata nowhere", md, place(""), plimsoll.CodeCorrupt, "outside the repository"},
		{"errata that are not there", md, place("repodata/none.xml"), plimsoll.CodeNotFound, "404"},
		{"another checksum", errata, func(w http.ResponseWriter, r *http.Request) { w.Write(errataXML(40)) }, plimsoll.CodeCorrupt, "not those that repomd.xml describes"},
		{"errata cut off", errata, func(w http.ResponseWriter, r *http.Request) { w.Write(errataXML(50)[:900]) }, plimsoll.CodeCorrupt, "not those that repomd.xml describes"},
		{"server error", errata, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, plimsoll.CodeUnavailable, "503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, o := site(t)
			s.repository("/os", "repodata/u.xml", errataXML(20))
			o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP9="+s.URL+"/os")}
			before, _ := mustRun(t, o)
			s.repository("/os", "repodata/u.xml", errataXML(50))
			s.answer(tt.path, tt.answer)
			_, sum, err := run(t, o)
			if err != nil || len(sum.Behind) != 1 || sum.Behind[0].Source != "updateinfo/EulerOS:2.0-SP9" {
				t.Fatalf("%v, behind are %v", err, sum.Behind)
			}
			if err := sum.Behind[0].Err; plimsoll.CodeOf(err) != tt.want || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, want %s and %q", err, tt.want, tt.text)
			}
			if id := currentID(o.Dir); id != before.ID {
				t.Errorf("%s is in use, not %s", id, before.ID)
			}
			s.answer(tt.path, nil)
			if g, _ := mustRun(t, o); g.Advisories != before.Advisories+30 {
				t.Errorf("%d advisories after the repair", g.Advisories)
			}
		})
	}
	t.Run("shrunken", func(t *testing.T) {
		t.Parallel()
		s, o := site(t)
		s.repository("/os", "repodata/u.xml", errataXML(40))
		o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP9="+s.URL+"/os")}
		before, _ := mustRun(t, o)
		s.repository("/os", "repodata/u.xml", errataXML(30))
		if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeInvalid || !strings.Contains(err.Error(), "from 40 to 30") || currentID(o.Dir) != before.ID {
			t.Errorf("%v", err)
		}
	})
	t.Run("gone from the configuration", func(t *testing.T) {
		t.Parallel()
		s, o := site(t)
		s.repository("/os", "repodata/u.xml", errataXML(5))
		o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP9="+s.URL+"/os")}
		mustRun(t, o)
		o.Sources = nil
		if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeInvalid || !strings.Contains(err.Error(), "updateinfo/EulerOS:2.0-SP9 with its 5 records is gone") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a place on disk that is not there", func(t *testing.T) {
		t.Parallel()
		_, o := site(t)
		for _, path := range []string{"/nonesuch", t.TempDir()} {
			o.Sources = []Source{mustSource(t, "updateinfo@euleros:2.0-SP9="+path)}
			if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeNotFound || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
		}
	})
}

// TestSourcesSpeakForThemselves: one ID in two sources is two records, each about
// its own packages; the merged view has both.
func TestSourcesSpeakForThemselves(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	for release, name := range map[string]string{"7": "old", "8": "new"} {
		s.put("/"+release+".xml", []byte(`<updates><update type="security"><id>ELSA-1</id><issued date="2024-01-0`+release+`"/><severity>low</severity>
			<references><reference id="CVE-2024-000`+release+`" type="cve"/><reference id="CVE-2024-0001" type="cve"/></references>
			<pkglist><collection><package name="`+name+`" epoch="0" version="1" release="1" arch="x86_64"/></collection></pkglist></update></updates>`))
		o.Sources = append(o.Sources, mustSource(t, "updateinfo@ol:"+release+"="+s.URL+"/"+release+".xml"))
	}
	mustRun(t, o)
	if a, b := affects(t, o, "Oracle Linux:7", "old"), affects(t, o, "Oracle Linux:8", "new"); len(a) != 2 || len(b) != 2 || a[1].Vulnerability != "CVE-2024-0007" || b[1].Vulnerability != "CVE-2024-0008" {
		t.Errorf("%+v %+v", a, b)
	}
	db, err := vulndb.OpenCurrent(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if a, err := db.Advisory("ELSA-1"); err != nil || a.Provider != "Oracle Linux" {
		t.Errorf("%+v %v", a, err)
	}
	if err := db.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
