package feed

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/version"
	"plimsoll/vulndb"
)

// nvdOf reads a file and renders what it says: "CVE-1 name: ranges; versions".
func nvdOf(t *testing.T, content string) (lines []string, err error) {
	t.Helper()
	err = readNVDFile(strings.NewReader(content), func(name string, r vulndb.Record, err error) error {
		if err != nil {
			lines = append(lines, name+" "+err.Error())
			return nil
		}
		for _, a := range r.Affected {
			line := r.Advisory.Aliases[0] + " " + a.Ecosystem + " " + a.Package + ":"
			for _, g := range a.Ranges {
				for _, e := range g.Events {
					line += fmt.Sprintf(" %s", strings.TrimSpace(strings.Join([]string{word("from", e.Introduced), word("before", e.Fixed), word("to", e.LastAffected)}, "")))
				}
			}
			lines = append(lines, strings.TrimSuffix(line+" "+strings.Join(a.Versions, ","), " "))
		}
		return nil
	})
	return lines, err
}

func word(w, v string) string {
	if v == "" {
		return ""
	}
	return w + " " + v
}

// A page of NVD's API as it was published: MySQL, a product that no image is
// judged for, and a record that nobody has analysed yet.
func TestNVDPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("testdata/nvd.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := nvdOf(t, string(page))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	want := []string{
		"CVE-2023-22068 NVD mysql: from 8.0 to 8.0.34 8.1.0",
		"NVD-CVE-2023-27314 " + errNotAdvisory.Error(),
		"NVD-CVE-2023-5631 " + errNotAdvisory.Error(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	err = readNVDFile(strings.NewReader(string(page)), func(_ string, r vulndb.Record, err error) error {
		if err == nil {
			a := r.Advisory
			if a.ID != "NVD-CVE-2023-22068" || a.Provider != "NVD" || a.Published.IsZero() || a.Modified.IsZero() || a.Details == "" ||
				len(a.References) == 0 || len(a.Ratings) == 0 || a.Ratings[0].Severity != plimsoll.SeverityMedium {
				t.Errorf("advisory %+v", a)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// match makes one cpeMatch, configuration a record of nodes.
func nvdMatchOf(criteria string, bounds ...string) string {
	s := `{"vulnerable":true,"criteria":"` + strings.ReplaceAll(criteria, `\`, `\\`) + `"`
	for i := 0; i < len(bounds); i += 2 {
		s += `,"` + bounds[i] + `":"` + bounds[i+1] + `"`
	}
	return s + "}"
}

func nvdFileOf(operator string, nodes ...string) string {
	return `{"format":"NVD_CVE","version":"2.0","vulnerabilities":[{"cve":{"id":"CVE-2024-1","vulnStatus":"Analyzed","configurations":[{"operator":"` +
		operator + `","nodes":[{"operator":"OR","cpeMatch":[` + strings.Join(nodes, `]},{"operator":"OR","cpeMatch":[`) + `]}]}]}}]}`
}

func TestNVDConfigurations(t *testing.T) {
	t.Parallel()
	const openssl = "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*"
	windows := `{"vulnerable":false,"criteria":"cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*"}`
	linux := `{"vulnerable":false,"criteria":"cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*"}`
	notOurs := "NVD-CVE-2024-1 " + errNotAdvisory.Error()
	for _, c := range []struct{ name, content, want string }{
		{"BIN-01 OpenSSL's letters", nvdFileOf("", nvdMatchOf(openssl, "versionStartIncluding", "1.1.1", "versionEndExcluding", "1.1.1za")), "CVE-2024-1 NVD openssl: from 1.1.1 before 1.1.1za"},
		{"last affected", nvdFileOf("", nvdMatchOf(openssl, "versionEndIncluding", "3.0.1")), "CVE-2024-1 NVD openssl: from 0 to 3.0.1"},
		{"start that is not affected", nvdFileOf("", nvdMatchOf(openssl, "versionStartExcluding", "3.0.1", "versionEndExcluding", "3.0.7")), "CVE-2024-1 NVD openssl: from 3.0.1-sp before 3.0.7"},
		{"no end", nvdFileOf("", nvdMatchOf(openssl, "versionStartIncluding", "3.0.0")), "CVE-2024-1 NVD openssl: from 3.0.0"},
		{"all versions", nvdFileOf("", nvdMatchOf(openssl)), notOurs},
		{"pre-release in the update", nvdFileOf("", nvdMatchOf("cpe:2.3:a:openssl:openssl:3.0.0:alpha16:*:*:*:*:*:*")), "CVE-2024-1 NVD openssl: 3.0.0-alpha16"},
		{"patch level that no program states", nvdFileOf("", nvdMatchOf("cpe:2.3:a:ruby-lang:ruby:1.9.3:p125:*:*:*:*:*:*"), nvdMatchOf("cpe:2.3:a:ruby-lang:ruby:2.7.0:*:*:*:*:*:*:*")), "CVE-2024-1 NVD ruby: 2.7.0"},
		{"escaped name", nvdFileOf("", nvdMatchOf(`cpe:2.3:a:erlang:erlang\/otp:*:*:*:*:*:*:*:*`, "versionEndExcluding", "25.3.2")), "CVE-2024-1 NVD erlang: from 0 before 25.3.2"},
		{"long-term support of Node.js", nvdFileOf("", nvdMatchOf("cpe:2.3:a:nodejs:node.js:*:*:*:*:lts:*:*:*", "versionStartIncluding", "18.0.0", "versionEndExcluding", "18.12.1")), "CVE-2024-1 NVD node: from 18.0.0 before 18.12.1"},
		{"JAR-07 Java 8's updates", nvdFileOf("", nvdMatchOf("cpe:2.3:a:oracle:openjdk:8:update372:*:*:*:*:*:*"), nvdMatchOf("cpe:2.3:a:oracle:openjdk:1.8.0:update_131:*:*:*:*:*:*"), nvdMatchOf("cpe:2.3:a:oracle:openjdk:17.0.7:*:*:*:*:*:*:*")), "CVE-2024-1 NVD openjdk: 17.0.7,8.0.131,8.0.372"},
		{"a plug-in of another product", nvdFileOf("", nvdMatchOf("cpe:2.3:a:nginx:nginx:1.0:*:*:*:*:wordpress:*:*")), notOurs},
		{"hardware by the name", nvdFileOf("", nvdMatchOf("cpe:2.3:h:nginx:nginx:1.0:*:*:*:*:*:*:*")), notOurs},
		{"ADV-13 on Windows only", nvdFileOf("AND", nvdMatchOf(openssl, "versionEndExcluding", "3.0.7"), windows), notOurs},
		{"ADV-13 on Linux, too", nvdFileOf("AND", nvdMatchOf(openssl, "versionEndExcluding", "3.0.7"), windows+","+linux), "CVE-2024-1 NVD openssl: from 0 before 3.0.7"},
		{"ADV-01 rejected", strings.Replace(nvdFileOf("", nvdMatchOf(openssl, "versionEndExcluding", "3.0.7")), "Analyzed", "Rejected", 1), notOurs},
	} {
		got, err := nvdOf(t, c.content)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(strings.Fields(c.want), strings.Fields(strings.Join(got, "\n"))); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestNVDBrokenFiles(t *testing.T) {
	t.Parallel()
	whole := nvdFileOf("", nvdMatchOf("cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*", "versionEndExcluding", "3.0.7"))
	for what, content := range map[string]string{
		"empty": "", "a list": "[]", "no records": `{"format":"NVD_CVE"}`, "records are no list": `{"vulnerabilities":{}}`,
		"cut off": whole[:len(whole)-3], "cut off behind the list": whole[:len(whole)-1],
		"one record of 20 MB": `{"vulnerabilities":[{"cve":{"id":"` + strings.Repeat("x", 20<<20) + `"}}]}`,
	} {
		if _, err := nvdOf(t, content); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	for what, content := range map[string]string{
		"no ID":        `{"vulnerabilities":[{"cve":{}}]}`,
		"another ID":   `{"vulnerabilities":[{"cve":{"id":"GHSA-1"}}]}`,
		"not a record": `{"vulnerabilities":[1]}`,
		"a long name":  nvdFileOf("", nvdMatchOf("cpe:2.3:a:"+strings.Repeat("x", maxCPE)+":openssl:*:*:*:*:*:*:*:*")),
		"too many":     nvdFileOf("", strings.Repeat(nvdMatchOf("cpe:2.3:a:a:b:*:*:*:*:*:*:*:*")+",", maxConfigurations)+nvdMatchOf("cpe:2.3:a:a:b:*:*:*:*:*:*:*:*")),
	} {
		got, err := nvdOf(t, content)
		if err != nil || len(got) != 1 || strings.HasSuffix(got[0], errNotAdvisory.Error()) {
			t.Errorf("%s: %v, %.100v", what, err, got)
		}
	}
	stop := errors.New("stop")
	if err := readNVDFile(strings.NewReader(whole), func(string, vulndb.Record, error) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of the receiver is %v", err)
	}
}

// Every program that is looked for has at least one name at NVD, and the order of
// its versions is the one that is used for it.
func TestBIN01OrderOfPrograms(t *testing.T) {
	t.Parallel()
	scheme, ok := version.ForEcosystem(plimsoll.EcosystemNVD)
	if !ok {
		t.Fatal("no order")
	}
	ascending := []string{"0.9.8zh", "1.0.2", "1.0.2k", "1.0.2u", "1.0.2za", "1.0.2zk", "1.1.0", "1.1.1", "1.1.1k", "1.1.1w", "1.1.1za", "3.0.0-alpha1", "3.0.0-alpha16", "3.0.0-beta1", "3.0.0", "3.0.10", "8.0.0", "8.0.131", "17.0.9", "20.11.1"}
	for i := 1; i < len(ascending); i++ {
		a, errA := version.Parse(scheme, ascending[i-1])
		b, errB := version.Parse(scheme, ascending[i])
		if errA != nil || errB != nil || a.Compare(b) >= 0 || b.Compare(a) <= 0 {
			t.Errorf("%s < %s does not hold", ascending[i-1], ascending[i])
		}
	}
}

func FuzzNVD(f *testing.F) {
	page, err := os.ReadFile("testdata/nvd.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(page)
	f.Add([]byte(nvdFileOf("AND", nvdMatchOf(`cpe:2.3:a:erlang:erlang\/otp:1:rc1:*:*:*:*:*:*`, "versionEndExcluding", "3.0.7"))))
	f.Fuzz(func(t *testing.T, content []byte) {
		_ = readNVDFile(strings.NewReader(string(content)), func(name string, r vulndb.Record, err error) error {
			if name == "" {
				t.Error("a record without a name")
			}
			for _, a := range r.Affected {
				if err == nil && (a.Package == "" || a.Ecosystem != plimsoll.EcosystemNVD || strings.IndexByte(r.Advisory.ID, 0) >= 0) {
					t.Errorf("%+v", a)
				}
			}
			return nil
		})
	})
}

// The file of each year, from a mirror, becomes advisories of a source of its own.
func TestUpdateFromNVD(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	empty := []byte(`{"vulnerabilities":[]}`)
	for year := firstNVDYear; year < o.Now().Year(); year++ { // none of this year yet
		s.put(fmt.Sprintf("/nvd/nvdcve-2.0-%d.json.gz", year), packed(t, "gz", empty))
	}
	page, err := os.ReadFile("testdata/nvd.json")
	if err != nil {
		t.Fatal(err)
	}
	s.put("/nvd/nvdcve-2.0-2023.json.gz", packed(t, "gz", page))
	o.Sources = []Source{mustSource(t, "nvd="+s.URL+"/nvd/")}
	mustRun(t, o)
	got := affects(t, o, plimsoll.EcosystemNVD, "mysql")
	if len(got) != 1 || got[0].Vulnerability != "CVE-2023-22068" || got[0].Provider != "NVD" || len(got[0].Ranges) != 1 || got[0].Ranges[0].Events[1].LastAffected != "8.0.34" {
		t.Errorf("%+v", got)
	}
	if _, err := ParseSource("nvd@debian:12=/srv"); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Errorf("bound to a release: %v", err)
	}
}
