package layerfs

import (
	"slices"
	"strings"
)

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
