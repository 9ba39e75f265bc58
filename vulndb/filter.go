package vulndb

// filter is a Bloom filter over the keys of the package table. Most packages of
// an image have no advisory; the filter says so from memory in some tens of
// nanoseconds and is wrong for about one in two hundred, which then costs a
// look into a block.
type filter []byte

const (
	filterBitsPerKey = 12
	filterProbes     = 8
)

func newFilter(keys int) filter {
	return make(filter, max(8, (keys*filterBitsPerKey+7)/8))
}

func (f filter) add(hash uint64) {
	bits := uint64(len(f)) * 8
	step := hash>>32 | 1
	for range filterProbes {
		bit := hash % bits
		f[bit/8] |= 1 << (bit % 8)
		hash += step
	}
}

// has says whether the key may be there; an empty filter knows nothing.
func (f filter) has(hash uint64) bool {
	bits := uint64(len(f)) * 8
	if bits == 0 {
		return true
	}
	step := hash>>32 | 1
	for range filterProbes {
		bit := hash % bits
		if f[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
		hash += step
	}
	return true
}

// hashParts hashes ecosystem, NUL and name without joining them: FNV-1a with
// the finish of MurmurHash3, because FNV alone spreads the upper bits badly.
// It is part of the format.
func hashParts(ecosystem, name string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := 0; i < len(ecosystem); i++ {
		h = (h ^ uint64(ecosystem[i])) * prime
	}
	h *= prime
	for i := 0; i < len(name); i++ {
		h = (h ^ uint64(name[i])) * prime
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
