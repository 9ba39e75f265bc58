package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/layerfs"
)

// Limits of an archive's own tar.
const (
	maxMembers = 100_000 // an image has at most some hundred
	maxLinks   = 8       // from one member to another: old docker save links equal layers

	// Of a compressed tar, documents are kept when they pass: to read one later takes
	// all that is before it once more.
	maxKept    = 1 << 20  // bytes of one that is kept
	maxKeptAll = 64 << 20 // bytes of all that are
	maxAgain   = 100      // documents that are read later
)

// members are the regular files of a tar, found by one pass over its headers.
// Nothing is unpacked: a plain tar is read at the members' places, a compressed
// one from its beginning for each of them.
type members struct {
	ctx   context.Context // of opening
	file  *os.File
	plain bool
	at    map[string]section
	links map[string]string  // symbolic and hard links, to clean names
	kept  map[section][]byte // documents of a compressed tar
	room  int64              // bytes that may still be kept
	again int                // documents that were read from the beginning
}

type section struct{ offset, size int64 }

func openTar(ctx context.Context, name string) (files, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	m := &members{ctx: ctx, file: f, at: map[string]section{}, links: map[string]string{}, kept: map[section][]byte{}, room: maxKeptAll}
	if err := m.scan(); err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

// stream returns the tar from its beginning.
func (m *members) stream() (io.ReadCloser, error) {
	info, err := m.file.Stat()
	if err != nil {
		return nil, err
	}
	r := io.NewSectionReader(m.file, 0, info.Size())
	magic := make([]byte, 4)
	r.ReadAt(magic, 0) // a shorter file is no tar either way
	if layerfs.Compressed(magic) {
		z, err := layerfs.Decompress(r)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{interruptible{m.ctx, z}, z}, nil
	}
	m.plain = true
	return io.NopCloser(r), nil
}

// interruptible fails when its context has ended: a few bytes can decompress for hours.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}

func (m *members) scan() error {
	r, err := m.stream()
	if err != nil {
		return err
	}
	defer r.Close()
	at := &position{r: r}
	var src io.Reader = at
	if m.plain {
		src = seekingPosition{at, io.NewSectionReader(m.file, 0, 1<<62)}
	}
	members := 0
	for t := tar.NewReader(src); ; members++ {
		h, err := t.Next()
		if err == io.EOF && members > 0 {
			return nil
		}
		if m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		if err != nil {
			if members == 0 {
				return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "recognise archive", Err: errors.New("it is not a tar"),
					Hint: "Give a tar made by docker save, podman save or skopeo, an OCI layout, or the directory of a root file system."}
			}
			if plimsoll.CodeOf(err) == plimsoll.CodeLimit {
				return err
			}
			return plimsoll.Errorf(plimsoll.CodeCorrupt, "read tar", "after %d members: %w", members, err)
		}
		if members > maxMembers {
			return plimsoll.Errorf(plimsoll.CodeLimit, "read tar", "more than %d members: it is not an archive of images", maxMembers)
		}
		name := path.Clean("/" + h.Name)[1:]
		switch h.Typeflag {
		case tar.TypeReg:
			if _, twice := m.at[name]; twice && isIndex(name) {
				return plimsoll.Errorf(plimsoll.CodeInvalid, "read tar", "it contains %s twice", name)
			}
			s := section{at.n, h.Size}
			m.at[name] = s
			if !m.plain && h.Size <= min(maxKept, m.room) {
				// Layers are kept by nobody; of what was cut off the next header tells.
				if b, err := io.ReadAll(t); err == nil && isJSON(b) {
					m.kept[s] = b
					m.room -= h.Size
				}
			}
		case tar.TypeSymlink:
			m.links[name] = path.Join(path.Dir("/"+name), h.Linkname)[1:]
		case tar.TypeLink:
			m.links[name] = path.Clean("/" + h.Linkname)[1:]
		}
	}
}

func isJSON(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[')
}

func isIndex(name string) bool {
	return name == dockerManifest || name == v1.ImageIndexFile || name == v1.ImageLayoutFile
}

// position counts what a tar reader has consumed: after a header, that is where
// the member's content begins.
type position struct {
	r io.Reader
	n int64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}

// seekingPosition lets the tar reader skip contents.
type seekingPosition struct {
	*position
	s *io.SectionReader
}

func (p seekingPosition) Read(b []byte) (int, error) {
	n, err := p.s.Read(b)
	p.n += int64(n)
	return n, err
}

func (p seekingPosition) Seek(offset int64, whence int) (int64, error) {
	n, err := p.s.Seek(offset, whence)
	if err == nil {
		p.n = n
	}
	return n, err
}

func (m *members) find(name string) (section, bool) {
	for range maxLinks {
		if s, ok := m.at[name]; ok {
			return s, true
		}
		name = m.links[name]
	}
	return section{}, false
}

func (m *members) has(name string) bool {
	_, ok := m.find(name)
	return ok
}

func (m *members) read(name string) ([]byte, error) {
	s, ok := m.find(name)
	if !ok {
		return nil, fmt.Errorf("read %.100q: %w", name, fs.ErrNotExist)
	}
	if b, ok := m.kept[s]; ok {
		return b, nil
	}
	if !m.plain {
		if m.again++; m.again > maxAgain {
			return nil, &plimsoll.Error{Code: plimsoll.CodeLimit, Op: "read " + name, Err: fmt.Errorf("more than %d large documents in a compressed tar", maxAgain),
				Hint: "Decompress it first."}
		}
	}
	r, err := m.open(s)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return engine.ReadAll(r, name, engine.MaxDocument)
}

// open returns the content of a member.
func (m *members) open(s section) (io.ReadCloser, error) {
	if m.plain {
		return io.NopCloser(io.NewSectionReader(m.file, s.offset, s.size)), nil
	}
	r, err := m.stream()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, s.offset); err != nil {
		r.Close()
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, s.size), r}, nil
}

func (m *members) layer(name string, o layerfs.TarOptions) (layerfs.Layer, error) {
	s, ok := m.find(name)
	if !ok {
		return nil, fs.ErrNotExist
	}
	if m.plain {
		return layerfs.TarBlob(io.NewSectionReader(m.file, s.offset, s.size), s.size, o), nil
	}
	info, err := m.file.Stat()
	if err != nil {
		return nil, err
	}
	return layerfs.TarMember(m.file, info.Size(), s.offset, s.size, o), nil
}

func (m *members) close() error { return m.file.Close() }

// directory is an OCI layout as a directory.
type directory struct{ *engine.Dir }

func openDir(name string) (files, error) {
	d, err := engine.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return directory{d}, nil
}

func (d directory) read(name string) ([]byte, error) { return d.Read(name, engine.MaxDocument) }
func (d directory) has(name string) bool             { return d.Exists(name) && !strings.HasPrefix(name, "/") }
func (d directory) close() error                     { return d.Close() }

func (d directory) layer(name string, o layerfs.TarOptions) (layerfs.Layer, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	// Files of the layer outlive the layer, so f is closed when nothing refers
	// to it any more.
	return layerfs.TarBlob(f, info.Size(), o), nil
}
