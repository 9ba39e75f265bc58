package server

import (
	"context"
	"io"
	"iter"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/match"
	"plimsoll/report"
	"plimsoll/store"
)

// An exporter makes the files that people and programs take away: lists of the
// fleet, and full reports of images.
type exporter struct {
	store *store.Store
	// advisories lends the generation in use until done is called; ok is false
	// when there is none.
	advisories func() (db advisories, done func(), ok bool)
	tool       string // "plimsoll 1.2.3"
}

// advisories is one generation of advisories.
type advisories interface {
	match.Advisories
	Generation() plimsoll.Generation
}

// maxReportImages bounds the images of one report, which is made in memory.
const maxReportImages = 100

// form is how one format of an export looks from outside.
type form struct {
	list      report.ListFormat // empty when lists have no such format
	report    report.Format     // empty when reports have none
	extension string
	media     string
}

// formOf returns the form of a format by its name in the API.
func formOf(format string) (form, bool) {
	switch format {
	case "csv":
		return form{report.ListCSV, report.CSV, "csv", "text/csv; charset=utf-8"}, true
	case "json":
		return form{report.ListJSON, report.JSON, "json", "application/json"}, true
	case "html":
		return form{report.ListHTML, report.HTML, "html", "text/html; charset=utf-8"}, true
	case "xlsx":
		return form{report.ListXLSX, "", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}, true
	case "cyclonedx":
		return form{"", report.CycloneDX, "cdx.json", "application/vnd.cyclonedx+json"}, true
	case "spdx":
		return form{"", report.SPDX, "spdx.json", "application/spdx+json"}, true
	}
	return form{}, false
}

// newExport checks what is asked for and names the file.
func newExport(r api.ExportRequest, scope plimsoll.Scope, who string, now time.Time) (store.NewExport, error) {
	f, ok := formOf(r.Format)
	if r.Kind == "report" {
		ok = ok && f.report != ""
	} else {
		ok = ok && f.list != ""
	}
	if !ok {
		return store.NewExport{}, plimsoll.Errorf(plimsoll.CodeInvalid, "export", "%s cannot be written as %s", r.Kind, r.Format)
	}
	return store.NewExport{
		Request: r, Scope: scope, CreatedBy: who,
		FileName:  fileName("plimsoll-"+r.Kind+"-"+now.UTC().Format("20060102-150405"), f.extension),
		MediaType: f.media,
	}, nil
}

// fileName makes a name that no system takes for a path, an option or markup.
func fileName(stem, extension string) string {
	const most = 100
	stem = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, stem)
	stem = strings.Trim(stem[:min(len(stem), most)], "-.")
	if stem == "" {
		stem = "plimsoll"
	}
	return stem + "." + extension
}

// next makes one export that waits; worked is false when none does. An export
// that could not be made is no error: it tells its own.
func (x *exporter) next(ctx context.Context) (worked bool, err error) {
	e, n, err := x.store.TakeExport(ctx)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	w, err := x.store.WriteExport(ctx, e.ID)
	if err != nil {
		return false, err
	}
	rows, err := x.write(ctx, w, &n, x.progress(ctx, e.TaskID))
	switch {
	case ctx.Err() != nil: // given out again once a console runs
		return false, ctx.Err()
	case err != nil:
		return true, w.Fail(explain(err))
	}
	return true, w.Close(rows)
}

// explain says what went wrong and what may help.
func explain(err error) string {
	if hint := plimsoll.HintOf(err); hint != "" {
		return err.Error() + ": " + hint
	}
	return err.Error()
}

// progress returns a function that tells the task how many rows are written, at
// most once a second. How many there will be is not known: counting them costs
// as much as writing them.
func (x *exporter) progress(ctx context.Context, task int64) func(done, total int64) {
	var told time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(told) >= time.Second {
			told = now
			// A task that cannot be told is no reason to lose the export.
			_ = x.store.SetTask(ctx, task, plimsoll.TaskRunning, done, max(done, total), "")
		}
	}
}

func (x *exporter) write(ctx context.Context, w io.Writer, n *store.NewExport, progress func(done, total int64)) (rows int64, err error) {
	f, _ := formOf(n.Request.Format)
	if n.Request.Kind == "report" {
		ids, err := x.store.SelectImages(ctx, n.Scope, api.Selection{Filter: new(given(n.Request.Images))})
		if err != nil {
			return 0, err
		}
		return int64(len(ids)), x.report(ctx, w, f.report, n.Scope, ids, progress)
	}
	list, err := x.list(ctx, n)
	if err != nil {
		return 0, err
	}
	if list.Notes, err = x.notes(ctx, n.Scope); err != nil {
		return 0, err
	}
	list.Rows = counted(list.Rows, progress)
	return report.WriteList(w, f.list, list)
}

func counted(rows iter.Seq2[[]any, error], progress func(done, total int64)) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		done := int64(0)
		for row, err := range rows {
			if !yield(row, err) {
				return
			}
			done++
			progress(done, done)
		}
	}
}

// notes says by which advisories the fleet is judged, and what the list leaves out.
func (x *exporter) notes(ctx context.Context, scope plimsoll.Scope) ([]string, error) {
	var notes []string
	g, err := x.store.CurrentGeneration(ctx)
	switch {
	case plimsoll.CodeOf(err) == plimsoll.CodeNotFound:
		notes = append(notes, "There are no advisories: nothing was judged.")
	case err != nil:
		return nil, err
	default:
		notes = append(notes, "Advisories of "+g.Built.UTC().Format(time.DateOnly)+".")
		if g.Sample {
			notes = append(notes, "They are a sample for demonstration: most vulnerabilities are missing.")
		}
		if g.Evaluated == nil {
			notes = append(notes, "Some software still waits to be judged by them.")
		}
	}
	if !scope.All {
		notes = append(notes, "Only hosts labelled "+strings.Join(scope.Labels, " or ")+".")
	}
	return notes, nil
}

// report writes the full report of these images, by the advisories of now. It
// tells all findings, whatever was decided about them.
func (x *exporter) report(ctx context.Context, w io.Writer, f report.Format, scope plimsoll.Scope, ids []int64, progress func(done, total int64)) error {
	if len(ids) > maxReportImages {
		return &plimsoll.Error{Code: plimsoll.CodeLimit, Op: "export report", Hint: "narrow the selection, or export the list of findings, which has no limit",
			Err: plimsoll.Errorf(plimsoll.CodeLimit, "select images", "%d images are selected, a report holds %d", len(ids), maxReportImages)}
	}
	r := plimsoll.Report{Tool: x.tool}
	db, done, ok := x.advisories()
	if ok {
		defer done()
		g := db.Generation()
		r.Generation = &g
	}
	for i, id := range ids {
		result, err := x.result(ctx, scope, id)
		if err != nil {
			return err
		}
		if ok && result.Status != plimsoll.ScanFailed {
			if err := judge(ctx, db, &result); err != nil {
				return err
			}
		}
		r.Results = append(r.Results, result)
		progress(int64(i+1), int64(len(ids)))
	}
	return report.Write(w, f, r, report.Options{Packages: true})
}

// inventory writes the bill of materials of one image: what is in it, not what
// is wrong with it.
func (x *exporter) inventory(ctx context.Context, w io.Writer, f report.Format, scope plimsoll.Scope, id int64) error {
	result, err := x.result(ctx, scope, id)
	if err != nil {
		return err
	}
	if result.Status == plimsoll.ScanFailed {
		return &plimsoll.Error{Code: plimsoll.CodeNotFound, Op: "read inventory", Hint: "start a scan of the image",
			Err: plimsoll.Errorf(plimsoll.CodeNotFound, "read image", "%s", result.Problem.Detail)}
	}
	return report.Write(w, f, plimsoll.Report{Tool: x.tool, Results: []plimsoll.Result{result}}, report.Options{Packages: true})
}

// result returns what is known of an image's content, not yet judged.
func (x *exporter) result(ctx context.Context, scope plimsoll.Scope, id int64) (plimsoll.Result, error) {
	detail, err := x.store.Image(ctx, scope, id)
	if err != nil {
		return plimsoll.Result{}, err
	}
	img, inv, err := x.store.Inventory(ctx, scope, id)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return plimsoll.Result{Image: unread(&detail), Status: plimsoll.ScanFailed, Problem: whyUnread(&detail)}, nil
	}
	if err != nil {
		return plimsoll.Result{}, err
	}
	img.Names = detail.Names // those in sight
	r := plimsoll.Result{Image: img, Status: plimsoll.ScanComplete, Inventory: inv, Problems: inv.Problems}
	if !inv.Complete() {
		r.Status = plimsoll.ScanPartial
	}
	return r, nil
}

// unread returns what is known of an image that was never read.
func unread(d *api.ImageDetail) plimsoll.Image {
	img := plimsoll.Image{ID: d.Digest, Names: d.Names, Manifests: d.Manifests, Size: d.Size}
	if d.Created != nil {
		img.Created = *d.Created
	}
	return img
}

func whyUnread(d *api.ImageDetail) *plimsoll.Problem {
	switch {
	case d.Code != "":
		return &plimsoll.Problem{Code: plimsoll.ProblemCode(d.Code), Detail: d.Detail}
	case d.Queue != "":
		return &plimsoll.Problem{Code: "not-scanned", Detail: "it waits to be scanned"}
	}
	return &plimsoll.Problem{Code: "not-scanned", Detail: "nobody has asked for a scan of it"}
}

// judge asks the advisories about one inventory.
func judge(ctx context.Context, db advisories, r *plimsoll.Result) error {
	e, err := match.Evaluate(ctx, db, r.Inventory, match.Options{Now: db.Generation().Built})
	if err != nil {
		return err
	}
	r.Matched = true
	r.Findings, r.Coverage = e.Findings, e.Coverage
	r.Problems = append(r.Problems[:len(r.Problems):len(r.Problems)], e.Problems...)
	r.Plan = match.Plan(r.Image, r.Inventory, e.Findings)
	return nil
}
