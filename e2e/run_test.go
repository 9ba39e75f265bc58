//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll/e2e/lab"
)

// On a host without engines and network the first command ends with findings
// and a plan, and says that both images and advisories are samples.
func TestFirstRunAnywhere(t *testing.T) {
	u := newUser(t, "--engine", "docker", "--docker-root", filepath.Join(t.TempDir(), "none"))
	a := u.run("demo")
	if a.code != 0 {
		t.Fatalf("exit code %d: %s", a.code, a.stderr)
	}
	for _, want := range []string{"SAMPLE IMAGES", "SAMPLE of advisories"} {
		if !strings.Contains(a.stderr, want) {
			t.Errorf("stderr does not say %q:\n%s", want, a.stderr)
		}
	}
	for _, want := range []string{"CVE-2023-4911", "apt-get install", "sample/shop:1.0", "4.17.21"} {
		if !strings.Contains(a.stdout, want) {
			t.Errorf("no %q in the result:\n%s", want, a.stdout)
		}
	}
}

// Two runs give the same bytes in every format (ADV-14), also from an empty
// cache.
func TestADV14TwoRunsAreByteIdentical(t *testing.T) {
	recipe := lab.Node()
	u, _ := inDocker(t, recipe)
	if a := u.run("db", "update", "--osv", osvExports(t), "--kev", "", "--epss", "", "--ecosystems", "Debian,npm"); a.code != 0 {
		t.Fatalf("db update: %s", a.stderr)
	}
	formats := []string{"table", "json", "cyclonedx-json", "spdx-json", "sarif", "csv", "html"}
	write := func(u *user) map[string]string {
		dir := t.TempDir()
		args := []string{"scan", recipe.Name}
		for _, f := range formats {
			args = append(args, "-o", f+"="+filepath.Join(dir, f))
		}
		if a := u.run(args...); a.code != 0 && a.code != 4 {
			t.Fatalf("exit code %d: %s", a.code, a.stderr)
		}
		got := make(map[string]string)
		for _, f := range formats {
			got[f] = readFile(t, filepath.Join(dir, f))
		}
		return got
	}
	first := write(u)
	for name, again := range map[string]map[string]string{"warm": write(u), "cold": write(u.fresh())} {
		for _, f := range formats {
			if len(first[f]) < 1000 {
				t.Errorf("%s: only %d bytes", f, len(first[f]))
			}
			if first[f] != again[f] {
				t.Errorf("%s differs in the %s run", f, name)
			}
		}
	}
}

// The gate ends with the code that was asked for and tells why on stderr.
func TestExitCodes(t *testing.T) {
	u := newUser(t)
	layout := filepath.Join(t.TempDir(), "layout")
	if a := u.at("--engine", "docker", "--docker-root", "/nonexistent").run("demo"); a.code != 0 {
		t.Fatalf("demo: %s", a.stderr)
	}
	if err := os.Rename(filepath.Join(u.cache, "sample-images"), layout); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(u.cache, "sample.plim")
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"gate met":           {[]string{"scan", "--input", layout, "--db-path", db, "--fail-on", "critical"}, 3, "critical"},
		"gate and":           {[]string{"scan", "--input", layout, "--db-path", db, "--fail-on", "kev+fixable"}, 3, "kev and fixable"},
		"gate not met":       {[]string{"scan", "--input", layout, "--db-path", db, "--fail-on", "malicious"}, 0, ""},
		"gate's own code":    {[]string{"scan", "--input", layout, "--db-path", db, "--fail-on", "high", "--exit-code", "42"}, 42, "high"},
		"unknown word":       {[]string{"scan", "--input", layout, "--fail-on", "severe"}, 2, "severe"},
		"not judged":         {[]string{"scan", "--input", layout, "--offline"}, 4, "db update"},
		"advisories too old": {[]string{"scan", "--input", layout, "--db-path", db, "--max-db-age", "1h"}, 4, "older"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := u.run(test.args...); a.code != test.code || !strings.Contains(a.stderr, test.says) {
				t.Errorf("exit code %d, want %d: %s", a.code, test.code, a.stderr)
			}
		})
	}
}
