package vulndb

import (
	"encoding/binary"
	"hash/crc32"
)

// The file, all numbers little-endian:
//
//	magic (8) schema (4) zero (4)
//	dictionary of the package table, dictionary of the flaw table
//	blocks of the package table, then of the flaw table, then of the name table,
//	  each with its index blocks among them
//	root index of each table, filter, description
//	directory: offset (8), length (8) and CRC-32C (4) of each of these but the blocks,
//	  CRC-32C (4) of the directory
//	SHA-256 of everything before it (32), magic (8)
//
// Three tables map a key to a value:
//
//	packages  ecosystem NUL name → records about the package (affected.go)
//	flaws     canonical ID NUL → merged view; canonical ID NUL advisory ID → advisory
//	names     any other ID → canonical ID under which its flaw or advisory is found
//
// A table is a run of blocks: entries in key order, each key length, value
// length, key, value; compressed with zstd. An index block has the same form;
// its entries lead from the last key of a block to the block's place. The root
// index leads from the last keys of the index blocks to these.

// Schema is the version of the file format that this package reads and writes.
const Schema = 2

const (
	headMagic = "PLIMVDB\n"
	tailMagic = "\nPLIMEND"

	headSize      = 16
	sectionSize   = 20
	directorySize = sectionCount*sectionSize + 4
	tailSize      = directorySize + 32 + 8
)

// The sections in the order of the directory.
const (
	sectionPackageDict = iota
	sectionFlawDict
	sectionPackageRoot
	sectionFlawRoot
	sectionNameRoot
	sectionFilter
	sectionDescription
	sectionCount
)

// The tables.
const (
	tablePackages = iota
	tableFlaws
	tableNames
	tableCount
)

const (
	// packageBlockSize is the size of a block of packages before compression:
	// small, because a look-up decompresses one.
	packageBlockSize = 16 << 10
	// flawBlockSize is larger, because texts about a flaw repeat each other.
	flawBlockSize = 32 << 10
	// indexBlockSize holds some 400 places of blocks.
	indexBlockSize = 16 << 10
	// maxBlock bounds a block before compression. One value larger than a block
	// has a block to itself.
	maxBlock = 64 << 20
	// maxSection bounds what opening reads at once: dictionaries, roots, filter.
	maxSection = 64 << 20
	// maxKey bounds a key, and so the names and IDs in it.
	maxKey = 2 << 10
	// dictSize is the size of a dictionary.
	dictSize = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// place says where a block lies.
type place struct {
	offset       uint64
	packed, size uint32 // bytes in the file, bytes after decompression
	sum          uint32 // CRC-32C of the packed bytes
}

func (p place) append(b []byte) []byte {
	b = binary.AppendUvarint(b, p.offset)
	b = binary.AppendUvarint(b, uint64(p.packed))
	b = binary.AppendUvarint(b, uint64(p.size))
	return binary.LittleEndian.AppendUint32(b, p.sum)
}

func parsePlace(b []byte) (place, bool) {
	d := &decoder{s: string(b)}
	p := place{offset: d.uvarint()}
	packed, size := d.uvarint(), d.uvarint()
	if d.err != nil || len(d.s) != 4 || packed > maxBlock || size > maxBlock {
		return place{}, false
	}
	p.packed, p.size = uint32(packed), uint32(size)
	p.sum = binary.LittleEndian.Uint32([]byte(d.s))
	return p, true
}

// appendEntry adds an entry to a block.
func appendEntry(b []byte, key, value []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = append(b, key...)
	return append(b, value...)
}

// cutEntry takes the first entry off a block.
func cutEntry(b []byte) (key, value, rest []byte, ok bool) {
	klen, n := binary.Uvarint(b)
	if n <= 0 || klen > maxKey {
		return nil, nil, nil, false
	}
	vlen, m := binary.Uvarint(b[n:])
	b = b[n+max(m, 0):]
	if m <= 0 || klen > uint64(len(b)) || vlen > uint64(len(b))-klen {
		return nil, nil, nil, false
	}
	return b[:klen:klen], b[klen : klen+vlen : klen+vlen], b[klen+vlen:], true
}
