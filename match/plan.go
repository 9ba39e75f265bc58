package match

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/version"
)

// Plan turns findings of one image into one set of upgrades, split between the
// owner of the base image and whoever builds this one. It counts findings that
// say a package is affected; informational ones ask for nothing.
//
// Each step goes to the lowest version that clears every fixable finding of its
// package. For system packages that is a version of the source package, and the
// commands upgrade without naming it, because archives keep only the newest
// build and each build of a source carries its own version.
func Plan(img plimsoll.Image, inv plimsoll.Inventory, findings []plimsoll.Finding) plimsoll.Plan {
	layers := make(map[plimsoll.Digest]int, len(img.Layers))
	for i, l := range img.Layers {
		if _, ok := layers[l.DiffID]; !ok {
			layers[l.DiffID] = i
		}
	}
	groups := make(map[stepKey]*upgrade)
	left := make(map[plimsoll.FixState]*plimsoll.Remaining)
	for i := range findings {
		f := &findings[i]
		if f.Status != plimsoll.StatusAffected {
			continue
		}
		if f.State != plimsoll.FixAvailable || f.FixedVersion == "" {
			remain(left, f)
			continue
		}
		layer, known := layers[f.Package.Layer]
		key := keyOf(&f.Package)
		key.base = known && img.Layers[layer].Base
		u := groups[key]
		if u == nil {
			u = &upgrade{key: key, layer: -1}
			groups[key] = u
		}
		u.findings = append(u.findings, f)
		if known && (u.layer < 0 || layer < u.layer) {
			u.layer = layer
		}
	}
	var base, own []*upgrade
	for _, u := range groups {
		u.finish(img)
		if u.key.base {
			base = append(base, u)
		} else {
			own = append(own, u)
		}
	}
	return plimsoll.Plan{Base: part(base, &inv), Own: part(own, &inv), Remaining: remaining(left)}
}

// stepKey tells upgrades apart: the source package of a system, or a language
// package in one place, each in one installed version.
type stepKey struct {
	base    bool
	kind    plimsoll.PackageType
	root    string // of the system
	name    string
	version string
	place   string // language packages: project, environment, archive or binary
	bundled string
}

func keyOf(p *plimsoll.Package) stepKey {
	k := stepKey{kind: p.Type, name: p.Name, version: p.Version}
	if p.Type.System() {
		k.root = p.Root
		if p.Source.Name != "" {
			k.name, k.version = p.Source.Name, cmp.Or(p.Source.Version, p.Version)
		}
		return k
	}
	k.place, k.bundled = placeOf(p), p.Bundled
	return k
}

// placeOf returns where an upgrade of p is done: the directory of the project
// or environment that holds it, else the file that proves it.
func placeOf(p *plimsoll.Package) string {
	switch p.Type {
	case plimsoll.TypeNPM:
		if dir, _, ok := strings.Cut("/"+p.Path, "/node_modules/"); ok {
			return strings.TrimPrefix(dir, "/")
		}
	case plimsoll.TypeComposer:
		if dir, _, ok := strings.Cut("/"+p.Path, "/vendor/"); ok {
			return strings.TrimPrefix(dir, "/")
		}
	case plimsoll.TypeGem:
		if dir, _, ok := strings.Cut(p.Path, "/specifications/"); ok {
			return dir
		}
	case plimsoll.TypePyPI:
		if i := strings.LastIndex(p.Path, "/lib/python"); i >= 0 {
			return p.Path[:i]
		}
	}
	return p.Path
}

// upgrade is a step in the making.
type upgrade struct {
	key      stepKey
	findings []*plimsoll.Finding
	layer    int // lowest layer, -1 when unknown
	step     plimsoll.Step
	nested   bool // npm: only inside other packages, not at the project's top
}

func (u *upgrade) finish(img plimsoll.Image) {
	first := &u.findings[0].Package
	s := plimsoll.Step{Package: u.key.name, Type: u.key.kind, Path: u.key.place, From: u.key.version, To: u.target()}
	u.nested = true
	for _, f := range u.findings {
		s.Packages = append(s.Packages, f.Package.Name)
		s.Clears = append(s.Clears, f.Vulnerability.ID)
		s.Worst = max(s.Worst, f.Vulnerability.Severity)
		u.nested = u.nested && strings.Count("/"+f.Package.Path, "/node_modules/") > 1
	}
	s.Packages, s.Clears = sortedSet(s.Packages), sortedSet(s.Clears)
	s.Breaking = breaking(first.Type, s.From, s.To)
	if u.layer >= 0 {
		s.Layer, s.CreatedBy = img.Layers[u.layer].DiffID, img.Layers[u.layer].CreatedBy
	}
	u.step = s
}

func sortedSet(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

// target returns the lowest version that clears all findings: the greatest of
// their fixes, raised to the next fix of a finding while it falls into a branch
// that this finding fixed only later (3.2.5 and 4.0.3 do not make 4.0.1 good).
func (u *upgrade) target() string {
	scheme := schemeOf(u.key.kind)
	var target version.Version
	for _, f := range u.findings {
		if v, err := version.Parse(scheme, f.FixedVersion); err == nil && (target == version.Version{} || v.Compare(target) > 0) {
			target = v
		}
	}
	if target == (version.Version{}) {
		return u.findings[0].FixedVersion
	}
	if u.key.kind.System() {
		return target.String() // one release, one branch
	}
	for raised := true; raised; {
		raised = false
		for _, f := range u.findings {
			if next, ok := laterFix(f, target); ok {
				target, raised = next, true
			}
		}
	}
	return target.String()
}

// laterFix returns the fix of f that a jump to target would miss.
func laterFix(f *plimsoll.Finding, target version.Version) (version.Version, bool) {
	branch, series := branchOf(target.String(), 1), branchOf(target.String(), 2)
	for _, text := range f.FixedVersions { // ascending
		v, err := version.Parse(target.Scheme(), text)
		if err != nil {
			continue
		}
		if v.Compare(target) <= 0 {
			if branchOf(text, 2) == series {
				return version.Version{}, false
			}
			continue
		}
		if branchOf(text, 1) == branch && f.FixedVersion != target.String() {
			return v, true
		}
	}
	return version.Version{}, false
}

// branchOf returns the first n numbers of a version.
func branchOf(v string, n int) string {
	v = strings.TrimPrefix(withoutEpoch(v), "v")
	for i := 0; i < len(v); i++ {
		if v[i] >= '0' && v[i] <= '9' {
			continue
		}
		if n--; n == 0 || v[i] != '.' {
			return v[:i]
		}
	}
	return v
}

// breaking says whether an upgrade crosses a major version; below 1.0 every
// minor version is one. Pseudo-versions of Go have no place in a branch.
func breaking(t plimsoll.PackageType, from, to string) bool {
	if _, pseudo := parsePseudo(from); pseudo && t == plimsoll.TypeGo {
		return false
	}
	if calendar(from) && calendar(to) {
		return false
	}
	n := 1
	if !t.System() && branchOf(from, 1) == "0" {
		n = 2
	}
	return branchOf(from, n) != branchOf(to, n)
}

// calendar says whether a version counts years, which break nothing.
func calendar(v string) bool {
	year := branchOf(v, 1)
	return len(year) == 4 && year >= "1990" && year < "2100"
}

func schemeOf(t plimsoll.PackageType) version.Scheme {
	if s, ok := systemSchemes[t]; ok {
		return s
	}
	s, _ := version.ForEcosystem(languages[t])
	return s
}

func part(upgrades []*upgrade, inv *plimsoll.Inventory) plimsoll.Part {
	slices.SortFunc(upgrades, func(a, b *upgrade) int {
		return cmp.Or(-cmp.Compare(a.step.Worst, b.step.Worst), -cmp.Compare(len(a.findings), len(b.findings)),
			strings.Compare(a.key.name, b.key.name), strings.Compare(a.key.version, b.key.version),
			strings.Compare(a.key.place, b.key.place), strings.Compare(a.key.root, b.key.root),
			strings.Compare(string(a.key.kind), string(b.key.kind)), strings.Compare(a.key.bundled, b.key.bundled))
	})
	var p plimsoll.Part
	for _, u := range upgrades {
		p.Steps = append(p.Steps, u.step)
		p.Clears += len(u.findings)
	}
	p.Commands = commands(upgrades, inv)
	return p
}

func remain(left map[plimsoll.FixState]*plimsoll.Remaining, f *plimsoll.Finding) {
	state := f.State
	if state == plimsoll.FixAvailable { // claimed, but no version is known
		state = plimsoll.FixUnknown
	}
	r := left[state]
	if r == nil {
		r = &plimsoll.Remaining{State: state, Reason: whyRemains(state)}
		left[state] = r
	}
	r.Count++
	r.Worst = max(r.Worst, f.Vulnerability.Severity)
}

func remaining(left map[plimsoll.FixState]*plimsoll.Remaining) []plimsoll.Remaining {
	var list []plimsoll.Remaining
	for _, r := range left {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b plimsoll.Remaining) int {
		return cmp.Or(-cmp.Compare(a.Worst, b.Worst), -cmp.Compare(a.Count, b.Count), strings.Compare(string(a.State), string(b.State)))
	})
	return list
}

func whyRemains(s plimsoll.FixState) string {
	switch s {
	case plimsoll.FixNone:
		return "the vendor has not released a fix"
	case plimsoll.FixDeferred:
		return "the vendor has postponed the fix"
	case plimsoll.FixRefused:
		return "the vendor has decided against a fix"
	case plimsoll.FixEndOfLife:
		return "the release is out of support: move to a supported one"
	case plimsoll.FixExtended:
		return "a fix exists only with the vendor's paid extension"
	case plimsoll.FixInvestigating:
		return "the vendor is still looking into it"
	case plimsoll.FixUnknown:
		return "the advisories name no fixed version"
	}
	return fmt.Sprintf("the vendor's state is %q", string(s))
}
