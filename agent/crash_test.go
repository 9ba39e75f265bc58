package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// SYS-04: what a killed agent left half written is gone after the next start,
// and nothing else is.
func TestSYS04HalfWrittenFilesAreSwept(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	join(t, c, to)
	half := filepath.Join(c.StateDir, tempPrefix+"sync")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.StateDir, "sync.json"), []byte(`{"seq":`), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := rerun(t, c)
	to.until("everything is told anew", func() bool { return len(to.images) == 3 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("half a file is still there")
	}
	if _, err := loadIdentity(c.StateDir); err != nil {
		t.Error(err)
	}
}
