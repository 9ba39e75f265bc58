package containerd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"plimsoll"
)

// This file reads bbolt databases, format version 2, in place: without the lock
// that the daemon holds for as long as it runs, without mapping and without a
// copy. A commit of bbolt writes only pages that the state before it does not
// use, and then one of the two meta pages. So what was read between two equal
// looks at the meta pages is one committed state, whole (see view).

// Limits of a database.
const (
	maxBoltPage  = 16 << 20  // bytes of one page with its overflow: the largest record
	maxBoltRead  = 256 << 20 // bytes looked at for one view, repetitions counted
	maxBoltDepth = 32        // pages from the root of a bucket to a leaf
	boltTries    = 8         // looks at a database that changes meanwhile
)

const (
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	pageHeader     = 16 // id, flags, count, overflow
	elementHeader  = 16 // of a branch or leaf element
	bucketHeader   = 16 // root page, sequence
	metaSize       = 64
	flagBranch     = 0x01
	flagLeaf       = 0x02
	leafFlagBucket = 0x01
)

var errChanged = errors.New("the database changed while it was read")

// meta is what a meta page says.
type meta struct {
	pageSize int64
	root     uint64 // page of the root bucket
	pages    uint64 // high water mark
	txid     uint64
}

// view calls fn with the root bucket of one committed state. It calls fn again
// when the state may have been overwritten meanwhile, so fn must start anew
// each time. What fn makes of a torn state, errors included, is dropped.
func view(r io.ReaderAt, fn func(root bucket, txid uint64) error) error {
	const op = "read bolt database"
	for range boltTries {
		m, err := readMeta(r)
		if err != nil {
			return err
		}
		db := &bolt{r: r, meta: m, budget: maxBoltRead}
		result := fn(bucket{db: db, root: m.root}, m.txid)
		again, err := readMeta(r)
		if err != nil {
			return err
		}
		if again.txid == m.txid {
			return result
		}
	}
	return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w %d times", errChanged, boltTries)
}

// readMeta returns the newer of the two meta pages.
func readMeta(r io.ReaderAt) (meta, error) {
	first, ok := metaAt(r, 0)
	// The size of the first page is needed to find the second one. If the first
	// is damaged, every size that bbolt allows is tried.
	if ok {
		if second, ok := metaAt(r, first.pageSize); ok && second.txid > first.txid && second.pageSize == first.pageSize {
			return second, nil
		}
		return first, nil
	}
	for size := int64(1 << 10); size <= 64<<10; size *= 2 {
		if second, ok := metaAt(r, size); ok && second.pageSize == size {
			return second, nil
		}
	}
	return meta{}, plimsoll.Errorf(plimsoll.CodeCorrupt, "read bolt database", "no valid meta page")
}

func metaAt(r io.ReaderAt, off int64) (meta, bool) {
	var page [pageHeader + metaSize]byte
	if _, err := r.ReadAt(page[:], off); err != nil {
		return meta{}, false
	}
	b := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:56])
	m := meta{
		pageSize: int64(binary.LittleEndian.Uint32(b[8:])),
		root:     binary.LittleEndian.Uint64(b[16:]),
		pages:    binary.LittleEndian.Uint64(b[40:]),
		txid:     binary.LittleEndian.Uint64(b[48:]),
	}
	return m, binary.LittleEndian.Uint32(b) == boltMagic && binary.LittleEndian.Uint32(b[4:]) == boltVersion &&
		binary.LittleEndian.Uint64(b[56:]) == sum.Sum64() && m.pageSize >= 1<<10 && m.pageSize <= 64<<10
}

// bolt is a database at one state.
type bolt struct {
	r io.ReaderAt
	meta
	budget int64 // bytes that may still be looked at
}

// spend ends walks through pages that contain each other.
func (db *bolt) spend(n int64) error {
	if db.budget -= n; db.budget < 0 {
		return plimsoll.Errorf(plimsoll.CodeLimit, "read bolt database", "more than %d bytes", maxBoltRead)
	}
	return nil
}

// page returns a page with its overflow.
func (db *bolt) page(id uint64) ([]byte, error) {
	if id < 2 || id >= db.pages || id > maxBoltPages {
		return nil, corruptBolt("page %d is outside of the file", id)
	}
	var head [pageHeader]byte
	off := int64(id) * db.pageSize
	if _, err := db.r.ReadAt(head[:], off); err != nil {
		return nil, corruptBolt("page %d: %w", id, err)
	}
	size := (1 + int64(binary.LittleEndian.Uint32(head[12:]))) * db.pageSize
	if size > maxBoltPage {
		return nil, plimsoll.Errorf(plimsoll.CodeLimit, "read bolt database", "page %d has %d bytes", id, size)
	}
	if err := db.spend(size); err != nil {
		return nil, err
	}
	// The claimed size is believed when the file has it.
	if _, err := db.r.ReadAt(head[:1], off+size-1); err != nil {
		return nil, corruptBolt("page %d ends after the file", id)
	}
	b := make([]byte, size)
	if _, err := db.r.ReadAt(b, off); err != nil {
		return nil, corruptBolt("page %d: %w", id, err)
	}
	return b, nil
}

// maxBoltPages keeps page offsets within an int64.
const maxBoltPages = 1 << 40

func corruptBolt(format string, args ...any) error {
	return plimsoll.Errorf(plimsoll.CodeCorrupt, "read bolt database", format, args...)
}

// bucket is a bucket: a tree of pages, or one page inside a value.
type bucket struct {
	db     *bolt
	root   uint64
	inline []byte
}

// each calls fn for the bucket's keys in order; sub is set for a bucket, value
// for anything else. It stops at fn's first error and returns it.
func (b bucket) each(fn func(key, value []byte, sub *bucket) error) error {
	return b.walk(nil, fn)
}

var errFound = errors.New("found")

// get returns the value at key, nil when there is none.
func (b bucket) get(key string) ([]byte, error) {
	var found []byte
	err := b.walk([]byte(key), func(k, v []byte, sub *bucket) error {
		if sub == nil {
			found = v
		}
		return errFound
	})
	if err == errFound {
		err = nil
	}
	return found, err
}

// sub returns the bucket at the end of a path of names. One that is missing is
// empty.
func (b bucket) sub(path ...string) (bucket, error) {
	for _, name := range path {
		next := bucket{}
		err := b.walk([]byte(name), func(_, _ []byte, sub *bucket) error {
			if sub != nil {
				next = *sub
			}
			return errFound
		})
		if err != nil && err != errFound {
			return bucket{}, err
		}
		b = next
	}
	return b, nil
}

// walk visits all elements, or only the one with the key when that is not nil.
func (b bucket) walk(key []byte, fn func(key, value []byte, sub *bucket) error) error {
	switch {
	case b.db == nil:
		return nil
	case b.inline != nil:
		if err := b.db.spend(int64(len(b.inline))); err != nil {
			return err
		}
		return b.walkPage(b.inline, key, fn, maxBoltDepth) // a leaf, never a branch
	}
	return b.walkTree(b.root, key, fn, 1)
}

func (b bucket) walkTree(id uint64, key []byte, fn func(key, value []byte, sub *bucket) error, depth int) error {
	if depth > maxBoltDepth {
		return corruptBolt("pages are nested deeper than %d", maxBoltDepth)
	}
	page, err := b.db.page(id)
	if err != nil {
		return err
	}
	return b.walkPage(page, key, fn, depth)
}

func (b bucket) walkPage(page, key []byte, fn func(key, value []byte, sub *bucket) error, depth int) error {
	if len(page) < pageHeader {
		return corruptBolt("a page has %d bytes", len(page))
	}
	flags := binary.LittleEndian.Uint16(page[8:])
	count := int(binary.LittleEndian.Uint16(page[10:]))
	elements := page[pageHeader:]
	if len(elements) < count*elementHeader {
		return corruptBolt("a page has no room for its %d elements", count)
	}
	switch flags {
	case flagLeaf:
		for i := range count {
			if err := b.leaf(elements[i*elementHeader:], key, fn); err != nil {
				return err
			}
		}
	case flagBranch:
		for i := range count {
			if key != nil && i+1 < count {
				// The child holds keys below the next child's first key.
				next, err := cut(elements[(i+1)*elementHeader:], 0, 4, 0)
				if err != nil {
					return err
				}
				if bytes.Compare(key, next) >= 0 {
					continue
				}
			}
			id := binary.LittleEndian.Uint64(elements[i*elementHeader+8:])
			if err := b.walkTree(id, key, fn, depth+1); err != nil || key != nil {
				return err
			}
		}
	default:
		return corruptBolt("a page has flags %#x", flags)
	}
	return nil
}

func (b bucket) leaf(e, key []byte, fn func(key, value []byte, sub *bucket) error) error {
	k, err := cut(e, 4, 8, 0)
	if err != nil {
		return err
	}
	if key != nil && !bytes.Equal(k, key) {
		return nil
	}
	v, err := cut(e, 4, 12, len(k))
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(e)&leafFlagBucket == 0 {
		return fn(k, v, nil)
	}
	if len(v) < bucketHeader {
		return corruptBolt("bucket %q has %d bytes", k, len(v))
	}
	sub := bucket{db: b.db, root: binary.LittleEndian.Uint64(v)}
	if sub.root == 0 {
		sub.inline = v[bucketHeader:]
	}
	return fn(k, nil, &sub)
}

// cut returns the bytes that an element points to: the position is in its
// header at pos, the size at size, and skip bytes come first.
func cut(e []byte, pos, size, skip int) ([]byte, error) {
	from := uint64(binary.LittleEndian.Uint32(e[pos:])) + uint64(skip)
	n := uint64(binary.LittleEndian.Uint32(e[size:]))
	if from+n > uint64(len(e)) {
		return nil, fmt.Errorf("an element ends after its page: %w", corruptBolt("%d > %d", from+n, len(e)))
	}
	return e[from : from+n : from+n], nil
}
