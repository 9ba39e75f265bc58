package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"plimsoll"
)

// screen writes lines to a terminal or a text file. It remembers the first
// error. What it is given is Text already.
type screen struct {
	w     *bufio.Writer
	width int // columns; 0 means unlimited
	color bool
	ascii bool
}

func newScreen(w io.Writer, o Options) *screen {
	return &screen{w: bufio.NewWriter(w), width: o.Width, color: o.Color, ascii: o.ASCII}
}

func (s *screen) line(parts ...string) {
	text := strings.Join(parts, "")
	if s.ascii {
		text = asciiOnly(text)
	}
	s.w.WriteString(strings.TrimRight(text, " "))
	s.w.WriteByte('\n')
}

// asciiOnly replaces what a terminal without UTF-8 cannot show by signs of the
// same width: our own by what looks alike, those of names by question marks.
func asciiOnly(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r == '\u2500', r == '\u00b7':
			b.WriteByte('-')
		case r == ellipsis:
			b.WriteByte('~')
		default:
			b.WriteString(strings.Repeat("?", runeWidth(r)))
		}
	}
	return b.String()
}

func (s *screen) linef(format string, args ...any) { s.line(fmt.Sprintf(format, args...)) }

// rule draws a line below a heading.
func (s *screen) rule() { s.line(strings.Repeat("\u2500", s.columns())) }

// columns is how wide running text gets.
func (s *screen) columns() int {
	const unlimited = 100
	if s.width <= 0 {
		return unlimited
	}
	return s.width
}

// prose writes text behind a label of fixed width, wrapped below itself.
func (s *screen) prose(label, text string) {
	const indent = 13
	s.hanging("  "+pad(label, indent-2, false), strings.Repeat(" ", indent), text)
}

// hanging writes text after first, and its further lines after rest, which must
// be of the same width.
func (s *screen) hanging(first, rest, text string) {
	limit := 0
	if s.width > 0 {
		limit = max(20, s.width-width(rest))
	}
	for _, part := range wrap(text, limit) {
		s.line(first, part)
		first = rest
	}
}

func (s *screen) flush() error { return s.w.Flush() }

// paint colours a severity; the word stays.
func (s *screen) paint(severity plimsoll.Severity, text string) string {
	if !s.color {
		return text
	}
	code := ""
	switch severity {
	case plimsoll.SeverityCritical:
		code = "1;31"
	case plimsoll.SeverityHigh:
		code = "31"
	case plimsoll.SeverityMedium:
		code = "33"
	case plimsoll.SeverityUnknown:
		code = "35"
	case plimsoll.SeverityLow:
		code = "36"
	default:
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// column describes one column of a grid.
type column struct {
	head  string
	right bool // align right
	wrap  int  // may be wrapped down to this width; 0 means never
	cut   int  // may be cut down to this width, and left out below it; 0 means never
	most  int  // is cut beyond this width on any screen; 0 means never
	drop  int  // left out when there is no room: the greater, the earlier; 0 means never
}

// cell is a text with the severity that colours it.
type cell struct {
	text     string
	severity plimsoll.Severity
	painted  bool
}

// row is a line of a grid, or a note or heading across all columns.
type row struct {
	cells   []cell
	note    string
	heading bool
}

// grid is a table that fits its screen.
type grid struct {
	columns []column
	rows    []row
}

// gap is the room before each column, so it is the margin too.
const gap = 2

func (g *grid) add(cells ...cell) { g.rows = append(g.rows, row{cells: cells}) }
func (g *grid) note(text string)  { g.rows = append(g.rows, row{note: text}) }

// heading begins a group of rows.
func (g *grid) heading(text string) { g.rows = append(g.rows, row{note: text, heading: true}) }

func plainCell(text string) cell { return cell{text: text} }

func (g *grid) write(s *screen) {
	shown, widths := g.fit(s.width)
	var b strings.Builder
	total := 0
	for _, c := range shown {
		b.WriteString(strings.Repeat(" ", gap)) // the margin, for the first
		b.WriteString(pad(g.columns[c].head, widths[c], g.columns[c].right))
		total += widths[c] + gap
	}
	s.line(b.String())
	s.line(strings.Repeat(" ", gap), strings.Repeat("\u2500", total-gap))
	for _, r := range g.rows {
		if r.note != "" {
			indent := strings.Repeat(" ", 2*gap)
			if r.heading {
				indent = indent[:gap]
			}
			s.hanging(indent, indent, r.note)
			continue
		}
		g.writeRow(s, r, shown, widths)
	}
}

// writeRow writes a row; a wrapped cell makes it several lines high.
func (g *grid) writeRow(s *screen, r row, shown, widths []int) {
	parts := make([][]string, len(r.cells))
	height := 1
	for _, c := range shown {
		text := r.cells[c].text
		switch {
		case g.columns[c].wrap > 0:
			parts[c] = wrap(text, widths[c])
		case g.columns[c].cut > 0:
			parts[c] = []string{truncate(text, widths[c])}
		default:
			parts[c] = []string{text}
		}
		height = max(height, len(parts[c]))
	}
	for h := range height {
		var b strings.Builder
		for _, c := range shown {
			b.WriteString(strings.Repeat(" ", gap))
			text := ""
			if h < len(parts[c]) {
				text = parts[c][h]
			}
			padded := pad(text, widths[c], g.columns[c].right)
			if r.cells[c].painted && text != "" {
				padded = strings.Replace(padded, text, s.paint(r.cells[c].severity, text), 1)
			}
			b.WriteString(padded)
		}
		s.line(b.String())
	}
}

// fit chooses the columns that are shown and the width of each. Cells that may
// not be wrapped or cut are whole even when the screen is too narrow for them.
func (g *grid) fit(screen int) (shown, widths []int) {
	widths = make([]int, len(g.columns))
	for c := range g.columns {
		widths[c] = width(g.columns[c].head)
		filled := false
		for _, r := range g.rows {
			if r.note == "" {
				widths[c] = max(widths[c], width(r.cells[c].text))
				filled = filled || r.cells[c].text != ""
			}
		}
		if most := g.columns[c].most; most > 0 {
			widths[c] = min(widths[c], most)
		}
		if filled || g.columns[c].drop == 0 && g.columns[c].cut == 0 {
			shown = append(shown, c)
		}
	}
	if screen <= 0 {
		return shown, widths
	}
	excess := func() int {
		total := 0
		for _, c := range shown {
			total += widths[c] + gap
		}
		return total - screen
	}
	// Wide cells are wrapped at a comfortable width first, then titles give way,
	// then columns that can be missed, then cells are wrapped as far as needed.
	const comfortable = 18
	natural := slices.Clone(widths)
	g.shrink(shown, widths, excess, comfortable)
	for _, c := range slices.Backward(shown) {
		if least := g.columns[c].cut; least > 0 && excess() > 0 {
			widths[c] = max(least, widths[c]-excess())
		}
	}
	for excess() > 0 {
		victim := -1
		for i, c := range shown {
			if d := g.columns[c].drop; d > 0 && (victim < 0 || d > g.columns[shown[victim]].drop) {
				victim = i
			}
		}
		if victim < 0 {
			break
		}
		shown = slices.Delete(shown, victim, victim+1)
	}
	g.shrink(shown, widths, excess, 0)
	for _, c := range shown { // what the last column gave up too much is used
		widths[c] = min(natural[c], widths[c]+max(0, -excess()))
	}
	return shown, widths
}

// shrink narrows the widest column that may be wrapped, again and again, until
// everything fits or all are as narrow as floor and they allow.
func (g *grid) shrink(shown, widths []int, excess func() int, floor int) {
	for excess() > 0 {
		widest := -1
		for _, c := range shown {
			if least := g.columns[c].wrap; least > 0 && widths[c] > max(least, floor) && (widest < 0 || widths[c] > widths[widest]) {
				widest = c
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// measure is fixed: the package's default depends on the environment.
func measure() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

// width is how many columns s takes on a terminal; wide characters take two.
func width(s string) int {
	if plain(s) {
		return len(s)
	}
	return measure().StringWidth(s)
}

func truncate(s string, most int) string {
	if width(s) <= most {
		return s
	}
	return strings.TrimRight(measure().Truncate(s, most-1, ""), " ") + string(ellipsis)
}

func pad(s string, to int, right bool) string {
	space := strings.Repeat(" ", max(0, to-width(s)))
	if right {
		return space + s
	}
	return s + space
}

// wrap breaks s into parts of at most limit columns: at a space, else behind a
// sign, else anywhere: deb12u14 must not look like deb12u1 where there is room. 0 means unlimited. It takes time linear
// in s.
func wrap(s string, limit int) []string {
	if limit <= 0 || len(s) <= limit {
		return []string{s}
	}
	var parts []string
	type place struct{ at, columns int }
	var space, sign place // the last ones of this part
	start, columns := 0, 0
	for i, r := range s {
		wide := runeWidth(r)
		if columns+wide > limit && i > start {
			end := place{i, columns}
			if space.at > start {
				end = space
			} else if sign.at > start {
				end = sign
			}
			parts = append(parts, strings.Trim(s[start:end.at], " "))
			start, columns = end.at, columns-end.columns
			space.columns, sign.columns = space.columns-end.columns, sign.columns-end.columns
		}
		columns += wide
		switch {
		case r == ' ':
			space = place{i + 1, columns}
		case columns >= limit/4 && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r) && r != '\\':
			sign = place{i + utf8.RuneLen(r), columns}
		}
	}
	if rest := strings.Trim(s[start:], " "); rest != "" || len(parts) == 0 {
		parts = append(parts, rest)
	}
	return parts
}

func runeWidth(r rune) int {
	if ' ' <= r && r <= '~' {
		return 1
	}
	return measure().RuneWidth(r)
}
