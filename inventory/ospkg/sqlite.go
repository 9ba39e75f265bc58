package ospkg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The table Packages of an SQLite 3 database, read page by page. Format:
// sqlite.org/fileformat2.html. A package database needs one full scan of one
// table, so there is no query language here, no index, no locking and no
// writing; that is little enough to be bounded and tested against hostile files.
const (
	sqliteMagic = "SQLite format 3\x00"
	// sqliteMaxDepth is that of SQLite itself (BTCURSOR_MAX_DEPTH).
	sqliteMaxDepth = 20

	sqliteTableInterior = 0x05
	sqliteTableLeaf     = 0x0d
)

type sqlite struct {
	f        io.ReaderAt
	wal      *wal // nil without one
	pageSize int64
	usable   int64 // bytes of a page without those reserved for extensions
	pages    uint32
	// budget counts page reads: each page has one place in one tree, so reading
	// more than there are means a loop or a shared page.
	budget uint32
	chain  []byte // buffer of one overflow page
	damage func(error)
}

// readPackages is the blobReader of SQLite, with the pages of w laid over those
// of the database.
func (w *wal) readPackages(f io.ReaderAt, size int64, visit func([]byte) error, damage func(error)) error {
	var head [100]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("read SQLite header: %w", err)
	}
	pageSize := sqlitePageSize(uint32(binary.BigEndian.Uint16(head[16:])))
	if pageSize == 0 {
		return errors.New("SQLite page size is no power of two from 512 to 65536")
	}
	db := &sqlite{f: newWindow(f), chain: make([]byte, pageSize), pageSize: pageSize, usable: pageSize - int64(head[20]), pages: uint32(size / pageSize), damage: damage}
	if db.usable < 480 { // the format's own minimum; the cell arithmetic needs it
		return errors.New("SQLite pages with too much reserved space")
	}
	if w != nil && w.pageSize == pageSize {
		db.wal, db.pages = w, w.dbPages
	}
	root, err := db.packagesRoot()
	if err != nil {
		return err
	}
	db.budget = db.pages
	return db.walk(root, 0, func(payload []byte) error {
		var column [2]sqliteValue // hnum, blob
		if n, err := parseRecord(payload, column[:]); err != nil || n < 2 {
			damage(errors.New("row of Packages without a header"))
			return nil
		}
		return visit(column[1].bytes)
	})
}

// sqlitePageSize returns the page size that a header names; 0 for an invalid one.
func sqlitePageSize(n uint32) int64 {
	if n == 1 {
		return 64 << 10
	}
	if n < 512 || n > 64<<10 || n&(n-1) != 0 {
		return 0
	}
	return int64(n)
}

// packagesRoot finds the table in the schema, whose tree begins at page 1.
func (db *sqlite) packagesRoot() (uint32, error) {
	var root uint32
	db.budget = db.pages
	err := db.walk(1, 0, func(payload []byte) error {
		var column [4]sqliteValue // type, name, tbl_name, rootpage
		if n, err := parseRecord(payload, column[:]); err != nil || n < 4 {
			return nil
		}
		if string(column[0].bytes) == "table" && string(column[1].bytes) == "Packages" {
			root = uint32(column[3].number)
		}
		return nil
	})
	if err == nil && root == 0 {
		err = errors.New("no table Packages")
	}
	return root, err
}

// read reads page n into buf. Page 1 is returned whole, with the file header.
func (db *sqlite) read(n uint32, buf []byte) error {
	if n == 0 || n > db.pages || db.budget == 0 {
		return fmt.Errorf("page %d is missing or shared", n)
	}
	db.budget--
	if db.wal != nil {
		if at, ok := db.wal.page[n]; ok {
			_, err := db.wal.f.ReadAt(buf, at)
			return err
		}
	}
	if _, err := db.f.ReadAt(buf, int64(n-1)*db.pageSize); err != nil {
		return fmt.Errorf("read page %d: %w", n, err)
	}
	return nil
}

// walk calls row with the payload of each row of the table tree at page n, in
// order. Damage costs the rows below it only. Errors come from row, or from a
// root that cannot be read.
func (db *sqlite) walk(n uint32, depth int, row func(payload []byte) error) error {
	page := make([]byte, db.pageSize)
	if err := db.read(n, page); err != nil {
		return err
	}
	head := page[:db.usable]
	if n == 1 {
		head = head[100:]
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	start := 8
	if kind == sqliteTableInterior {
		start = 12
	}
	if kind != sqliteTableInterior && kind != sqliteTableLeaf || start+2*cells > len(head) || depth == sqliteMaxDepth {
		return fmt.Errorf("page %d is no page of a table", n)
	}
	var payload []byte
	room := db.usable // cells do not overlap
	for i := range cells {
		at := int(binary.BigEndian.Uint16(head[start+2*i:]))
		if at+4 > int(db.usable) {
			db.damage(fmt.Errorf("page %d: cell %d lies outside", n, i))
			continue
		}
		cell := page[at:db.usable]
		if kind == sqliteTableInterior {
			if err := db.child(binary.BigEndian.Uint32(cell), depth, row); err != nil {
				return err
			}
			continue
		}
		var err error
		if payload, err = db.payload(cell, payload[:0], &room); err != nil {
			db.damage(fmt.Errorf("page %d: cell %d: %w", n, i, err))
			continue
		}
		if err := row(payload); err != nil {
			return err
		}
	}
	if kind == sqliteTableInterior {
		return db.child(binary.BigEndian.Uint32(head[8:]), depth, row)
	}
	return nil
}

// child walks a subtree and turns its own damage into a counted loss.
func (db *sqlite) child(n uint32, depth int, row func([]byte) error) error {
	var fromRow error
	err := db.walk(n, depth+1, func(payload []byte) error {
		fromRow = row(payload)
		return fromRow
	})
	if err != nil && fromRow == nil {
		db.damage(err)
	}
	return fromRow
}

// payload appends the content of a leaf cell to buf: the part within the page,
// which is taken off room, and the chain of overflow pages.
func (db *sqlite) payload(cell, buf []byte, room *int64) ([]byte, error) {
	size, n := varint(cell)
	_, m := varint(cell[n:]) // the row's number
	if n == 0 || m == 0 || size > maxHeader+64 {
		return buf, fmt.Errorf("row claims %d bytes", size)
	}
	cell = cell[n+m:]
	total, local := int64(size), int64(size)
	if most := db.usable - 35; total > most {
		least := (db.usable-12)*32/255 - 23
		local = least + (total-least)%(db.usable-4)
		if local > most {
			local = least
		}
	}
	if *room -= local; *room < 0 {
		return buf, errors.New("row overlaps others")
	}
	if local == total {
		if local > int64(len(cell)) {
			return buf, errors.New("row is cut")
		}
		return append(buf, cell[:local]...), nil
	}
	if local+4 > int64(len(cell)) {
		return buf, errors.New("row is cut")
	}
	buf = append(buf, cell[:local]...)
	next := binary.BigEndian.Uint32(cell[local:])
	page := db.chain
	for int64(len(buf)) < total {
		if err := db.read(next, page); err != nil {
			return buf, err
		}
		next = binary.BigEndian.Uint32(page)
		buf = append(buf, page[4:min(db.usable, 4+total-int64(len(buf)))]...)
	}
	return buf, nil
}

// sqliteValue is a column: a number, or the bytes of a text or blob.
type sqliteValue struct {
	number int64
	bytes  []byte
}

// parseRecord reads up to len(into) columns and returns how many there are of
// them. The bytes point into payload.
func parseRecord(payload []byte, into []sqliteValue) (int, error) {
	errCut := errors.New("record is cut")
	size, n := varint(payload)
	if n == 0 || size > uint64(len(payload)) || uint64(n) > size {
		return 0, errCut
	}
	types, body := payload[n:size], payload[size:]
	for i := range into {
		if len(types) == 0 {
			return i, nil
		}
		kind, n := varint(types)
		if n == 0 {
			return i, errCut
		}
		types = types[n:]
		length := uint64(0)
		switch {
		case kind >= 12:
			length = (kind - 12) / 2
		case kind <= 4:
			length = kind
		case kind == 5:
			length = 6
		case kind <= 7:
			length = 8
		}
		if length > uint64(len(body)) {
			return i, errCut
		}
		value := body[:length]
		body = body[length:]
		into[i] = sqliteValue{}
		if kind >= 12 {
			into[i].bytes = value
			continue
		}
		if kind == 9 {
			into[i].number = 1
		}
		for _, b := range value {
			into[i].number = into[i].number<<8 | int64(b)
		}
	}
	return len(into), nil
}

// varint reads SQLite's variable-length integer: up to eight bytes of seven
// bits, and a ninth of eight. n is 0 when b ends within it.
func varint(b []byte) (v uint64, n int) {
	for i, c := range b {
		if i == 8 {
			return v<<8 | uint64(c), 9
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
