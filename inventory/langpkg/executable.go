package langpkg

import (
	"bytes"
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// executable opens each executable and shared library once and looks for what
// linkers and vendors leave in it: Go's build information, the dependency list
// of cargo-auditable, and the version strings of a few well-known programs that
// images hold without a package. Nothing is disassembled or guessed.
type executable struct{}

// maxBinary bounds what is read of one executable.
const maxBinary = 512 << 20

func (executable) Name() string { return "binary" }
func (executable) Version() int { return 3 }

func (executable) Wants(p string) inventory.Want {
	_, base := split(p)
	if base == "" || base[0] == '.' || !binaryName(base) {
		return inventory.No
	}
	if rest, ok := strings.CutPrefix(p, "usr/share/"); ok {
		top, _, _ := strings.Cut(rest, "/")
		switch top { // what has many names without extension, and no programs
		case "doc", "man", "info", "locale", "i18n", "zoneinfo", "terminfo", "tabset", "icons", "fonts", "themes", "mime", "perl", "perl5",
			"bash-completion", "zsh", "fish", "licenses", "lintian", "bug", "keyrings", "misc", "vim", "X11", "aclocal", "cmake", "pixmaps":
			return inventory.No
		}
	}
	for _, tree := range [...]string{"etc/", "var/lib/dpkg/", "var/log/", "proc/", "sys/", "dev/", "usr/include/", "usr/src/"} {
		if strings.HasPrefix(p, tree) {
			return inventory.No
		}
	}
	return inventory.IfExecutable
}

// binaryName says whether programs and libraries are called so: no extension,
// that of a library, of another platform, or a version.
func binaryName(base string) bool {
	i := strings.LastIndexByte(base, '.')
	if i < 0 {
		// LICENSE, README, Makefile's kin: programs are not written in capitals.
		for j := range len(base) {
			if c := base[j]; c < 'A' || 'Z' < c {
				return true
			}
		}
		return false
	}
	switch base[i+1:] {
	case "so", "exe", "bin", "node", "elf", "out", "run", "x86_64", "amd64", "arm64", "aarch64", "linux", "static":
		return true
	case "":
		return false
	}
	for j := i + 1; j < len(base); j++ {
		if !digit(base[j]) {
			// Releases carry their platform: tool-1.2.3-linux-amd64, libx.so.1.2.3-beta
			return strings.HasSuffix(base, "-amd64") || strings.HasSuffix(base, "-arm64") || strings.HasSuffix(base, "_amd64") || strings.HasSuffix(base, "_arm64")
		}
	}
	return true
}

func (executable) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	var header [64]byte
	n, err := f.ReadAt(header[:], 0)
	if n < len(header) {
		return inventory.Facts{}, notEOF(err)
	}
	switch magic := string(header[:4]); {
	case magic == "\x7fELF":
		return elfFacts(ctx, f, header[:])
	case magic[:2] == "MZ" && hasSuffixFold(f.Path, ".exe"),
		magic == "\xcf\xfa\xed\xfe", magic == "\xce\xfa\xed\xfe":
		return goFacts(f)
	}
	return inventory.Facts{}, nil
}

func elfFacts(ctx context.Context, f inventory.File, header []byte) (inventory.Facts, error) {
	e, ok, err := readElf(f.ReaderAt, f.Size, header)
	if err == nil && e.cut && f.Mode&0o111 != 0 {
		return inventory.Facts{Problems: []plimsoll.Problem{{Code: plimsoll.ProblemCorruptFile,
			Detail: "read executable: it ends before its last section: it was cut off, so what it was built from cannot be read"}}}, nil
	}
	if err != nil || !ok {
		return inventory.Facts{}, err // without sections no program can be in it
	}
	if !e.headers {
		packed, err := packed(f)
		if err != nil {
			return inventory.Facts{}, err
		}
		if packed {
			return inventory.Facts{Problems: []plimsoll.Problem{{Code: plimsoll.ProblemPackedBinary,
				Detail: "read executable: it is packed with UPX, so what it was built from cannot be read; scan the unpacked one"}}}, nil
		}
		return goFacts(f) // stripped of its section headers; build information is found by its mark
	}
	for _, name := range [...]string{".go.buildinfo", ".note.go.buildid", ".gopclntab"} {
		if _, ok := e.section(name); ok {
			return goFacts(f)
		}
	}
	if s, ok := e.section(".dep-v0"); ok {
		return rustFacts(f, s)
	}
	// A bundle is appended: behind the last section there is a program's worth.
	if f.Mode&0o111 != 0 && f.Size-e.end > minBundle {
		if facts, ok, err := bundled(f, e); ok || err != nil {
			return facts, err
		}
	}
	return wellKnown(ctx, f, e)
}

// minBundle is less than the smallest .NET program has behind its sections.
const minBundle = 4 << 10

// packed looks for the mark that UPX writes behind the program headers.
func packed(f inventory.File) (bool, error) {
	b, err := head(f, 4096, "read executable")
	return bytes.Contains(b, []byte("UPX!")), err
}
