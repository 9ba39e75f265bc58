package layerfs

import (
	"slices"
	"strings"
	"sync"

	"plimsoll"
)

// Stack is the merged view of an image's layers, as overlayfs would show them.
// It is resolved from the layers' indexes alone and is safe for concurrent use.
type Stack struct {
	layers  []Layer
	indexes []*Index
	root    *mergedDir
	err     error // the image is beyond the limits

	mu   sync.Mutex
	dirs map[string]*mergedDir // by path; nil: not a directory of the merged view

	moves func() map[place][]string
}

// source is an entry of one layer.
type source struct {
	layer int
	id    uint32
	path  string // within its layer: another than the merged one below a redirect
}

// mergedDir is a directory of the merged view: the directories of the layers
// that make it up, topmost first.
type mergedDir struct {
	path    string
	sources []source
}

// merged is an entry of the merged view.
type merged struct {
	kind Kind
	top  source
	dir  *mergedDir // of a directory
	// data are the entries below a metacopied file that hold its content.
	data []source
	// broken: a metacopied file's content is nowhere.
	broken bool
}

// NewStack returns the merged view of layers, bottom first; indexes[i] belongs
// to layers[i], which may be nil when its content will not be opened. Of an image
// with more than 256 layers every method fails with CodeLimit.
func NewStack(layers []Layer, indexes []*Index) *Stack {
	s := &Stack{layers: layers, indexes: indexes, root: new(mergedDir), dirs: make(map[string]*mergedDir)}
	if len(indexes) > maxLayers {
		s.err = limitError("merge layers", "%d layers, at most %d are read", len(indexes), maxLayers)
		s.indexes = nil
		indexes = nil
	}
	for i := len(indexes) - 1; i >= 0; i-- {
		if indexes[i] == nil || len(indexes[i].nodes) == 0 {
			continue
		}
		s.root.sources = append(s.root.sources, source{layer: i})
		if indexes[i].nodes[0].flags&flagOpaque != 0 {
			break
		}
	}
	s.dirs[""] = s.root
	s.moves = sync.OnceValue(s.findMoves)
	return s
}

// lookup finds a name of a merged directory the way overlayfs does (ovl_lookup
// in the kernel's fs/overlayfs/namei.c): from the top layer down, until a layer
// has something that is not a directory or that hides what is below.
func (s *Stack) lookup(dir *mergedDir, name string) (merged, bool) {
	return s.lookupWith(dir, name, nil)
}

// lookupWith is lookup with metacopied files that the indexes do not tell, and
// their redirects.
func (s *Stack) lookupWith(dir *mergedDir, name string, metacopies map[place]string) (merged, bool) {
	var m merged
	l := search{stack: s, name: name, metacopies: metacopies}
	sources := dir.sources
	for i := 0; i < len(sources) && !l.stop; i++ {
		src, ok := l.in(sources[i])
		if !ok {
			continue
		}
		n := &s.indexes[src.layer].nodes[src.id]
		switch {
		case m.kind == 0:
			m.kind, m.top = n.kind, src
			if n.kind == KindDir {
				m.dir = &mergedDir{path: join(dir.path, name)}
			}
		case m.kind == KindFile:
			m.data = append(m.data, src)
		}
		if m.dir != nil {
			m.dir.sources = append(m.dir.sources, src)
		}
		if l.absolute && !l.stop {
			// From here on the name is one from the root of the file system, where
			// other layers may take part.
			l.absolute = false
			sources = s.root.sources
			i = slices.IndexFunc(sources, func(r source) bool { return r.layer < src.layer }) - 1
			if i < -1 {
				break
			}
		}
	}
	m.broken = l.metacopy // the last file found was yet another metacopy
	return m, m.kind != 0
}

// search is the state of one lookup as it goes down the layers.
type search struct {
	stack *Stack
	// name is what the next layer is asked for: a name, or a path from the
	// layer's root, with leading slash, after a redirect.
	name     string
	isDir    bool // a directory was found above
	metacopy bool // a file without its content was found above
	stop     bool // nothing below counts
	absolute bool // the last layer gave the first absolute redirect

	metacopies map[place]string
}

// in looks the name up in one layer's directory.
func (l *search) in(dir source) (source, bool) {
	if !strings.HasPrefix(l.name, "/") {
		return l.component(dir, l.name, 0, "", true)
	}
	// Only a name since a redirect is a path; it starts at the layer's root.
	at := source{layer: dir.layer}
	for start := 1; ; {
		component, post, more := strings.Cut(l.name[start:], "/")
		if more {
			post = "/" + post
		}
		rest := len(post)
		src, ok := l.component(at, component, start, post, !more)
		if !ok || !more {
			return src, ok
		}
		at = src
		// A redirect of this component replaced what precedes the rest.
		start = len(l.name) - rest + 1
	}
}

// component looks one component up. pre is how much of l.name precedes it, post
// what follows; last says whether it is the last.
func (l *search) component(dir source, name string, pre int, post string, last bool) (source, bool) {
	x := l.stack.indexes[dir.layer]
	id, ok := x.child(dir.id, name)
	if !ok {
		return source{}, false
	}
	n := &x.nodes[id]
	src := source{layer: dir.layer, id: id, path: join(dir.path, name)}
	isMetacopy, redirect := n.flags&flagMetacopy != 0, ""
	if n.flags&flagRedirect != 0 {
		redirect = x.redirects[id]
	}
	if l.metacopies != nil {
		if to, ok := l.metacopies[place{src.layer, src.path}]; ok {
			isMetacopy, redirect = true, to
		}
	}
	switch {
	case n.kind == KindWhiteout:
		l.stop = true
		return source{}, false
	case last && l.metacopy && n.kind != KindFile:
		l.stop = true
		return source{}, false
	case n.kind != KindDir:
		if l.isDir || !last {
			l.stop = true
			return source{}, false
		}
		if l.metacopy = isMetacopy; !isMetacopy {
			l.stop = true
			return src, true
		}
	default:
		l.isDir = l.isDir || last
		if n.flags&flagOpaque != 0 {
			l.stop = true
			return src, true
		}
	}
	if redirect != "" {
		was := strings.HasPrefix(l.name, "/")
		if strings.HasPrefix(redirect, "/") {
			l.stop = false // it goes on below even where a component above is opaque
			l.name = redirect + post
		} else {
			l.name = l.name[:pre] + redirect + post
		}
		l.absolute = !was && strings.HasPrefix(l.name, "/")
	}
	return src, true
}

// dir returns the merged directory at path, by its literal name, or nil.
func (s *Stack) dir(path string) *mergedDir {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dirLocked(path)
}

func (s *Stack) dirLocked(dirPath string) *mergedDir {
	if d, ok := s.dirs[dirPath]; ok {
		return d
	}
	parent, name := split(dirPath)
	var d *mergedDir
	if p := s.dirLocked(parent); p != nil {
		if m, ok := s.lookup(p, name); ok {
			d = m.dir
		}
	}
	s.dirs[dirPath] = d
	return d
}

func split(p string) (dir, name string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// at returns the merged entry at path, by its literal name.
func (s *Stack) at(path string) (merged, bool) {
	if path == "" {
		return merged{kind: KindDir, dir: s.root}, true
	}
	parent, name := split(path)
	d := s.dir(parent)
	if d == nil {
		return merged{}, false
	}
	return s.lookup(d, name)
}

// Visible says whether the merged image shows this layer's entry at path, by
// its literal name: true also for a directory that is merged from several
// layers and for the file whose content a metacopied file above shows. A file
// that a redirect moved is not visible at its old path; see Shown.
func (s *Stack) Visible(layer int, path string) bool {
	m, ok := s.at(path)
	if !ok {
		return false
	}
	same := func(src source) bool { return src.layer == layer && src.path == path }
	if m.dir != nil {
		return slices.ContainsFunc(m.dir.sources, same)
	}
	return same(m.top) || slices.ContainsFunc(m.data, same)
}

// place is an entry of a layer, by path.
type place struct {
	layer int
	path  string
}

// Shown returns the paths at which the merged image shows the layer's entry at
// path: the path itself or, where directories were renamed in an overlay with
// redirects, others. It is empty for a hidden entry.
func (s *Stack) Shown(layer int, path string) []string {
	var shown []string
	if s.Visible(layer, path) {
		shown = append(shown, path)
	}
	moves := s.moves()
	if len(moves) == 0 {
		return shown
	}
	return append(shown, moves[place{layer, path}]...)
}

// findMoves lists what is shown elsewhere than its layer has it. Almost no image
// has redirects; those that do are walked once.
func (s *Stack) findMoves() map[place][]string {
	if !slices.ContainsFunc(s.indexes, func(x *Index) bool { return x != nil && len(x.redirects) > 0 }) {
		return nil
	}
	moves := make(map[place][]string)
	note := func(src source, shown string) {
		if src.path != shown {
			k := place{src.layer, src.path}
			moves[k] = append(moves[k], shown)
		}
	}
	// Reaching the limit of entries leaves the rest hidden; Walk reports it.
	_ = s.walk(func(m merged, path string) error {
		note(m.top, path)
		for _, src := range m.data {
			note(src, path)
		}
		if m.dir != nil {
			for _, src := range m.dir.sources[1:] {
				note(src, path)
			}
		}
		return nil
	})
	return moves
}

// entry makes the Entry of a merged entry.
func (s *Stack) entry(m merged, path string) Entry {
	if path == "" {
		return Entry{Kind: KindDir}
	}
	x := s.indexes[m.top.layer]
	return Entry{
		Path: path, Kind: m.kind, Target: x.target(m.top.id), Layer: m.top.layer,
		Metacopy: x.nodes[m.top.id].flags&flagMetacopy != 0,
	}
}

// Lstat returns the entry at path. Links in its parents are resolved within the
// image, so that the Entry's Path may be another; a link as the last component
// is returned itself. It fails with CodeNotFound, or with CodeLimit for a loop
// of links or a path beyond the limits of Linux.
func (s *Stack) Lstat(path string) (Entry, error) {
	m, at, err := s.resolve("stat file of image", path, false)
	if err != nil {
		return Entry{}, err
	}
	return s.entry(m, at), nil
}

// Resolve returns the entry that path leads to, following at most 40 links
// within the image. Absolute targets and ".." stay within its root. Errors are
// those of Lstat.
func (s *Stack) Resolve(path string) (Entry, error) {
	m, at, err := s.resolve("resolve path in image", path, true)
	if err != nil {
		return Entry{}, err
	}
	return s.entry(m, at), nil
}

// Open opens the regular file that path leads to, in the layer that holds its
// content. Beyond the errors of Resolve it fails with CodeInvalid for anything
// but a regular file and with CodeUnreadable when the content is not to be had.
func (s *Stack) Open(path string) (*File, Entry, error) {
	const op = "open file of image"
	m, at, err := s.resolve(op, path, true)
	if err != nil {
		return nil, Entry{}, err
	}
	e := s.entry(m, at)
	if m.kind != KindFile {
		return nil, e, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q: %w", path, errNotRegular)
	}
	parent, name := split(at)
	found := make(map[place]string)
	for range maxLayers {
		if m.broken {
			break
		}
		src := m.top
		if n := len(m.data); n > 0 {
			src = m.data[n-1]
		}
		if src.layer >= len(s.layers) || s.layers[src.layer] == nil {
			return nil, e, plimsoll.Errorf(plimsoll.CodeUnreadable, op, "%q: its layer is not open", path)
		}
		f, err := s.layers[src.layer].Open(src.path)
		if err != nil || !f.metacopy {
			return f, e, err
		}
		// A scan looks for the mark in wanted files only, so this one is news.
		f.Close()
		e.Metacopy = true
		found[place{src.layer, src.path}] = f.redirect
		m, _ = s.lookupWith(s.dir(parent), name, found)
	}
	return nil, e, plimsoll.Errorf(plimsoll.CodeUnreadable, op, "%q: no lower layer has its content", path)
}

// ReadDir lists the directory that path leads to, in byte order of the names.
func (s *Stack) ReadDir(path string) ([]Entry, error) {
	const op = "list directory of image"
	m, at, err := s.resolve(op, path, true)
	if err != nil {
		return nil, err
	}
	if m.dir == nil {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q: not a directory", path)
	}
	var list []Entry
	err = s.list(m.dir, func(name string, m merged) error {
		list = append(list, s.entry(m, join(at, name)))
		return nil
	})
	return list, err
}

// Walk calls fn for each entry of the merged image but the root: a directory
// before what it holds, the names of a directory in byte order. It stops at fn's
// first error.
func (s *Stack) Walk(fn func(Entry) error) error {
	return s.walk(func(m merged, path string) error { return fn(s.entry(m, path)) })
}

func (s *Stack) walk(fn func(m merged, path string) error) error {
	if s.err != nil {
		return s.err
	}
	entries := 0
	var dir func(d *mergedDir, depth int) error
	dir = func(d *mergedDir, depth int) error {
		return s.list(d, func(name string, m merged) error {
			// Redirects can multiply entries and nest them more deeply than any layer.
			if entries++; entries > maxEntries || depth >= maxComponents {
				return limitError("walk image", "more than %d names, or directories nested more than %d deep", maxEntries, maxComponents)
			}
			if err := fn(m, join(d.path, name)); err != nil || m.dir == nil {
				return err
			}
			return dir(m.dir, depth+1)
		})
	}
	return dir(s.root, 0)
}

// list merges the sorted names of a directory's sources.
func (s *Stack) list(d *mergedDir, fn func(name string, m merged) error) error {
	type run struct {
		x         *Index
		next, end uint32
	}
	runs := make([]run, 0, len(d.sources))
	for _, src := range d.sources {
		x := s.indexes[src.layer]
		if n := x.nodes[src.id]; n.b > 0 {
			runs = append(runs, run{x, n.a, n.a + n.b})
		}
	}
	for len(runs) > 0 {
		name := runs[0].x.name(runs[0].next)
		for _, r := range runs[1:] {
			name = min(name, r.x.name(r.next))
		}
		for i := 0; i < len(runs); {
			r := &runs[i]
			if r.x.name(r.next) == name {
				if r.next++; r.next == r.end {
					runs = slices.Delete(runs, i, i+1)
					continue
				}
			}
			i++
		}
		if m, ok := s.lookup(d, name); ok {
			if err := fn(name, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolve follows path from the image's root. With all false, a link as the
// last component is not followed.
func (s *Stack) resolve(op, name string, all bool) (merged, string, error) {
	fail := func(code plimsoll.Code, cause string) (merged, string, error) {
		return merged{}, "", plimsoll.Errorf(code, op, "%q: %s", name, cause)
	}
	if s.err != nil {
		return merged{}, "", s.err
	}
	at, here := "", merged{kind: KindDir, dir: s.root}
	rest, links := name, 0
	for rest != "" {
		var component string
		component, rest, _ = strings.Cut(rest, "/")
		if component == "" || component == "." {
			continue
		}
		if here.dir == nil {
			return fail(plimsoll.CodeNotFound, "a parent is not a directory")
		}
		if component == ".." {
			at, _ = split(at)
			here = merged{kind: KindDir, dir: s.dir(at)}
			continue
		}
		if len(component) > maxName || strings.Count(at, "/")+2 > maxComponents {
			return fail(plimsoll.CodeLimit, "the path is too long")
		}
		next := join(at, component)
		m, ok := s.at(next)
		if !ok {
			return fail(plimsoll.CodeNotFound, "no such file")
		}
		if m.kind != KindSymlink || rest == "" && !all {
			at, here = next, m
			continue
		}
		if links++; links > maxLinks {
			return fail(plimsoll.CodeLimit, "more than 40 links, or a loop of them")
		}
		target := s.indexes[m.top.layer].target(m.top.id)
		if target == "" {
			return fail(plimsoll.CodeNotFound, "a link without target")
		}
		if strings.HasPrefix(target, "/") {
			at, here = "", merged{kind: KindDir, dir: s.root}
		}
		rest = target + "/" + rest
	}
	return here, at, nil
}
