package vulndb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// tableWriter writes one table. Keys must come in rising order.
type tableWriter struct {
	ctx       context.Context
	out       *output
	enc       *zstd.Encoder
	indexEnc  *zstd.Encoder
	blockSize int

	block, index, root  []byte
	last, packed, where []byte
}

// add appends an entry.
func (t *tableWriter) add(key, value []byte) error {
	if len(key) > maxKey || len(key)+len(value) > maxBlock-64 {
		return fmt.Errorf("entry %.80q of %d bytes is too large", key, len(value))
	}
	if len(t.block) > 0 && len(t.block)+len(key)+len(value) > t.blockSize {
		if err := t.flushBlock(); err != nil {
			return err
		}
	}
	t.block = appendEntry(t.block, key, value)
	t.last = append(t.last[:0], key...)
	return nil
}

func (t *tableWriter) flushBlock() error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	p, err := t.write(t.enc, t.block)
	if err != nil {
		return err
	}
	t.block = t.block[:0]
	t.where = p.append(t.where[:0])
	t.index = appendEntry(t.index, t.last, t.where)
	if len(t.index) < indexBlockSize {
		return nil
	}
	return t.flushIndex()
}

func (t *tableWriter) flushIndex() error {
	p, err := t.write(t.indexEnc, t.index)
	if err != nil {
		return err
	}
	t.index = t.index[:0]
	t.root = appendEntry(t.root, t.last, p.append(nil))
	return nil
}

func (t *tableWriter) write(enc *zstd.Encoder, b []byte) (place, error) {
	t.packed = enc.EncodeAll(b, t.packed[:0])
	p := place{offset: t.out.offset, packed: uint32(len(t.packed)), size: uint32(len(b)), sum: checksum(t.packed)}
	_, err := t.out.Write(t.packed)
	return p, err
}

// finish writes what is left and returns the root index.
func (t *tableWriter) finish() ([]byte, error) {
	if len(t.block) > 0 {
		if err := t.flushBlock(); err != nil {
			return nil, err
		}
	}
	if len(t.index) > 0 {
		if err := t.flushIndex(); err != nil {
			return nil, err
		}
	}
	return t.root, nil
}

var errDamaged = errors.New("the file is damaged")

// block is a decompressed block and where its entries start, so that a key is
// found by halving.
type block struct {
	data   []byte
	starts []uint32
}

// parseBlock checks the form and the order of a block's entries.
func parseBlock(data []byte) (*block, error) {
	b := &block{data: data}
	var before []byte
	for rest := data; len(rest) > 0; {
		b.starts = append(b.starts, uint32(len(data)-len(rest)))
		key, _, next, ok := cutEntry(rest)
		if !ok || (before != nil && bytes.Compare(before, key) >= 0) {
			return nil, errDamaged
		}
		before, rest = key, next
	}
	return b, nil
}

func (b *block) entry(i int) (key, value []byte) {
	key, value, _, _ = cutEntry(b.data[b.starts[i]:])
	return key, value
}

// seek returns the first entry whose key is not below key; nil when there is
// none.
func (b *block) seek(key []byte) (found, value []byte) {
	i := sort.Search(len(b.starts), func(i int) bool {
		k, _ := b.entry(i)
		return bytes.Compare(k, key) >= 0
	})
	if i == len(b.starts) {
		return nil, nil
	}
	return b.entry(i)
}

// tableReader looks keys up in one table.
type tableReader struct {
	root *block
	read func(place) (*block, error) // the result is shared
}

// find returns the value of key, nil when it is not there. The value is shared
// and must not be changed.
func (t *tableReader) find(key []byte) ([]byte, error) {
	b := t.root
	for range 2 { // from the root to an index block, from there to a block
		_, value := b.seek(key)
		if value == nil {
			return nil, nil
		}
		p, ok := parsePlace(value)
		if !ok {
			return nil, errDamaged
		}
		var err error
		if b, err = t.read(p); err != nil {
			return nil, err
		}
	}
	found, value := b.seek(key)
	if !bytes.Equal(found, key) {
		return nil, nil
	}
	return value, nil
}

// walk calls visit for each entry in key order and checks that order.
func (t *tableReader) walk(visit func(key, value []byte) error) error {
	var before []byte
	return t.walkBlock(t.root, 2, func(key, value []byte) error {
		if before != nil && bytes.Compare(before, key) >= 0 {
			return errDamaged
		}
		before = key
		return visit(key, value)
	})
}

// walkBlock walks b, depth levels of index above the entries. The last key
// below an index entry must be that entry's key, or a look-up would miss it.
func (t *tableReader) walkBlock(b *block, depth int, visit func(key, value []byte) error) error {
	for i := range b.starts {
		key, value := b.entry(i)
		if depth == 0 {
			if err := visit(key, value); err != nil {
				return err
			}
			continue
		}
		p, ok := parsePlace(value)
		if !ok {
			return errDamaged
		}
		below, err := t.read(p)
		if err != nil {
			return err
		}
		if n := len(below.starts); n == 0 {
			return errDamaged
		} else if last, _ := below.entry(n - 1); !bytes.Equal(last, key) {
			return errDamaged
		}
		if err := t.walkBlock(below, depth-1, visit); err != nil {
			return err
		}
	}
	return nil
}
