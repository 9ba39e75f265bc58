package vulndb

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll"
)

// view merges what is known about one flaw. It raises nothing silently: the
// severity is that of the most general party that gave one, and all ratings
// stay in sight.
type view struct {
	v       plimsoll.Vulnerability
	aliases map[string]bool
	refs    map[string]bool
	ratings map[plimsoll.Rating]bool
	text    int // rank of the record that the texts come from
	textID  string
	live    bool
}

// maxReferences bounds the links kept in a merged view; the records keep theirs.
const maxReferences = 64

func newView(id string) *view {
	return &view{
		v:       plimsoll.Vulnerability{ID: id},
		aliases: map[string]bool{}, refs: map[string]bool{}, ratings: map[plimsoll.Rating]bool{},
	}
}

// addAdvisory merges a record. alias says that the record names the flaw itself
// and not a distribution's work on it; foreign that it is about other flaws too,
// so that its links and dates say little about this one.
func (w *view) addAdvisory(a *plimsoll.Advisory, alias, foreign bool) {
	w.live = true
	if alias {
		w.aliases[a.ID] = true
		for _, id := range a.Aliases {
			w.aliases[id] = true
		}
	}
	for _, r := range a.Ratings {
		w.ratings[r] = true
	}
	if rank := textRank(a, alias, foreign); w.text == 0 || rank < w.text || rank == w.text && a.ID < w.textID {
		w.v.Summary, w.v.Details = a.Summary, a.Details
		w.text, w.textID = rank, a.ID
	}
	w.v.Malicious = w.v.Malicious || a.Malicious
	w.v.Disputed = w.v.Disputed || alias && disputed(a)
	if foreign {
		return
	}
	for _, r := range a.References {
		w.refs[r] = true
	}
	if !a.Published.IsZero() && (w.v.Published.IsZero() || a.Published.Before(w.v.Published)) {
		w.v.Published = a.Published
	}
}

// textRank orders records by how well their texts explain the flaw.
func textRank(a *plimsoll.Advisory, alias, foreign bool) int {
	rank := 1
	switch {
	case strings.HasPrefix(a.ID, "CVE-"):
	case strings.HasPrefix(a.ID, "GHSA-"):
		rank = 2
	case alias:
		rank = 3
	case !foreign:
		rank = 4
	default:
		rank = 5
	}
	if a.Summary == "" && a.Details == "" {
		rank += 10
	}
	return rank
}

// disputed says whether a record's text marks the flaw as disputed, as CVE
// records do.
func disputed(a *plimsoll.Advisory) bool {
	return strings.Contains(a.Details, "** DISPUTED **") || strings.Contains(a.Summary, "** DISPUTED **") ||
		strings.HasPrefix(a.Details, "Disputed")
}

// finish returns the merged view.
func (w *view) finish() *plimsoll.Vulnerability {
	delete(w.aliases, w.v.ID)
	w.v.Aliases = sortedKeys(w.aliases)
	w.v.References = sortedKeys(w.refs)
	w.v.References = w.v.References[:min(len(w.v.References), maxReferences)]
	for r := range w.ratings {
		w.v.Ratings = append(w.v.Ratings, r)
	}
	slices.SortFunc(w.v.Ratings, compareRatings)
	w.v.Severity, w.v.SeveritySource = chooseSeverity(w.v.Ratings)
	return &w.v
}

func sortedKeys(set map[string]bool) []string {
	var keys []string
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func compareRatings(a, b plimsoll.Rating) int {
	return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Method, b.Method),
		cmp.Compare(a.Vector, b.Vector), cmp.Compare(a.Score, b.Score), cmp.Compare(a.Severity, b.Severity))
}

// chooseSeverity picks the rating to sort by: by party, then the newer method;
// a word only when the party gave no score; among equals the worst.
func chooseSeverity(ratings []plimsoll.Rating) (plimsoll.Severity, string) {
	best := plimsoll.Rating{Severity: plimsoll.SeverityUnknown}
	found := false
	for _, r := range ratings {
		if r.Severity == plimsoll.SeverityUnknown {
			continue
		}
		if !found || cmp.Or(cmp.Compare(plimsoll.RaterRank(r.Source), plimsoll.RaterRank(best.Source)),
			-strings.Compare(r.Method, best.Method), -cmp.Compare(r.Severity, best.Severity),
			strings.Compare(r.Source, best.Source)) < 0 {
			best, found = r, true
		}
	}
	return best.Severity, best.Source
}
