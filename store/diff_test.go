package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Two builds of one image: packages that came, went and changed, and the
// vulnerabilities that this brought and took.
func TestDiffImages(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		one, two := joinHost(t, s, "one", "env=prod"), joinHost(t, s, "two", "env=dev")
		mustSync(t, s, one, fullSync(1, hostImage(1, "shop/a:1")))
		mustSync(t, s, two, fullSync(1, hostImage(1, "shop/a:1"), hostImage(2, "shop/a:2"), hostImage(3, "shop/a:3")))
		judge := &testJudge{generation: 1, flaws: []testFlaw{
			newFlaw(1, "left", plimsoll.SeverityHigh, ""), newFlaw(2, "openssl", plimsoll.SeverityCritical, ""), newFlaw(3, "right", plimsoll.SeverityLow, ""),
			newFlaw(4, "absent", plimsoll.SeverityHigh, ""), newFlaw(5, "openssl", plimsoll.SeverityMedium, ""),
		}}
		judge.flaws[1].version, judge.flaws[3].status = "3.0", plimsoll.StatusNotPresent
		mustActivate(t, s, judge)
		deeper := npm("nested", "2")
		deeper.Path = "app/node_modules/x/node_modules/nested/package.json"
		mustStore(t, s, two, reportOf(1, "1", npm("left", "1"), npm("nested", "1"), deeper, deb("openssl", "3.0"), deb("same", "1"), deb("right", "1")), judge)
		mustStore(t, s, two, reportOf(2, "2", npm("nested", "1"), deb("openssl", "3.1"), deb("same", "1"), npm("right", "1"), npm("absent", "1")), judge)
		mustEvaluate(t, s, judge)
		mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "whitelist", Vulnerability: cve(1), Remark: "handled is not gone"}}})
		id := func(n int) int64 { return imageNumber(t, s, plimsoll.Everything, n).ID }

		packages := func(list api.Bounded[api.PackageChange]) (lines []string) {
			for _, p := range list.Items {
				lines = append(lines, fmt.Sprint(p.Type, " ", p.Name, " ", p.From, p.To))
			}
			if list.Total != int64(len(lines)) {
				t.Errorf("total %d of %q", list.Total, lines)
			}
			slices.Sort(lines)
			return lines
		}
		flaws := func(list api.Bounded[api.VulnerablePackage]) (lines []string) {
			for _, v := range list.Items {
				lines = append(lines, fmt.Sprint(v.Vulnerability, " ", v.Severity, " ", v.Type, " ", v.Package, " ", v.Class))
			}
			return lines
		}
		d, err := s.DiffImages(t.Context(), plimsoll.Everything, id(1), id(2))
		if err != nil || d.From.ID != id(1) || d.To.ID != id(2) || d.To.EvaluatedAt == nil {
			t.Fatalf("%v, from %+v to %+v", err, d.From, d.To)
		}
		wantList(t, "added", packages(d.Added), "npm absent [] [1]", "npm right [] [1]")
		wantList(t, "removed", packages(d.Removed), "npm left [1] []", "npm nested [2] []", "deb right [1] []")
		wantList(t, "changed", packages(d.Changed), "deb openssl [3.0] [3.1]")
		wantList(t, "new", flaws(d.New), cve(3)+" low npm right application")
		if got, want := flaws(d.Gone), []string{cve(2) + " critical deb openssl system", cve(1) + " high npm left application", cve(3) + " low deb right system"}; !slices.Equal(got, want) {
			t.Errorf("gone, worst first:\n got %q\nwant %q", got, want)
		}
		back, err := s.DiffImages(t.Context(), plimsoll.Everything, id(2), id(1))
		if err != nil || len(packages(back.Added)) != 3 || !slices.Equal(flaws(back.New), flaws(d.Gone)) {
			t.Errorf("the other way round: %v, %+v", err, back)
		}

		prod := plimsoll.Scope{Labels: []string{"env=prod"}}
		for what, test := range map[string]struct {
			scope    plimsoll.Scope
			from, to int64
			code     plimsoll.Code
		}{
			"itself":            {plimsoll.Everything, id(1), id(1), plimsoll.CodeInvalid},
			"not read":          {plimsoll.Everything, id(1), id(3), plimsoll.CodeInvalid},
			"nothing":           {plimsoll.Everything, id(1), 999, plimsoll.CodeNotFound},
			"to out of sight":   {prod, id(1), id(2), plimsoll.CodeNotFound},
			"from out of sight": {prod, id(2), id(1), plimsoll.CodeNotFound},
		} {
			if _, err := s.DiffImages(t.Context(), test.scope, test.from, test.to); plimsoll.CodeOf(err) != test.code {
				t.Errorf("%s: %v", what, err)
			}
		}

		var many []plimsoll.Package
		for n := range 1200 {
			many = append(many, npm(fmt.Sprint("p", n), "1"))
		}
		mustStore(t, s, two, reportOf(3, "3", many...), judge)
		d, err = s.DiffImages(t.Context(), plimsoll.Everything, id(2), id(3))
		if err != nil || len(d.Added.Items) != 1000 || d.Added.Total != 1200 {
			t.Errorf("%v: %d of %d", err, len(d.Added.Items), d.Added.Total)
		}
	})
}

// The history of an image between its scans: what updates of the advisories
// changed about the packages in it since it was first read, page by page.
func TestImageChanges(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		one, two := joinHost(t, s, "one", "env=prod"), joinHost(t, s, "two", "env=dev")
		mustSync(t, s, one, fullSync(1, hostImage(1, "shop/a:1")))
		mustSync(t, s, two, fullSync(1, hostImage(1, "shop/a:1"), hostImage(2, "shop/b:1"), hostImage(3, "shop/c:1")))
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, "")}}
		mustActivate(t, s, judge)
		mustStore(t, s, two, reportOf(1, "1", npm("left", "1")), judge)
		mustStore(t, s, two, reportOf(2, "2", npm("left", "1"), npm("right", "1")), judge)
		update := func(generation int, flaws ...testFlaw) {
			t.Helper()
			pass(s, day)
			judge = &testJudge{generation: generation, flaws: flaws}
			mustEvaluate(t, s, judge)
		}
		update(2, newFlaw(1, "left", plimsoll.SeverityHigh, ""), newFlaw(2, "right", plimsoll.SeverityLow, ""))
		update(3, newFlaw(1, "left", plimsoll.SeverityCritical, ""))
		pass(s, day)
		mustStore(t, s, two, reportOf(3, "3", npm("left", "1"), npm("right", "1")), judge)
		update(4)
		changes := func(scope plimsoll.Scope, n int) (lines []string) {
			t.Helper()
			id := imageNumber(t, s, plimsoll.Everything, n).ID
			for l := (api.List{Limit: 1}); ; {
				page, err := s.ImageChanges(t.Context(), scope, id, l)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range page.Items {
					lines = append(lines, fmt.Sprint(c.Generation, " ", c.Kind, " ", c.Vulnerability, " ", c.Severity, " ", c.Package, ", images ", c.Images))
				}
				if l.Cursor = page.Next; l.Cursor == "" {
					return lines
				}
			}
		}
		want := func(what string, got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s:\n got %q\nwant %q", what, got, want)
			}
		}
		want("image 1", changes(plimsoll.Everything, 1), "4 gone "+cve(1)+" critical left, images 3", "3 changed "+cve(1)+" critical left, images 2")
		want("within a scope", changes(plimsoll.Scope{Labels: []string{"env=prod"}}, 1),
			"4 gone "+cve(1)+" critical left, images 1", "3 changed "+cve(1)+" critical left, images 1")
		want("image 2", changes(plimsoll.Everything, 2), "4 gone "+cve(1)+" critical left, images 3", "3 gone "+cve(2)+" low right, images 1",
			"3 changed "+cve(1)+" critical left, images 2", "2 new "+cve(2)+" low right, images 1")
		want("image 3, which came later", changes(plimsoll.Everything, 3), "4 gone "+cve(1)+" critical left, images 3")
		if _, err := s.ImageChanges(t.Context(), plimsoll.Scope{Labels: []string{"env=prod"}}, imageNumber(t, s, plimsoll.Everything, 2).ID, api.List{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("of an image out of sight: %v", err)
		}
		mustSync(t, s, one, fullSync(2))
		mustSync(t, s, two, fullSync(2))
		want("a gone image", changes(plimsoll.Everything, 1), "4 gone "+cve(1)+" critical left, images 3", "3 changed "+cve(1)+" critical left, images 2")
		want("a gone image, within a scope", changes(plimsoll.Scope{Labels: []string{"env=prod"}}, 1),
			"4 gone "+cve(1)+" critical left, images 0", "3 changed "+cve(1)+" critical left, images 0")
	})
}

// What to compare with: images that have or had the repository, newest first;
// those whose tag has moved on and those that are gone, too.
func TestImagesThatHadARepository(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		one, two := joinHost(t, s, "one", "env=prod"), joinHost(t, s, "two", "env=dev")
		built := func(n int, names ...string) api.HostImage {
			i := hostImage(n, names...)
			i.Created = testStart.Add(time.Duration(n) * time.Hour)
			return hashed(i)
		}
		mustSync(t, s, one, fullSync(1, built(1, "shop/a:latest"), built(2, "shop/a:old"), built(3, "shop/b:1")))
		mustSync(t, s, two, fullSync(1, built(5, "shop/a:elsewhere")))
		pass(s, time.Hour)
		// The tag moves: image 1 stays without a name. Image 2 is removed.
		mustSync(t, s, one, fullSync(2, built(1), built(4, "shop/a:latest"), built(3, "shop/b:1")))
		find := func(scope plimsoll.Scope, gone string) []int {
			page, err := s.Images(t.Context(), scope, api.ImageFilter{Repository: "shop/a", Gone: gone}, api.List{Sort: "created"})
			if err != nil || page.Total != int64(len(page.Items)) {
				t.Fatalf("%v, total %d", err, page.Total)
			}
			return numbersOf(page.Items)
		}
		for gone, want := range map[string][]int{"any": {5, 4, 2, 1}, "": {5, 4}, "yes": {2}} {
			if got := find(plimsoll.Everything, gone); !slices.Equal(got, want) {
				t.Errorf("gone %q: %v, want %v", gone, got, want)
			}
		}
		if got := find(plimsoll.Scope{Labels: []string{"env=prod"}}, "any"); !slices.Equal(got, []int{4, 2, 1}) {
			t.Errorf("within a scope: %v", got)
		}
	})
}
