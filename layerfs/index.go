package layerfs

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"plimsoll"
)

// Index is the immutable list of a layer's entries, compact enough to keep for
// every layer of a host: 16 bytes an entry and its name. The zero Index is that
// of an empty layer.
type Index struct {
	// nodes[0] is the root. The children of a directory lie together, in byte
	// order of their names, so that layers can be merged without hash tables.
	nodes     []node
	text      string // names and link targets
	redirects map[uint32]string
}

// node is one entry.
type node struct {
	name  uint32 // offset in text
	nlen  uint8
	kind  Kind
	flags uint8
	// a and b are: of a directory the number of its first child and how many; of
	// a symbolic link the offset and length of its target; of a file, a is for
	// the layer that made the index.
	a, b uint32
}

const (
	flagOpaque = 1 << iota
	flagRedirect
	flagMetacopy
	flagsKnown = flagOpaque | flagRedirect | flagMetacopy

	// Only while an index is being built, on directories:
	flagHides = 1 << 6 // a whiteout of the same name makes it opaque
	flagBased = 1 << 7 // the parent of a legacy layer has it, too
)

// dirNode is a directory while an index is being built. Its entries are laid
// out as those of an Index, with offsets into the directory's own text; a
// subdirectory's a is its place in subs.
type dirNode struct {
	text      []byte
	ents      []node
	subs      []*dirNode
	redirects map[int]string // of metacopied files, by place in ents
	flags     uint8
	redirect  string
	based     bool // the parent of a legacy layer has the directory, too
}

func (d *dirNode) name(i int) string { return string(d.raw(d.ents[i])) }

// raw returns an entry's name as part of the directory's text.
func (d *dirNode) raw(e node) []byte { return d.text[e.name : e.name+uint32(e.nlen)] }

// add appends an entry and returns its place.
func (d *dirNode) add(name string, kind Kind) int {
	d.ents = append(d.ents, node{name: uint32(len(d.text)), nlen: uint8(len(name)), kind: kind})
	d.text = append(d.text, name...)
	return len(d.ents) - 1
}

func (d *dirNode) setTarget(i int, target []byte) {
	d.ents[i].a, d.ents[i].b = uint32(len(d.text)), uint32(len(target))
	d.text = append(d.text, target...)
}

// sort brings the entries into byte order. It must precede every use of places.
func (d *dirNode) sort() {
	slices.SortFunc(d.ents, func(a, b node) int { return bytes.Compare(d.raw(a), d.raw(b)) })
}

// flatten turns sorted directories into an index and consumes them.
func flatten(root *dirNode) *Index {
	entries, text := 1, 0
	for stack := []*dirNode{root}; len(stack) > 0; {
		d := stack[len(stack)-1]
		stack = append(stack[:len(stack)-1], d.subs...)
		entries += len(d.ents)
		text += len(d.text)
	}
	x := &Index{nodes: make([]node, 1, entries)}
	x.nodes[0] = node{kind: KindDir}
	var b strings.Builder
	b.Grow(text)
	type open struct {
		id uint32
		d  *dirNode
	}
	queue := []open{{0, root}}
	for i := 0; i < len(queue); i++ {
		id, d := queue[i].id, queue[i].d
		queue[i].d = nil
		base, first := uint32(b.Len()), uint32(len(x.nodes))
		b.Write(d.text)
		n := &x.nodes[id]
		n.a, n.b, n.flags = first, uint32(len(d.ents)), d.flags
		if d.redirect != "" {
			x.setRedirect(id, d.redirect)
		}
		for j, e := range d.ents {
			e.name += base
			switch e.kind {
			case KindDir:
				queue = append(queue, open{first + uint32(j), d.subs[e.a]})
			case KindSymlink:
				e.a += base
			}
			x.nodes = append(x.nodes, e)
			if r := d.redirects[j]; r != "" {
				x.setRedirect(first+uint32(j), r)
			}
		}
		*d = dirNode{}
	}
	x.text = b.String()
	return x
}

func (x *Index) setRedirect(id uint32, to string) {
	if x.redirects == nil {
		x.redirects = make(map[uint32]string)
	}
	x.redirects[id] = to
	x.nodes[id].flags |= flagRedirect
}

// Len returns the number of entries, the root not counted.
func (x *Index) Len() int { return max(len(x.nodes)-1, 0) }

// Lookup returns the layer's own entry at path, by its literal name: no link is
// followed. The Entry's Layer is 0.
func (x *Index) Lookup(path string) (Entry, bool) {
	id, ok := x.find(path)
	if !ok {
		return Entry{}, false
	}
	return x.entry(id, path), true
}

// Walk calls fn for each entry but the root: a directory before what it holds,
// the names of a directory in byte order. It stops at fn's first error.
func (x *Index) Walk(fn func(Entry) error) error {
	if len(x.nodes) == 0 {
		return nil
	}
	return x.walk(0, "", fn)
}

func (x *Index) walk(dir uint32, prefix string, fn func(Entry) error) error {
	d := x.nodes[dir]
	for id := d.a; id < d.a+d.b; id++ {
		path := prefix + x.name(id)
		if err := fn(x.entry(id, path)); err != nil {
			return err
		}
		if x.nodes[id].kind == KindDir {
			if err := x.walk(id, path+"/", fn); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *Index) name(id uint32) string {
	n := &x.nodes[id]
	return x.text[n.name : n.name+uint32(n.nlen)]
}

func (x *Index) target(id uint32) string {
	n := &x.nodes[id]
	if n.kind != KindSymlink {
		return ""
	}
	return x.text[n.a : n.a+n.b]
}

func (x *Index) entry(id uint32, path string) Entry {
	n := &x.nodes[id]
	e := Entry{Path: path, Kind: n.kind, Target: x.target(id)}
	if n.flags != 0 {
		e.Opaque = n.flags&flagOpaque != 0
		e.Metacopy = n.flags&flagMetacopy != 0
		e.Redirect = x.redirects[id]
	}
	return e
}

// child returns the entry of a directory by its name.
func (x *Index) child(dir uint32, name string) (uint32, bool) {
	d := &x.nodes[dir]
	if d.kind != KindDir {
		return 0, false
	}
	lo, hi := d.a, d.a+d.b
	for lo < hi {
		mid := lo + (hi-lo)/2
		switch c := strings.Compare(x.name(mid), name); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0, false
}

func (x *Index) find(path string) (uint32, bool) {
	if len(x.nodes) == 0 {
		return 0, false
	}
	id, ok := uint32(0), true
	for path != "" && ok {
		var name string
		name, path, _ = strings.Cut(path, "/")
		id, ok = x.child(id, name)
	}
	return id, ok
}

// The encoding is a magic number, the number of nodes and the nodes in their
// order: a byte of kind and flags, the name, then what the kind needs. Numbers
// are varints, strings are preceded by their length. Offsets are not stored, so
// a decoded index cannot point anywhere.
const indexMagic = "plx1"

// MarshalBinary encodes the index. Equal indexes have equal encodings.
func (x *Index) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, len(indexMagic)+8+len(x.text)+4*len(x.nodes))
	b = append(b, indexMagic...)
	b = binary.AppendUvarint(b, uint64(len(x.nodes)))
	for i := range x.nodes {
		n := &x.nodes[i]
		b = append(b, byte(n.kind)|n.flags<<4, n.nlen)
		b = append(b, x.name(uint32(i))...)
		switch n.kind {
		case KindDir:
			b = binary.AppendUvarint(b, uint64(n.b))
		case KindSymlink:
			b = appendString(b, x.target(uint32(i)))
		}
		if n.flags&flagRedirect != 0 {
			b = appendString(b, x.redirects[uint32(i)])
		}
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// UnmarshalBinary decodes an index. The data may be hostile: it fails with
// CodeCorrupt on anything that MarshalBinary does not write and with CodeLimit
// beyond the limits of a layer. It does not keep data.
func (x *Index) UnmarshalBinary(data []byte) error {
	const op = "decode layer index"
	d := decoder{rest: data}
	if string(d.bytes(uint64(len(indexMagic)))) != indexMagic {
		return plimsoll.Errorf(plimsoll.CodeCorrupt, op, "wrong magic number")
	}
	count := d.uvarint()
	if count > maxEntries+1 {
		return limitError(op, "%d entries, at most %d are read", count, maxEntries)
	}
	if len(data) > maxText {
		return limitError(op, "%d bytes, at most %d are read", len(data), maxText)
	}
	if count > uint64(len(d.rest))/2 { // a node has at least two bytes
		return plimsoll.Errorf(plimsoll.CodeCorrupt, op, "fewer entries than announced")
	}
	y := Index{nodes: make([]node, 0, count)}
	var text strings.Builder
	next := uint64(1) // number of the first child of the next directory
	for id := uint64(0); id < count && !d.bad; id++ {
		tag := d.byte()
		n := node{kind: Kind(tag & 15), flags: tag >> 4, nlen: d.byte(), name: uint32(text.Len())}
		text.Write(d.bytes(uint64(n.nlen)))
		switch n.kind {
		case KindDir:
			size := d.uvarint()
			if size > count-next || n.flags&flagMetacopy != 0 {
				d.bad = true
				break
			}
			n.a, n.b = uint32(next), uint32(size)
			next += size
		case KindSymlink:
			n.a = uint32(text.Len())
			target := d.string()
			n.b = uint32(len(target))
			text.Write(target)
			d.bad = d.bad || n.flags != 0
		case KindFile:
			d.bad = d.bad || n.flags&flagOpaque != 0
		case KindWhiteout, KindOther:
			d.bad = d.bad || n.flags != 0
		default:
			d.bad = true
		}
		y.nodes = append(y.nodes, n)
		if n.flags&flagRedirect != 0 {
			to := string(d.string())
			d.bad = d.bad || !validRedirect(to)
			y.setRedirect(uint32(id), to)
		}
		d.bad = d.bad || n.flags&^flagsKnown != 0
	}
	y.text = strings.Clone(text.String()) // without the builder's spare room
	if d.bad || len(d.rest) > 0 || count > 0 && next != count || !y.ordered() {
		return plimsoll.Errorf(plimsoll.CodeCorrupt, op, "malformed entry")
	}
	*x = y
	return nil
}

// ordered checks what lookups rely on: the root, valid and strictly ascending
// names, no directory that holds itself, a bounded depth.
func (x *Index) ordered() bool {
	if len(x.nodes) == 0 {
		return true
	}
	if x.nodes[0].kind != KindDir || x.nodes[0].nlen != 0 {
		return false
	}
	depth, levelEnd := 0, uint32(1) // of the nodes up to levelEnd
	for i := range x.nodes {
		if uint32(i) == levelEnd {
			depth++
			// The children of a level end where those of its last directory do.
			levelEnd = x.nextLevel(levelEnd, uint32(len(x.nodes)))
		}
		n := &x.nodes[i]
		if n.kind != KindDir {
			continue
		}
		if n.b > 0 && (n.a <= uint32(i) || depth+1 > maxComponents) {
			return false
		}
		for c := n.a; c < n.a+n.b; c++ {
			if !validName(x.name(c)) || c > n.a && x.name(c-1) >= x.name(c) {
				return false
			}
		}
	}
	return true
}

// nextLevel returns the end of the level that begins at begin.
func (x *Index) nextLevel(begin, limit uint32) uint32 {
	for i := begin; i > 0; i-- { // the last directory above begin
		if n := &x.nodes[i-1]; n.kind == KindDir {
			return min(n.a+n.b, limit)
		}
	}
	return limit
}

// validName says whether name can be a path component.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName && !strings.ContainsAny(name, "/\x00")
}

// validRedirect says whether to is a redirect as overlayfs writes it: the name
// of a sibling, or a path from the root of the file system.
func validRedirect(to string) bool {
	if len(to) > maxTarget {
		return false
	}
	if !strings.HasPrefix(to, "/") {
		return validName(to)
	}
	components := strings.Split(to[1:], "/")
	return len(components) <= maxComponents && !slices.ContainsFunc(components, func(c string) bool { return !validName(c) })
}

// decoder takes bytes off rest; after a short read it is bad and gives zeros.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// string reads a link target or redirect.
func (d *decoder) string() []byte {
	b := d.bytes(d.uvarint())
	if len(b) > maxTarget {
		d.bad = true
	}
	return b
}
