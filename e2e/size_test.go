//go:build e2e

package e2e

import (
	"debug/elf"
	"os"
	"slices"
	"testing"
)

// The program that is built is one static file of at most 60 MB, with the console's
// pages in it.
func TestBinary(t *testing.T) {
	const most = 60_000_000 // bytes
	path := binary(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("it has %d bytes, more than %d", info.Size(), most)
	}
	mustBeStatic(t, path)
}

// mustBeStatic checks that a program needs no loader and no library.
func mustBeStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	interpreted := slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	libraries, err := f.ImportedLibraries()
	if err != nil || len(libraries) > 0 || f.Section(".interp") != nil || interpreted {
		t.Errorf("it is not static: it needs %v (%v)", libraries, err)
	}
}
