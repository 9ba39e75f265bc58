package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"plimsoll"
)

//go:embed schema.json
var schema string

// Schema returns the JSON Schema (draft 2020-12) of all JSON documents that this
// package writes.
func Schema() string { return schema }

// writeJSON writes doc indented, ASCII but for visible letters, with a final
// newline.
func writeJSON(w io.Writer, doc any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, "encode report", "%w", err)
	}
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

func newReportDoc(r plimsoll.Report) reportDoc {
	d := reportDoc{Kind: "report", SchemaVersion: schemaVersion, Tool: raw(r.Tool, maxName), Generation: newGenerationDoc(r.Generation)}
	d.Results = each(r.Results, func(r plimsoll.Result) resultDoc { return newResultDoc(r, true) })
	d.Hidden = newHiddenDocs(r.Hidden)
	d.Vulnerabilities = each(vulnerabilities(r), func(v *plimsoll.Vulnerability) vulnerabilityDoc { return newVulnerabilityDoc(*v) })
	return d
}

func newHiddenDocs(hidden []plimsoll.Hidden) []hiddenDoc {
	return each(hidden, func(h plimsoll.Hidden) hiddenDoc { return hiddenDoc{raw(h.Filter, maxName), h.Count} })
}

// vulnerabilities returns what the findings of r are about, once each, by ID.
func vulnerabilities(r plimsoll.Report) []*plimsoll.Vulnerability {
	var list []*plimsoll.Vulnerability
	seen := make(map[string]bool)
	for i := range r.Results {
		for j := range r.Results[i].Findings {
			v := &r.Results[i].Findings[j].Vulnerability
			if !seen[v.ID] {
				seen[v.ID] = true
				list = append(list, v)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *plimsoll.Vulnerability) int { return strings.Compare(a.ID, b.ID) })
	return list
}

func newGenerationDoc(g *plimsoll.Generation) *generationDoc {
	if g == nil {
		return nil
	}
	return &generationDoc{
		Schema: g.Schema, ID: string(g.ID), Built: date(g.Built), Sample: g.Sample, Advisories: g.Advisories,
		Sources: each(g.Sources, func(s plimsoll.DataSource) sourceDoc {
			return sourceDoc{Name: raw(s.Name, maxName), URL: raw(s.URL, maxPath), Newest: date(s.Newest), Fetched: date(s.Fetched), Records: s.Records}
		}),
	}
}

// newDatabaseDoc tells ages at now, the only place where the clock shows.
func newDatabaseDoc(g plimsoll.Generation, now time.Time) databaseDoc {
	d := databaseDoc{Kind: "database", SchemaVersion: schemaVersion, Generation: *newGenerationDoc(&g)}
	if !g.Built.IsZero() {
		d.AgeSeconds = int64(now.Sub(g.Built) / time.Second)
	}
	for i, s := range g.Sources {
		if !s.Newest.IsZero() {
			age := int64(now.Sub(s.Newest) / time.Second)
			d.Generation.Sources[i].AgeSeconds = &age
		}
	}
	return d
}

func newResultDoc(r plimsoll.Result, software bool) resultDoc {
	d := resultDoc{
		Image: newImageDoc(r.Image), Status: string(r.Status), Matched: r.Matched, JudgedAs: raw(r.JudgedAs, maxName), Analyzers: raw(r.Inventory.Analyzers, maxPath),
		ClaimedBy: raw(r.Inventory.Claimed, maxName),
		Systems:   each(r.Inventory.Systems, newSystemDoc),
		Coverage:  each(r.Coverage, newCoverDoc),
		Problems:  each(r.Problems, newProblemDoc),
	}
	if r.Problem != nil {
		p := newProblemDoc(*r.Problem)
		d.Problem = &p
	}
	d.Hidden = newHiddenDocs(r.Hidden)
	if software && r.Status != plimsoll.ScanFailed {
		d.Packages = each(r.Inventory.Packages, newPackageDoc)
	}
	if r.Matched {
		d.Findings = each(r.Findings, newFindingDoc)
		d.Summary = &summaryDoc{newCountsDoc(&r, plimsoll.ClassSystem), newCountsDoc(&r, plimsoll.ClassApplication)}
		d.Plan = &planDoc{newPartDoc(r.Plan.Base), newPartDoc(r.Plan.Own), each(r.Plan.Remaining, func(r plimsoll.Remaining) remainingDoc {
			return remainingDoc{state(r.State), r.Count, r.Worst.String(), raw(r.Reason, maxProse)}
		})}
	}
	return d
}

func newCountsDoc(r *plimsoll.Result, class plimsoll.Class) countsDoc {
	c := count(r.Findings, class)
	return countsDoc{
		Judged:   r.Judged(class),
		Critical: c.by[plimsoll.SeverityCritical], High: c.by[plimsoll.SeverityHigh], Medium: c.by[plimsoll.SeverityMedium],
		Unknown: c.by[plimsoll.SeverityUnknown], Low: c.by[plimsoll.SeverityLow], None: c.by[plimsoll.SeverityNone],
		Fixable: c.fixable, KnownExploited: c.exploited, Informational: c.informational,
	}
}

func newImageDoc(img plimsoll.Image) imageDoc {
	d := imageDoc{
		ID: string(img.ID), Engine: string(img.Engine), Store: raw(img.Store, maxPath),
		Names:     rawAll(img.Names, maxPath),
		Manifests: each(img.Manifests, func(d plimsoll.Digest) string { return string(d) }),
		OS:        raw(img.Platform.OS, maxName), Arch: raw(img.Platform.Architecture, maxName), Variant: raw(img.Platform.Variant, maxName),
		Created: date(img.Created), Size: img.Size,
		User: raw(img.Config.User, maxName), WorkingDir: raw(img.Config.WorkingDir, maxPath),
		Entrypoint: rawAll(img.Config.Entrypoint, maxPath), Cmd: rawAll(img.Config.Cmd, maxPath),
		Layers: each(img.Layers, func(l plimsoll.Layer) layerDoc {
			return layerDoc{string(l.DiffID), string(l.ChainID), l.Size, raw(l.CreatedBy, maxProse), l.Base}
		}),
		Containers: each(img.Containers, func(c plimsoll.Container) containerDoc {
			return containerDoc{raw(c.ID, maxName), raw(c.Name, maxName), raw(c.State, maxName), raw(c.Pod, maxName)}
		}),
	}
	if len(img.Config.Labels) > 0 {
		d.Labels = make(map[string]string, len(img.Config.Labels)) // encoding/json sorts the keys
		for k, v := range img.Config.Labels {
			d.Labels[raw(k, maxName)] = raw(v, maxPath)
		}
	}
	if img.Problem != nil {
		p := newProblemDoc(*img.Problem)
		d.Problem = &p
	}
	return d
}

func newSystemDoc(s plimsoll.OS) systemDoc {
	return systemDoc{
		ID: raw(s.ID, maxName), IDLike: rawAll(s.IDLike, maxName), VersionID: raw(s.VersionID, maxName), Codename: raw(s.Codename, maxName),
		Name: raw(s.Name, maxName), Version: raw(s.Version, maxName), VariantID: raw(s.VariantID, maxName), CPE: raw(s.CPE, maxPath),
		Release: raw(s.Release, maxPath), Root: raw(s.Root, maxPath), Path: raw(s.Path, maxPath),
	}
}

func newPackageDoc(p plimsoll.Package) packageDoc {
	d := packageDoc{
		Type: string(p.Type), Name: raw(p.Name, maxName), Version: raw(p.Version, maxName), Arch: raw(p.Arch, maxName),
		Module: raw(p.Module, maxName), Licenses: rawAll(p.Licenses, maxPath), Supplier: raw(p.Supplier, maxPath), Origin: raw(p.Origin, maxName),
		Path: raw(p.Path, maxPath), Locations: rawAll(p.Locations, maxPath), Root: raw(p.Root, maxPath), Layer: string(p.Layer),
		Owner: raw(p.Owner, maxName), PURL: raw(p.PURL, maxPath), Evidence: string(p.Evidence), Dev: p.Dev, Bundled: raw(p.Bundled, maxName), Remark: raw(p.Remark, maxPath),
	}
	if p.Source != (plimsoll.SourcePackage{}) {
		d.Source = &sourcePkg{raw(p.Source.Name, maxName), raw(p.Source.Version, maxName)}
	}
	return d
}

func newFindingDoc(f plimsoll.Finding) findingDoc {
	v := f.Vulnerability
	d := findingDoc{
		Vulnerability: raw(v.ID, maxName), Class: string(f.Class), Status: string(f.Status), Confidence: string(f.Confidence()),
		Severity: v.Severity.String(), SeveritySource: raw(v.SeveritySource, maxName), Ratings: each(v.Ratings, newRatingDoc),
		KnownExploited: v.KEV != nil, Package: newPackageDoc(f.Package),
		State: state(f.State), FixedVersion: raw(f.FixedVersion, maxName), FixedVersions: rawAll(f.FixedVersions, maxName),
		Reasons: each(f.Reasons, func(r plimsoll.Reason) reasonDoc {
			return reasonDoc{
				Advisory: raw(r.Advisory, maxName), Provider: raw(r.Provider, maxName), Modified: date(r.Modified),
				Ecosystem: raw(r.Ecosystem, maxName), Package: raw(r.Package, maxName), Version: raw(r.Version, maxName),
				Scheme: raw(r.Scheme, maxName), Range: raw(r.Range, maxPath), Note: raw(r.Note, maxPath),
			}
		}),
	}
	if len(f.VEX) > 0 {
		d.VEX = each(f.VEX, newVEXDoc)
	}
	if v.EPSS != nil {
		score := number(v.EPSS.Score)
		d.EPSS = &score
	}
	return d
}

func newVulnerabilityDoc(v plimsoll.Vulnerability) vulnerabilityDoc {
	d := vulnerabilityDoc{
		ID: raw(v.ID, maxName), Aliases: rawAll(v.Aliases, maxName), Summary: raw(v.Summary, maxProse), Details: raw(v.Details, maxProse),
		Severity: v.Severity.String(), SeveritySource: raw(v.SeveritySource, maxName), Ratings: each(v.Ratings, newRatingDoc),
		References: rawAll(v.References, maxPath), Published: date(v.Published), Malicious: v.Malicious, Disputed: v.Disputed,
	}
	if e := v.EPSS; e != nil {
		d.EPSS = &epssDoc{number(e.Score), number(e.Percentile), date(e.Date)}
	}
	if k := v.KEV; k != nil {
		d.KEV = &kevDoc{date(k.Added), date(k.Due), k.Ransomware, raw(k.Action, maxProse)}
	}
	return d
}

func newRatingDoc(r plimsoll.Rating) ratingDoc {
	return ratingDoc{raw(r.Source, maxName), raw(r.Method, maxName), raw(r.Vector, maxPath), number(r.Score), r.Severity.String()}
}

func newCoverDoc(c plimsoll.Coverage) coverDoc {
	return coverDoc{raw(c.Group, maxName), string(c.Class), raw(c.Ecosystem, maxName), c.Packages, date(c.EndOfLife), c.Ended, c.Assumed}
}

func newProblemDoc(p plimsoll.Problem) problemDoc {
	return problemDoc{string(p.Code), raw(p.Path, maxPath), string(p.Layer), raw(p.Analyzer, maxName), raw(p.Detail, maxProse), times(p)}
}

func newPartDoc(p plimsoll.Part) partDoc {
	return partDoc{
		Steps: each(p.Steps, func(s plimsoll.Step) stepDoc {
			return stepDoc{
				Package: raw(s.Package, maxName), Packages: rawAll(s.Packages, maxName), Type: string(s.Type), Path: raw(s.Path, maxPath),
				From: raw(s.From, maxName), To: raw(s.To, maxName), Layer: string(s.Layer), CreatedBy: raw(s.CreatedBy, maxProse),
				Clears: rawAll(s.Clears, maxName), Worst: s.Worst.String(), Breaking: s.Breaking,
			}
		}),
		Clears: p.Clears, Commands: rawAll(p.Commands, maxProse),
	}
}

// raw returns s as data: valid UTF-8, at most most runes.
func raw(s string, most int) string {
	return strings.ToValidUTF8(cut(s, most), string(utf8.RuneError))
}

func rawAll(list []string, most int) []string {
	return each(list, func(s string) string { return raw(s, most) })
}

// each returns a list that is never nil, because null means "not known" here.
func each[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = convert(a)
	}
	return out
}

// date returns t in UTC as RFC 3339 writes it; "" when unknown.
func date(t time.Time) string {
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

// number returns f, or 0 for what JSON cannot write.
func number(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// state spells a fix state; the source that says nothing is "unknown".
func state(s plimsoll.FixState) string {
	if s == plimsoll.FixUnknown {
		return "unknown"
	}
	return string(s)
}

// times is how often a problem was met.
func times(p plimsoll.Problem) int { return max(1, p.Count) }
