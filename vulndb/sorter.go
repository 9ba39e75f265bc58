package vulndb

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// sorter sorts entries by key, then value, in bounded memory: what does not
// fit is spilled as sorted runs to temporary files without a name, which vanish
// with the process.
type sorter struct {
	dir  string
	most int // bytes held in memory

	buf   []byte // entries one after the other
	index []span
	runs  []*os.File
}

type span struct{ key, value, end uint32 } // where key and value start, where value ends

type pair struct{ key, value []byte }

func (a pair) compare(b pair) int {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c
	}
	return bytes.Compare(a.value, b.value)
}

// sorterMemory is what one sorter holds before it spills.
const sorterMemory = 24 << 20

// spillWindow keeps the memory of merging small: each run has a window.
const spillWindow = 128 << 10

func (s *sorter) add(key, value []byte) error {
	if len(s.buf) > 0 && len(s.buf)+len(key)+len(value)+12*len(s.index) > s.most {
		if err := s.spill(); err != nil {
			return err
		}
	}
	at := uint32(len(s.buf))
	s.buf = append(append(s.buf, key...), value...)
	s.index = append(s.index, span{at, at + uint32(len(key)), uint32(len(s.buf))})
	return nil
}

func (s *sorter) pair(p span) pair { return pair{s.buf[p.key:p.value], s.buf[p.value:p.end]} }

func (s *sorter) sort() {
	slices.SortFunc(s.index, func(a, b span) int { return s.pair(a).compare(s.pair(b)) })
}

func (s *sorter) spill() (err error) {
	s.sort()
	f, err := os.CreateTemp(s.dir, "sort-*.tmp")
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f)
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	enc, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(spillWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(enc, 64<<10)
	var head []byte
	for _, p := range s.index {
		head = binary.AppendUvarint(head[:0], uint64(p.value-p.key))
		head = binary.AppendUvarint(head, uint64(p.end-p.value))
		w.Write(head) // errors stay in w
		w.Write(s.buf[p.key:p.end])
	}
	s.buf, s.index = s.buf[:0], s.index[:0]
	return errors.Join(w.Flush(), enc.Close())
}

// all gives the entries in order; it can be asked again. Entries are valid
// until the next one is asked for.
func (s *sorter) all() iter.Seq2[pair, error] {
	if len(s.runs) == 0 {
		return func(yield func(pair, error) bool) {
			s.sort()
			for _, p := range s.index {
				if !yield(s.pair(p), nil) {
					return
				}
			}
		}
	}
	return func(yield func(pair, error) bool) {
		if err := s.merge(yield); err != nil {
			yield(pair{}, err)
		}
	}
}

func (s *sorter) merge(yield func(pair, error) bool) error {
	if len(s.index) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.buf, s.index = nil, nil
	var h runHeap
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return err
		}
		defer dec.Close()
		r := &run{r: bufio.NewReaderSize(dec, 32<<10)}
		if ok, err := r.next(); err != nil {
			return err
		} else if ok {
			h = append(h, r)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		if !yield(h[0].pair, nil) {
			return nil
		}
		ok, err := h[0].next()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&h, 0)
		} else {
			heap.Pop(&h)
		}
	}
	return nil
}

func (s *sorter) close() {
	for _, f := range s.runs {
		f.Close()
	}
	*s = sorter{}
}

// run is one spilled run and its current entry.
type run struct {
	r   *bufio.Reader
	buf []byte
	pair
}

func (r *run) next() (bool, error) {
	klen, err := binary.ReadUvarint(r.r)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	vlen, err := binary.ReadUvarint(r.r)
	if err != nil {
		return false, err
	}
	r.buf = slices.Grow(r.buf[:0], int(klen+vlen))[:klen+vlen]
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return false, err
	}
	r.pair = pair{r.buf[:klen], r.buf[klen:]}
	return true, nil
}

type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].compare(h[j].pair) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
