package inventory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"

	"plimsoll"
	"plimsoll/layerfs"
)

// FuzzUnpack decodes what a console or a disk may have damaged: an inventory and
// the facts of a layer. What is taken is the same when it is packed again.
func FuzzUnpack(f *testing.F) {
	diff := plimsoll.DigestOf([]byte("layer"))
	seed := func(v any) {
		packed, err := pack(v)
		if err != nil {
			f.Fatal(err)
		}
		plain, err := s2.Decode(nil, packed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	index, err := new(layerfs.Index).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	seed(plimsoll.Inventory{Analyzers: "a", Systems: []plimsoll.OS{{ID: "debian"}}, Packages: []plimsoll.Package{{Type: "npm", Name: "a", Version: "1", Path: "\xff"}}})
	seed(cachedFacts{DiffID: diff, Scope: "s", Index: index, Facts: layerFacts{Files: []fileFacts{{Path: "a", Analyzer: "b", Facts: Facts{Packages: []plimsoll.Package{{Name: "a"}}}}}}})
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // an array of 2^64 - 1
	f.Fuzz(func(t *testing.T, plain []byte) {
		packed := s2.Encode(nil, plain)
		if inv, err := Unpack(packed); err == nil {
			again, err := Pack(inv)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := Unpack(again); err != nil || !cmp.Equal(inv, same) {
				t.Errorf("%v: %s", err, cmp.Diff(inv, same))
			}
		}
		if facts, ok := unpackLayer(packed, diff, "s"); ok && facts.index == nil {
			t.Error("facts without an index")
		}
		unpackLayer(plain, diff, "s") // what is not even compressed
	})
}
