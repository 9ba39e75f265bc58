package report

import (
	"io"
	"slices"
	"strings"
	"testing"

	"plimsoll"
)

func table(t *testing.T, r plimsoll.Report, o Options) string {
	t.Helper()
	return string(render(t, func(w io.Writer) error { return Write(w, Table, r, o) }))
}

func TestTableFitsTheScreen(t *testing.T) {
	for _, columns := range []int{100, 120, 160, 200} {
		for l := range strings.Lines(table(t, sampleReport(), Options{Width: columns, Packages: true})) {
			if w := width(strings.TrimSuffix(l, "\n")); w > columns {
				t.Errorf("%d columns: %d in %s", columns, w, l)
			}
		}
	}
	// However narrow, ids and commands are whole.
	narrow := strings.ReplaceAll(table(t, sampleReport(), Options{Width: 40}), " \\\n      ", " ")
	for _, whole := range []string{"CVE-2022-37434", "CVE-2023-45133", "apt-get update && apt-get install --only-upgrade libssl1.1 zlib1g\n", "8d9001d32c6a"} {
		if !strings.Contains(narrow, whole) {
			t.Errorf("%q is cut", whole)
		}
	}
	if n := strings.Count(narrow, "apt-get update"); n != 1 {
		t.Errorf("the command is there %d times", n)
	}
}

// TestDashIsNotZero: not scanned, not judged and clean are three results.
func TestDashIsNotZero(t *testing.T) {
	row := func(r plimsoll.Report, label string) string {
		for l := range strings.Lines(table(t, r, Options{})) {
			if cells := strings.Fields(l); len(cells) == 9 && cells[0] == label {
				return strings.Join(cells[1:], " ")
			}
		}
		return "absent"
	}
	none, zero := "- - - - - - - -", "0 0 0 0 0 0 0 0"
	clean := sampleReport()
	clean.Results = clean.Results[1:2]
	uncovered := sampleReport()
	uncovered.Results = uncovered.Results[1:2]
	uncovered.Results[0].Coverage = []plimsoll.Coverage{{Group: "golang", Class: plimsoll.ClassApplication, Packages: 1}}
	owned := sampleReport()
	owned.Results = owned.Results[1:2]
	owned.Results[0].Coverage = []plimsoll.Coverage{{Group: "golang in packages of debian 11", Class: plimsoll.ClassApplication, Ecosystem: "Debian:11", Packages: 1}}
	nix := sampleReport()
	nix.Results = nix.Results[1:2]
	nix.Results[0].Inventory.Packages = append(slices.Clone(nix.Results[0].Inventory.Packages), plimsoll.Package{Type: plimsoll.TypeNix, Name: "glibc"})
	nix.Results[0].Coverage = append(slices.Clone(nix.Results[0].Coverage), plimsoll.Coverage{Group: "nix", Class: plimsoll.ClassApplication, Packages: 1})
	empty := sampleReport()
	empty.Results = empty.Results[1:2]
	empty.Results[0].Inventory.Packages, empty.Results[0].Coverage = nil, nil
	failed := sampleReport()
	failed.Results = failed.Results[2:]
	for _, c := range []struct {
		what   string
		report plimsoll.Report
		system string
		app    string
	}{
		{"clean", clean, zero, zero},
		{"nobody was asked about Go, and there is nothing else", uncovered, none, none},
		{"nobody was asked about Nix's packages, which are the system here", nix, none, zero},
		{"nothing in the image", empty, none, none},
		{"the distribution was asked about what it owns", owned, zero, zero},
		{"inventory", inventoryReport(), none, none},
		{"failed", failed, "absent", "absent"},
	} {
		if got := row(c.report, "System"); got != c.system {
			t.Errorf("%s: system %q, want %q", c.what, got, c.system)
		}
		if got := row(c.report, "Application"); got != c.app {
			t.Errorf("%s: application %q, want %q", c.what, got, c.app)
		}
	}

	// The sum over both classes is clean only where both were judged.
	uncovered.Results = append(uncovered.Results, clean.Results[0])
	var overview []string
	_, rows, _ := strings.Cut(table(t, uncovered, Options{}), "All images")
	for l := range strings.Lines(rows) {
		if cells := strings.Fields(l); len(cells) == 10 && cells[0] == "tool:1" {
			overview = append(overview, strings.Join(cells[2:], " "))
		}
	}
	if len(overview) != 2 || overview[0] != none || overview[1] != zero {
		t.Errorf("all images: %q", overview)
	}
}

// TestNothingToDoIsNotClean: an empty plan says what it rests on.
func TestNothingToDoIsNotClean(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(r *plimsoll.Result)
		want   string
	}{
		{"judged", func(*plimsoll.Result) {}, "Nothing: no known vulnerability in what was judged."},
		{"nothing recognised", func(r *plimsoll.Result) { r.Inventory.Packages, r.Coverage = nil, nil }, "Unknown: no software was recognised"},
		{"nobody was asked", func(r *plimsoll.Result) {
			r.Coverage = []plimsoll.Coverage{{Group: "golang", Class: plimsoll.ClassApplication, Packages: 1}}
		}, "Unknown: nobody was asked"},
		{"a version that cannot be compared", func(r *plimsoll.Result) {
			r.Problems = append(slices.Clone(r.Problems), plimsoll.Problem{Code: plimsoll.ProblemBadVersion})
		}, "Nothing known, but not every version could be compared."},
	} {
		r := sampleReport().Results[1]
		r.Status, r.Problems = plimsoll.ScanComplete, nil
		c.change(&r)
		if got := nothingToDo(&r); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

func TestClosingLine(t *testing.T) {
	sample := sampleReport()
	sample.Generation.Sample = true
	for _, c := range []struct {
		report plimsoll.Report
		want   string
	}{
		{sampleReport(), "Advisories of 2026-11-20"},
		{sample, "SAMPLE ADVISORIES of 2026-11-20"},
		{inventoryReport(), "No advisories were asked"},
		{sampleReport(), "12 findings hidden: 9 severity, 3 without a fix."},
	} {
		lines := strings.Split(strings.TrimSpace(table(t, c.report, Options{})), "\n")
		if end := strings.Join(lines[len(lines)-2:], "\n"); !strings.Contains(end, c.want) {
			t.Errorf("ends with %q, want %q", end, c.want)
		}
	}
}

// TestColourIsNeverTheOnlySign: without its escapes the coloured table is the
// plain one.
func TestColourIsNeverTheOnlySign(t *testing.T) {
	plain := table(t, sampleReport(), Options{Width: 120})
	colored := table(t, sampleReport(), Options{Width: 120, Color: true})
	if plain == colored {
		t.Error("no colour")
	}
	if stripColors(colored) != plain {
		t.Error("colour changes the text")
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"short", 10, "short"},
		{"one two three", 8, "one two|three"},
		{"1:1.2.11.dfsg-2+deb11u2", 12, "1:1.2.11.|dfsg-2+|deb11u2"},
		{"abcdefghij", 4, "abcd|efgh|ij"},
		{"2.36-9+deb12u14", 14, "2.36-9+|deb12u14"},
		{"is in < 1.1.1n-0+deb11u6", 12, "is in <|1.1.1n-0+|deb11u6"},
		{"\u65e5\u672c\u8a9e", 4, "\u65e5\u672c|\u8a9e"},
		{"anything", 0, "anything"},
	} {
		if got := strings.Join(wrap(c.in, c.limit), "|"); got != c.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

// The steps of a project stand together, below its name.
func TestPlanByPlace(t *testing.T) {
	r := sampleReport()
	own := &r.Results[0].Plan.Own
	own.Steps = append(own.Steps[:2:2], plimsoll.Step{Package: "curl", From: "1", To: "2"}, own.Steps[0])
	own.Steps[1].Path = "srv/other"
	own.Steps[3].Package = "@babel/core"
	_, plan, _ := strings.Cut(table(t, r, Options{Width: 100}), "This image, for whoever builds it")
	at := -1
	for _, part := range []string{"In /srv/app", "@babel/traverse", "@babel/core", "In /srv/other", "lodash", "Packages of the system", "curl"} {
		i := strings.Index(plan, part)
		if i < at {
			t.Errorf("%s stands too early:\n%s", part, plan)
		}
		at = i
	}
}

// Without a terminal nothing limits the width, but for reading.
func TestTableIsReadableInAFile(t *testing.T) {
	r := sampleReport()
	for i := range r.Results[0].Inventory.Packages {
		p := &r.Results[0].Inventory.Packages[i]
		p.Licenses = strings.Fields(strings.Repeat("BSD-3-Clause GPL-2.0-or-later ", 40))
		p.Path = strings.Repeat("very/deep/", 50) + p.Path
	}
	r.Results[0].Findings = nil
	for l := range strings.Lines(table(t, r, Options{Packages: true})) {
		if w := width(l); w > 240 {
			t.Errorf("%d columns: %s", w, l)
		}
	}
	for want, list := range map[string][]string{
		"":                                       nil,
		"MIT":                                    {"MIT"},
		"MIT, BSD":                               {"MIT", "BSD"},
		"MIT, 2 more":                            {"MIT", strings.Repeat("x", 40), "BSD"},
		"Artistic-2.0, GPL-2.0-or-later, 1 more": {"Artistic-2.0", "GPL-2.0-or-later", "BSD-3-Clause"},
		strings.Repeat("x", 39) + "\u2026, 1 more": {strings.Repeat("x", 400), "BSD"},
	} {
		if got := licenceWord(list); got != want {
			t.Errorf("licenceWord(%q) = %q, want %q", list, got, want)
		}
	}
}

func TestASCII(t *testing.T) {
	r := sampleReport()
	for _, o := range []Options{{Width: 100, Packages: true}, {Width: 80, Color: true}, {}} {
		fancy := table(t, r, o)
		o.ASCII = true
		simple := table(t, r, o)
		if i := strings.IndexFunc(simple, func(r rune) bool { return r > '~' }); i >= 0 {
			t.Errorf("%+v: %q", o, simple[i:min(len(simple), i+20)])
		}
		a, b := strings.Split(fancy, "\n"), strings.Split(simple, "\n")
		for i := range a {
			if width(stripColors(a[i])) != width(stripColors(b[i])) {
				t.Errorf("not as wide:\n%s\n%s", a[i], b[i])
			}
		}
	}
}

// What is pasted into a shell is what the plan says.
func TestCommandsStayCopyable(t *testing.T) {
	for _, command := range []string{
		"apt-get update && apt-get install --yes --only-upgrade libc6 libssl3 openssl perl-base zlib1g tar gzip",
		"/opt/venv/bin/pip install --upgrade 'Django==2.2.28' 'Pillow==10.0.1' 'urllib3==1.26.18' 'idna==3.7'",
		`cd '/srv/it'\''s a long name with many words in it, so long that it is broken' && npm install a@1.0.0 b@2.0.0 c@3.0.0`,
		`cd '/back\' && npm install aaaaaaaaaaaaaaaaaaaaaaaaaa@1.0.0 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb@2.0.0`,
		"cd /a && npm update a b # brings a to 1.0.0, b to 2.0.0, and what follows is a remark of any length",
		"# one package is left out: its name, version or path is not fit for a command",
		"short",
	} {
		for _, columns := range []int{20, 40, 60, 100} {
			lines := copyable(command, columns)
			for _, l := range lines[:len(lines)-1] {
				if !strings.HasSuffix(l, ` \`) {
					t.Errorf("%q goes on without a sign", l)
				}
			}
			joined := strings.Join(lines, "\n")
			if got := strings.ReplaceAll(joined, " \\\n  ", " "); got != command {
				t.Errorf("%d columns: %q became %q", columns, command, joined)
			}
			if quotes := strings.Count(lines[0], "'"); quotes%2 != 0 && !strings.Contains(lines[0], `\'`) {
				t.Errorf("%d columns: a quoted word is broken: %q", columns, joined)
			}
		}
	}
}

func TestWords(t *testing.T) {
	running, exited, unknown := plimsoll.Container{State: "running"}, plimsoll.Container{State: "exited"}, plimsoll.Container{}
	for want, list := range map[string][]plimsoll.Container{
		"-": nil, "1 running": {running, exited, unknown}, "2 stopped": {exited, exited}, "2 unknown": {unknown, exited, unknown},
	} {
		if got := usesWord(list); got != want {
			t.Errorf("usesWord(%v) = %q, want %q", list, got, want)
		}
	}
	distribution := &plimsoll.Vulnerability{Severity: plimsoll.SeverityHigh, SeveritySource: "AlmaLinux"}
	if got, want := severityWord(distribution, []plimsoll.Reason{{Provider: "PyPA"}}), "high, as AlmaLinux says of its own build; nobody nearer rated it"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := severityWord(distribution, []plimsoll.Reason{{Provider: "AlmaLinux"}}), "high, as AlmaLinux says"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for in, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 99_940: "99.9 kB", 143_200_000: "143 MB", 999_950_000: "1.0 GB", 4_200_000_000: "4.2 GB"} {
		if got := bytesWord(in); got != want {
			t.Errorf("bytesWord(%d) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "<0.1%", 0.0004: "<0.1%", 0.073: "7.3%", 1: "100.0%", 7: "100.0%"} {
		if got := percent(in); got != want {
			t.Errorf("percent(%v) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"/bin/sh -c #(nop)  CMD [\"sh\"]":  `CMD ["sh"]`,
		"/bin/sh -c apt-get   install x":   "RUN apt-get install x",
		"RUN /bin/sh -c npm ci # buildkit": "RUN /bin/sh -c npm ci",
		"COPY . /srv # buildkit":           "COPY . /srv",
	} {
		if got := buildStep(in); got != want {
			t.Errorf("buildStep(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestPackagesOfOneSourceAreShownOnce: the binaries of a source share its
// findings; each is named, the list is not repeated.
func TestPackagesOfOneSourceAreShownOnce(t *testing.T) {
	r := sampleReport()
	r.Results = r.Results[:1]
	shop := &r.Results[0]
	for _, f := range shop.Findings[:2] {
		f.Package.Name = "libssl-dev"
		shop.Findings = append(shop.Findings, f)
	}
	different := shop.Findings[0]
	different.Package.Name = "openssl"
	shop.Findings = append(shop.Findings, different)
	got := table(t, r, Options{})
	for text, want := range map[string]int{
		"the same in libssl1.1, from source openssl": 1, "  libssl-dev ": 1, "  libssl1.1 ": 0, "  openssl ": 2, // in the plan too
		"System vulnerabilities \u00b7 Debian GNU/Linux 11 (bullseye): 7 findings in 5 packages": 1,
	} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q is there %d times, want %d:\n%s", text, n, want, got)
		}
	}
}
