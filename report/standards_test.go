package report

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"plimsoll"
)

// published compiles a schema of testdata/schema; the others are what it may
// refer to, by address.
func published(t *testing.T, main string, resources map[string]string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for address, file := range resources {
		f, err := os.Open("testdata/schema/" + file + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(z)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(address, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(main)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eachReport runs check on the sample, its parts and hostile variants.
func eachReport(t *testing.T, check func(t *testing.T, r plimsoll.Report)) {
	t.Run("sample", func(t *testing.T) { check(t, sampleReport()) })
	t.Run("inventory", func(t *testing.T) { check(t, inventoryReport()) })
	t.Run("empty", func(t *testing.T) { check(t, plimsoll.Report{Tool: "plimsoll 0.1.0"}) })
	for i := range sampleReport().Results {
		r := sampleReport()
		r.Results = r.Results[i : i+1]
		t.Run("single", func(t *testing.T) { check(t, r) })
	}
	for _, evil := range evilStrings(t) {
		t.Run("evil", func(t *testing.T) { check(t, evilReport(evil)) })
	}
}

func TestCycloneDXFitsThePublishedSchema(t *testing.T) {
	const base = "http://cyclonedx.org/schema/"
	s := published(t, base+"bom-1.6.schema.json", map[string]string{
		base + "bom-1.6.schema.json":  "bom-1.6.schema.json",
		base + "spdx.schema.json":     "spdx.schema.json",
		base + "jsf-0.82.schema.json": "jsf-0.82.schema.json",
	})
	eachReport(t, func(t *testing.T, r plimsoll.Report) {
		write := func(w io.Writer) error { return Write(w, CycloneDX, r, Options{}) }
		validate(t, s, write)
		var bom struct {
			Metadata     struct{ Component bomPart }
			Components   []bomPart
			Dependencies []struct {
				Ref       string
				DependsOn []string
			}
			Vulnerabilities []struct{ Affects []struct{ Ref string } }
		}
		if err := json.Unmarshal(render(t, write), &bom); err != nil {
			t.Fatal(err)
		}
		refs := make(map[string]bool)
		bom.Metadata.Component.collect(t, refs)
		for _, c := range bom.Components {
			c.collect(t, refs)
		}
		for _, d := range bom.Dependencies {
			for _, ref := range append(d.DependsOn, d.Ref) {
				if !refs[ref] {
					t.Errorf("dependency on %s, which is no component", ref)
				}
			}
		}
		affected := 0
		for _, v := range bom.Vulnerabilities {
			for _, a := range v.Affects {
				affected++
				if !refs[a.Ref] {
					t.Errorf("%s is affected and no component", a.Ref)
				}
			}
		}
		if found := len(vulnerabilities(r)); affected < found {
			t.Errorf("%d vulnerabilities, %d affected components", found, affected)
		}
	})
}

type bomPart struct {
	Ref        string `json:"bom-ref"`
	Components []bomPart
}

func (p bomPart) collect(t *testing.T, refs map[string]bool) {
	if refs[p.Ref] {
		t.Errorf("bom-ref %s is used twice", p.Ref)
	}
	refs[p.Ref] = true
	for _, c := range p.Components {
		c.collect(t, refs)
	}
}

func TestSPDXFitsThePublishedSchema(t *testing.T) {
	s := published(t, "http://spdx.org/rdf/terms/2.3", map[string]string{"http://spdx.org/rdf/terms/2.3": "spdx-schema-2.3.json"})
	eachReport(t, func(t *testing.T, r plimsoll.Report) {
		write := func(w io.Writer) error { return Write(w, SPDX, r, Options{}) }
		validate(t, s, write)
		var doc struct {
			Packages      []struct{ SPDXID string }
			Relationships []struct{ SPDXElementID, RelatedSPDXElement string }
		}
		if err := json.Unmarshal(render(t, write), &doc); err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{"SPDXRef-DOCUMENT": true}
		for _, p := range doc.Packages {
			if ids[p.SPDXID] {
				t.Errorf("%s is used twice", p.SPDXID)
			}
			ids[p.SPDXID] = true
		}
		if len(doc.Relationships) != len(doc.Packages) {
			t.Errorf("%d packages, %d relationships", len(doc.Packages), len(doc.Relationships))
		}
		for _, rel := range doc.Relationships {
			if !ids[rel.SPDXElementID] || !ids[rel.RelatedSPDXElement] {
				t.Errorf("relationship of unknown elements %v", rel)
			}
		}
	})
}

func TestSARIFFitsThePublishedSchema(t *testing.T) {
	eachReport(t, func(t *testing.T, r plimsoll.Report) {
		if len(r.Results) == 0 {
			return
		}
		out := render(t, func(w io.Writer) error { return Write(w, SARIF, r, Options{}) })
		if _, err := sarif.FromBytes(out, sarif.WithStrictValidation()); err != nil {
			t.Error(err)
		}
	})
}

func TestLicenceExpressions(t *testing.T) {
	for in, want := range map[string]bool{
		"MIT": true, "MIT OR Apache-2.0": true, "(MIT AND Zlib) OR BSD-3-Clause": true, "GPL-2.0-only WITH Classpath-exception-2.0": true,
		"": false, "BSD": false, "Apache 2.0": false, "MIT/Apache-2.0": false, "MIT OR": false, "(MIT": false, "MIT)": false, "MIT MIT": false,
		"GPL-2.0-only WITH MIT": false, "()": false, "MIT AND ()": false,
	} {
		if got := spdxExpression(in); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func TestWebLinks(t *testing.T) {
	for in, want := range map[string]string{
		"https://nvd.example/vuln?id=1#x": "https://nvd.example/vuln?id=1#x",
		"http://x.example/a b":            "http://x.example/a%20b",
		"javascript:alert(1)":             "",
		"data:text/html,x":                "",
		"//evil.example":                  "",
		"https://user:pw@evil.example":    "",
		"https://\u0435vil.example":       "",
		"https://evil.example/\u202egpj":  "https://evil.example/%E2%80%AEgpj",
		" https://x.example/\"><script>":  "https://x.example/%22%3E%3Cscript%3E",
		"https://":                        "",
		"https://x.example/\x00":          "",
	} {
		if got := webLink(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// checkCSV fails when a cell would be taken for a formula or a row is not whole.
func checkCSV(t *testing.T, out []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll() // also checks that rows are of one length
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for i, cell := range row {
			if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune("=+-@\t\r\uff1d\uff0b\uff0d\uff20", first) {
				t.Errorf("column %s starts a formula: %q", rows[0][i], cell)
			}
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, evil := range evilStrings(f) {
		f.Add(evil)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkCSV(t, render(t, func(w io.Writer) error { return Write(w, CSV, evilReport(s), Options{Packages: true}) }))
	})
}
