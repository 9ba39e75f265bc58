package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Nothing was last seen before it was first seen: not what was found in an image
// after its host's last list, nor what came back when the clock was set back.
func TestLastSeenIsNotBeforeFirstSeen(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		image := withContainers(hostImage(1, "shop/a:1"), map[string]bool{"run": true})
		mustSync(t, s, host, fullSync(1, image))
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, "")}}
		mustActivate(t, s, judge)
		pass(s, 10*time.Minute)
		mustStore(t, s, host, reportOf(1, "1", npm("left", "1")), judge)
		mustSync(t, s, host, fullSync(2))
		pass(s, -2*time.Hour)
		mustSync(t, s, host, fullSync(3, image))
		i := imageNumber(t, s, plimsoll.Everything, 1)
		presences, err := s.Presences(t.Context(), plimsoll.Everything, i.ID, api.List{})
		containers, err2 := s.Containers(t.Context(), plimsoll.Everything, ContainerFilter{}, api.List{})
		risks, err3 := s.Vulnerabilities(t.Context(), plimsoll.Everything, api.VulnerabilityFilter{}, api.List{})
		if errors.Join(err, err2, err3) != nil || len(presences.Items) != 1 || len(containers.Items) != 1 || len(risks.Items) != 1 {
			t.Fatal(err, err2, err3, presences, containers, risks)
		}
		p, c, v := presences.Items[0], containers.Items[0], risks.Items[0]
		for what, times := range map[string][2]time.Time{"image": {i.FirstSeen, i.LastSeen}, "presence": {p.FirstSeen, p.LastSeen},
			"container": {c.FirstSeen, c.LastSeen}, "vulnerability": {v.FirstSeen, v.LastSeen}} {
			if times[1].Before(times[0]) {
				t.Errorf("%s: first seen %s, last %s", what, times[0], times[1])
			}
		}
		if !v.FirstSeen.Equal(testStart.Add(10 * time.Minute)) {
			t.Errorf("the vulnerability was first seen %s", v.FirstSeen)
		}
	})
}

// The numbers of the risk view are those of a row by row count, in each sight and
// whether the images of the rows are sought or all are looked through.
func TestRiskViewCounts(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		var hosts []int64
		for n, label := range []string{"env=dev", "env=dev", "env=prod"} {
			id := joinHost(t, s, fmt.Sprint("host ", n), label)
			hosts = append(hosts, id)
			var list []api.HostImage
			for i := n; i < n+3; i++ { // each shares images with the next
				list = append(list, withContainers(hostImage(i, fmt.Sprintf("r%d:1", i)), map[string]bool{fmt.Sprintf("c%d-%d", n, i): i%2 == 0}))
			}
			mustSync(t, s, id, fullSync(1, list...))
		}
		judge := &testJudge{generation: 1}
		for n := range 6 {
			judge.flaws = append(judge.flaws, newFlaw(n, fmt.Sprint("p", n), plimsoll.Severity(n%6), []string{"", "9"}[n%2]))
		}
		judge.flaws = append(judge.flaws, newFlaw(2, "elsewhere", plimsoll.SeverityLow, "")) // in production only
		mustActivate(t, s, judge)
		for i := range 5 {
			var all []plimsoll.Package
			for p := i; p < i+3; p++ {
				all = append(all, npm(fmt.Sprint("p", p), fmt.Sprint(i%2)), deb(fmt.Sprint("p", p), "1"))
			}
			if i == 4 {
				all = append(all, npm("elsewhere", "1"))
			}
			mustStore(t, s, hosts[max(0, i-2)], reportOf(i, fmt.Sprint(i), all...), judge)
		}
		mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{
			{Kind: "ignore", Vulnerability: cve(2), Repositories: []string{"r1"}, Remark: "known"},
			{Kind: "ignore", Vulnerability: cve(3), Labels: []string{"env=dev"}, Remark: "handled for some hosts"},
			{Kind: "ignore", Vulnerability: cve(4), Remark: "handled for all"},
		}})
		dev := plimsoll.Scope{Labels: []string{"env=dev"}}
		wholly := 0 // handled, in all places
		for _, at := range []sight{
			{scope: plimsoll.Everything}, {scope: dev}, {scope: plimsoll.Everything, host: hosts[2]}, {scope: plimsoll.Everything, label: "env=dev"},
			{scope: dev, host: hosts[1]}, {scope: dev, label: "env=prod"}, {},
		} {
			f := api.VulnerabilityFilter{Handled: "any", Host: at.host, Label: at.label}
			page, err := s.Vulnerabilities(t.Context(), at.scope, f, api.List{})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[riskKey]api.Vulnerability{}
			for _, v := range page.Items {
				seen[riskKey{v.ID, v.Class}] = v
			}
			f.Handled = "yes"
			if page, err = s.Vulnerabilities(t.Context(), at.scope, f, api.List{}); err != nil {
				t.Fatal(err)
			}
			handled := map[riskKey]bool{}
			for _, v := range page.Items {
				handled[riskKey{v.ID, v.Class}] = true
			}
			for key, v := range seen {
				if handled[key] != (v.Findings == 0) {
					t.Errorf("%+v: %s with %d open findings is among those that are all handled: %v", at, v.Name, v.Findings, handled[key])
				}
			}
			wholly += len(handled)
			for _, f := range []api.VulnerabilityFilter{{}, {Handled: "any"}, {Fixable: true}, {Handled: "any", Fixable: true}} {
				var found [2][]int64 // in many images, in few
				for i := range found {
					if err := s.read(t.Context(), "find risks", func(t *tx) (err error) {
						var w where
						if err := t.inSight(at, f, i*fewImages, &w); err != nil {
							return err
						}
						found[i], err = t.ids("SELECT r.id FROM risk r"+w.String()+" ORDER BY r.id", w.args...)
						return err
					}); err != nil {
						t.Fatal(err)
					}
				}
				if !slices.Equal(found[0], found[1]) {
					t.Errorf("%+v, %+v: risks %v when each is looked at, %v by what images share", at, f, found[0], found[1])
				}
			}
			if len(handled) > len(seen) {
				t.Errorf("%+v: %d are all handled, of %d", at, len(handled), len(seen))
			}
			err = s.read(t.Context(), "count row by row", func(t2 *tx) error {
				rows := 0
				for id := range int64(7) {
					for _, class := range []plimsoll.Class{plimsoll.ClassSystem, plimsoll.ClassApplication} {
						want, packages := countRisk(t, t2, at, riskKey{id, class})
						got, listed := seen[riskKey{id, class}]
						if held := len(packages) > 0; listed != held {
							t.Errorf("%+v: vulnerability %d in %s is listed: %v, want %v", at, id, class, listed, held)
						}
						if !listed {
							continue
						}
						rows++
						all := []api.Vulnerability{got}
						all[0].Findings, all[0].Packages = 1e6, nil // as if they were many
						if err := t2.fillRisks(at, all); err != nil {
							return err
						}
						if at.everything() {
							all[0].Findings = got.Findings
						}
						for _, v := range []api.Vulnerability{got, all[0]} {
							numbers := [...]int64{v.Findings, v.Handled, v.Images, v.Hosts, v.Containers, bit(v.Fixable)}
							if numbers != want || v.LastSeen.IsZero() || !slices.Equal(v.Packages, packages) {
								t.Errorf("%+v: vulnerability %d in %s has %v, want %v, in %v, want %v; %+v", at, id, class, numbers, want, v.Packages, packages, v)
							}
						}
					}
				}
				if rows != len(seen) {
					t.Errorf("%+v: %d rows, want %d", at, len(seen), rows)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if wholly == 0 {
			t.Error("nothing is handled in full anywhere: the test tells nothing")
		}
	})
}

// countRisk counts findings, handled ones, images, hosts, containers and whether
// there is a fix, by what the words mean, and names the packages.
func countRisk(t *testing.T, x *tx, at sight, key riskKey) (want [6]int64, packages []string) {
	t.Helper()
	var w where
	w.and("m.vulnerability_id = ? AND m.class = ? AND m.gone = 0 AND m.status = 'affected'", key.vulnerability, string(key.class))
	at.hosts(&w, "o.host_id")
	images, hosts, found, containers := map[int64]bool{}, map[int64]bool{}, map[[2]int64]bool{}, map[[2]int64]int64{}
	rows, err := x.query("SELECT i.id, m.id, m.fix, g.id, o.host_id, o.running, s.name, CASE WHEN "+open+` THEN 1 ELSE 0 END
		FROM match m JOIN software s ON s.id = m.software_id JOIN instance i ON i.software_id = m.software_id JOIN image g ON g.id = i.image_id JOIN host_image o ON o.image_id = g.id`+w.String(), w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var instance, match, image, host, running, isOpen int64
		var fix plimsoll.FixState
		var name string
		err := scan(&instance, &match, &fix, &image, &host, &running, &name, &isOpen)
		packages = append(packages, name)
		if of := [2]int64{instance, match}; !found[of] {
			found[of] = true
			want[0] += isOpen
			want[1] += 1 - isOpen
			want[5] = max(want[5], isOpen*bit(fix == plimsoll.FixAvailable))
		}
		if isOpen == 1 {
			images[image], hosts[host], containers[[2]int64{image, host}] = true, true, running
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want[2], want[3] = int64(len(images)), int64(len(hosts))
	for _, n := range containers {
		want[4] += n
	}
	slices.Sort(packages)
	return want, slices.Compact(packages)
}
