package langpkg

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"io"

	"plimsoll"
)

// This reader of ZIP (APPNOTE.TXT 6.3.10) exists because a scan opens hundreds
// of archives with thousands of entries each and wants three of them.
// archive/zip makes a record of every entry and takes their number on trust;
// here a name is compared where it lies in the central directory, and numbers,
// lengths and offsets are checked against the file.

// Limits of one central directory: entries, and bytes, of which 46 and a name
// are an entry.
const (
	maxZipEntries   = 200_000
	maxZipDirectory = 32 << 20
)

var (
	errZip        = errors.New("not a readable zip archive")
	errZipEntries = errors.New("more entries than the limit of 200000, or more than 32 MiB of them")
	errZipSize    = errors.New("an entry is larger than its limit")
	errZipMethod  = errors.New("an entry is encrypted or compressed in an unknown way")
)

func zipError(op string, err error) error {
	var coded *plimsoll.Error
	switch {
	case errors.As(err, &coded):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	case errors.Is(err, errZipEntries), errors.Is(err, errZipSize), errors.Is(err, errBudget):
		return plimsoll.Errorf(plimsoll.CodeLimit, op, "%w", err)
	}
	return corrupt(op, "%w", err)
}

const (
	methodStored  = 0
	methodDeflate = 8
)

// zipEntry is a file of an archive as its central directory has it.
type zipEntry struct {
	name      string
	encrypted bool
	method    uint16
	packed    int64 // bytes in the archive
	size      int64 // bytes after inflating, as claimed
	header    int64 // offset of the local header
}

// walkZip calls fn for the files of the archive whose name want accepts, in the
// order of the central directory, and returns how many entries it has. The name
// given to want is valid during the call only. Bytes before the archive, as in
// self-executing ones, are skipped.
func walkZip(r io.ReaderAt, size int64, want func(name []byte) bool, fn func(zipEntry) error) (entries int, err error) {
	dir, base, err := centralDirectory(r, size)
	if err != nil {
		return 0, err
	}
	window := make([]byte, min(32<<10, dir.Size())) // most archives are small
	buf := window[:0]                               // what is left of it
	for {
		if len(buf) < zipDirHeader {
			if buf, err = fill(dir, &window, buf, zipDirHeader); err != nil {
				return entries, err
			}
		}
		switch {
		case len(buf) == 0, bytes.HasPrefix(buf, []byte("PK\x05\x05")): // a digital signature comes last
			return entries, nil
		case len(buf) < zipDirHeader, !bytes.HasPrefix(buf, []byte("PK\x01\x02")):
			return entries, errZip
		}
		if entries++; entries > maxZipEntries {
			return entries, errZipEntries
		}
		nameLen := int(binary.LittleEndian.Uint16(buf[28:]))
		extraLen := int(binary.LittleEndian.Uint16(buf[30:]))
		total := zipDirHeader + nameLen + extraLen + int(binary.LittleEndian.Uint16(buf[32:]))
		if len(buf) < total {
			if buf, err = fill(dir, &window, buf, total); err != nil {
				return entries, err
			}
			if len(buf) < total {
				return entries, errZip
			}
		}
		if name := buf[zipDirHeader : zipDirHeader+nameLen]; nameLen > 0 && name[nameLen-1] != '/' && want(name) {
			e := zipEntry{
				name:      string(name),
				encrypted: binary.LittleEndian.Uint16(buf[8:])&1 != 0,
				method:    binary.LittleEndian.Uint16(buf[10:]),
				packed:    int64(binary.LittleEndian.Uint32(buf[20:])),
				size:      int64(binary.LittleEndian.Uint32(buf[24:])),
				header:    int64(binary.LittleEndian.Uint32(buf[42:])),
			}
			e.widen(buf[zipDirHeader+nameLen : zipDirHeader+nameLen+extraLen])
			if e.header += base; e.packed < 0 || e.size < 0 || e.header < 0 || e.header > size || e.packed > size-e.header {
				return entries, errZip
			}
			if err := fn(e); err != nil {
				return entries, err
			}
		}
		buf = buf[total:]
	}
}

// fill moves the rest to the front of the window, which gets room for n bytes,
// and reads on. The end of r is no error.
func fill(r io.Reader, window *[]byte, rest []byte, n int) ([]byte, error) {
	if n > len(*window) {
		*window = make([]byte, n) // a header is at most 192 KiB
	}
	have := copy(*window, rest)
	got, err := io.ReadAtLeast(r, (*window)[have:], n-have)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return (*window)[:have+got], diskError(err)
}

// diskError tells a failing disk from a damaged archive.
func diskError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case err == nil:
		return nil
	case err == io.EOF, err == io.ErrUnexpectedEOF, errors.As(err, &corrupt):
		return errZip
	}
	return readError("read zip archive", err)
}

// widen reads the zip64 extra field: wide values for those that are saturated.
func (e *zipEntry) widen(extra []byte) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return
		}
		if id != 1 {
			extra = extra[n:]
			continue
		}
		field := extra[:n]
		for _, v := range [...]*int64{&e.size, &e.packed, &e.header} {
			if *v == 0xffffffff && len(field) >= 8 {
				*v = int64(binary.LittleEndian.Uint64(field))
				field = field[8:]
			}
		}
		return
	}
}

const (
	zipDirHeader = 46
	zipEndHeader = 22
	zipEnd64     = 56
)

// centralDirectory finds the central directory and how far the archive is
// moved within the file.
func centralDirectory(r io.ReaderAt, size int64) (dir *io.SectionReader, base int64, err error) {
	// The end record is last but for a comment of at most 64 KiB. Few archives
	// have one, so a small tail is tried first.
	for _, n := range [...]int64{1 << 10, 65536 + zipEndHeader} {
		n = min(n, size)
		tail := make([]byte, n)
		if m, err := r.ReadAt(tail, size-n); int64(m) < n && err != nil {
			return nil, 0, diskError(err)
		}
		for i := bytes.LastIndex(tail, []byte("PK\x05\x06")); i >= 0; i = bytes.LastIndex(tail[:i], []byte("PK\x05\x06")) {
			if len(tail)-i >= zipEndHeader {
				return directoryAt(r, size, size-n+int64(i), tail[i:])
			}
		}
	}
	return nil, 0, errZip
}

func directoryAt(r io.ReaderAt, size, end int64, record []byte) (*io.SectionReader, int64, error) {
	dirSize := int64(binary.LittleEndian.Uint32(record[12:]))
	dirOffset := int64(binary.LittleEndian.Uint32(record[16:]))
	if dirSize == 0xffffffff || dirOffset == 0xffffffff || binary.LittleEndian.Uint16(record[10:]) == 0xffff {
		var locator [20]byte
		_, err := r.ReadAt(locator[:], max(end-20, 0))
		if err != nil && err != io.EOF {
			return nil, 0, diskError(err)
		}
		if string(locator[:4]) == "PK\x06\x07" {
			at := int64(binary.LittleEndian.Uint64(locator[8:]))
			var wide [zipEnd64]byte
			// A prefix moves the wide record too; it then ends where its locator starts.
			for _, at := range [...]int64{at, end - 20 - zipEnd64} {
				if at < 0 || at > size-zipEnd64 {
					continue
				}
				if _, err := r.ReadAt(wide[:], at); err != nil {
					return nil, 0, diskError(err)
				}
				if string(wide[:4]) == "PK\x06\x06" {
					dirSize, dirOffset, end = int64(binary.LittleEndian.Uint64(wide[40:])), int64(binary.LittleEndian.Uint64(wide[48:])), at
					break
				}
			}
		}
	}
	if dirSize < 0 || dirOffset < 0 || dirSize > end || dirOffset > end-dirSize {
		return nil, 0, errZip
	}
	if dirSize > maxZipDirectory {
		return nil, 0, errZipEntries
	}
	base := end - dirSize - dirOffset
	// Some writers put something between directory and end record; the offset is
	// right then, as long as a directory starts there.
	if base > 0 && dirSize > 0 {
		var moved, plain [4]byte
		if _, err := r.ReadAt(moved[:], dirOffset+base); err != nil {
			return nil, 0, diskError(err)
		}
		if _, err := r.ReadAt(plain[:], dirOffset); err != nil {
			return nil, 0, diskError(err)
		}
		if string(moved[:]) != "PK\x01\x02" && string(plain[:]) == "PK\x01\x02" {
			base = 0
		}
	}
	return io.NewSectionReader(r, base+dirOffset, dirSize), base, nil
}

// raw returns where the entry's bytes are in the archive.
func (e zipEntry) raw(r io.ReaderAt, size int64) (*io.SectionReader, error) {
	var local [30]byte
	if e.encrypted {
		return nil, errZipMethod
	}
	if _, err := r.ReadAt(local[:], e.header); err != nil {
		return nil, diskError(err)
	}
	if string(local[:4]) != "PK\x03\x04" {
		return nil, errZip
	}
	start := e.header + 30 + int64(binary.LittleEndian.Uint16(local[26:])) + int64(binary.LittleEndian.Uint16(local[28:]))
	if start > size || e.packed > size-start {
		return nil, errZip
	}
	return io.NewSectionReader(r, start, e.packed), nil
}

// inflater keeps the 40 KiB of state that inflating needs, from entry to entry.
// The zero value is ready; it is for one goroutine.
type inflater struct{ r io.ReadCloser }

func (f *inflater) reset(r io.Reader) io.Reader {
	if f.r == nil {
		f.r = flate.NewReader(r)
	} else if err := f.r.(flate.Resetter).Reset(r, nil); err != nil {
		f.r = flate.NewReader(r)
	}
	return f.r
}

// open returns the entry's bytes, inflated by f. Only one can be open at a time.
func (e zipEntry) open(f *inflater, r io.ReaderAt, size int64) (io.Reader, error) {
	raw, err := e.raw(r, size)
	if err != nil {
		return nil, err
	}
	switch e.method {
	case methodStored:
		return raw, nil
	case methodDeflate:
		return f.reset(raw), nil
	}
	return nil, errZipMethod
}

// head inflates the beginning of the entry, at most limit bytes.
func (e zipEntry) head(f *inflater, r io.ReaderAt, size, limit int64) ([]byte, error) {
	in, err := e.open(f, r, size)
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(e.size, limit))
	n, err := io.ReadFull(in, b)
	return b[:n], diskError(err)
}

// content inflates the entry into memory. More than limit bytes are an error.
func (e zipEntry) content(f *inflater, r io.ReaderAt, size, limit int64) ([]byte, error) {
	if e.size > limit {
		return nil, errZipSize
	}
	in, err := e.open(f, r, size)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	// Deflate packs 1032 to 1 at most, so a small entry cannot claim much room.
	buf.Grow(int(min(e.size, e.packed*1032+64)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(in, limit+1))
	switch {
	case n > limit:
		return nil, errZipSize
	case err != nil:
		return nil, diskError(err)
	}
	return buf.Bytes(), nil
}
