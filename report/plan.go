package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"plimsoll"
)

// nothingToDo says why a plan is empty; "" when it is not.
func nothingToDo(r *plimsoll.Result) string {
	p := &r.Plan
	asked := slices.ContainsFunc(r.Coverage, func(c plimsoll.Coverage) bool { return c.Ecosystem != "" })
	switch {
	case len(p.Base.Steps) > 0 || len(p.Own.Steps) > 0 || len(p.Remaining) > 0:
		return ""
	case len(r.Findings) > 0:
		return "Nothing: the findings are for information only."
	case len(r.Inventory.Packages) == 0 && r.Status == plimsoll.ScanComplete:
		return "Unknown: no software was recognised that anybody could be asked about."
	case !wholly(r) && !asked:
		return "Unknown: nobody was asked about this software."
	case r.Status == plimsoll.ScanPartial:
		return "Nothing known, but the image could not be read completely."
	case endOfLife(r) != "":
		return "Nothing known, but no flaw is published any more for a system out of support."
	case !wholly(r):
		return "Nothing known, but nobody was asked about a part of the software."
	case slices.ContainsFunc(r.Problems, func(p plimsoll.Problem) bool { return p.Code == plimsoll.ProblemBadVersion }):
		return "Nothing known, but not every version could be compared."
	}
	return "Nothing: no known vulnerability in what was judged."
}

// supportWord asks for a supported system when this one gets no more advisories.
func supportWord(r *plimsoll.Result) string {
	eol := endOfLife(r)
	if eol == "" {
		return ""
	}
	return "Move to a supported release of the system first: this one is " + eol + "."
}

// plan writes what to do about one image. Filters do not change it.
func plan(s *screen, r *plimsoll.Result) {
	p := &r.Plan
	s.line("What to do")
	s.rule()
	if text := supportWord(r); text != "" {
		s.hanging("  ", "  ", text)
	}
	if text := nothingToDo(r); text != "" {
		s.line("  ", text)
		return
	}
	part(s, &r.Image, "Base image, for its owner", p.Base)
	if len(p.Base.Steps) > 0 && len(p.Own.Steps) > 0 {
		s.line()
	}
	part(s, &r.Image, "This image, for whoever builds it", p.Own)
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

func part(s *screen, img *plimsoll.Image, owner string, p plimsoll.Part) {
	if len(p.Steps) == 0 {
		return
	}
	s.line("  ", partWord(owner, p))
	place := "" // where the steps before were; a plan for the system alone needs no words
	if !slices.ContainsFunc(p.Steps, func(s plimsoll.Step) bool { return s.Path != "" }) {
		place = placeWord(&p.Steps[0])
	}
	t := grid{columns: []column{{head: "Upgrade", wrap: 14}, {head: "From", wrap: 10}, {head: "To", wrap: 10}, {head: "Worst"},
		{head: "Layer", drop: 1}, {head: "Clears", wrap: 20}}}
	for _, step := range byPlace(p.Steps) {
		if where := placeWord(step); where != place {
			place = where
			t.heading(where)
		}
		to := cmp.Or(name(step.To), "-")
		t.add(plainCell(name(step.Package)), plainCell(name(step.From)), plainCell(to),
			cell{step.Worst.String(), step.Worst, true}, plainCell(layerWord(img, step.Layer)), plainCell(strings.Join(clearsWords(step.Clears, 3), ", ")))
		if note := stepNote(step); note != "" {
			t.note(note)
		}
	}
	t.write(s)
	if list := buildSteps(img, p); len(list) > 0 {
		s.line()
		for _, step := range list {
			first := "  Layer " + step.Name + "  "
			s.hanging(first, strings.Repeat(" ", width(first)), step.Value)
		}
	}
	if len(p.Commands) > 0 {
		const (
			indent    = "    "
			narrowest = 60 // below, the terminal may break the line as it does
		)
		s.line()
		for _, c := range p.Commands {
			for _, part := range copyable(line(c, maxProse), max(narrowest, s.columns()-len(indent))) {
				s.line(indent, part)
			}
		}
	}
}

// byPlace puts the steps of one project or environment together, as the commands
// do, each place where its most urgent step stands.
func byPlace(steps []plimsoll.Step) []*plimsoll.Step {
	first := make(map[string]int)
	list := make([]*plimsoll.Step, len(steps))
	for i := range steps {
		list[i] = &steps[i]
		if _, ok := first[steps[i].Path]; !ok {
			first[steps[i].Path] = i
		}
	}
	slices.SortStableFunc(list, func(a, b *plimsoll.Step) int { return cmp.Compare(first[a.Path], first[b.Path]) })
	return list
}

func placeWord(s *plimsoll.Step) string {
	if s.Path == "" {
		return "Packages of the system"
	}
	return "In /" + path(s.Path)
}

// buildSteps tells which build step made each layer of a part, once.
func buildSteps(img *plimsoll.Image, p plimsoll.Part) []factView {
	var list []factView
	for i := range p.Steps {
		step := &p.Steps[i]
		word := layerWord(img, step.Layer)
		if step.CreatedBy == "" || word == "" || slices.ContainsFunc(list, func(f factView) bool { return f.Name == word }) {
			continue
		}
		list = append(list, factView{word, line(buildStep(step.CreatedBy), maxTitle)})
	}
	return list
}

// copyable breaks a command between words into lines that a shell reads as one:
// all but the last end in a backslash, the further ones are indented. A quoted
// word and a remark stay whole, however long, so that what is pasted is what the
// plan says.
func copyable(command string, columns int) []string {
	const indent = "  "
	var lines []string
	start, space, quoted := 0, -1, false
	limit := columns - len(` \`)
	for i := 0; i < len(command); i++ {
		if !quoted && command[i] == '#' && (i == 0 || command[i-1] == ' ') {
			break
		}
		switch {
		case command[i] == '\'':
			quoted = !quoted
		case command[i] == '\\' && !quoted:
			i++ // whatever follows is part of the word
		case command[i] == ' ' && !quoted:
			space = i
		}
		if i-start >= limit && space > start {
			lines = append(lines, command[start:space]+` \`)
			start, space = space+1, -1
			limit = columns - len(indent) - len(` \`)
		}
	}
	lines = append(lines, command[start:])
	for i := range lines[1:] {
		lines[i+1] = indent + lines[i+1]
	}
	return lines
}

func partWord(owner string, p plimsoll.Part) string {
	verb := "clear"
	if len(p.Steps) == 1 {
		verb = "clears"
	}
	return fmt.Sprintf("%s: %s %s %s", owner, plural(len(p.Steps), "upgrade", "upgrades"), verb, plural(p.Clears, "finding", "findings"))
}

// stepNote says what a step stands for and what to mind.
func stepNote(step *plimsoll.Step) string {
	var notes []string
	if step.Breaking {
		notes = append(notes, "crosses a major version: read its release notes")
	}
	if len(step.Packages) > 1 || len(step.Packages) == 1 && step.Packages[0] != step.Package {
		notes = append(notes, "installed as "+strings.Join(each(step.Packages, name), ", "))
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

// clearsWords lists the ids of a step, the first ones when there are many.
func clearsWords(ids []string, most int) []string {
	list := each(ids[:min(most, len(ids))], name)
	if rest := len(ids) - most; rest > 0 {
		list = append(list, fmt.Sprintf("%d more", rest))
	}
	return list
}
