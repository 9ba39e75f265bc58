package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/report"
	"plimsoll/store"
)

// The lists that can be exported: their columns, and where their rows come from.
// Rows come page by page, so that an export of the whole fleet needs the memory
// of one page.

// table is a list with the cells that one item has.
type table[T any] []struct {
	key, name string
	kind      report.ColumnKind
	cell      func(*T) any
}

func (t table[T]) columns() []report.Column {
	list := make([]report.Column, len(t))
	for i, c := range t {
		list[i] = report.Column{Key: c.key, Name: c.name, Kind: c.kind}
	}
	return list
}

func (t table[T]) rows(items iter.Seq2[*T, error]) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for item, err := range items {
			if err != nil {
				yield(nil, err)
				return
			}
			row := make([]any, len(t))
			for i, c := range t {
				row[i] = c.cell(item)
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// pages asks for one page after the other.
func pages[T any](ask func(api.List) (api.Page[T], error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		l := api.List{Limit: api.MaxLimit}
		for {
			page, err := ask(l)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Items {
				if !yield(&page.Items[i], nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			l.Cursor = page.Next
		}
	}
}

// list returns the list that an export asks for.
func (x *exporter) list(ctx context.Context, n *store.NewExport) (report.List, error) {
	r := &n.Request
	switch r.Kind {
	case "findings":
		t := x.findingTable(ctx, n.Scope)
		return report.List{Title: "Findings", Columns: t.columns(), Rows: t.rows(x.findings(ctx, n.Scope, given(r.Findings)))}, nil
	case "vulnerabilities":
		t := vulnerabilityTable()
		return report.List{Title: "Vulnerabilities", Columns: t.columns(), Rows: t.rows(pages(func(l api.List) (api.Page[api.Vulnerability], error) {
			return x.store.Vulnerabilities(ctx, n.Scope, given(r.Vulns), l)
		}))}, nil
	case "images":
		t := imageTable()
		return report.List{Title: "Images", Columns: t.columns(), Rows: t.rows(pages(func(l api.List) (api.Page[api.Image], error) {
			return x.store.Images(ctx, n.Scope, given(r.Images), l)
		}))}, nil
	case "software":
		t := softwareTable()
		return report.List{Title: "Software", Columns: t.columns(), Rows: t.rows(pages(func(l api.List) (api.Page[api.Software], error) {
			return x.store.Software(ctx, n.Scope, given(r.Software), l)
		}))}, nil
	case "decisions":
		t := decisionTable()
		return report.List{Title: "Decisions", Columns: t.columns(), Rows: t.rows(pages(func(l api.List) (api.Page[api.Decision], error) {
			return x.store.Decisions(ctx, n.Scope, store.DecisionFilter{}, l)
		}))}, nil
	}
	return report.List{}, plimsoll.Errorf(plimsoll.CodeInvalid, "export", "there is no list %q", r.Kind)
}

// given returns a filter, the empty one when none was given.
func given[T any](filter *T) (zero T) {
	if filter == nil {
		return zero
	}
	return *filter
}

// findings turns the store's calls into a sequence.
func (x *exporter) findings(ctx context.Context, scope plimsoll.Scope, filter api.FindingFilter) iter.Seq2[*api.Finding, error] {
	return func(yield func(*api.Finding, error) bool) {
		enough := errors.New("enough")
		err := x.store.EachFinding(ctx, scope, filter, func(f *api.Finding) error {
			if !yield(f, nil) {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			yield(nil, err)
		}
	}
}

// findingTable shows with each finding what was decided about it, by whom and why.
func (x *exporter) findingTable(ctx context.Context, scope plimsoll.Scope) table[api.Finding] {
	decided := x.decisions(ctx, scope)
	each := func(show func(d *api.Decision, repository string) string) func(*api.Finding) any {
		return func(f *api.Finding) any {
			var list []string
			for _, d := range f.Decisions {
				if text := show(decided(d), d.Repository); !slices.Contains(list, text) {
					list = append(list, text)
				}
			}
			return list
		}
	}
	return table[api.Finding]{
		{"image", "Image", report.ColumnText, func(f *api.Finding) any { return f.Image }},
		{"image_id", "Image ID", report.ColumnText, func(f *api.Finding) any { return string(f.Digest) }},
		{"state", "State", report.ColumnText, func(f *api.Finding) any { return string(f.State) }},
		{"class", "Class", report.ColumnText, func(f *api.Finding) any { return string(f.Class) }},
		{"vulnerability", "Vulnerability", report.ColumnText, func(f *api.Finding) any { return f.Vulnerability }},
		{"severity", "Severity", report.ColumnSeverity, func(f *api.Finding) any { return f.Severity }},
		{"severity_source", "Rated by", report.ColumnText, func(f *api.Finding) any { return f.SeveritySource }},
		{"score", "CVSS", report.ColumnNumber, func(f *api.Finding) any { return known(f.Score) }},
		{"epss", "EPSS", report.ColumnNumber, func(f *api.Finding) any { return known(f.EPSS) }},
		{"kev", "Known exploited", report.ColumnYes, func(f *api.Finding) any { return f.KEV }},
		{"malicious", "Malicious", report.ColumnYes, func(f *api.Finding) any { return f.Malicious }},
		{"status", "Status", report.ColumnText, func(f *api.Finding) any { return string(f.Status) }},
		{"confidence", "Confidence", report.ColumnText, func(f *api.Finding) any { return string(f.Confidence) }},
		{"package", "Package", report.ColumnText, func(f *api.Finding) any { return f.Package }},
		{"version", "Version", report.ColumnText, func(f *api.Finding) any { return f.Version }},
		{"type", "Type", report.ColumnText, func(f *api.Finding) any { return string(f.Type) }},
		{"path", "Path", report.ColumnText, func(f *api.Finding) any { return f.Path }},
		{"layer", "Layer", report.ColumnText, func(f *api.Finding) any { return string(f.Layer) }},
		{"fix", "Fix", report.ColumnText, func(f *api.Finding) any { return fixWord(f.Fix) }},
		{"fixed_version", "Fixed in", report.ColumnText, func(f *api.Finding) any { return f.FixedVersion }},
		{"first_seen", "First seen", report.ColumnTime, func(f *api.Finding) any { return f.FirstSeen }},
		{"summary", "Summary", report.ColumnText, func(f *api.Finding) any { return f.Summary }},
		{"decisions", "Decisions", report.ColumnTexts, each(func(d *api.Decision, repository string) string {
			return fmt.Sprintf("%s #%d %s", d.Kind, d.ID, repository)
		})},
		{"decision_remarks", "Why", report.ColumnTexts, each(func(d *api.Decision, _ string) string { return d.Remark })},
		{"decision_authors", "Decided by", report.ColumnTexts, each(func(d *api.Decision, _ string) string { return d.Author })},
		{"decision_ends", "Decided until", report.ColumnTexts, each(func(d *api.Decision, _ string) string { return endOf(d) })},
		{"finding", "Finding", report.ColumnText, func(f *api.Finding) any { return f.ID }},
	}
}

// decisions returns a look-up that asks the store once for each decision. One
// that the scope does not show is known by its kind and number alone.
func (x *exporter) decisions(ctx context.Context, scope plimsoll.Scope) func(api.FindingDecision) *api.Decision {
	const most = 10_000 // then the memory starts anew
	seen := make(map[int64]*api.Decision)
	return func(f api.FindingDecision) *api.Decision {
		if d, ok := seen[f.DecisionID]; ok {
			return d
		}
		d, err := x.store.Decision(ctx, scope, f.DecisionID)
		if err != nil {
			d = api.Decision{ID: f.DecisionID, Kind: f.Kind}
		}
		if len(seen) == most {
			clear(seen)
		}
		seen[f.DecisionID] = &d
		return &d
	}
}

func endOf(d *api.Decision) string {
	switch {
	case d.Expires != nil && d.UntilFix:
		return d.Expires.UTC().Format(time.RFC3339) + " or a fix"
	case d.Expires != nil:
		return d.Expires.UTC().Format(time.RFC3339)
	case d.UntilFix:
		return "a fix"
	}
	return "revoked"
}

// known leaves out a number that nobody gave.
func known(n float64) any {
	if n == 0 {
		return nil
	}
	return n
}

func fixWord(s plimsoll.FixState) string {
	if s == plimsoll.FixUnknown {
		return "unknown"
	}
	return string(s)
}

func vulnerabilityTable() table[api.Vulnerability] {
	type T = api.Vulnerability
	return table[T]{
		{"vulnerability", "Vulnerability", report.ColumnText, func(v *T) any { return v.Name }},
		{"class", "Class", report.ColumnText, func(v *T) any { return string(v.Class) }},
		{"aliases", "Aliases", report.ColumnTexts, func(v *T) any { return v.Aliases }},
		{"severity", "Severity", report.ColumnSeverity, func(v *T) any { return v.Severity }},
		{"score", "CVSS", report.ColumnNumber, func(v *T) any { return known(v.Score) }},
		{"epss", "EPSS", report.ColumnNumber, func(v *T) any { return known(v.EPSS) }},
		{"kev", "Known exploited", report.ColumnYes, func(v *T) any { return v.KEV }},
		{"kev_due", "Due", report.ColumnTime, func(v *T) any { return v.KEVDue }},
		{"malicious", "Malicious", report.ColumnYes, func(v *T) any { return v.Malicious }},
		{"packages", "Packages", report.ColumnTexts, func(v *T) any { return v.Packages }},
		{"fixable", "Fixable", report.ColumnYes, func(v *T) any { return v.Fixable }},
		{"suggestion", "What to do", report.ColumnText, func(v *T) any { return v.Suggestion }},
		{"findings", "Open findings", report.ColumnNumber, func(v *T) any { return v.Findings }},
		{"handled", "Handled", report.ColumnNumber, func(v *T) any { return v.Handled }},
		{"images", "Images", report.ColumnNumber, func(v *T) any { return v.Images }},
		{"hosts", "Hosts", report.ColumnNumber, func(v *T) any { return v.Hosts }},
		{"containers", "Running containers", report.ColumnNumber, func(v *T) any { return v.Containers }},
		{"published", "Published", report.ColumnTime, func(v *T) any { return v.Published }},
		{"first_seen", "First seen", report.ColumnTime, func(v *T) any { return v.FirstSeen }},
		{"last_seen", "Last seen", report.ColumnTime, func(v *T) any { return v.LastSeen }},
		{"summary", "Summary", report.ColumnText, func(v *T) any { return v.Summary }},
	}
}

// imageTable leaves the counts of an image empty whose content is not known, and
// those of its findings where nobody was asked about any of it: nothing found and
// not looked are two things.
func imageTable() table[api.Image] {
	type T = api.Image
	count := func(n func(*T) int64) func(*T) any {
		return func(i *T) any {
			if i.Risk == "unscanned" {
				return nil
			}
			return n(i)
		}
	}
	found := func(n func(*T) int64) func(*T) any {
		return func(i *T) any {
			if i.Risk == "unscanned" || i.Uncovered == i.Packages {
				return nil
			}
			return n(i)
		}
	}
	return table[T]{
		{"names", "Names", report.ColumnTexts, func(i *T) any { return i.Names }},
		{"image_id", "Image ID", report.ColumnText, func(i *T) any { return string(i.Digest) }},
		{"risk", "Risk", report.ColumnSeverity, func(i *T) any { return i.Risk }},
		{"state", "Scan", report.ColumnText, func(i *T) any { return string(i.State) }},
		{"code", "Reason", report.ColumnText, func(i *T) any { return i.Code }},
		{"detail", "Detail", report.ColumnText, func(i *T) any { return i.Detail }},
		{"system", "System", report.ColumnText, func(i *T) any { return i.System }},
		{"system_ended", "End of life", report.ColumnYes, func(i *T) any { return i.SystemEnded }},
		{"system_findings", "Open in system packages", report.ColumnNumber, found(func(i *T) int64 { return i.Systems.Total() })},
		{"application_findings", "Open in applications", report.ColumnNumber, found(func(i *T) int64 { return i.Applications.Total() })},
		{"critical", "Critical", report.ColumnNumber, found(func(i *T) int64 { return i.Systems.Critical + i.Applications.Critical })},
		{"high", "High", report.ColumnNumber, found(func(i *T) int64 { return i.Systems.High + i.Applications.High })},
		{"medium", "Medium", report.ColumnNumber, found(func(i *T) int64 { return i.Systems.Medium + i.Applications.Medium })},
		{"low", "Low", report.ColumnNumber, found(func(i *T) int64 { return i.Systems.Low + i.Applications.Low })},
		{"unknown", "Unknown", report.ColumnNumber, found(func(i *T) int64 { return i.Systems.Unknown + i.Applications.Unknown })},
		{"none", "None", report.ColumnNumber, found(func(i *T) int64 { return i.Systems.None + i.Applications.None })},
		{"fixable", "Fixable", report.ColumnNumber, found(func(i *T) int64 { return i.Fixable })},
		{"kev", "Known exploited", report.ColumnNumber, found(func(i *T) int64 { return i.KEV })},
		{"malicious", "Malicious", report.ColumnNumber, found(func(i *T) int64 { return i.Malicious })},
		{"handled", "Handled", report.ColumnNumber, found(func(i *T) int64 { return i.Handled })},
		{"packages", "Packages", report.ColumnNumber, count(func(i *T) int64 { return i.Packages })},
		{"uncovered", "Packages that nobody covers", report.ColumnNumber, count(func(i *T) int64 { return i.Uncovered })},
		{"problems", "Problems", report.ColumnNumber, count(func(i *T) int64 { return i.Problems })},
		{"hosts", "Hosts", report.ColumnNumber, func(i *T) any { return i.Hosts }},
		{"containers", "Containers", report.ColumnNumber, func(i *T) any { return i.Containers }},
		{"running", "Running", report.ColumnNumber, func(i *T) any { return i.Running }},
		{"size", "Bytes", report.ColumnNumber, func(i *T) any { return i.Size }},
		{"platform", "Platform", report.ColumnText, func(i *T) any { return i.Platform }},
		{"created", "Created", report.ColumnTime, func(i *T) any { return i.Created }},
		{"first_seen", "First seen", report.ColumnTime, func(i *T) any { return i.FirstSeen }},
		{"last_seen", "Last seen", report.ColumnTime, func(i *T) any { return i.LastSeen }},
		{"gone", "Gone", report.ColumnTime, func(i *T) any { return i.Gone }},
		{"scanned", "Scanned", report.ColumnTime, func(i *T) any { return i.ScannedAt }},
		{"evaluated", "Advisories of", report.ColumnTime, func(i *T) any { return i.EvaluatedAt }},
	}
}

func softwareTable() table[api.Software] {
	type T = api.Software
	return table[T]{
		{"type", "Type", report.ColumnText, func(s *T) any { return string(s.Type) }},
		{"package", "Package", report.ColumnText, func(s *T) any { return s.Name }},
		{"version", "Version", report.ColumnText, func(s *T) any { return s.Version }},
		{"arch", "Architecture", report.ColumnText, func(s *T) any { return s.Arch }},
		{"source", "Source", report.ColumnText, func(s *T) any { return s.Source }},
		{"system", "System", report.ColumnText, func(s *T) any { return s.System }},
		{"origin", "Origin", report.ColumnText, func(s *T) any { return s.Origin }},
		{"purl", "PURL", report.ColumnText, func(s *T) any { return s.PURL }},
		{"licenses", "Licences", report.ColumnTexts, func(s *T) any { return s.Licenses }},
		{"supplier", "Supplier", report.ColumnText, func(s *T) any { return s.Supplier }},
		{"covered", "Covered", report.ColumnYes, func(s *T) any { return s.Covered }},
		{"images", "Images", report.ColumnNumber, func(s *T) any { return s.Images }},
		{"critical", "Critical", report.ColumnNumber, func(s *T) any { return s.Findings.Critical }},
		{"high", "High", report.ColumnNumber, func(s *T) any { return s.Findings.High }},
		{"medium", "Medium", report.ColumnNumber, func(s *T) any { return s.Findings.Medium }},
		{"low", "Low", report.ColumnNumber, func(s *T) any { return s.Findings.Low }},
		{"unknown", "Unknown", report.ColumnNumber, func(s *T) any { return s.Findings.Unknown }},
		{"none", "None", report.ColumnNumber, func(s *T) any { return s.Findings.None }},
		{"first_seen", "First seen", report.ColumnTime, func(s *T) any { return s.FirstSeen }},
	}
}

func decisionTable() table[api.Decision] {
	type T = api.Decision
	return table[T]{
		{"decision", "Decision", report.ColumnText, func(d *T) any { return strconv.FormatInt(d.ID, 10) }},
		{"kind", "Kind", report.ColumnText, func(d *T) any { return string(d.Kind) }},
		{"state", "State", report.ColumnText, func(d *T) any { return d.State }},
		{"vulnerability", "Vulnerability", report.ColumnText, func(d *T) any { return d.Vulnerability }},
		{"package_type", "Type", report.ColumnText, func(d *T) any { return string(d.PackageType) }},
		{"package", "Package", report.ColumnText, func(d *T) any { return d.Package }},
		{"path", "Path", report.ColumnText, func(d *T) any { return d.Path }},
		{"repositories", "Repositories", report.ColumnTexts, func(d *T) any { return d.Repositories }},
		{"image_ids", "Image IDs", report.ColumnTexts, func(d *T) any {
			list := make([]string, len(d.ImageIDs))
			for i, id := range d.ImageIDs {
				list[i] = string(id)
			}
			return list
		}},
		{"labels", "Host labels", report.ColumnTexts, func(d *T) any { return d.Labels }},
		{"remark", "Why", report.ColumnText, func(d *T) any { return d.Remark }},
		{"author", "Decided by", report.ColumnText, func(d *T) any { return d.Author }},
		{"created", "Decided", report.ColumnTime, func(d *T) any { return d.Created }},
		{"expires", "Ends", report.ColumnTime, func(d *T) any { return d.Expires }},
		{"until_fix", "Until a fix", report.ColumnYes, func(d *T) any { return d.UntilFix }},
		{"revoked", "Revoked", report.ColumnTime, func(d *T) any { return d.Revoked }},
		{"findings", "Findings", report.ColumnNumber, func(d *T) any { return d.Hits }},
	}
}
