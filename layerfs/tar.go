package layerfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"plimsoll"
)

// TarOptions tells how a tar layer is read.
type TarOptions struct {
	Workers int // goroutines that visit files; 0 means 2
	// Scratch is the directory for wanted files of a stream that are too large
	// for memory (32 MiB at once); they are unlinked as soon as they exist.
	// Empty: such files become problems.
	Scratch string
	// DiffID is what the image's configuration says of the uncompressed tar. A
	// tar of another digest is refused: the facts of a layer are kept and shared
	// by this identity, so a false one would speak for other images. Empty: the
	// layer has no identity to verify.
	DiffID plimsoll.Digest

	newScratch func() (*os.File, error) // instead of Scratch, in another process
}

// tarLayer is a layer in a tar, as the OCI image specification lays it out
// (layer.md): whiteouts and opaque directories are names.
type tarLayer struct {
	open   func() (io.ReadCloser, error) // of a stream
	at     io.ReaderAt                   // or random access to size bytes
	size   int64
	source *tarSource // where the bytes are, when that is known
	opts   TarOptions
	bounds bounds

	mu    sync.Mutex
	index *Index // with the number of each file's content, for Open
	files []content
}

// content is the data of one member.
type content struct {
	offset, size int64 // offset < 0: only the stream can give it (sparse members)
	mode         int64
}

// TarAt returns an uncompressed tar of size bytes as a layer; r must stay open
// as long as the layer is used, and Close leaves it alone.
func TarAt(r io.ReaderAt, size int64, o TarOptions) Layer {
	return newTarLayer(&tarLayer{at: r, size: size, opts: o})
}

// tarSource is size bytes of r that hold a tar, plain or compressed: as a whole
// or, when member is set, as the length bytes at offset of what they expand to.
type tarSource struct {
	r              io.ReaderAt
	size           int64
	member         bool
	offset, length int64
}

// TarBlob returns the layer whose tar, plain or compressed by gzip or zstd, is the
// first size bytes of r. Only of a plain one are single files read without
// unpacking what comes before. r must stay open as long as the layer is used.
func TarBlob(r io.ReaderAt, size int64, o TarOptions) Layer {
	source := &tarSource{r: r, size: size}
	magic := make([]byte, 4)
	n, _ := r.ReadAt(magic, 0)
	if !Compressed(magic[:n]) {
		return newTarLayer(&tarLayer{at: r, size: size, source: source, opts: o})
	}
	return newTarLayer(&tarLayer{open: source.open, source: source, opts: o})
}

// TarMember returns the layer whose tar is a member of a compressed archive: the
// length bytes at offset of what the first size bytes of r expand to.
func TarMember(r io.ReaderAt, size, offset, length int64, o TarOptions) Layer {
	source := &tarSource{r: r, size: size, member: true, offset: offset, length: length}
	return newTarLayer(&tarLayer{open: source.open, source: source, opts: o})
}

// open returns the tar's bytes from their beginning.
func (s *tarSource) open() (io.ReadCloser, error) {
	r := io.NewSectionReader(s.r, 0, s.size)
	if !s.member {
		return io.NopCloser(r), nil
	}
	d, err := Decompress(r)
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, d, s.offset); err != nil {
		d.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(d, s.length), d}, nil
}

// Compressed says whether a file that begins with magic is one that Decompress
// inflates.
func Compressed(magic []byte) bool {
	return bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) || bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// Tar returns a tar stream, plain or compressed by gzip or zstd, as a layer. A
// scan reads it once, or twice when a wanted name is a hard link to one that is
// not; Open reads it again up to the file.
func Tar(open func() (io.ReadCloser, error), o TarOptions) Layer {
	return newTarLayer(&tarLayer{open: open, opts: o})
}

func newTarLayer(l *tarLayer) *tarLayer {
	if l.opts.Workers <= 0 {
		l.opts.Workers = defaultWorkers
	}
	l.bounds = defaultBounds()
	return l
}

// Close implements Layer.
func (l *tarLayer) Close() error { return nil }

// Scan implements Layer.
//
// What Docker and containerd do when they unpack decides what a tar means: names
// are cleaned into the root; a later member replaces an earlier one of its name,
// and a directory of one name only adds to it; a link of this very layer in a
// parent is followed, one of a lower layer is not (a directory takes its place);
// a whiteout hides what lower layers have, not what this layer has.
func (l *tarLayer) Scan(ctx context.Context, v Visitor) (*Index, []plimsoll.Problem, error) {
	s := &tarScan{layer: l, visitor: v, tree: newTarTree(l.bounds), check: newVerifier(l.opts.DiffID)}
	err := s.check.section(ctx, l.at, l.size, l.bounds)
	if err == nil {
		err = s.members(ctx)
	}
	if err == nil {
		err = s.check.verify()
	}
	if err == nil {
		err = s.visitLinks(ctx)
	}
	problems := s.tree.problems.sorted()
	if err != nil {
		return nil, problems, err
	}
	x := s.tree.index()
	l.mu.Lock()
	l.index, l.files = x, s.tree.files
	l.mu.Unlock()
	return x, problems, nil
}

// Open implements Layer.
func (l *tarLayer) Open(path string) (*File, error) {
	const op = "open file of layer"
	l.mu.Lock()
	x, files := l.index, l.files
	l.mu.Unlock()
	if x == nil {
		if _, _, err := l.Scan(context.Background(), nothing{}); err != nil {
			return nil, err
		}
		return l.Open(path)
	}
	id, ok := x.find(path)
	if !ok {
		return nil, plimsoll.Errorf(plimsoll.CodeNotFound, op, "%q: no such file", path)
	}
	n := x.nodes[id]
	if n.kind != KindFile {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q: %w", path, errNotRegular)
	}
	if n.flags&flagMetacopy != 0 {
		return &File{ReaderAt: bytes.NewReader(nil), metacopy: true, redirect: x.redirects[id]}, nil
	}
	c := files[n.a]
	if f := l.section(c); f != nil {
		return f, nil
	}
	var file *File
	err := l.stream(context.Background(), nil, func(number uint32, hdr *tar.Header, r io.Reader, _ int64) error {
		if number != n.a || !isFile(hdr) {
			return nil
		}
		sp := newSpool(l.opts.scratch(), l.bounds)
		var err error
		if file, err = sp.file(r, hdr); err != nil {
			return err
		}
		return errFound
	})
	if err != errFound {
		if err == nil {
			err = plimsoll.Errorf(plimsoll.CodeCorrupt, op, "%q: the stream is another than before", path)
		}
		return nil, err
	}
	return file, nil
}

var errFound = errors.New("found")

// nothing is the visitor that wants nothing.
type nothing struct{}

func (nothing) Wants(string) Want                            { return No }
func (nothing) Visit(context.Context, string, *File, string) {}

// section returns a file by random access, or nil where there is none.
func (l *tarLayer) section(c content) *File {
	if l.at == nil || c.offset < 0 {
		return nil
	}
	return &File{ReaderAt: io.NewSectionReader(l.at, c.offset, c.size), Size: c.size, Mode: fileMode(c.mode)}
}

// stream calls fn for each member; number counts the regular ones before it. The
// offset is that of the member's data, -1 when it cannot be read at an offset. A
// stream is shown to check, when that is not nil, up to its last byte.
func (l *tarLayer) stream(ctx context.Context, check *verifier, fn func(number uint32, hdr *tar.Header, r io.Reader, offset int64) error) error {
	const op = "read layer"
	var in io.Reader
	var section *io.SectionReader
	if l.at != nil {
		section = io.NewSectionReader(l.at, 0, l.size)
		in = section
	} else {
		raw, err := l.open()
		if err != nil {
			return err
		}
		defer raw.Close()
		d, err := decompress(raw, l.bounds)
		if err != nil {
			return plimsoll.Errorf(plimsoll.CodeCorrupt, op, "%w", err)
		}
		defer d.Close()
		in = check.tee(d)
	}
	tr := tar.NewReader(in)
	number := uint32(0)
	for members := 0; ; members++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr, err := tr.Next()
		if err == io.EOF {
			if section == nil && check != nil { // padding after the end belongs to the digest
				if _, err := io.Copy(io.Discard, in); err != nil {
					return streamError(op, err)
				}
			}
			return nil
		}
		if err != nil {
			return streamError(op, err)
		}
		if members >= 2*l.bounds.entries { // members may repeat names
			return limitError(op, "more than %d members", 2*l.bounds.entries)
		}
		offset := int64(-1)
		if section != nil && !sparse(hdr) {
			if offset, err = section.Seek(0, io.SeekCurrent); err != nil {
				return streamError(op, err)
			}
			if isFile(hdr) && hdr.Size > l.size-offset {
				return streamError(op, io.ErrUnexpectedEOF)
			}
		}
		if err := fn(number, hdr, tr, offset); err != nil {
			return err
		}
		if isFile(hdr) {
			number++
		}
	}
}

// streamError gives an error of reading a tar its code.
func streamError(op string, err error) error {
	if e := (*plimsoll.Error)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return plimsoll.Errorf(plimsoll.CodeCorrupt, op, "%w", err)
}

func isFile(hdr *tar.Header) bool {
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return true
	}
	return false
}

// sparse says whether a member's data is not stored as it is read.
func sparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// tarScan is one Scan of a tarLayer.
type tarScan struct {
	layer   *tarLayer
	visitor Visitor
	tree    *tarTree
	check   *verifier
	// Of a stream: the name each content was visited under, and the content
	// that each name was last visited with.
	visited map[uint32]string
	latest  map[string]uint32
}

// members reads the tar once. The files of a stream are visited as they come by.
func (s *tarScan) members(ctx context.Context) error {
	l := s.layer
	s.visited, s.latest = make(map[uint32]string), make(map[string]uint32)
	visits := newVisits(ctx, s.visitor, l.opts, l.bounds)
	defer visits.wait()
	return l.stream(ctx, s.check, func(number uint32, hdr *tar.Header, r io.Reader, offset int64) error {
		id, err := s.tree.add(hdr, offset)
		if err != nil || id == 0 || l.at != nil && offset >= 0 || !isFile(hdr) {
			return err
		}
		path := s.tree.path(id)
		s.tree.nodes[id].asked = true
		if !s.wanted(path, hdr.Mode) {
			return nil
		}
		if _, again := s.latest[path]; again {
			visits.wait() // the last visit of a name is to be the last
		}
		if err := visits.start(path, hdr, r); err != nil {
			return s.unspooled(path, err)
		}
		s.visited[number], s.latest[path] = path, number
		return nil
	})
}

// wanted asks the visitor about a regular file.
func (s *tarScan) wanted(path string, mode int64) bool {
	switch s.visitor.Wants(path) {
	case Yes:
		return true
	case IfExecutable:
		_, name := split(path)
		return Executable(name, fs.FileMode(mode))
	}
	return false
}

// unspooled turns a limit of one file into a problem; other errors end the scan.
func (s *tarScan) unspooled(path string, err error) error {
	if plimsoll.CodeOf(err) != plimsoll.CodeLimit || errors.Is(err, errStreamLimit) {
		return streamError("read layer", err)
	}
	s.tree.problems.add(plimsoll.ProblemLimit, path, err.Error())
	return nil
}

// visitLinks visits, when all names are known, the files that allow random
// access and the further names of those that were visited already. Contents
// that a stream has only under names which were not wanted take another pass.
func (s *tarScan) visitLinks(ctx context.Context) error {
	l, t := s.layer, s.tree
	names := make(map[uint32][]string) // of each wanted content
	t.finish()
	for _, id := range t.unasked() {
		path, number := t.path(id), t.nodes[id].content
		if s.wanted(path, t.files[number].mode) {
			names[number] = append(names[number], path)
		}
	}
	visits := newVisits(ctx, s.visitor, l.opts, l.bounds)
	defer visits.wait()
	numbers := make([]uint32, 0, len(names))
	for number := range names {
		slices.Sort(names[number])
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	again := false
	for _, number := range numbers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if first, ok := s.visitedAs(number); ok {
			visits.links(first, names[number])
		} else if f := l.section(t.files[number]); f != nil {
			visits.open(names[number][0], f, names[number][1:])
		} else {
			again = true
		}
	}
	if !again {
		return nil
	}
	return l.stream(ctx, nil, func(number uint32, hdr *tar.Header, r io.Reader, _ int64) error {
		paths := names[number]
		if _, ok := s.visitedAs(number); ok || !isFile(hdr) || len(paths) == 0 {
			return nil
		}
		if err := visits.start(paths[0], hdr, r); err != nil {
			return s.unspooled(paths[0], err)
		}
		visits.links(paths[0], paths[1:])
		return nil
	})
}

// visitedAs returns the name under which a content was visited, if that visit
// counts.
func (s *tarScan) visitedAs(number uint32) (string, bool) {
	path, ok := s.visited[number]
	return path, ok && s.latest[path] == number
}
