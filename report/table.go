package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"plimsoll"
)

func writeTable(w io.Writer, r plimsoll.Report, o Options) error {
	s := newScreen(w, o)
	for i := range r.Results {
		if i > 0 {
			s.line()
		}
		writeResult(s, &r.Results[i], r.Generation, o)
	}
	if len(r.Results) > 1 {
		s.line()
		overview(s, r.Results)
	}
	s.line()
	closing(s, r)
	return s.flush()
}

func writeResult(s *screen, r *plimsoll.Result, g *plimsoll.Generation, o Options) {
	s.line(imageName(&r.Image))
	s.rule()
	s.prose("Image", imageFacts(&r.Image))
	if len(r.Image.Names) > 1 {
		s.prose("Also", strings.Join(each(r.Image.Names[1:], path), ", "))
	}
	if len(r.Image.Containers) > 0 {
		s.prose("In use", containersWord(r.Image.Containers))
	}
	if r.Status == plimsoll.ScanFailed {
		s.prose("Scan", "NOT SCANNED: nothing is known about this image.")
		if p := r.Problem; p != nil {
			s.prose("Reason", name(string(p.Code))+": "+sentence(p.Code))
			if text := example(*p); text != "" {
				s.prose("", text)
			}
		}
		return
	}
	system := systemWord(r)
	if eol := endOfLife(r); eol != "" {
		system += " (" + strings.ToUpper(eol) + ")"
	}
	s.prose("System", system)
	s.prose("Software", softwareWord(r.Inventory.Packages))
	if by := r.Inventory.Claimed; by != "" {
		s.prose("Claimed", "by an SBOM of "+name(by)+": the image itself was not read.")
	}
	s.line()
	counts(s, r)
	s.line()
	coverage(s, r)
	for _, class := range []plimsoll.Class{plimsoll.ClassSystem, plimsoll.ClassApplication} {
		for _, g := range groups(r, class) {
			s.line()
			findings(s, r, class, g)
		}
	}
	if r.Matched {
		s.line()
		plan(s, r)
	}
	if o.Packages {
		s.line()
		software(s, r)
	}
}

func imageFacts(img *plimsoll.Image) string {
	facts := []string{line(img.ID.Short(), 12), name(img.Platform.String()), name(string(img.Engine))}
	if img.Size > 0 {
		facts = append(facts, bytesWord(img.Size))
	}
	if d := day(img.Created); d != "" {
		facts = append(facts, "created "+d)
	}
	facts = slices.DeleteFunc(facts, func(f string) bool { return f == "" })
	return strings.Join(facts, " \u00b7 ")
}

func containersWord(containers []plimsoll.Container) string {
	const most = 5
	var names []string
	for i, c := range containers {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(containers)-most))
			break
		}
		names = append(names, fmt.Sprintf("%s (%s)", name(cmp.Or(c.Pod, c.Name, c.ID)), cmp.Or(name(c.State), "state unknown")))
	}
	return plural(len(containers), "container", "containers") + ": " + strings.Join(names, ", ")
}

// counts draws findings by class and severity: "-" where nobody was asked, 0
// where somebody was and knows nothing.
func counts(s *screen, r *plimsoll.Result) {
	g := grid{columns: []column{{head: "Findings"}}}
	for _, severity := range worstFirst() {
		g.columns = append(g.columns, column{head: title1(severity.String()), right: true})
	}
	g.columns = append(g.columns, column{head: "Fixable", right: true}, column{head: "Exploited", right: true})
	informational := 0
	for _, class := range []plimsoll.Class{plimsoll.ClassSystem, plimsoll.ClassApplication} {
		t := count(r.Findings, class)
		informational += t.informational
		g.add(countCells(className(class), t, r.Judged(class))...)
	}
	g.write(s)
	if informational > 0 {
		s.linef("  %s for information only, in no count above.", plural(informational, "finding", "findings"))
	}
	if h := hiddenWord(r.Hidden); h != "" {
		s.line("  " + h)
	}
	if !wholly(r) {
		s.line("  - means not judged: no advisories were asked.")
	}
}

// countCells are the cells of one row. Unless all of it was judged, nothing found
// means nothing known.
func countCells(label string, t tally, judged bool) []cell {
	cells := []cell{plainCell(label)}
	number := func(n int) cell {
		if n == 0 && !judged {
			return plainCell("-")
		}
		return plainCell(strconv.Itoa(n))
	}
	for _, severity := range worstFirst() {
		c := number(t.by[severity])
		c.severity, c.painted = severity, t.by[severity] > 0
		cells = append(cells, c)
	}
	return append(cells, number(t.fixable), number(t.exploited))
}

// coverage says what the counts do not speak about.
func coverage(s *screen, r *plimsoll.Result) {
	asked, assumed := judgedWords(r.Coverage)
	if len(asked) > 0 {
		s.prose("Judged", strings.Join(asked, ", "))
	}
	for _, a := range assumed {
		s.prose("", a)
	}
	list := warnings(r.Problems)
	switch {
	case r.Status == plimsoll.ScanPartial:
		s.prose("Coverage", "INCOMPLETE: something could not be read; what is not listed may still be there.")
	case len(list) > 0:
		s.prose("Coverage", "read completely, with "+plural(len(list), "limit", "limits")+" to what could be judged:")
	default:
		s.prose("Coverage", "complete")
	}
	for _, w := range list {
		mark := pad(strconv.Itoa(w.Count), 5, true)
		s.hanging("  "+mark+"  ", "         ", w.Code+": "+w.Sentence)
		for _, e := range w.Examples {
			if e != "" {
				s.hanging("           ", "             ", e)
			}
		}
		if w.More > 0 {
			s.linef("           and %d more", w.More)
		}
	}
}

// judgedWords says about which packages somebody was asked, and where this was
// somebody else than the maker of the system.
func judgedWords(coverage []plimsoll.Coverage) (asked, assumed []string) {
	for _, c := range coverage {
		if c.Ecosystem == "" {
			continue
		}
		asked = append(asked, fmt.Sprintf("%s (%d)", name(c.Group), c.Packages))
		if c.Assumed {
			assumed = append(assumed, fmt.Sprintf("%s judged as %s, which it derives from", name(c.Group), name(c.Ecosystem)))
		}
	}
	return asked, assumed
}

func findings(s *screen, r *plimsoll.Result, class plimsoll.Class, g group) {
	s.line(groupTitle(r, class, g))
	t := grid{columns: []column{
		{head: "Package", wrap: 14}, {head: "Vulnerability"}, {head: "Severity"}, {head: "State"},
		{head: "Installed", wrap: 10}, {head: "Fixed in", wrap: 10}, {head: "KEV/EPSS", right: true, drop: 1},
		{head: "Layer", drop: 2}, {head: "Title", cut: 12, most: 100, drop: 3},
	}}
	several := severalArchitectures(g)
	told := make(map[string]bool)
	twins := twinPackages(g)
	for n, findings := range g.packages {
		if twins[n] == nil {
			continue // told with the first of its kind
		}
		for i, f := range findings {
			p, v := &f.Package, &f.Vulnerability
			var label, installed, layer string
			if i == 0 { // merged cells: told once for all rows of the package
				label, installed, layer = packageWord(p, several), name(p.Version), layerWord(&r.Image, p.Layer)
			}
			t.add(plainCell(label), plainCell(name(v.ID)), cell{v.Severity.String(), v.Severity, true}, plainCell(stateWord(f)),
				plainCell(installed), plainCell(cmp.Or(name(f.FixedVersion), "-")), plainCell(riskWord(v)),
				plainCell(layer), plainCell(title(cmp.Or(v.Summary, v.Details))))
			if v.KEV != nil && !told[v.ID] {
				told[v.ID] = true
				t.note(exploitedWord(v.KEV))
			}
		}
		if note := whereWord(&findings[0].Package, class); note != "" {
			t.note(note)
		}
		for _, note := range vexNotes(findings) {
			t.note(note)
		}
		if others := twins[n][1:]; len(others) > 0 {
			t.note(fmt.Sprintf("the same in %s, from source %s", strings.Join(each(others, func(p *plimsoll.Package) string { return packageWord(p, several) }), ", "),
				name(findings[0].Package.Source.Name)))
		}
	}
	t.write(s)
}

func groupTitle(r *plimsoll.Result, class plimsoll.Class, g group) string {
	return fmt.Sprintf("%s vulnerabilities \u00b7 %s: %s in %s", className(class), groupWord(r, class, g.name),
		plural(g.findings, "finding", "findings"), plural(len(g.packages), "package", "packages"))
}

func groupWord(r *plimsoll.Result, class plimsoll.Class, group string) string {
	if class == plimsoll.ClassApplication {
		return name(group)
	}
	if group == "" && r.JudgedAs != "" {
		return name(r.JudgedAs)
	}
	for _, system := range r.Inventory.Systems {
		if system.Root == group {
			word := name(cmp.Or(system.Name, system.ID, "unknown distribution"))
			if group != "" {
				word += " in /" + path(group)
			}
			return word
		}
	}
	return cmp.Or(path(group), "unknown distribution")
}

// twinPackages finds the packages of one source that share version and findings,
// so that they are shown once: by position in the group, the first of them has
// the list of all, the others nil.
func twinPackages(g group) [][]*plimsoll.Package {
	list := make([][]*plimsoll.Package, len(g.packages))
	first := make(map[string]int)
	for n, findings := range g.packages {
		p := &findings[0].Package
		if p.Source.Name != "" {
			var key strings.Builder
			fmt.Fprintf(&key, "%q %q %q %q", p.Source.Name, p.Source.Version, p.Version, p.Layer)
			for _, f := range findings {
				fmt.Fprintf(&key, " %q %d %q %q %q", f.Vulnerability.ID, f.Vulnerability.Severity, f.Status, f.State, f.FixedVersion)
				if len(f.VEX) > 0 {
					fmt.Fprintf(&key, " %q", vexWord(&f.VEX[0]))
				}
			}
			if i, ok := first[key.String()]; ok {
				list[i] = append(list[i], p)
				continue
			}
			first[key.String()] = n
		}
		list[n] = []*plimsoll.Package{p}
	}
	return list
}

// severalArchitectures returns the system packages that a group has for more
// than one architecture, by name.
func severalArchitectures(g group) map[string]bool {
	arch, several := make(map[string]string), make(map[string]bool)
	for _, findings := range g.packages {
		p := &findings[0].Package
		if first, ok := arch[p.Name]; ok && first != p.Arch {
			several[p.Name] = p.Type.System()
		}
		arch[p.Name] = p.Arch
	}
	return several
}

func packageWord(p *plimsoll.Package, several map[string]bool) string {
	if several[p.Name] && p.Arch != "" {
		return name(p.Name) + ":" + name(p.Arch)
	}
	return name(p.Name)
}

// whereWord says where an application's package is, and what was noticed there.
func whereWord(p *plimsoll.Package, class plimsoll.Class) string {
	var parts []string
	if class == plimsoll.ClassApplication && p.Path != "" {
		parts = append(parts, "in /"+path(p.Path))
	}
	if p.Remark != "" {
		parts = append(parts, "noticed: "+name(p.Remark))
	}
	return strings.Join(parts, "; ")
}

// rooted shows a path of the image as the image's users know it.
func rooted(p string) string {
	if p == "" {
		return ""
	}
	return "/" + path(p)
}

// licenceWord lists licences, the first few when they are many.
func licenceWord(licences []string) string {
	const most = 40 // columns
	word := ""
	for i, l := range licences {
		next := name(l)
		if i == 0 {
			word = truncate(next, most)
			continue
		}
		if width(word)+width(next)+2 > most {
			return fmt.Sprintf("%s, %d more", word, len(licences)-i)
		}
		word += ", " + next
	}
	return word
}

// riskWord says how likely a flaw is to be used: known, or FIRST's estimate.
func riskWord(v *plimsoll.Vulnerability) string {
	var parts []string
	if v.KEV != nil {
		parts = append(parts, "KEV")
	}
	if v.EPSS != nil {
		parts = append(parts, percent(v.EPSS.Score))
	}
	return strings.Join(parts, " ")
}

func software(s *screen, r *plimsoll.Result) {
	s.linef("Software \u00b7 %s", softwareWord(r.Inventory.Packages))
	t := grid{columns: []column{
		{head: "Package", wrap: 14}, {head: "Version", wrap: 10}, {head: "Type"}, {head: "Licence", cut: 10, drop: 1},
		{head: "Layer", drop: 2}, {head: "Path", cut: 12, most: 100, drop: 3},
	}}
	for _, p := range softwareOrder(r.Inventory.Packages) {
		t.add(plainCell(name(p.Name)), plainCell(name(p.Version)), plainCell(name(string(p.Type))),
			plainCell(licenceWord(p.Licenses)), plainCell(layerWord(&r.Image, p.Layer)), plainCell(rooted(p.Path)))
	}
	t.write(s)
}

// softwareOrder sorts packages for people: the system's first, then by type and
// name.
func softwareOrder(packages []plimsoll.Package) []*plimsoll.Package {
	list := make([]*plimsoll.Package, len(packages))
	for i := range packages {
		list[i] = &packages[i]
	}
	slices.SortStableFunc(list, func(a, b *plimsoll.Package) int {
		return cmp.Or(-compareBool(a.Type.System(), b.Type.System()), strings.Compare(string(a.Type), string(b.Type)),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Path, b.Path))
	})
	return list
}

// overview sums several images up.
func overview(s *screen, results []plimsoll.Result) {
	s.line("All images")
	s.rule()
	t := grid{columns: []column{{head: "Image", wrap: 14}, {head: "Scan"}}}
	for _, severity := range worstFirst() {
		t.columns = append(t.columns, column{head: title1(severity.String()), right: true})
	}
	t.columns[len(t.columns)-1].drop = 1 // a severity of "none" can be missed
	t.columns = append(t.columns, column{head: "Fixable", right: true}, column{head: "KEV", right: true})
	for i := range results {
		r := &results[i]
		sum := count(r.Findings, plimsoll.ClassSystem).add(count(r.Findings, plimsoll.ClassApplication))
		cells := countCells(imageName(&r.Image), sum, wholly(r))
		t.add(slices.Insert(cells, 1, plainCell(statusWord(r)))...)
	}
	t.write(s)
}

func statusWord(r *plimsoll.Result) string {
	switch {
	case r.Status == plimsoll.ScanFailed:
		return "failed"
	case r.Status == plimsoll.ScanPartial:
		return "partial"
	case !r.Matched:
		return "listed"
	}
	return "complete"
}

// closing names the advisories and what was left out.
func closing(s *screen, r plimsoll.Report) {
	switch g := r.Generation; {
	case g == nil:
		s.hanging("", "", "No advisories were asked: this is an inventory, not a judgement.")
	case g.Sample:
		s.hanging("", "", fmt.Sprintf("SAMPLE ADVISORIES of %s, %d records for demonstration only: most vulnerabilities are missing. Get the real ones with: plimsoll db update",
			cmp.Or(day(g.Built), "unknown date"), g.Advisories))
	default:
		s.hanging("", "", fmt.Sprintf("Advisories of %s (%s, database %s).", cmp.Or(day(g.Built), "unknown date"), plural(g.Advisories, "record", "records"), line(g.ID.Short(), 12)))
	}
	if h := hiddenWord(r.Hidden); h != "" {
		s.hanging("", "", h)
	}
}
