package ospkg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// The write-ahead log of an SQLite database holds the pages of transactions
// that were not yet copied into the database. rpm leaves an empty one behind,
// unless it was ended in the middle. Format: sqlite.org/fileformat2.html,
// section 4.
const (
	walSuffix = "-wal"
	walMagic  = 0x377f0682 // its last bit tells the byte order of the checksums
	walHeader = 32
	walFrame  = 24
)

// wal is the committed part of a write-ahead log.
type wal struct {
	f        io.ReaderAt
	closer   io.Closer
	pageSize int64
	dbPages  uint32           // of the database after the last transaction
	page     map[uint32]int64 // page number to offset of its newest content
}

func (w *wal) close() {
	if w != nil {
		w.closer.Close()
	}
}

// siblingWAL opens the log beside a database; nil when there is none, or
// nothing in it.
func siblingWAL(f inventory.File) (*wal, error) {
	if f.Sibling == nil {
		return nil, nil
	}
	file, err := f.Sibling(f.Path + walSuffix)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w, err := readWAL(file, file.Size)
	if w == nil {
		file.Close()
		return nil, err
	}
	w.f, w.closer = file, file
	return w, nil
}

// readWAL reads the log up to its last commit. Like SQLite it ends at the first
// frame whose salt or checksum does not fit: the rest is older or torn. It
// returns nil when nothing was committed.
func readWAL(f io.ReaderAt, size int64) (*wal, error) {
	if size < walHeader+walFrame {
		return nil, nil
	}
	if size > maxRPMDB {
		return nil, plimsoll.Errorf(plimsoll.CodeLimit, "read write-ahead log", "%d bytes are more than the limit of %d", size, maxRPMDB)
	}
	var head [walHeader]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	magic := binary.BigEndian.Uint32(head[:])
	pageSize := sqlitePageSize(binary.BigEndian.Uint32(head[8:]))
	if magic&^1 != walMagic || pageSize == 0 {
		return nil, errors.New("not a write-ahead log")
	}
	sum := walChecksum{order: binary.LittleEndian}
	if magic&1 != 0 {
		sum.order = binary.BigEndian
	}
	sum.add(head[:24])
	if !sum.equals(head[24:]) {
		return nil, nil
	}
	w := &wal{pageSize: pageSize}
	committed, pending := make(map[uint32]int64), make(map[uint32]int64)
	frame := make([]byte, walFrame+pageSize)
	for at := int64(walHeader); at+int64(len(frame)) <= size; at += int64(len(frame)) {
		if _, err := f.ReadAt(frame, at); err != nil {
			return nil, fmt.Errorf("read frame at %d: %w", at, err)
		}
		if string(frame[8:16]) != string(head[16:24]) { // salt
			break
		}
		sum.add(frame[:8])
		sum.add(frame[walFrame:])
		if !sum.equals(frame[16:]) {
			break
		}
		pending[binary.BigEndian.Uint32(frame)] = at + walFrame
		if pages := binary.BigEndian.Uint32(frame[4:]); pages != 0 {
			w.dbPages = pages
			for n, offset := range pending {
				committed[n] = offset
			}
			clear(pending)
		}
	}
	if w.dbPages == 0 || w.dbPages > maxRPMDB/512 {
		return nil, nil
	}
	w.page = committed
	return w, nil
}

// walChecksum is the running checksum of a write-ahead log.
type walChecksum struct {
	order binary.ByteOrder
	a, b  uint32
}

func (c *walChecksum) add(data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		c.a += c.order.Uint32(data) + c.b
		c.b += c.order.Uint32(data[4:]) + c.a
	}
}

func (c *walChecksum) equals(stored []byte) bool {
	return binary.BigEndian.Uint32(stored) == c.a && binary.BigEndian.Uint32(stored[4:]) == c.b
}

func walProblem(err error) plimsoll.Problem {
	return plimsoll.Problem{
		Code:   plimsoll.ProblemUnreadableFile,
		Detail: fmt.Sprintf("the write-ahead log of the rpm database was not read, so its last changes are missing: %v", err),
	}
}

// rpmWAL reports a write-ahead log that no database of the same layer takes in:
// its transactions are part of the system and cannot be read alone.
type rpmWAL struct{}

func (rpmWAL) Name() string { return "rpm-wal" }
func (rpmWAL) Version() int { return 1 }

func (rpmWAL) Wants(path string) inventory.Want {
	if dir, found := strings.CutSuffix(path, "/rpmdb.sqlite"+walSuffix); found {
		if _, ok := rpmRoot(dir); ok {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (rpmWAL) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	w, err := readWAL(f, f.Size)
	if w == nil || err != nil {
		return inventory.Facts{}, readError("read write-ahead log", err)
	}
	if f.Sibling != nil {
		if db, err := f.Sibling(strings.TrimSuffix(f.Path, walSuffix)); err == nil {
			return inventory.Facts{}, db.Close()
		}
	}
	err = errors.New("the layer does not hold the database itself")
	return inventory.Facts{Problems: []plimsoll.Problem{walProblem(err)}}, nil
}
