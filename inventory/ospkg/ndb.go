package ospkg

import (
	"encoding/binary"
	"fmt"
	"io"
)

// ndb, rpm's own database format, which SUSE uses. Layout: rpm, rpmpkg.c. All
// little-endian. Slot pages at the beginning point to blobs in blocks of 16
// bytes; the first two slots are the file's header.
const (
	ndbMagic    = "RpmP"
	ndbPage     = 4096
	ndbBlock    = 16
	ndbSlotMark = "Slot"
	ndbBlobMark = "BlbS"
	// ndbMaxPages bounds the slots: 255 packages a page, more than maxPackages.
	ndbMaxPages = 1024
)

// readNDB is the blobReader of ndb.
func readNDB(f io.ReaderAt, size int64, visit func([]byte) error, damage func(error)) error {
	var head [32]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("read ndb header: %w", err)
	}
	if version := binary.LittleEndian.Uint32(head[4:]); version != 0 {
		return fmt.Errorf("ndb version %d", version)
	}
	pages := binary.LittleEndian.Uint32(head[12:])
	if pages == 0 || pages > ndbMaxPages {
		return fmt.Errorf("ndb with %d slot pages", pages)
	}
	// Blobs do not overlap: reading more bytes than the file has means that
	// slots share one.
	budget := size
	var page [ndbPage]byte
	var blob []byte
	for n := range int64(pages) {
		if _, err := f.ReadAt(page[:], n*ndbPage); err != nil {
			return fmt.Errorf("read slot page %d: %w", n, err)
		}
		slots := page[:]
		if n == 0 {
			slots = slots[len(head):]
		}
		for ; len(slots) > 0; slots = slots[16:] {
			if string(slots[:4]) != ndbSlotMark {
				return fmt.Errorf("slot page %d is damaged", n)
			}
			index := binary.LittleEndian.Uint32(slots[4:])
			if index == 0 {
				continue // free
			}
			at := int64(binary.LittleEndian.Uint32(slots[8:])) * ndbBlock
			var err error
			if blob, err = readNDBBlob(f, size, at, index, &budget, blob[:0]); err != nil {
				damage(err)
				continue
			}
			if err := visit(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

// readNDBBlob appends the blob of package index at offset at to buf.
func readNDBBlob(f io.ReaderAt, size, at int64, index uint32, budget *int64, buf []byte) ([]byte, error) {
	var head [16]byte
	if _, err := f.ReadAt(head[:], at); err != nil {
		return buf, fmt.Errorf("read package %d: %w", index, err)
	}
	length := int64(binary.LittleEndian.Uint32(head[12:]))
	if string(head[:4]) != ndbBlobMark || binary.LittleEndian.Uint32(head[4:]) != index {
		return buf, fmt.Errorf("package %d is not where its slot says", index)
	}
	if length > maxHeader || at+int64(len(head))+length > size || length > *budget {
		return buf, fmt.Errorf("package %d claims %d bytes", index, length)
	}
	*budget -= length
	if int64(cap(buf)) < length {
		buf = make([]byte, length)
	}
	buf = buf[:length]
	if _, err := f.ReadAt(buf, at+int64(len(head))); err != nil {
		return buf[:0], fmt.Errorf("read package %d: %w", index, err)
	}
	return buf, nil
}
