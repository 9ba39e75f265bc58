package match

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/version"
)

// start is OSV's spelling of the point before every version. Feeds also write
// it for "fixed before it was ever here" (acceptance DEB-07, APK-02).
const start = "0"

// record is one advisory about one package with its versions parsed, so that
// every package of that name is judged at the price of a few comparisons.
type record struct {
	*plimsoll.Affected
	spans []span
	// fixes are the versions that events call fixed, under the order of the
	// ecosystem, in the order of the record.
	fixes []version.Version
	rpm   rpmMarks
	state bool // the present state of one flaw, not the notice of an update
	pro   bool // of Ubuntu's paid extension
	// problem says why a range was left out; empty when all could be read.
	problem string
}

// span is one uninterrupted run of affected versions: from (inclusive) up to
// to (exclusive, or inclusive for the last affected version).
type span struct {
	scheme    version.Scheme
	from, to  version.Version // zero: without beginning, without end
	inclusive bool            // to is itself affected
}

func (s *span) open() bool { return s.to == version.Version{} }

func (s *span) contains(v version.Version) bool {
	if s.from != (version.Version{}) && v.Compare(s.from) < 0 {
		return false
	}
	if s.open() {
		return true
	}
	c := v.Compare(s.to)
	return c < 0 || c == 0 && s.inclusive
}

func (s *span) String() string {
	var parts []string
	if s.from != (version.Version{}) {
		parts = append(parts, ">= "+s.from.String())
	}
	switch {
	case s.open():
	case s.inclusive:
		parts = append(parts, "<= "+s.to.String())
	default:
		parts = append(parts, "< "+s.to.String())
	}
	if len(parts) == 0 {
		return ">= " + start
	}
	return strings.Join(parts, ", ")
}

// compile parses the records of one package. Rows of one advisory about several
// flaws share their ranges; each list is parsed once.
func compile(affected []plimsoll.Affected, scheme version.Scheme) []record {
	records := make([]record, len(affected))
	room := roomFor(affected)
	for i := range affected {
		a := &affected[i]
		r := &records[i]
		if i > 0 && len(a.Ranges) > 0 && len(a.Ranges) == len(affected[i-1].Ranges) && &a.Ranges[0] == &affected[i-1].Ranges[0] {
			*r = records[i-1]
			r.Affected = a
			continue
		}
		r.Affected = a
		r.state = strings.Contains(a.AdvisoryID, "-CVE-")
		r.pro = isPro(a.Ecosystem)
		spans, fixes := len(room.spans), len(room.fixes)
		for _, rng := range a.Ranges {
			if err := room.parse(rng, scheme); err != nil {
				r.problem = err.Error() // the other ranges still speak (acceptance ADV-11)
			}
		}
		r.spans, r.fixes = slices.Clip(merge(room.spans[spans:])), slices.Clip(room.fixes[fixes:])
		if scheme == version.RPM {
			r.rpm = marksOf(r)
		}
	}
	return records
}

// merge makes one span of those that begin where another ends. Some feeds write a
// range for each branch (1.0 to 2.0, 2.0 to 3.0): what ends there is the branch,
// not the flaw.
func merge(spans []span) []span {
	if len(spans) < 2 {
		return spans
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(strings.Compare(string(a.scheme), string(b.scheme)), a.from.Compare(b.from))
	})
	joined := spans[:1]
	for _, s := range spans[1:] {
		last := &joined[len(joined)-1]
		if s.scheme == last.scheme && !last.open() && !last.inclusive && s.from.Compare(last.to) == 0 {
			last.to, last.inclusive = s.to, s.inclusive
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// point is an event with its version parsed; start orders before every version.
type point struct {
	kind    pointKind
	atStart bool
	v       version.Version
}

type pointKind int8

const (
	introduced pointKind = iota
	fixed
	lastAffected
)

// room holds the spans and fixes of all records of one package.
type room struct {
	spans []span
	fixes []version.Version
}

// roomFor makes room enough: a span needs an introduction.
func roomFor(affected []plimsoll.Affected) room {
	spans, fixes := 0, 0
	for i := range affected {
		for _, r := range affected[i].Ranges {
			for _, e := range r.Events {
				spans += btoi(e.Introduced != "")
				fixes += btoi(e.Fixed != "")
			}
		}
	}
	return room{make([]span, 0, spans), make([]version.Version, 0, fixes)}
}

// parse adds the spans of a range, as the OSV schema's evaluation algorithm
// defines: events in the order of their versions, whatever their order in the
// record (acceptance ADV-02); among equal versions the record's order stays. A
// second fix after one introduction changes nothing. A range with a version
// that cannot be read adds nothing.
func (m *room) parse(r plimsoll.Range, scheme version.Scheme) (err error) {
	spans, fixes := m.spans, m.fixes
	own := scheme
	switch r.Type {
	case plimsoll.RangeEcosystem:
	case plimsoll.RangeSemVer:
		if scheme != version.Go { // Go's order is SemVer and reads toolchain names too
			scheme = version.SemVer
		}
	default:
		return nil // commits are not versions (acceptance ADV-03)
	}
	var limit version.Version
	limited := false
	var buf [8]point // room for the events of an ordinary range, on the stack
	points := buf[:0]
	for _, e := range r.Events {
		var p point
		text := e.Introduced
		switch {
		case e.Introduced != "":
		case e.Fixed != "":
			p.kind, text = fixed, e.Fixed
		case e.LastAffected != "":
			p.kind, text = lastAffected, e.LastAffected
		case e.Limit == "*" || e.Limit == "":
			continue
		default:
			v, err := version.Parse(scheme, e.Limit)
			if err != nil {
				return err
			}
			if !limited || v.Compare(limit) > 0 { // below any limit is below the greatest
				limit, limited = v, true
			}
			continue
		}
		if p.atStart = text == start && p.kind != lastAffected; !p.atStart {
			if p.v, err = version.Parse(scheme, text); err != nil {
				return err
			}
			if p.kind == fixed && scheme == own {
				fixes = append(fixes, p.v)
			} else if p.kind == fixed {
				if f, err := version.Parse(own, text); err == nil {
					fixes = append(fixes, f)
				}
			}
		}
		points = append(points, p)
	}
	slices.SortStableFunc(points, func(a, b point) int {
		if a.atStart || b.atStart {
			return cmp.Compare(btoi(b.atStart), btoi(a.atStart))
		}
		return a.v.Compare(b.v)
	})
	affected := false
	for _, p := range points {
		switch {
		case p.kind == introduced && !affected:
			spans, affected = append(spans, span{scheme: scheme, from: p.v}), true
		case p.kind != introduced && affected:
			last := &spans[len(spans)-1]
			last.to, last.inclusive, affected = p.v, p.kind == lastAffected, false
			if p.atStart {
				spans = spans[:len(spans)-1] // affected before every version: never
			}
		}
	}
	if limited {
		for i := range spans[len(m.spans):] {
			if s := &spans[len(m.spans)+i]; s.open() || s.to.Compare(limit) >= 0 {
				s.to, s.inclusive = limit, false
			}
		}
	}
	m.spans, m.fixes = spans, fixes
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lists says whether the record names the version one by one. The spelling
// counts first; equal versions in another spelling count when there is no
// range that would say so (1.0 and 1.0.0 of PyPI).
func (r *record) lists(v version.Version, text string) (listed string, ok bool) {
	if slices.Contains(r.Versions, text) {
		return text, true
	}
	if len(r.spans) > 0 || r.problem != "" {
		return "", false
	}
	for _, s := range r.Versions {
		if len(s) > 0 && len(text) > 0 && !sameStart(s, text) {
			continue
		}
		if w, err := version.Parse(v.Scheme(), s); err == nil && w.Compare(v) == 0 {
			return s, true
		}
	}
	return "", false
}

// sameStart spares parsing: versions that are equal in two spellings begin with
// the same digits, apart from a leading v.
func sameStart(a, b string) bool {
	a, b = strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v")
	return a != "" && b != "" && a[0] == b[0]
}
