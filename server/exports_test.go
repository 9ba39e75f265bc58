package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/sync/semaphore"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/loadgen"
	"plimsoll/report"
	"plimsoll/store"
	"plimsoll/vulndb"
)

// exportFleet is a store with two hosts of an invented fleet, env=prod and
// env=dev, whose images were all read and judged, and an exporter over it.
type exportFleet struct {
	*exporter
	loadgen.Fleet
	prod, dev plimsoll.Scope
	admin     plimsoll.Scope
}

func newExportFleet(t *testing.T) *exportFleet {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	s, err := store.Open(ctx, store.Options{DSN: filepath.Join(dir, "plimsoll.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	file, err := generations[loadgen.First]()
	if err != nil {
		t.Fatal(err)
	}
	db, err := vulndb.NewDB(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	e := &exportFleet{
		exporter: &exporter{store: s, judges: new(judges), tool: "plimsoll test"},
		Fleet:    loadgen.Fleet{Size: loadgen.Size{Hosts: 2, PerHost: 3, Distinct: 5, Seed: 1}},
		prod:     plimsoll.Scope{Labels: []string{"env=prod"}}, dev: plimsoll.Scope{Labels: []string{"env=dev"}}, admin: plimsoll.Everything,
	}
	e.judges.swap(db)
	t.Cleanup(e.judges.close)
	if _, err := s.Activate(ctx, db.Generation()); err != nil {
		t.Fatal(err)
	}
	j, release := e.judges.acquire()
	defer release()
	for h, env := range []string{"prod", "dev"} {
		e.host(t, j, h, env)
	}
	return e
}

// host adds one host and has it read what it holds.
func (e *exportFleet) host(t *testing.T, j *judge, h int, env string) {
	t.Helper()
	ctx, s := t.Context(), e.store
	secret := fmt.Sprintf("secret %d", h)
	token, err := s.AddEnrolmentToken(ctx, secret, api.EnrolmentToken{Uses: 1, Total: 1, Labels: plimsoll.Labels{"env": env}, CreatedBy: "test", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.EnrolHost(ctx, store.NewHost{TokenID: token, TokenHash: secret, Facts: e.Host(h), MachineID: env}, func(id int64) (string, error) { return "certificate " + env, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Heartbeat(ctx, id, api.Heartbeat{Now: time.Now(), MachineID: env}); err != nil {
		t.Fatal(err)
	}
	effect, err := s.ApplySync(ctx, id, e.Sync(h, 1, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.StartScan(ctx, store.NewScan{Title: "test", CreatedBy: "test", Scope: e.admin, Images: effect.New}); err != nil {
		t.Fatal(err)
	}
	number := make(map[plimsoll.Digest]int)
	for _, i := range e.Images(h) {
		number[e.ImageID(i)] = i
	}
	for range effect.New {
		w, err := s.WorkFor(ctx, id)
		if err != nil || w.Scan == nil {
			t.Fatalf("no work: %+v, %v", w, err)
		}
		if _, err := s.ApplyResult(ctx, id, api.ScanResult{
			Report: "report " + string(w.Scan.Image), Lease: w.Scan.ID, Image: w.Scan.Image, Attempt: w.Scan.Attempt, Status: plimsoll.ScanComplete,
			Started: time.Now(), Ended: time.Now(), Inventory: e.Inventory(number[w.Scan.Image]),
		}, j); err != nil {
			t.Fatal(err)
		}
	}
}

// run makes an export the way a console does, and returns its file.
func (e *exportFleet) run(t *testing.T, r api.ExportRequest, scope plimsoll.Scope, who string) (api.Export, []byte) {
	t.Helper()
	ctx := t.Context()
	n, err := newExport(r, scope, who, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	started, err := e.store.StartExport(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	if worked, err := e.next(ctx); err != nil || !worked {
		t.Fatalf("%v, %v", worked, err)
	}
	done, err := e.store.Export(ctx, who, started.ID)
	if err != nil {
		t.Fatal(err)
	}
	if done.State != plimsoll.TaskSucceeded {
		return done, nil
	}
	var b bytes.Buffer
	if err := e.store.ReadExport(ctx, who, started.ID, &b); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != done.Size || done.FileName != n.FileName || done.MediaType != n.MediaType {
		t.Errorf("%d bytes of %+v", b.Len(), done)
	}
	return done, b.Bytes()
}

func (e *exportFleet) rows(t *testing.T, r api.ExportRequest, scope plimsoll.Scope) []map[string]any {
	t.Helper()
	r.Format = "json"
	done, data := e.run(t, r, scope, "anna")
	var rows []map[string]any
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatalf("%s: %v (%s)", r.Kind, err, done.Detail)
	}
	if int64(len(rows)) != done.Rows {
		t.Errorf("%s: %d rows, the export says %d", r.Kind, len(rows), done.Rows)
	}
	return rows
}

func TestExportHoldsTheWholeList(t *testing.T) {
	e := newExportFleet(t)
	expected := 0
	for i := range e.Distinct {
		expected += e.Expected(i, loadgen.First)
	}
	for kind, want := range map[string]int{"images": e.Distinct, "findings": expected} {
		if got := len(e.rows(t, api.ExportRequest{Kind: kind}, e.admin)); got != want {
			t.Errorf("%d %s, want %d", got, kind, want)
		}
	}
	for _, kind := range []string{"findings", "vulnerabilities", "images", "software", "decisions"} {
		want := len(e.rows(t, api.ExportRequest{Kind: kind}, e.admin))
		if want == 0 && kind != "decisions" {
			t.Errorf("no %s", kind)
		}
		done, data := e.run(t, api.ExportRequest{Kind: kind, Format: "csv"}, e.admin, "anna")
		if got := bytes.Count(data, []byte("\n")); got != want+1 {
			t.Errorf("%s: %d lines of CSV for %d rows (%s)", kind, got, want, done.Detail)
		}
		_, data = e.run(t, api.ExportRequest{Kind: kind, Format: "html"}, e.admin, "anna")
		if got := bytes.Count(data, []byte("<tr>")); got != want+1 || !bytes.Contains(data, []byte("Advisories of 20")) {
			t.Errorf("%s: %d rows of HTML for %d", kind, got, want)
		}
		_, data = e.run(t, api.ExportRequest{Kind: kind, Format: "xlsx"}, e.admin, "anna")
		book, err := excelize.OpenReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := book.GetRows(book.GetSheetName(0)); err != nil || len(rows) != want+1 {
			t.Errorf("%s: %d rows of XLSX for %d, %v", kind, len(rows), want, err)
		}
		book.Close()
	}
}

// TestSYS08ExportIsBoundedByItsScope: acceptance SYS-08. The scope is that of the
// asking, also when the export is made later by nobody.
func TestSYS08ExportIsBoundedByItsScope(t *testing.T) {
	e := newExportFleet(t)
	for h, scope := range []plimsoll.Scope{e.prod, e.dev} {
		want := make(map[string]bool)
		for _, i := range e.Images(h) {
			want[string(e.ImageID(i))] = true
		}
		for _, kind := range []string{"images", "findings"} {
			seen := make(map[string]bool)
			for _, row := range e.rows(t, api.ExportRequest{Kind: kind}, scope) {
				seen[row["image_id"].(string)] = true
			}
			if len(seen) != len(want) {
				t.Errorf("%s of %v: %d images, want %d", kind, scope.Labels, len(seen), len(want))
			}
			for id := range seen {
				if !want[id] {
					t.Errorf("%s of %v show %s", kind, scope.Labels, id)
				}
			}
		}
		_, data := e.run(t, api.ExportRequest{Kind: "report", Format: "json"}, scope, "anna")
		for i := range e.Distinct {
			if id := string(e.ImageID(i)); bytes.Contains(data, []byte(id)) != want[id] {
				t.Errorf("the report for %v and image %d disagree", scope.Labels, i)
			}
		}
	}
	if rows := e.rows(t, api.ExportRequest{Kind: "images"}, plimsoll.Scope{}); len(rows) != 0 {
		t.Errorf("who sees nothing exports %d images", len(rows))
	}
}

func TestOnlyTheAuthorFetchesAnExport(t *testing.T) {
	e := newExportFleet(t)
	done, _ := e.run(t, api.ExportRequest{Kind: "images", Format: "csv"}, e.admin, "anna")
	if _, err := e.store.Export(t.Context(), "ben", done.ID); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("another user sees it: %v", err)
	}
	var b bytes.Buffer
	if err := e.store.ReadExport(t.Context(), "ben", done.ID, &b); plimsoll.CodeOf(err) != plimsoll.CodeNotFound || b.Len() > 0 {
		t.Errorf("another user reads it: %v", err)
	}
	if _, err := e.store.Export(t.Context(), "", done.ID); err != nil {
		t.Errorf("administrators do not see it: %v", err)
	}
}

func TestHandledFindingsSayWhatWasDecided(t *testing.T) {
	e := newExportFleet(t)
	open := e.rows(t, api.ExportRequest{Kind: "findings"}, e.admin)
	flaw := open[0]["vulnerability"].(string)
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	if _, err := e.store.Decide(t.Context(), e.admin, "ben", api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionWhitelist, Vulnerability: flaw, Remark: "=not reachable", Expires: &until}}}); err != nil {
		t.Fatal(err)
	}
	handled := e.rows(t, api.ExportRequest{Kind: "findings", Findings: &api.FindingFilter{States: []string{string(plimsoll.FindingWhitelisted)}}}, e.admin)
	left := e.rows(t, api.ExportRequest{Kind: "findings"}, e.admin)
	if len(handled) == 0 || len(handled)+len(left) != len(open) {
		t.Fatalf("%d handled and %d open of %d", len(handled), len(left), len(open))
	}
	for _, row := range handled {
		if row["vulnerability"] != flaw || row["state"] != "whitelisted" || fmt.Sprint(row["decision_remarks"]) != "[=not reachable]" ||
			fmt.Sprint(row["decision_authors"]) != "[ben]" || fmt.Sprint(row["decision_ends"]) != "["+until.Format(time.RFC3339)+"]" || !strings.Contains(fmt.Sprint(row["decisions"]), "whitelist #") {
			t.Errorf("row %v", row)
		}
	}
	_, data := e.run(t, api.ExportRequest{Kind: "findings", Format: "csv", Findings: &api.FindingFilter{States: []string{"whitelisted"}}}, e.admin, "anna")
	if !bytes.Contains(data, []byte(",'=not reachable,")) {
		t.Error("a remark became a formula")
	}
}

func TestReportTellsWhatTheMatcherFinds(t *testing.T) {
	e := newExportFleet(t)
	// A third host holds an image that nobody has read.
	more := *e
	more.Size.Distinct, more.Size.Hosts = 6, 1
	ctx := t.Context()
	token, err := e.store.AddEnrolmentToken(ctx, "late", api.EnrolmentToken{Uses: 1, Total: 1, CreatedBy: "test", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id, err := e.store.EnrolHost(ctx, store.NewHost{TokenID: token, TokenHash: "late", Facts: e.Host(9), MachineID: "late"}, func(int64) (string, error) { return "late", nil })
	if err != nil {
		t.Fatal(err)
	}
	record := more.Record(9, 5)
	if _, err := e.store.ApplySync(ctx, id, api.Sync{Full: true, At: time.Now(), Host: e.Host(9), Seq: 1, Images: []api.HostImage{record}, Known: []api.ImageHash{{ID: record.ID, Hash: record.Hash}}}); err != nil {
		t.Fatal(err)
	}
	done, data := e.run(t, api.ExportRequest{Kind: "report", Format: "json"}, e.admin, "anna")
	type imageResult struct {
		Image              struct{ ID string }
		Status             string
		Problem            *struct{ Code string }
		Findings, Packages []any
	}
	var doc struct {
		Generation struct{ ID string }
		Results    []imageResult
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatalf("%v (%s)", err, done.Detail)
	}
	if len(doc.Results) != 6 || doc.Generation.ID == "" {
		t.Fatalf("%d results, generation %q", len(doc.Results), doc.Generation.ID)
	}
	for i := range 6 {
		at := slices.IndexFunc(doc.Results, func(r imageResult) bool { return r.Image.ID == string(more.ImageID(i)) })
		if at < 0 {
			t.Errorf("image %d is not in the report", i)
			continue
		}
		r := doc.Results[at]
		if i == 5 {
			if r.Status != "failed" || r.Problem == nil || r.Problem.Code != "not-scanned" {
				t.Errorf("an image that was never read: %+v", r)
			}
			continue
		}
		if r.Status != "complete" || len(r.Findings) != e.Expected(i, loadgen.First) || len(r.Packages) != len(e.Inventory(i).Packages) {
			t.Errorf("image %d: %s, %d findings, %d packages", i, r.Status, len(r.Findings), len(r.Packages))
		}
	}
	for _, f := range []report.Format{report.CycloneDX, report.SPDX} {
		var b bytes.Buffer
		if err := e.inventory(ctx, &b, f, e.admin, 1); err != nil || !json.Valid(b.Bytes()) || bytes.Contains(b.Bytes(), []byte("CVE-")) {
			t.Errorf("%s: %v", f, err)
		}
		if err := e.inventory(ctx, &b, f, e.admin, 6); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("%s of an image that was never read: %v", f, err)
		}
	}
}

func TestReportOfTooManyImagesFails(t *testing.T) {
	e := newExportFleet(t)
	ids := make([]int64, maxReportImages+1)
	err := e.report(t.Context(), new(bytes.Buffer), report.JSON, e.admin, ids, func(int64, int64) {})
	if plimsoll.CodeOf(err) != plimsoll.CodeLimit || plimsoll.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestFailedExportSaysWhy(t *testing.T) {
	e := newExportFleet(t)
	done, _ := e.run(t, api.ExportRequest{Kind: "software", Format: "csv", Software: &api.SoftwareFilter{Below: "1.0"}}, e.admin, "anna")
	if done.State != plimsoll.TaskFailed || done.Detail == "" {
		t.Errorf("%+v", done)
	}
	if worked, err := e.next(t.Context()); worked || err != nil {
		t.Errorf("it is made again: %v, %v", worked, err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if worked, _ := e.next(stopped); worked {
		t.Error("a console that stops makes an export")
	}
}

func TestNewExport(t *testing.T) {
	now := time.Date(2026, 11, 25, 7, 8, 9, 0, time.UTC)
	for _, kind := range []string{"findings", "vulnerabilities", "images", "software", "decisions", "report"} {
		for _, format := range []string{"csv", "json", "html", "xlsx", "cyclonedx", "spdx", "pdf", ""} {
			n, err := newExport(api.ExportRequest{Kind: kind, Format: format}, plimsoll.Everything, "anna", now)
			want := slices.Contains([]string{"csv", "json", "html", "xlsx"}, format)
			if kind == "report" {
				want = slices.Contains([]string{"csv", "json", "html", "cyclonedx", "spdx"}, format)
			}
			if (err == nil) != want || !want && plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Errorf("%s as %q: %v", kind, format, err)
			}
			if want && (!strings.HasPrefix(n.FileName, "plimsoll-"+kind+"-20261125-070809.") || n.MediaType == "" || n.CreatedBy != "anna") {
				t.Errorf("%+v", n)
			}
		}
	}
}

func TestFileNamesAreSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plimsoll-report":        "plimsoll-report.csv",
		"../../etc/passwd":       "etc-passwd.csv",
		"a\"b\r\nX: y;c\x00":     "a-b--X--y-c.csv",
		"-rf":                    "rf.csv",
		"\u202egpj.exe":          "gpj.exe.csv",
		"...":                    "plimsoll.csv",
		strings.Repeat("x", 500): strings.Repeat("x", 100) + ".csv",
	} {
		if got := fileName(in, "csv"); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestExportsOverHTTP: what a browser or program gets is a file to keep.
func TestExportsOverHTTP(t *testing.T) {
	e := newExportFleet(t)
	s := &Server{Config: Config{Store: e.store, Version: "test", Log: slog.New(slog.DiscardHandler)}}
	s.judge.now, e.judges.now = e.judges.now, nil
	t.Cleanup(s.judge.close)
	done, _ := e.run(t, api.ExportRequest{Kind: "images", Format: "csv"}, e.admin, "anna")
	rendering := semaphore.NewWeighted(maxRendering)
	formats := []string{"html", "cyclonedx"}
	for _, c := range []struct {
		who     string
		scope   plimsoll.Scope
		handler http.HandlerFunc
		id      string
		query   string
		status  int
		file    string
	}{
		{"anna", e.admin, s.download, fmt.Sprint(done.ID), "", 200, done.FileName},
		{"ben", e.admin, s.download, fmt.Sprint(done.ID), "", 404, ""},
		{"anna", e.admin, s.download, "x", "", 404, ""},
		{"anna", e.admin, s.imageFile(rendering, formats, "report", (*exporter).image), "1", "", 200, "image-1-report.html"},
		{"anna", e.admin, s.imageFile(rendering, formats, "report", (*exporter).image), "1", "?format=cyclonedx", 200, "image-1-report.cdx.json"},
		{"anna", e.admin, s.imageFile(rendering, formats, "report", (*exporter).image), "1", "?format=xlsx", 400, ""},
		{"anna", e.admin, s.imageFile(rendering, formats, "report", (*exporter).image), "999", "", 404, ""},
		{"anna", plimsoll.Scope{Labels: []string{"env=none"}}, s.imageFile(rendering, formats, "report", (*exporter).image), "1", "", 404, ""},
	} {
		r := httptest.NewRequest("GET", "/"+c.query, nil)
		r.SetPathValue("id", c.id)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, &request{caller: caller{name: c.who, role: plimsoll.RoleOperator, scope: c.scope}}))
		w := httptest.NewRecorder()
		c.handler(w, r)
		h := w.Header()
		if w.Code != c.status {
			t.Errorf("%s %s%s: status %d, want %d: %s", c.who, c.id, c.query, w.Code, c.status, w.Body)
			continue
		}
		if c.status != 200 {
			continue
		}
		if h.Get("Content-Disposition") != `attachment; filename="`+c.file+`"` || h.Get("Content-Type") == "" || h.Get("Content-Length") != fmt.Sprint(w.Body.Len()) || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s%s: headers %v", c.id, c.query, h)
		}
	}
}

// The list of images counts nothing where nobody was asked: an empty cell is no 0.
func TestImagesThatNobodyJudgedHaveNoCounts(t *testing.T) {
	filled := func(i api.Image) (columns string) {
		for _, c := range imageTable() {
			if v := c.cell(&i); v == int64(0) {
				columns += c.key + " "
			}
		}
		return columns
	}
	const findings = "system_findings application_findings critical high medium low unknown none fixable kev malicious handled "
	for _, tt := range []struct {
		name  string
		image api.Image
		want  string
	}{
		{"never read", api.Image{Risk: "unscanned"}, ""},
		{"inventory only", api.Image{Risk: "unknown", Packages: 3, Uncovered: 3}, "problems "},
		{"nothing in it", api.Image{Risk: "unknown"}, "packages uncovered problems "},
		{"judged in part", api.Image{Risk: "unknown", Packages: 3, Uncovered: 2}, findings + "problems "},
		{"clean", api.Image{Risk: "safe", Packages: 3}, findings + "uncovered problems "},
	} {
		tt.want += "hosts containers running size "
		if got := filled(tt.image); got != tt.want {
			t.Errorf("%s: 0 in %s, want %s", tt.name, got, tt.want)
		}
	}
}
