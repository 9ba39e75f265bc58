package report

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/net/html"

	"plimsoll"
)

func listFormats() []ListFormat { return []ListFormat{ListCSV, ListXLSX, ListJSON, ListHTML} }

// rowsOf is a source of these rows; each asking gets cells of its own.
func rowsOf(rows ...[]any) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for _, r := range rows {
			if !yield(slices.Clone(r), nil) {
				return
			}
		}
	}
}

func sampleList() List {
	seen := time.Date(2026, 11, 25, 7, 8, 9, 999, time.FixedZone("", 3600))
	return List{
		Title: "Findings", Notes: []string{"Advisories of 2026-11-24."},
		Columns: []Column{
			{"image", "Image", ColumnText}, {"severity", "Severity", ColumnSeverity}, {"score", "Score", ColumnNumber}, {"images", "Images", ColumnNumber},
			{"kev", "Known exploited", ColumnYes}, {"first_seen", "First seen", ColumnTime}, {"names", "Names", ColumnTexts},
		},
		Rows: rowsOf(
			[]any{"shop/web:1", "critical", 9.8, int64(-3), true, seen, []string{"a", "b"}},
			[]any{"=1+1", "none", nil, 0, false, &time.Time{}, []string(nil)},
		),
	}
}

func writeList(t testing.TB, f ListFormat, l List) []byte {
	t.Helper()
	return render(t, func(w io.Writer) error { _, err := WriteList(w, f, l); return err })
}

func TestListForPrograms(t *testing.T) {
	for f, want := range map[ListFormat]string{
		ListCSV: "image,severity,score,images,kev,first_seen,names\n" +
			"shop/web:1,critical,9.8,-3,yes,2026-11-25T06:08:09Z,\"a, b\"\n" +
			"'=1+1,none,,0,,,\n",
		ListJSON: "[\n" +
			`{"image":"shop/web:1","severity":"critical","score":9.8,"images":-3,"kev":true,"first_seen":"2026-11-25T06:08:09Z","names":["a","b"]},` + "\n" +
			`{"image":"=1+1","severity":"none","images":0,"kev":false,"names":[]}` + "\n" +
			"]\n",
	} {
		if got := string(writeList(t, f, sampleList())); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", f, got, want)
		}
	}
}

func TestSheetHasTypedCellsAndAFixedHeader(t *testing.T) {
	data := writeList(t, ListXLSX, sampleList())
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.GetRows("Findings")
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"Image", "Severity", "Score", "Images", "Known exploited", "First seen", "Names"},
		{"shop/web:1", "critical", "9.8", "-3", "yes", "2026-11-25 06:08:09", "a, b"},
		{"=1+1", "none", "", "0"},
	}
	if len(rows) != len(want) || !slices.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("rows %q\nwant %q", rows, want)
	}
	for cell, want := range map[string]excelize.CellType{"C2": excelize.CellTypeUnset, "D2": excelize.CellTypeUnset, "A2": excelize.CellTypeInlineString, "A3": excelize.CellTypeInlineString} {
		if kind, err := book.GetCellType("Findings", cell); err != nil || kind != want {
			t.Errorf("%s is of type %v, want %v (%v)", cell, kind, want, err)
		}
	}
	if panes, err := book.GetPanes("Findings"); err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("panes %+v, %v: the header must stay", panes, err)
	}
	if width, _ := book.GetColWidth("Findings", "F"); width != 20 {
		t.Errorf("column of times is %v wide", width)
	}
}

// What spreadsheets would take for an escape is text, what a cell cannot hold is cut
// between characters, and columns go on behind Z.
func TestSheetTexts(t *testing.T) {
	texts := []string{"_x0041_", "_x005F_x0041_", "a_x00e9_b _xyz_", "<&>'\"", " leading and trailing ", strings.Repeat("x", maxSheetText-1) + "\U0001F600"}
	want := append(slices.Clone(texts[:5]), strings.Repeat("x", maxSheetText-1))
	l := List{Title: "Texts"}
	var cells []any
	for i := range 28 {
		l.Columns = append(l.Columns, Column{fmt.Sprint("c", i), fmt.Sprint("Column ", i), ColumnText})
		cells = append(cells, texts[i%len(texts)])
	}
	l.Rows = rowsOf(cells)
	book, err := excelize.OpenReader(bytes.NewReader(writeList(t, ListXLSX, l)))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	for i, column := range []string{"A", "B", "C", "D", "E", "F"} {
		if got, err := book.GetCellValue("Texts", column+"2"); err != nil || got != path(want[i]) {
			t.Errorf("%.40q became %.40q, %v", want[i], got, err)
		}
	}
	if got, err := book.GetCellValue("Texts", "AB2"); err != nil || got != path(want[27%6]) {
		t.Errorf("column 28: %.40q, %v", got, err)
	}
}

func TestListsAreTheSameBytesAgain(t *testing.T) {
	for _, f := range listFormats() {
		first := writeList(t, f, sampleList())
		for range 5 {
			if !bytes.Equal(first, writeList(t, f, sampleList())) {
				t.Fatalf("%s differs from one writing to the next", f)
			}
		}
	}
	for _, file := range sheetFiles(t, writeList(t, ListXLSX, sampleList())) {
		if !file.Modified.IsZero() && file.Modified.Year() > 1980 {
			t.Errorf("%s tells a time: %v", file.Name, file.Modified)
		}
	}
}

func sheetFiles(t testing.TB, data []byte) []*zip.File {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return z.File
}

func sheetText(t testing.TB, data []byte) string {
	t.Helper()
	var all strings.Builder
	for _, file := range sheetFiles(t, data) {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&all, r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return all.String()
}

func TestEmptyListIsAWholeDocument(t *testing.T) {
	l := sampleList()
	l.Rows = rowsOf()
	for _, f := range listFormats() {
		data := writeList(t, f, l)
		switch f {
		case ListCSV:
			if string(data) != "image,severity,score,images,kev,first_seen,names\n" {
				t.Errorf("%q", data)
			}
		case ListJSON:
			if !json.Valid(data) {
				t.Errorf("%q", data)
			}
		case ListXLSX:
			sheetFiles(t, data)
		case ListHTML:
			checkListHTML(t, data)
		}
	}
}

// evilList has the text in every place that can hold text, also where only our
// own words are expected.
func evilList(evil string) List {
	return List{
		Title: evil, Notes: []string{evil, evil},
		Columns: []Column{{"text", evil, ColumnText}, {"severity", "Severity", ColumnSeverity}, {evil, "Texts", ColumnTexts}},
		Rows:    rowsOf([]any{evil, evil, []string{evil, evil}}, []any{"end", "low", nil}),
	}
}

func TestEvilStringsInListsAreText(t *testing.T) {
	for _, evil := range evilStrings(t) {
		checkEvilList(t, evil)
	}
}

func FuzzList(f *testing.F) {
	for _, evil := range evilStrings(f) {
		f.Add(evil)
	}
	f.Fuzz(func(t *testing.T, s string) { checkEvilList(t, s) })
}

func checkEvilList(t *testing.T, evil string) {
	t.Helper()
	for _, f := range listFormats() {
		data := writeList(t, f, evilList(evil))
		out := string(data)
		switch f {
		case ListCSV:
			records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
			if err != nil || len(records) != 3 || records[2][0] != "end" {
				t.Fatalf("%.40q: %d records, %v", evil, len(records), err)
			}
			for _, cell := range slices.Concat(records...) {
				if first, _ := utf8.DecodeRuneInString(cell); strings.ContainsRune("=+-@\t\r\uff1d\uff0b\uff0d\uff20", first) && cell != "" {
					t.Errorf("%.40q: a formula: %.40q", evil, cell)
				}
			}
		case ListJSON:
			var rows []map[string]any
			if err := json.Unmarshal(data, &rows); err != nil || len(rows) != 2 {
				t.Fatalf("%.40q: %v", evil, err)
			}
			if evil != "text" && evil != "severity" && rows[0]["text"] != raw(evil, maxPath) {
				t.Errorf("%.40q became %.40q", evil, rows[0]["text"])
			}
		case ListXLSX:
			book, err := excelize.OpenReader(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("%.40q: %v", evil, err)
			}
			sheet := book.GetSheetList()[0]
			got, err := book.GetCellValue(sheet, "A2")
			if want := path(evil); err != nil || got != want && utf8.RuneCountInString(want) < 8000 {
				t.Errorf("%.40q became %.80q, %v", want, got, err)
			}
			if last, _ := book.GetCellValue(sheet, "A3"); last != "end" {
				t.Errorf("%.40q: the row after it holds %q", evil, last)
			}
			book.Close()
			out = sheetText(t, data)
			if strings.Contains(out, "<f>") || strings.Contains(out, "<f ") {
				t.Errorf("%.40q: a formula", evil)
			}
		case ListHTML:
			checkListHTML(t, data)
		}
		if !utf8.ValidString(out) {
			t.Errorf("%s: %.40q: invalid UTF-8", f, evil)
		}
		for i, c := range out {
			if c != '\n' && !visible(c) && (c != utf8.RuneError || f != ListJSON) {
				t.Errorf("%s: %.40q: raw %U in %q", f, evil, c, out[max(0, i-30):min(len(out), i+30)])
				break
			}
		}
	}
}

// checkListHTML is checkHTML for the page of a list, which runs nothing at all.
func checkListHTML(t *testing.T, page []byte) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("a comment: %q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "h1", "p", "div", "table", "thead", "tbody", "tr", "th", "td":
		default:
			t.Errorf("element <%s>", n.Data)
		}
		for _, a := range n.Attr {
			switch a.Key {
			case "lang", "charset", "http-equiv", "name", "scope", "role", "aria-label", "tabindex":
			case "class":
				if !slices.Contains([]string{"scroll", "num", "nowrap"}, a.Val) && !slices.Contains(severityWords(), strings.TrimPrefix(a.Val, "severity ")) {
					t.Errorf("class %q", a.Val)
				}
			case "content":
				if strings.HasPrefix(a.Val, "default-src") && (!strings.HasPrefix(a.Val, "default-src 'none'; style-src 'sha256-") || strings.Contains(a.Val, "script")) {
					t.Errorf("policy %q", a.Val)
				}
			default:
				t.Errorf("attribute %s=%q", a.Key, a.Val)
			}
		}
	}
}

func TestListStopsAtTheFirstError(t *testing.T) {
	broken := errors.New("the store went away")
	for _, f := range append(listFormats(), "pdf") {
		l := sampleList()
		good := l.Rows
		for name, c := range map[string]struct {
			rows iter.Seq2[[]any, error]
			code plimsoll.Code
		}{
			"error":     {func(yield func([]any, error) bool) { good(yield); yield(nil, broken) }, plimsoll.CodeInternal},
			"few cells": {rowsOf([]any{"a"}), plimsoll.CodeInternal},
			"wrong":     {rowsOf([]any{"a", "low", "9.8", 1, true, nil, nil}), plimsoll.CodeInternal},
		} {
			l.Rows = c.rows
			want := c.code
			if f == "pdf" {
				want = plimsoll.CodeInvalid
			}
			_, err := WriteList(io.Discard, f, l)
			if plimsoll.CodeOf(err) != want || f != "pdf" && name == "error" && !errors.Is(err, broken) {
				t.Errorf("%s, %s: %v", f, name, err)
			}
		}
		full := errors.New("no space left")
		l.Rows = good
		if _, err := WriteList(failingWriter{full}, f, l); f != "pdf" && !errors.Is(err, full) {
			t.Errorf("%s: a full disk: %v", f, err)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// manyRows is a source of n rows that keeps none.
func manyRows(n int) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for i := range n {
			if !yield([]any{"package-" + strconv.Itoa(i)}, nil) {
				return
			}
		}
	}
}

// countingWriter notes how much came and how large the heap was meanwhile.
type countingWriter struct{ bytes, writes, heap uint64 }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.bytes += uint64(len(p))
	if w.writes++; w.writes%500 == 1 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.heap = max(w.heap, m.HeapAlloc)
	}
	return len(p), nil
}

func TestListOfMillionsNeedsLittleMemory(t *testing.T) {
	const rows, most = 2_000_000, 64 << 20
	var w countingWriter
	n, err := WriteList(&w, ListCSV, List{Columns: []Column{{"package", "Package", ColumnText}}, Rows: manyRows(rows)})
	if err != nil || n != rows || w.bytes < rows*10 {
		t.Fatalf("%d rows, %d bytes, %v", n, w.bytes, err)
	}
	if w.heap == 0 || w.heap > most {
		t.Errorf("the heap grew to %d MiB", w.heap>>20)
	}
}

func TestSheetAtItsLimit(t *testing.T) {
	for rows, want := range map[int]plimsoll.Code{MaxSheetRows: "", MaxSheetRows + 1: plimsoll.CodeLimit} {
		var w countingWriter
		_, err := WriteList(&w, ListXLSX, List{Columns: []Column{{"package", "Package", ColumnText}}, Rows: manyRows(rows)})
		if plimsoll.CodeOf(err) != want {
			t.Errorf("%d rows: %v", rows, err)
		}
		if w.heap > 128<<20 {
			t.Errorf("%d rows: the heap grew to %d MiB", rows, w.heap>>20)
		}
		if want != "" && !strings.Contains(plimsoll.HintOf(err), "CSV") {
			t.Errorf("%v has no hint", err)
		}
	}
}
