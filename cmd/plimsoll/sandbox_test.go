package main

import (
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
