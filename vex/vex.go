// Package vex reads what others state about vulnerabilities in products (Vulnerability
// Exploitability eXchange), says which findings a statement is about, and writes
// such documents.
//
// It owns the formats (OpenVEX, CSAF 2.0 and CycloneDX), the comparison of the names that
// they give products with those of images and packages, and the explanation why a
// statement applies or does not. A statement that names less than it could is
// never stretched: what cannot be compared does not apply, and Explain says so.
//
// It refuses to judge: advisories find, statements only answer. It deletes no
// finding. Documents are chosen by the user and still hostile: bounded, and never
// a reason to panic.
package vex

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"plimsoll"
	"plimsoll/jsonlimit"
)

// Format is the format of a document.
type Format string

// The formats.
const (
	OpenVEX   Format = "openvex"
	CSAF      Format = "csaf"
	CycloneDX Format = "cyclonedx"
)

// Limits of one document.
const (
	MaxSize       = 64 << 20 // bytes
	maxStatements = 100_000
	maxProducts   = 250_000 // of all statements
	maxText       = 4 << 10 // bytes of a prose field; more is cut
	maxID         = 2 << 10 // bytes of an identifier; a longer one is left out
	maxIDs        = 100     // of one product or vulnerability
	maxDepth      = 64      // of branches, relationships and components
	maxObjects    = 500_000
	maxValues     = 4_000_000
)

// Document is what was read of one document.
type Document struct {
	Format  Format
	ID      string // as it names itself; may be empty
	Version string // of the document; may be empty
	Author  string
	Time    time.Time // of its last change; zero when unknown
	// Statements in the order of the document; never empty.
	Statements []plimsoll.VEXStatement
}

// Read reads a document of any of the formats, told by its content. The error has
// CodeLimit for one that is too large and CodeInvalid for one that is none or holds
// no statement.
func Read(r io.Reader) (Document, error) {
	const op = "read VEX document"
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return Document{}, plimsoll.Errorf(plimsoll.CodeUnreadable, op, "%w", err)
	}
	if len(data) > MaxSize {
		return Document{}, plimsoll.Errorf(plimsoll.CodeLimit, op, "it has more than %d bytes", MaxSize)
	}
	d, err := parse(data)
	if err != nil {
		code := plimsoll.CodeInvalid
		if errors.Is(err, errLimit) {
			code = plimsoll.CodeLimit
		}
		return Document{}, plimsoll.Errorf(code, op, "%w", err)
	}
	for i := range d.Statements {
		s := &d.Statements[i]
		s.Document, s.Number = d.ID, i+1
		if s.Author == "" {
			s.Author = d.Author
		}
		if s.Time.IsZero() {
			s.Time = d.Time
		}
	}
	return d, nil
}

var (
	errLimit   = jsonlimit.ErrLimit
	errUnknown = errors.New("it is none of OpenVEX, CSAF and CycloneDX")
	errEmpty   = errors.New("it holds no statement about a vulnerability")
)

func parse(data []byte) (d Document, err error) {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	switch {
	case len(data) > 0 && data[0] == '<':
		if bytes.Count(data, []byte("<")) > maxObjects {
			return d, errLimit
		}
		d, err = readCycloneDX(data, true)
	case len(data) > 0 && data[0] == '{':
		if err := jsonlimit.Check(data, jsonlimit.Limits{Depth: 4 * maxDepth, List: maxProducts, Objects: maxObjects, Values: maxValues}); err != nil {
			return d, err
		}
		var head struct {
			Context   json.RawMessage `json:"@context"`
			BOMFormat string          `json:"bomFormat"`
			Document  *struct {
				Version string `json:"csaf_version"`
			} `json:"document"`
			Predicate     json.RawMessage `json:"predicate"`
			PredicateType string          `json:"predicateType"`
		}
		if err := json.Unmarshal(data, &head); err != nil {
			return d, err
		}
		switch {
		case strings.Contains(string(head.Context), "openvex"):
			d, err = readOpenVEX(data)
		case strings.Contains(head.PredicateType, "openvex") && len(head.Predicate) > 0: // an in-toto statement, unsigned
			d, err = readOpenVEX(head.Predicate)
		case head.BOMFormat == "CycloneDX":
			d, err = readCycloneDX(data, false)
		case head.Document != nil && head.Document.Version != "":
			d, err = readCSAF(data)
		default:
			err = errUnknown
		}
	default:
		err = errUnknown
	}
	if err == nil && len(d.Statements) == 0 {
		err = errEmpty
	}
	return d, err
}

// collector gathers statements within the limits.
type collector struct {
	list     []plimsoll.VEXStatement
	products int
}

func (c *collector) add(s plimsoll.VEXStatement) error {
	if s.Vulnerabilities = ids(s.Vulnerabilities...); len(s.Vulnerabilities) == 0 {
		return nil // about nothing
	}
	c.products += len(s.Products)
	if len(c.list) >= maxStatements || c.products > maxProducts {
		return errLimit
	}
	c.list = append(c.list, s)
	return nil
}

// ids returns those that can be one, once each.
func ids(list ...string) []string {
	var kept []string
	seen := make(map[string]bool, len(list))
	for _, id := range list {
		id = strings.TrimSpace(id)
		if id == "" || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, control) || seen[id] || len(kept) == maxIDs {
			continue
		}
		seen[id] = true
		kept = append(kept, id)
	}
	return kept
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// text returns prose as valid UTF-8 without control characters, cut to a bound.
func text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case control(r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	for len(s) > maxText {
		_, size := utf8.DecodeLastRuneInString(s[:maxText])
		s = s[:maxText-size]
	}
	return s
}

// moment reads a date of RFC 3339; zero for anything else.
func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(s))
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// status turns the word of OpenVEX into a status.
func status(word string) (plimsoll.VEXStatus, bool) {
	s := plimsoll.VEXStatus(word)
	switch s {
	case plimsoll.VEXNotAffected, plimsoll.VEXAffected, plimsoll.VEXFixed, plimsoll.VEXUnderInvestigation:
		return s, true
	}
	return "", false
}
