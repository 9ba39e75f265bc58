package langpkg

import (
	"archive/zip"
	"bytes"
	"context"
	"strings"
	"testing"

	"plimsoll"
)

const metadata = `Metadata-Version: 2.1
Name: Foo.Bar_baz
Version: 1.2.3
Summary: does
  things
Author: Ann
Author-email: "Ann Other" <ann@example.org>, bo@example.org
License: MIT
Classifier: License :: OSI Approved :: MIT License
Classifier: Programming Language :: Python
Requires-Dist: other (>=1.0)

# Description

Version: 9.9.9
`

func TestPY01Records(t *testing.T) {
	t.Parallel()
	site := "usr/local/lib/python3.12/site-packages/"
	for _, path := range []string{
		site + "Foo.Bar_baz-1.0.dist-info/METADATA",
		site + "Foo.Bar_baz.egg-info/PKG-INFO",
		site + "Foo.Bar_baz-1.0-py3.12.egg-info",
		site + "Foo.Bar_baz-1.0-py3.12.egg/EGG-INFO/PKG-INFO",
		site + "FOO.BAR_BAZ-1.0.DIST-INFO/METADATA",
	} {
		facts := analyze(t, python{}, path, metadata)
		equal(t, facts.Packages, []plimsoll.Package{{Type: plimsoll.TypePyPI, Name: "Foo.Bar_baz", Version: "1.2.3",
			Licenses: []string{"MIT"}, Supplier: "Ann", Path: path, Evidence: plimsoll.EvidenceMetadata}})
	}
}

func TestPY01ZippedEgg(t *testing.T) {
	t.Parallel()
	egg := zipOf(t, zip.Deflate, "foo/__init__.py", "", "EGG-INFO/PKG-INFO", metadata)
	facts := analyze(t, python{}, "site-packages/foo-1.2.3-py2.7.egg", egg)
	equal(t, brief(facts), []string{"Foo.Bar_baz 1.2.3"})
	equal(t, facts.Packages[0].Path, "site-packages/foo-1.2.3-py2.7.egg")

	facts = analyze(t, python{}, "site-packages/foo.egg", zipOf(t, zip.Store, "foo.py", ""))
	equal(t, facts.Problems[0].Code, plimsoll.ProblemUnidentified)
}

func TestPY02VersionOfMetadataThenOfDirectory(t *testing.T) {
	t.Parallel()
	facts := analyze(t, python{}, "x/foo-2.0.dist-info/METADATA", "Name: foo\r\nVersion: 1.0\r\n\r\n")
	equal(t, brief(facts), []string{"foo 1.0"})
	facts = analyze(t, python{}, "x/foo-2.0.dist-info/METADATA", "Name: foo\n")
	equal(t, brief(facts), []string{"foo 2.0"})
	equal(t, facts.Packages[0].Evidence, plimsoll.EvidenceFileName)
	facts = analyze(t, python{}, "x/foo-2.0-py3.11.egg-info", "")
	equal(t, brief(facts), []string{"foo 2.0"})
	facts = analyze(t, python{}, "x/foo.egg-info/PKG-INFO", "Summary: nothing\n")
	equal(t, facts.Problems[0].Code, plimsoll.ProblemUnidentified)
}

func TestPythonLicenses(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]string{
		"License-Expression: Apache-2.0 OR MIT\nLicense: x": {"Apache-2.0 OR MIT"},
		"License: UNKNOWN": nil,
		"License: Copyright 2020\n  All of the text\n  of the licence\nClassifier: License :: OSI Approved :: BSD License": {"BSD License"},
		"Classifier: License :: OSI Approved":                         {"OSI Approved"},
		"License: " + strings.Repeat("long ", 2000) + "\nKeywords: x": nil,
	} {
		facts := analyze(t, python{}, "a-1.dist-info/METADATA", "Name: a\nVersion: 1\n"+header+"\n\n")
		equal(t, facts.Packages[0].Licenses, want)
	}
}

func TestPY05VendoredAndDirect(t *testing.T) {
	t.Parallel()
	facts := analyze(t, python{}, "usr/lib/python3/dist-packages/setuptools/_vendor/wheel-0.43.0.dist-info/METADATA", "Name: wheel\nVersion: 0.43.0\n")
	equal(t, brief(facts), []string{"wheel 0.43.0 in setuptools"})

	for content, want := range map[string][]string{
		`{"url":"https://user:secret@example.org/r.git","vcs_info":{"vcs":"git","commit_id":"abc"}}`: {
			"s/foo_bar-1.dist-info/METADATA origin git+https://example.org/r.git@abc"},
		`{"url":"file:///src/foo","dir_info":{"editable":true}}`: {
			"s/foo_bar-1.dist-info/METADATA origin file:///src/foo (editable)",
			"src/foo/foo_bar.egg-info/PKG-INFO absent",
			"src/foo/src/foo_bar.egg-info/PKG-INFO absent"},
		`{"url":"file:///tmp/foo.whl","archive_info":{}}`: {"s/foo_bar-1.dist-info/METADATA origin file:///tmp/foo.whl"},
		`{"url":"file:///../x","dir_info":{}}`:            {"s/foo_bar-1.dist-info/METADATA origin file:///../x"},
		`{}`:                                              nil,
	} {
		equal(t, notes(analyze(t, python{}, "s/foo_bar-1.dist-info/direct_url.json", content)), want)
	}
}

func TestPythonReadsHeadersOnly(t *testing.T) {
	t.Parallel()
	long := "Name: a\nVersion: 1\n\n" + strings.Repeat("x", 4*maxText)
	equal(t, brief(analyze(t, python{}, "a-1.dist-info/METADATA", long)), []string{"a 1"})
	_, err := python{}.Analyze(context.Background(), file("a-1.dist-info/METADATA", "Name: a\n"+strings.Repeat("X: y\n", maxText/4)))
	equal(t, plimsoll.CodeOf(err), plimsoll.CodeLimit)
}

func BenchmarkMetadata(b *testing.B) {
	content := strings.Replace(metadata, "Requires-Dist", strings.Repeat("Requires-Dist: some-package (>=1.0) ; extra == 'all'\n", 30)+"Requires-Dist", 1) + strings.Repeat("description ", 2000)
	f := file("site-packages/foo-1.dist-info/METADATA", content)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (python{}).Analyze(context.Background(), f); err != nil {
			b.Fatal(err)
		}
	}
}

// zipOf makes an archive of pairs of names and contents.
func zipOf(t testing.TB, method uint16, pairs ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := 0; i < len(pairs); i += 2 {
		e, err := w.CreateHeader(&zip.FileHeader{Name: pairs[i], Method: method})
		if err == nil {
			_, err = e.Write([]byte(pairs[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}
