package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scanned is what a test asks of the JSON report.
type scanned struct {
	Results []struct {
		Summary struct {
			System, Application struct{ Critical, Informational int }
		}
		Findings []struct {
			Vulnerability, Status string
			Package               struct{ Name, PURL, Evidence string }
			VEX                   []struct{ Status, Justification, Author string }
		}
		Plan struct{ Own, Base struct{ Clears int } }
	}
}

func (s *session) scanned(args ...string) (r scanned) {
	s.t.Helper()
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	stdout, stderr, code := s.run(append([]string{"scan", "--db-path", db, "-o", "json"}, args...)...)
	if code != exitOK {
		s.t.Fatalf("exit code %d: %s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

const shopVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://a.example/vex","author":"Shop Security","timestamp":"2026-11-01T00:00:00Z","version":1,"statements":[
 {"vulnerability":{"name":"CVE-2024-5535"},"products":[{"@id":"pkg:oci/api?tag=2.3","subcomponents":[{"@id":"pkg:apk/alpine/libcrypto3"}]}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"},
 {"vulnerability":{"name":"CVE-2024-5535"},"products":[{"@id":"pkg:apk/alpine/libssl3@3.0.8-r0"}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"},
 {"vulnerability":{"name":"CVE-2023-46136"},"products":[{"@id":"pkg:pypi/werkzeug@2.2.2"}],"status":"under_investigation"}]}`

// A finding that a statement handles stays in the list with the statement, is no
// longer counted, gated on or planned for; one under investigation is only noted.
func TestScanWithVEX(t *testing.T) {
	s := newSession(t)
	s.demo()
	input := []string{"sample/api:2.3", "--input", s.layout}
	before := s.scanned(input...)
	after := s.scanned(append(input, "--vex", write(t, "shop.json", shopVEX))...)
	was, is := before.Results[0], after.Results[0]
	if len(was.Findings) != len(is.Findings) {
		t.Errorf("%d findings became %d: one is silently gone", len(was.Findings), len(is.Findings))
	}
	if is.Summary.System.Critical != was.Summary.System.Critical-1 || is.Summary.System.Informational != was.Summary.System.Informational+1 {
		t.Errorf("counted %+v, before %+v", is.Summary.System, was.Summary.System)
	}
	if was.Plan.Own.Clears != is.Plan.Own.Clears+1 {
		t.Errorf("the plan clears %d, before %d", is.Plan.Own.Clears, was.Plan.Own.Clears)
	}
	said := make(map[string]string)
	for _, f := range is.Findings {
		for _, v := range f.VEX {
			said[f.Vulnerability+" "+f.Package.Name] = f.Status + ": " + v.Status + " " + v.Justification + " by " + v.Author
		}
	}
	for key, want := range map[string]string{
		"CVE-2024-5535 libcrypto3": "handled-by-vex: not_affected vulnerable_code_not_in_execute_path by Shop Security",
		"CVE-2024-5535 libssl3":    "",
		"CVE-2023-46136 Werkzeug":  "affected: under_investigation  by Shop Security",
	} {
		if said[key] != want {
			t.Errorf("%s: %q, want %q", key, said[key], want)
		}
	}
}

func TestVEXExplain(t *testing.T) {
	s := newSession(t)
	s.demo()
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	stdout, stderr, code := s.run("vex", "explain", "sample/api:2.3", "--input", s.layout, "--db-path", db, "--vex", write(t, "shop.json", shopVEX))
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"3 statements, 2 of them", "CVE-2024-5535: applies", "CVE-2024-5535: DOES NOT APPLY", `"3.0.7-r0" is installed`, "Nearest", "stays open"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no document":      {[]string{"vex", "explain", "a"}, exitUsage, "--vex"},
		"no such document": {[]string{"scan", "a", "--vex", "/no/such"}, exitNotFound, "/no/such"},
		"not a document":   {[]string{"scan", "a", "--vex", write(t, "other.json", "{}")}, exitUsage, "other.json"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, stderr, code := s.run(test.args...); code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("exit code %d, want %d and %q: %s", code, test.code, test.says, stderr)
			}
		})
	}
}

// Our own bill of materials, scanned as a foreign one, has the findings of the
// image; what it claims is told apart. One whose system is unknown is listed, not
// judged.
func TestScanOfSBOM(t *testing.T) {
	s := newSession(t)
	s.demo()
	if _, stderr, code := s.run("sbom", "sample/api:2.3", "--input", s.layout, "-o", "cyclonedx-json=a.cdx.json", "-o", "spdx-json=a.spdx.json"); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	found := func(r scanned) (list []string) {
		for _, f := range r.Results[0].Findings {
			list = append(list, f.Vulnerability+" "+f.Package.PURL)
		}
		slices.Sort(list)
		return list
	}
	own := found(s.scanned("sample/api:2.3", "--input", s.layout))
	for _, file := range []string{"a.cdx.json", "a.spdx.json"} {
		r := s.scanned("sbom:" + file)
		if diff := cmp.Diff(own, found(r)); diff != "" || len(own) < 30 {
			t.Errorf("%s (-image +sbom):\n%s", file, diff)
		}
		for _, f := range r.Results[0].Findings {
			if f.Package.Evidence != "sbom" {
				t.Errorf("%s is not told to be a claim", f.Package.Name)
			}
		}
	}
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	stdout, _, code := s.run("scan", "--db-path", db, "sbom:a.cdx.json", "--vex", write(t, "shop.json", shopVEX))
	for _, want := range []string{"by an SBOM of plimsoll", "VEX: CVE-2024-5535"} {
		if !strings.Contains(stdout, want) || code != exitOK {
			t.Errorf("no %q, exit code %d", want, code)
		}
	}
	unknown := write(t, "b.json", `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"libcrypto3","purl":"pkg:apk/alpine/libcrypto3@3.0.7-r0"}]}`)
	if stdout, _, _ := s.run("scan", "--db-path", db, "sbom:"+unknown); !strings.Contains(stdout, "inventory only") || strings.Contains(stdout, "CVE-2024-5535") {
		t.Errorf("a system that nobody names is judged:\n%s", stdout)
	}
}
