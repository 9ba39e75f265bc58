package vulndb

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"plimsoll"
)

// The values of the tables are written as lengths, numbers and strings in a
// fixed order: varints as in encoding/binary, strings and lists with their
// length before them, times as seconds since 1970 with one added, so that zero
// is "unknown".

var errMalformed = errors.New("malformed value")

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendStrings(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(b, t.Unix()+1)
}

func appendFloat(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendRatings(b []byte, list []plimsoll.Rating) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, r := range list {
		b = appendRating(b, r)
	}
	return b
}

func appendRating(b []byte, r plimsoll.Rating) []byte {
	b = appendString(b, r.Source)
	b = appendString(b, r.Method)
	b = appendString(b, r.Vector)
	b = appendFloat(b, r.Score)
	return append(b, byte(r.Severity))
}

// decoder reads values back. Strings share the memory of s, so that a decoded
// list costs one copy of its bytes. The first fault stays in err and turns all
// later reads into zero values.
type decoder struct {
	s   string
	err error

	// Where it is known how many elements follow, lists are cut from pools: a
	// package has many short ones.
	eventPool  []plimsoll.Event
	rangePool  []plimsoll.Range
	stringPool []string
}

// cut takes room for n elements from a pool, or allocates it. What is allocated
// on the list's own word about its length is bounded: it grows as its elements
// are read.
func cut[T any](pool *[]T, n int) []T {
	if len(*pool) < n {
		return make([]T, 0, min(n, allocStep))
	}
	list := (*pool)[:0:n]
	*pool = (*pool)[n:]
	return list
}

func (d *decoder) fail() {
	d.s, d.err = "", errMalformed
}

func (d *decoder) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(d.s) && i < binary.MaxVarintLen64; i++ {
		c := d.s[i]
		if c < 0x80 {
			if i == binary.MaxVarintLen64-1 && c > 1 {
				break
			}
			d.s = d.s[i+1:]
			return v | uint64(c)<<(7*i)
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	d.fail()
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// length reads the number of elements that follow. Each takes at least one
// byte, so that a number beyond the rest of the value is a fault and nothing is
// allocated for it.
func (d *decoder) length() int {
	n := d.uvarint()
	if n > uint64(len(d.s)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.length()
	s := d.s[:n]
	d.s = d.s[n:]
	return s
}

func (d *decoder) strings() []string {
	n := d.length()
	if n == 0 {
		return nil
	}
	list := cut(&d.stringPool, n)
	for range n {
		list = append(list, d.string())
	}
	return list
}

func (d *decoder) byte() byte {
	if len(d.s) == 0 {
		d.fail()
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) bool() bool { return d.byte() != 0 }

func (d *decoder) float() float64 {
	if len(d.s) < 8 {
		d.fail()
		return 0
	}
	var bits uint64
	for i := range 8 {
		bits |= uint64(d.s[i]) << (8 * i)
	}
	d.s = d.s[8:]
	return math.Float64frombits(bits)
}

func (d *decoder) time() time.Time {
	v := d.varint()
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(v-1, 0).UTC()
}

func (d *decoder) ratings() []plimsoll.Rating {
	n := d.length()
	if n == 0 {
		return nil
	}
	list := make([]plimsoll.Rating, 0, min(n, allocStep))
	for range n {
		list = append(list, d.rating())
	}
	return list
}

func (d *decoder) rating() plimsoll.Rating {
	return plimsoll.Rating{
		Source:   d.string(),
		Method:   d.string(),
		Vector:   d.string(),
		Score:    d.float(),
		Severity: plimsoll.Severity(d.byte()),
	}
}

// allocStep is how many elements are allocated on a list's own word about its
// length; longer lists grow as their elements are read.
const allocStep = 1024

func appendAdvisory(b []byte, a *plimsoll.Advisory) []byte {
	b = appendString(b, a.ID)
	b = appendString(b, a.Provider)
	b = appendStrings(b, a.Aliases)
	b = appendStrings(b, a.Upstream)
	b = appendStrings(b, a.Related)
	b = appendTime(b, a.Published)
	b = appendTime(b, a.Modified)
	b = appendTime(b, a.Withdrawn)
	b = appendString(b, a.Summary)
	b = appendString(b, a.Details)
	b = appendRatings(b, a.Ratings)
	b = appendStrings(b, a.References)
	return appendBool(b, a.Malicious)
}

func (d *decoder) advisory() plimsoll.Advisory {
	return plimsoll.Advisory{
		ID:         d.string(),
		Provider:   d.string(),
		Aliases:    d.strings(),
		Upstream:   d.strings(),
		Related:    d.strings(),
		Published:  d.time(),
		Modified:   d.time(),
		Withdrawn:  d.time(),
		Summary:    d.string(),
		Details:    d.string(),
		Ratings:    d.ratings(),
		References: d.strings(),
		Malicious:  d.bool(),
	}
}

func appendVulnerability(b []byte, v *plimsoll.Vulnerability) []byte {
	b = appendString(b, v.ID)
	b = appendStrings(b, v.Aliases)
	b = appendString(b, v.Summary)
	b = appendString(b, v.Details)
	b = append(b, byte(v.Severity))
	b = appendString(b, v.SeveritySource)
	b = appendRatings(b, v.Ratings)
	b = appendBool(b, v.EPSS != nil)
	if v.EPSS != nil {
		b = appendEPSS(b, *v.EPSS)
	}
	b = appendBool(b, v.KEV != nil)
	if v.KEV != nil {
		b = appendKEV(b, *v.KEV)
	}
	b = appendStrings(b, v.References)
	b = appendTime(b, v.Published)
	b = appendBool(b, v.Malicious)
	return appendBool(b, v.Disputed)
}

func (d *decoder) vulnerability() plimsoll.Vulnerability {
	v := plimsoll.Vulnerability{
		ID:             d.string(),
		Aliases:        d.strings(),
		Summary:        d.string(),
		Details:        d.string(),
		Severity:       plimsoll.Severity(d.byte()),
		SeveritySource: d.string(),
		Ratings:        d.ratings(),
	}
	if d.bool() {
		e := d.epss()
		v.EPSS = &e
	}
	if d.bool() {
		k := d.kev()
		v.KEV = &k
	}
	v.References = d.strings()
	v.Published = d.time()
	v.Malicious = d.bool()
	v.Disputed = d.bool()
	return v
}

func appendEPSS(b []byte, e plimsoll.EPSS) []byte {
	return appendTime(appendFloat(appendFloat(b, e.Score), e.Percentile), e.Date)
}

func (d *decoder) epss() plimsoll.EPSS {
	return plimsoll.EPSS{Score: d.float(), Percentile: d.float(), Date: d.time()}
}

func appendKEV(b []byte, k plimsoll.KEV) []byte {
	b = appendTime(appendTime(b, k.Added), k.Due)
	return appendString(appendBool(b, k.Ransomware), k.Action)
}

func (d *decoder) kev() plimsoll.KEV {
	return plimsoll.KEV{Added: d.time(), Due: d.time(), Ransomware: d.bool(), Action: d.string()}
}

func appendGeneration(b []byte, g *plimsoll.Generation) []byte {
	b = appendTime(b, g.Built)
	b = appendBool(b, g.Sample)
	b = binary.AppendUvarint(b, uint64(g.Advisories))
	b = binary.AppendUvarint(b, uint64(len(g.Sources)))
	for _, s := range g.Sources {
		b = appendString(b, s.Name)
		b = appendTime(b, s.Newest)
		b = binary.AppendUvarint(b, uint64(s.Records))
	}
	return b
}

func (d *decoder) generation() plimsoll.Generation {
	g := plimsoll.Generation{Built: d.time(), Sample: d.bool(), Advisories: int(d.uvarint())}
	for range d.length() {
		g.Sources = append(g.Sources, plimsoll.DataSource{
			Name: d.string(), Newest: d.time(), Records: int(d.uvarint()),
		})
	}
	return g
}
