package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"plimsoll"
)

// What VEX statements say about findings, in the formats that show findings.

type vexDoc struct {
	Status        string `json:"status" enum:"not_affected|affected|fixed|under_investigation"`
	Justification string `json:"justification,omitempty" doc:"in the words of the document's format"`
	Impact        string `json:"impact,omitempty"`
	Action        string `json:"action,omitempty"`
	Author        string `json:"author,omitempty"`
	Time          string `json:"time,omitempty" format:"date-time"`
	Document      string `json:"document,omitempty" doc:"the ID that the document gives itself"`
	Statement     int    `json:"statement" doc:"number within the document, from 1"`
}

func newVEXDoc(s plimsoll.VEXStatement) vexDoc {
	return vexDoc{string(s.Status), raw(s.Justification, maxName), raw(s.Impact, maxProse), raw(s.Action, maxProse), raw(s.Author, maxName),
		date(s.Time), raw(s.Document, maxPath), s.Number}
}

// vexWord says what a statement says, who says it, and why.
func vexWord(s *plimsoll.VEXStatement) string {
	word := strings.ReplaceAll(string(s.Status), "_", " ") + ", says " + cmp.Or(name(s.Author), name(s.Document), "a VEX document")
	if d := day(s.Time); d != "" {
		word += " on " + d
	}
	var why []string
	if s.Justification != "" {
		why = append(why, name(s.Justification))
	}
	for _, prose := range []string{s.Impact, s.Action} {
		if prose != "" {
			why = append(why, title(prose))
		}
	}
	if len(why) > 0 {
		word += ": " + strings.Join(why, "; ")
	}
	return word
}

// vexNotes tell the statements about the findings of a package, once each.
func vexNotes(findings []*plimsoll.Finding) []string {
	var words []string
	about := make(map[string][]string)
	for _, f := range findings {
		if len(f.VEX) == 0 {
			continue
		}
		word := vexWord(&f.VEX[0])
		if about[word] == nil {
			words = append(words, word)
		}
		about[word] = append(about[word], name(f.Vulnerability.ID))
	}
	for i, word := range words {
		words[i] = "VEX: " + strings.Join(about[word], ", ") + ": " + word
	}
	return words
}

// vexAnalysis puts a statement in the words of CycloneDX.
func vexAnalysis(s *plimsoll.VEXStatement) *cyclonedx.VulnerabilityAnalysis {
	a := &cyclonedx.VulnerabilityAnalysis{Detail: raw(vexWord(s), maxProse)}
	switch s.Status {
	case plimsoll.VEXNotAffected:
		a.State = cyclonedx.IASNotAffected
	case plimsoll.VEXFixed:
		a.State = cyclonedx.IASResolved
	case plimsoll.VEXAffected:
		a.State = cyclonedx.IASExploitable
	case plimsoll.VEXUnderInvestigation:
		a.State = cyclonedx.IASInTriage
	}
	return a
}

type vexExplanationDoc struct {
	Kind          string        `json:"kind" enum:"vex-explanation"`
	SchemaVersion int           `json:"schemaVersion"`
	Tool          string        `json:"tool"`
	Images        []vexImageDoc `json:"images"`
}

type vexImageDoc struct {
	Image      imageDoc       `json:"image"`
	Scan       string         `json:"scan" enum:"complete|partial|failed" doc:"of a failed scan nothing can be explained"`
	Statements []explainedDoc `json:"statements" doc:"every statement of the documents, in their order"`
}

type explainedDoc struct {
	Statement       vexDoc         `json:"statement"`
	Vulnerabilities []string       `json:"vulnerabilities" doc:"the IDs that the statement gives the flaw"`
	Applies         bool           `json:"applies"`
	Findings        []vexTargetDoc `json:"findings" doc:"what it is about"`
	Decides         int            `json:"decides" doc:"of how many of these findings it decides the status"`
	Nearest         *vexTargetDoc  `json:"nearest,omitempty" doc:"the finding that came nearest, when it does not apply"`
	Why             string         `json:"why"`
}

type vexTargetDoc struct {
	Vulnerability string `json:"vulnerability"`
	Package       string `json:"package"`
	Version       string `json:"version"`
	PURL          string `json:"purl,omitempty"`
	Path          string `json:"path,omitempty"`
}

// VEX writes why each statement applies to each result of r or not, as Table or
// JSON; explanations has one list for each result.
func VEX(w io.Writer, f Format, r plimsoll.Report, explanations [][]plimsoll.VEXExplanation, o Options) error {
	switch f {
	case Table:
		s := newScreen(w, o)
		for i := range r.Results {
			if i > 0 {
				s.line()
			}
			vexTable(s, &r.Results[i], explanations[i])
		}
		return s.flush()
	case JSON:
		d := vexExplanationDoc{Kind: "vex-explanation", SchemaVersion: schemaVersion, Tool: raw(r.Tool, maxName), Images: []vexImageDoc{}}
		for i := range r.Results {
			result := &r.Results[i]
			d.Images = append(d.Images, vexImageDoc{newImageDoc(result.Image), string(result.Status),
				each(explanations[i], func(e plimsoll.VEXExplanation) explainedDoc { return newExplainedDoc(result, &e) })})
		}
		return writeJSON(w, d)
	}
	return wrongFormat(f)
}

func newExplainedDoc(r *plimsoll.Result, e *plimsoll.VEXExplanation) explainedDoc {
	d := explainedDoc{Statement: newVEXDoc(e.Statement), Vulnerabilities: rawAll(e.Statement.Vulnerabilities, maxName), Applies: len(e.Applied) > 0,
		Findings: each(e.Applied, func(i int) vexTargetDoc { return newVEXTargetDoc(&r.Findings[i]) }), Decides: e.Decided, Why: raw(e.Why, maxProse)}
	if e.Nearest >= 0 && !d.Applies {
		d.Nearest = new(newVEXTargetDoc(&r.Findings[e.Nearest]))
	}
	return d
}

func newVEXTargetDoc(f *plimsoll.Finding) vexTargetDoc {
	p := &f.Package
	return vexTargetDoc{raw(f.Vulnerability.ID, maxName), raw(p.Name, maxName), raw(p.Version, maxName), raw(p.PURL, maxPath), raw(p.Path, maxPath)}
}

// vexTable tells what applies first, then what does not and why.
func vexTable(s *screen, r *plimsoll.Result, list []plimsoll.VEXExplanation) {
	s.line(imageName(&r.Image))
	s.rule()
	if r.Status == plimsoll.ScanFailed {
		s.prose("Scan", "NOT SCANNED: nothing is known about this image.")
		return
	}
	applied := 0
	for i := range list {
		if len(list[i].Applied) > 0 {
			applied++
		}
	}
	s.linef("  %s, %d of them about something here.", plural(len(list), "statement", "statements"), applied)
	for _, applies := range []bool{true, false} {
		for i := range list {
			if e := &list[i]; len(e.Applied) > 0 == applies {
				s.line()
				vexLines(s, r, e)
			}
		}
	}
}

func vexLines(s *screen, r *plimsoll.Result, e *plimsoll.VEXExplanation) {
	const most = 5
	is := &e.Statement
	mark := "DOES NOT APPLY"
	if len(e.Applied) > 0 {
		mark = "applies"
	}
	s.linef("  %d  %s: %s", is.Number, strings.Join(each(is.Vulnerabilities[:min(len(is.Vulnerabilities), most)], name), ", "), mark)
	s.prose("Says", vexWord(is))
	for i, at := range e.Applied {
		if i == most {
			s.prose("", fmt.Sprintf("and %d more", len(e.Applied)-most))
			break
		}
		s.prose(map[bool]string{true: "About"}[i == 0], vexTarget(&r.Findings[at]))
	}
	s.prose("Why", line(e.Why, maxProse))
	if e.Nearest >= 0 && len(e.Applied) == 0 {
		s.prose("Nearest", vexTarget(&r.Findings[e.Nearest]))
	}
}

func vexTarget(f *plimsoll.Finding) string {
	p := &f.Package
	word := name(f.Vulnerability.ID) + " in " + name(p.Name) + " " + name(p.Version)
	if p.PURL != "" {
		word += ", " + path(p.PURL)
	}
	return word
}
