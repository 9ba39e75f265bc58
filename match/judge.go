package match

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/version"
)

// owner stands for any owner of a package that the distribution speaks for. It
// is no name of a package.
const owner = "\x00"

// Judge judges packages of one system one by one: the verdict on each depends on
// nothing but the package, the system and the advisories, so that a fleet judges
// a package once, however many images hold it. system is the zero OS for packages
// outside any. A package with an Owner is left to the distribution; Root and Path
// do not matter. Together the verdicts on the packages of an image say what
// Evaluate says about it, whose errors these are.
func Judge(ctx context.Context, adv Advisories, system plimsoll.OS, packages []plimsoll.Package, o Options) ([]plimsoll.Verdict, error) {
	census, err := ask(adv.Ecosystems(), inventoryOf(system, packages), o)
	if err != nil {
		return nil, err
	}
	verdicts := make([]plimsoll.Verdict, len(packages))
	for i, s := range census.scopes {
		verdicts[i] = plimsoll.Verdict{
			Group: s.group, Ecosystem: strings.Join(s.asked, ", "), Why: s.why,
			Ended: s.ended, Assumed: s.distro.Assumed,
			Problems: endedRuntimes(packages[i:i+1], o.Now),
		}
	}
	e := evaluator{adv: adv, flaws: make(map[string]plimsoll.Vulnerability), known: make(map[[2]string][]record)}
	for i := range census.subjects {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		who := &census.subjects[i]
		e.findings, e.problems, e.streamless = nil, nil, nil
		clear(e.reported)
		if err := e.judge(who); err != nil {
			return nil, err
		}
		v := &verdicts[who.index]
		v.Findings = sortFindings(e.findings)
		for i := range v.Findings {
			v.Findings[i].Package = packages[who.index]
		}
		v.Problems = slices.Concat(v.Problems, e.problems, e.streamProblem())
		sortProblems(v.Problems)
	}
	return verdicts, nil
}

// inventoryOf puts packages into the root of one system.
func inventoryOf(system plimsoll.OS, packages []plimsoll.Package) plimsoll.Inventory {
	inv := plimsoll.Inventory{Packages: slices.Clone(packages)}
	if system.ID != "" || system.Name != "" || system.Release != "" {
		system.Root = ""
		inv.Systems = []plimsoll.OS{system}
	}
	for i := range inv.Packages {
		p := &inv.Packages[i]
		p.Root = ""
		if p.Owner != "" {
			p.Owner = owner
		}
	}
	return inv
}

// Why says in a sentence why records that once matched a package no longer do:
// was are the reasons of then.
func Why(adv Advisories, p plimsoll.Package, was []plimsoll.Reason) string {
	if len(was) == 0 {
		return "the records that matched are not known any more"
	}
	var words []string
	for _, r := range was {
		words = append(words, whyNot(adv, p, r))
	}
	slices.Sort(words)
	return some(slices.Compact(words), 3)
}

func whyNot(adv Advisories, p plimsoll.Package, was plimsoll.Reason) string {
	if !slices.Contains(adv.Ecosystems(), was.Ecosystem) {
		return fmt.Sprintf("the database holds no advisories for %s any more", was.Ecosystem)
	}
	affected, err := adv.Affected(was.Ecosystem, was.Package)
	if err != nil {
		return fmt.Sprintf("%s could not be read: %v", was.Advisory, err)
	}
	affected = slices.DeleteFunc(slices.Clone(affected), func(a plimsoll.Affected) bool { return a.AdvisoryID != was.Advisory })
	if len(affected) == 0 {
		return fmt.Sprintf("%s was withdrawn or does not name %s any more", was.Advisory, was.Package)
	}
	scheme := version.Scheme(was.Scheme)
	v, err := version.Parse(scheme, was.Version)
	if err != nil {
		return fmt.Sprintf("%s was changed", was.Advisory)
	}
	var ranges []string
	for _, r := range compile(affected, scheme) {
		for _, s := range r.spans {
			if s.scheme == scheme && s.contains(v) {
				return fmt.Sprintf("%s is overruled: another record says that %s %s is not affected", was.Advisory, p.Name, was.Version)
			}
			ranges = append(ranges, s.String())
		}
		if listed, ok := r.lists(v, was.Version); ok {
			return fmt.Sprintf("%s is overruled: another record says that %s %s is not affected", was.Advisory, p.Name, listed)
		}
		ranges = append(ranges, r.Versions...)
	}
	if len(ranges) == 0 {
		return fmt.Sprintf("%s does not call any version of %s affected any more", was.Advisory, was.Package)
	}
	slices.Sort(ranges)
	return fmt.Sprintf("%s now says %s, which %s is not", was.Advisory, some(slices.Compact(ranges), 3), was.Version)
}
