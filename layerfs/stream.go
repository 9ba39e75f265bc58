package layerfs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"plimsoll"
)

// errStreamLimit ends a layer, where other limits end a file.
var errStreamLimit = limitError("decompress layer", "the layer expands beyond %d bytes, or more than %d to 1", int64(maxStream), maxRatio)

// Decompress returns what r holds, plain or compressed by gzip or zstd, which
// its first bytes tell. Reading fails with CodeLimit beyond 64 GiB, and beyond
// 8 GiB when more than 1100 bytes come of one. Close leaves r open.
func Decompress(r io.Reader) (io.ReadCloser, error) { return decompress(r, defaultBounds()) }

// decompress is Decompress within bounds.
func decompress(raw io.Reader, b bounds) (io.ReadCloser, error) {
	in := &counter{Reader: raw}
	buffered := bufio.NewReaderSize(in, 256<<10)
	magic, err := buffered.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	d := &decompressed{in: in, bounds: b}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		d.Reader, d.close = z, func() { z.Close() }
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(magic) == 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:], []byte{0x2a, 0x4d, 0x18}):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		d.Reader, d.close = z, z.Close
	case bytes.HasPrefix(magic, []byte("BZh")), bytes.Equal(magic, []byte("\xfd7zX")):
		return nil, errors.New("compressed by bzip2 or xz, which no image specification allows and which is not read")
	default:
		d.Reader, d.close, d.plain = buffered, func() {}, true
	}
	return d, nil
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// decompressed is a layer's content, bounded in size and ratio.
type decompressed struct {
	io.Reader
	in     *counter
	out    int64
	plain  bool
	bounds bounds
	close  func()
}

func (d *decompressed) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	d.out += int64(n)
	if d.out > d.bounds.stream || !d.plain && d.out > d.bounds.freeStream && d.out/maxRatio > d.in.n {
		return 0, errStreamLimit
	}
	return n, err
}

func (d *decompressed) Close() error {
	d.close()
	return nil
}

// spool makes files with random access of a stream's members: in memory, as far
// as all of them together fit, else in unlinked scratch files.
type spool struct {
	scratch func() (*os.File, error) // nil: there are none
	bounds  bounds
	mu      sync.Mutex
	freed   sync.Cond
	held    int64 // bytes in memory
}

func newSpool(scratch func() (*os.File, error), b bounds) *spool {
	s := &spool{scratch: scratch, bounds: b}
	s.freed.L = &s.mu
	return s
}

// file reads a member. It fails with CodeLimit, having read nothing, when the
// file is too large. It may wait until others are closed.
func (s *spool) file(r io.Reader, hdr *tar.Header) (*File, error) {
	const op = "buffer file of layer"
	f := &File{Size: hdr.Size, Mode: fileMode(hdr.Mode)}
	switch {
	case hdr.Size > s.bounds.scratch:
		return nil, limitError(op, "%d bytes, at most %d are read of a file in a stream", hdr.Size, s.bounds.scratch)
	case hdr.Size <= s.bounds.inMemory:
		s.hold(hdr.Size)
		b := make([]byte, hdr.Size)
		if _, err := io.ReadFull(r, b); err != nil {
			s.hold(-hdr.Size)
			return nil, err
		}
		f.ReaderAt = bytes.NewReader(b)
		f.close = sync.OnceValue(func() error { s.hold(-hdr.Size); return nil })
	case s.scratch == nil:
		return nil, limitError(op, "%d bytes, more than %d need a scratch directory", hdr.Size, s.bounds.inMemory)
	default:
		tmp, err := s.scratch()
		if err != nil {
			return nil, plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
		}
		if _, err := io.CopyN(tmp, r, hdr.Size); err != nil {
			tmp.Close()
			return nil, err
		}
		f.ReaderAt, f.close = io.NewSectionReader(tmp, 0, hdr.Size), tmp.Close
	}
	return f, nil
}

// scratch returns what makes scratch files, or nil.
func (o TarOptions) scratch() func() (*os.File, error) {
	switch {
	case o.newScratch != nil:
		return o.newScratch
	case o.Scratch == "":
		return nil
	}
	return func() (*os.File, error) { return scratchFile(o.Scratch) }
}

// scratchFile makes a file in dir that has no name any more.
func scratchFile(dir string) (*os.File, error) {
	tmp, err := os.CreateTemp(dir, "layer-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(tmp.Name()); err != nil {
		tmp.Close()
		return nil, err
	}
	return tmp, nil
}

// hold waits for n bytes of memory, or with n < 0 gives them back.
func (s *spool) hold(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n > 0 && s.held+n > s.bounds.inMemory {
		s.freed.Wait()
	}
	s.held += n
	if n < 0 {
		s.freed.Broadcast()
	}
}

// visits runs a visitor on the files of a tar, a bounded number at once.
type visits struct {
	ctx     context.Context
	visitor Visitor
	spool   *spool
	slots   chan struct{}
	wg      sync.WaitGroup
}

func newVisits(ctx context.Context, v Visitor, o TarOptions, b bounds) *visits {
	return &visits{ctx: ctx, visitor: v, spool: newSpool(o.scratch(), b), slots: make(chan struct{}, o.Workers)}
}

// start reads a member of a stream and has it visited.
func (v *visits) start(path string, hdr *tar.Header, r io.Reader) error {
	f, err := v.spool.file(r, hdr)
	if err == nil {
		v.open(path, f, nil)
	}
	return err
}

// open has a file visited, and then its further names.
func (v *visits) open(path string, f *File, links []string) {
	v.slots <- struct{}{}
	v.wg.Go(func() {
		defer func() { <-v.slots }()
		defer f.Close()
		v.visitor.Visit(v.ctx, path, f, "")
		v.links(path, links)
	})
}

// links tells further names of a file that is visited under its first.
func (v *visits) links(first string, names []string) {
	for _, name := range names {
		v.visitor.Visit(v.ctx, name, nil, first)
	}
}

func (v *visits) wait() { v.wg.Wait() }
