package report

import (
	"archive/zip"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"plimsoll"
)

// MaxSheetRows is how many rows a sheet holds below its header.
const MaxSheetRows = 1_048_575

// A sheet is written to a temporary file while its rows come, and from there to
// w: its header says how long it is. Cells with text are text, whatever they
// start with; there are no formulas, links or macros.
func writeListXLSX(w io.Writer, l List) (rows int64, err error) {
	fail := func(err error) error { return plimsoll.Errorf(plimsoll.CodeInternal, "write sheet", "%w", err) }
	book := excelize.NewFile()
	defer func() {
		if e := book.Close(); e != nil && err == nil {
			err = fail(e)
		}
	}()
	sheet := sheetName(l.Title)
	if err := book.SetSheetName("Sheet1", sheet); err != nil {
		return 0, fail(err)
	}
	// The document tells no time, so that the same rows are the same bytes.
	then := time.Unix(0, 0).UTC().Format(time.RFC3339)
	if err := book.SetDocProps(&excelize.DocProperties{
		Title: path(l.Title), Description: path(strings.Join(l.Notes, "; ")), Creator: "Plimsoll", LastModifiedBy: "Plimsoll", Created: then, Modified: then,
	}); err != nil {
		return 0, fail(err)
	}
	head, err := book.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return 0, fail(err)
	}
	format := "yyyy-mm-dd hh:mm:ss"
	clock, err := book.NewStyle(&excelize.Style{CustomNumFmt: &format})
	if err != nil {
		return 0, fail(err)
	}
	out, err := book.NewStreamWriter(sheet)
	if err != nil {
		return 0, fail(err)
	}
	for i, c := range l.Columns {
		if err := out.SetColWidth(i+1, i+1, c.width()); err != nil {
			return 0, fail(err)
		}
	}
	if err := out.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return 0, fail(err)
	}
	line := make([]any, len(l.Columns))
	for i, c := range l.Columns {
		line[i] = excelize.Cell{StyleID: head, Value: name(c.Name)}
	}
	if err := out.SetRow("A1", line); err != nil {
		return 0, fail(err)
	}
	rows, err = l.each(func(row int64, cells []any) error {
		if row == MaxSheetRows {
			return &plimsoll.Error{Code: plimsoll.CodeLimit, Op: "write sheet", Hint: "narrow the list, or choose CSV, which has no limit",
				Err: fmt.Errorf("a sheet holds %d rows and there are more", MaxSheetRows)}
		}
		for i, c := range cells {
			line[i] = sheetCell(c, clock)
		}
		first, err := excelize.CoordinatesToCellName(1, int(row)+2)
		if err != nil {
			return fail(err)
		}
		if err := out.SetRow(first, line); err != nil {
			return fail(err)
		}
		return nil
	})
	if err != nil {
		return rows, err
	}
	if err := out.Flush(); err != nil {
		return rows, fail(err)
	}
	// The library would collect the whole file in memory; this leads it to w.
	book.SetZipWriter(func(io.Writer) excelize.ZipWriter { return zip.NewWriter(w) })
	_, err = book.WriteToBuffer()
	return rows, err
}

func sheetCell(cell any, clock int) any {
	switch v := cell.(type) {
	case int64, float64:
		return v
	case time.Time:
		if v.Year() < 1900 { // a sheet knows no such day
			return date(v)
		}
		return excelize.Cell{StyleID: clock, Value: v}
	}
	if text := cellText(cell); text != "" {
		return text
	}
	return nil
}

// sheetName makes a name that every spreadsheet takes: at most 31 characters,
// none of them with a meaning in references.
func sheetName(title string) string {
	const most = 31
	s := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`:\/?*[]'`, r) || r > 0xffff {
			return ' '
		}
		return r
	}, line(title, most))
	if r := []rune(s); len(r) > most {
		s = string(r[:most])
	}
	if s = strings.TrimSpace(s); s == "" {
		return "List"
	}
	return s
}

func (c Column) width() float64 {
	const least, most = 8, 48
	width := 24
	switch c.Kind {
	case ColumnNumber, ColumnYes, ColumnSeverity:
		width = 12
	case ColumnTime:
		width = 20
	case ColumnTexts:
		width = 36
	}
	return float64(min(most, max(least, width, len(c.Name)+2)))
}
