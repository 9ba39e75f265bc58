package layerfs

import (
	"archive/tar"
	"fmt"
	pathpkg "path"
	"slices"
	"strings"

	"plimsoll"
)

// tarTree is the tree that a tar's members make, one after the other, as an
// engine that unpacks them would.
type tarTree struct {
	bounds   bounds
	nodes    []tarNode // nodes[0] is the root; a parent precedes its children
	kids     map[kid]uint32
	files    []content // of the regular members, by number
	pending  []uint32  // hard links whose target has not come yet
	alive    []bool    // after finish: part of the layer
	text     int
	steps    int // path components followed
	problems problems
}

type kid struct {
	dir  uint32
	name string
}

// tarNode is one name. A kind of 0 with gone is a whiteout and nothing else.
type tarNode struct {
	dir      uint32
	depth    uint16
	name     string
	kind     Kind
	gone     bool   // a whiteout of the name: hides what lower layers have
	opaque   bool   // of a directory
	asked    bool   // the visitor was asked
	pending  bool   // a hard link whose target has not come yet
	metacopy bool   // a hard link to a file of a lower layer
	target   string // of a symbolic or pending hard link; of a metacopy, cleaned
	content  uint32 // of a file: its number
}

func newTarTree(b bounds) *tarTree {
	return &tarTree{bounds: b, nodes: []tarNode{{kind: KindDir}}, kids: make(map[kid]uint32)}
}

// add enters a member and returns its node, 0 for a member that makes none. The
// error is for the layer as a whole.
func (t *tarTree) add(hdr *tar.Header, offset int64) (uint32, error) {
	number := uint32(len(t.files))
	if isFile(hdr) {
		t.files = append(t.files, content{offset, hdr.Size, hdr.Mode})
	}
	name := clean(hdr.Name)
	if name == "" || hdr.Typeflag == tar.TypeXGlobalHeader {
		return 0, nil
	}
	if !t.fits(name) {
		return 0, nil
	}
	parent, base := split(name)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return 0, t.whiteout(parent, base)
	}
	n := tarNode{}
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		n.kind, n.content = KindFile, number
	case tar.TypeDir:
		n.kind = KindDir
	case tar.TypeSymlink:
		n.kind, n.target = KindSymlink, hdr.Linkname
		if len(n.target) > maxTarget {
			t.problems.add(plimsoll.ProblemLimit, name, fmt.Sprintf("the link's target is longer than %d bytes", maxTarget))
			n.target = ""
		}
	case tar.TypeLink:
		n.kind, n.target = KindFile, clean(hdr.Linkname)
	case tar.TypeChar:
		if hdr.Devmajor == 0 && hdr.Devminor == 0 { // unpacked, overlayfs takes it for a whiteout
			return 0, t.whiteout(parent, whiteoutPrefix+base)
		}
		n.kind = KindOther
	case tar.TypeBlock, tar.TypeFifo:
		n.kind = KindOther
	default:
		return 0, nil // no file system object
	}
	dir, ok, err := t.mkdir(parent)
	if err != nil || !ok {
		return 0, err
	}
	if hdr.Typeflag == tar.TypeLink && !t.link(&n) {
		if target, ok := t.lookup(n.target); ok && t.nodes[target].kind != 0 {
			t.problems.add(plimsoll.ProblemCorruptFile, name, "a hard link to a directory")
			return 0, nil
		}
		n.pending = true
		id, err := t.put(dir, base, n)
		t.pending = append(t.pending, id)
		return id, err
	}
	return t.put(dir, base, n)
}

// clean makes a member's name relative to the root; ".." cannot leave it.
func clean(name string) string { return pathpkg.Clean("/" + name)[1:] }

// fits says whether a cleaned name is within the limits of Linux.
func (t *tarTree) fits(name string) bool {
	depth := 0
	for component := range strings.SplitSeq(name, "/") {
		depth++
		if !validName(component) {
			t.problems.add(plimsoll.ProblemLimit, name[:min(len(name), maxTarget)], fmt.Sprintf("a name longer than %d bytes or with a zero byte", maxName))
			return false
		}
	}
	if depth > t.bounds.components {
		t.problems.add(plimsoll.ProblemLimit, name[:min(len(name), maxTarget)], fmt.Sprintf("nested more than %d deep", t.bounds.components))
		return false
	}
	return true
}

// whiteout enters a name with the prefix of whiteouts. Those that name nothing
// removable, and aufs's own records, are ignored.
func (t *tarTree) whiteout(parent, base string) error {
	gone, ok := whiteoutOf(base)
	if !ok && base != whiteoutOpaque {
		return nil
	}
	dir, made, err := t.mkdir(parent)
	if err != nil || !made {
		return err
	}
	if base == whiteoutOpaque {
		t.nodes[dir].opaque = true
		return nil
	}
	if id, ok := t.kids[kid{dir, gone}]; ok {
		t.nodes[id].gone = true
		return nil
	}
	_, err = t.put(dir, gone, tarNode{gone: true})
	return err
}

// put enters n under a directory. It replaces what the name stood for, except
// that a directory stays one and a whiteout of the name is not forgotten.
func (t *tarTree) put(dir uint32, name string, n tarNode) (uint32, error) {
	key := kid{dir, name}
	if old, ok := t.kids[key]; ok {
		o := &t.nodes[old]
		if n.kind == KindDir && o.kind == KindDir {
			return old, nil
		}
		if o.kind == 0 { // a whiteout, which becomes more
			n.dir, n.depth, n.name, n.gone = o.dir, o.depth, o.name, true
			*o = n
			return old, nil
		}
		n.gone = n.gone || o.gone
	}
	if len(t.nodes) > t.bounds.entries {
		return 0, limitError("scan layer", "more than %d names", t.bounds.entries)
	}
	if t.text += len(name) + len(n.target); t.text > t.bounds.text {
		return 0, limitError("scan layer", "more than %d bytes of names", t.bounds.text)
	}
	n.dir, n.depth, n.name = dir, t.nodes[dir].depth+1, strings.Clone(name)
	key.name = n.name
	id := uint32(len(t.nodes))
	t.nodes = append(t.nodes, n)
	t.kids[key] = id
	return id, nil
}

// mkdir returns the directory at a cleaned path and makes what is missing of
// it. It follows links of this layer; it is not ok where they go in circles or
// too deep, which becomes a problem.
func (t *tarTree) mkdir(path string) (dir uint32, ok bool, err error) {
	return t.follow(path, true)
}

// lookup returns the node at a cleaned path; links in its parents are followed.
func (t *tarTree) lookup(path string) (uint32, bool) {
	parent, base := split(path)
	dir, ok, _ := t.follow(parent, false)
	if !ok || path == "" {
		return 0, ok
	}
	id, ok := t.kids[kid{dir, base}]
	return id, ok
}

func (t *tarTree) follow(path string, create bool) (dir uint32, ok bool, err error) {
	links := 0
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if t.steps++; t.steps > maxSteps*t.bounds.entries {
			return 0, false, limitError("scan layer", "its links and directories take more than %d steps to follow", t.steps-1)
		}
		switch name {
		case "", ".":
			continue
		case "..":
			dir = t.nodes[dir].dir
			continue
		}
		id, found := t.kids[kid{dir, name}]
		if found && t.nodes[id].kind == KindSymlink && t.nodes[id].target != "" {
			if links++; links > maxLinks {
				return t.lost(path, create, "its parents are a loop of links")
			}
			target := t.nodes[id].target
			if strings.HasPrefix(target, "/") {
				dir = 0
			}
			rest = target + "/" + rest
			continue
		}
		if !found || t.nodes[id].kind != KindDir {
			if !create {
				return 0, false, nil
			}
			if int(t.nodes[dir].depth)+2 > t.bounds.components || !validName(name) {
				return t.lost(path, create, "a parent is a link that leads too deep or to an impossible name")
			}
			if id, err = t.put(dir, name, tarNode{kind: KindDir}); err != nil {
				return 0, false, err
			}
		}
		dir = id
	}
	return dir, true, nil
}

func (t *tarTree) lost(path string, tell bool, cause string) (uint32, bool, error) {
	if tell {
		t.problems.add(plimsoll.ProblemLimit, path, cause)
	}
	return 0, false, nil
}

// link makes n the same as the node at its target, if that can have two names.
func (t *tarTree) link(n *tarNode) bool {
	id, ok := t.lookup(n.target)
	if !ok || id == 0 {
		return false
	}
	to := &t.nodes[id]
	switch to.kind {
	case KindFile, KindSymlink, KindOther:
		if to.pending {
			return false
		}
		n.kind, n.content, n.target, n.metacopy = to.kind, to.content, to.target, to.metacopy
		return true
	}
	return false
}

// path returns a node's name in the layer.
func (t *tarTree) path(id uint32) string {
	if t.nodes[id].dir == 0 {
		return t.nodes[id].name
	}
	var names []string
	for ; id != 0; id = t.nodes[id].dir {
		names = append(names, t.nodes[id].name)
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// finish resolves the links whose target came later or not at all, and finds
// the nodes that later members did not replace.
func (t *tarTree) finish() {
	for range maxLinks { // a chain of links in an unlucky order needs several turns
		t.pending = slices.DeleteFunc(t.pending, func(id uint32) bool {
			n := t.nodes[id]
			n.pending = false
			if !t.link(&n) {
				return false
			}
			t.nodes[id] = n
			return true
		})
	}
	for _, id := range t.pending { // containerd would find the target in lower layers
		t.nodes[id].metacopy = true
	}
	t.alive = make([]bool, len(t.nodes))
	t.alive[0] = true
	for i := 1; i < len(t.nodes); i++ {
		n := &t.nodes[i]
		t.alive[i] = t.alive[n.dir] && t.kids[kid{n.dir, n.name}] == uint32(i) && !strings.HasPrefix(n.name, whiteoutMeta)
	}
}

// unasked returns the files, after finish, about which the visitor was not asked.
func (t *tarTree) unasked() []uint32 {
	var ids []uint32
	for i := range t.nodes {
		if n := &t.nodes[i]; t.alive[i] && n.kind == KindFile && !n.asked && !n.metacopy {
			ids = append(ids, uint32(i))
		}
	}
	return ids
}

// index turns the tree, after finish, into an index whose files carry the number
// of their content.
func (t *tarTree) index() *Index {
	type redirected struct {
		d        *dirNode
		name, to string
	}
	var redirects []redirected
	dirs := make([]*dirNode, len(t.nodes))
	for i := range t.nodes {
		if !t.alive[i] {
			continue
		}
		n := &t.nodes[i]
		if n.kind == KindDir {
			dirs[i] = new(dirNode)
			if n.opaque || n.gone {
				dirs[i].flags = flagOpaque
			}
		}
		if i == 0 {
			continue
		}
		d := dirs[n.dir]
		kind := n.kind
		if kind == 0 {
			kind = KindWhiteout
		}
		at := d.add(n.name, kind)
		switch kind {
		case KindDir:
			d.ents[at].a = uint32(len(d.subs))
			d.subs = append(d.subs, dirs[i])
		case KindSymlink:
			d.setTarget(at, []byte(n.target))
		case KindFile:
			d.ents[at].a = n.content
			if n.metacopy {
				d.ents[at].flags |= flagMetacopy
				if to := "/" + n.target; validRedirect(to) {
					redirects = append(redirects, redirected{d, n.name, to})
				}
			}
		}
	}
	for _, d := range dirs {
		if d != nil {
			d.sort()
		}
	}
	for _, r := range redirects {
		at, _ := slices.BinarySearchFunc(r.d.ents, r.name, func(e node, name string) int { return strings.Compare(string(r.d.raw(e)), name) })
		if r.d.redirects == nil {
			r.d.redirects = make(map[int]string)
		}
		r.d.redirects[at] = r.to
	}
	return flatten(dirs[0])
}
