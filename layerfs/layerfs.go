// Package layerfs is the read-only view of an image over a stack of layers that
// stay where they are: directories of an engine's store, or tar blobs.
//
// It owns whiteouts, opaque directories, redirects, the resolution of links and
// the budgets of reading. It resolves names by itself, in the merged view and
// component by component; it never follows a link on the host, never opens
// anything but a regular file, never writes and never mounts. Its input is
// hostile: the image's author chose every name, link and size.
package layerfs

import (
	"context"
	"io"
	"io/fs"
	"strings"

	"plimsoll"
)

// Layer is one file system change set, in place.
type Layer interface {
	// Scan reads the whole layer once. It builds the layer's index and offers
	// each non-directory name to v; see Visitor. What could not be read becomes
	// a problem; the error is for the layer as a whole (CodeNotFound when it has
	// vanished, CodeUnreadable, CodeCorrupt, CodeLimit) and for ctx.
	Scan(ctx context.Context, v Visitor) (*Index, []plimsoll.Problem, error)
	// Open opens the regular file at path of this very layer, without following
	// any link. It fails with CodeNotFound, CodeUnreadable or, for anything but a
	// regular file, CodeInvalid.
	Open(path string) (*File, error)
	// Close releases descriptors; files opened before stay valid.
	Close() error
}

// Visitor chooses the files of a layer that are read, and reads them.
type Visitor interface {
	// Wants is asked for each regular file by its path, relative to the root,
	// without leading slash, '/'-separated; each hard link is asked for by its own
	// name. It is called from several goroutines at once. A path that is kept for
	// long should be cloned: it shares memory with those of its whole directory.
	Wants(path string) Want
	// Visit reads one wanted regular file. It is called from up to Workers
	// goroutines at once; f is closed when it returns. Files are visited in no
	// particular order. A name that is a hard link to another wanted name of the
	// layer is visited with link set to that name and f nil, so that content is
	// read once (acceptance IMG-18). That other name is the first wanted one in
	// byte order, but of a compressed tar the first that came by.
	//
	// A compressed tar is visited before it is known whether a later member
	// replaces a name (honest layers have none): the last visit of a path counts,
	// and none does that the index does not list as a regular file.
	Visit(ctx context.Context, path string, f *File, link string)
}

// Want says whether a file is to be read.
type Want uint8

// The answers of a Visitor. IfExecutable costs a look at the file's mode and
// means: only if it is a regular file with an execute bit, or a shared library
// by its name.
const (
	No Want = iota
	Yes
	IfExecutable
)

// Executable says what IfExecutable asks of a regular file: an execute bit in
// its mode, or the name of a shared library.
func Executable(name string, mode fs.FileMode) bool {
	return mode&0o111 != 0 || strings.HasSuffix(name, ".so") || strings.Contains(name, ".so.")
}

// File is an open regular file of a layer.
type File struct {
	io.ReaderAt // bounded by Size
	Size        int64
	Mode        fs.FileMode
	close       func() error
	// metacopy: this is not the content, which the next lower layers have at
	// redirect or, when that is empty, at the same path.
	metacopy bool
	redirect string
}

// Close releases the file.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// Kind is the type of an entry.
type Kind uint8

// The kinds of entries. Other stands for devices, FIFOs and sockets, which are
// listed and never opened.
const (
	KindDir Kind = iota + 1
	KindFile
	KindSymlink
	KindWhiteout
	KindOther
)

// Entry is one name of a layer or of the merged view.
type Entry struct {
	Path   string // relative to the root, without leading slash; "" is the root
	Kind   Kind
	Target string // of a symbolic link, as written
	// Opaque: the directory hides the lower layers' content.
	Opaque bool
	// Redirect is where lower layers have the content of a renamed directory or
	// metacopied file (overlayfs redirect_dir): a path from the root of the file
	// system with leading slash, or another name beside it; empty for none.
	Redirect string
	// Metacopy: the file's content is that of the next lower layer.
	Metacopy bool
	// Layer is the index of the layer, bottom first, that the entry of a merged
	// view comes from.
	Layer int
}
