package vulndb

import (
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"

	"plimsoll"
)

// The events of a range, as one byte before their version.
const (
	eventIntroduced = iota
	eventFixed
	eventLastAffected
	eventLimit
)

// rangeTypes gives the number under which a range type is stored.
var rangeTypes = [...]plimsoll.RangeType{plimsoll.RangeEcosystem, plimsoll.RangeSemVer}

// maxRows bounds how many records one package may have after expansion by
// vulnerability, and their ranges, events and versions. The Linux kernel has
// some ten thousand records a release.
const maxRows = 1 << 20

// appendAffected writes one record about one package; flaws are the
// vulnerabilities that it stands for. Ecosystem and package are its key.
func appendAffected(b []byte, a *plimsoll.Affected, flaws []string) []byte {
	b = appendString(b, a.AdvisoryID)
	b = appendStrings(b, flaws)
	b = appendString(b, a.Provider)
	b = appendTime(b, a.Modified)
	b = appendString(b, string(a.State))
	b = appendString(b, a.Note)
	b = appendBool(b, a.Malicious)
	b = appendBool(b, a.Preferred)
	b = binary.AppendUvarint(b, uint64(len(a.Ranges)))
	for _, r := range a.Ranges {
		b = append(b, byte(max(0, slices.Index(rangeTypes[:], r.Type))))
		b = binary.AppendUvarint(b, uint64(len(r.Events)))
		for _, e := range r.Events {
			kind, version := eventOf(e)
			b = appendString(append(b, kind), version)
		}
	}
	b = appendStrings(b, a.Versions)
	b = appendRatings(b, a.Ratings)
	b = appendStrings(b, a.Arches)
	b = appendBool(b, a.Epochless)
	return appendStrings(b, a.Modules)
}

func eventOf(e plimsoll.Event) (kind byte, version string) {
	switch {
	case e.Introduced != "":
		return eventIntroduced, e.Introduced
	case e.Fixed != "":
		return eventFixed, e.Fixed
	case e.LastAffected != "":
		return eventLastAffected, e.LastAffected
	}
	return eventLimit, e.Limit
}

// affected reads one record and the vulnerabilities that it stands for.
func (d *decoder) affected() (a plimsoll.Affected, flaws []string) {
	a.AdvisoryID = d.string()
	flaws = d.strings()
	a.Provider = d.string()
	a.Modified = d.time()
	a.State = plimsoll.FixState(d.string())
	a.Note = d.string()
	a.Malicious = d.bool()
	a.Preferred = d.bool()
	if n := d.length(); n > 0 {
		a.Ranges = cut(&d.rangePool, n)
		for range n {
			a.Ranges = append(a.Ranges, d.versionRange())
		}
	}
	a.Versions = d.strings()
	a.Ratings = d.ratings()
	a.Arches = d.strings()
	a.Epochless = d.bool()
	a.Modules = d.strings()
	return a, flaws
}

func (d *decoder) versionRange() plimsoll.Range {
	kind := d.byte()
	if int(kind) >= len(rangeTypes) {
		d.fail()
		return plimsoll.Range{}
	}
	r := plimsoll.Range{Type: rangeTypes[kind]}
	n := d.length()
	r.Events = cut(&d.eventPool, n)
	for range n {
		kind, version := d.byte(), d.string()
		var e plimsoll.Event
		switch kind {
		case eventIntroduced:
			e.Introduced = version
		case eventFixed:
			e.Fixed = version
		case eventLastAffected:
			e.LastAffected = version
		case eventLimit:
			e.Limit = version
		default:
			d.fail()
		}
		r.Events = append(r.Events, e)
	}
	return r
}

// counts says how many elements the records of a package have, so that reading
// them allocates once for each kind.
type counts struct{ rows, ranges, events, strings int }

// add counts one record that stands for some flaws.
func (c *counts) add(a *plimsoll.Affected, flaws []string) {
	c.rows += len(flaws)
	c.ranges += len(a.Ranges)
	for _, r := range a.Ranges {
		c.events += len(r.Events)
	}
	c.strings += len(flaws) + len(a.Versions) + len(a.Arches) + len(a.Modules)
}

func (c counts) append(b []byte) []byte {
	for _, n := range []int{c.rows, c.ranges, c.events, c.strings} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// size is about the memory that the elements take, in bytes.
func (c counts) size() int {
	return c.rows*int(unsafe.Sizeof(plimsoll.Affected{})) + c.ranges*int(unsafe.Sizeof(plimsoll.Range{})) +
		c.events*int(unsafe.Sizeof(plimsoll.Event{})) + c.strings*int(unsafe.Sizeof(""))
}

// decodePackage reads all records of a package: the counts, then the records.
// An advisory about several vulnerabilities is stored once and expanded here;
// its rows share their lists. size is about the memory taken.
func decodePackage(ecosystem, name string, value []byte) (rows []plimsoll.Affected, size int, err error) {
	d := &decoder{s: string(value)}
	c := counts{d.length(), d.length(), d.length(), d.length()}
	if d.err != nil || max(c.rows, c.ranges, c.events, c.strings) > maxRows {
		return nil, 0, errMalformed
	}
	d.rangePool = make([]plimsoll.Range, c.ranges)
	d.eventPool = make([]plimsoll.Event, c.events)
	d.stringPool = make([]string, c.strings)
	rows = make([]plimsoll.Affected, 0, c.rows)
	for d.err == nil && len(d.s) > 0 {
		a, flaws := d.affected()
		a.Ecosystem, a.Package = ecosystem, name
		if len(rows)+len(flaws) > c.rows {
			return nil, 0, errMalformed
		}
		for _, flaw := range flaws {
			a.Vulnerability = flaw
			rows = append(rows, a)
		}
	}
	if d.err != nil || len(rows) != c.rows {
		return nil, 0, errMalformed
	}
	return rows, c.size() + len(value), nil
}

// packageKey is the key of a package in its table. Neither part holds a NUL
// (the writer refuses such names), so that keys cannot be confused.
func packageKey(ecosystem, name string) string { return ecosystem + "\x00" + name }

func cutPackageKey(key string) (ecosystem, name string) {
	ecosystem, name, _ = strings.Cut(key, "\x00")
	return ecosystem, name
}
