package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/vulndb"
)

// The limits of one OSV record.
const (
	maxRecord     = 16 << 20 // bytes of JSON; the largest published have one
	maxAffected   = 100_000  // packages
	maxIDs        = 4_096    // aliases, upstream and related IDs, each
	maxID         = 256      // bytes of an ID
	maxName       = 768      // bytes of a package name or an ecosystem
	maxVersion    = 256      // bytes of a version
	maxSummary    = 4 << 10  // bytes kept
	maxDetails    = 64 << 10 // bytes kept
	maxReferences = 256      // links kept
	maxReference  = 2 << 10  // bytes of a link
)

// osvRecord is what Plimsoll reads of an OSV record (schema 1.7). Unknown fields
// are skipped; the parts that each database fills as it likes are read later,
// by those who know them.
type osvRecord struct {
	ID         string         `json:"id"`
	Modified   string         `json:"modified"`
	Published  string         `json:"published"`
	Withdrawn  string         `json:"withdrawn"`
	Aliases    []string       `json:"aliases"`
	Upstream   []string       `json:"upstream"`
	Related    []string       `json:"related"`
	Summary    string         `json:"summary"`
	Details    string         `json:"details"`
	Severity   []osvSeverity  `json:"severity"`
	Affected   []osvAffected  `json:"affected"`
	References []osvReference `json:"references"`
	Specific   databaseWords  `json:"database_specific"`
}

type osvSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type osvReference struct {
	URL string `json:"url"`
}

type osvAffected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
		PURL      string `json:"purl"`
	} `json:"package"`
	Severity  []osvSeverity   `json:"severity"`
	Ranges    []osvRange      `json:"ranges"`
	Versions  []string        `json:"versions"`
	Ecosystem json.RawMessage `json:"ecosystem_specific"`
	Database  json.RawMessage `json:"database_specific"`
}

type osvRange struct {
	Type   string     `json:"type"`
	Events []osvEvent `json:"events"`
}

type osvEvent struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// databaseWords is what some databases say about the whole record. It never
// fails: a field of another type says nothing.
type databaseWords struct {
	Severity string
}

func (w *databaseWords) UnmarshalJSON(b []byte) error {
	var v struct {
		Severity any `json:"severity"`
	}
	if json.Unmarshal(b, &v) == nil {
		w.Severity, _ = v.Severity.(string)
	}
	return nil
}

// errNotAdvisory marks a record about an update that fixes no flaw.
var errNotAdvisory = errors.New("not about a flaw")

// parseOSV reads one record. take says which ecosystem families are wanted, so
// that a record that another ecosystem shares does not make a source look
// covered that was never read; nil takes all.
func parseOSV(b []byte, take map[string]bool) (vulndb.Record, error) {
	if len(b) > maxRecord {
		return vulndb.Record{}, fmt.Errorf("the record is larger than %d bytes", maxRecord)
	}
	var o osvRecord
	if err := json.Unmarshal(b, &o); err != nil {
		return vulndb.Record{}, err
	}
	if err := o.check(); err != nil {
		return vulndb.Record{}, err
	}
	pub := publisherOf(o.ID)
	// A date that cannot be read is no reason to miss a flaw: it is unknown.
	modified, _ := parseTime(o.Modified)
	r := vulndb.Record{Advisory: plimsoll.Advisory{
		ID:        o.ID,
		Provider:  pub.name,
		Aliases:   tidyIDs(o.Aliases, o.ID),
		Upstream:  tidyIDs(o.Upstream, o.ID),
		Related:   tidyIDs(o.Related, o.ID),
		Modified:  modified,
		Summary:   clip(o.Summary, maxSummary),
		Details:   clip(o.Details, maxDetails),
		Malicious: strings.HasPrefix(o.ID, "MAL-"),
	}}
	a := &r.Advisory
	a.Published, _ = parseTime(o.Published)
	if o.Withdrawn != "" {
		// A withdrawal with a date that cannot be read is a withdrawal.
		if a.Withdrawn, _ = parseTime(o.Withdrawn); a.Withdrawn.IsZero() {
			a.Withdrawn = time.Unix(0, 0).UTC()
		}
	}
	for _, ref := range o.References[:min(len(o.References), maxReferences)] {
		if ref.URL != "" && len(ref.URL) <= maxReference {
			a.References = append(a.References, ref.URL)
		}
	}
	a.Ratings = recordRatings(&o, pub)
	r.Flaws = flawsOf(a, pub)
	if pub.fixes && len(r.Flaws) == 0 {
		return vulndb.Record{}, errNotAdvisory
	}
	if !a.Withdrawn.IsZero() {
		return r, nil
	}
	var err error
	r.Affected, err = o.affected(take)
	return r, err
}

func (o *osvRecord) check() error {
	if o.ID == "" || len(o.ID) > maxID {
		return errors.New("the record has no usable id")
	}
	if n := len(o.Affected); n > maxAffected {
		return fmt.Errorf("the record names %d packages, more than %d", n, maxAffected)
	}
	if n := max(len(o.Aliases), len(o.Upstream), len(o.Related)); n > maxIDs {
		return fmt.Errorf("the record names %d other records, more than %d", n, maxIDs)
	}
	return nil
}

// parseTime reads an RFC 3339 time. Years that a varint of seconds or a report
// could not carry are refused.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, err
	}
	if y := t.Year(); y < 1970 || y > 9999 {
		return time.Time{}, fmt.Errorf("year %d", y)
	}
	return t.UTC(), nil
}

// tidyIDs returns the usable IDs but self, sorted, each once.
func tidyIDs(ids []string, self string) []string {
	var tidy []string
	for _, id := range ids {
		if id != "" && id != self && len(id) <= maxID && strings.IndexByte(id, 0) < 0 {
			tidy = append(tidy, id)
		}
	}
	slices.Sort(tidy)
	return slices.Compact(tidy)
}

// clip cuts s to at most n bytes, at a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// flawsOf says which flaws a record is about when it is not itself a name of
// one (acceptance ADV-05, ADV-06); nil when its ID and aliases name one flaw.
// Two CVE IDs are two flaws, even under "aliases". Distributions name their
// CVEs under "upstream", some under "related".
func flawsOf(a *plimsoll.Advisory, pub publisher) []string {
	switch cves := withPrefix(a.Aliases, "CVE-"); {
	case len(cves) > 1:
		return cves
	case len(cves) == 1 || strings.HasPrefix(a.ID, "CVE-"):
		return nil
	}
	if flaws := flawIDs(a.Upstream); len(flaws) > 0 {
		return flaws
	}
	if !pub.distribution {
		return nil
	}
	if flaws := flawIDs(a.Related); len(flaws) > 0 {
		return flaws
	}
	if id := bareID(a.ID); id != a.ID {
		return []string{id}
	}
	return nil
}

// flawIDs picks the IDs that name flaws: the CVE IDs, else the GHSA IDs, since
// these stand for the same flaws where both are given.
func flawIDs(ids []string) []string {
	bare := make([]string, 0, len(ids))
	for _, id := range ids {
		bare = append(bare, bareID(id))
	}
	slices.Sort(bare)
	bare = slices.Compact(bare)
	if cves := withPrefix(bare, "CVE-"); len(cves) > 0 {
		return cves
	}
	return withPrefix(bare, "GHSA-")
}

// bareID takes a distribution's prefix off a CVE ID, "DEBIAN-CVE-2024-1", and the
// package behind it, "DHI-CVE-2024-1-tar".
func bareID(id string) string {
	if i := strings.Index(id, "-CVE-"); i > 0 && publisherOf(id).distribution {
		parts := strings.SplitN(id[i+1:], "-", 4)
		return strings.Join(parts[:min(3, len(parts))], "-")
	}
	return id
}

func withPrefix(ids []string, prefix string) []string {
	var list []string
	for _, id := range ids {
		if strings.HasPrefix(id, prefix) {
			list = append(list, id)
		}
	}
	return list
}
