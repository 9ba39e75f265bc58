package bench

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Table is a table in Markdown; its first row is the head.
type Table [][]string

// Row adds a row.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case time.Duration:
			row[i] = Millis(c)
		case float64:
			row[i] = fmt.Sprintf("%.1f", c)
		default:
			row[i] = fmt.Sprint(c)
		}
	}
	*t = append(*t, row)
}

// String writes the table; all columns but the first stand to the right.
func (t Table) String() string {
	var b strings.Builder
	for i, row := range t {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("--:|", len(row)-1))
		}
	}
	return b.String()
}

// Millis writes a time in milliseconds, with as many digits as mean something.
func Millis(d time.Duration) string {
	switch ms := float64(d) / 1e6; {
	case ms < 0.1:
		return fmt.Sprintf("%.4f", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}

// MiB writes bytes.
func MiB(bytes int64) string { return fmt.Sprintf("%.0f", float64(bytes)/(1<<20)) }

// Median returns the middle one.
func Median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}

// Exponent returns b of the curve a·xᵇ that fits points best, by least squares of
// their logarithms: 1 is linear, 2 quadratic, 0 means that size does not matter.
func Exponent(xs, ys []float64) float64 {
	var n, sx, sy, sxx, sxy float64
	for i := range xs {
		if ys[i] <= 0 { // it was over before it could be measured
			continue
		}
		x, y := math.Log(xs[i]), math.Log(ys[i])
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// Replace writes text between the mark <!-- name --> and the next <!-- end --> of a
// document.
func Replace(document, name, text string) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	begin, end := []byte("<!-- "+name+" -->\n"), []byte("<!-- end -->")
	before, rest, ok := bytes.Cut(old, begin)
	_, after, closed := bytes.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no marks %s … %s", document, bytes.TrimSpace(begin), end)
	}
	return os.WriteFile(document, slices.Concat(before, begin, []byte(strings.TrimSpace(text)+"\n"), end, after), 0o644)
}

// Setting says where, when and with what something was measured.
type Setting struct {
	Program string `json:"program"` // what "plimsoll version" says
	Date    string `json:"date"`
	Machine string `json:"machine"`
	Load    string `json:"load"` // of the last minute, before the run began
}

// Here describes this machine and the program; dir is where image stores are made.
func Here(binary, dir string) (Setting, error) {
	version, err := exec.Command(binary, "version").Output()
	if err != nil {
		return Setting{}, err
	}
	find := func(file, pattern string) string {
		text, _ := os.ReadFile(file)
		if m := regexp.MustCompile(pattern).FindSubmatch(text); m != nil {
			return string(m[1])
		}
		return "unknown"
	}
	var memory int
	fmt.Sscan(find("/proc/meminfo", `MemTotal: +(\d+)`), &memory)
	files, err := exec.Command("findmnt", "--noheadings", "--output", "FSTYPE", "--target", dir).Output()
	if err != nil {
		files = []byte("an unknown file system")
	}
	return Setting{
		Program: strings.TrimSpace(string(version)),
		Date:    time.Now().UTC().Format(time.DateOnly),
		Machine: fmt.Sprintf("%d cores of %s, %d GiB of memory, Linux %s, %s", runtime.NumCPU(), find("/proc/cpuinfo", `model name\s*: (.*)`),
			(memory+1<<19)>>20, find("/proc/sys/kernel/osrelease", `^(\d+\.\d+)`), strings.TrimSpace(string(files))),
		Load: find("/proc/loadavg", `^(\S+)`),
	}, nil
}

func (s Setting) String() string {
	return fmt.Sprintf("Measured on %s: %s; %s. Load of the machine before: %s.", s.Date, s.Program, s.Machine, s.Load)
}
