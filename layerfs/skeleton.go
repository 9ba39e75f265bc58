package layerfs

import (
	"context"
	"io"

	"plimsoll"
)

// DirOptions tells how a layer directory is read.
type DirOptions struct {
	Workers int // goroutines that list directories and visit files; 0 means 2
	// Opaques is another source of the layer's opaque directories (Docker's
	// tar-split), asked when this process cannot see trusted.* attributes. The
	// keys are paths relative to the root, without leading slash. A store that
	// cannot hold such attributes (rootless) returns an empty map. Without
	// Opaques the layer gets a problem opaque-unknown.
	Opaques func() (map[string]bool, error)
	Lowest  bool // nothing lies below: opaque marks cannot matter
}

// TarOptions tells how a tar layer is read.
type TarOptions struct {
	Workers int // goroutines that visit files; 0 means 2
	// Scratch is the directory for wanted files of a compressed stream that are
	// too large for memory; they are unlinked at once. Empty: such files become
	// a problem.
	Scratch string
}

// Dir returns the layer whose change set is the directory root: the diff of
// Docker's overlay2 and of containers-storage, the fs of containerd's overlayfs.
func Dir(root string, o DirOptions) (Layer, error) { return nil, errTodo }

// RootFS returns a plain root file system directory as a layer: it has neither
// whiteouts nor opaque directories.
func RootFS(root string, o DirOptions) (Layer, error) { return nil, errTodo }

// DirDiff returns the layer of Docker's legacy overlay driver.
func DirDiff(parent, child string, o DirOptions) (Layer, error) { return nil, errTodo }

// TarAt returns an uncompressed tar of size bytes as a layer.
func TarAt(r io.ReaderAt, size int64, o TarOptions) Layer { return todo{} }

// Tar returns a tar stream, plain or compressed by gzip or zstd, as a layer.
func Tar(open func() (io.ReadCloser, error), o TarOptions) Layer { return todo{} }

var errTodo = plimsoll.Errorf(plimsoll.CodeInternal, "open layer", "not implemented yet")

type todo struct{}

func (todo) Scan(context.Context, Visitor) (*Index, []plimsoll.Problem, error) {
	return nil, nil, errTodo
}
func (todo) Open(string) (*File, error) { return nil, errTodo }
func (todo) Close() error               { return nil }

// Stack is the merged view of an image's layers.
type Stack struct{}

// NewStack returns the merged view of layers, bottom first; indexes[i] belongs
// to layers[i], which may be nil when its content will not be opened.
func NewStack(layers []Layer, indexes []*Index) *Stack { return &Stack{} }

// Visible says whether the merged image shows this layer's entry at path.
func (s *Stack) Visible(layer int, path string) bool { return false }

// Lstat returns the entry at path; links in parent components are resolved.
func (s *Stack) Lstat(path string) (Entry, error) { return Entry{}, errTodo }

// Resolve returns the entry that path leads to, following links in the image.
func (s *Stack) Resolve(path string) (Entry, error) { return Entry{}, errTodo }

// Open opens the regular file that path leads to.
func (s *Stack) Open(path string) (*File, Entry, error) { return nil, Entry{}, errTodo }

// ReadDir lists the directory that path leads to, in byte order.
func (s *Stack) ReadDir(path string) ([]Entry, error) { return nil, errTodo }

// Walk calls fn for each entry of the merged image, parents first.
func (s *Stack) Walk(fn func(Entry) error) error { return errTodo }

// Len returns the number of entries.
func (x *Index) Len() int { return 0 }

// Lookup returns the layer's own entry at path.
func (x *Index) Lookup(path string) (Entry, bool) { return Entry{}, false }

// Walk calls fn for each entry, parents first, names in byte order.
func (x *Index) Walk(fn func(Entry) error) error { return errTodo }

// MarshalBinary encodes the index.
func (x *Index) MarshalBinary() ([]byte, error) { return nil, errTodo }

// UnmarshalBinary decodes an index; data may be hostile.
func (x *Index) UnmarshalBinary(data []byte) error { return errTodo }
