package feed

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/vulndb"
)

// FuzzExtras reads the tables of exploited flaws, of their likelihood and of
// further scores. What is counted was stored, and errors have a code.
func FuzzExtras(f *testing.F) {
	for i, seed := range []string{
		`{"dateReleased":"2026-01-01T00:00:00Z","vulnerabilities":[{"cveID":"CVE-2026-1","dateAdded":"2026-01-01","dueDate":"2026-02-01","requiredAction":"a","knownRansomwareCampaignUse":"Known"}]}`,
		"#model_version:v1,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1,0.1,0.9\n",
		"cve,source,version,vector,base_score,base_severity\nCVE-2026-1,cna,3.1,CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H,9.8,CRITICAL\n",
	} {
		f.Add(uint8(i), []byte(seed))
		f.Add(uint8(i), []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0})
		f.Add(uint8(i), []byte(`{"a":`+strings.Repeat("[", 1<<14)))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		r := &reader{w: vulndb.NewWriter(filepath.Join(dir, "db"))}
		source, err := r.extra(extras[int(which)%len(extras)], bytes.NewReader(content))
		if err != nil && plimsoll.CodeOf(err) == plimsoll.CodeInternal {
			t.Errorf("an error without a code: %v", err)
		}
		if err == nil && (source.Records < 1 || source.Name == "") {
			t.Errorf("%+v", source)
		}
	})
}

// FuzzRepoMD reads how a repository says where its errata are: within it.
func FuzzRepoMD(f *testing.F) {
	f.Add([]byte(`<repomd><data type="updateinfo"><checksum type="sha256">00</checksum><location href="repodata/updateinfo.xml.gz"/></data></repomd>`))
	f.Add([]byte(`<repomd><data type="updateinfo"><location href="../../x"/></data></repomd>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><repomd><data type="updateinfo"><location href="&d;"/></data></repomd>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseRepoMD(b)
		if err != nil {
			return
		}
		root, _ := parseAddress("https://repo.example/a/b")
		if at := root.JoinPath(d.Location.Href); at.Host != "repo.example" || !strings.HasPrefix(at.Path, "/a/b/") {
			t.Errorf("%q leads to %s", d.Location.Href, at)
		}
		_ = d.check(bytes.NewReader(b))
	})
}

// FuzzSource reads how somebody names a source of advisories.
func FuzzSource(f *testing.F) {
	f.Add("updateinfo@euleros:2.0-SP9=https://repo.example/x")
	f.Add("nvd=/srv/nvd.json")
	f.Add("csaf@@=::")
	f.Fuzz(func(t *testing.T, text string) {
		source, err := ParseSource(text)
		if err != nil {
			if plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		again, err := ParseSource(source.String())
		if err != nil || again.String() != source.String() {
			t.Errorf("%q is %q, then %q (%v)", text, source, again, err)
		}
	})
}
