package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll"
)

// Software that was listed and that nobody was asked about is no clean image.
func TestUnjudgedSystemIsIncomplete(t *testing.T) {
	type software struct {
		pkg   plimsoll.PackageType
		asked string
	}
	for _, tt := range []struct {
		name string
		has  []software
		want int
	}{
		{"IMG-21 nothing in the image", nil, exitOK},
		{"no system, judged applications", []software{{plimsoll.TypeNPM, "npm"}}, exitOK},
		{"no system, applications of which some have a source", []software{{plimsoll.TypeNPM, "npm"}, {plimsoll.TypeGeneric, ""}}, exitOK},
		{"no system, applications of a type without a source", []software{{plimsoll.TypeGeneric, ""}}, exitIncomplete},
		{"a judged system with third-party packages", []software{{plimsoll.TypeDeb, "Debian:12"}, {plimsoll.TypeDeb, ""}}, exitOK},
		{"a system without a source", []software{{plimsoll.TypeRPM, ""}, {plimsoll.TypeNPM, "npm"}}, exitIncomplete},
		{"NIX-01 nothing but Nix", []software{{plimsoll.TypeNix, ""}}, exitIncomplete},
		{"NIX-01 judged applications on a system of Nix", []software{{plimsoll.TypeNix, ""}, {plimsoll.TypeNPM, "npm"}}, exitIncomplete},
		{"NIX-01 a judged system with Nix beside it", []software{{plimsoll.TypeDeb, "Debian:12"}, {plimsoll.TypeNix, ""}}, exitOK},
		{"SNAP-01 nothing but a snap", []software{{plimsoll.TypeSnap, ""}}, exitIncomplete},
	} {
		r := plimsoll.Result{Status: plimsoll.ScanComplete, Matched: true}
		for _, s := range tt.has {
			c := plimsoll.Coverage{Group: string(s.pkg), Class: plimsoll.ClassApplication, Ecosystem: s.asked, Packages: 1}
			if s.pkg.System() {
				c.Class = plimsoll.ClassSystem
			}
			r.Coverage = append(r.Coverage, c)
			r.Inventory.Packages = append(r.Inventory.Packages, plimsoll.Package{Type: s.pkg})
		}
		if got := exitOf(unjudged([]plimsoll.Result{r})); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
}

// What an SBOM names in vain is told and is no clean image, whatever the reason.
func TestSBOMOfNothingThatIsKnown(t *testing.T) {
	s := newSession(t)
	s.demo()
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	for name, test := range map[string]struct {
		components, says string
		code             int
	}{
		"no purl":                      {`{"type":"library","name":"mystery"}`, `without a purl, so they cannot be looked up: "mystery"`, exitIncomplete},
		"a purl that cannot be read":   {`{"type":"library","name":"a","purl":"npm:a@1"}`, `purls of the SBOM that cannot be read: "npm:a@1"`, exitIncomplete},
		"a type that nobody covers":    {`{"type":"library","name":"a","purl":"pkg:invented/a@1"}`, "invented: inventory only", exitIncomplete},
		"the same beside judged ones":  {`{"type":"library","name":"a","purl":"pkg:invented/a@1"},{"type":"library","name":"b","purl":"pkg:npm/b@1"}`, "invented: inventory only", exitOK},
		"a bad one beside judged ones": {`{"type":"library","name":"a","purl":"npm:a@1"},{"type":"library","name":"b","purl":"pkg:npm/b@1"}`, "INCOMPLETE", exitIncomplete},
		"nothing":                      {"", "names no software", exitOK},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, "a.json", `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[`+test.components+`]}`)
			stdout, stderr, code := s.run("scan", "sbom:a.json", "--db-path", db)
			if text := strings.Join(strings.Fields(stdout+stderr), " "); code != test.code || !strings.Contains(text, test.says) {
				t.Errorf("exit code %d, want %d and %q:\n%s%s", code, test.code, test.says, stdout, stderr)
			}
		})
	}
}

// A document about software of a type that nobody publishes advisories about is
// read, listed and not judged: code, table and JSON all say so.
func TestNIX01ScanIsNotClean(t *testing.T) {
	s := newSession(t)
	s.demo()
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	write(t, "nix.json", `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"glibc","purl":"pkg:nix/glibc@2.38-27"}]}`)
	stdout, stderr, code := s.run("scan", "sbom:nix.json", "--db-path", db)
	if code != exitIncomplete || !strings.Contains(stderr, "inventory only") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if strings.Count(stdout, " 0 ") > 0 || !strings.Contains(stdout, "nobody was asked") {
		t.Errorf("the table counts findings of nobody:\n%s", stdout)
	}
	if stdout, _, _ := s.run("scan", "sbom:nix.json", "--db-path", db, "-o", "json"); strings.Count(stdout, `"judged": false`) != 2 {
		t.Errorf("the JSON document does not say that nothing was judged:\n%s", stdout)
	}
	if stdout, _, code := s.run("explain", "CVE-2023-4911", "--db-path", db, "--image", "sbom:nix.json"); code != exitIncomplete || !strings.Contains(stdout, "nobody was asked") {
		t.Errorf("explain: exit code %d\n%s", code, stdout)
	}
}
