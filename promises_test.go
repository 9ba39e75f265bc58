package plimsoll_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPromises keeps docs/promises.md: what users may rely on, and the tests that
// prove it. Each is there, or the promise is open with a reason.
func TestPromises(t *testing.T) {
	var rows []struct {
		Promise, How string
		Tests        []string // "directory TestName"
		Open         string
	}
	readData(t, "docs/promises.json", &rows)
	tests := testNames(testFiles(t))
	var b strings.Builder
	b.WriteString(`# Promises

What you may rely on, and how it is proved. Written by ` + "`make docs`" + ` from docs/promises.json;
a test checks that each test exists. Tests in *italics* need root, engines, a database or a
browser; CI runs them all.

| promise | how it is proved | tests |
|---|---|---|
`)
	for _, r := range rows {
		var names []string
		for _, name := range r.Tests {
			needs, exists := tests[name]
			if !exists {
				t.Errorf("%s: there is no test %s", r.Promise, name)
			}
			if needs {
				name = "*" + name + "*"
			}
			names = append(names, name)
		}
		if (len(names) == 0) != (r.Open != "") {
			t.Errorf("%s: neither proved nor open, or both", r.Promise)
		}
		if r.Open != "" {
			names = append(names, "**open**: "+r.Open)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Promise, r.How, strings.Join(names, "<br>"))
	}
	keepDocument(t, "docs/promises.md", b.String())
}

// TestThreatModel checks what docs/threat-model.md names: whatever somebody hostile
// could do is stopped in rooms that there are, and proved by tests that there are or
// open with a reason.
func TestThreatModel(t *testing.T) {
	document, err := os.ReadFile("docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(testFiles(t))
	const header = "| could | what stops it | rooms | proof |"
	rows, inTable := 0, false
	for line := range strings.Lines(string(document)) {
		line = strings.TrimSpace(line)
		switch {
		case line == header:
			inTable = true
			continue
		case !strings.HasPrefix(line, "|"):
			inTable = false
		}
		if !inTable || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 4 {
			t.Errorf("a row of %d cells: %s", len(cells), line)
			continue
		}
		rows++
		rooms := room.FindAllStringSubmatch(cells[2], -1)
		if len(rooms) == 0 {
			t.Errorf("%s: no room", cells[0])
		}
		for _, r := range rooms {
			if info, err := os.Stat(r[1]); err != nil || !info.IsDir() {
				t.Errorf("%s: there is no room %s", cells[0], r[1])
			}
		}
		for name := range strings.SplitSeq(cells[3], "<br>") {
			if strings.HasPrefix(name, "**open**: ") {
				continue
			}
			bare := strings.Trim(name, "*")
			if of, ok := strings.CutPrefix(bare, "plimsoll "); ok {
				bare = ". " + of
			}
			needs, exists := tests[bare]
			if !exists || needs != strings.HasPrefix(name, "*") {
				t.Errorf("%s: there is no test %s, or only one that needs more, or less", cells[0], name)
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d rows were found", rows)
	}
}

var room = regexp.MustCompile("`([a-z/]+)`")
