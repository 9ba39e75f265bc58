package feed

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/vulndb"
)

// Preference says who is believed first about the packages of an ecosystem when
// several sources have an opinion. The others are shown as evidence, and decide
// where the preferred one has none.
type Preference struct {
	Ecosystem string `json:"ecosystem"` // without release: "Debian"
	Source    string `json:"source"`    // a kind of sources, "osv" for the exports, or the name of one source
}

// ParsePreference understands ECOSYSTEM=SOURCE, for example
// "Debian=debian-tracker". The error has CodeInvalid.
func ParsePreference(s string) (Preference, error) {
	ecosystem, source, ok := strings.Cut(s, "=")
	kind, _, named := strings.Cut(source, "/")
	_, known := kinds[kind]
	if !ok || !ecosystemName().MatchString(ecosystem) || named && strings.HasSuffix(source, "/") || kind != "osv" && !known {
		return Preference{}, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "understand a preference",
			Err:  fmt.Errorf("%q is no ecosystem and source", s),
			Hint: "write it as ECOSYSTEM=SOURCE, for example Debian=debian-tracker; the source is a kind of sources, osv, or a name that plimsoll db status shows"}
	}
	return Preference{ecosystem, source}, nil
}

func (p Preference) String() string { return p.Ecosystem + "=" + p.Source }

// preferences returns the source by ecosystem; the last one counts.
func preferences(list []Preference) map[string]string {
	m := make(map[string]string, len(list))
	for _, p := range list {
		m[p.Ecosystem] = p.Source
	}
	return m
}

func sortedPreferences(list []Preference) []Preference {
	var sorted []Preference
	for ecosystem, source := range preferences(list) {
		sorted = append(sorted, Preference{ecosystem, source})
	}
	slices.SortFunc(sorted, func(a, b Preference) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	return sorted
}

// mark notes what a record says about packages for which its source is the
// preferred one.
func (r *reader) mark(record *vulndb.Record, source string) {
	if len(r.prefer) == 0 {
		return
	}
	kind, _, _ := strings.Cut(source, "/")
	for i := range record.Affected {
		a := &record.Affected[i]
		family, _, _ := strings.Cut(a.Ecosystem, ":")
		if p, ok := r.prefer[family]; ok {
			a.Preferred = p == source || p == kind
		}
	}
}
