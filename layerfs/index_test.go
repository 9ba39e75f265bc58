package layerfs

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// checkIndex checks that an index survives its encoding and finds all it lists.
func checkIndex(t *testing.T, x *Index) {
	t.Helper()
	b, err := x.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var y Index
	if err := y.UnmarshalBinary(b); err != nil {
		t.Fatalf("decode: %v", err)
	}
	if diff := cmp.Diff(tree(x), tree(&y)); diff != "" {
		t.Fatal(diff)
	}
	again, _ := y.MarshalBinary()
	if !bytes.Equal(b, again) {
		t.Fatal("the encoding changes")
	}
	n := 0
	y.Walk(func(e Entry) error {
		n++
		if got, ok := y.Lookup(e.Path); !ok || got != e {
			t.Fatalf("lookup of %+v: %+v %v", e, got, ok)
		}
		return nil
	})
	if n != x.Len() || n != y.Len() {
		t.Fatalf("%d entries walked, Len is %d and %d", n, x.Len(), y.Len())
	}
}

func TestIndexRoundTrip(t *testing.T) {
	for _, lines := range [][]string{
		nil,
		{"a", "b/", "b/c", "b/d/", "b/d/e -> /x/y", "c gone", "d/ opaque", "d/x other", "e/ redirect /old/e", "f redirect g metacopy", "g metacopy"},
		{"/ opaque", "a/", "a/b/", "b/", "b/a/"},
	} {
		x := build(t, lines...)
		checkIndex(t, x)
		if len(lines) > 0 && lines[0] != "/ opaque" {
			if diff := cmp.Diff(lines, tree(x)); diff != "" {
				t.Error(diff)
			}
		}
	}
	checkIndex(t, new(Index))
}

func TestIndexHostile(t *testing.T) {
	valid, _ := build(t, "a/", "a/b -> c", "d redirect x metacopy").MarshalBinary()
	for cut := range valid {
		if err := new(Index).UnmarshalBinary(valid[:cut]); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
	enc := func(count byte, nodes string) []byte { return []byte(indexMagic + string(count) + nodes) }
	dir := func(name string, children byte) string {
		return string([]byte{byte(KindDir), byte(len(name))}) + name + string(children)
	}
	file := func(name string) string { return string([]byte{byte(KindFile), byte(len(name))}) + name }
	for name, b := range map[string][]byte{
		"names out of order":   enc(3, dir("", 2)+file("b")+file("a")),
		"a name twice":         enc(3, dir("", 2)+file("a")+file("a")),
		"a slash":              enc(2, dir("", 1)+file("a/b")),
		"dot dot":              enc(2, dir("", 1)+file("..")),
		"an empty name":        enc(2, dir("", 1)+file("")),
		"a root that is none":  enc(1, file("a")),
		"a directory in none":  enc(2, dir("", 0)+dir("a", 0)),
		"too many children":    enc(2, dir("", 2)+file("a")),
		"an unknown kind":      enc(2, dir("", 1)+"\x0f\x01a"),
		"an unknown flag":      enc(2, dir("", 1)+"\x82\x01a"),
		"an opaque file":       enc(2, dir("", 1)+"\x12\x01a"),
		"an escaping redirect": enc(2, dir("", 1)+"\x21\x01a\x00\x05/../x"),
		"bytes left over":      append(enc(1, dir("", 0)), 0),
		"count beyond data":    enc(120, dir("", 119)),
	} {
		if err := new(Index).UnmarshalBinary(b); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := append([]byte(indexMagic), 0xff, 0xff, 0xff, 0xff, 0x0f)
	if err := new(Index).UnmarshalBinary(huge); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("a huge count: %v", err)
	}
}

// TestIndexDepth: 255 nested directories are the most.
func TestIndexDepth(t *testing.T) {
	for depth, want := range map[int]plimsoll.Code{maxComponents: "", maxComponents + 1: plimsoll.CodeCorrupt} {
		var lines []string
		for i := range depth {
			lines = append(lines, strings.Repeat("d/", i+1))
		}
		b, _ := build(t, lines...).MarshalBinary()
		if err := new(Index).UnmarshalBinary(b); plimsoll.CodeOf(err) != want {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}

// TestIndexMemory holds the index of a large layer against its budget: 15 MB for
// 320,000 entries.
func TestIndexMemory(t *testing.T) {
	before := heap()
	root := new(dirNode)
	for i := range 3200 {
		at := root.add(fmt.Sprintf("directory-%05d", i), KindDir)
		root.ents[at].a = uint32(i)
		d := new(dirNode)
		for j := range 99 {
			d.add(fmt.Sprintf("some-file-name-%04d.js", j), KindFile)
		}
		root.subs = append(root.subs, d)
	}
	x := flatten(root)
	root = nil
	used := heap() - before
	t.Logf("%d entries in %d bytes, %.1f bytes an entry", x.Len(), used, float64(used)/float64(x.Len()))
	if x.Len() != 320_000 || used > 15<<20 {
		t.Errorf("%d entries take %d bytes", x.Len(), used)
	}
	runtime.KeepAlive(x)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func FuzzIndexUnmarshal(f *testing.F) {
	f.Add([]byte(indexMagic + "\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var x Index
		if err := x.UnmarshalBinary(b); err != nil {
			return
		}
		checkIndex(t, &x)
		s := NewStack(nil, []*Index{&x, &x})
		s.Walk(func(e Entry) error {
			s.Resolve(e.Path)
			s.Shown(0, e.Path)
			return nil
		})
	})
}
