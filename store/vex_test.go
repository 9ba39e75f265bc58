package store

import (
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/vex"
)

// statement makes a statement about the shop's flaw.
func statement(status plimsoll.VEXStatus, day int, products ...plimsoll.VEXProduct) plimsoll.VEXStatement {
	return plimsoll.VEXStatement{Document: "doc", Author: "Vendor", Time: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC), Vulnerabilities: []string{"GHSA-left"},
		Status: status, Justification: "vulnerable_code_not_present", Products: products}
}

func product(id string, within ...string) plimsoll.VEXProduct {
	p := plimsoll.VEXProduct{IDs: []string{id}}
	for _, w := range within {
		p.Within = append(p.Within, plimsoll.VEXProduct{IDs: []string{w}})
	}
	return p
}

func document(id string, statements ...plimsoll.VEXStatement) *vex.Document {
	for i := range statements {
		statements[i].Document, statements[i].Number = id, i+1
	}
	return &vex.Document{Format: vex.OpenVEX, ID: id, Author: "Vendor", Statements: statements}
}

func mustAddVEX(t testing.TB, s *Store, scope plimsoll.Scope, d *vex.Document) api.VEXDocument {
	t.Helper()
	added, err := s.AddVEX(t.Context(), scope, "alice", d.ID+".json", plimsoll.DigestOf([]byte(encode(d))), d)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

// A statement that handles findings acts as a decision: for the images that it
// names, also under a shared digest one repository alone (SYS-07), until it is
// removed. The finding stays in sight with what was said.
func TestSYS07StatementsActAsDecisions(t *testing.T) {
	for name, test := range map[string]struct {
		statement plimsoll.VEXStatement
		want      []string
		decision  int64 // hits
		told      int   // findings that tell of it
	}{
		"the package, everywhere":    {statement(plimsoll.VEXNotAffected, 1, product("pkg:npm/left@1")), []string{"shop/a:1 left ignored", "shop/c:1 left ignored"}, 2, 2},
		"another version":            {statement(plimsoll.VEXNotAffected, 1, product("pkg:npm/left@2")), []string{"shop/a:1 left open", "shop/c:1 left open"}, 0, 0},
		"one of two repositories":    {statement(plimsoll.VEXNotAffected, 1, product("pkg:npm/left", "pkg:oci/a?repository_url=shop/a")), []string{"shop/a:1 left open", "shop/c:1 left open"}, 1, 1},
		"an image by its ID":         {statement(plimsoll.VEXNotAffected, 1, product("pkg:npm/left", string(digestOf("image", 1)))), []string{"shop/a:1 left ignored", "shop/c:1 left open"}, 1, 1},
		"fixed in one image":         {statement(plimsoll.VEXFixed, 1, product("pkg:npm/left", string(digestOf("image", 2)))), []string{"shop/a:1 left open", "shop/c:1 left fixed"}, 1, 1},
		"fixed, nobody knows where":  {statement(plimsoll.VEXFixed, 1, product("pkg:npm/left")), []string{"shop/a:1 left open", "shop/c:1 left open"}, 0, 0},
		"under investigation":        {statement(plimsoll.VEXUnderInvestigation, 1, product("pkg:npm/left")), []string{"shop/a:1 left open", "shop/c:1 left open"}, 0, 2},
		"built into an absent thing": {statement(plimsoll.VEXNotAffected, 1, product("pkg:npm/left", "pkg:npm/absent")), []string{"shop/a:1 left open", "shop/c:1 left open"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			contract(t, func(t *testing.T, s *Store) {
				shop(t, s)
				added := mustAddVEX(t, s, plimsoll.Everything, document("doc", test.statement))
				wantStates(t, s, test.want...)
				told := 0
				if err := s.EachFinding(t.Context(), plimsoll.Everything, api.FindingFilter{States: allStates, Vulnerability: cve(1)}, func(f *api.Finding) error {
					told += len(f.VEX)
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				if told != test.told || added.Hits != test.decision {
					t.Errorf("%d findings tell of it, want %d; it handles %d, want %d", told, test.told, added.Hits, test.decision)
				}
				if err := s.RemoveVEX(t.Context(), plimsoll.Everything, "alice", added.ID); err != nil {
					t.Fatal(err)
				}
				wantStates(t, s, "shop/a:1 left open", "shop/c:1 left open")
				checkFindings(t, s)
				if page, err := s.VEXDocuments(t.Context(), plimsoll.Everything, api.List{}); err != nil || page.Total != 0 {
					t.Errorf("%v, %+v", err, page)
				}
			})
		})
	}
}

// wantStates compares the states of the shop's first flaw.
func wantStates(t *testing.T, s *Store, want ...string) {
	t.Helper()
	want = slices.Clone(want)
	for i := range want {
		want[i] = strings.Replace(want[i], " left", " "+cve(1)+" left", 1)
	}
	wantList(t, "states", list(t, s, plimsoll.Everything, api.FindingFilter{States: allStates, Vulnerability: cve(1)}), want...)
}

func TestDocuments(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		one, _, judge := shop(t, s)
		clear := statement(plimsoll.VEXNotAffected, 1, product("pkg:npm/left"))
		first := mustAddVEX(t, s, plimsoll.Everything, document("doc", clear))
		if again := mustAddVEX(t, s, plimsoll.Everything, document("doc", clear)); again.ID != first.ID {
			t.Error("the same content is a second document")
		}
		// Its decisions say where they come from and cannot be rewritten.
		page, err := s.Decisions(t.Context(), plimsoll.Everything, DecisionFilter{Document: first.ID}, api.List{})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("%v, %+v", err, page)
		}
		d := page.Items[0]
		if d.Statement == nil || d.Statement.Author != "Vendor" || d.Statement.Justification == "" || d.Author != "alice" || d.Hits != 2 || d.Statement.Products[0] != "pkg:npm/left" {
			t.Errorf("%+v of %+v", d, d.Statement)
		}
		if _, err := s.ChangeDecision(t.Context(), plimsoll.Everything, "bob", d.ID, d); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("changed: %v", err)
		}
		// An image that comes later is handled too.
		mustSync(t, s, one, fullSync(2, hostImage(1, "shop/a:1", "shop/b:1"), hostImage(3, "shop/d:1")))
		mustStore(t, s, one, reportOf(3, "3", npm("left", "1")), judge)
		wantStates(t, s, "shop/a:1 left ignored", "shop/c:1 left ignored", "shop/d:1 left ignored")
		// A newer statement that says affected wins, wherever it comes from.
		doubt := mustAddVEX(t, s, plimsoll.Everything, document("other", statement(plimsoll.VEXAffected, 2, product("pkg:npm/left", "pkg:oci/c"))))
		wantStates(t, s, "shop/a:1 left ignored", "shop/c:1 left open", "shop/d:1 left ignored")
		if err := s.RemoveVEX(t.Context(), plimsoll.Everything, "alice", doubt.ID); err != nil {
			t.Fatal(err)
		}
		wantStates(t, s, "shop/a:1 left ignored", "shop/c:1 left ignored", "shop/d:1 left ignored")
		// A decision of people is stronger; ending it brings the statement back.
		made := mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "whitelist", Vulnerability: cve(1), Remark: "known"}}})
		wantStates(t, s, "shop/a:1 left whitelisted", "shop/c:1 left whitelisted", "shop/d:1 left whitelisted")
		if err := s.RevokeDecision(t.Context(), plimsoll.Everything, "bob", made[0].ID, ""); err != nil {
			t.Fatal(err)
		}
		wantStates(t, s, "shop/a:1 left ignored", "shop/c:1 left ignored", "shop/d:1 left ignored")
		// A newer document of the same ID and author replaces it.
		mustAddVEX(t, s, plimsoll.Everything, document("doc", statement(plimsoll.VEXNotAffected, 3, product("pkg:npm/left", "pkg:oci/c"))))
		wantStates(t, s, "shop/a:1 left open", "shop/c:1 left ignored", "shop/d:1 left open")
		if page, err := s.VEXDocuments(t.Context(), plimsoll.Everything, api.List{}); err != nil || page.Total != 1 || page.Items[0].ID == first.ID {
			t.Errorf("%v, %+v", err, page)
		}
	})
}

// Whoever sees a part of the fleet adds for that part, and sees and removes no
// more than that.
func TestDocumentsHaveAScope(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		shop(t, s)
		dev, prod := plimsoll.Scope{Labels: []string{"env=dev"}}, plimsoll.Scope{Labels: []string{"env=prod"}}
		added := mustAddVEX(t, s, dev, document("doc", statement(plimsoll.VEXNotAffected, 1, product("pkg:npm/left"))))
		wantStates(t, s, "shop/a:1 left open", "shop/c:1 left ignored") // a runs on the other host too
		for _, scope := range []plimsoll.Scope{prod, {}} {
			if page, err := s.VEXDocuments(t.Context(), scope, api.List{}); err != nil || len(page.Items) != 0 || page.Total != 0 {
				t.Errorf("%v sees %v, %+v", scope, err, page)
			}
			if err := s.RemoveVEX(t.Context(), scope, "eve", added.ID); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("%v removes: %v", scope, err)
			}
		}
		if page, err := s.VEXDocuments(t.Context(), dev, api.List{}); err != nil || len(page.Items) != 1 {
			t.Errorf("%v, %+v", err, page)
		}
		if err := s.RemoveVEX(t.Context(), dev, "alice", added.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestTooManyStatements(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		d := document("doc", make([]plimsoll.VEXStatement, maxStatements+1)...)
		if _, err := s.AddVEX(t.Context(), plimsoll.Everything, "alice", "x", digestOf("document", 1), d); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
			t.Error(err)
		}
	})
}
