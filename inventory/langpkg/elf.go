package langpkg

import (
	"bytes"
	"encoding/binary"
	"io"
)

// elfFile is what telling one kind of executable from another takes: the named
// sections. debug/elf reads and keeps much more, which is too slow for each of
// the thousands of shared libraries of an image.
type elfFile struct {
	sections []elfSection
	// headers says whether there are section headers at all; packers drop them.
	headers bool
	// cut says that the section headers, their names or a section that is looked
	// for lie beyond the end of the file.
	cut bool
	// end is where the last section or the section headers end.
	end int64
}

type elfSection struct {
	name         string // of those in elfNames; empty for others
	offset, size int64
}

// Limits of plausible files: a linker makes some forty sections, and per-function
// sections end with the object files.
const (
	maxElfSections = 4096
	maxElfHeader   = 256 // bytes of a section header; the format's own has 40 or 64
	maxElfNames    = 1 << 20
)

// noBits is SHT_NOBITS, the type of a section without content in the file.
const noBits = 8

// elfNames are the sections that are looked for.
var elfNames = [...]string{".go.buildinfo", ".note.go.buildid", ".gopclntab", ".dep-v0", ".rodata", ".data"}

// readElf reads the section headers; ok is false when the file is too damaged to
// have any. The error is one of reading.
func readElf(r io.ReaderAt, size int64, header []byte) (f elfFile, ok bool, err error) {
	if len(header) < 64 || string(header[:4]) != "\x7fELF" {
		return f, false, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if header[5] == 2 {
		order = binary.BigEndian
	}
	var shoff int64
	var shentsize, shnum, shstrndx int
	wide := header[4] == 2
	if wide {
		shoff = int64(order.Uint64(header[40:]))
		shentsize, shnum, shstrndx = int(order.Uint16(header[58:])), int(order.Uint16(header[60:])), int(order.Uint16(header[62:]))
	} else {
		shoff = int64(order.Uint32(header[32:]))
		shentsize, shnum, shstrndx = int(order.Uint16(header[46:])), int(order.Uint16(header[48:])), int(order.Uint16(header[50:]))
	}
	if shoff == 0 || shnum == 0 {
		return f, true, nil
	}
	minimum := 40
	if wide {
		minimum = 64
	}
	if shentsize < minimum || shentsize > maxElfHeader || shnum > maxElfSections || shstrndx >= shnum || shoff < 0 {
		return f, false, nil
	}
	if shoff > size-int64(shentsize*shnum) {
		f.cut = true
		return f, false, nil
	}
	table := make([]byte, shentsize*shnum)
	if _, err := r.ReadAt(table, shoff); err != nil {
		return f, false, notEOF(err)
	}
	at := func(i int) (name uint32, offset, length int64) {
		s := table[i*shentsize:]
		if wide {
			return order.Uint32(s), int64(order.Uint64(s[24:])), int64(order.Uint64(s[32:]))
		}
		return order.Uint32(s), int64(order.Uint32(s[16:])), int64(order.Uint32(s[20:]))
	}
	kind := func(i int) uint32 { return order.Uint32(table[i*shentsize+4:]) }
	_, offset, length := at(shstrndx)
	if length <= 0 || length > maxElfNames || offset < 0 {
		return f, false, nil
	}
	if offset > size-length {
		f.cut = true
		return f, false, nil
	}
	names := make([]byte, length)
	if _, err := r.ReadAt(names, offset); err != nil {
		return f, false, notEOF(err)
	}
	f.headers = true
	f.end = shoff + int64(len(table))
	for i := range shnum {
		name, offset, length := at(i)
		if kind(i) != noBits && offset >= 0 && length >= 0 && offset <= size-length {
			f.end = max(f.end, offset+length)
		}
		if int64(name) >= int64(len(names)) || offset < 0 || length <= 0 {
			continue
		}
		for _, want := range elfNames {
			rest := names[name:]
			if !bytes.HasPrefix(rest, []byte(want)) || len(rest) == len(want) || rest[len(want)] != 0 {
				continue
			}
			if offset > size-length {
				f.cut = f.cut || kind(i) != noBits
			} else {
				f.sections = append(f.sections, elfSection{name: want, offset: offset, size: length})
			}
		}
	}
	return f, true, nil
}

// notEOF drops the error of a file that is shorter than it was claimed to be.
func notEOF(err error) error {
	if err == nil || err == io.EOF {
		return nil
	}
	return readError("read executable", err)
}

func (f elfFile) section(name string) (elfSection, bool) {
	for _, s := range f.sections {
		if s.name == name {
			return s, true
		}
	}
	return elfSection{}, false
}
