package report

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// makeSchema derives the published schema from the document types, so that the
// two cannot drift apart.
func makeSchema(documents ...any) []byte {
	defs := make(map[string]any)
	var choices []any
	for _, d := range documents {
		choices = append(choices, schemaOf(reflect.TypeOf(d), defs))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"$id":         "urn:plimsoll:report:1",
		"title":       "Plimsoll JSON documents",
		"description": "What plimsoll scan, sbom, images, explain, vex explain and db status write as json; kind tells which. All strings that come from images and feeds are data: escape them before you show them.",
		"oneOf":       choices,
		"$defs":       defs,
	}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func schemaOf(t reflect.Type, defs map[string]any) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"oneOf": []any{schemaOf(t.Elem(), defs), map[string]any{"type": "null"}}}
	case reflect.Slice:
		return map[string]any{"type": []any{"array", "null"}, "items": schemaOf(t.Elem(), defs)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), defs)}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Struct:
	default:
		panic(t.String())
	}
	name := strings.TrimSuffix(t.Name(), "Doc")
	ref := map[string]any{"$ref": "#/$defs/" + name}
	if defs[name] != nil {
		return ref
	}
	properties := make(map[string]any)
	var required []string
	def := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	defs[name] = def
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		typ := f.Type
		if options == "" {
			required = append(required, key)
		} else if typ.Kind() == reflect.Pointer {
			typ = typ.Elem() // left out rather than null
		}
		s := schemaOf(typ, defs)
		if typ.Kind() == reflect.Slice && !nullable(name, key) {
			s["type"] = "array"
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			s["description"] = doc
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			s["enum"] = strings.Split(enum, "|")
		}
		if format := f.Tag.Get("format"); format != "" {
			s["format"] = format
		}
		properties[key] = s
	}
	slices.Sort(required)
	def["required"] = required
	return ref
}

// nullable says for which lists null means "not known" and [] "none".
func nullable(object, key string) bool {
	return object == "result" && (key == "findings" || key == "packages")
}

func TestSchemaIsThatOfTheDocuments(t *testing.T) {
	got := makeSchema(reportDoc{}, imagesDoc{}, explanationDoc{}, databaseDoc{}, vexExplanationDoc{})
	if *update {
		if err := os.WriteFile("schema.json", got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(Schema(), string(got)); diff != "" {
		t.Errorf("schema.json differs (-published +types), run the test with -update when it is meant:\n%s", diff)
	}
}

func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, write func(io.Writer) error) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(render(t, write)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v", err)
	}
}

func TestJSONFitsItsSchema(t *testing.T) {
	if *update {
		t.Skip("the schema is being written")
	}
	s := compile(t, []byte(Schema()))
	for file, write := range documents(sampleReport(), inventoryReport(), sampleImages()) {
		if strings.HasSuffix(file, ".json") {
			t.Run(file, func(t *testing.T) { validate(t, s, write) })
		}
	}
	for _, evil := range evilStrings(t) {
		r := evilReport(evil)
		validate(t, s, func(w io.Writer) error { return Write(w, JSON, r, Options{}) })
	}
}

// TestNotMatchedIsNotClean: no advisories, no match and nothing found differ.
func TestNotMatchedIsNotClean(t *testing.T) {
	findings := func(write func(io.Writer) error) string {
		var doc struct {
			Results []struct {
				Matched  bool
				Findings json.RawMessage
			}
		}
		if err := json.Unmarshal(render(t, write), &doc); err != nil {
			t.Fatal(err)
		}
		last := doc.Results[len(doc.Results)-1]
		return strings.Join([]string{map[bool]string{true: "matched", false: "not matched"}[last.Matched], string(last.Findings)}, " ")
	}
	clean := sampleReport()
	clean.Results = clean.Results[1:2]
	if got, want := findings(func(w io.Writer) error { return Write(w, JSON, clean, Options{}) }), "matched []"; got != want {
		t.Errorf("clean: %s, want %s", got, want)
	}
	if got, want := findings(func(w io.Writer) error { return Write(w, JSON, inventoryReport(), Options{}) }), "not matched null"; got != want {
		t.Errorf("inventory: %s, want %s", got, want)
	}
}
