package report

import (
	"archive/zip"
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"plimsoll"
)

// MaxSheetRows is how many rows a sheet holds below its header.
const MaxSheetRows = 1_048_575

// maxSheetText is how many UTF-16 units a cell of a sheet holds.
const maxSheetText = 32_767

// The parts of a workbook of one sheet (ECMA-376, part 1: 12.2 packages, 18 SpreadsheetML),
// but for the sheet itself. Of the styles 1 is the header's and 2 is that of times. The
// document tells no time, so that the same rows are the same bytes.
var sheetParts = []struct{ name, content string }{
	{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Override PartName="/docProps/core.xml" ContentType="application/vnd.openxmlformats-package.core-properties+xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
		`<Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`},
	{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>` +
		`<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties" Target="docProps/core.xml"/></Relationships>`},
	{"docProps/core.xml", `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/" ` +
		`xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>{title}</dc:title><dc:description>{notes}</dc:description>` +
		`<dc:creator>Plimsoll</dc:creator><cp:lastModifiedBy>Plimsoll</cp:lastModifiedBy><dcterms:created xsi:type="dcterms:W3CDTF">1970-01-01T00:00:00Z</dcterms:created>` +
		`<dcterms:modified xsi:type="dcterms:W3CDTF">1970-01-01T00:00:00Z</dcterms:modified></cp:coreProperties>`},
	{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>`},
	{"xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">` +
		`<sheets><sheet name="{sheet}" sheetId="1" r:id="rId1"/></sheets></workbook>`},
	{"xl/styles.xml", `<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">` +
		`<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\-mm\-dd\ hh:mm:ss"/></numFmts>` +
		`<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>` +
		`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>` +
		`<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>` +
		`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
		`<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>` +
		`<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>` +
		`<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs></styleSheet>`},
}

// Cells with text are text, whatever they start with; there are no formulas, links or
// macros. Written by hand: the library that writes all of the format takes a third of
// the time in which the program starts (docs/decisions/0015-spreadsheets-by-hand.md).
func writeListXLSX(w io.Writer, l List) (rows int64, err error) {
	book := zip.NewWriter(w)
	texts := strings.NewReplacer("{sheet}", inSheet(sheetName(l.Title)), "{title}", inSheet(path(l.Title)), "{notes}", inSheet(path(strings.Join(l.Notes, "; "))))
	for _, part := range sheetParts {
		out, err := book.Create(part.name)
		if err != nil {
			return 0, err
		}
		if _, err := texts.WriteString(out, xml.Header+part.content); err != nil {
			return 0, err
		}
	}
	sheet, err := book.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(sheet)
	out.WriteString(xml.Header + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetViews><sheetView tabSelected="1" workbookViewId="0">` +
		`<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>`)
	for i, c := range l.Columns {
		fmt.Fprintf(out, `<col min="%d" max="%d" width="%g" customWidth="1"/>`, i+1, i+1, c.width())
	}
	out.WriteString(`</cols><sheetData><row r="1">`)
	for i, c := range l.Columns {
		writeSheetText(out, i, 1, name(c.Name), ` s="1"`)
	}
	out.WriteString("</row>")
	rows, err = l.each(func(row int64, cells []any) error {
		if row == MaxSheetRows {
			return &plimsoll.Error{Code: plimsoll.CodeLimit, Op: "write sheet", Hint: "narrow the list, or choose CSV, which has no limit",
				Err: fmt.Errorf("a sheet holds %d rows and there are more", MaxSheetRows)}
		}
		fmt.Fprintf(out, `<row r="%d">`, row+2)
		for i, c := range cells {
			writeSheetCell(out, i, row+2, c)
		}
		_, err := out.WriteString("</row>") // tells of an error before, too
		return err
	})
	if err != nil {
		return rows, err
	}
	out.WriteString("</sheetData></worksheet>")
	if err := out.Flush(); err != nil {
		return rows, err
	}
	return rows, book.Close()
}

func writeSheetCell(out *bufio.Writer, column int, row int64, cell any) {
	value, style := "", ""
	switch v := cell.(type) {
	case int64:
		value = strconv.FormatInt(v, 10)
	case float64:
		value = strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		if v.Year() > 1900 { // a sheet knows no day before, and a wrong one in that year
			days := v.Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours() / 24
			value, style = strconv.FormatFloat(days, 'f', -1, 64), ` s="2"`
		}
	}
	if value != "" {
		fmt.Fprintf(out, `<c r="%s%d"%s><v>%s</v></c>`, sheetColumn(column), row, style, value)
	} else if text := cellText(cell); text != "" {
		writeSheetText(out, column, row, text, "")
	}
}

func writeSheetText(out *bufio.Writer, column int, row int64, text, style string) {
	fmt.Fprintf(out, `<c r="%s%d"%s t="inlineStr"><is><t xml:space="preserve">%s</t></is></c>`, sheetColumn(column), row, style, inSheet(text))
}

// sheetColumn spells the number of a column: A to Z, AA and so on.
func sheetColumn(n int) string {
	if n < 26 {
		return string(rune('A' + n))
	}
	return sheetColumn(n/26-1) + string(rune('A'+n%26))
}

// looksEscaped says whether s begins with how a sheet spells a character that XML
// cannot, _xHHHH_ (ECMA-376, part 1, 22.9.2.19).
func looksEscaped(s string) bool {
	if len(s) < 7 || s[:2] != "_x" || s[6] != '_' {
		return false
	}
	_, err := strconv.ParseUint(s[2:6], 16, 16)
	return err == nil
}

// inSheet makes a text what stands between tags: what a cell can hold of it, escaped.
func inSheet(s string) string {
	var text []byte
	units := 0
	for i, r := range s {
		if units += utf16.RuneLen(r); units > maxSheetText {
			break
		}
		if text = utf8.AppendRune(text, r); r == '_' && looksEscaped(s[i:]) { // it is text all the same
			text = append(text, "x005F_"...)
		}
	}
	var escaped strings.Builder
	xml.EscapeText(&escaped, text)
	return escaped.String()
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
