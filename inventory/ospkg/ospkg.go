// Package ospkg reads what the package managers of operating systems recorded:
// dpkg and opkg, apk, rpm (Berkeley DB, ndb, SQLite and Mariner's manifest),
// pacman, Canonical's chisel, Nix and snap, and the files by which a distribution tells its
// name.
//
// It owns the formats of those databases, down to the pages of a Berkeley DB
// or SQLite file. It refuses to decide anything: which of several databases or
// identities counts, who owns a file in the end and what an advisory says are
// the business of packages inventory and match. It never opens a path, runs a
// query language or executes anything.
//
// Trust: every byte is hostile. Each reader has a limit that is named below,
// works within memory bounded by what it was given, and turns damage into a
// problem of the one file, keeping what it could read.
package ospkg

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// Limits of one file. Reaching one ends the file with a problem.
const (
	// maxText bounds text databases. The largest seen, a desktop of 5,000
	// packages, has 10 MiB.
	maxText = 64 << 20
	// maxSmall bounds os-release and the description of one package.
	maxSmall = 64 << 10
	// maxCopyright bounds the copyright file of a Debian package; the licences
	// of a larger one are those up to there.
	maxCopyright = 256 << 10
	// maxLine is the longest line that is kept whole; dependencies and
	// descriptions may be longer, the fields read here are not.
	maxLine = 32 << 10
	// maxName bounds names, versions and architectures in bytes.
	maxName = 256
	// maxField bounds other fields (licence, supplier) in bytes; they are cut.
	maxField = 1 << 10
	// maxPackages bounds the packages of one database.
	maxPackages = 250_000
	// maxOwnedPaths and maxOwnedBytes bound the file list of one database, of
	// which inventory.MayOwn keeps a tenth: a large desktop keeps 60,000 paths.
	// Directories are written once and files many times, so a list can grow far
	// beyond its input.
	maxOwnedPaths = 1_000_000
	maxOwnedBytes = 64 << 20
	// maxOwnedWork bounds the bytes of all names looked at, kept or not.
	maxOwnedWork = 1 << 30
)

// Analyzers returns the analysers of this package in a fixed order. They have
// no state.
func Analyzers() []inventory.Analyzer {
	return []inventory.Analyzer{
		osRelease{},
		dpkg{},
		dpkgFiles{},
		dpkgCopyright{},
		chisel{},
		apk{},
		rpm{},
		rpmWAL{},
		rpmManifest{},
		contentSets{},
		alpm{},
		nix{},
		snap{},
	}
}

// cutRoot splits path into the root directory of a system and the given name
// below that root.
func cutRoot(path, name string) (root string, ok bool) {
	root, ok = strings.CutSuffix(path, name)
	if !ok || root == "" {
		return "", ok
	}
	if root[len(root)-1] != '/' {
		return "", false
	}
	return root[:len(root)-1], true
}

// split splits path into directory and base name.
func split(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// text returns b as a string of valid UTF-8 with at most limit bytes.
func text(b []byte, limit int) string {
	s := strings.ToValidUTF8(strings.TrimSpace(string(b[:min(len(b), limit)])), "\uFFFD")
	return strings.ToValidUTF8(s[:min(len(s), limit)], "") // a replacement is longer than what it replaces
}

// lines reads a text file line by line in constant memory.
type lines struct {
	r    *bufio.Reader
	err  error
	torn bool // the file ended within a line
}

// newLines reads at most limit bytes of f. Most files are small and many.
func newLines(f inventory.File, limit int64) *lines {
	return &lines{r: bufio.NewReaderSize(f.Reader(limit), int(min(f.Size+1, maxLine)))}
}

// next returns the next line without its end, valid until the next call. Of a
// line beyond maxLine only the beginning is returned.
func (l *lines) next() (line []byte, ok bool) {
	if l.err != nil {
		return nil, false
	}
	line, err := l.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		kept := append([]byte(nil), line...) // the buffer is about to be reused
		for err == bufio.ErrBufferFull {
			_, err = l.r.ReadSlice('\n')
		}
		line = kept
	}
	if err != nil {
		l.err = err
		if len(line) == 0 {
			return nil, false
		}
		l.torn = err == io.EOF
	}
	for n := len(line); n > 0 && (line[n-1] == '\n' || line[n-1] == '\r'); n = len(line) {
		line = line[:n-1]
	}
	return line, true
}

// done returns the error that ended the file, nil at its regular end.
func (l *lines) done(op string) error {
	if l.err == io.EOF {
		return nil
	}
	return readError(op, l.err)
}

// readError gives an error of reading a file its code; errors that have one
// keep it.
func readError(op string, err error) error {
	if err == nil {
		return nil
	}
	var coded *plimsoll.Error
	if errors.As(err, &coded) {
		return &plimsoll.Error{Code: coded.Code, Op: op, Err: err}
	}
	return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
}

// collector gathers the facts of one database within the limits.
type collector struct {
	facts inventory.Facts
	root  string
	op    string // for errors: "read dpkg status"

	damaged      int // records that could not be read
	firstDamage  error
	paths, bytes int  // of the file list, as kept
	work         int  // bytes of its names looked at
	full         bool // it reached a limit
	owner        string
}

// add keeps p. It fails when the database has too many packages; a package
// without name or version becomes a problem.
func (c *collector) add(p plimsoll.Package) error {
	if len(c.facts.Packages) == maxPackages {
		return plimsoll.Errorf(plimsoll.CodeLimit, c.op, "more than %d packages", maxPackages)
	}
	if p.Name == "" || p.Version == "" || len(p.Name) > maxName || len(p.Version) > maxName {
		name := p.Name
		if len(name) > maxName {
			name = name[:maxName]
		}
		c.facts.Problems = appendProblem(c.facts.Problems, plimsoll.Problem{
			Code:   plimsoll.ProblemUnidentified,
			Detail: fmt.Sprintf("package %q has no usable name and version", name),
		})
		return nil
	}
	p.Root = c.root
	p.Evidence = plimsoll.EvidencePackageDB
	c.facts.Packages = append(c.facts.Packages, p)
	return nil
}

// appendProblem keeps problems few: a hostile file could have one per line.
func appendProblem(problems []plimsoll.Problem, p plimsoll.Problem) []plimsoll.Problem {
	const most = 20
	if len(problems) < most {
		return append(problems, p)
	}
	last := &problems[most-1]
	last.Count = max(last.Count, 1) + 1
	return problems
}

// tear reports that the database ends within a line: what followed is missing,
// and the last value may be shorter than it was. Package managers end each line.
func (c *collector) tear() {
	c.facts.Problems = appendProblem(c.facts.Problems, plimsoll.Problem{
		Code:   plimsoll.ProblemCorruptFile,
		Detail: "the database does not end in a newline: it was cut off, and packages may be missing",
	})
}

// damage counts a record that could not be read.
func (c *collector) damage(err error) {
	if c.damaged++; c.damaged == 1 {
		c.firstDamage = err
	}
}

// own notes that pkg owns the file base in directory dir, both below the root.
func (c *collector) own(pkg, dir, base string) {
	const maxPath = 4 << 10 // PATH_MAX
	if c.full || pkg == "" || len(dir)+len(base) > maxPath {
		return
	}
	c.work += len(dir) + len(base)
	path := strings.TrimPrefix(strings.TrimPrefix(dir, "./"), "/")
	switch {
	case base == "":
	case path == "":
		path = base
	case path[len(path)-1] == '/':
		path += base
	default:
		path += "/" + base
	}
	if path == "" || path == "." || path[0] == '/' || c.work <= maxOwnedWork && !inventory.MayOwn(path) {
		return
	}
	if c.paths == maxOwnedPaths || c.bytes+len(path) > maxOwnedBytes || c.work > maxOwnedWork {
		c.full = true
		return
	}
	c.paths++
	c.bytes += len(path)
	if n := len(c.facts.Owns); n == 0 || c.owner != pkg {
		c.owner = pkg
		c.facts.Owns = append(c.facts.Owns, inventory.Ownership{Root: c.root, Package: pkg})
	}
	last := &c.facts.Owns[len(c.facts.Owns)-1]
	last.Paths = append(last.Paths, path) // as written, to equal the name in the layer
}

// result closes the collection; err is what ended the reading.
func (c *collector) result(err error) (inventory.Facts, error) {
	if c.damaged > 0 {
		c.facts.Problems = append(c.facts.Problems, plimsoll.Problem{
			Code:   plimsoll.ProblemCorruptFile,
			Detail: fmt.Sprintf("records that could not be read and are missing: %d, the first: %v", c.damaged, c.firstDamage),
			Count:  c.damaged,
		})
	}
	if c.full {
		c.facts.Problems = append(c.facts.Problems, plimsoll.Problem{
			Code:   plimsoll.ProblemLimit,
			Detail: fmt.Sprintf("the list of installed files is larger than %d names or %d MiB; files beyond it count as not owned", maxOwnedPaths, maxOwnedBytes>>20),
		})
	}
	return c.facts, err
}
