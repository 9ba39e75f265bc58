package version

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixtures names the scheme of each order table.
var fixtures = []struct {
	file   string
	scheme Scheme
}{
	{"alpine", APK},
	{"cran", CRAN},
	{"debian", Deb},
	{"hackage", Hackage},
	{"maven", Maven},
	{"nuget", NuGet},
	{"packagist", Composer},
	{"pub", Pub},
	{"pypi", PEP440},
	{"redhat", RPM},
	{"rubygems", Gem},
	{"semver", SemVer},
}

// exceptions are lines of the tables that we order differently on purpose,
// with our answer ("!" for a refusal) and the reason.
var exceptions = map[string]struct{ want, reason string }{
	"alpine: 1-r0-1 = 1-r-2": {">", "both are invalid, but for apk-tools 3 the fault of 1-r-2 comes earlier"},

	"alpine: .1 < 1":  {"!", apkNoDigit},
	"alpine: 1 > .1":  {"!", apkNoDigit},
	"alpine: .2 > .1": {"!", apkNoDigit},
	"alpine: a < b":   {"!", apkNoDigit},
	"alpine: c > b":   {"!", apkNoDigit},
	"alpine: c = c":   {"!", apkNoDigit},

	"maven: 1-1 = 1-ga-1": {">", "so says Maven 3.8.7: [1, [1]] and [1, [[1]]]"},

	"packagist: 1.0.0 > 1.0":          {"=", "bare version_compare; in Composer's normal form both are 1.0.0.0"},
	"packagist: 1.2.3.# = 1.2.3":      {"!", composerHash},
	"packagist: 1.2.3.# = 1.2.3.#":    {"!", composerHash},
	"packagist: 1.2.3.# = 1.2.3.1":    {"!", composerHash},
	"packagist: 1.2.3.#.1 > 1.2.3":    {"!", composerHash},
	"packagist: 1.2.3.#.p3 > 1.2.3":   {"!", composerHash},
	"packagist: 1.2.3.#.beta < 1.2.3": {"!", composerHash},

	"pypi: 0.1-bulbasaur < 0.1-charmander":                {"!", pypiRefused},
	"pypi: 0.1-charmander < 0.9-doduo":                    {"!", pypiRefused},
	"pypi: 0.9-doduo < 0.9-eevee":                         {"!", pypiRefused},
	"pypi: 0.9-eevee < 0.9-fearow":                        {"!", pypiRefused},
	"pypi: 0.9-fearow < 0.9-gyarados":                     {"!", pypiRefused},
	"pypi: 0.9-gyarados < 0.9-horsea":                     {"!", pypiRefused},
	"pypi: 0.9-horsea < 0.9-ivysaur":                      {"!", pypiRefused},
	"pypi: 0.9-ivysaur < 1.0":                             {"!", pypiRefused},
	"pypi: -class.-jw.util.version.version-pre < 1.0":     {"!", pypiRefused},
	"pypi: -class.-jw.util.version.version-preview < 1.0": {"!", pypiRefused},
	"pypi: -class.-jw.util.version.version-dev < 1.0":     {"!", pypiRefused},
}

const (
	composerHash = "the sign is a mark inside PHP's version_compare; Composer refuses such a version"
	apkNoDigit   = "apk calls such a version invalid, and nothing stands before the fault to order it by"
	pypiRefused  = "not a version to Python's packaging; older than every fix would be a guess"
)

func TestFixtures(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures {
		t.Run(f.file, func(t *testing.T) {
			t.Parallel()
			lines := readFixture(t, f.file)
			if len(lines) == 0 {
				t.Fatal("no lines")
			}
			for _, l := range lines {
				want := l.op
				if e, ok := exceptions[f.file+": "+l.text]; ok {
					want = e.want
				}
				if got := relation(f.scheme, l.a, l.b); got != want {
					t.Errorf("%s: got %s, want %s", l.text, got, want)
				}
				if got := relation(f.scheme, l.b, l.a); got != mirror(want) {
					t.Errorf("%s, turned round: got %s, want %s", l.text, got, mirror(want))
				}
			}
		})
	}
}

// TestExceptionsExist keeps the list of exceptions from outliving its lines.
func TestExceptionsExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range fixtures {
		for _, l := range readFixture(t, f.file) {
			known[f.file+": "+l.text] = true
		}
	}
	for line, e := range exceptions {
		if !known[line] {
			t.Errorf("exception for a line that is in no table: %s", line)
		}
		if e.reason == "" {
			t.Errorf("exception without a reason: %s", line)
		}
	}
}

type fixtureLine struct{ text, a, op, b string }

func readFixture(tb testing.TB, name string) []fixtureLine {
	tb.Helper()
	file, err := os.Open(filepath.Join("testdata", name+"-versions.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var lines []fixtureLine
	for s := bufio.NewScanner(file); s.Scan(); {
		text := strings.TrimSpace(s.Text())
		if text == "" || strings.HasPrefix(text, "#") || strings.HasPrefix(text, "//") {
			continue
		}
		f := strings.Fields(text)
		if len(f) != 3 {
			tb.Fatalf("%s: not a line of an order table: %q", name, text)
		}
		lines = append(lines, fixtureLine{text, f[0], f[1], f[2]})
	}
	return lines
}

// relation returns <, = or >, or ! if either version is refused.
func relation(s Scheme, a, b string) string {
	c, err := Compare(s, a, b)
	if err != nil {
		return "!"
	}
	return string("<=>"[c+1])
}

func mirror(op string) string {
	switch op {
	case "<":
		return ">"
	case ">":
		return "<"
	}
	return op
}
