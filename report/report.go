// Package report writes what Plimsoll found, for people and for machines.
//
// It owns every output format and is the only place that escapes: names, paths,
// labels and advisory texts come from images and feeds, are hostile, and are
// shown as text everywhere. It decides nothing about findings; it shows the
// report that it is given, in the same bytes for the same report: it asks no
// clock, no environment and no file.
//
// It trusts nothing in a report. The formats for people show text as Text does,
// at most some hundred characters a field; the machine formats hold it as data,
// in valid UTF-8 and bounded, with control characters escaped as the format
// allows. Environment variables of images are never written.
package report

import (
	"io"
	"time"

	"plimsoll"
)

// Format is an output format by its name on the command line.
type Format string

// The formats.
const (
	Table     Format = "table"
	JSON      Format = "json" // schema: report/schema.json
	CycloneDX Format = "cyclonedx-json"
	SPDX      Format = "spdx-json"
	SARIF     Format = "sarif"
	CSV       Format = "csv"
	HTML      Format = "html"
)

// Formats lists all formats.
func Formats() []Format { return []Format{Table, JSON, CycloneDX, SPDX, SARIF, CSV, HTML} }

// ParseFormat returns the format called name, or an error with CodeInvalid.
func ParseFormat(name string) (Format, error) {
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
	}
	return "", plimsoll.Errorf(plimsoll.CodeInvalid, "choose format", "%q is none of table, json, cyclonedx-json, spdx-json, sarif, csv, html", name)
}

// Options change how a report looks, never what it says.
type Options struct {
	Color    bool // table only
	Width    int  // columns of the table; 0 means unlimited
	ASCII    bool // table only: other characters as a sign of the same width
	Packages bool // list the software too, in the formats made for people
}

// Write writes r in format f. Errors of w are returned as they are.
func Write(w io.Writer, f Format, r plimsoll.Report, o Options) error {
	switch f {
	case Table:
		return writeTable(w, r, o)
	case JSON:
		return writeJSON(w, newReportDoc(r))
	case CycloneDX:
		return writeCycloneDX(w, r)
	case SPDX:
		return writeSPDX(w, r)
	case SARIF:
		return writeSARIF(w, r)
	case CSV:
		return writeCSV(w, r, o)
	case HTML:
		return writeHTML(w, r, o)
	}
	return wrongFormat(f)
}

// Images writes a list of images as Table or JSON.
func Images(w io.Writer, f Format, images []plimsoll.Image, o Options) error {
	switch f {
	case Table:
		return imagesTable(w, images, o)
	case JSON:
		return writeJSON(w, imagesDoc{"images", schemaVersion, each(images, newImageDoc)})
	}
	return wrongFormat(f)
}

// Explain writes all that is known about v and, for each result of r, why its
// findings (all of v) match. Table or JSON.
func Explain(w io.Writer, f Format, v plimsoll.Vulnerability, r plimsoll.Report, o Options) error {
	switch f {
	case Table:
		return explainTable(w, v, r, o)
	case JSON:
		return writeJSON(w, explanationDoc{
			Kind: "explanation", SchemaVersion: schemaVersion, Tool: raw(r.Tool, maxName),
			Generation: newGenerationDoc(r.Generation), Vulnerability: newVulnerabilityDoc(v),
			Results: each(r.Results, func(r plimsoll.Result) resultDoc { return newResultDoc(r, false) }),
		})
	}
	return wrongFormat(f)
}

// Database writes what a generation is made of and how old it is at now. Table
// or JSON.
func Database(w io.Writer, f Format, g plimsoll.Generation, now time.Time, o Options) error {
	switch f {
	case Table:
		return databaseTable(w, g, now, o)
	case JSON:
		return writeJSON(w, newDatabaseDoc(g, now))
	}
	return wrongFormat(f)
}

func wrongFormat(f Format) error {
	return plimsoll.Errorf(plimsoll.CodeInvalid, "choose format", "%q cannot show this", string(f))
}
