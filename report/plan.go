package report

import (
	"cmp"
	"fmt"
	"strings"

	"plimsoll"
)

// nothingToDo says why a plan is empty; "" when it is not.
func nothingToDo(r *plimsoll.Result) string {
	p := &r.Plan
	switch {
	case len(p.Base.Steps) > 0 || len(p.Own.Steps) > 0 || len(p.Remaining) > 0:
		return ""
	case len(r.Findings) > 0:
		return "Nothing: the findings are for information only."
	case !judged(r, plimsoll.ClassSystem) && !judged(r, plimsoll.ClassApplication):
		return "Unknown: nobody was asked about this software."
	case r.Status == plimsoll.ScanPartial:
		return "Nothing known, but the image could not be read completely."
	}
	return "Nothing: no known vulnerability in what was judged."
}

// plan writes what to do about one image. Filters do not change it.
func plan(s *screen, r *plimsoll.Result) {
	p := &r.Plan
	s.line("What to do")
	s.rule()
	if text := nothingToDo(r); text != "" {
		s.line("  ", text)
		return
	}
	part(s, "Base image, for its owner", p.Base)
	if len(p.Base.Steps) > 0 && len(p.Own.Steps) > 0 {
		s.line()
	}
	part(s, "This image, for whoever builds it", p.Own)
	if len(p.Remaining) == 0 {
		return
	}
	if len(p.Base.Steps)+len(p.Own.Steps) > 0 {
		s.line()
	}
	total := 0
	for _, rest := range p.Remaining {
		total += rest.Count
	}
	s.linef("  What remains: %s that no upgrade clears", plural(total, "finding", "findings"))
	for _, rest := range p.Remaining {
		first := fmt.Sprintf("%s  %s  ", pad(fmt.Sprint(rest.Count), 7, true), pad(fixWord(rest.State), 13, false))
		text := "worst " + rest.Worst.String()
		if rest.Reason != "" {
			text += "; " + line(rest.Reason, maxPath)
		}
		s.hanging(first, strings.Repeat(" ", width(first)), text)
	}
}

func part(s *screen, owner string, p plimsoll.Part) {
	if len(p.Steps) == 0 {
		return
	}
	s.line("  ", partWord(owner, p))
	t := grid{columns: []column{{head: "Upgrade", wrap: 14}, {head: "From", wrap: 10}, {head: "To", wrap: 10}, {head: "Worst"}, {head: "Clears", wrap: 20}}}
	for i := range p.Steps {
		step := &p.Steps[i]
		to := cmp.Or(name(step.To), "-")
		t.add(plainCell(name(step.Package)), plainCell(name(step.From)), plainCell(to),
			cell{step.Worst.String(), step.Worst, true}, plainCell(strings.Join(clearsWords(step.Clears), ", ")))
		if note := stepNote(step); note != "" {
			t.note(note)
		}
	}
	t.write(s)
	if len(p.Commands) > 0 {
		s.line()
		for _, c := range p.Commands {
			s.line("    ", line(c, maxProse)) // never wrapped: it is there to be copied
		}
	}
}

func partWord(owner string, p plimsoll.Part) string {
	verb := "clear"
	if len(p.Steps) == 1 {
		verb = "clears"
	}
	return fmt.Sprintf("%s: %s %s %s", owner, plural(len(p.Steps), "upgrade", "upgrades"), verb, plural(p.Clears, "finding", "findings"))
}

// stepNote says what a step stands for, where, and what to mind.
func stepNote(step *plimsoll.Step) string {
	var notes []string
	if step.Breaking {
		notes = append(notes, "crosses a major version: read its release notes")
	}
	if len(step.Packages) > 1 || len(step.Packages) == 1 && step.Packages[0] != step.Package {
		notes = append(notes, "installed as "+strings.Join(each(step.Packages, name), ", "))
	}
	if step.Path != "" {
		notes = append(notes, "in /"+path(step.Path))
	}
	if step.CreatedBy != "" {
		notes = append(notes, "from build step: "+line(buildStep(step.CreatedBy), maxTitle))
	}
	return strings.Join(notes, "; ")
}

// buildStep strips what engines put around a step of a Dockerfile.
func buildStep(s string) string {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "/bin/sh -c #(nop)"); ok {
		s = strings.TrimSpace(rest)
	} else if rest, ok := strings.CutPrefix(s, "/bin/sh -c "); ok {
		s = "RUN " + rest
	}
	return strings.Join(strings.Fields(strings.TrimSuffix(s, "# buildkit")), " ")
}

// clearsWords lists the ids of a step, the first few when there are many.
func clearsWords(ids []string) []string {
	const most = 6
	list := each(ids[:min(most, len(ids))], name)
	if rest := len(ids) - most; rest > 0 {
		list = append(list, fmt.Sprintf("%d more", rest))
	}
	return list
}
