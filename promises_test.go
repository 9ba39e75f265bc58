package plimsoll_test

import (
	"fmt"
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
