package feed

import (
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"plimsoll"
)

// recordRatings returns the judgements that stand for the whole record.
func recordRatings(o *osvRecord, pub publisher) []plimsoll.Rating {
	list := appendRatings(nil, o.Severity, pub.name, o.ID)
	list = append(list, wordRating(pub.name, "", o.Specific.Severity)...)
	// The rebuilds of Red Hat's distribution begin their titles with the word.
	if word, _, ok := strings.Cut(o.Summary, ": "); ok && (pub.name == "AlmaLinux" || pub.name == "Rocky Linux") {
		list = append(list, wordRating(pub.name, "", word)...)
	}
	return list
}

// appendRatings translates severities. The vectors within records like
// DEBIAN-CVE-2024-1 are copied from the CVE record, not the distribution's own.
func appendRatings(list []plimsoll.Rating, severities []osvSeverity, source, id string) []plimsoll.Rating {
	vectorSource := source
	if bareID(id) != id {
		vectorSource = "CVE"
	}
	for _, s := range severities {
		if len(s.Score) > maxVersion {
			continue
		}
		if strings.HasPrefix(s.Type, "CVSS_") {
			if r, ok := vectorRating(vectorSource, s.Score); ok {
				list = append(list, r)
			}
			continue
		}
		list = append(list, wordRating(source, "", s.Score)...)
	}
	return list
}

// wordRating translates a word; nothing for a word that says nothing.
func wordRating(source, method, word string) []plimsoll.Rating {
	severity, ok := plimsoll.ParseSeverity(strings.TrimSpace(word))
	if !ok || severity == plimsoll.SeverityUnknown {
		return nil
	}
	return []plimsoll.Rating{{Source: source, Method: method, Severity: severity}}
}

// vectorRating scores a CVSS vector of any version (acceptance ADV-09).
func vectorRating(source, vector string) (plimsoll.Rating, bool) {
	r := plimsoll.Rating{Source: source, Vector: vector}
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := gocvss40.ParseVector(vector)
		if err != nil {
			return r, false
		}
		r.Method, r.Score = "CVSS_V4", v.Score()
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := gocvss31.ParseVector(vector)
		if err != nil {
			return r, false
		}
		r.Method, r.Score = "CVSS_V3", v.BaseScore()
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := gocvss30.ParseVector(vector)
		if err != nil {
			return r, false
		}
		r.Method, r.Score = "CVSS_V3", v.BaseScore()
	default:
		v, err := gocvss20.ParseVector(strings.Trim(vector, "()"))
		if err != nil {
			return r, false
		}
		r.Method, r.Score = "CVSS_V2", v.BaseScore()
	}
	r.Severity = plimsoll.SeverityOfScore(r.Score)
	if r.Method == "CVSS_V2" {
		r.Severity = min(r.Severity, plimsoll.SeverityHigh) // version 2 knows no "critical"
	}
	return r, true
}
