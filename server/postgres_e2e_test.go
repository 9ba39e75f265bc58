//go:build e2e

package server

import (
	"os"
	"os/exec"
	"testing"

	"plimsoll/e2e/lab"
)

// TestOnPostgreSQL runs the tests of consoles again, each with a PostgreSQL
// database of its own.
func TestOnPostgreSQL(t *testing.T) {
	dsn := lab.New(t).Postgres(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=15m", "-test.skip=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "PLIMSOLL_TEST_PG="+dsn)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
