// Package langpkg recognises applications and libraries as they are installed:
// what pip, npm, the JVM, Go, Cargo, NuGet, Composer, RubyGems and others leave
// beside or inside the code they install.
//
// It owns the knowledge of those formats. It refuses to read what only declares
// a wish (lock files, requirement lists, project files), to guess a version, to
// look at a second file, and to touch anything but the one file it is handed:
// what one file knows of another becomes an [inventory.Note]. Everything read
// here is hostile: sizes, counts and depths are bounded by the constants of this
// package, and text is cut and made valid UTF-8 before it leaves.
package langpkg

import (
	"bytes"
	"io"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// Limits on what is read. Reaching one is an error of the file, never a silent
// cut.
const (
	// maxText bounds files that people write: METADATA, package.json, manifests.
	maxText = 1 << 20
	// maxRecords bounds files that package managers write and that grow with the
	// number of packages: lock files, installed.json, deps.json.
	maxRecords = 64 << 20
	// maxPackages bounds what one file may claim; an image may have 250,000.
	maxPackages = 100_000
	// Lengths of strings that leave the package, in bytes.
	maxName    = 256
	maxVersion = 128
	maxLicense = 256
	maxOrigin  = 1024
	// maxLicenses bounds the list of one package.
	maxLicenses = 32
)

// Analyzers returns the analysers of this package, always in the same order.
func Analyzers() []inventory.Analyzer {
	return []inventory.Analyzer{
		python{},
		npm{},
		java{},
		jdk{},
		executable{},
		dotnet{},
		composer{},
		gem{},
		conda{},
		erlang{},
		cran{},
		cpan{},
		luarocks{},
		dart{},
		haskell{},
		swift{},
		sbom{},
	}
}

// read returns the whole content of f. A file larger than limit fails with
// plimsoll.CodeLimit before anything is read.
func read(f inventory.File, limit int64, op string) ([]byte, error) {
	if f.Size > limit {
		return nil, plimsoll.Errorf(plimsoll.CodeLimit, op, "%d bytes are more than the limit of %d", f.Size, limit)
	}
	var buf bytes.Buffer
	// The size is a claim: room for a lie is bounded, the rest grows as it comes.
	buf.Grow(int(min(max(f.Size, 0), maxText)) + bytes.MinRead)
	if _, err := buf.ReadFrom(f.Reader(limit)); err != nil {
		return nil, readError(op, err)
	}
	return buf.Bytes(), nil
}

// head returns the beginning of f, at most n bytes.
func head(f inventory.File, n int, op string) ([]byte, error) {
	b := make([]byte, min(int64(n), max(f.Size, 0)))
	got, err := f.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return nil, readError(op, err)
	}
	return b[:got], nil
}

// readError gives a failed read a code, and leaves the one it has.
func readError(op string, err error) error {
	if plimsoll.CodeOf(err) == plimsoll.CodeInternal {
		return plimsoll.Errorf(plimsoll.CodeUnreadable, op, "%w", err)
	}
	return err
}

func corrupt(op, format string, args ...any) error {
	return plimsoll.Errorf(plimsoll.CodeCorrupt, op, format, args...)
}

// text makes a string from an image fit to leave: valid UTF-8, without control
// characters and surrounding space, at most limit bytes.
func text(s string, limit int) string {
	s = strings.TrimSpace(s)
	s = strings.ToValidUTF8(s[:min(len(s), limit)], "\uFFFD")
	s = strings.ToValidUTF8(s[:min(len(s), limit)], "") // a replacement is longer than what it replaces
	if strings.IndexFunc(s, control) >= 0 {
		s = strings.TrimSpace(strings.Map(func(r rune) rune {
			if control(r) {
				return ' '
			}
			return r
		}, s))
	}
	return s
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

// identified puts the name and version of a package in order and says whether
// both can be used. A name that had to be cut would be the name of another
// package, so it counts as none.
func identified(p *plimsoll.Package) bool {
	if len(p.Name) > maxName || len(p.Version) > maxVersion {
		return false
	}
	// Replacing what is no UTF-8 makes it up to three times as long, and cuts nothing here.
	p.Name, p.Version = text(p.Name, 3*maxName), text(p.Version, 3*maxVersion)
	return p.Name != "" && p.Version != "" && len(p.Name) <= maxName && len(p.Version) <= maxVersion && !strings.ContainsAny(p.Version, " \t")
}

// licenses cleans a list of licences and drops what says nothing.
func licenses(list ...string) []string {
	var out []string
	for _, l := range list {
		if l = text(l, maxLicense); l == "" || l == "UNKNOWN" || len(out) == maxLicenses {
			continue
		}
		out = append(out, l)
	}
	return out
}

// split cuts p into its directory, without trailing slash, and its
// base name.
func split(p string) (dir, base string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// hasSuffixFold is strings.HasSuffix without regard to ASCII case, without
// allocating. suffix must be lower case.
func hasSuffixFold(s, suffix string) bool {
	if len(s) < len(suffix) {
		return false
	}
	s = s[len(s)-len(suffix):]
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != suffix[i] {
			return false
		}
	}
	return true
}
