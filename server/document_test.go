package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The document of the API is whole: every operation says what it does, who may
// call it, what each parameter means and what comes back, and every reference
// leads somewhere.
func TestDocument(t *testing.T) {
	c := newTestConsole(t)
	a := c.do(c.client(), "GET", "/openapi.json", nil)
	if same := c.do(c.client(), "GET", "/api/v1/openapi.json", nil); a.StatusCode != http.StatusOK || string(same.body) != string(a.body) {
		t.Errorf("%d and %d, the same: %t", a.StatusCode, same.StatusCode, string(same.body) == string(a.body))
	}
	type content map[string]struct{ Schema json.RawMessage }
	type operation struct {
		OperationID, Summary, Description string
		Tags                              []string
		Security                          *[]map[string][]string
		Parameters                        []struct {
			Name, In, Description string
			Required              bool
			Schema                json.RawMessage
		}
		RequestBody *struct{ Content content }
		Responses   map[string]struct {
			Description string
			Content     content
		}
	}
	var document struct {
		OpenAPI string
		Info    struct{ Title, Version, Description string }
		Paths   map[string]map[string]operation
	}
	var whole any
	if a.decode(&document) != nil || a.decode(&whole) != nil {
		t.Fatalf("no JSON: %.200s", a.body)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1.") || document.Info.Title == "" || document.Info.Version == "" || document.Info.Description == "" {
		t.Errorf("openapi %q, %+v", document.OpenAPI, document.Info)
	}
	ids := make(map[string]bool)
	operations := 0
	for path, item := range document.Paths {
		for method, o := range item {
			operations++
			name := strings.ToUpper(method) + " " + path
			rule, ok := c.rules[name]
			if !ok {
				t.Errorf("%s has no rule", name)
			}
			if o.OperationID == "" || ids[o.OperationID] || o.Summary == "" || len(o.Tags) != 1 {
				t.Errorf("%s: %q, %q, tags %v", name, o.OperationID, o.Summary, o.Tags)
			}
			ids[o.OperationID] = true
			if open := o.Security != nil && len(*o.Security) == 0; open != (rule.need == anybody) {
				t.Errorf("%s is open to anybody: %t", name, open)
			}
			if rule.need != anybody && !strings.Contains(o.Description, "Needs the role "+string(rule.need)) {
				t.Errorf("%s does not say who may call it: %q", name, o.Description)
			}
			declared := make(map[string]bool)
			for _, p := range o.Parameters {
				if p.Description == "" || len(p.Schema) == 0 {
					t.Errorf("%s: parameter %s is not described", name, p.Name)
				}
				if p.In == "path" {
					declared[p.Name] = p.Required
				}
			}
			for _, in := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(path, -1) {
				if !declared[in[1]] {
					t.Errorf("%s: {%s} is not declared", name, in[1])
				}
			}
			good := false
			for status, r := range o.Responses {
				good = good || status[0] == '2'
				if r.Description == "" {
					t.Errorf("%s: answer %s is not described", name, status)
				}
			}
			if _, ok := o.Responses["default"].Content["application/problem+json"]; !ok || !good {
				t.Errorf("%s: answers %v", name, o.Responses)
			}
		}
	}
	if operations < 60 {
		t.Errorf("only %d operations", operations)
	}
	// Routes of the public API are all in it.
	for pattern := range c.rules {
		method, path, _ := strings.Cut(pattern, " ")
		if _, ok := document.Paths[path][strings.ToLower(method)]; !ok && strings.HasPrefix(path, "/api/") && path != "/api/v1/openapi.json" {
			t.Errorf("%s is not in the document", pattern)
		}
	}
	var walk func(at any)
	walk = func(at any) {
		switch v := at.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				to := whole
				for _, key := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					next, _ := to.(map[string]any)
					to = next[key]
				}
				if to == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(whole)
}

var rewrite = flag.Bool("update", false, "rewrite the pages' copy of the document")

// The pages are checked against the document of this console: their copy is the
// same but for the version.
func TestOpenAPIOfPages(t *testing.T) {
	c := newTestConsole(t)
	var document map[string]any
	if err := c.do(c.client(), "GET", "/openapi.json", nil).decode(&document); err != nil {
		t.Fatal(err)
	}
	document["info"].(map[string]any)["version"] = ""
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(document); err != nil {
		t.Fatal(err)
	}
	const name = "../ui/openapi.json"
	if *rewrite {
		if err := os.WriteFile(name, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want.String()); diff != "" {
		t.Errorf("the pages know another API (-theirs +ours): go test ./server -run OpenAPI -update\n%s", diff)
	}
}

// Strangers learn that a console runs and is ready, and nothing more.
func TestStrangersLearnNothing(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.join(smallFleet, 0, nil).sync(1)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
		if a := c.do(c.client(), "GET", path, nil); string(a.body) != want {
			t.Errorf("%s: %d %q", path, a.StatusCode, a.body)
		}
	}
	c.user("part", "viewer", "env=prod")
	for token, want := range map[string]int{"": 401, c.token("part", "viewer"): 403, c.admin: 200} {
		a := c.do(c.client(), "GET", "/metrics", nil, "Authorization", "Bearer "+token)
		if a.StatusCode != want || strings.Contains(string(a.body), "plimsoll_") != (want == 200) {
			t.Errorf("metrics: %d, want %d: %.200s", a.StatusCode, want, a.body)
		}
	}
	a := c.do(c.client(), "GET", "/metrics", nil, "Authorization", "Bearer "+c.admin)
	for _, line := range []string{"plimsoll_http_request_seconds_bucket{", "go_goroutines ", `plimsoll_hosts{state="online"} 1`, `plimsoll_images{state="never"} 3`, "plimsoll_store_bytes "} {
		if !slices.ContainsFunc(strings.Split(string(a.body), "\n"), func(l string) bool { return strings.HasPrefix(l, line) }) {
			t.Errorf("no metric %s", line)
		}
	}
	if strings.Contains(string(a.body), smallFleet.Host(0).Name) {
		t.Error("metrics name a host")
	}
}
