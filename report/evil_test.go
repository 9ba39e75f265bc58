package report

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// evilStrings reads testdata/evil-strings.txt: one Go string literal a line.
func evilStrings(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/evil-strings.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		s, err := strconv.Unquote(l)
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		list = append(list, s)
	}
	return append(list, strings.Repeat("x", 10<<10), strings.Repeat("long \u202e\x1b[31m ", 20<<10))
}

// TestEvilStringsAreShownAsText pushes hostile text through every field of every
// format and looks for the raw bytes.
func TestEvilStringsAreShownAsText(t *testing.T) {
	for _, evil := range evilStrings(t) {
		r := evilReport(evil)
		inventory := evilReport(evil)
		inventory.Results, inventory.Generation = inventory.Results[:1], nil
		inventory.Results[0].Matched, inventory.Results[0].Findings = false, nil
		images := sampleImages()
		for i := range images {
			images[i] = r.Results[i].Image
		}
		for file, write := range documents(r, inventory, images) {
			out := string(render(t, write))
			if strings.HasPrefix(file, "table-80") {
				out = stripColors(out) // our own, the only ones allowed
			}
			if !utf8.ValidString(out) {
				t.Errorf("%s: %.40q: invalid UTF-8", file, evil)
			}
			for i, c := range out {
				if c == '\n' || c == '\r' && strings.HasSuffix(file, ".csv") {
					continue
				}
				if !visible(c) && !(c == utf8.RuneError && !strings.HasSuffix(file, ".txt")) {
					t.Errorf("%s: %.40q: raw %U in %q", file, evil, c, out[max(0, i-30):min(len(out), i+30)])
					break
				}
			}
		}
	}
}

// TestEvilStringsInALog are values of a log, whose handlers know nothing of
// terminals.
func TestEvilStringsInALog(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		for _, evil := range evilStrings(t) {
			var b strings.Builder
			slog.New(NewLog(&b, slog.LevelDebug, asJSON)).With("with", evil).Debug(evil, "image", evil, evil, "key", "error", errors.New(evil), slog.Group("group", "image", evil))
			line, more := strings.CutSuffix(b.String(), "\n")
			if !more || strings.Contains(line, "\n") || len(line) < len(evil) {
				t.Errorf("%.40q: the line is %.200q", evil, line)
			}
			for _, c := range line {
				if !visible(c) && !(c == utf8.RuneError && asJSON) {
					t.Errorf("%.40q: raw %U in %.200q", evil, c, line)
					break
				}
			}
			var v struct{ Msg, Image string }
			if asJSON {
				if err := json.Unmarshal([]byte(line), &v); err != nil || v.Image != strings.ToValidUTF8(evil, "\ufffd") && utf8.ValidString(evil) {
					t.Errorf("%.40q became %.40q: %v", evil, v.Image, err)
				}
			}
		}
	}
}

func stripColors(s string) string {
	for _, code := range []string{"1;31", "31", "33", "35", "36", "0"} {
		s = strings.ReplaceAll(s, "\x1b["+code+"m", "")
	}
	return s
}

func TestText(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"openssl 1.1.1n-0+deb11u5", "openssl 1.1.1n-0+deb11u5"},
		{"\u65e5\u672c\u8a9e \u00e9\u00fc \U0001f600", "\u65e5\u672c\u8a9e \u00e9\u00fc \U0001f600"},
		{"a\nb\tc\r", `a\nb\tc\r`},
		{"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"\x1b]8;;http://x\x07link", `\x1b]8;;http://x\alink`},
		{"nul\x00", `nul\x00`},
		{"bad\xff\xc0", `bad\xff\xc0`},
		{"\u202egpj.exe", `\u202egpj.exe`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"csi\u009b31m", `csi\u009b31m`},
		{"no\u00a0break", `no\u00a0break`},
		{"hangul\u3164filler", `hangul\u3164filler`},
		{"z" + strings.Repeat("\u0301", 5), "z" + strings.Repeat("\u0301", 3) + `\u0301\u0301`},
		{"tag\U000e0041", `tag\U000e0041`},
		{`C:\x1b is text`, `C:\x1b is text`},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("Text(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, evil := range evilStrings(f) {
		f.Add(evil)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		for _, r := range got {
			if !visible(r) {
				t.Fatalf("Text(%q) = %q has %U", s, got, r)
			}
		}
		if again := Text(got); again != got {
			t.Fatalf("Text(%q) = %q, again %q", s, got, again)
		}
		for _, limit := range []int{1, 7, 40} {
			if joined := strings.ReplaceAll(strings.Join(wrap(got, limit), ""), " ", ""); joined != strings.ReplaceAll(got, " ", "") {
				t.Fatalf("wrap(%q, %d) lost text: %q", got, limit, joined)
			}
			if w := width(truncate(got, limit)); w > max(limit, 2) {
				t.Fatalf("truncate(%q, %d) is %d wide", got, limit, w)
			}
		}
	})
}
