package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"

	"plimsoll"
)

// The page is one file: a head with the style sheet, a body made by
// html/template from text only, and a script that knows nothing of the data. The
// content security policy names the two by their digests, so that nothing else
// runs even if an escape were missed, and the page cannot ask any address.

var (
	//go:embed page/style.css
	styleSheet string
	//go:embed page/filter.js
	filterScript string
	//go:embed page/body.html
	bodyTemplate string
)

func writeHTML(w io.Writer, r plimsoll.Report, o Options) error {
	t, err := template.New("page").Parse(bodyTemplate)
	if err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, "parse page", "%w", err)
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "page", newPage(r, o)); err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, "write page", "%w", err)
	}
	if _, err := io.WriteString(w, pageHead("Plimsoll report", filterScript)); err != nil {
		return err
	}
	if _, err := body.WriteTo(w); err != nil {
		return err
	}
	_, err = io.WriteString(w, "<script>"+filterScript+"</script>\n</body>\n</html>\n")
	return err
}

// pageHead returns a page up to its body; script is the one that it will run,
// empty for none.
func pageHead(title, script string) string {
	policy := fmt.Sprintf("default-src 'none'; style-src '%s'; ", sourceHash(styleSheet))
	if script != "" {
		policy += fmt.Sprintf("script-src '%s'; ", sourceHash(script))
	}
	policy += "base-uri 'none'; form-action 'none'"
	return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="` + policy + `">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>` + template.HTMLEscapeString(path(title)) + `</title>
<style>` + styleSheet + `</style>
</head>
<body>
`
}

func sourceHash(text string) string {
	h := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(h[:])
}

// The view of the page. All strings are Text.
type (
	pageView struct {
		Tool, Date, Sample, Hidden string
		Records                    int
		Severities                 []string
		Images                     []imageView
	}
	imageView struct {
		Anchor, Name, Scan, Failure, EndOfLife string
		Partial, Matched                       bool
		Sum                                    []countView
		Severities                             []string
		Classes                                []classView
		Informational                          string
		Bar                                    []barView
		BarWords                               string
		Facts                                  []factView
		Warnings                               []warning
		Nothing                                string
		Parts                                  []partView
		Remaining                              []string
		Groups                                 []groupView
		SoftwareWord                           string
		Software                               []softwareView
	}
	countView struct {
		Text, Severity string
		Zero           bool
	}
	classView struct {
		Name   string
		Counts []countView
	}
	barView struct {
		Severity string
		X, Width int // thousandths
	}
	factView struct{ Name, Value string }
	partView struct {
		Title      string
		Steps      []stepView
		BuildSteps []factView
		Commands   []string
	}
	stepView struct {
		Package, Note, From, To, Worst, Layer string
		Clears                                []string
	}
	groupView struct {
		Title string
		Rows  []rowView
	}
	rowView struct {
		Package, Path, ID, Severity, State, StateWord string
		Installed, Fixed, EPSS, KEV, Layer, Title     string
		Facts                                         []factView
		Reasons, Details                              []string
		Links                                         []linkView
	}
	linkView     struct{ Text, URL string } // URL is empty for what is no safe link
	softwareView struct{ Name, Version, Type, Licence, Layer, Path string }
)

func newPage(r plimsoll.Report, o Options) pageView {
	p := pageView{Tool: name(r.Tool), Hidden: hiddenWord(r.Hidden), Severities: severityWords()}
	if g := r.Generation; g != nil {
		p.Date, p.Records = cmp.Or(day(g.Built), "unknown date"), g.Advisories
		if g.Sample {
			p.Sample = "They are for demonstration only: most vulnerabilities are missing. Get the real ones with: plimsoll db update"
		}
	}
	for i := range r.Results {
		v := newImageView(&r.Results[i], o)
		v.Anchor = fmt.Sprintf("image-%d", i+1)
		p.Images = append(p.Images, v)
	}
	return p
}

func severityWords() []string {
	return each(worstFirst(), plimsoll.Severity.String)
}

func newImageView(r *plimsoll.Result, o Options) imageView {
	v := imageView{Name: imageName(&r.Image), Scan: statusWord(r), Severities: severityWords(), Matched: r.Matched, Partial: r.Status == plimsoll.ScanPartial}
	fact := func(name, value string) {
		if value != "" {
			v.Facts = append(v.Facts, factView{name, value})
		}
	}
	system, application := count(r.Findings, plimsoll.ClassSystem), count(r.Findings, plimsoll.ClassApplication)
	sum := system.add(application)
	judgedSystem, judgedApplication := r.Judged(plimsoll.ClassSystem), r.Judged(plimsoll.ClassApplication)
	v.Sum = countViews(sum, wholly(r))
	fact("Image", imageFacts(&r.Image))
	if len(r.Image.Names) > 1 {
		fact("Also", strings.Join(each(r.Image.Names[1:], path), ", "))
	}
	if len(r.Image.Containers) > 0 {
		fact("In use", containersWord(r.Image.Containers))
	}
	if r.Status == plimsoll.ScanFailed {
		v.Matched, v.Failure = false, "No reason is known."
		if p := r.Problem; p != nil {
			v.Failure = strings.TrimSpace(name(string(p.Code)) + ": " + sentence(p.Code) + " " + example(*p))
		}
		return v
	}
	fact("System", systemWord(r))
	fact("Software", softwareWord(r.Inventory.Packages))
	asked, assumed := judgedWords(r.Coverage)
	fact("Judged", strings.Join(asked, ", "))
	for _, a := range assumed {
		fact("Assumed", a)
	}
	v.EndOfLife = endOfLife(r)
	v.Classes = []classView{
		{className(plimsoll.ClassSystem), countViews(system, judgedSystem)},
		{className(plimsoll.ClassApplication), countViews(application, judgedApplication)},
	}
	if sum.informational > 0 {
		v.Informational = plural(sum.informational, "finding", "findings") + " for information only, in no count above."
	}
	if h := hiddenWord(r.Hidden); h != "" {
		v.Informational = strings.TrimSpace(v.Informational + " " + h)
	}
	v.Bar, v.BarWords = bar(sum)
	v.Warnings = warnings(r.Problems)
	v.planViews(r)
	for _, class := range []plimsoll.Class{plimsoll.ClassSystem, plimsoll.ClassApplication} {
		for _, g := range groups(r, class) {
			v.Groups = append(v.Groups, newGroupView(r, class, g))
		}
	}
	if o.Packages {
		v.SoftwareWord = softwareWord(r.Inventory.Packages)
		for _, p := range softwareOrder(r.Inventory.Packages) {
			v.Software = append(v.Software, softwareView{name(p.Name), name(p.Version), name(string(p.Type)),
				licenceWord(p.Licenses), layerWord(&r.Image, p.Layer), rooted(p.Path)})
		}
	}
	return v
}

func countViews(t tally, judged bool) []countView {
	var list []countView
	add := func(n int, severity string) {
		c := countView{Text: fmt.Sprint(n), Severity: severity, Zero: n == 0}
		if n == 0 && !judged {
			c = countView{Text: "-", Zero: true}
		}
		list = append(list, c)
	}
	for _, s := range worstFirst() {
		add(t.by[s], s.String())
	}
	add(t.fixable, "")
	add(t.exploited, "")
	return list
}

// bar draws the share of each severity, and says it in words.
func bar(t tally) ([]barView, string) {
	var list []barView
	var words []string
	x, sum := 0, 0
	for _, s := range worstFirst() {
		if t.by[s] == 0 {
			continue
		}
		sum += t.by[s]
		end := sum * 1000 / t.total
		list = append(list, barView{s.String(), x, end - x})
		words = append(words, fmt.Sprintf("%d %s", t.by[s], s))
		x = end
	}
	return list, strings.Join(words, ", ")
}

// pageColumns is how wide a command gets on the page.
const pageColumns = 100

func (v *imageView) planViews(r *plimsoll.Result) {
	p := &r.Plan
	v.Nothing = nothingToDo(r)
	for _, part := range []struct {
		owner string
		plimsoll.Part
	}{{"Base image, for its owner", p.Base}, {"This image, for whoever builds it", p.Own}} {
		if len(part.Steps) == 0 {
			continue
		}
		view := partView{Title: partWord(part.owner, part.Part), BuildSteps: buildSteps(&r.Image, part.Part)}
		for _, c := range part.Commands {
			view.Commands = append(view.Commands, copyable(line(c, maxProse), pageColumns)...)
		}
		for i := range part.Steps {
			s := &part.Steps[i]
			var notes []string
			if s.Path != "" {
				notes = append(notes, "in /"+path(s.Path))
			}
			if note := stepNote(s); note != "" {
				notes = append(notes, note)
			}
			view.Steps = append(view.Steps, stepView{name(s.Package), strings.Join(notes, "; "), name(s.From), name(s.To), s.Worst.String(), layerWord(&r.Image, s.Layer), clearsWords(s.Clears, 6)})
		}
		v.Parts = append(v.Parts, view)
	}
	for _, rest := range p.Remaining {
		text := fmt.Sprintf("%d %s, worst %s", rest.Count, fixWord(rest.State), rest.Worst)
		if rest.Reason != "" {
			text += ": " + path(rest.Reason)
		}
		v.Remaining = append(v.Remaining, text)
	}
}

func newGroupView(r *plimsoll.Result, class plimsoll.Class, g group) groupView {
	view := groupView{Title: groupTitle(r, class, g)}
	several := severalArchitectures(g)
	for _, findings := range g.packages {
		for _, f := range findings {
			v, p := &f.Vulnerability, &f.Package
			row := rowView{
				Package: packageWord(p, several), ID: name(v.ID), Severity: v.Severity.String(), State: state(f.State), StateWord: stateWord(f),
				Installed: name(p.Version), Fixed: cmp.Or(name(f.FixedVersion), "-"), Layer: layerWord(&r.Image, p.Layer),
				Title: cmp.Or(title(cmp.Or(v.Summary, v.Details)), "why it matches"), Details: paragraphs(v.Details),
			}
			if class == plimsoll.ClassApplication {
				row.Path = path(p.Path)
			}
			if v.EPSS != nil {
				row.EPSS = percent(v.EPSS.Score)
				row.Facts = append(row.Facts, factView{"EPSS", epssWord(v.EPSS)})
			}
			if v.KEV != nil {
				row.KEV = exploitedWord(v.KEV)
			}
			for i := range f.VEX {
				row.Facts = append(row.Facts, factView{"VEX", vexWord(&f.VEX[i])})
			}
			row.Facts = append(row.Facts, factView{"Fix", fixSentence(f)}, factView{"Severity", severityWord(v, f.Reasons)})
			if p.Remark != "" {
				row.Facts = append(row.Facts, factView{"Noticed", name(p.Remark)})
			}
			if len(v.Aliases) > 0 {
				row.Facts = append(row.Facts, factView{"Aliases", strings.Join(each(v.Aliases, name), ", ")})
			}
			for _, rating := range v.Ratings {
				row.Facts = append(row.Facts, factView{"Rated by " + name(rating.Source),
					strings.Join(strings.Fields(rating.Severity.String()+" "+scoreWord(rating.Score)+" "+path(rating.Vector)), " ")})
			}
			for i := range f.Reasons {
				row.Reasons = append(row.Reasons, reasonLines(&f.Reasons[i])...)
			}
			row.Links = each(v.References, func(ref string) linkView { return linkView{path(ref), webLink(ref)} })
			view.Rows = append(view.Rows, row)
		}
	}
	return view
}
