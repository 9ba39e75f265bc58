package ospkg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The tags that are read from a package header. Numbers: rpm, rpmtag.h.
const (
	tagName = iota
	tagVersion
	tagRelease
	tagEpoch
	tagVendor
	tagLicense
	tagArch
	tagSourceRPM
	tagModularityLabel
	tagSigPGP
	tagSigGPG
	tagDSAHeader
	tagRSAHeader
	tagFileStates
	tagDirIndexes
	tagBaseNames
	tagDirNames
	numTags
)

func tagOf(number uint32) int {
	switch number {
	case 259:
		return tagSigPGP
	case 262:
		return tagSigGPG
	case 267:
		return tagDSAHeader
	case 268:
		return tagRSAHeader
	case 1000:
		return tagName
	case 1001:
		return tagVersion
	case 1002:
		return tagRelease
	case 1003:
		return tagEpoch
	case 1011:
		return tagVendor
	case 1014:
		return tagLicense
	case 1022:
		return tagArch
	case 1029:
		return tagFileStates
	case 1044:
		return tagSourceRPM
	case 1116:
		return tagDirIndexes
	case 1117:
		return tagBaseNames
	case 1118:
		return tagDirNames
	case 5096:
		return tagModularityLabel
	}
	return -1
}

// The data types of header entries: rpm, rpmtag.h.
const (
	typeChar        = 1
	typeInt8        = 2
	typeInt32       = 4
	typeString      = 6
	typeBin         = 7
	typeStringArray = 8
	typeI18NString  = 9
)

const (
	// maxHeaderTags is rpm's own limit (header.c, hdrchkTags).
	maxHeaderTags = 0xffff
	headerEntry   = 16 // bytes: tag, type, offset, count
)

// rpmHeader is a package header as databases keep it: the number of entries
// and of data bytes, the entries, the data; all big-endian, without the lead
// and magic of a package file. It refers to the bytes it was parsed from.
type rpmHeader struct {
	data []byte
	tags [numTags]struct{ kind, offset, count uint32 } // count 0: absent
}

var errHeaderShort = errors.New("package header is shorter than it says")

// parseHeader checks the frame of a header; what it refers to is checked when
// it is read.
func parseHeader(blob []byte) (*rpmHeader, error) {
	if len(blob) < 8 {
		return nil, errHeaderShort
	}
	entries, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	if entries == 0 || entries > maxHeaderTags || size > maxHeader {
		return nil, fmt.Errorf("package header claims %d entries and %d bytes", entries, size)
	}
	index := blob[8:]
	if uint64(len(index)) < uint64(entries)*headerEntry+uint64(size) {
		return nil, errHeaderShort
	}
	h := &rpmHeader{data: index[entries*headerEntry:][:size]}
	for i := range entries {
		e := index[i*headerEntry:][:headerEntry]
		tag := tagOf(binary.BigEndian.Uint32(e))
		if tag < 0 {
			continue
		}
		t := &h.tags[tag]
		t.kind, t.offset, t.count = binary.BigEndian.Uint32(e[4:]), binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		if t.offset >= size {
			return nil, fmt.Errorf("package header refers to byte %d of %d", t.offset, size)
		}
	}
	return h, nil
}

// string returns the first string of a tag; empty when it has none.
func (h *rpmHeader) string(tag int) string {
	t := h.tags[tag]
	switch t.kind {
	case typeString, typeStringArray, typeI18NString:
	default:
		return ""
	}
	if t.count == 0 {
		return ""
	}
	s, _, _ := bytes.Cut(h.data[t.offset:], []byte{0})
	return text(s, maxField)
}

// uint32 returns the first number of a tag.
func (h *rpmHeader) uint32(tag int) (n uint32, ok bool) {
	b := h.array(tag, typeInt32, 4)
	if len(b) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// array returns the bytes of a tag with elements of the given width, cut to
// what is there.
func (h *rpmHeader) array(tag int, kind, width uint32) []byte {
	t := h.tags[tag]
	if t.kind != kind || t.count == 0 {
		return nil
	}
	b := h.data[t.offset:]
	if uint64(t.count)*uint64(width) < uint64(len(b)) {
		b = b[:t.count*width]
	}
	return b
}

// strings calls visit for each string of a tag until it returns false.
func (h *rpmHeader) strings(tag int, visit func(i uint32, s []byte) bool) {
	t := h.tags[tag]
	if t.kind != typeStringArray || t.count == 0 {
		return
	}
	rest := h.data[t.offset:]
	for i := range t.count {
		s, after, ok := bytes.Cut(rest, []byte{0})
		if !ok || !visit(i, s) {
			return
		}
		rest = after
	}
}

// files calls visit for each file that the package left on the system: rpm
// keeps names and directories apart and a state for each file.
func (h *rpmHeader) files(visit func(dir, base string)) {
	var dirs []string
	h.strings(tagDirNames, func(_ uint32, s []byte) bool {
		dirs = append(dirs, string(s))
		return true
	})
	indexes := h.array(tagDirIndexes, typeInt32, 4)
	states := h.array(tagFileStates, typeChar, 1)
	if states == nil {
		states = h.array(tagFileStates, typeInt8, 1)
	}
	h.strings(tagBaseNames, func(i uint32, s []byte) bool {
		if uint64(len(indexes)) < uint64(i)*4+4 {
			return false
		}
		dir := binary.BigEndian.Uint32(indexes[i*4:])
		if uint64(dir) >= uint64(len(dirs)) {
			return false
		}
		// 0 is installed, 3 on a shared disk; the others are replaced by
		// another package or were never written (rpmfiles.h, rpmfileState).
		if int(i) >= len(states) || states[i] == 0 || states[i] == 3 {
			visit(dirs[dir], string(s))
		}
		return true
	})
}
