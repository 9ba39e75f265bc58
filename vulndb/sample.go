package vulndb

import (
	"container/heap"
	"slices"
)

// sample picks values for a dictionary: those with the smallest hashes, so that
// the choice depends on the values alone and not on their order.
type sample struct {
	heap sampleHeap // the largest hash on top
	size int
}

// maxSampleValue is how much of one value goes into a dictionary.
const maxSampleValue = 1 << 10

func (s *sample) add(value []byte) {
	value = value[:min(len(value), maxSampleValue)]
	hash := hashParts("", string(value))
	if s.size >= dictSize && hash >= s.heap[0].hash {
		return
	}
	if slices.ContainsFunc(s.heap, func(v sampled) bool { return v.hash == hash }) {
		return
	}
	heap.Push(&s.heap, sampled{hash, slices.Clone(value)})
	for s.size += len(value); s.size-len(s.heap[0].value) >= dictSize; {
		s.size -= len(heap.Pop(&s.heap).(sampled).value)
	}
}

// dictionary returns the chosen values, the last ones being the nearest to
// what is compressed.
func (s *sample) dictionary() []byte {
	slices.SortFunc(s.heap, func(a, b sampled) int {
		if a.hash < b.hash {
			return -1
		}
		return 1
	})
	var dict []byte
	for _, v := range s.heap {
		dict = append(dict, v.value...)
	}
	return dict[:min(len(dict), dictSize)]
}

type sampled struct {
	hash  uint64
	value []byte
}

type sampleHeap []sampled

func (h sampleHeap) Len() int           { return len(h) }
func (h sampleHeap) Less(i, j int) bool { return h[i].hash > h[j].hash }
func (h sampleHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sampleHeap) Push(x any)        { *h = append(*h, x.(sampled)) }
func (h *sampleHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
