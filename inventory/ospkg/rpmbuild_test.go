package ospkg

import (
	"encoding/binary"
	"sort"
)

// headerValue is a value of a package header under construction: a string, a
// []string, a []uint32 or a []byte.
type headerValue any

// signature is the value of a tag that holds an OpenPGP signature.
type signature []byte

// buildHeader writes a package header of the given tags (by rpm's numbers).
func buildHeader(tags map[uint32]headerValue) []byte {
	numbers := make([]uint32, 0, len(tags))
	for n := range tags {
		numbers = append(numbers, n)
	}
	sort.Slice(numbers, func(i, j int) bool { return numbers[i] < numbers[j] })
	var index, data []byte
	be := binary.BigEndian
	for _, n := range numbers {
		var kind, count uint32
		for len(data)%4 != 0 {
			data = append(data, 0)
		}
		offset := uint32(len(data))
		switch v := tags[n].(type) {
		case string:
			kind, count = typeString, 1
			data = append(append(data, v...), 0)
		case []string:
			kind, count = typeStringArray, uint32(len(v))
			for _, s := range v {
				data = append(append(data, s...), 0)
			}
		case []uint32:
			kind, count = typeInt32, uint32(len(v))
			for _, x := range v {
				data = be.AppendUint32(data, x)
			}
		case signature:
			kind, count = typeBin, uint32(len(v))
			data = append(data, v...)
		case []byte:
			kind, count = typeChar, uint32(len(v))
			data = append(data, v...)
		}
		for _, x := range []uint32{n, kind, offset, count} {
			index = be.AppendUint32(index, x)
		}
	}
	head := be.AppendUint32(nil, uint32(len(numbers)))
	head = be.AppendUint32(head, uint32(len(data)))
	return append(append(head, index...), data...)
}

// buildBDB writes a Berkeley DB hash file with the blobs as off-page values
// under the keys 1, 2, …, and under key 0 the four-byte counter that rpm keeps.
func buildBDB(order binary.ByteOrder, blobs [][]byte) []byte {
	const pageSize = 4096
	file := make([]byte, pageSize)
	page := func(kind byte) []byte {
		file = append(file, make([]byte, pageSize)...)
		p := file[len(file)-pageSize:]
		order.PutUint32(p[8:], uint32(len(file)/pageSize-1))
		p[25] = kind
		return p
	}
	type item struct{ key, value []byte }
	items := []item{{order4(order, 0), append([]byte{bdbItemInline}, order4(order, uint32(len(blobs)))...)}}
	for i, blob := range blobs {
		first := uint32(len(file) / pageSize)
		for rest := blob; ; {
			n := min(len(rest), pageSize-bdbPageHeader)
			p := page(bdbPageOverflow)
			copy(p[bdbPageHeader:], rest[:n])
			order.PutUint16(p[22:], uint16(n))
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
			order.PutUint32(p[16:], uint32(len(file)/pageSize))
		}
		value := append([]byte{bdbItemOffPage, 0, 0, 0}, order4(order, first)...)
		items = append(items, item{order4(order, uint32(i+1)), append(value, order4(order, uint32(len(blob)))...)})
	}
	const most = 100 // items a page
	for len(items) > 0 {
		p := page(bdbPageHash)
		end, n := pageSize, 0
		put := func(b []byte) {
			end -= len(b)
			copy(p[end:], b)
			order.PutUint16(p[bdbPageHeader+2*n:], uint16(end))
			n++
		}
		for _, it := range items[:min(most, len(items))] {
			put(append([]byte{bdbItemInline}, it.key...))
			put(it.value)
		}
		order.PutUint16(p[20:], uint16(n))
		order.PutUint16(p[22:], uint16(end))
		items = items[min(most, len(items)):]
	}
	order.PutUint32(file[12:], bdbHashMagic)
	order.PutUint32(file[16:], 9)
	order.PutUint32(file[20:], pageSize)
	file[25] = 8 // hash metadata
	order.PutUint32(file[32:], uint32(len(file)/pageSize-1))
	return file
}

func order4(order binary.ByteOrder, n uint32) []byte {
	b := make([]byte, 4)
	order.PutUint32(b, n)
	return b
}

// buildNDB writes an ndb file with the blobs as packages 1, 2, ….
func buildNDB(blobs [][]byte) []byte {
	le := binary.LittleEndian
	pages := (len(blobs)+2)*16/ndbPage + 1
	file := make([]byte, pages*ndbPage)
	copy(file, ndbMagic)
	le.PutUint32(file[12:], uint32(pages))
	for at := 32; at < len(file); at += 16 {
		copy(file[at:], ndbSlotMark)
	}
	for i, blob := range blobs {
		slot := file[32+16*i:]
		le.PutUint32(slot[4:], uint32(i+1))
		le.PutUint32(slot[8:], uint32(len(file)/ndbBlock))
		head := append([]byte(ndbBlobMark), make([]byte, 12)...)
		le.PutUint32(head[4:], uint32(i+1))
		le.PutUint32(head[12:], uint32(len(blob)))
		file = append(append(file, head...), blob...)
		file = append(file, make([]byte, ndbBlock-len(file)%ndbBlock)...)
	}
	return file
}
