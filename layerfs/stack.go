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

	redirected func() redirected
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
	s.redirected = sync.OnceValue(s.followRedirects)
	return s
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
	rest, links, steps := name, 0, 0
	for rest != "" {
		if steps++; steps > maxPathSteps {
			return fail(plimsoll.CodeLimit, "its links take too many steps to follow")
		}
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
