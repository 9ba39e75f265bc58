// Package match judges an inventory by advisories: which vulnerabilities are in
// which package, why, and what to do about them.
//
// It owns the question whom to ask about a package (the distribution for its
// own packages, the ecosystem for the others), the evaluation of ranges, the
// choice between records that disagree, severity, the fix, the account of what
// nobody could be asked about, and the rectification plan. It is pure: the same
// inventory and the same advisories give the same bytes, no clock is read.
//
// It refuses to read advisories or images (it is given both), to compare by
// guess (a version that cannot be read is a problem, never a finding), and to
// hide anything: what an informational status explains is still a finding.
//
// Trust: package names, versions and paths come from images, records from
// feeds; both are hostile. Nothing here panics on them, and the commands of a
// plan are quoted for a POSIX shell or left out.
package match

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/version"
)

// Advisories is the generation that answers. Its answers are read, never
// changed, and must be the same each time.
type Advisories interface {
	// Affected returns every record about a package; the name is in the form of
	// plimsoll.NormalizeName. No record is no error.
	Affected(ecosystem, name string) ([]plimsoll.Affected, error)
	// Vulnerability returns the merged view of a flaw. An error with
	// CodeNotFound is not fatal: the finding then carries the ID alone.
	Vulnerability(id string) (plimsoll.Vulnerability, error)
	// Ecosystems lists those with at least one record, in OSV's spelling.
	Ecosystems() []string
}

// Options are the choices of whoever asks.
type Options struct {
	// Comprehensive also judges language packages that a system package owns, as
	// findings with StatusOwned.
	Comprehensive bool
	// Distro replaces the identity of the image's own system: "debian:12".
	// Systems in other roots keep theirs.
	Distro string
	// Now is the date against which ends of life are judged: the date of the
	// advisories, so that the answer does not depend on the day of asking. The
	// zero time calls nothing ended.
	Now time.Time
}

// Evaluation is the answer for one inventory. Every list is sorted.
type Evaluation struct {
	Findings []plimsoll.Finding
	Coverage []plimsoll.Coverage
	Problems []plimsoll.Problem
}

// Evaluate judges every package of inv by adv. The error has CodeInvalid for a
// Distro that is not known; other errors are those of adv and ctx. Hostile
// input is no error: it becomes a problem of the Evaluation.
func Evaluate(ctx context.Context, adv Advisories, inv plimsoll.Inventory, o Options) (Evaluation, error) {
	census, err := ask(adv.Ecosystems(), inv, o)
	if err != nil {
		return Evaluation{}, err
	}
	e := evaluator{
		adv:   adv,
		flaws: make(map[string]plimsoll.Vulnerability),
		known: make(map[[2]string][]record),
	}
	for i := range census.subjects {
		if i%1024 == 0 && ctx.Err() != nil {
			return Evaluation{}, ctx.Err()
		}
		if err := e.judge(&census.subjects[i]); err != nil {
			return Evaluation{}, err
		}
	}
	problems := slices.Concat(census.problems, e.problems, e.streamProblem())
	sortProblems(problems)
	return Evaluation{Findings: sortFindings(e.findings), Coverage: census.coverage, Problems: problems}, nil
}

// evaluator judges subjects one after the other. Subjects come sorted by name,
// so it keeps no more than the records of the names at hand.
type evaluator struct {
	adv      Advisories
	flaws    map[string]plimsoll.Vulnerability
	source   string                 // the name that known is about
	known    map[[2]string][]record // by ecosystem and name
	trial    trial                  // scratch
	opinions []opinion              // scratch
	findings []plimsoll.Finding
	problems []plimsoll.Problem
	// streamless are the modular packages that some advisories were not applied to.
	streamless []string
	// reported keeps one unreadable record from being reported for every package.
	reported map[string]bool
}

// opinion is what one record says about one subject.
type opinion struct {
	*record
	asked     *name
	authority int
	affected  bool
	text      string // the range in words
	open      bool   // the range has no end
	// undated: true only when the commit is older than the flaw's publication.
	undated bool
	note    string
}

// name is one name to look up and the version that is compared under it.
type name struct {
	key     string // normalised
	version string
}

func (e *evaluator) judge(who *subject) error {
	if e.source != who.key {
		e.source = who.key
		clear(e.known)
	}
	e.trial = trial{subject: *who, names: who.scope.namesOf(e.trial.names[:0], who.pkg), pro: who.scope.system && usesPro(who.pkg)}
	s := &e.trial
	e.opinions = e.opinions[:0]
	hit := false
	for _, ecosystem := range s.scope.ecosystems {
		for i := range s.names {
			records, err := e.records(ecosystem, s.names[i].key, s.scope.scheme)
			if err != nil {
				return err
			}
			if len(records) == 0 {
				continue
			}
			if problem := s.parse(&s.names[i]); problem != "" {
				e.problem(s, plimsoll.ProblemBadVersion, problem)
				return nil
			}
			hit = e.weigh(s, &s.names[i], records) || hit
		}
	}
	if s.streamUnknown {
		e.streamless = append(e.streamless, s.pkg.Name)
	}
	if !hit {
		return nil
	}
	// All opinions about one flaw stand together, the affirmed flaws are judged.
	slices.SortStableFunc(e.opinions, func(a, b opinion) int { return strings.Compare(a.Vulnerability, b.Vulnerability) })
	for rest := e.opinions; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Vulnerability == rest[0].Vulnerability {
			n++
		}
		if slices.ContainsFunc(rest[:n], func(o opinion) bool { return o.affected }) {
			overruled, err := e.overruled(s, rest[0].Vulnerability)
			if err == nil && !overruled {
				err = e.conclude(s, rest[:n])
			}
			if err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	return nil
}

// nvdNote says what a match with NVD's list does not know (acceptance BIN-03).
const nvdNote = "low confidence: the version is a text in the program, and whoever built it may have fixed the flaw without changing it"

func (e *evaluator) records(ecosystem, key string, scheme version.Scheme) ([]record, error) {
	k := [2]string{ecosystem, key}
	if r, ok := e.known[k]; ok {
		return r, nil
	}
	affected, err := e.adv.Affected(ecosystem, key)
	if err != nil {
		return nil, fmt.Errorf("look up advisories: %w", err)
	}
	var records []record
	if len(affected) > 0 {
		records = compile(affected, scheme)
	}
	e.known[k] = records
	return records, nil
}

// weigh adds the opinion of each record and says whether one calls s affected.
func (e *evaluator) weigh(s *trial, asked *name, records []record) (hit bool) {
	for i := range records {
		r := &records[i]
		if r.problem != "" {
			e.unreadable(s, r)
		}
		if !s.concerns(r) {
			continue
		}
		o := opinion{record: r, asked: asked, authority: s.authority(r)}
		s.evaluate(r, &o)
		if o.affected && r.Ecosystem == plimsoll.EcosystemNVD {
			o.note = nvdNote
		}
		hit = hit || o.affected
		e.opinions = append(e.opinions, o)
	}
	return hit
}

// conclude makes the finding for one flaw from all opinions about it, unless
// the records with the most authority deny it.
func (e *evaluator) conclude(s *trial, about []opinion) error {
	flaw, err := e.flaw(about[0].Vulnerability)
	if err != nil {
		return err
	}
	authority := 0
	for i := range about {
		authority = max(authority, about[i].authority)
	}
	decided := false
	for i := range about {
		o := &about[i]
		if o.affected && o.undated {
			o.affected = !flaw.Published.IsZero() && s.pseudo.commit.Before(flaw.Published)
		}
		decided = decided || o.affected && o.authority == authority
	}
	if decided {
		e.findings = append(e.findings, s.finding(flaw, about, authority))
	}
	return nil
}

// overruled says whether the distribution knows a flaw of the package that owns
// an owned one, and denies it: the files of its build are what it spoke about
// (acceptance APK-03).
func (e *evaluator) overruled(s *trial, flaw string) (bool, error) {
	if s.owner == nil {
		return false, nil
	}
	o := trial{subject: *s.owner, names: s.owner.scope.namesOf(nil, s.owner.pkg)}
	authority, known, affirmed := 0, false, false
	for _, ecosystem := range o.scope.ecosystems {
		for i := range o.names {
			affected, err := e.adv.Affected(ecosystem, o.names[i].key)
			if err != nil {
				return false, fmt.Errorf("look up advisories: %w", err)
			}
			affected = slices.DeleteFunc(slices.Clone(affected), func(a plimsoll.Affected) bool { return a.Vulnerability != flaw })
			if len(affected) == 0 || o.parse(&o.names[i]) != "" {
				continue
			}
			for _, r := range compile(affected, o.scope.scheme) {
				if r.problem != "" || !o.concerns(&r) {
					continue
				}
				var says opinion
				o.evaluate(&r, &says)
				switch a := o.authority(&r); {
				case !known || a > authority:
					authority, known, affirmed = a, true, says.affected
				case a == authority:
					affirmed = affirmed || says.affected
				}
			}
		}
	}
	return known && !affirmed, nil
}

func (e *evaluator) flaw(id string) (plimsoll.Vulnerability, error) {
	if v, ok := e.flaws[id]; ok {
		return v, nil
	}
	v, err := e.adv.Vulnerability(id)
	if err != nil {
		if plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			return v, fmt.Errorf("look up vulnerability: %w", err)
		}
		v = plimsoll.Vulnerability{ID: id, Severity: plimsoll.SeverityUnknown}
	}
	e.flaws[id] = v
	return v, nil
}

func (e *evaluator) problem(s *trial, code plimsoll.ProblemCode, detail string) {
	e.problems = append(e.problems, plimsoll.Problem{Code: code, Path: s.pkg.Path, Layer: s.pkg.Layer, Detail: detail})
}

// streamProblem tells once of all modular packages that were not fully judged:
// they come in dozens and with one cause.
func (e *evaluator) streamProblem() []plimsoll.Problem {
	const named = 5
	names := sortedSet(e.streamless)
	if len(names) == 0 {
		return nil
	}
	return []plimsoll.Problem{{Code: plimsoll.ProblemStreamUnknown, Count: len(names),
		Detail: fmt.Sprintf("%s: built for a module, and the package or some advisories do not name its stream; advisories that may concern another stream were not applied", some(names, named))}}
}

func (e *evaluator) unreadable(s *trial, r *record) {
	key := r.AdvisoryID + "\x00" + r.Ecosystem + "\x00" + r.Package
	if e.reported[key] {
		return
	}
	if e.reported == nil {
		e.reported = make(map[string]bool)
	}
	e.reported[key] = true
	e.problems = append(e.problems, plimsoll.Problem{
		Code:   plimsoll.ProblemBadVersion,
		Detail: fmt.Sprintf("a range of advisory %s about %s %s was not judged: %s", r.AdvisoryID, r.Ecosystem, r.Package, r.problem),
	})
}

func sortProblems(problems []plimsoll.Problem) {
	slices.SortFunc(problems, func(a, b plimsoll.Problem) int {
		if c := strings.Compare(string(a.Code), string(b.Code)); c != 0 {
			return c
		}
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Detail, b.Detail)
	})
}
