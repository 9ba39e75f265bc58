// Package inventory turns the layers of an image into the list of what is
// installed in it.
//
// It owns the walk over the layers, the contract of an analyser, the cache of a
// layer's facts and the merge of layers into one Inventory. Analysers live in
// inventory/ospkg and inventory/langpkg; they see single read-only files and
// never a host path. Everything read here is hostile: each file is bounded, and
// what goes wrong with one becomes a Problem of that file.
package inventory

import (
	"context"
	"io"
	"io/fs"

	"plimsoll"
	"plimsoll/layerfs"
)

// Want is an analyser's answer to whether it reads a file. The walk asks with
// the path alone, because that costs nothing; IfExecutable makes it look at the
// file's mode, which costs a system call.
type Want = layerfs.Want

// The answers.
const (
	No           = layerfs.No
	Yes          = layerfs.Yes
	IfExecutable = layerfs.IfExecutable
)

// Analyzer recognises packages in single files. It must be a pure function of
// the file: its facts are kept by the layer's diff ID and shared by every image
// of a store with that layer. It is called from several goroutines at once.
type Analyzer interface {
	// Name is unique among analysers and stable: "dpkg", "npm".
	Name() string
	// Version is raised whenever the same file would give other facts; cached
	// facts of older versions lapse.
	Version() int
	// Wants says whether to read the regular file at path, relative to the
	// image's root, without leading slash. It is called for every entry of every
	// layer, so it must be quick and must not allocate.
	Wants(path string) Want
	// Analyze reads one file. An error becomes a Problem of the file, with the
	// facts that were returned beside it kept.
	Analyze(ctx context.Context, f File) (Facts, error)
}

// File is a regular file of a layer.
type File struct {
	Path string
	Size int64 // as the layer claims; reading is bounded in any case
	Mode fs.FileMode
	// ReaderAt is valid during Analyze only and safe for concurrent use.
	io.ReaderAt
	// Sibling opens another regular file of the same layer, for formats that
	// spread over files (a database and its write-ahead log). Facts stay a
	// function of the layer. It is nil when there is no layer (a lone file); the
	// caller closes what it opens.
	Sibling func(path string) (*layerfs.File, error)
}

// Reader reads the file from its beginning, at most limit bytes. Reading past
// the limit fails with CodeLimit instead of ending the file silently.
func (f File) Reader(limit int64) io.Reader {
	return &limitedReader{r: io.NewSectionReader(f.ReaderAt, 0, max(f.Size, 0)), left: limit, path: f.Path}
}

type limitedReader struct {
	r    io.Reader
	left int64
	path string
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		var probe [1]byte
		if n, err := l.r.Read(probe[:]); n == 0 {
			return 0, err
		}
		return 0, plimsoll.Errorf(plimsoll.CodeLimit, "read file", "%q is larger than its limit", l.path)
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}

// Facts are what one analyser learned from one file.
type Facts struct {
	// Packages need Type, Name and Version; Path defaults to the file's path.
	// Layer, Owner, Root and PURL are set by the merge.
	Packages []plimsoll.Package
	// System is set by the analyser of distribution identity, and with nothing but
	// Repositories and its root by the one of build records.
	System *plimsoll.OS
	// Owns lists files that a system package installed.
	Owns []Ownership
	// Notes change packages that other files prove.
	Notes []Note
	// Problems need Code and Detail; path, layer and analyser are filled in.
	Problems []plimsoll.Problem
}

// Ownership says that the system package Package owns Paths. Only paths that
// MayOwn accepts are kept: the others decide nothing.
type Ownership struct {
	Root    string // as Package.Root
	Package string
	Paths   []string // relative to Root
}

// Note sets a field of a package that another file proves, when the file that
// gave the note is visible in the image: the hidden lock file of npm knows which
// packages are for development only, the copyright file of a Debian package its
// licences. It is about the package proven by the file at Path or, with an empty
// Path, about the system package named Package in the system at Root.
type Note struct {
	Path    string
	Root    string
	Package string
	Key     NoteKey
	Value   string
}

// NoteKey names the field that a Note sets.
type NoteKey string

// The notes that exist.
const (
	NoteDev     NoteKey = "dev"     // sets Dev; the value is ignored
	NoteBundled NoteKey = "bundled" // sets Bundled to the value
	NoteAlias   NoteKey = "alias"   // sets Name to the value: the package was installed under an alias
	NoteOrigin  NoteKey = "origin"  // sets Origin to the value
	NoteLicense NoteKey = "license" // adds the value to Licenses
	// NoteAbsent removes the package: another record of the ecosystem says that
	// it is not really there (reference-only entries).
	NoteAbsent NoteKey = "absent"
)
