package report

import (
	"bufio"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"html/template"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"plimsoll"
)

// ListFormat is a format for lists of the fleet.
type ListFormat string

// The formats of lists.
const (
	ListCSV  ListFormat = "csv"
	ListXLSX ListFormat = "xlsx"
	ListJSON ListFormat = "json"
	ListHTML ListFormat = "html"
)

// List is a table of any length: its rows are asked for one at a time and none
// is kept.
type List struct {
	Title string
	Notes []string // what the reader must know: of which day the advisories are, what was left out
	// Columns say what the cells of each row are, in order.
	Columns []Column
	Rows    iter.Seq2[[]any, error]
}

// Column is one column of a List.
type Column struct {
	Key  string // for programs: header in CSV, name in JSON; never changes its meaning
	Name string // for people: header in XLSX and HTML
	Kind ColumnKind
}

// ColumnKind says what the cells of a column hold. A nil cell is empty in every
// column: not known, or nothing to say.
type ColumnKind int

// The kinds of columns and what their cells may be.
const (
	ColumnText     ColumnKind = iota // string
	ColumnNumber                     // int, int64 or float64
	ColumnYes                        // bool
	ColumnTime                       // time.Time or *time.Time; the zero time is an empty cell
	ColumnSeverity                   // the word of a plimsoll.Severity, string
	ColumnTexts                      // []string
)

// WriteList writes a list and returns how many rows it had. It stops at the
// first error of the rows or of w and returns that; what was written until then
// is no whole document. XLSX holds MaxSheetRows rows: more is CodeLimit.
func WriteList(w io.Writer, f ListFormat, l List) (rows int64, err error) {
	switch f {
	case ListCSV:
		return writeListCSV(w, l)
	case ListXLSX:
		return writeListXLSX(w, l)
	case ListJSON:
		return writeListJSON(w, l)
	case ListHTML:
		return writeListHTML(w, l)
	}
	return 0, wrongFormat(Format(f))
}

// each calls f for every row with its number, once its cells are checked: they
// are then nil, string, int64, float64, bool, time.Time or []string.
func (l List) each(f func(row int64, cells []any) error) (rows int64, err error) {
	for cells, err := range l.Rows {
		if err != nil {
			return rows, err
		}
		if len(cells) != len(l.Columns) {
			return rows, plimsoll.Errorf(plimsoll.CodeInternal, "write list", "row %d has %d cells for %d columns", rows+1, len(cells), len(l.Columns))
		}
		for i, c := range cells {
			v, ok := l.Columns[i].Kind.value(c)
			if !ok {
				return rows, plimsoll.Errorf(plimsoll.CodeInternal, "write list", "column %s cannot hold a %T", l.Columns[i].Key, c)
			}
			cells[i] = v
		}
		if err := f(rows, cells); err != nil {
			return rows, err
		}
		rows++
	}
	return rows, nil
}

// value returns a cell as the few types that writers know.
func (k ColumnKind) value(cell any) (any, bool) {
	switch v := cell.(type) {
	case nil:
		return nil, true
	case string:
		return v, k == ColumnText || k == ColumnSeverity
	case []string:
		return v, k == ColumnTexts
	case bool:
		return v, k == ColumnYes
	case int:
		return int64(v), k == ColumnNumber
	case int64:
		return v, k == ColumnNumber
	case float64:
		return number(v), k == ColumnNumber
	case *time.Time:
		if v == nil {
			return nil, k == ColumnTime
		}
		return k.value(*v)
	case time.Time:
		if date(v) == "" {
			return nil, k == ColumnTime
		}
		return v.UTC().Truncate(time.Second), k == ColumnTime
	}
	return nil, false
}

// cellText returns a cell as one line for people.
func cellText(cell any) string {
	switch v := cell.(type) {
	case string:
		return path(v)
	case []string:
		return path(strings.Join(v, ", "))
	case bool:
		if v {
			return "yes"
		}
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		return date(v)
	}
	return ""
}

func writeListCSV(w io.Writer, l List) (int64, error) {
	out := csv.NewWriter(w)
	line := make([]string, len(l.Columns))
	for i, c := range l.Columns {
		line[i] = csvCell(c.Key)
	}
	if err := out.Write(line); err != nil {
		return 0, err
	}
	rows, err := l.each(func(_ int64, cells []any) error {
		for i, c := range cells {
			line[i] = cellText(c)
			switch c.(type) {
			case string, []string: // the others are ours, and "-1" is a number
				line[i] = csvCell(line[i])
			}
		}
		return out.Write(line)
	})
	if err != nil {
		return rows, err
	}
	out.Flush()
	return rows, out.Error()
}

// writeListJSON writes an array of objects, one a line, whose keys are in the
// order of the columns. An empty cell has no key.
func writeListJSON(w io.Writer, l List) (int64, error) {
	out := bufio.NewWriter(w)
	keys := make([][]byte, len(l.Columns))
	for i, c := range l.Columns {
		key, err := json.Marshal(raw(c.Key, maxName))
		if err != nil {
			return 0, plimsoll.Errorf(plimsoll.CodeInternal, "write list", "%w", err)
		}
		keys[i] = escapeJSON(key)
	}
	out.WriteByte('[') // an error of w stays in out until Flush
	rows, err := l.each(func(row int64, cells []any) error {
		if row > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n{")
		first := true
		for i, c := range cells {
			switch v := c.(type) {
			case nil:
				continue
			case string:
				c = raw(v, maxPath)
			case []string:
				c = rawAll(v, maxPath)
			case time.Time:
				c = date(v)
			}
			value, err := json.Marshal(c)
			if err != nil {
				return plimsoll.Errorf(plimsoll.CodeInternal, "write list", "%w", err)
			}
			if !first {
				out.WriteByte(',')
			}
			first = false
			out.Write(keys[i])
			out.WriteByte(':')
			out.Write(escapeJSON(value))
		}
		return out.WriteByte('}')
	})
	if err != nil {
		return rows, err
	}
	out.WriteString("\n]\n")
	return rows, out.Flush()
}

// listTemplate has a template for the head of the page and one for each row, so
// that no page is ever held whole.
//
//go:embed page/list.html
var listTemplate string

type (
	listView struct {
		Title   string
		Notes   []string
		Columns []listCellView
	}
	listCellView struct{ Class, Label, Text string }
)

func writeListHTML(w io.Writer, l List) (int64, error) {
	t, err := template.New("list").Parse(listTemplate)
	if err != nil {
		return 0, plimsoll.Errorf(plimsoll.CodeInternal, "parse page", "%w", err)
	}
	out := bufio.NewWriter(w)
	out.WriteString(pageHead(l.Title, "")) // an error of w stays in out until Flush
	view := listView{Title: path(l.Title), Notes: each(l.Notes, path), Columns: make([]listCellView, len(l.Columns))}
	for i, c := range l.Columns {
		view.Columns[i] = listCellView{c.Kind.class(""), name(c.Name), name(c.Name)}
	}
	if err := t.ExecuteTemplate(out, "head", view); err != nil {
		return 0, err
	}
	row := make([]listCellView, len(l.Columns))
	rows, err := l.each(func(_ int64, cells []any) error {
		for i, c := range cells {
			text := cellText(c)
			row[i] = listCellView{l.Columns[i].Kind.class(text), view.Columns[i].Label, text}
		}
		return t.ExecuteTemplate(out, "row", row)
	})
	if err != nil {
		return rows, err
	}
	if err := t.ExecuteTemplate(out, "foot", rows); err != nil {
		return rows, err
	}
	return rows, out.Flush()
}

// class returns the style of a cell: never a word that did not come from here.
func (k ColumnKind) class(text string) string {
	switch k {
	case ColumnNumber:
		return "num"
	case ColumnTime:
		return "nowrap"
	case ColumnSeverity:
		for _, s := range severityWords() {
			if s == text {
				return "severity " + s
			}
		}
	}
	return ""
}
