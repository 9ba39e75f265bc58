package main

import (
	"log/slog"
	"os"
	"testing"

	"plimsoll/local"
	"plimsoll/sandbox"
)

// TestMain makes the test's own program the one that reads images for it, as the
// command's main does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Command {
		sandbox.Child(local.Analyzers())
	}
	os.Exit(m.Run())
}

// No command reads image bytes in its own process.
func TestScansAreIsolated(t *testing.T) {
	a := &app{cacheDir: t.TempDir(), dataDir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	if a.scanner().Isolated == nil {
		t.Error("scan and sbom parse images in this process")
	}
	c, err := a.agentConfig("")
	if err != nil {
		t.Fatal(err)
	}
	if c.NewScanner(nil).Isolated == nil {
		t.Error("the agent parses images in its process")
	}
}
