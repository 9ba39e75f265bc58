package report

import (
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"plimsoll"
)

// csvHeader names the columns; new ones come at the end. Column status is that of
// the finding, or says why a row has none: "clean" (judged, nothing found),
// "incomplete" (the same, but not everything could be read), "not-judged",
// "failed". With Options.Packages software without a finding has
// rows too.
func csvHeader() []string {
	return []string{"image", "image_id", "scan", "status", "class", "package", "version", "type", "arch", "purl", "path", "layer",
		"vulnerability", "aliases", "severity", "severity_source", "score", "epss", "kev", "state", "fixed_version",
		"advisory", "provider", "title", "vex"}
}

func writeCSV(w io.Writer, r plimsoll.Report, o Options) error {
	out := csv.NewWriter(w)
	write := func(cells ...string) error {
		for i := range cells {
			cells[i] = csvCell(cells[i])
		}
		for len(cells) < len(csvHeader()) {
			cells = append(cells, "")
		}
		return out.Write(cells)
	}
	if err := write(csvHeader()...); err != nil {
		return err
	}
	for i := range r.Results {
		if err := csvResult(&r.Results[i], o, write); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func csvResult(r *plimsoll.Result, o Options, write func(...string) error) error {
	image := []string{imageName(&r.Image), string(r.Image.ID), string(r.Status)}
	rows := 0
	row := func(cells ...string) error {
		rows++
		return write(append(image[:len(image):len(image)], cells...)...)
	}
	found := make(map[string]bool)
	for i := range r.Findings {
		f := &r.Findings[i]
		v, p := &f.Vulnerability, &f.Package
		found[packageKey(p)] = true
		var advisory, provider, chance, kev, said string
		if len(f.VEX) > 0 {
			said = vexWord(&f.VEX[0])
		}
		if len(f.Reasons) > 0 {
			advisory, provider = f.Reasons[0].Advisory, f.Reasons[0].Provider
		}
		if v.EPSS != nil {
			chance = strconv.FormatFloat(number(v.EPSS.Score), 'f', -1, 64)
		}
		if v.KEV != nil {
			kev = "yes"
		}
		cells := append([]string{string(f.Status), string(f.Class)}, csvPackage(p)...)
		if err := row(append(cells, v.ID, strings.Join(v.Aliases, " "), v.Severity.String(), v.SeveritySource, scoreWord(bestScore(v)),
			chance, kev, state(f.State), f.FixedVersion, advisory, provider, title(v.Summary), said)...); err != nil {
			return err
		}
	}
	if o.Packages {
		for i := range r.Inventory.Packages {
			p := &r.Inventory.Packages[i]
			if found[packageKey(p)] {
				continue
			}
			class := plimsoll.ClassApplication
			if p.Type.System() {
				class = plimsoll.ClassSystem
			}
			if err := row(append([]string{csvPackageStatus(r, p), string(class)}, csvPackage(p)...)...); err != nil {
				return err
			}
		}
	}
	if rows > 0 {
		return nil
	}
	cells := []string{csvStatus(r)}
	if r.Problem != nil { // the reason, in the column of the title
		cells = append(cells, make([]string, slices.Index(csvHeader(), "title")-len(image)-1)...)
		cells = append(cells, string(r.Problem.Code)+": "+r.Problem.Detail)
	}
	return row(cells...)
}

func csvStatus(r *plimsoll.Result) string {
	switch {
	case r.Status == plimsoll.ScanFailed:
		return "failed"
	case !r.Matched:
		return "not-judged"
	}
	return cleanStatus(r, wholly(r))
}

// csvPackageStatus is the status of a package without a finding.
func csvPackageStatus(r *plimsoll.Result, p *plimsoll.Package) string {
	asked := false
	for _, c := range r.Coverage {
		asked = asked || c.Ecosystem != "" && (c.Group == string(p.Type) || p.Type.System() && r.Judged(plimsoll.ClassSystem))
	}
	return cleanStatus(r, asked && r.Matched)
}

func cleanStatus(r *plimsoll.Result, judged bool) string {
	switch {
	case !judged:
		return "not-judged"
	case r.Status == plimsoll.ScanPartial:
		return "incomplete"
	}
	return "clean"
}

func csvPackage(p *plimsoll.Package) []string {
	return []string{p.Name, p.Version, string(p.Type), p.Arch, p.PURL, p.Path, string(p.Layer)}
}

// csvCell makes s safe for spreadsheets, which take a cell that starts with one
// of these signs for a formula, quoted or not. The full-width forms are signs in
// some locales.
func csvCell(s string) string {
	s = path(s)
	switch first, _ := utf8.DecodeRuneInString(s); first {
	case '=', '+', '-', '@', '\t', '\r', '\uff1d', '\uff0b', '\uff0d', '\uff20':
		return "'" + s
	}
	return s
}

// bestScore is the CVSS score of the party whose severity counts, else the
// highest; 0 when nobody gave one.
func bestScore(v *plimsoll.Vulnerability) float64 {
	best, own := 0.0, 0.0
	for _, r := range v.Ratings {
		score := number(r.Score)
		best = max(best, score)
		if r.Source == v.SeveritySource {
			own = max(own, score)
		}
	}
	if own > 0 {
		return own
	}
	return best
}
