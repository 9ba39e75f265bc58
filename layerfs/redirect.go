package layerfs

import (
	"slices"

	"plimsoll"
)

// place is an entry of a layer, by path.
type place struct {
	layer int
	path  string
}

// redirected is what the redirects of overlayfs do to an image. Almost no image
// has any; those that do are walked once.
type redirected struct {
	shown    map[place][]string // where an entry is shown that is not at its own path
	problems []plimsoll.Problem // redirects and metacopies that lead nowhere
}

// Shown returns the paths at which the merged image shows the layer's entry at
// path: the path itself or, where directories were renamed in an overlay with
// redirects, others. It is empty for a hidden entry.
func (s *Stack) Shown(layer int, path string) []string {
	var shown []string
	if s.Visible(layer, path) {
		shown = append(shown, path)
	}
	return append(shown, s.redirected().shown[place{layer, path}]...)
}

// Problems returns, by path, the renamed directories and the metacopied files
// whose content no lower layer has (redirect-unknown).
func (s *Stack) Problems() []plimsoll.Problem { return slices.Clone(s.redirected().problems) }

func (s *Stack) followRedirects() redirected {
	var r redirected
	if !slices.ContainsFunc(s.indexes, (*Index).refersBelow) {
		return r
	}
	r.shown = make(map[place][]string)
	note := func(src source, path string) {
		if src.path != path {
			k := place{src.layer, src.path}
			r.shown[k] = append(r.shown[k], path)
		}
	}
	var problems problems
	err := s.walk(func(m merged, path string) error {
		note(m.top, path)
		for _, src := range m.data {
			note(src, path)
		}
		if m.broken {
			problems.add(plimsoll.ProblemRedirect, path, "only the file's attributes are in its layer, and no lower layer has its content")
		}
		if m.dir == nil {
			return nil
		}
		for _, src := range m.dir.sources[1:] {
			note(src, path)
		}
		if len(m.dir.sources) == 1 && s.indexes[m.top.layer].nodes[m.top.id].flags&flagRedirect != 0 {
			problems.add(plimsoll.ProblemRedirect, path, "the directory was renamed, and no lower layer has it under its old name")
		}
		return nil
	})
	if err != nil {
		problems.add(plimsoll.ProblemLimit, "", err.Error())
	}
	r.problems = problems.sorted()
	return r
}

// refersBelow says whether entries of the layer name content of lower layers.
func (x *Index) refersBelow() bool {
	return x != nil && slices.ContainsFunc(x.nodes, func(n node) bool { return n.flags&(flagRedirect|flagMetacopy) != 0 })
}
