package server

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/vex"
)

// handled names the findings that are not open, with what handles them.
func (e *exportFleet) handled(t *testing.T) (list []string) {
	t.Helper()
	if err := e.store.EachFinding(t.Context(), plimsoll.Everything, api.FindingFilter{States: handledStates}, func(f *api.Finding) error {
		list = append(list, strings.Join([]string{string(f.Digest), f.Vulnerability, f.PURL, f.Path}, " "))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// What was decided in one fleet, exported and added to another with the same
// images, handles the same findings there.
func TestVEXRoundTrip(t *testing.T) {
	for format, is := range map[string]vex.Format{"openvex": vex.OpenVEX, "cyclonedx": vex.CycloneDX} {
		t.Run(format, func(t *testing.T) {
			one, other := newExportFleet(t), newExportFleet(t)
			page, err := one.store.Findings(t.Context(), one.admin, api.FindingFilter{}, api.List{Limit: 30})
			if err != nil || len(page.Items) < 10 {
				t.Fatalf("%v, %d findings", err, len(page.Items))
			}
			for i, kind := range []plimsoll.DecisionKind{"ignore", "fixed", "whitelist"} {
				if _, err := one.store.Decide(t.Context(), one.admin, "anna", api.DecisionRequest{Kind: string(kind), Remark: "because " + string(kind), Findings: []string{page.Items[3*i].ID}}); err != nil {
					t.Fatal(err)
				}
			}
			want := one.handled(t)
			done, data := one.run(t, api.ExportRequest{Kind: "vex", Format: format}, one.admin, "anna")
			if done.State != plimsoll.TaskSucceeded || done.Rows != int64(len(want)) || len(want) < 3 {
				t.Fatalf("%+v of %d", done, len(want))
			}
			d, err := vex.Read(bytes.NewReader(data))
			if err != nil || d.Format != is || d.Author != "anna" {
				t.Fatalf("%v: %+v", err, d)
			}
			if format == "cyclonedx" {
				bom := new(cyclonedx.BOM)
				if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(bom); err != nil || bom.SpecVersion != cyclonedx.SpecVersion1_6 {
					t.Errorf("%v, %v", err, bom.SpecVersion)
				}
			}
			if _, err := other.store.AddVEX(t.Context(), other.admin, "berta", "decided", plimsoll.DigestOf(data), &d); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, other.handled(t)); diff != "" {
				t.Errorf("(-decided +added)\n%s", diff)
			}
			// Passed on once more, it says the same.
			if _, again := other.run(t, api.ExportRequest{Kind: "vex", Format: format}, other.admin, "carl"); !bytes.Contains(again, []byte("because whitelist")) {
				t.Errorf("the reason is lost: %s", again)
			}
			if _, again := one.run(t, api.ExportRequest{Kind: "vex", Format: format}, one.admin, "anna"); !bytes.Equal(data, again) {
				t.Error("the same decisions gave other bytes")
			}
		})
	}
}

// Documents are added, listed and removed through the API; what is none is
// refused, whoever asks.
func TestVEXDocumentsOverTheAPI(t *testing.T) {
	c, _, _ := newFleet(t)
	document := func(product string) string {
		return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://a.example/1","author":"Vendor","timestamp":"2026-11-01T00:00:00Z","version":1,"statements":[{"vulnerability":{"name":"CVE-2024-1"},"products":[{"@id":%q}],"status":"not_affected","justification":"component_not_present"}]}`, product)
	}
	add := func(token, content string) int {
		return c.call(token, "POST", "/vex-documents?file=vendor.json", []byte(content), nil).StatusCode
	}
	c.user("vera", plimsoll.RoleViewer)
	viewer := c.token("vera", plimsoll.RoleViewer)
	for name, test := range map[string]struct {
		token, content string
		status         int
	}{
		"by a viewer":   {viewer, document("pkg:npm/a"), http.StatusForbidden},
		"no document":   {c.admin, `{"a":1}`, http.StatusBadRequest},
		"nested deeply": {c.admin, strings.Repeat(`{"@context":`, 1000), http.StatusRequestEntityTooLarge},
		"a document":    {c.admin, document("pkg:npm/a"), http.StatusNoContent},
	} {
		if got := add(test.token, test.content); got != test.status {
			t.Errorf("%s: %d, want %d", name, got, test.status)
		}
	}
	if got := add(c.admin, document("pkg:npm/b")); got != http.StatusNoContent { // newer, of the same ID
		t.Error(got)
	}
	var page api.Page[api.VEXDocument]
	c.must(viewer, "GET", "/vex-documents", nil, &page)
	if len(page.Items) != 1 || page.Items[0].File != "vendor.json" || page.Items[0].Author != "Vendor" || page.Items[0].Format != "openvex" || page.Items[0].Decisions != 1 {
		t.Fatalf("%+v", page.Items)
	}
	var decisions api.Page[api.Decision]
	c.must(viewer, "GET", fmt.Sprintf("/decisions?document=%d", page.Items[0].ID), nil, &decisions)
	if len(decisions.Items) != 1 || decisions.Items[0].Statement.Products[0] != "pkg:npm/b" {
		t.Errorf("%+v", decisions.Items)
	}
	c.must(c.admin, "DELETE", fmt.Sprintf("/vex-documents/%d", page.Items[0].ID), nil, nil)
	c.must(viewer, "GET", "/vex-documents", nil, &page)
	if len(page.Items) != 0 {
		t.Errorf("%+v", page.Items)
	}
}
