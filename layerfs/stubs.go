package layerfs

import (
	"context"
	"io"

	"plimsoll"
)

// TarOptions tells how a tar layer is read.
type TarOptions struct {
	Workers int // goroutines that visit files; 0 means 2
	// Scratch is the directory for wanted files of a compressed stream that are
	// too large for memory; they are unlinked at once. Empty: such files become
	// a problem.
	Scratch string
}

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
