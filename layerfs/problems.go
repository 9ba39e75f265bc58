package layerfs

import (
	"cmp"
	"slices"
	"sync"

	"plimsoll"
)

// problems collects what could not be read, from several goroutines. Of each
// code it keeps the first maxProblems by path, so that the result depends
// neither on timing nor, in size, on the image; the rest is counted.
type problems struct {
	mu     sync.Mutex
	byCode map[plimsoll.ProblemCode]*problemSet
}

type problemSet struct {
	list  []plimsoll.Problem
	total int
}

func (p *problems) add(code plimsoll.ProblemCode, path, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byCode == nil {
		p.byCode = make(map[plimsoll.ProblemCode]*problemSet)
	}
	set := p.byCode[code]
	if set == nil {
		set = new(problemSet)
		p.byCode[code] = set
	}
	set.total++
	set.list = append(set.list, plimsoll.Problem{Code: code, Path: path, Detail: detail})
	if len(set.list) >= 2*maxProblems {
		set.cut()
	}
}

func (s *problemSet) cut() {
	slices.SortFunc(s.list, func(a, b plimsoll.Problem) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Detail, b.Detail))
	})
	s.list = s.list[:min(len(s.list), maxProblems)]
}

// sorted returns the problems by code and path.
func (p *problems) sorted() []plimsoll.Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []plimsoll.Problem
	for code, set := range p.byCode {
		set.cut()
		all = append(all, set.list...)
		if rest := set.total - len(set.list); rest > 0 {
			all = append(all, plimsoll.Problem{Code: code, Detail: "further problems of this kind, not told one by one", Count: rest})
		}
	}
	slices.SortStableFunc(all, func(a, b plimsoll.Problem) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(b2i(a.Path == ""), b2i(b.Path == "")), cmp.Compare(a.Path, b.Path))
	})
	return all
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
