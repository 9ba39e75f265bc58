package ospkg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Berkeley DB, hash access method, as rpm used it up to 4.15. Layout: db_page.h
// of Berkeley DB 4 to 5. Only what a read of all values needs: hash pages hold
// pairs of items, and an item beyond a quarter page is a chain of overflow
// pages. Pages are read once in their order on disk; buckets are not followed.
const (
	bdbHashMagic  = 0x061561
	bdbPageHeader = 26

	bdbPageHashUnsorted = 2
	bdbPageOverflow     = 7
	bdbPageHash         = 13

	bdbItemInline   = 1
	bdbItemOffPage  = 3
	bdbOffPageBytes = 12
)

type bdb struct {
	f        io.ReaderAt      // for the scan over all pages
	chain    io.ReaderAt      // the same file, for overflow pages
	order    binary.ByteOrder // that of the machine which wrote it
	pageSize int64
	pages    uint32 // on disk
	// budget counts overflow pages: each belongs to one value, so reading more
	// than there are means a loop or a shared chain.
	budget uint32
	page   []byte
	blob   []byte
}

// readBDB is the blobReader of Berkeley DB.
func readBDB(f io.ReaderAt, size int64, visit func([]byte) error, damage func(error)) error {
	var meta [72]byte
	if _, err := f.ReadAt(meta[:], 0); err != nil {
		return fmt.Errorf("read Berkeley DB metadata: %w", err)
	}
	db := &bdb{f: newWindow(f), chain: newWindow(f), order: binary.LittleEndian}
	if binary.BigEndian.Uint32(meta[12:]) == bdbHashMagic {
		db.order = binary.BigEndian
	} else if binary.LittleEndian.Uint32(meta[12:]) != bdbHashMagic {
		return errors.New("neither Berkeley DB hash, ndb nor SQLite")
	}
	db.pageSize = int64(db.order.Uint32(meta[20:]))
	if db.pageSize < 512 || db.pageSize > 64<<10 || db.pageSize&(db.pageSize-1) != 0 {
		return fmt.Errorf("page size %d of a Berkeley DB", db.pageSize)
	}
	if meta[24] != 0 {
		return errors.New("encrypted Berkeley DB")
	}
	db.pages = uint32(size / db.pageSize)
	db.budget = db.pages
	db.page = make([]byte, db.pageSize)
	last := db.order.Uint32(meta[32:])
	if last >= db.pages {
		damage(fmt.Errorf("file ends at page %d of %d", db.pages, last))
	}
	for n := uint32(1); n < db.pages && n <= last; n++ {
		// Most pages are overflow pages; their type is enough.
		var kind [1]byte
		if _, err := db.f.ReadAt(kind[:], int64(n)*db.pageSize+25); err != nil {
			return fmt.Errorf("read page %d: %w", n, err)
		}
		if kind[0] != bdbPageHash && kind[0] != bdbPageHashUnsorted {
			continue
		}
		if err := db.hashPage(n, visit, damage); err != nil {
			return err
		}
	}
	return nil
}

// hashPage visits the values of one page. Items grow from the end of the page,
// so an inline item ends where the one before begins.
func (db *bdb) hashPage(n uint32, visit func([]byte) error, damage func(error)) error {
	if _, err := db.f.ReadAt(db.page, int64(n)*db.pageSize); err != nil {
		return fmt.Errorf("read page %d: %w", n, err)
	}
	items := int(db.order.Uint16(db.page[20:]))
	if bdbPageHeader+2*items > len(db.page) {
		damage(fmt.Errorf("page %d claims %d items", n, items))
		return nil
	}
	offset := func(i int) int { return int(db.order.Uint16(db.page[bdbPageHeader+2*i:])) }
	lowest := len(db.page)
	for i := 1; i < items; i += 2 { // keys are even, values odd
		at, end := offset(i), offset(i-1)
		if at >= end || end > lowest {
			damage(fmt.Errorf("page %d: item %d is out of place", n, i))
			continue
		}
		lowest = at
		switch item := db.page[at:]; item[0] {
		case bdbItemInline:
			// The count of packages is kept in the same way, in 4 bytes.
			if end-at > 1+8 {
				if err := visit(db.page[at+1 : end]); err != nil {
					return err
				}
			}
		case bdbItemOffPage:
			if len(item) < bdbOffPageBytes {
				damage(fmt.Errorf("page %d: item %d is cut", n, i))
				continue
			}
			if err := db.overflow(db.order.Uint32(item[4:]), db.order.Uint32(item[8:])); err != nil {
				damage(err)
				continue
			}
			if err := visit(db.blob); err != nil {
				return err
			}
		}
	}
	return nil
}

// overflow reads the chain of pages from n into db.blob; size is what the item
// says of its length.
func (db *bdb) overflow(n, size uint32) error {
	if size > maxHeader {
		return fmt.Errorf("package header of %d bytes", size)
	}
	db.blob = db.blob[:0]
	var head [bdbPageHeader]byte
	for n != 0 {
		if n >= db.pages || db.budget == 0 {
			return fmt.Errorf("overflow page %d is missing or shared", n)
		}
		db.budget--
		start := int64(n) * db.pageSize
		if _, err := db.chain.ReadAt(head[:], start); err != nil {
			return fmt.Errorf("read page %d: %w", n, err)
		}
		length := int64(db.order.Uint16(head[22:]))
		if head[25] != bdbPageOverflow || length > db.pageSize-bdbPageHeader || len(db.blob)+int(length) > int(size) {
			return fmt.Errorf("page %d does not continue a package header", n)
		}
		old := len(db.blob)
		db.blob = append(db.blob, make([]byte, length)...)
		if _, err := db.chain.ReadAt(db.blob[old:], start+bdbPageHeader); err != nil {
			return fmt.Errorf("read page %d: %w", n, err)
		}
		n = db.order.Uint32(head[16:])
	}
	if len(db.blob) != int(size) {
		return fmt.Errorf("package header has %d of %d bytes", len(db.blob), size)
	}
	return nil
}
