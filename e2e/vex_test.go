//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The program reads VEX documents and foreign bills of materials on a host
// without engines: what is handled stays in the report with its reason, a gate no
// longer trips over it, and every statement can be explained.
func TestVEXAndSBOMOnTheCommandLine(t *testing.T) {
	u := newUser(t, "--engine", "docker", "--docker-root", filepath.Join(t.TempDir(), "none"))
	if a := u.run("demo"); a.code != 0 {
		t.Fatalf("demo: %s", a.stderr)
	}
	dir := t.TempDir()
	layout, db := filepath.Join(u.cache, "sample-images"), filepath.Join(u.cache, "sample.plim")
	bill := filepath.Join(dir, "api.cdx.json")
	if a := u.run("sbom", "sample/api:2.3", "--input", layout, "-o", "cyclonedx-json="+bill); a.code != 0 {
		t.Fatalf("sbom: %s", a.stderr)
	}
	statement := func(id string, product string) map[string]any {
		return map[string]any{"vulnerability": map[string]string{"name": id}, "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path", "products": []any{map[string]string{"@id": product}}}
	}
	vex := filepath.Join(dir, "api.openvex.json")
	text, err := json.Marshal(map[string]any{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://a.example/1", "author": "Shop Security", "timestamp": "2026-11-01T00:00:00Z", "version": 1,
		"statements": []any{statement("CVE-2024-5535", "pkg:oci/api?repository_url=docker.io%2Fsample%2Fapi&tag=2.3"), statement("CVE-1999-0001", "pkg:npm/absent")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vex, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string][]string{"image": {"sample/api:2.3", "--input", layout}, "SBOM": {"sbom:" + bill}} {
		t.Run(name, func(t *testing.T) {
			scan := append([]string{"scan", "--db-path", db, "--min-severity", "critical", "--pkg-types", "os"}, target...)
			if a := u.run(scan...); !strings.Contains(a.stdout, "CVE-2024-5535") || strings.Contains(a.stdout, "handled") {
				t.Fatalf("without VEX: %s", a.stdout)
			}
			a := u.run(append(scan, "--vex", vex)...)
			for _, want := range []string{"CVE-2024-5535", "handled", "not affected, says Shop Security"} {
				if !strings.Contains(a.stdout, want) {
					t.Errorf("no %q in:\n%s", want, a.stdout)
				}
			}
			a = u.run(append([]string{"vex", "explain", "--db-path", db, "--vex", vex, "-o", "json"}, target...)...)
			var explained struct {
				Images []struct {
					Statements []struct {
						Applies bool
						Why     string
					}
				}
			}
			if err := json.Unmarshal([]byte(a.stdout), &explained); err != nil || a.code != 0 {
				t.Fatalf("exit code %d: %v: %s", a.code, err, a.stderr)
			}
			if s := explained.Images[0].Statements; len(s) != 2 || !s[0].Applies || s[1].Applies || s[1].Why == "" {
				t.Errorf("explained %+v", s)
			}
		})
	}
}
