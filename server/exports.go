package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/semaphore"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/report"
	"plimsoll/store"
	"plimsoll/vex"
)

// Limits of files that are taken away.
const (
	downloadTime = time.Hour // for one file
	maxRendering = 4         // reports of single images that are made at a time, in memory
)

func (s *Server) exportRoutes() {
	route(s, operator, op("POST", "/exports", "start-export", "Exports", "Start to make a file of a list or of reports"), func(ctx context.Context, c *caller, in *struct{ Body api.ExportRequest }) (api.Export, error) {
		n, err := newExport(in.Body, c.scope, c.name, s.Now())
		if err != nil {
			return api.Export{}, err
		}
		return s.Store.StartExport(ctx, n)
	})
	route(s, operator, op("GET", "/exports", "list-exports", "Exports", "List your exports, or all for administrators"), func(ctx context.Context, c *caller, in *Paging) (api.Page[api.Export], error) {
		return s.Store.Exports(ctx, c.who(), in.list(""))
	})
	route(s, operator, op("GET", "/exports/{id}", "get-export", "Exports", "One export"), func(ctx context.Context, c *caller, in *ByID) (api.Export, error) {
		return s.Store.Export(ctx, c.who(), in.ID)
	})
	s.file(operator, op("GET", "/exports/{id}/content", "download-export", "Exports", "The file of an export"), nil, s.download)
	rendering := semaphore.NewWeighted(maxRendering)
	sbom, full := []string{"cyclonedx", "spdx"}, []string{"json", "html", "csv", "cyclonedx", "spdx"}
	s.file(viewer, op("GET", "/images/{id}/sbom", "get-image-sbom", "Images", "Bill of materials of an image"), sbom, s.imageFile(rendering, sbom, "sbom", (*exporter).inventory))
	s.file(viewer, op("GET", "/images/{id}/report", "get-image-report", "Images", "Everything about an image, with evidence and plan"), full, s.imageFile(rendering, full, "report", (*exporter).image))
}

// file adds a route that answers with a file, in one of the formats if there are
// several.
func (s *Server) file(need need, o huma.Operation, formats []string, h http.HandlerFunc) {
	o.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: &huma.Schema{Type: "integer"}, Description: "its ID"}}
	if formats != nil {
		words := make([]any, len(formats))
		for i, f := range formats {
			words[i] = f
		}
		o.Parameters = append(o.Parameters, &huma.Param{Name: "format", In: "query", Description: "of the file", Schema: &huma.Schema{Type: "string", Enum: words, Default: formats[0]}})
	}
	o.Responses = map[string]*huma.Response{"200": {Description: "The file", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}}
	s.document(o, rule{need: need, time: downloadTime}, h)
}

func (s *Server) exporter() *exporter {
	return &exporter{store: s.Store, judges: &s.judge, tool: strings.TrimSpace("plimsoll " + s.Version)}
}

// download answers with the file of an export.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		s.fail(w, r, plimsoll.Errorf(plimsoll.CodeNotFound, "read export", "there is no such export"))
		return
	}
	who := requestOf(r.Context()).caller.who()
	e, err := s.Store.Export(r.Context(), who, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if e.State != plimsoll.TaskSucceeded {
		s.fail(w, r, newProblem(http.StatusConflict, plimsoll.CodeInvalid, "the export has no file: it is "+string(e.State)))
		return
	}
	attach(w.Header(), e.FileName, e.MediaType, e.Size)
	if err := s.Store.ReadExport(r.Context(), who, id, w); err != nil {
		s.Log.WarnContext(r.Context(), "download not finished", "request", requestOf(r.Context()).id, "export", id, "error", err)
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
}

// imageFile answers with a file about one image, made at once. The first of the
// formats is the default.
func (s *Server) imageFile(rendering *semaphore.Weighted, formats []string, what string,
	render func(*exporter, context.Context, io.Writer, report.Format, plimsoll.Scope, int64) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		format := formats[0]
		if given := r.URL.Query().Get("format"); given != "" {
			format = given
		}
		f, ok := formOf(format)
		if !ok || f.report == "" || !slices.Contains(formats, format) {
			s.fail(w, r, plimsoll.Errorf(plimsoll.CodeInvalid, "choose format", "%q is none of %s", format, strings.Join(formats, ", ")))
			return
		}
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			s.fail(w, r, plimsoll.Errorf(plimsoll.CodeNotFound, "read image", "there is no such image"))
			return
		}
		if err := rendering.Acquire(r.Context(), 1); err != nil {
			s.fail(w, r, plimsoll.Errorf(plimsoll.CodeUnavailable, "write report", "%w", err))
			return
		}
		defer rendering.Release(1)
		var b bytes.Buffer
		if err := render(s.exporter(), r.Context(), &b, f.report, requestOf(r.Context()).caller.scope, id); err != nil {
			s.fail(w, r, err)
			return
		}
		attach(w.Header(), fileName("image-"+strconv.FormatInt(id, 10)+"-"+what, f.extension), f.media, int64(b.Len()))
		b.WriteTo(w)
	}
}

// attach says that the answer is a file to keep, not a page to show.
func attach(h http.Header, name, media string, size int64) {
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
}

// form is how one format of an export looks from outside.
type form struct {
	list      report.ListFormat // empty when lists have no such format
	report    report.Format     // empty when reports have none
	vex       vex.Format        // empty when VEX has none
	extension string
	media     string
}

// formOf returns the form of a format by its name in the API.
func formOf(format string) (form, bool) {
	switch format {
	case "csv":
		return form{report.ListCSV, report.CSV, "", "csv", "text/csv; charset=utf-8"}, true
	case "json":
		return form{report.ListJSON, report.JSON, "", "json", "application/json"}, true
	case "html":
		return form{report.ListHTML, report.HTML, "", "html", "text/html; charset=utf-8"}, true
	case "xlsx":
		return form{report.ListXLSX, "", "", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}, true
	case "cyclonedx":
		return form{"", report.CycloneDX, vex.CycloneDX, "cdx.json", "application/vnd.cyclonedx+json"}, true
	case "spdx":
		return form{"", report.SPDX, "", "spdx.json", "application/spdx+json"}, true
	case "openvex":
		return form{"", "", vex.OpenVEX, "openvex.json", "application/json"}, true
	}
	return form{}, false
}

// newExport checks what is asked for and names the file.
func newExport(r api.ExportRequest, scope plimsoll.Scope, who string, now time.Time) (store.NewExport, error) {
	f, ok := formOf(r.Format)
	switch r.Kind {
	case "report":
		ok = ok && f.report != ""
	case "vex":
		ok = ok && f.vex != ""
	default:
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

// makeExports makes the exports that wait, one after the other.
func (s *Server) makeExports(ctx context.Context) (err error) {
	defer func() { // a fault in one file must not take the console down
		if fault := recover(); fault != nil {
			err = plimsoll.Errorf(plimsoll.CodeInternal, "make an export", "panic: %v\n%s", fault, debug.Stack())
		}
	}()
	x := s.exporter()
	for {
		if worked, err := x.next(ctx); err != nil || !worked {
			return err
		}
	}
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
