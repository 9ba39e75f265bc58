package vex

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll"
)

// Set are the statements of several documents.
type Set struct {
	claims []*Claim
	byID   map[string][]*Claim // in upper case
}

// NewSet joins documents.
func NewSet(docs ...Document) *Set {
	s := &Set{byID: make(map[string][]*Claim)}
	for _, d := range docs {
		for _, statement := range d.Statements {
			c := NewClaim(statement)
			s.claims = append(s.claims, c)
			for _, id := range c.Vulnerabilities {
				if list := s.byID[strings.ToUpper(id)]; len(list) == 0 || list[len(list)-1] != c {
					s.byID[strings.ToUpper(id)] = append(list, c)
				}
			}
		}
	}
	return s
}

// maxEvidence is how many statements a finding keeps.
const maxEvidence = 10

// Apply gives each finding of r the statements about it. The newest decides; of
// those of one time, one that does not handle the finding. What is not affected
// or fixed becomes StatusHandled and keeps its place in the list.
func (s *Set) Apply(r *plimsoll.Result) {
	others := packagesOf(r)
	for i := range r.Findings {
		f := &r.Findings[i]
		about := s.about(f, placeOf(r, &f.Package, others))
		if len(about) == 0 {
			continue
		}
		slices.SortStableFunc(about, byPrecedence)
		f.VEX = nil
		for _, c := range about[:min(len(about), maxEvidence)] {
			f.VEX = append(f.VEX, c.VEXStatement)
		}
		if f.Status == plimsoll.StatusAffected && about[0].Status.Handles() {
			f.Status = plimsoll.StatusHandled
		}
	}
}

// byPrecedence orders claims about one finding: the one that decides comes first.
func byPrecedence(a, b *Claim) int {
	handles := func(c *Claim) int {
		if c.Status.Handles() {
			return 1
		}
		return 0
	}
	return cmp.Or(b.Time.Compare(a.Time), handles(a)-handles(b))
}

// Decides returns the claim that decides among those about one finding; nil for none.
func Decides(claims []*Claim) *Claim {
	if len(claims) == 0 {
		return nil
	}
	return slices.MinFunc(claims, byPrecedence)
}

// about returns the claims about a finding, in the order of the documents.
func (s *Set) about(f *plimsoll.Finding, at Place) []*Claim {
	var list []*Claim
	seen := make(map[*Claim]bool)
	for _, name := range names(f) {
		for _, c := range s.byID[strings.ToUpper(name)] {
			if !seen[c] && c.Fits(&f.Package, at) {
				seen[c] = true
				list = append(list, c)
			}
		}
	}
	return list
}

// names are all IDs of a finding's vulnerability.
func names(f *plimsoll.Finding) []string {
	return append([]string{f.Vulnerability.ID}, f.Vulnerability.Aliases...)
}

func packagesOf(r *plimsoll.Result) func() []plimsoll.Package {
	return func() []plimsoll.Package { return r.Inventory.Packages }
}

func placeOf(r *plimsoll.Result, p *plimsoll.Package, others func() []plimsoll.Package) Place {
	at := Place{Image: &r.Image, Others: others}
	for i := range r.Inventory.Systems {
		if r.Inventory.Systems[i].Root == p.Root {
			at.System = &r.Inventory.Systems[i]
		}
	}
	return at
}

// Explain says of each statement why it applies to r or not. Apply comes before.
func (s *Set) Explain(r *plimsoll.Result) []plimsoll.VEXExplanation {
	x := explainer{
		r: r, others: packagesOf(r),
		ids: make(map[string][]int), found: make(map[string][]int), packages: make(map[string][]int),
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, name := range names(f) {
			x.ids[strings.ToUpper(name)] = append(x.ids[strings.ToUpper(name)], i)
		}
		for _, key := range keys(&f.Package) {
			x.found[key] = append(x.found[key], i)
		}
	}
	for i := range r.Inventory.Packages {
		for _, key := range keys(&r.Inventory.Packages[i]) {
			x.packages[key] = append(x.packages[key], i)
		}
	}
	list := make([]plimsoll.VEXExplanation, len(s.claims))
	for i, c := range s.claims {
		list[i] = x.explain(c)
	}
	return list
}

// explainer finds what a statement may be about by name: there can be a hundred
// thousand of them.
type explainer struct {
	r               *plimsoll.Result
	others          func() []plimsoll.Package
	ids             map[string][]int // findings by every name of the vulnerability, in upper case
	found, packages map[string][]int // findings and packages by key
}

// keys are the names under which a statement may know a package.
func keys(p *plimsoll.Package) []string {
	_, name := split(p)
	list := []string{key(name)}
	if p.Source.Name != "" && key(p.Source.Name) != list[0] {
		list = append(list, key(p.Source.Name))
	}
	return list
}

func key(name string) string { return plimsoll.NormalizeName("PyPI", name) }

func (x *explainer) compare(c *Claim, p *plimsoll.Package) miss {
	return c.compare(p, placeOf(x.r, p, x.others))
}

func (x *explainer) explain(c *Claim) plimsoll.VEXExplanation {
	e := plimsoll.VEXExplanation{Statement: c.VEXStatement, Nearest: -1}
	var about []int
	for _, id := range c.Vulnerabilities {
		about = append(about, x.ids[strings.ToUpper(id)]...)
	}
	slices.Sort(about)
	about = slices.Compact(about)
	best := miss{step: -1}
	for _, i := range about {
		f := &x.r.Findings[i]
		m := x.compare(c, &f.Package)
		if m.step == fits {
			e.Applied = append(e.Applied, i)
			if len(f.VEX) > 0 && f.VEX[0].Document == c.Document && f.VEX[0].Number == c.Number {
				e.Decided++
			}
		}
		if m.step > best.step {
			best, e.Nearest = m, i
		}
	}
	switch {
	case len(e.Applied) > 0 && e.Decided == 0:
		e.Why = "another statement decides: a newer one, or one of the same time that does not call it handled"
	case len(e.Applied) > 0 && c.Status.Handles():
		e.Why = "it handles what it is about"
	case len(e.Applied) > 0:
		e.Why = "it is noted with what it is about, which stays open"
	case len(about) > 0:
		e.Why = best.why
	default:
		e.Nearest, e.Why = x.otherwise(c)
	}
	return e
}

// otherwise explains a claim about a vulnerability that was not found: what it
// would be about, had it another name.
func (x *explainer) otherwise(c *Claim) (nearest int, why string) {
	id := quoted(c.Vulnerabilities[0])
	best := miss{step: -1}
	nearest = -1
	look := func(i int, p *plimsoll.Package) {
		if m := x.compare(c, p); m.step > best.step {
			best, nearest = m, i
		}
	}
	for i := range c.products {
		for j := range c.products[i].targets {
			t := &c.products[i].targets[j]
			switch t.kind {
			case inImage:
				if m := t.fitsImage(&x.r.Image); m.step > best.step {
					best, nearest = m, -1
				}
			case inPackage:
				for _, f := range x.found[key(t.name)] {
					look(f, &x.r.Findings[f].Package)
				}
				for _, p := range x.packages[key(t.name)] {
					look(-1, &x.r.Inventory.Packages[p])
				}
			}
		}
	}
	switch {
	case best.step == fits && nearest >= 0:
		return nearest, "nothing in what it is about was found to have " + id + ", by none of its names"
	case best.step == fits:
		return -1, "what it is about is there, but no advisory finds " + id + " in it, by none of its names"
	case best.step < 0:
		return -1, "neither " + id + " nor what it is about was found"
	}
	return nearest, id + " was not found, by none of its names, and " + best.why
}
