package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/s2"

	"plimsoll"
	"plimsoll/layerfs"
)

// Cached values are CBOR, compressed by S2: a third larger than by the fastest
// zstd, and written in a quarter of its time. They come back from a disk that
// others may have touched, so decoding is bounded and any fault is a miss.
const (
	cacheFormat = 3 // raised when the encoding of cached values changes
	// maxCached bounds a decompressed value: the index and facts of the largest
	// layer that layerfs accepts stay below it.
	maxCached = 512 << 20
)

// cacheScope returns what cached values are good for: the analysers, and the
// store that vouches for the content. Who writes a store can put any files under
// any diff ID, and some stores belong to users of the host; their layers must
// not speak for those of another store. What comes from an archive was verified;
// what the administrator's own engine recorded is as good as the host itself.
func (s *Scanner) cacheScope(img plimsoll.Image, set string) string {
	if img.Engine == plimsoll.Archive || s.Vouched != nil && s.Vouched(img) {
		return set
	}
	// The store's name is a path of this host, which travels with the facts.
	return set + "\n" + plimsoll.DigestOf([]byte(string(img.Engine)+" "+img.Store)).Hex()
}

func cacheKey(kind string, id plimsoll.Digest, scope string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", cacheFormat, scope))
	return kind + "/" + id.Hex() + "-" + hex.EncodeToString(sum[:8])
}

// SharedKey returns the key under which the facts of a layer from a vouched
// store are kept: the same on every host with the same analysers.
func (s *Scanner) SharedKey(diff plimsoll.Digest) string {
	return cacheKey("layer", diff, s.AnalyzerSet())
}

// cachedFacts is the stored form of layerFacts. It says whose facts they are: a
// file of the cache may have been copied over another.
type cachedFacts struct {
	DiffID plimsoll.Digest
	Scope  string
	Index  []byte
	Facts  layerFacts
}

// unpackLayer decodes the facts of a layer. It says false when they are damaged,
// or those of another.
func unpackLayer(packed []byte, diff plimsoll.Digest, scope string) (*layerFacts, bool) {
	var stored cachedFacts
	if unpack(packed, maxCached, &stored) != nil || stored.DiffID != diff || stored.Scope != scope {
		return nil, false
	}
	stored.Facts.index = new(layerfs.Index)
	if err := stored.Facts.index.UnmarshalBinary(stored.Index); err != nil {
		return nil, false
	}
	return &stored.Facts, true
}

func (s *Scanner) keepLayer(key string, diff plimsoll.Digest, scope string, facts *layerFacts) {
	if s.Cache == nil {
		return
	}
	index, err := facts.index.MarshalBinary()
	if err != nil {
		s.fault(err)
		return
	}
	s.store(key, cachedFacts{DiffID: diff, Scope: scope, Index: index, Facts: *facts})
}

func (s *Scanner) cachedInventory(id plimsoll.Digest, set, scope string) (inv plimsoll.Inventory, ok bool) {
	ok = s.Cache != nil && s.load(cacheKey("image", id, scope), &inv) && inv.ImageID == id && inv.Analyzers == set
	return inv, ok
}

func (s *Scanner) keepInventory(inv plimsoll.Inventory, scope string) {
	if s.Cache != nil {
		s.store(cacheKey("image", inv.ImageID, scope), inv)
	}
}

func (s *Scanner) load(key string, v any) bool {
	packed, ok := s.Cache.Get(key)
	return ok && unpack(packed, maxCached, v) == nil
}

func (s *Scanner) store(key string, v any) {
	packed, err := pack(v)
	if err == nil {
		err = s.Cache.Put(key, packed)
	}
	if err != nil {
		s.fault(err)
	}
}

func pack(v any) ([]byte, error) {
	mode, err := cbor.EncOptions{Sort: cbor.SortCanonical, Time: cbor.TimeRFC3339Nano}.EncMode()
	if err != nil {
		return nil, err
	}
	plain, err := mode.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s2.Encode(nil, plain), nil
}

// unpack decodes what may be damaged or hostile, of at most limit bytes expanded.
func unpack(packed []byte, limit int, v any) error {
	if size, err := s2.DecodedLen(packed); err != nil || size > limit {
		return plimsoll.Errorf(plimsoll.CodeLimit, "decode", "%d bytes, at most %d are read: %w", size, limit, err)
	}
	plain, err := s2.Decode(nil, packed)
	if err != nil {
		return err
	}
	if n := items(plain); n > maxItems {
		return plimsoll.Errorf(plimsoll.CodeLimit, "decode", "%d values, at most %d are read", n, maxItems)
	}
	// Names in images are bytes, not always UTF-8.
	mode, err := cbor.DecOptions{MaxArrayElements: maxElements, MaxMapPairs: maxElements, UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		return err
	}
	return mode.Unmarshal(plain, v)
}

// What encoded values may hold: a byte can become a package of hundreds in memory.
// 250,000 packages, the most of an image, are 10 million values.
const (
	maxElements = 1 << 19 // of one list
	maxItems    = 1 << 24 // in all
)

// items counts the values in CBOR (RFC 8949, section 3) without decoding them. Of what
// is not well formed it counts some.
func items(b []byte) (n int) {
	for len(b) > 0 {
		n++
		major, size := b[0]>>5, uint64(b[0]&0x1f)
		b = b[1:]
		if 24 <= size && size < 28 {
			width := 1 << (size - 24)
			if len(b) < width {
				return n
			}
			size = 0
			for _, c := range b[:width] {
				size = size<<8 | uint64(c)
			}
			b = b[width:]
		}
		if size >= 28 { // pieces follow, as values of their own
			size = 0
		}
		if major == 2 || major == 3 { // the bytes of a string follow
			if size > uint64(len(b)) {
				return n
			}
			b = b[size:]
		}
	}
	return n
}

// maxInventory bounds an encoded inventory before compression, in bytes: 250,000
// packages with long names take some 100 MiB.
const maxInventory = 192 << 20

// Pack encodes an inventory for another process.
func Pack(inv plimsoll.Inventory) ([]byte, error) { return pack(inv) }

// Unpack decodes what Pack wrote. The data may be hostile: beyond 192 MiB it fails,
// and whatever it claims is still to be checked.
func Unpack(packed []byte) (inv plimsoll.Inventory, err error) {
	err = unpack(packed, maxInventory, &inv)
	return inv, err
}

func (s *Scanner) fault(err error) {
	if s.CacheFault != nil {
		s.CacheFault(err)
	}
}
