package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Longest foreign text that is shown, in runes. What is cut ends with "…". The
// limits of the human formats keep a page readable; those of the machine
// formats only keep a hostile image from growing a document without bound.
const (
	maxName  = 256      // names, versions, ids, licences
	maxPath  = 4 << 10  // paths, references, purls, URLs, commands
	maxProse = 64 << 10 // advisory texts, problems
	maxTitle = 300      // one line of an advisory, for people
	maxLines = 40       // of an advisory's text, for people
	maxMarks = 3        // combining marks on one letter
	ellipsis = '\u2026' // "…"
)

// Text returns s as one line that is safe on a terminal and in a log: control
// and bidirectional characters, other invisible characters and invalid UTF-8 are
// shown in their escaped form (\n, \x1b, \u202e). Text of a text is the same text.
func Text(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	marks := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[s[i]>>4])
			b.WriteByte(hexDigits[s[i]&15])
			marks, i = 0, i+1
			continue
		}
		i += n
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		if visible(r) && marks <= maxMarks {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

// plain says whether s is printable ASCII, which nearly everything is.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// visible says whether r leaves a mark where it stands and does nothing else.
// Bidirectional controls, zero-width characters and unusual spaces are not
// printable for Go; the rest of the list are letters and marks without a shape.
func visible(r rune) bool {
	switch {
	case r == '\u034f', r == '\u115f', r == '\u1160', r == '\u17b4', r == '\u17b5',
		r == '\u2800', r == '\u3164', r == '\uffa0', r == utf8.RuneError,
		'\ufe00' <= r && r <= '\ufe0f', 0xe0100 <= r && r <= 0xe01ef:
		return false
	}
	return unicode.IsPrint(r)
}

// line returns s as Text, at most most runes long.
func line(s string, most int) string { return Text(cut(s, most)) }

func name(s string) string { return line(s, maxName) }
func path(s string) string { return line(s, maxPath) }

// title returns the first line of an advisory's text.
func title(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line(strings.TrimSpace(first), maxTitle)
}

// paragraphs returns the lines of an advisory's text, each as Text, without
// leading and trailing space and with one empty line at most between two. Its
// Markdown stays text.
func paragraphs(s string) []string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", "    ").Replace(cut(s, maxProse))
	var lines []string
	for part := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		part = Text(strings.TrimRight(part, " "))
		if part == "" && len(lines) > 0 && lines[len(lines)-1] == "" {
			continue
		}
		if len(lines) == maxLines {
			return append(lines, string(ellipsis))
		}
		lines = append(lines, part)
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines
}

// cut shortens s to at most most runes. It reads no more of s than that.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n, last := 0, 0
	for i := range s {
		switch n {
		case most - 1:
			last = i
		case most:
			return s[:last] + string(ellipsis)
		}
		n++
	}
	return s
}

// escapeJSON replaces what JSON allows raw in a string and Text would not show
// raw (C1 controls, bidirectional controls …) by \u escapes, which mean the same.
// b is valid JSON in UTF-8; outside strings it is ASCII.
func escapeJSON(b []byte) []byte {
	var out []byte
	last := 0
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf && b[i] != 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r != utf8.RuneError && visible(r) {
			i += n
			continue
		}
		out = append(out, b[last:i]...)
		out = appendUnicodeEscape(out, r)
		i += n
		last = i
	}
	if out == nil {
		return b
	}
	return append(out, b[last:]...)
}

func appendUnicodeEscape(out []byte, r rune) []byte {
	units := []rune{r}
	if r > 0xffff { // JSON writes these as a surrogate pair
		r -= 0x10000
		units = []rune{0xd800 + r>>10, 0xdc00 + r&0x3ff}
	}
	for _, u := range units {
		out = append(out, '\\', 'u', hexDigits[u>>12&15], hexDigits[u>>8&15], hexDigits[u>>4&15], hexDigits[u&15])
	}
	return out
}
