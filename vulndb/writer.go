package vulndb

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"plimsoll"
)

// Record is one advisory and what it says about packages.
type Record struct {
	Advisory plimsoll.Advisory
	// Affected needs no advisory ID, provider, date or vulnerability: the writer
	// takes them from the advisory.
	Affected []plimsoll.Affected
	// Source tells records with one ID apart that different sources publish: each
	// speaks for itself. Of one source the newest counts.
	Source string
	// Flaws are the IDs of the flaws that the record is about when it is not
	// itself a name of one: a distribution's advisory, or one about several. Empty
	// means that the advisory's ID and aliases name one flaw.
	Flaws []string
}

// Writer writes a generation. Records may come in any order and any number of
// times; of several with one ID and source the newest counts. It holds a bounded part of
// them and keeps the rest in temporary files beside its target. The same
// records give the same file. A Writer is not safe for concurrent use.
type Writer struct {
	path    string
	records *sorter // advisory ID NUL source NUL age → encoded record
	extras  *sorter // flaw ID NUL kind → EPSS, KEV, rating
	err     error   // the first failure, which ends everything
	scratch []byte
}

// NewWriter starts a generation that Finish will write to path, which must not
// exist.
func NewWriter(path string) *Writer {
	dir := filepath.Dir(path)
	return &Writer{
		path:    path,
		records: &sorter{dir: dir, most: sorterMemory},
		extras:  &sorter{dir: dir, most: sorterMemory / 2},
	}
}

// What a value in the sorter of flaws is. Advisories that name the flaw come
// before those that are about it alone, then withdrawn ones; foreign ones are
// filed elsewhere and lend their ratings.
const (
	kindEPSS = iota
	kindKEV
	kindRating
	kindNames
	kindAbout
	kindWithdrawn
	kindForeign
)

// ageSize is the length of the end of a record's key, which sorts newer ones first.
const ageSize = 12

// Add adds a record. The error has CodeInvalid for a record that cannot be
// stored, which may be left out, or CodeUnavailable when the disk fails.
func (w *Writer) Add(r Record) error {
	a := &r.Advisory
	if err := checkRecord(&r); err != nil {
		return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "add advisory", Err: err}
	}
	key := append(append(append([]byte(a.ID), 0), r.Source...), 0)
	key = binary.BigEndian.AppendUint64(key, ^uint64(max(0, a.Modified.Unix())))
	key = binary.BigEndian.AppendUint32(key, ^uint32(a.Modified.Nanosecond())) // ageSize bytes
	b := appendAdvisory(w.scratch[:0], a)
	b = appendStrings(b, r.Flaws)
	b = binary.AppendUvarint(b, uint64(len(r.Affected)))
	for i := range r.Affected {
		f := &r.Affected[i]
		b = appendString(appendString(b, f.Ecosystem), f.Package)
		b = appendAffected(b, f, nil)
	}
	w.scratch = b
	return w.keep(w.records.add(key, b))
}

// checkRecord refuses what would break a key. Names are bounded so that any
// key built from two of them fits.
func checkRecord(r *Record) error {
	const most = maxKey/2 - 64
	bad := func(s string) bool { return s == "" || len(s) > most || strings.IndexByte(s, 0) >= 0 }
	if len(r.Source) > maxKey/4 || strings.IndexByte(r.Source, 0) >= 0 {
		return fmt.Errorf("%.80q cannot be a source", r.Source)
	}
	ids := slices.Concat([]string{r.Advisory.ID}, r.Advisory.Aliases, r.Flaws)
	if i := slices.IndexFunc(ids, bad); i >= 0 {
		return fmt.Errorf("%.80q cannot be an id", ids[i])
	}
	for _, a := range r.Affected {
		if bad(a.Ecosystem) || bad(a.Package) {
			return fmt.Errorf("%.80q of %.80q cannot be a package", a.Package, a.Ecosystem)
		}
	}
	return nil
}

// AddEPSS adds an estimate for a flaw; it is kept when an advisory is about it.
func (w *Writer) AddEPSS(id string, e plimsoll.EPSS) error {
	return w.addExtra(id, kindEPSS, appendEPSS(w.scratch[:0], e))
}

// AddKEV adds a catalogue entry for a flaw; it is kept when an advisory is about it.
func (w *Writer) AddKEV(id string, k plimsoll.KEV) error {
	return w.addExtra(id, kindKEV, appendKEV(w.scratch[:0], k))
}

// AddRating adds a judgement of a flaw; it is kept when an advisory is about it.
func (w *Writer) AddRating(id string, r plimsoll.Rating) error {
	return w.addExtra(id, kindRating, appendRating(w.scratch[:0], r))
}

func (w *Writer) addExtra(id string, kind byte, value []byte) error {
	w.scratch = value
	if id == "" || len(id) > maxKey/4 || strings.IndexByte(id, 0) >= 0 {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "add rating", "%.80q cannot be an id", id)
	}
	return w.keep(w.extras.add(append([]byte(id), 0, kind), value))
}

// keep remembers a failure of the disk, so that nothing incomplete is finished.
func (w *Writer) keep(err error) error {
	if err != nil && w.err == nil {
		w.err = &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: "write advisories", Err: err,
			Hint: "make room on the disk that holds the advisories"}
	}
	return w.err
}

func (w *Writer) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		w.err = ctx.Err()
	}
	return w.keep(err)
}

// Abort drops everything. It does nothing after Finish.
func (w *Writer) Abort() {
	w.records.close()
	w.extras.close()
	if w.err == nil {
		w.err = plimsoll.Errorf(plimsoll.CodeInternal, "write advisories", "the writer is closed")
	}
}

// Finish writes the generation and makes it durable. Of the sources, name,
// newest date and number of records are stored; the newest of these dates, or
// else of the records, is when the generation counts as built. sample marks a
// demonstration that must not be relied on. On error there is no file.
func (w *Writer) Finish(ctx context.Context, sources []plimsoll.DataSource, sample bool) (plimsoll.Generation, error) {
	defer w.Abort()
	if w.err != nil {
		return plimsoll.Generation{}, w.err
	}
	c := newCompiler(ctx, filepath.Dir(w.path))
	defer c.close()
	if err := c.compile(w.records, w.extras); err != nil {
		return plimsoll.Generation{}, w.fail(ctx, err)
	}
	g := plimsoll.Generation{Schema: Schema, Sample: sample, Sources: slices.Clone(sources), Advisories: c.advisories}
	slices.SortFunc(g.Sources, func(a, b plimsoll.DataSource) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range g.Sources {
		if s.Newest.After(g.Built) {
			g.Built = s.Newest.UTC().Truncate(time.Second)
		}
	}
	if g.Built.IsZero() {
		g.Built = c.newest
	}
	if err := w.write(c, &g); err != nil {
		os.Remove(w.path)
		return plimsoll.Generation{}, w.fail(ctx, err)
	}
	return g, nil
}

func (w *Writer) write(c *compiler, g *plimsoll.Generation) error {
	f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(f, 1<<20)
	out := &output{w: buffer, sum: sha256.New()}
	err = c.write(out, g)
	if err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	g.ID = plimsoll.Digest("sha256:" + hex.EncodeToString(out.id))
	return nil
}

// output counts and sums what is written.
type output struct {
	w      io.Writer
	sum    hash.Hash
	offset uint64
	id     []byte // the sum, once it is written
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	o.sum.Write(b[:n])
	o.offset += uint64(n)
	return n, err
}

// directory writes the tail of the file.
func (o *output) directory(sections [sectionCount]section) error {
	var b []byte
	for _, s := range sections {
		b = binary.LittleEndian.AppendUint64(b, s.offset)
		b = binary.LittleEndian.AppendUint64(b, s.length)
		b = binary.LittleEndian.AppendUint32(b, s.sum)
	}
	b = binary.LittleEndian.AppendUint32(b, checksum(b))
	if _, err := o.Write(b); err != nil {
		return err
	}
	o.id = o.sum.Sum(nil)
	_, err := o.w.Write(append(bytes.Clone(o.id), tailMagic...))
	return err
}

type section struct {
	offset, length uint64
	sum            uint32
}

func (o *output) section(b []byte) (section, error) {
	s := section{o.offset, uint64(len(b)), checksum(b)}
	if len(b) > maxSection {
		return s, fmt.Errorf("index of %d bytes is too large", len(b))
	}
	_, err := o.Write(b)
	return s, err
}
