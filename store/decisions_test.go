package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// idsOf returns the IDs of the findings that a filter finds.
func idsOf(t testing.TB, s *Store, f api.FindingFilter) (ids []string) {
	t.Helper()
	if err := s.EachFinding(t.Context(), plimsoll.Everything, f, func(f *api.Finding) error {
		ids = append(ids, f.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// shop is a fleet of two hosts: an image that two repositories name, on both,
// and one more on the second.
func shop(t testing.TB, s *Store) (one, two int64, judge *testJudge) {
	one, two = joinHost(t, s, "one", "env=prod"), joinHost(t, s, "two", "env=dev")
	mustSync(t, s, one, fullSync(1, hostImage(1, "shop/a:1", "shop/b:1")))
	mustSync(t, s, two, fullSync(1, hostImage(1, "shop/a:1", "shop/b:1"), hostImage(2, "shop/c:1")))
	judge = &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, "2"), newFlaw(2, "left", plimsoll.SeverityLow, "")}}
	judge.flaws[0].Aliases = []string{"GHSA-left"}
	mustActivate(t, s, judge)
	mustStore(t, s, one, reportOf(1, "1", npm("left", "1")), judge)
	mustStore(t, s, two, reportOf(2, "2", npm("left", "1")), judge)
	return one, two, judge
}

// SYS-07: an exception on image A does not affect image B that shares the digest,
// unless it is scoped so.
func TestSYS07TwoRepositoriesShareADigest(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		shop(t, s)
		ofA := api.FindingFilter{Repository: "shop/a", Vulnerability: cve(1)}
		made := mustDecide(t, s, api.DecisionRequest{Filter: &ofA, Kind: "whitelist", Remark: "not reachable"})
		if len(made) != 1 || !slices.Equal(made[0].Repositories, []string{"shop/a"}) || made[0].Hits != 1 {
			t.Errorf("made %+v", made)
		}
		wantList(t, "as a whole it is open: b shows it still", list(t, s, plimsoll.Everything, api.FindingFilter{States: allStates, Vulnerability: cve(1)}),
			"shop/a:1 "+cve(1)+" left open", "shop/c:1 "+cve(1)+" left open")
		wantList(t, "of a", list(t, s, plimsoll.Everything, api.FindingFilter{States: allStates, Vulnerability: cve(1), Repository: "shop/a"}), "shop/a:1 "+cve(1)+" left whitelisted")
		wantList(t, "of b", list(t, s, plimsoll.Everything, api.FindingFilter{Vulnerability: cve(1), Repository: "shop/b"}), "shop/a:1 "+cve(1)+" left open")
		checkFindings(t, s)
		// With b's, too, nothing is left.
		ofB := api.DecisionRequest{Rules: []api.Decision{{Kind: "ignore", Vulnerability: cve(1), Repositories: []string{"shop/b"}, Remark: "nor here"}}}
		if p, err := s.Preview(t.Context(), plimsoll.Everything, ofB); err != nil || p.Findings != 1 {
			t.Errorf("b's would complete a's: %v, %+v", err, p)
		}
		mustDecide(t, s, ofB)
		wantList(t, "both are handled, the weaker says how", list(t, s, plimsoll.Everything, api.FindingFilter{States: allStates, Vulnerability: cve(1)}),
			"shop/a:1 "+cve(1)+" left ignored", "shop/c:1 "+cve(1)+" left open")
		checkFindings(t, s)
		wantList(t, "filtered by state", list(t, s, plimsoll.Everything, api.FindingFilter{States: []string{"ignored"}}), "shop/a:1 "+cve(1)+" left ignored")
		wantList(t, "no others are ignored", list(t, s, plimsoll.Everything, api.FindingFilter{States: []string{"whitelisted"}}))
	})
}

// Decisions survive a rebuilt image with a new digest and tag; "fixed" does not:
// the rebuilt image shows the flaw again.
func TestDecisionsSurviveARebuild(t *testing.T) {
	for kind, want := range map[plimsoll.DecisionKind]plimsoll.FindingState{plimsoll.DecisionWhitelist: plimsoll.FindingWhitelisted,
		plimsoll.DecisionIgnore: plimsoll.FindingIgnored, plimsoll.DecisionFixed: plimsoll.FindingOpen} {
		t.Run(string(kind), func(t *testing.T) {
			contract(t, func(t *testing.T, s *Store) {
				_, two, judge := shop(t, s)
				mustDecide(t, s, api.DecisionRequest{Findings: idsOf(t, s, api.FindingFilter{Vulnerability: cve(1)}), Kind: string(kind), Remark: "seen"})
				wantList(t, "decided", list(t, s, plimsoll.Everything, api.FindingFilter{}), "shop/a:1 "+cve(2)+" left open", "shop/c:1 "+cve(2)+" left open")
				pass(s, time.Hour)
				mustSync(t, s, two, fullSync(2, hostImage(1, "shop/a:1", "shop/b:1"), hostImage(3, "shop/c:2")))
				mustStore(t, s, two, reportOf(3, "3", npm("left", "1.5"), deb("other", "1")), judge)
				wantList(t, "rebuilt", list(t, s, plimsoll.Everything, api.FindingFilter{Image: imageNumber(t, s, plimsoll.Everything, 3).ID, States: allStates, Vulnerability: cve(1)}),
					"shop/c:2 "+cve(1)+" left "+string(want))
				checkFindings(t, s)
			})
		})
	}
}

func TestDecisionsEnd(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		_, _, judge := shop(t, s)
		left := func(n int) []string { return list(t, s, plimsoll.Everything, api.FindingFilter{Vulnerability: cve(n)}) }
		both := func(n int) []string {
			return []string{"shop/a:1 " + cve(n) + " left open", "shop/c:1 " + cve(n) + " left open"}
		}

		tomorrow := testStart.Add(day)
		made := mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "whitelist", Vulnerability: "ghsa-LEFT", Remark: "by another name", Expires: &tomorrow}}})
		wantList(t, "a decision on an alias fits", left(1))
		checkFindings(t, s)
		pass(s, day)
		if n, err := s.ExpireDecisions(t.Context()); n != 1 || err != nil {
			t.Errorf("expired %d, %v", n, err)
		}
		if n, err := s.ExpireDecisions(t.Context()); n != 0 || err != nil {
			t.Errorf("expired twice: %d, %v", n, err)
		}
		wantList(t, "expired", left(1), both(1)...)
		checkFindings(t, s)
		if d, err := s.Decision(t.Context(), plimsoll.Everything, made[0].ID); err != nil || d.State != "expired" || d.Hits != 0 {
			t.Errorf("decision: %v, %+v", err, d)
		}

		made = mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "ignore", Package: "le*", UntilFix: true, Remark: "until there is a fix"}}})
		wantList(t, "flaw 1 has a fix", left(1), both(1)...)
		wantList(t, "flaw 2 has none", left(2))
		next := &testJudge{generation: 2, flaws: slices.Clone(judge.flaws)}
		next.flaws[1] = newFlaw(2, "left", plimsoll.SeverityLow, "3")
		mustEvaluate(t, s, next)
		wantList(t, "now it has", left(2), both(2)...)
		checkFindings(t, s)

		changed := api.Decision{Kind: "fixed", Package: "left", Repositories: []string{"shop/c"}, Remark: "patched by hand"}
		if d, err := s.ChangeDecision(t.Context(), plimsoll.Everything, "bob", made[0].ID, changed); err != nil || d.Hits != 2 || d.Kind != "fixed" || d.Author != "ann" {
			t.Errorf("changed: %v, %+v", err, d)
		}
		wantList(t, "changed", left(1), both(1)[0])
		if err := s.RevokeDecision(t.Context(), plimsoll.Everything, "bob", made[0].ID, "it was not"); err != nil {
			t.Error(err)
		}
		wantList(t, "revoked", left(1), both(1)...)
		checkFindings(t, s)
		if err := s.RevokeDecision(t.Context(), plimsoll.Everything, "bob", made[0].ID, ""); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("revoked twice: %v", err)
		}
		events, err := s.FindingHistory(t.Context(), plimsoll.Everything, idsOf(t, s, api.FindingFilter{Vulnerability: cve(1), Repository: "shop/c"})[0])
		if err != nil {
			t.Fatal(err)
		}
		var history []string
		for _, e := range events {
			history = append(history, fmt.Sprintf("%s %s %s %d", e.User, e.Action, e.Remark, e.Findings))
		}
		want := []string{"bob revoked it was not 0", "bob changed patched by hand 2", "ann created until there is a fix 2", " expired by another name 0", "ann created by another name 2"}
		if !slices.Equal(history, want) {
			t.Errorf("history\n got %q\nwant %q", history, want)
		}
		for want, f := range map[string]DecisionEventFilter{
			"bob revoked, bob changed, ann created": {Decision: made[0].ID},
			" expired, ann created":                 {Vuln: cve(1)}, // the decision names it GHSA-left
			"":                                      {Vuln: cve(2)},
			"bob revoked, bob changed":              {User: "bob"},
			"ann created, ann created":              {Action: "created"},
			"ann created":                           {Action: "created", Vuln: " ghsa-left", User: "ann"},
		} {
			page, err := s.DecisionEvents(t.Context(), plimsoll.Everything, f, api.List{})
			var got []string
			for _, e := range page.Items {
				got = append(got, e.User+" "+e.Action)
			}
			if err != nil || strings.Join(got, ", ") != want {
				t.Errorf("%+v: %v, %q, want %q", f, err, got, want)
			}
		}
	})
}

// What a preview says is what the decision does.
func TestPreviewIsTheEffect(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		shop(t, s)
		requests := map[string]api.DecisionRequest{
			"filter":    {Filter: &api.FindingFilter{Package: "left"}, Kind: "whitelist", Remark: "r"},
			"all":       {All: true, Kind: "whitelist", Remark: "r"},
			"finding":   {Findings: idsOf(t, s, api.FindingFilter{Vulnerability: cve(2)})[:1], Kind: "ignore", Remark: "r"},
			"rule":      {Rules: []api.Decision{{Kind: "ignore", Repositories: []string{"shop/*"}, Remark: "r"}}},
			"one tag":   {Rules: []api.Decision{{Kind: "ignore", Repositories: []string{"shop/c:1"}, Remark: "r"}}},
			"no tag":    {Rules: []api.Decision{{Kind: "ignore", Repositories: []string{"shop/c:2"}, Remark: "r"}}},
			"a label":   {Rules: []api.Decision{{Kind: "ignore", Labels: []string{"env=dev"}, Remark: "r"}}},
			"an image":  {Rules: []api.Decision{{Kind: "fixed", ImageIDs: []plimsoll.Digest{digestOf("image", 1)}, Remark: "r"}}},
			"a path":    {Rules: []api.Decision{{Kind: "fixed", Path: "app/*", Remark: "r"}}},
			"a type":    {Rules: []api.Decision{{Kind: "fixed", PackageType: "deb", Remark: "r"}}},
			"a flaw":    {Rules: []api.Decision{{Kind: "fixed", Vulnerability: cve(1), Remark: "r"}}},
			"a package": {Rules: []api.Decision{{Kind: "fixed", Package: "left", Remark: "r"}}},
			"two ways":  {Rules: []api.Decision{{Kind: "fixed", Package: "left", Repositories: []string{"shop/a"}, Remark: "r"}, {Kind: "ignore", Vulnerability: cve(1), Repositories: []string{"shop/b"}, Remark: "r"}}},
		}
		wantFindings := map[string]int64{"all": 4, "filter": 4, "finding": 1, "rule": 4, "one tag": 2, "no tag": 0, "a label": 2, "an image": 2, "a path": 4, "a type": 0, "a flaw": 2, "a package": 4, "two ways": 1}
		for _, name := range sortedKeys(requests) {
			before := list(t, s, plimsoll.Everything, api.FindingFilter{})
			p, err := s.Preview(t.Context(), plimsoll.Everything, requests[name])
			if err != nil {
				t.Fatal(name, err)
			}
			if wide, err := s.preview(t.Context(), plimsoll.Everything, requests[name], 0); err != nil || !cmp.Equal(wide, p) {
				t.Errorf("%s: as if the images were many: %v %s", name, err, cmp.Diff(p, wide))
			}
			if now := list(t, s, plimsoll.Everything, api.FindingFilter{}); !slices.Equal(now, before) {
				t.Errorf("%s: the preview changed the findings: %q", name, now)
			}
			made := mustDecide(t, s, requests[name])
			after := list(t, s, plimsoll.Everything, api.FindingFilter{})
			if effect := int64(len(before) - len(after)); p.Findings != effect || effect != wantFindings[name] || p.Rules != len(made) || len(p.Sample) != int(effect) {
				t.Errorf("%s: preview %+v, effect %d, want %d", name, p, effect, wantFindings[name])
			}
			checkFindings(t, s)
			for _, d := range made {
				if err := s.RevokeDecision(t.Context(), plimsoll.Everything, "ann", d.ID, ""); err != nil {
					t.Error(err)
				}
			}
			wantList(t, name+" taken back", list(t, s, plimsoll.Everything, api.FindingFilter{}), before...)
			checkFindings(t, s)
		}
	})
}

func TestRefusedDecisions(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		shop(t, s)
		yesterday := testStart.Add(-day)
		good := api.Decision{Kind: "ignore", Vulnerability: cve(1), Remark: "r"}
		with := func(f func(*api.Decision)) api.DecisionRequest {
			d := good
			f(&d)
			return api.DecisionRequest{Rules: []api.Decision{d}}
		}
		prod := plimsoll.Scope{Labels: []string{"env=prod"}}
		tests := map[string]struct {
			request api.DecisionRequest
			scope   plimsoll.Scope
			code    plimsoll.Code
		}{
			"nothing":            {api.DecisionRequest{}, plimsoll.Everything, plimsoll.CodeInvalid},
			"two ways":           {api.DecisionRequest{Findings: []string{"1-1"}, Filter: &api.FindingFilter{}, Kind: "ignore", Remark: "r"}, plimsoll.Everything, plimsoll.CodeInvalid},
			"no remark":          {with(func(d *api.Decision) { d.Remark = " " }), plimsoll.Everything, plimsoll.CodeInvalid},
			"no kind":            {with(func(d *api.Decision) { d.Kind = "" }), plimsoll.Everything, plimsoll.CodeInvalid},
			"no condition":       {with(func(d *api.Decision) { d.Vulnerability = "" }), plimsoll.Everything, plimsoll.CodeInvalid},
			"over already":       {with(func(d *api.Decision) { d.Expires = &yesterday }), plimsoll.Everything, plimsoll.CodeInvalid},
			"bad label":          {with(func(d *api.Decision) { d.Labels = []string{"prod"} }), plimsoll.Everything, plimsoll.CodeInvalid},
			"bad digest":         {with(func(d *api.Decision) { d.ImageIDs = []plimsoll.Digest{"x"} }), plimsoll.Everything, plimsoll.CodeInvalid},
			"zero byte":          {with(func(d *api.Decision) { d.Package = "\x00" }), plimsoll.Everything, plimsoll.CodeInvalid},
			"beyond the scope":   {with(func(d *api.Decision) { d.Labels = []string{"env=dev"} }), prod, plimsoll.CodeInvalid},
			"no finding":         {api.DecisionRequest{Findings: []string{"9-9"}, Kind: "ignore", Remark: "r"}, plimsoll.Everything, plimsoll.CodeNotFound},
			"no finding's ID":    {api.DecisionRequest{Findings: []string{"x"}, Kind: "ignore", Remark: "r"}, plimsoll.Everything, plimsoll.CodeNotFound},
			"finding not seen":   {api.DecisionRequest{Findings: idsOf(t, s, api.FindingFilter{Repository: "shop/c"}), Kind: "ignore", Remark: "r"}, prod, plimsoll.CodeNotFound},
			"more than 1000":     {api.DecisionRequest{Rules: slices.Repeat([]api.Decision{good}, 1001)}, plimsoll.Everything, plimsoll.CodeLimit},
			"long remark":        {with(func(d *api.Decision) { d.Remark = strings.Repeat("x", 3000) }), plimsoll.Everything, plimsoll.CodeInvalid},
			"nothing in sight":   {with(func(d *api.Decision) {}), plimsoll.Scope{}, plimsoll.CodeInvalid},
			"no kind for filter": {api.DecisionRequest{Filter: &api.FindingFilter{Package: "left"}, Remark: "r"}, plimsoll.Everything, plimsoll.CodeInvalid},
			"empty filter":       {api.DecisionRequest{Filter: &api.FindingFilter{}, Kind: "ignore", Remark: "r"}, plimsoll.Everything, plimsoll.CodeInvalid},
			"states alone":       {api.DecisionRequest{Filter: &api.FindingFilter{States: []string{"open"}}, Kind: "ignore", Remark: "r"}, plimsoll.Everything, plimsoll.CodeInvalid},
			"empty lists":        {api.DecisionRequest{Filter: &api.FindingFilter{IDs: []string{}, Severities: []string{}}, Kind: "ignore", Remark: "r"}, plimsoll.Everything, plimsoll.CodeInvalid},
			"a filter and all":   {api.DecisionRequest{Filter: &api.FindingFilter{Package: "left"}, All: true, Kind: "ignore", Remark: "r"}, plimsoll.Everything, plimsoll.CodeInvalid},
		}
		for name, test := range tests {
			if _, err := s.Decide(t.Context(), test.scope, "ann", test.request); plimsoll.CodeOf(err) != test.code {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := s.Preview(t.Context(), test.scope, test.request); plimsoll.CodeOf(err) != test.code {
				t.Errorf("preview of %s: %v", name, err)
			}
		}
		page, err := s.Decisions(t.Context(), plimsoll.Everything, DecisionFilter{}, api.List{})
		if err != nil || len(page.Items) != 0 {
			t.Errorf("%v, decisions %+v", err, page.Items)
		}
	})
}

// SYS-08: within some hosts, findings, counts and decisions are theirs alone, and
// no decision hides what another host still runs.
func TestSYS08FindingsWithinAScope(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		shop(t, s)
		prod, dev := plimsoll.Scope{Labels: []string{"env=prod"}}, plimsoll.Scope{Labels: []string{"env=dev"}}
		wantList(t, "prod", list(t, s, prod, api.FindingFilter{}), "shop/a:1 "+cve(1)+" left open", "shop/a:1 "+cve(2)+" left open")
		wantList(t, "nobody", list(t, s, plimsoll.Scope{}, api.FindingFilter{}))
		for _, test := range []struct {
			scope  plimsoll.Scope
			filter api.VulnerabilityFilter
			want   string
		}{
			{plimsoll.Everything, api.VulnerabilityFilter{}, "2 2 2"},
			{plimsoll.Everything, api.VulnerabilityFilter{Label: "env=prod"}, "1 1 1"},
			{prod, api.VulnerabilityFilter{}, "1 1 1"},
			{dev, api.VulnerabilityFilter{}, "2 2 1"},
		} {
			page, err := s.Vulnerabilities(t.Context(), test.scope, test.filter, api.List{})
			if err != nil || len(page.Items) != 2 {
				t.Fatal(err, len(page.Items))
			}
			if v := page.Items[0]; v.Name != cve(1) || fmt.Sprint(v.Findings, v.Images, v.Hosts) != test.want {
				t.Errorf("%v %v: %s %d %d %d, want %s", test.scope, test.filter, v.Name, v.Findings, v.Images, v.Hosts, test.want)
			}
		}
		page, err := s.Vulnerabilities(t.Context(), plimsoll.Scope{}, api.VulnerabilityFilter{}, api.List{})
		if err != nil || len(page.Items) != 0 {
			t.Errorf("nobody sees %+v, %v", page.Items, err)
		}
		made, err := s.Decide(t.Context(), dev, "dan", api.DecisionRequest{Filter: &api.FindingFilter{Vulnerability: cve(1)}, Kind: "whitelist", Remark: "only here"})
		if err != nil || len(made) != 1 || !slices.Equal(made[0].Labels, dev.Labels) {
			t.Fatal(err, made)
		}
		wantList(t, "what prod runs, too, stays open", list(t, s, plimsoll.Everything, api.FindingFilter{Vulnerability: cve(1)}), "shop/a:1 "+cve(1)+" left open")
		checkFindings(t, s)
		if _, err := s.Decision(t.Context(), prod, made[0].ID); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("prod sees dev's decision: %v", err)
		}
		if err := s.RevokeDecision(t.Context(), prod, "pia", made[0].ID, ""); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("prod revokes dev's decision: %v", err)
		}
		// What the decision of somebody who sees more handled is not told.
		mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "ignore", Vulnerability: cve(2), Remark: "everywhere"}}})
		events, err := s.DecisionEvents(t.Context(), dev, DecisionEventFilter{}, api.List{})
		if err != nil || len(events.Items) != 2 || events.Items[0].Findings != -1 || events.Items[0].Rule.Hits != 0 || events.Items[1].Findings != 1 {
			t.Errorf("dev's history: %v, %+v", err, events.Items)
		}
		all, err := s.Decisions(t.Context(), dev, DecisionFilter{State: "active", Query: "ONLY"}, api.List{})
		if err != nil || len(all.Items) != 1 || all.Items[0].Hits != 1 {
			t.Errorf("dev's decisions: %v, %+v", err, all.Items)
		}
		handled, err := s.Vulnerabilities(t.Context(), dev, api.VulnerabilityFilter{Handled: "any", Query: "ghsa"}, api.List{})
		if err != nil || len(handled.Items) != 1 || handled.Items[0].Handled != 1 || handled.Items[0].Findings != 1 {
			t.Errorf("risk view of dev: %v, %+v", err, handled.Items)
		}
	})
}
