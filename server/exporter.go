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
	store  *store.Store
	judges *judges
	tool   string // "plimsoll 1.2.3"
}

// maxReportImages bounds the images of one report, which is made in memory.
const maxReportImages = 100

func (x *exporter) write(ctx context.Context, w io.Writer, n *store.NewExport, progress func(done, total int64)) (rows int64, err error) {
	f, _ := formOf(n.Request.Format)
	if n.Request.Kind == "report" {
		ids, err := x.store.SelectImages(ctx, n.Scope, api.Selection{Filter: new(given(n.Request.Images))})
		if err != nil {
			return 0, err
		}
		return int64(len(ids)), x.report(ctx, w, f.report, n.Scope, ids, progress)
	}
	if n.Request.Kind == "vex" {
		return x.vex(ctx, w, f.vex, n)
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
	j, release := x.judges.acquire()
	defer release()
	if j != nil {
		r.Generation = new(j.Generation())
	}
	for i, id := range ids {
		result, err := x.result(ctx, scope, id)
		if err != nil {
			return err
		}
		if j != nil && result.Status != plimsoll.ScanFailed {
			if err := match.Result(ctx, j.db, &result, j.options()); err != nil {
				return err
			}
		}
		r.Results = append(r.Results, result)
		progress(int64(i+1), int64(len(ids)))
	}
	return report.Write(w, f, r, report.Options{Packages: true})
}

// image writes the full report of one image.
func (x *exporter) image(ctx context.Context, w io.Writer, f report.Format, scope plimsoll.Scope, id int64) error {
	return x.report(ctx, w, f, scope, []int64{id}, func(int64, int64) {})
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
