package plimsoll_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/acceptance.md, docs/coverage.md and docs/promises.md")

// acceptance is one row of docs/acceptance.json.
type acceptance struct {
	Number, Title string
	Open          string // why no test proves it; empty when one does
}

// TestAcceptance keeps docs/acceptance.md: each acceptance case is cited by the
// name of a test or of one of its cases, or is open with a reason, never both.
func TestAcceptance(t *testing.T) {
	table, faults := acceptanceTable(readRows(t), testFiles(t))
	for _, fault := range faults {
		t.Error(fault)
	}
	keepDocument(t, "docs/acceptance.md", table)
}

func readRows(t *testing.T) (rows []acceptance) {
	t.Helper()
	readData(t, "docs/acceptance.json", &rows)
	return rows
}

// readData reads a JSON file of which every field is known.
func readData(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// testFiles returns the sources of all tests but those that write documents.
func testFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == "node_modules" || e.Name() == "testdata" || path != "." && strings.HasPrefix(e.Name(), ".")):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, "_test.go") || path == "acceptance_test.go" || path == "coverage_test.go" || path == "promises_test.go":
			return nil
		}
		files[filepath.ToSlash(path)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// keepDocument compares a document with what it must be; -update writes it.
func keepDocument(t *testing.T, document, text string) {
	t.Helper()
	if *update && !t.Failed() {
		if err := os.WriteFile(document, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if is, err := os.ReadFile(document); err != nil || string(is) != text {
		t.Errorf("%s is stale (%v): make docs", document, err)
	}
}

// What counts as a citation, and what is a fault.
func TestAcceptanceTable(t *testing.T) {
	const test = `package x
	// IMG-01 in a comment is no proof.
	func TestIMG02AndMore(t *testing.T) {}
	func TestIMG03SYS04(t *testing.T) {}
	func TestIMG051(t *testing.T) {}
	func helperIMG06() {}
	var cases = []string{"IMG-07 a case"}
	func TestCases(t *testing.T) {
		t.Run("IMG-08 and IMG-09", nil)
		t.Errorf("IMG-10 is a message: %v", "IMG-11")
		t.Skip("IMG-12")
		advisory("IMG-2026-1", "XIMG-13", "IMG-130")
	}
	func BenchmarkIMG14(b *testing.B) { b.Run("IMG-15", nil) }`
	cited := make(map[string][]string)
	if err := citations("x_test.go", []byte(test), cited); err != nil {
		t.Fatal(err)
	}
	want := "IMG-02 IMG-03 IMG-07 IMG-08 IMG-09 SYS-04"
	if got := strings.Join(slices.Sorted(maps.Keys(cited)), " "); got != want {
		t.Errorf("cited are %s, want %s", got, want)
	}
	for _, tt := range []struct {
		name  string
		rows  []acceptance
		fault string
	}{
		{"cited", []acceptance{{"IMG-02", "t", ""}}, ""},
		{"open", []acceptance{{"IMG-02", "t", ""}, {"IMG-20", "t", "why"}}, ""},
		{"neither", []acceptance{{"IMG-02", "t", ""}, {"IMG-20", "t", ""}}, "IMG-20 is neither"},
		{"both", []acceptance{{"IMG-02", "t", "why"}}, "IMG-02 is open"},
		{"twice", []acceptance{{"IMG-02", "t", ""}, {"IMG-02", "t", ""}}, "IMG-02 is there twice"},
		{"not a number", []acceptance{{"IMG-02", "t", ""}, {"IMG-2", "t", "why"}}, `"IMG-2"`},
		{"no such case", nil, "IMG-02 is cited"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := acceptanceTable(tt.rows, map[string][]byte{"x_test.go": []byte("package x\nfunc TestIMG02(t *testing.T) {}")})
			if got := strings.Join(faults, "\n"); tt.fault == "" && got != "" || !strings.Contains(got, tt.fault) {
				t.Errorf("faults %q, want %q", got, tt.fault)
			}
		})
	}
}

// acceptanceTable returns the document and what is wrong with it.
func acceptanceTable(rows []acceptance, files map[string][]byte) (document string, faults []string) {
	cited := make(map[string][]string)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := citations(path, files[path], cited); err != nil {
			faults = append(faults, err.Error())
		}
	}
	var b strings.Builder
	known := make(map[string]bool)
	open := 0
	for _, r := range rows {
		tests := cited[r.Number]
		switch {
		case !number.MatchString(r.Number) || r.Title == "":
			faults = append(faults, fmt.Sprintf("%q with title %q is no case", r.Number, r.Title))
		case known[r.Number]:
			faults = append(faults, r.Number+" is there twice")
		case len(tests) == 0 && r.Open == "":
			faults = append(faults, r.Number+" is neither cited by the name of a test or case nor open")
		case len(tests) > 0 && r.Open != "":
			faults = append(faults, fmt.Sprintf("%s is open, yet cited by %v", r.Number, tests))
		}
		known[r.Number] = true
		proof := strings.Join(tests, "<br>")
		if r.Open != "" {
			open++
			proof = "**open**: " + r.Open
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Number, r.Title, proof)
	}
	for _, n := range slices.Sorted(maps.Keys(cited)) {
		if !known[n] {
			faults = append(faults, fmt.Sprintf("%s is cited by %v, but is no case", n, cited[n]))
		}
	}
	return fmt.Sprintf(`# Acceptance cases

Written by `+"`make docs`"+` from docs/acceptance.json and the names of tests and
their cases. A test that cites a case proves something of it, not necessarily every
word of its title; a mention in a comment does not count. Tests in *italics* need
engines or reference tools (`+"`make e2e`"+`).

%d cases, %d of them open.

| case | what it is about | tests |
|---|---|---|
%s`, len(rows), open, b.String()), faults
}

var (
	systems = `(?:IMG|OS|DEB|RPM|APK|ARC|NIX|SNAP|JAR|NPM|PY|GO|RS|NET|RB|PHP|BIN|ADV|SYS)`
	number  = regexp.MustCompile(`^` + systems + `-\d\d$`)
	inText  = regexp.MustCompile(`\b` + systems + `-\d\d(?:[^-\d\w]|$)`)
	inName  = regexp.MustCompile(`^(?:Test|Fuzz)((?:` + systems + `\d\d)+)(?:\D|$)`)
	ofName  = regexp.MustCompile(`(` + systems + `)(\d\d)`)
)

// citations adds to cited the tests of a file by the cases that they cite: in
// the name of a test or fuzz target, or in a text inside one or in a table
// beside them. What a test says when it fails, logs or skips is no name.
func citations(path string, source []byte, cited map[string][]string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments)
	if err != nil {
		return err
	}
	// Constraints end where the package clause starts.
	e2e := false
	for _, group := range file.Comments {
		for _, c := range group.List {
			e2e = e2e || c.Pos() < file.Package && strings.HasPrefix(c.Text, "//go:build") && strings.Contains(c.Text, "e2e")
		}
	}
	for _, decl := range file.Decls {
		var name string
		add := func(n string) {
			test := filepath.ToSlash(filepath.Dir(path)) + " " + name
			if e2e {
				test = "*" + test + "*"
			}
			if !slices.Contains(cited[n], test) {
				cited[n] = append(cited[n], test)
			}
		}
		switch d := decl.(type) {
		case *ast.FuncDecl:
			name = d.Name.Name
			if strings.HasPrefix(name, "Benchmark") {
				continue
			}
			if m := inName.FindStringSubmatch(name); m != nil {
				for _, n := range ofName.FindAllStringSubmatch(m[1], -1) {
					add(n[1] + "-" + n[2])
				}
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			name = d.Specs[0].(*ast.ValueSpec).Names[0].Name
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && message.MatchString(s.Sel.Name) {
					return false
				}
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					for _, m := range inText.FindAllString(text, -1) {
						add(strings.TrimRight(m, " :,;.)/"))
					}
				}
			}
			return true
		})
	}
	return nil
}

var message = regexp.MustCompile(`^(Error|Fatal|Log|Skip)f?$`)
