package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/layerfs"
)

// Cached values are zstd-compressed CBOR. They come back from a disk that others
// may have touched, so decoding is bounded and any fault is a miss.
const (
	cacheFormat = 1 // raised when the encoding of cached values changes
	// maxCached bounds a decompressed value: the index and facts of the largest
	// layer that layerfs accepts stay below it.
	maxCached = 512 << 20
)

func cacheKey(kind string, id plimsoll.Digest, set string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", cacheFormat, set))
	return kind + "/" + id.Hex() + "-" + hex.EncodeToString(sum[:8])
}

// cachedFacts is the stored form of layerFacts.
type cachedFacts struct {
	Index []byte
	Facts layerFacts
}

func (s *Scanner) cachedLayer(diff plimsoll.Digest, set string) (*layerFacts, bool) {
	if s.Cache == nil || diff == "" {
		return nil, false
	}
	var stored cachedFacts
	if !s.load(cacheKey("layer", diff, set), &stored) {
		return nil, false
	}
	stored.Facts.index = new(layerfs.Index)
	if err := stored.Facts.index.UnmarshalBinary(stored.Index); err != nil {
		return nil, false
	}
	return &stored.Facts, true
}

func (s *Scanner) keepLayer(diff plimsoll.Digest, set string, facts *layerFacts) {
	if s.Cache == nil {
		return
	}
	index, err := facts.index.MarshalBinary()
	if err != nil {
		s.fault(err)
		return
	}
	s.store(cacheKey("layer", diff, set), cachedFacts{Index: index, Facts: *facts})
}

func (s *Scanner) cachedInventory(id plimsoll.Digest, set string) (inv plimsoll.Inventory, ok bool) {
	ok = s.Cache != nil && s.load(cacheKey("image", id, set), &inv) && inv.ImageID == id && inv.Analyzers == set
	return inv, ok
}

func (s *Scanner) keepInventory(inv plimsoll.Inventory) {
	if s.Cache != nil {
		s.store(cacheKey("image", inv.ImageID, inv.Analyzers), inv)
	}
}

func (s *Scanner) load(key string, v any) bool {
	packed, ok := s.Cache.Get(key)
	if !ok {
		return false
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxCached))
	if err != nil {
		return false
	}
	defer dec.Close()
	plain, err := dec.DecodeAll(packed, nil)
	if err != nil {
		return false
	}
	mode, err := cbor.DecOptions{MaxArrayElements: 8 << 20, MaxMapPairs: 1 << 20}.DecMode()
	return err == nil && mode.Unmarshal(plain, v) == nil
}

func (s *Scanner) store(key string, v any) {
	mode, err := cbor.EncOptions{Sort: cbor.SortCanonical, Time: cbor.TimeRFC3339Nano}.EncMode()
	if err != nil {
		s.fault(err)
		return
	}
	plain, err := mode.Marshal(v)
	if err != nil {
		s.fault(err)
		return
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		s.fault(err)
		return
	}
	defer enc.Close()
	if err := s.Cache.Put(key, enc.EncodeAll(plain, nil)); err != nil {
		s.fault(err)
	}
}

func (s *Scanner) fault(err error) {
	if s.CacheFault != nil {
		s.CacheFault(err)
	}
}
