package feed

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"plimsoll"
)

// listDocuments returns the files of a directory that hold JSON documents, or
// archives of them.
func listDocuments(dir string) ([]string, error) {
	return filesIn(dir, func(name string) bool {
		for _, end := range [...]string{".json", ".json.gz", ".json.zst", ".json.xz", ".json.bz2", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"} {
			if strings.HasSuffix(name, end) {
				return !strings.HasSuffix(name, infoSuffix)
			}
		}
		return false
	})
}

// documents hands each JSON document of the source to visit: every file, and
// what zip and tar archives among them hold, compressed or not. One that is
// larger than limit, or that an archive does not give whole, is a problem of its
// own; an archive that is damaged as such is an error. b is valid during visit.
func (in *intake) documents(ctx context.Context, limit int, visit func(name string, b []byte) error) error {
	d := &documents{intake: in, ctx: ctx, limit: limit, visit: visit}
	for _, file := range in.files {
		if err := d.file(file); err != nil {
			var e *plimsoll.Error
			if errors.As(err, &e) || ctx.Err() != nil {
				return err
			}
			return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read " + in.source.Name, Err: fmt.Errorf("%s: %w", file, err)}
		}
	}
	return nil
}

type documents struct {
	*intake
	ctx      context.Context // of the one call of documents that it lives in
	limit    int
	visit    func(name string, b []byte) error
	buf      []byte
	expanded int64
	count    int
}

func (d *documents) file(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return &plimsoll.Error{Code: localCode(err), Op: "read " + d.source.Name, Err: err}
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := f.ReadAt(head, 0); err == nil && (bytes.Equal(head, []byte("PK\x03\x04")) || bytes.Equal(head, []byte("PK\x05\x06"))) {
		return d.zip(f)
	}
	r, closeReader, err := decompressed(f)
	if err != nil {
		return err
	}
	defer closeReader()
	b := bufio.NewReaderSize(&capped{r, maxExpanded}, 64<<10)
	if head, _ := b.Peek(262); len(head) == 262 && string(head[257:]) == "ustar" {
		return d.tar(tar.NewReader(b))
	}
	return d.one(path.Base(name), b)
}

func (d *documents) zip(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	members, err := zipMembers(f, st.Size())
	if err != nil {
		return err
	}
	for _, m := range members {
		r, err := m.open()
		if errors.Is(err, zip.ErrAlgorithm) || err != nil {
			d.seen++
			d.problem(d.source.Name, m.name, err)
			continue
		}
		err = d.one(m.name, r)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *documents) tar(t *tar.Reader) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the archive is cut off or damaged: %w", err)
		}
		if h.Typeflag == tar.TypeReg && strings.HasSuffix(h.Name, ".json") {
			if err := d.one(h.Name, t); err != nil {
				return err
			}
		}
	}
}

// one reads a document. What follows a broken one in a tar archive cannot be
// found; the archive's next member tells.
func (d *documents) one(name string, r io.Reader) (err error) {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if d.count++; d.count > maxExportMembers {
		return plimsoll.Errorf(plimsoll.CodeLimit, "read "+d.source.Name, "more than %d documents", maxExportMembers)
	}
	if d.count%1000 == 1 {
		d.report(Progress{Stage: "read", Source: d.source.Name, Done: int64(d.count)})
	}
	d.buf, err = readLimited(r, d.buf[:0], d.limit)
	if d.expanded += int64(len(d.buf)); d.expanded > maxExpanded {
		return plimsoll.Errorf(plimsoll.CodeLimit, "read "+d.source.Name, "the documents have more than %d bytes", int64(maxExpanded))
	}
	if err != nil {
		d.seen++
		d.problem(d.source.Name, name, err)
		return nil
	}
	return d.visit(name, d.buf)
}
