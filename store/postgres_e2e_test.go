//go:build e2e

package store

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"plimsoll/e2e/lab"
)

// TestContractOnPostgreSQL runs every contract test of this package again, on a
// PostgreSQL of its own.
func TestContractOnPostgreSQL(t *testing.T) {
	dsn := lab.New(t).Postgres(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=/postgresql", "-test.skip=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "PLIMSOLL_TEST_PG="+dsn)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "    --- PASS: ") && strings.Contains(line, "postgresql") {
			n++
		}
	}
	if n == 0 {
		t.Fatalf("no contract test ran on PostgreSQL:\n%s", out)
	}
	t.Logf("%d contract tests passed on PostgreSQL", n)
}
