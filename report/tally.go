package report

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll"
)

// tally counts findings of one class.
type tally struct {
	by                        [plimsoll.SeverityCritical + 1]int
	total, fixable, exploited int
	informational             int // not affected; in no other count
}

func count(findings []plimsoll.Finding, class plimsoll.Class) tally {
	var t tally
	for i := range findings {
		f := &findings[i]
		if f.Class != class {
			continue
		}
		if f.Status != plimsoll.StatusAffected {
			t.informational++
			continue
		}
		t.total++
		t.by[known(f.Vulnerability.Severity)]++
		if f.State == plimsoll.FixAvailable {
			t.fixable++
		}
		if f.Vulnerability.KEV != nil {
			t.exploited++
		}
	}
	return t
}

func (t tally) add(o tally) tally {
	for i := range t.by {
		t.by[i] += o.by[i]
	}
	t.total += o.total
	t.fixable += o.fixable
	t.exploited += o.exploited
	t.informational += o.informational
	return t
}

// known returns s, or unknown for a value outside the scale.
func known(s plimsoll.Severity) plimsoll.Severity {
	if s < plimsoll.SeverityNone || s > plimsoll.SeverityCritical {
		return plimsoll.SeverityUnknown
	}
	return s
}

// worstFirst lists the severities as people read them.
func worstFirst() []plimsoll.Severity {
	return []plimsoll.Severity{plimsoll.SeverityCritical, plimsoll.SeverityHigh, plimsoll.SeverityMedium,
		plimsoll.SeverityUnknown, plimsoll.SeverityLow, plimsoll.SeverityNone}
}

// wholly says whether both classes were judged, so that a sum of 0 means clean.
func wholly(r *plimsoll.Result) bool {
	return r.Judged(plimsoll.ClassSystem) && r.Judged(plimsoll.ClassApplication)
}

// urgency orders findings: known exploited, severity, EPSS, fixable, id.
func urgency(a, b *plimsoll.Finding) int {
	return cmp.Or(
		-compareBool(a.Status == plimsoll.StatusAffected, b.Status == plimsoll.StatusAffected),
		-compareBool(a.Vulnerability.KEV != nil, b.Vulnerability.KEV != nil),
		-cmp.Compare(known(a.Vulnerability.Severity), known(b.Vulnerability.Severity)),
		-cmp.Compare(epss(a), epss(b)),
		-compareBool(a.State == plimsoll.FixAvailable, b.State == plimsoll.FixAvailable),
		strings.Compare(a.Vulnerability.ID, b.Vulnerability.ID),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func epss(f *plimsoll.Finding) float64 {
	if f.Vulnerability.EPSS == nil {
		return 0
	}
	return number(f.Vulnerability.EPSS.Score)
}

// group is the findings of one table: the system, or one ecosystem.
type group struct {
	name     string
	packages [][]*plimsoll.Finding // by package, most urgent first
	findings int
}

// groups splits the findings of a class: system packages by the system they
// belong to, application packages by type. Within a group the packages with the
// most urgent finding come first.
func groups(r *plimsoll.Result, class plimsoll.Class) []group {
	type key struct{ group, name, version, path, arch string }
	byGroup := make(map[string]map[key][]*plimsoll.Finding)
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Class != class {
			continue
		}
		k := key{string(f.Package.Type), f.Package.Name, f.Package.Version, f.Package.Path, f.Package.Arch}
		if class == plimsoll.ClassSystem {
			// The path is the package database; it tells no two packages apart.
			k.group, k.path = f.Package.Root, ""
		}
		if byGroup[k.group] == nil {
			byGroup[k.group] = make(map[key][]*plimsoll.Finding)
		}
		byGroup[k.group][k] = append(byGroup[k.group][k], f)
	}
	list := make([]group, 0, len(byGroup))
	for name, packages := range byGroup {
		g := group{name: name}
		for _, findings := range packages {
			slices.SortStableFunc(findings, urgency)
			g.packages = append(g.packages, findings)
			g.findings += len(findings)
		}
		slices.SortFunc(g.packages, func(a, b []*plimsoll.Finding) int {
			p, q := a[0].Package, b[0].Package
			return cmp.Or(urgency(a[0], b[0]), strings.Compare(p.Name, q.Name), strings.Compare(p.Version, q.Version),
				strings.Compare(p.Path, q.Path), strings.Compare(p.Arch, q.Arch))
		})
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b group) int { return strings.Compare(a.name, b.name) })
	return list
}
