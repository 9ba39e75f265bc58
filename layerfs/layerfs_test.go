package layerfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recorder is a visitor that reads everything it wants and notes it by path.
type recorder struct {
	want   Want
	wants  func(path string) Want // instead of want
	mu     sync.Mutex
	asked  []string
	visits map[string]string // content, or "= first name"
	calls  int
}

func (r *recorder) Wants(path string) Want {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, path)
	if r.wants != nil {
		return r.wants(path)
	}
	return r.want
}

func (r *recorder) Visit(_ context.Context, path string, f *File, link string) {
	content := "= " + link
	if link == "" {
		b := make([]byte, min(f.Size, 1<<20))
		if n, err := f.ReadAt(b, 0); err != nil && err != io.EOF || n < len(b) {
			content = fmt.Sprintf("read %d of %d: %v", n, len(b), err)
		} else if content = string(b); len(b) > 64 {
			content = fmt.Sprintf("%x", sha256.Sum256(b))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.visits == nil {
		r.visits = make(map[string]string)
	}
	r.visits[path] = content
	r.calls++
}

// lines returns the visits, sorted.
func (r *recorder) lines() []string {
	var list []string
	for _, path := range slices.Sorted(maps.Keys(r.visits)) {
		list = append(list, path+": "+r.visits[path])
	}
	return list
}

// tree describes an index, an entry a line.
func tree(x *Index) []string {
	var list []string
	x.Walk(func(e Entry) error {
		list = append(list, line(e))
		return nil
	})
	return list
}

func line(e Entry) string {
	s := e.Path
	switch e.Kind {
	case KindDir:
		s += "/"
	case KindSymlink:
		s += " -> " + e.Target
	case KindWhiteout:
		s += " gone"
	case KindOther:
		s += " other"
	}
	if e.Opaque {
		s += " opaque"
	}
	if e.Redirect != "" {
		s += " redirect " + e.Redirect
	}
	if e.Metacopy {
		s += " metacopy"
	}
	return s
}

// build makes an index from the lines of tree; parents come first.
func build(t *testing.T, lines ...string) *Index {
	t.Helper()
	root := new(dirNode)
	dirs := map[string]*dirNode{"": root}
	for _, l := range lines {
		f := strings.Split(l, " ")
		path, isDir := strings.CutSuffix(f[0], "/")
		if path == "" { // "/ opaque" is the root
			root.flags = flagOpaque
			continue
		}
		dir, name := split(path)
		d := dirs[dir]
		if d == nil {
			t.Fatalf("%s has no parent", path)
		}
		kind := KindFile
		if isDir {
			kind = KindDir
		}
		i := d.add(name, kind)
		e := &d.ents[i]
		if isDir {
			e.a = uint32(len(d.subs))
			sub := new(dirNode)
			d.subs = append(d.subs, sub)
			dirs[path] = sub
		}
		for k := 1; k < len(f); k++ {
			switch f[k] {
			case "->":
				e.kind = KindSymlink
				d.setTarget(i, []byte(f[k+1]))
				k++
			case "gone":
				e.kind = KindWhiteout
			case "other":
				e.kind = KindOther
			case "opaque":
				dirs[path].flags |= flagOpaque
			case "redirect":
				if isDir {
					dirs[path].redirect = f[k+1]
				} else {
					d.redirects = map[int]string{i: f[k+1]}
				}
				k++
			case "metacopy":
				e.flags |= flagMetacopy
			default:
				t.Fatalf("%q: %q", l, f[k])
			}
		}
	}
	for _, d := range dirs {
		order := slices.Clone(d.ents)
		d.sort()
		if !slices.Equal(order, d.ents) && d.redirects != nil {
			t.Fatal("redirects of files need sorted lines")
		}
	}
	return flatten(root)
}
