package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll"
)

// The tables beside the report: images, explanation, database.

func imagesTable(w io.Writer, images []plimsoll.Image, o Options) error {
	s := newScreen(w, o)
	if len(images) == 0 {
		s.line("No images.")
		return s.flush()
	}
	t := grid{columns: []column{
		{head: "Image", wrap: 20}, {head: "ID"}, {head: "Engine"}, {head: "Store", wrap: 16, drop: 3}, {head: "Platform", drop: 1},
		{head: "Created", drop: 2}, {head: "Size", right: true}, {head: "In use", right: true}, {head: "State"},
	}}
	unreadable := 0
	for i := range images {
		img := &images[i]
		name, status := imageName(img), "readable"
		if len(img.Names) == 0 {
			name = "(no name)"
		}
		if img.Problem != nil {
			status = line(string(img.Problem.Code), maxName)
			unreadable++
		}
		size := ""
		if img.Size > 0 {
			size = bytesWord(img.Size)
		}
		t.add(plainCell(name), plainCell(line(img.ID.Short(), 12)), plainCell(line(string(img.Engine), maxName)), plainCell(path(img.Store)),
			plainCell(line(img.Platform.String(), maxName)), plainCell(day(img.Created)), plainCell(size),
			plainCell(usesWord(img.Containers)), plainCell(status))
		for _, other := range img.Names[min(1, len(img.Names)):] {
			t.note("also " + path(other))
		}
		if p := img.Problem; p != nil {
			text := sentence(p.Code)
			if p.Detail != "" {
				text += " " + line(p.Detail, maxPath)
			}
			t.note(text)
		}
	}
	t.write(s)
	s.line()
	total := plural(len(images), "image", "images")
	if unreadable > 0 {
		total += fmt.Sprintf(", %d of them cannot be scanned", unreadable)
	}
	s.line(total + ".")
	return s.flush()
}

// usesWord counts the containers of an image, running ones first.
func usesWord(containers []plimsoll.Container) string {
	running, unknown := 0, 0
	for _, c := range containers {
		switch strings.ToLower(c.State) {
		case "running", "paused", "restarting":
			running++
		case "": // a containerd that does not answer tells of containers, not of tasks
			unknown++
		}
	}
	switch {
	case len(containers) == 0:
		return "-"
	case running > 0:
		return fmt.Sprintf("%d running", running)
	case unknown > 0:
		return fmt.Sprintf("%d unknown", unknown)
	}
	return strconv.Itoa(len(containers)) + " stopped"
}

func explainTable(w io.Writer, v plimsoll.Vulnerability, r plimsoll.Report, o Options) error {
	s := newScreen(w, o)
	s.line(name(v.ID), "  ", s.paint(v.Severity, v.Severity.String()))
	s.rule()
	if text := title(v.Summary); text != "" {
		s.hanging("  ", "  ", text)
		s.line()
	}
	if len(v.Aliases) > 0 {
		s.prose("Aliases", strings.Join(each(v.Aliases, name), ", "))
	}
	s.prose("Severity", severityWord(&v, nil))
	if d := day(v.Published); d != "" {
		s.prose("Published", d)
	}
	if v.Malicious {
		s.prose("Malicious", "The package itself is the attack: remove it and treat the image as compromised.")
	}
	if v.Disputed {
		s.prose("Disputed", "Its CNA notes that it is disputed.")
	}
	s.prose("Exploited", kevWord(v.KEV))
	s.prose("EPSS", epssWord(v.EPSS))
	if len(v.Ratings) > 0 {
		s.line()
		t := grid{columns: []column{{head: "Rated by", wrap: 12}, {head: "Severity"}, {head: "Score", right: true}, {head: "Method"}, {head: "Vector", wrap: 20}}}
		for _, rating := range v.Ratings {
			t.add(plainCell(name(rating.Source)), cell{rating.Severity.String(), rating.Severity, true}, plainCell(scoreWord(rating.Score)),
				plainCell(name(rating.Method)), plainCell(path(rating.Vector)))
		}
		t.write(s)
	}
	if details := paragraphs(v.Details); len(details) > 0 {
		s.line()
		s.line("Details")
		for _, d := range details {
			s.hanging("  ", "  ", d)
		}
	}
	if len(v.References) > 0 {
		s.line()
		s.line("References")
		for _, ref := range v.References {
			s.line("  ", path(ref))
		}
	}
	for i := range r.Results {
		s.line()
		explainResult(s, &r.Results[i])
	}
	s.line()
	closing(s, r)
	return s.flush()
}

func kevWord(k *plimsoll.KEV) string {
	if k == nil {
		return "not in CISA's catalogue of known exploited vulnerabilities"
	}
	word := exploitedWord(k)
	if k.Action != "" {
		word += ". " + title(k.Action)
	}
	return word
}

func epssWord(e *plimsoll.EPSS) string {
	if e == nil {
		return "no estimate"
	}
	word := percent(e.Score) + " likely to be exploited within 30 days, more than " + percent(e.Percentile) + " of all"
	if d := day(e.Date); d != "" {
		word += " (" + d + ")"
	}
	return word
}

func scoreWord(score float64) string {
	if number(score) <= 0 {
		return ""
	}
	return strconv.FormatFloat(score, 'f', 1, 64)
}

func explainResult(s *screen, r *plimsoll.Result) {
	s.line(imageName(&r.Image))
	s.rule()
	switch {
	case r.Status == plimsoll.ScanFailed:
		s.prose("Scan", "NOT SCANNED: nothing is known about this image.")
		if r.Problem != nil {
			s.prose("Reason", name(string(r.Problem.Code))+": "+sentence(r.Problem.Code)+" "+example(*r.Problem))
		}
		return
	case len(r.Findings) == 0 && !r.Matched:
		s.line("  Not judged: no advisories were asked.")
		return
	case len(r.Findings) == 0 && r.Status == plimsoll.ScanPartial:
		s.line("  No match, but the image could not be read completely.")
		return
	case len(r.Findings) == 0 && !wholly(r):
		s.line("  No match in what was judged, but nobody was asked about all of its software.")
		return
	case len(r.Findings) == 0:
		s.line("  No match.")
		return
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if i > 0 {
			s.line()
		}
		s.linef("  %s %s: %s", name(f.Package.Name), name(f.Package.Version), stateWord(f))
		if f.Package.Path != "" {
			s.prose("Where", "/"+path(f.Package.Path)+map[bool]string{true: ", layer " + layerWord(&r.Image, f.Package.Layer)}[f.Package.Layer != ""])
		}
		if f.Package.Owner != "" {
			s.prose("Owner", "system package "+name(f.Package.Owner)+", whose distribution's advisories speak for it")
		}
		if f.Package.Remark != "" {
			s.prose("Noticed", name(f.Package.Remark))
		}
		s.prose("Severity", severityWord(&f.Vulnerability, f.Reasons))
		s.prose("Fix", fixSentence(f))
		for i := range f.VEX {
			s.prose(map[bool]string{true: "VEX"}[i == 0], vexWord(&f.VEX[i]))
		}
		for _, reason := range f.Reasons {
			for j, text := range reasonLines(&reason) {
				s.prose(map[bool]string{true: "Why"}[j == 0], text)
			}
		}
	}
}

// severityWord says whose judgement a severity is. A distribution's is about its
// own build, which may not be the one that matched.
func severityWord(v *plimsoll.Vulnerability, reasons []plimsoll.Reason) string {
	source := v.SeveritySource
	switch {
	case source == "":
		return v.Severity.String()
	case plimsoll.RaterRank(source) == plimsoll.RankBuilder && !slices.ContainsFunc(reasons, func(r plimsoll.Reason) bool { return r.Provider == source }):
		return v.Severity.String() + ", as " + name(source) + " says of its own build; nobody nearer rated it"
	}
	return v.Severity.String() + ", as " + name(source) + " says"
}

// fixSentence says what clears a finding.
func fixSentence(f *plimsoll.Finding) string {
	switch {
	case f.Status == plimsoll.StatusNotPresent:
		return "not needed: the vulnerable component is not in this package"
	case f.Status == plimsoll.StatusHandled:
		return "not needed, by the word of VEX"
	case f.FixedVersion != "":
		word := "upgrade to " + name(f.FixedVersion)
		if len(f.FixedVersions) > 1 {
			word += "; fixed in " + strings.Join(each(f.FixedVersions, name), ", ")
		}
		return word
	case f.State == plimsoll.FixAvailable:
		return "a fix is said to exist, its version is not told"
	}
	return fixWord(f.State)
}

// reasonLines tells one piece of evidence so that it can be checked by hand.
func reasonLines(r *plimsoll.Reason) []string {
	record := name(r.Advisory) + " by " + cmp.Or(name(r.Provider), "unknown provider")
	if d := day(r.Modified); d != "" {
		record += ", " + d
	}
	compared := name(r.Package) + " " + name(r.Version) + " is in " + cmp.Or(line(r.Range, maxPath), "its list")
	var how []string
	if r.Scheme != "" {
		how = append(how, "compared as "+name(r.Scheme))
	}
	if r.Ecosystem != "" {
		how = append(how, name(r.Ecosystem))
	}
	if len(how) > 0 {
		compared += " (" + strings.Join(how, ", ") + ")"
	}
	lines := []string{record + ": " + compared}
	if r.Note != "" {
		lines = append(lines, "Note: "+line(r.Note, maxPath))
	}
	return lines
}

func databaseTable(w io.Writer, g plimsoll.Generation, now time.Time, o Options) error {
	s := newScreen(w, o)
	if g.Sample {
		s.hanging("", "", "SAMPLE ADVISORIES for demonstration only: most vulnerabilities are missing. Get the real ones with: plimsoll db update")
		s.line()
	}
	s.prose("Database", line(g.ID.Short(), 12)+fmt.Sprintf(" (schema %d)", g.Schema))
	if d := day(g.Built); d != "" {
		s.prose("Newest", d+", "+ageWord(now.Sub(g.Built))+" ago")
	}
	s.prose("Advisories", strconv.Itoa(g.Advisories))
	s.line()
	t := grid{columns: []column{{head: "Source", wrap: 14}, {head: "Records", right: true}, {head: "Newest"}, {head: "Age", right: true}, {head: "Fetched", drop: 2}, {head: "From", wrap: 20, drop: 1}}}
	for _, source := range g.Sources {
		age := ""
		if !source.Newest.IsZero() {
			age = ageWord(now.Sub(source.Newest))
		}
		t.add(plainCell(name(source.Name)), plainCell(strconv.Itoa(source.Records)), plainCell(cmp.Or(day(source.Newest), "-")),
			plainCell(age), plainCell(day(source.Fetched)), plainCell(path(source.URL)))
	}
	t.write(s)
	return s.flush()
}
