package plimsoll_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/inventory/langpkg"
	"plimsoll/inventory/ospkg"
	"plimsoll/match"
	"plimsoll/version"
	"plimsoll/vulndb/feed"
)

// coverage is docs/coverage.json: what the code cannot say about itself.
type coverage struct {
	// Mission are the rows that were promised: releases of systems, as people write
	// them, and ecosystems by the name of a row below.
	Mission struct {
		Systems    []promise
		Ecosystems []string
		Programs   []string // without a package
	}
	Systems    map[string]proof // by the name in distributions.json
	Analyzers  map[string]reads
	Ecosystems []ecosystem
	// Sources are the kinds of sources that are bound to no system: what the
	// ecosystems begin with that they speak about, "" for all.
	Sources map[string]string
}

type promise struct {
	Row      string
	Releases []string
}

// proof is what shows that a row works.
type proof struct {
	With  string   // the image, database or records
	Tests []string // "directory TestName"
	Open  string   // why the row is not done
}

type reads struct {
	Paths []string // examples of what it reads
	proof
}

type ecosystem struct {
	Name      string
	Types     []plimsoll.PackageType
	Analyzers []string
	proof
}

// distribution is what is shown of a row of distributions.json.
type distribution struct {
	IDs           []string
	Name          string
	Type          plimsoll.PackageType
	Scheme        string
	Release       string
	Spelled       []string
	Ecosystems    []string
	LTSEcosystems []string
	EndOfLife     map[string]string
	As            string
}

// TestCoverage keeps docs/coverage.md: every distribution, analyser and ecosystem
// of the code has its row, and every test that is named there exists.
func TestCoverage(t *testing.T) {
	var data coverage
	readData(t, "docs/coverage.json", &data)
	c := covering{data: data, tests: testNames(testFiles(t))}
	c.readDistributions(t)
	document := c.document(readRows(t))
	for _, fault := range c.faults {
		t.Error(fault)
	}
	keepDocument(t, "docs/coverage.md", document)
}

// covering makes the document and collects what is wrong with it.
type covering struct {
	data          coverage
	distributions []distribution
	tests         map[string]bool // that exist; true: they need engines or tools
	faults        []string
}

func (c *covering) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *covering) readDistributions(t *testing.T) {
	t.Helper()
	var rows []struct {
		distribution
		Variant, Like, Development string
		Codenames                  map[string]string
		Nearly, LTS                []string
		Exceptions                 map[string][]string
		AsRelease                  map[string]string
	}
	readData(t, "distributions.json", &rows)
	for _, r := range rows {
		c.distributions = append(c.distributions, r.distribution)
	}
}

// testNames returns the tests of all packages as "directory TestName".
func testNames(files map[string][]byte) map[string]bool {
	names := make(map[string]bool)
	for path, source := range files {
		head, _, _ := strings.Cut(string(source), "\npackage ")
		for _, m := range testName.FindAllSubmatch(source, -1) {
			names[filepath.ToSlash(filepath.Dir(path))+" "+string(m[1])] = strings.Contains(head, "//go:build e2e")
		}
	}
	return names
}

var testName = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

func (c *covering) document(rows []acceptance) string {
	return fmt.Sprintf(`# What is covered

Written by `+"`make docs`"+` from distributions.json, the analysers, the kinds of sources
and what is asked about each type of package; docs/coverage.json adds the tests that prove
a row. **works** means that a test named in the row finds the packages or judges them by
published records; **inventory only** that the packages are listed and reported as not
covered, never as clean; **open** that no test has an image, a package database or a record
of the system, although identity, format and order of versions are there. Tests in
*italics* need engines or reference tools (`+"`make e2e`"+`).

## Systems

Advisories of "OSV" come with the exports. Sources are bound to a release by
[configuration](advisories.md#further-sources).

| system | packages, order | advisories of OSV | sources that can be named | end of life | proof | state |
|---|---|---|---|---|---|---|
%s
## Promised releases

The systems of the mission, and who is asked about each release.

| row | release | asked without further configuration | end of life |
|---|---|---|---|
%s
## Package databases and installed software

| analyser | reads, for example | proof |
|---|---|---|
%s
## Ecosystems

| ecosystem | purl types | analysers | order | asked | proof | state |
|---|---|---|---|---|---|---|
%s
Programs without a package: %s.

## Without dates of the end of life

distributions.json has no dates for these systems, so an image of them is never called
ended: %s.

## Acceptance cases that are not done

%s`, c.systems(), c.promised(), c.analyzers(), c.ecosystems(), c.programs(), c.endless(), c.open(rows))
}

func (c *covering) systems() string {
	var b strings.Builder
	left := maps.Clone(c.data.Systems)
	for _, d := range c.distributions {
		p := left[d.Name]
		delete(left, d.Name)
		asked, of := d, ""
		if d.As != "" {
			asked, of = c.base(d), " (assumed)"
		}
		osv := slices.Concat(asked.LTSEcosystems, asked.Ecosystems)
		kinds := c.kinds(d, osv)
		end := "no"
		if n := len(d.EndOfLife); n > 0 {
			end = fmt.Sprintf("%d releases", n)
		} else if d.As != "" {
			end = "of " + asked.Name
		} else if d.Release == "none" {
			end = "rolling"
		}
		state := ""
		switch {
		case len(osv) > 0:
		case slices.Equal(kinds, c.everywhere()):
			state = "inventory only, unless you have records of your own"
		default:
			state = "inventory only, until a source is named"
		}
		if p.Open == "" && len(p.Tests) == 0 {
			p.Open = "not tested"
		}
		switch {
		case p.Open != "" && state != "":
			state = "**open**: " + p.Open + "; " + state
		case p.Open != "":
			state = "**open**: " + p.Open
		case state == "":
			state = "works" + of
		}
		fmt.Fprintf(&b, "| %s | %s, %s | %s | %s | %s | %s | %s |\n", d.Name, d.Type, d.Scheme,
			cmp.Or(first(osv, 2), "none")+of, strings.Join(kinds, ", "), end, c.proven(d.Name, p), state)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		c.fault("%s is no distribution", name)
	}
	return b.String()
}

func (c *covering) base(d distribution) distribution {
	for _, b := range c.distributions {
		if slices.Contains(b.IDs, d.As) {
			return b
		}
	}
	return distribution{}
}

// kinds returns the kinds of sources that a release of the distribution can be
// given, as the code takes them, and those that speak about its ecosystems.
func (c *covering) kinds(d distribution, osv []string) []string {
	claim := strings.ReplaceAll(d.Name, " ", "-")
	switch {
	case len(d.Spelled) > 0:
		claim += ":" + strings.ReplaceAll(d.Spelled[0], "#", "1")
	case d.Release == "minor":
		claim += ":1.0"
	case d.Release != "none":
		claim += ":1"
	}
	var list []string
	for _, kind := range feed.Kinds() {
		if prefix, unbound := c.data.Sources[kind]; unbound {
			if prefix == "" || slices.ContainsFunc(osv, func(e string) bool { return strings.HasPrefix(e, prefix) }) {
				list = append(list, kind)
			}
			if _, err := feed.ParseSource(kind + "=x"); err != nil {
				c.fault("%s: %v", kind, err)
			}
		} else if _, err := feed.ParseSource(kind + "@" + claim + "=x"); err == nil {
			list = append(list, kind)
		} else if _, err := feed.ParseSource(kind + "@rhel:9=x"); err != nil {
			if _, err := feed.ParseSource(kind + "@alpine:3.20=x"); err != nil {
				c.fault("%s can be bound to no system: say what it speaks about", kind)
			}
		}
	}
	return list
}

// everywhere are the kinds that speak about anything.
func (c *covering) everywhere() []string {
	var list []string
	for kind, prefix := range c.data.Sources {
		if prefix == "" {
			list = append(list, kind)
		}
	}
	return list
}

func (c *covering) promised() string {
	var b strings.Builder
	for _, p := range c.data.Mission.Systems {
		for _, claim := range p.Releases {
			os, err := plimsoll.ParseOS(claim, "")
			d, _ := os.Distribution()
			if err != nil {
				c.fault("%s of %s: %v", claim, p.Row, err)
				continue
			}
			if i := slices.IndexFunc(c.distributions, func(r distribution) bool { return r.Name == d.Name }); len(c.data.Systems[c.distributions[i].Name].Tests) == 0 {
				c.fault("no test proves %s, which is promised", d.Name)
			}
			asked := "nobody: inventory only, until a source is named for `" + d.Bound() + "`"
			if len(d.Ecosystems) > 0 {
				asked = first(d.Ecosystems, 2)
			}
			if d.Assumed {
				asked += " (assumed)"
			}
			end := "no date"
			if !d.EndOfLife.IsZero() {
				end = d.EndOfLife.Format("2006-01-02")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.Row, claim, asked, end)
		}
	}
	return b.String()
}

func (c *covering) analyzers() string {
	var b strings.Builder
	left := maps.Clone(c.data.Analyzers)
	all := slices.Concat(ospkg.Analyzers(), langpkg.Analyzers())
	for _, a := range all {
		r := left[a.Name()]
		delete(left, a.Name())
		if len(r.Paths) == 0 || len(r.Tests) == 0 {
			c.fault("analyser %s has no example or no test", a.Name())
		}
		var paths []string
		for _, path := range r.Paths {
			if a.Wants(path) == inventory.No {
				c.fault("analyser %s does not read %s", a.Name(), path)
			}
			paths = append(paths, "`"+path+"`")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", a.Name(), strings.Join(paths, "<br>"), c.proven(a.Name(), r.proof))
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		c.fault("%s is no analyser", name)
	}
	return b.String()
}

func (c *covering) ecosystems() string {
	var b strings.Builder
	asked := match.Ecosystems()
	left := make(map[plimsoll.PackageType]bool)
	for _, t := range packageTypes() {
		left[t] = !t.System()
	}
	for t := range asked {
		left[t] = true
	}
	names := make(map[string]bool)
	for _, e := range c.data.Ecosystems {
		names[e.Name] = true
		var types, orders, who []string
		state := "inventory only: nobody publishes advisories"
		for _, t := range e.Types {
			if !left[t] {
				c.fault("%s: %s is no type of packages, or has a row already", e.Name, t)
			}
			delete(left, t)
			types = append(types, string(t))
			if name := asked[t]; name != "" {
				scheme, ok := version.ForEcosystem(name)
				if !ok {
					c.fault("%s has no order of versions", name)
				}
				who, orders, state = append(who, name), append(orders, string(scheme)), "works"
				if prefix := c.data.Sources["nvd"]; name == prefix {
					state = "works when `nvd` is named as a source, otherwise inventory only"
				}
			}
		}
		for _, a := range e.Analyzers {
			if _, ok := c.data.Analyzers[a]; !ok {
				c.fault("%s: there is no analyser %s", e.Name, a)
			}
		}
		if len(e.Tests) == 0 && e.Open == "" {
			c.fault("%s is neither proven nor open", e.Name)
		}
		if e.Open != "" {
			state = "**open**: " + e.Open
		}
		slices.Sort(orders)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", e.Name, strings.Join(types, ", "), strings.Join(e.Analyzers, ", "),
			cmp.Or(strings.Join(slices.Compact(orders), ", "), "none"), cmp.Or(strings.Join(who, ", "), "nobody"), c.proven(e.Name, e.proof), state)
	}
	for _, t := range slices.Sorted(maps.Keys(left)) {
		if left[t] {
			c.fault("packages of type %s have no row", t)
		}
	}
	for _, name := range c.data.Mission.Ecosystems {
		if !names[name] {
			c.fault("%s is promised and has no row", name)
		}
	}
	return b.String()
}

// packageTypes are the types that inventory.go names.
func packageTypes() []plimsoll.PackageType {
	source, _ := os.ReadFile("inventory.go")
	var types []plimsoll.PackageType
	for _, m := range typeName.FindAllSubmatch(source, -1) {
		types = append(types, plimsoll.PackageType(m[1]))
	}
	return types
}

var typeName = regexp.MustCompile(`Type\w+\s+PackageType = "(\w+)"`)

// programs are those that the analysers of programs give a name.
func (c *covering) programs() string {
	var source []byte
	for _, name := range [...]string{"wellknown.go", "jdk.go", "longtail.go"} {
		text, _ := os.ReadFile(filepath.Join("inventory", "langpkg", name))
		source = append(source, text...)
	}
	for _, p := range c.data.Mission.Programs {
		if !strings.Contains(string(source), strconv.Quote(p)) {
			c.fault("program %s is promised, and nothing recognises it", p)
		}
	}
	names := slices.Clone(c.data.Mission.Programs)
	for _, m := range programName.FindAllSubmatch(source, -1) {
		names = append(names, string(m[1]))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

var programName = regexp.MustCompile(`name: "(\w+)"`)

func (c *covering) endless() string {
	var names []string
	for _, d := range c.distributions {
		if len(d.EndOfLife) == 0 && d.As == "" && d.Release != "none" {
			names = append(names, d.Name)
		}
	}
	return strings.Join(names, ", ")
}

func (c *covering) open(rows []acceptance) string {
	var b strings.Builder
	for _, r := range rows {
		if r.Open != "" {
			fmt.Fprintf(&b, "- **%s** %s. %s\n", r.Number, r.Title, r.Open)
		}
	}
	return cmp.Or(b.String(), "None.\n")
}

// proven writes a proof and checks that its tests exist.
func (c *covering) proven(row string, p proof) string {
	var list []string
	if p.With != "" {
		list = append(list, p.With)
	}
	for _, name := range p.Tests {
		e2e, exists := c.tests[name]
		if !exists {
			c.fault("%s is to be proven by %q, which is no test", row, name)
		}
		if e2e {
			name = "*" + name + "*"
		}
		list = append(list, name)
	}
	return cmp.Or(strings.Join(list, "<br>"), "none")
}

func first(list []string, n int) string {
	text := strings.Join(list[:min(n, len(list))], ", ")
	if more := len(list) - n; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// What counts as a fault: a row that nobody proves, and words about nothing.
func TestCoverageFaults(t *testing.T) {
	tests := testNames(testFiles(t))
	for _, tt := range []struct {
		name, fault string
		change      func(c *covering)
	}{
		{"nothing", "", func(*covering) {}},
		{"an analyser without a row", "analyser apk has no example", func(c *covering) { delete(c.data.Analyzers, "apk") }},
		{"a row without an analyser", "zypper is no analyser", func(c *covering) { c.data.Analyzers["zypper"] = reads{} }},
		{"a file that nobody reads", "analyser apk does not read etc/passwd", func(c *covering) {
			c.data.Analyzers["apk"] = reads{Paths: []string{"etc/passwd"}, proof: c.data.Analyzers["apk"].proof}
		}},
		{"a test that does not exist", `"match TestNothing"`, func(c *covering) { c.data.Ecosystems[0].Tests = []string{"match TestNothing"} }},
		{"an ecosystem without a row", "packages of type maven have no row", func(c *covering) { c.data.Ecosystems = c.data.Ecosystems[1:] }},
		{"a promised system that nothing proves", "no test proves Mageia", func(c *covering) { delete(c.data.Systems, "Mageia") }},
		{"a promised release that is not known", "acme:1 of Debian", func(c *covering) { c.data.Mission.Systems[0].Releases[0] = "acme:1" }},
		{"a promised ecosystem without a row", "Zig is promised", func(c *covering) { c.data.Mission.Ecosystems[0] = "Zig" }},
		{"a promised program that nothing recognises", "program gopher", func(c *covering) { c.data.Mission.Programs[0] = "gopher" }},
		{"a system that is none", "Templix is no distribution", func(c *covering) { c.data.Systems["Templix"] = proof{} }},
		{"a kind of sources without a system", "nvd can be bound to no system", func(c *covering) { delete(c.data.Sources, "nvd") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c covering
			readData(t, "docs/coverage.json", &c.data)
			c.tests = tests
			c.readDistributions(t)
			tt.change(&c)
			c.document(nil)
			if got := strings.Join(c.faults, "\n"); tt.fault == "" && got != "" || !strings.Contains(got, tt.fault) {
				t.Errorf("faults %q, want %q", got, tt.fault)
			}
		})
	}
}
