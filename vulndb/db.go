package vulndb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
)

const (
	// blockCacheSize is the memory for decompressed blocks. Questions in key
	// order, as a scan asks them, hit the block of the question before.
	blockCacheSize = 4 << 20
	// rowCacheSize is the memory for decoded packages, so that many versions of
	// one package are decoded once.
	rowCacheSize = 4 << 20
)

// DB is an open generation. It is safe for concurrent use; what it returns is
// shared and must not be changed.
type DB struct {
	src        io.ReaderAt
	size       int64
	file       *os.File // nil when not ours to close
	generation plimsoll.Generation
	ecosystems []string
	known      map[string]bool
	hint       string // what helps when it is damaged
	tables     [tableCount]tableReader
	filter     filter
	dec        *zstd.Decoder
	blocks     *cache[uint64, *block]
	rows       *cache[string, []plimsoll.Affected]
}

// Open opens the generation at path. Header, directory, roots and filter are
// checked now, each block when it is read. The error has CodeNotFound when
// there is no such file and CodeCorrupt when it is damaged or no generation.
func Open(path string) (*DB, error) {
	return openFile(path, "give a generation as plimsoll db update makes them; what plimsoll db export wrote is taken in with plimsoll db import")
}

func openFile(path, hint string) (*DB, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError("open advisories", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, fileError("open advisories", err)
	}
	db, err := NewDB(f, st.Size())
	if err != nil {
		f.Close()
		return nil, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "open advisories", Err: fmt.Errorf("%s: %w", path, errors.Unwrap(err)), Hint: hint}
	}
	db.file, db.hint = f, hint
	return db, nil
}

// NewDB opens a generation of size bytes that src holds, for instance one that
// is embedded in the program. Close does not close src.
func NewDB(src io.ReaderAt, size int64) (*DB, error) {
	db := &DB{
		src:    src,
		size:   size,
		blocks: newCache[uint64, *block](blockCacheSize),
		rows:   newCache[string, []plimsoll.Affected](rowCacheSize),
	}
	if err := db.load(); err != nil {
		db.Close()
		return nil, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "open advisories", Err: err}
	}
	return db, nil
}

func (db *DB) load() error {
	if db.size < headSize+tailSize {
		return errors.New("the file is too short for a generation")
	}
	head, tail := make([]byte, headSize), make([]byte, tailSize)
	if err := db.readAt(head, 0); err != nil {
		return err
	}
	if string(head[:8]) != headMagic {
		return errors.New("the file is not a generation of advisories")
	}
	if schema := binary.LittleEndian.Uint32(head[8:]); schema != Schema {
		return errors.New("the generation was written by another version of this program")
	}
	if err := db.readAt(tail, db.size-tailSize); err != nil {
		return err
	}
	sections, err := db.readSections(tail)
	if err != nil {
		return err
	}
	if err := db.describe(sections[sectionDescription]); err != nil {
		return err
	}
	db.generation.ID = plimsoll.Digest("sha256:" + hex.EncodeToString(tail[directorySize:directorySize+32]))
	db.filter = sections[sectionFilter]
	db.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxBlock),
		zstd.WithDecoderDictRaw(dictPackages, sections[sectionPackageDict]),
		zstd.WithDecoderDictRaw(dictFlaws, sections[sectionFlawDict]))
	if err != nil {
		return err
	}
	for i := range db.tables {
		root, err := parseBlock(sections[sectionPackageRoot+i])
		if err != nil {
			return err
		}
		db.tables[i] = tableReader{root: root, read: db.readBlock}
	}
	return nil
}

// readSections reads the sections that tail's directory names.
func (db *DB) readSections(tail []byte) (sections [sectionCount][]byte, err error) {
	directory := tail[:directorySize-4]
	if checksum(directory) != binary.LittleEndian.Uint32(tail[directorySize-4:]) || string(tail[tailSize-8:]) != tailMagic {
		return sections, errors.New("the file is cut off or damaged at its end")
	}
	for i := range sections {
		d := directory[i*sectionSize:]
		offset, length := binary.LittleEndian.Uint64(d), binary.LittleEndian.Uint64(d[8:])
		if length > maxSection || offset > uint64(db.size) || length > uint64(db.size)-offset {
			return sections, errDamaged
		}
		sections[i] = make([]byte, length)
		if err := db.readAt(sections[i], int64(offset)); err != nil {
			return sections, err
		}
		if checksum(sections[i]) != binary.LittleEndian.Uint32(d[16:]) {
			return sections, errDamaged
		}
	}
	return sections, nil
}

func (db *DB) describe(b []byte) error {
	d := &decoder{s: string(b)}
	db.generation = d.generation()
	db.generation.Schema = Schema
	db.ecosystems = d.strings()
	if d.err != nil || len(d.s) != 0 || !slices.IsSorted(db.ecosystems) {
		return errDamaged
	}
	db.known = make(map[string]bool, len(db.ecosystems))
	for _, e := range db.ecosystems {
		db.known[e] = true
	}
	return nil
}

func (db *DB) readAt(b []byte, offset int64) error {
	_, err := db.src.ReadAt(b, offset)
	if errors.Is(err, io.EOF) {
		err = errDamaged
	}
	return err
}

// readBlock returns a block, from memory if it can.
func (db *DB) readBlock(p place) (*block, error) {
	if b, ok := db.blocks.get(p.offset); ok {
		return b, nil
	}
	b, err := db.unpack(p)
	if err != nil {
		return nil, err
	}
	db.blocks.put(p.offset, b, len(b.data)+4*cap(b.starts))
	return b, nil
}

// unpack reads, checks and decompresses a block.
func (db *DB) unpack(p place) (*block, error) {
	if p.offset > uint64(db.size) || uint64(p.packed) > uint64(db.size)-p.offset {
		return nil, errDamaged
	}
	packed := make([]byte, p.packed)
	if err := db.readAt(packed, int64(p.offset)); err != nil {
		return nil, err
	}
	if checksum(packed) != p.sum {
		return nil, errDamaged
	}
	data, err := db.dec.DecodeAll(packed, make([]byte, 0, p.size))
	if err != nil || len(data) != int(p.size) {
		return nil, errDamaged
	}
	return parseBlock(data)
}

// Close releases the file. No method may be called afterwards.
func (db *DB) Close() error {
	if db.dec != nil {
		db.dec.Close()
	}
	if db.file == nil {
		return nil
	}
	return db.file.Close()
}

// Generation describes the open generation. Its ID is the SHA-256 of the file
// up to where that sum is stored; URL and Fetched of the sources are not in the
// file (see feed.Status).
func (db *DB) Generation() plimsoll.Generation {
	g := db.generation
	g.Sources = slices.Clone(g.Sources)
	return g
}

// Ecosystems returns the ecosystems that have records, in OSV's spelling with
// their release, sorted.
func (db *DB) Ecosystems() []string { return slices.Clone(db.ecosystems) }

// Affected returns all records about a package, sorted by advisory and
// vulnerability; nil when there is none. The name must be in the form of
// plimsoll.NormalizeName. The error has CodeCorrupt or CodeUnreadable.
func (db *DB) Affected(ecosystem, name string) ([]plimsoll.Affected, error) {
	if !db.known[ecosystem] || !db.filter.has(hashParts(ecosystem, name)) {
		return nil, nil
	}
	key := packageKey(ecosystem, name)
	if rows, ok := db.rows.get(key); ok {
		return rows, nil
	}
	value, err := db.tables[tablePackages].find([]byte(key))
	if err != nil {
		return nil, readError("look up package", db.hint, err)
	}
	if value == nil {
		return nil, nil
	}
	rows, size, err := decodePackage(key[:len(ecosystem)], key[len(ecosystem)+1:], value)
	if err != nil {
		return nil, readError("look up package", db.hint, err)
	}
	db.rows.put(key, rows, size)
	return rows, nil
}

// Vulnerability returns the merged view of a flaw by its canonical or any other
// ID, also that of an advisory about this flaw alone. An advisory about several
// flaws has a view of its own. The error has CodeNotFound when nothing is known.
func (db *DB) Vulnerability(id string) (plimsoll.Vulnerability, error) {
	const op = "look up vulnerability"
	canonical, value, err := db.flaw(id)
	if err != nil {
		return plimsoll.Vulnerability{}, readError(op, db.hint, err)
	}
	if value == nil {
		return plimsoll.Vulnerability{}, plimsoll.Errorf(plimsoll.CodeNotFound, op, "no advisory is about %q", id)
	}
	d := &decoder{s: string(value)}
	v := d.vulnerability()
	if d.err != nil || v.ID != canonical {
		return plimsoll.Vulnerability{}, readError(op, db.hint, errDamaged)
	}
	return v, nil
}

// Advisory returns one published record, withdrawn ones too. The error has
// CodeNotFound when there is none.
func (db *DB) Advisory(id string) (plimsoll.Advisory, error) {
	const op = "look up advisory"
	canonical, err := db.canonical(id)
	var value []byte
	if err == nil {
		value, err = db.tables[tableFlaws].find([]byte(canonical + "\x00" + id))
	}
	if err != nil {
		return plimsoll.Advisory{}, readError(op, db.hint, err)
	}
	if value == nil {
		return plimsoll.Advisory{}, plimsoll.Errorf(plimsoll.CodeNotFound, op, "there is no advisory %q", id)
	}
	d := &decoder{s: string(value)}
	a := d.advisory()
	if d.err != nil || a.ID != id {
		return plimsoll.Advisory{}, readError(op, db.hint, errDamaged)
	}
	return a, nil
}

// flaw returns the canonical ID of id and its encoded view. Most questions
// come with the canonical ID, so that is tried first.
func (db *DB) flaw(id string) (canonical string, value []byte, err error) {
	value, err = db.tables[tableFlaws].find([]byte(id + "\x00"))
	if value != nil || err != nil {
		return id, value, err
	}
	canonical, err = db.canonical(id)
	if err != nil || canonical == id {
		return id, nil, err
	}
	value, err = db.tables[tableFlaws].find([]byte(canonical + "\x00"))
	return canonical, value, err
}

// canonical returns the ID under which id is filed, id itself by default.
func (db *DB) canonical(id string) (string, error) {
	value, err := db.tables[tableNames].find([]byte(id))
	if err != nil || value == nil {
		return id, err
	}
	return string(value), nil
}

// Verify reads everything and checks it: the SHA-256, every block, every value,
// and that each package is where the filter and the index say. The error has
// CodeCorrupt, or is that of ctx.
func (db *DB) Verify(ctx context.Context) error {
	const op = "verify advisories"
	if err := db.verifySum(ctx); err != nil {
		return readError(op, db.hint, err)
	}
	ecosystems := map[string]bool{}
	err := db.walk(ctx, tablePackages, func(key string, value []byte) error {
		ecosystem, name := cutPackageKey(key)
		ecosystems[ecosystem] = true
		if !db.known[ecosystem] || !db.filter.has(hashParts(ecosystem, name)) {
			return errDamaged
		}
		_, _, err := decodePackage(ecosystem, name, value)
		return err
	})
	if err == nil && len(ecosystems) != len(db.ecosystems) {
		err = errDamaged
	}
	if err == nil {
		err = db.walk(ctx, tableFlaws, verifyFlaw)
	}
	if err == nil {
		err = db.walk(ctx, tableNames, func(string, []byte) error { return nil })
	}
	if err != nil {
		return readError(op, db.hint, err)
	}
	return nil
}

func verifyFlaw(key string, value []byte) error {
	d := &decoder{s: string(value)}
	flaw, advisory, _ := strings.Cut(key, "\x00")
	if advisory == "" {
		if d.vulnerability().ID != flaw {
			return errDamaged
		}
	} else if d.advisory().ID != advisory {
		return errDamaged
	}
	if len(d.s) != 0 {
		return errDamaged
	}
	return d.err
}

// walk visits a table without filling the cache.
func (db *DB) walk(ctx context.Context, table int, visit func(key string, value []byte) error) error {
	t := tableReader{root: db.tables[table].root, read: db.unpack}
	return t.walk(func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return visit(string(key), value)
	})
}

func (db *DB) verifySum(ctx context.Context) error {
	sum := sha256.New()
	r := io.NewSectionReader(db.src, 0, db.size-40)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := io.CopyN(sum, r, 1<<20)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if hex.EncodeToString(sum.Sum(nil)) != db.generation.ID.Hex() {
		return errDamaged
	}
	return nil
}

// readError gives the error of a read its code; hint helps when what was read is
// damaged.
func readError(op, hint string, err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, errDamaged), errors.Is(err, errMalformed):
		return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: op, Err: err, Hint: hint}
	}
	var e *plimsoll.Error
	if errors.As(err, &e) {
		return err
	}
	return fileError(op, err)
}

// fileError gives the error of a file its code.
func fileError(op string, err error) error {
	code := plimsoll.CodeUnreadable
	if errors.Is(err, fs.ErrNotExist) {
		code = plimsoll.CodeNotFound
	}
	return &plimsoll.Error{Code: code, Op: op, Err: err}
}
