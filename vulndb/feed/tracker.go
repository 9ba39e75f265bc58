package feed

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/vulndb"
)

// The limits of Debian's security tracker.
const (
	maxTracker        = 1 << 30   // bytes of JSON; the file has some seventy million
	maxTrackerEntries = 4_000_000 // states of a flaw in a package of a release; it has some half a million
)

// trackerPrefix begins the IDs of records from the tracker itself. Those that OSV
// derives from it begin with DEBIAN and are other records.
const trackerPrefix = "DEBIANTRACKER"

// trackerFlaw is the state of one flaw in one source package, as the tracker
// exports it in JSON (security-tracker, bin/tracker_service.py).
type trackerFlaw struct {
	Description string                    `json:"description"`
	Releases    map[string]trackerRelease `json:"releases"`
}

type trackerRelease struct {
	Status  string  `json:"status"` // open, resolved, undetermined
	Fixed   string  `json:"fixed_version"`
	Urgency string  `json:"urgency"`
	NoDSA   *string `json:"nodsa"`
	Reason  string  `json:"nodsa_reason"` // "", ignored, postponed
}

// trackerEntry is what is kept of it: many of them are in memory until the last
// package has been read, since a flaw's record names packages from all over the
// file.
type trackerEntry struct {
	ecosystem, source, fixed, urgency, note string
	state                                   plimsoll.FixState
}

// parseTracker reads the tracker's export and calls visit with one record for
// each flaw, in their order. Releases that Plimsoll does not know are skipped:
// the tracker names them by codename alone.
func parseTracker(in io.Reader, visit func(vulndb.Record) error) error {
	t := tracker{flaws: map[string][]trackerEntry{}, texts: map[string]string{}, same: map[string]string{}, releases: map[string]string{}}
	if err := t.read(json.NewDecoder(&capped{in, maxTracker})); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(t.flaws)) {
		if err := visit(t.record(id)); err != nil {
			return err
		}
	}
	return nil
}

type tracker struct {
	flaws    map[string][]trackerEntry
	texts    map[string]string
	same     map[string]string // equal strings, kept once
	releases map[string]string // ecosystem by codename; empty when not known
	entries  int
}

func (t *tracker) read(d *json.Decoder) error {
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return errors.New("the file is not the tracker's data in JSON")
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		source := token.(string) // the decoder allows no other key
		var flaws map[string]trackerFlaw
		if err := d.Decode(&flaws); err != nil {
			return fmt.Errorf("source package %.80q: %w", source, err)
		}
		if source == "" || len(source) > maxName || strings.IndexByte(source, 0) >= 0 {
			return fmt.Errorf("source package %.80q has no usable name", source)
		}
		for id, flaw := range flaws {
			if id == "" || len(id) > maxID || strings.IndexByte(id, 0) >= 0 {
				return fmt.Errorf("a flaw of %.80q has no usable name", source)
			}
			if err := t.add(source, id, flaw); err != nil {
				return fmt.Errorf("%s in %.80q: %w", id, source, err)
			}
		}
	}
	_, err := d.Token()
	return err
}

func (t *tracker) add(source, id string, flaw trackerFlaw) error {
	for codename, r := range flaw.Releases {
		ecosystem, known := t.releases[codename]
		if !known {
			if d, ok := (plimsoll.OS{ID: "debian", Codename: codename}).Distribution(); ok && len(d.Ecosystems) == 1 {
				ecosystem = d.Ecosystems[0]
			}
			t.releases[codename] = ecosystem
		}
		if ecosystem == "" {
			continue
		}
		e, err := r.entry()
		if err != nil {
			return err
		}
		if t.entries++; t.entries > maxTrackerEntries {
			return fmt.Errorf("the file has more than %d states", maxTrackerEntries)
		}
		e.ecosystem, e.source = ecosystem, t.once(source)
		e.urgency, e.note = t.once(e.urgency), t.once(e.note)
		t.flaws[id] = append(t.flaws[id], e)
	}
	if len(t.texts[id]) < len(flaw.Description) && len(t.flaws[id]) > 0 {
		t.texts[id] = clip(flaw.Description, maxSummary)
	}
	return nil
}

func (t *tracker) once(s string) string {
	if kept, ok := t.same[s]; ok {
		return kept
	}
	s = strings.Clone(s)
	t.same[s] = s
	return s
}

// entry translates a state (acceptance DEB-07).
func (r *trackerRelease) entry() (e trackerEntry, err error) {
	if len(r.Fixed) > maxVersion {
		return e, fmt.Errorf("a version is longer than %d bytes", maxVersion)
	}
	e.urgency = strings.TrimRight(r.Urgency, "*")
	switch r.Status {
	case "resolved":
		// Fixed in 0 is how the tracker says that the release never had the flaw.
		if e.fixed = r.Fixed; e.fixed == "" {
			return e, errors.New("resolved without a version")
		}
		return e, nil
	case "open":
		e.state = plimsoll.FixNone
	case "undetermined":
		e.state, e.note = plimsoll.FixInvestigating, "undetermined"
	default:
		return e, fmt.Errorf("status %.40q is not known", r.Status)
	}
	switch {
	case e.urgency == "end-of-life":
		e.state, e.note = plimsoll.FixEndOfLife, "end-of-life"
	case r.NoDSA == nil:
	case r.Reason == "ignored":
		e.state = plimsoll.FixRefused
	default: // postponed, or not worth an advisory of its own
		e.state = plimsoll.FixDeferred
	}
	if r.NoDSA != nil {
		e.note = clip(cmp.Or(r.Reason, "no-dsa")+": "+*r.NoDSA, maxNote)
	}
	return e, nil
}

// record builds the record of one flaw.
func (t *tracker) record(id string) vulndb.Record {
	r := vulndb.Record{
		Advisory: plimsoll.Advisory{
			ID: trackerPrefix + "-" + id, Provider: "Debian security tracker",
			Upstream: []string{id}, Summary: t.texts[id],
			References: []string{"https://security-tracker.debian.org/tracker/" + id},
		},
		Flaws: []string{id},
	}
	entries := t.flaws[id]
	slices.SortFunc(entries, func(a, b trackerEntry) int {
		return cmp.Or(strings.Compare(a.ecosystem, b.ecosystem), strings.Compare(a.source, b.source))
	})
	for _, e := range entries {
		row := rowUntil(plimsoll.Event{Fixed: e.fixed})
		row.Ecosystem, row.Package, row.State, row.Note = e.ecosystem, e.source, e.state, e.note
		switch e.urgency {
		case "end-of-life", "not yet assigned":
		default:
			row.Ratings = wordRating("Debian", "urgency", e.urgency)
		}
		r.Affected = append(r.Affected, row)
	}
	return r
}
