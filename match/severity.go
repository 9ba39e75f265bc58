package match

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll"
)

// Whose rating counts, best first (want 13): the vendor of the package knows
// its build, the publisher of the advisory that matched knows the package. All
// others follow in the order of plimsoll.RaterRank, so that another
// distribution's view of its own build comes last.
const (
	ratedForPackage = iota // by the publisher of a record, for this very package
	ratedByRecord          // by the publisher of a record that matched
	ratedByOthers
)

// rate chooses the severity of a flaw as it concerns one package and keeps all
// ratings. A flaw that nobody rated stays unknown, which sorts above low; a
// package that is itself the attack is critical whatever anybody rated.
func rate(v *plimsoll.Vulnerability, about []opinion) {
	var own []plimsoll.Rating
	publishers := make(map[string]bool, 2)
	for i := range about {
		if o := &about[i]; o.affected {
			own = append(own, o.Ratings...)
			publishers[o.Provider] = true
			v.Malicious = v.Malicious || o.Malicious
		}
	}
	best, bestClass := plimsoll.Rating{Severity: plimsoll.SeverityUnknown}, ratedByOthers+plimsoll.RankBuilder+1
	classOf := func(source string, published int) int {
		if publishers[source] {
			return published
		}
		return ratedByOthers + plimsoll.RaterRank(source)
	}
	consider := func(r plimsoll.Rating, class int) {
		if r.Severity == plimsoll.SeverityNone && r.Score > 0 {
			r.Severity = plimsoll.SeverityOfScore(r.Score)
		}
		if r.Severity == plimsoll.SeverityUnknown {
			return
		}
		if c := cmp.Compare(class, bestClass); c < 0 || c == 0 && better(r, best) {
			best, bestClass = r, class
		}
	}
	for _, r := range own {
		consider(r, classOf(r.Source, ratedForPackage)) // a record may also copy what others say
	}
	for _, r := range v.Ratings {
		consider(r, classOf(r.Source, ratedByRecord))
	}
	if len(own) > 0 {
		v.Ratings = slices.Concat(v.Ratings, own)
		slices.SortFunc(v.Ratings, compareRatings)
		v.Ratings = slices.Compact(v.Ratings)
	}
	switch {
	case best.Severity != plimsoll.SeverityUnknown:
		v.Severity, v.SeveritySource = best.Severity, best.Source
	case v.SeveritySource == "":
		v.Severity = plimsoll.SeverityUnknown
	}
	if v.Malicious {
		v.Severity, v.SeveritySource = plimsoll.SeverityCritical, about[0].Provider
	}
}

// better decides between ratings of one class: the newer method, then the worse
// judgement, then the order of their text, so that the choice never depends on
// the order of the records.
func better(a, b plimsoll.Rating) bool {
	return cmp.Or(strings.Compare(b.Method, a.Method), -cmp.Compare(a.Severity, b.Severity), compareRatings(a, b)) < 0
}

func compareRatings(a, b plimsoll.Rating) int {
	return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Method, b.Method),
		strings.Compare(a.Vector, b.Vector), cmp.Compare(a.Score, b.Score), cmp.Compare(a.Severity, b.Severity))
}
