package store

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Each figure of the dashboard is the length of the list that its link opens.
func TestDashboardCountsWhatListsHold(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		one, two := joinHost(t, s, "one", "env=prod"), joinHost(t, s, "two", "env=dev")
		y := fullSync(1, withContainers(hostImage(1, "shop/a:1"), map[string]bool{"run": true}), hostImage(2, "shop/b:1"))
		y.Problems = []api.Problem{{Code: plimsoll.ProblemPermission, Detail: "a store"}}
		mustSync(t, s, one, y)
		mustSync(t, s, two, fullSync(1, hostImage(2, "shop/b:1"), hostImage(3, "shop/c:1"), hostImage(4, "shop/d:1"), hostImage(5, "shop/e:1")))
		kev := newFlaw(1, "left", plimsoll.SeverityCritical, "2")
		kev.KEV = &plimsoll.KEV{Added: testStart}
		judge := &testJudge{generation: 1, flaws: []testFlaw{kev, newFlaw(2, "left", plimsoll.SeverityLow, ""), newFlaw(3, "libc", plimsoll.SeverityHigh, "3"), newFlaw(4, "libc", plimsoll.SeverityMedium, "")}}
		mustActivate(t, s, judge)
		mustStore(t, s, two, reportOf(2, "r2", npm("left", "1"), npm("nobody's", "1")), judge)
		mustStore(t, s, two, reportOf(5, "r5", npm("nobody's", "1")), judge)
		pass(s, 30*time.Hour)
		mustStore(t, s, two, reportOf(3, "r3", npm("left", "1"), deb("libc", "1")), judge)
		mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "ignore", Vulnerability: cve(4), Remark: "r"}}})
		for n, set := range map[int]string{1: "state = 'failed', scanned = 2", 2: "system_ended = 1, problems = 3", 3: "unidentified = 2", 4: "state = 'unreadable'"} {
			execTest(t, s, "UPDATE image SET "+set+" WHERE digest = ?", digestOf("image", n))
		}
		execTest(t, s, "UPDATE host SET analyzers = 'set 2' WHERE id = ?", two)
		if err := s.Heartbeat(ctx, one, api.Heartbeat{Now: s.now(), Boot: "1"}); err != nil {
			t.Fatal(err)
		}
		everything, dev := plimsoll.Everything, plimsoll.Scope{Labels: []string{"env=dev"}}

		for _, scope := range []plimsoll.Scope{everything, dev} {
			d, err := s.Dashboard(ctx, scope)
			if err != nil {
				t.Fatal(err)
			}
			images := func(what string, got int64, f api.ImageFilter) {
				t.Helper()
				page, err := s.Images(ctx, scope, f, api.List{})
				if err != nil || got != int64(len(page.Items)) {
					t.Errorf("%+v: %s are %d, the list has %d, %v", scope, what, got, len(page.Items), err)
				}
			}
			hosts := func(what string, got int64, f api.HostFilter) {
				t.Helper()
				page, err := s.Hosts(ctx, scope, f, api.List{})
				if err != nil || got != int64(len(page.Items)) {
					t.Errorf("%+v: %s are %d, the list has %d, %v", scope, what, got, len(page.Items), err)
				}
			}
			vulnerabilities := func(what string, got int64, f api.VulnerabilityFilter) {
				t.Helper()
				page, err := s.Vulnerabilities(ctx, scope, f, api.List{})
				if err != nil || got != int64(len(page.Items)) {
					t.Errorf("%+v: %s are %d, the list has %d, %v", scope, what, got, len(page.Items), err)
				}
			}
			images("images", d.Images, api.ImageFilter{})
			images("images in use", d.InUse, api.ImageFilter{InUse: "yes"})
			for _, state := range []string{"never", "succeeded", "partial", "failed", "unreadable"} {
				images(state, d.ImageStates[state], api.ImageFilter{States: []string{state}})
			}
			for _, warning := range api.ImageWarnings {
				images(warning, d.Warnings[warning], api.ImageFilter{Warnings: []string{warning}})
			}
			for _, state := range []string{"online", "late", "offline", "never", "revoked"} {
				hosts(state, d.Hosts[state], api.HostFilter{State: state})
			}
			hosts("hosts with problems", d.HostProblems, api.HostFilter{Problems: true})
			v := d.Vulnerabilities
			for severity := plimsoll.SeverityNone; severity <= plimsoll.SeverityCritical; severity++ {
				var counts api.Counts
				counts.Add(severity, 1)
				of := func(c api.Counts) int64 {
					return c.Critical*counts.Critical + c.High*counts.High + c.Medium*counts.Medium + c.Low*counts.Low + c.Unknown*counts.Unknown + c.None*counts.None
				}
				vulnerabilities("system "+severity.String(), of(v.System), api.VulnerabilityFilter{Class: "system", Severities: []string{severity.String()}})
				vulnerabilities("application "+severity.String(), of(v.Application), api.VulnerabilityFilter{Class: "application", Severities: []string{severity.String()}})
			}
			vulnerabilities("fixable", v.Fixable, api.VulnerabilityFilter{Fixable: true})
			vulnerabilities("known exploited", v.KEV, api.VulnerabilityFilter{KEV: true})
			vulnerabilities("new", v.New, api.VulnerabilityFilter{Since: s.now().Add(-24 * time.Hour).UnixMilli()})
		}

		// The figures themselves, and what somebody limited to one host sees of them.
		type figures struct {
			Images, InUse, Software, Problems int64
			Vulnerabilities                   api.VulnerabilityCounts
			Hosts, Warnings                   map[string]int64
			Top, Failed                       []int // images by their numbers
		}
		open := api.VulnerabilityCounts{System: api.Counts{High: 1}, Application: api.Counts{Critical: 1, Low: 1}, Fixable: 2, KEV: 1, New: 1}
		warnings := map[string]int64{"uncovered": 2, "unidentified": 1, "ended": 1, "problems": 1, "stale": 2, "offline": 3}
		for name, test := range map[string]struct {
			scope plimsoll.Scope
			want  figures
		}{
			"everybody": {everything, figures{5, 1, 3, 1, open, map[string]int64{"online": 1, "offline": 1}, warnings, []int{2, 3}, []int{1, 4}}},
			"env=dev":   {dev, figures{4, 0, 3, 0, open, map[string]int64{"offline": 1}, warnings, []int{2, 3}, []int{4}}},
			"nobody":    {plimsoll.Scope{}, figures{Hosts: map[string]int64{}, Warnings: map[string]int64{}, Top: []int{}, Failed: []int{}}},
		} {
			d, err := s.Dashboard(ctx, test.scope)
			if err != nil {
				t.Fatal(err)
			}
			got := figures{d.Images, d.InUse, d.Software, d.HostProblems, d.Vulnerabilities, d.Hosts, d.Warnings, numbersOf(d.TopImages), numbersOf(d.FailedImages)}
			slices.Sort(got.Top)
			maps.DeleteFunc(got.Warnings, func(_ string, n int64) bool { return n == 0 })
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s:\n got %+v\nwant %+v", name, got, test.want)
			}
			if (d.RiskOverTime != nil) != test.scope.All {
				t.Errorf("%s: the risk over time is that of the whole fleet: %v", name, d.RiskOverTime)
			}
		}
		if _, err := s.Images(ctx, everything, api.ImageFilter{Warnings: []string{"stale", "perhaps"}}, api.List{}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("an unknown warning: %v", err)
		}
	})
}

// The risk over time has the days on which it was kept, and ends with what is
// open now.
func TestRiskOverTime(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		mustSync(t, s, host, fullSync(1, hostImage(1, "shop/a:1"), hostImage(2, "shop/b:1")))
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityCritical, "2"), newFlaw(2, "libc", plimsoll.SeverityHigh, "")}}
		mustActivate(t, s, judge)
		days := func(want ...api.Counts) {
			t.Helper()
			d, err := s.Dashboard(t.Context(), plimsoll.Everything)
			if err != nil {
				t.Fatal(err)
			}
			var got []api.Counts
			for _, p := range d.RiskOverTime {
				got = append(got, p.Findings)
			}
			if !slices.Equal(got, want) || d.RiskOverTime[len(got)-1].Day != s.now().Format(time.DateOnly) {
				t.Errorf("%+v, want %+v", d.RiskOverTime, want)
			}
		}
		record := func() {
			t.Helper()
			if err := s.RecordRiskDay(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		days(api.Counts{})
		mustStore(t, s, host, reportOf(1, "r1", npm("left", "1")), judge)
		record()
		days(api.Counts{Critical: 1})
		pass(s, 3*24*time.Hour) // the console did not run
		mustStore(t, s, host, reportOf(2, "r2", npm("left", "1"), deb("libc", "1")), judge)
		days(api.Counts{Critical: 1}, api.Counts{Critical: 2, High: 1})
		record()
		record()
		days(api.Counts{Critical: 1}, api.Counts{Critical: 2, High: 1})
	})
}
