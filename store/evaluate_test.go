package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// matchLines returns every match, live or gone, in words.
func matchLines(t testing.TB, s *Store) (lines []string) {
	t.Helper()
	err := s.read(t.Context(), "read", func(t *tx) error {
		rows, err := t.query(`SELECT s.name, s.version, v.name, m.severity, m.fixed_version, m.priority, m.gone, m.gone_reason, m.first_seen, s.generation
			FROM match m JOIN software s ON s.id = m.software_id JOIN vulnerability v ON v.id = m.vulnerability_id`)
		return each(rows, err, func(scan func(...any) error) error {
			var name, version, flaw, fixed, reason string
			var severity, priority, gone, first, generation int64
			err := scan(&name, &version, &flaw, &severity, &fixed, &priority, &gone, &reason, &first, &generation)
			lines = append(lines, fmt.Sprint(name, version, " ", flaw, " ", severity, fixed, " ", priority, gone, reason, " ", first, generation))
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// Two generations with known differences: what is new, gone and changed is said
// with the reason, and counts follow.
func TestEvaluateTellsWhatChanged(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		_, _, judge := shop(t, s)
		mustEvaluate(t, s, judge)
		ids := idsOf(t, s, api.FindingFilter{})
		mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "ignore", Vulnerability: "GHSA-new", Remark: "an ID that nothing has yet"}}})
		next := &testJudge{generation: 2, flaws: []testFlaw{
			newFlaw(1, "left", plimsoll.SeverityCritical, "3"), // worse, with another fix and alias
			newFlaw(3, "left", plimsoll.SeverityMedium, ""),    // new
		}}
		next.flaws[0].Aliases = []string{"GHSA-left", "GHSA-new"}
		next.flaws[0].EPSS = &plimsoll.EPSS{Score: 0.5}
		pass(s, day)
		mustActivate(t, s, next)
		if n, err := s.PendingSoftware(t.Context()); n != 1 || err != nil {
			t.Errorf("pending %d, %v", n, err)
		}
		if err := s.Evaluate(t.Context(), judge, nil); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("judged by advisories that are not active: %v", err)
		}
		if err := s.Evaluate(t.Context(), next, nil); err != nil {
			t.Fatal(err)
		}
		wantList(t, "the alias brought flaw 1 under the decision", list(t, s, plimsoll.Everything, api.FindingFilter{}),
			"shop/a:1 "+cve(3)+" left open", "shop/c:1 "+cve(3)+" left open")
		checkFindings(t, s)
		g, err := s.CurrentGeneration(t.Context())
		if err != nil || g.Evaluated == nil || g.Software != 1 || g.NewMatches != 1 || g.GoneMatches != 1 || g.NewFindings != 2 || g.GoneFindings != 2 {
			t.Errorf("generation: %v, %+v", err, g)
		}
		changes, err := s.Changes(t.Context(), plimsoll.Everything, g.ID, "", api.List{})
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, c := range changes.Items {
			lines = append(lines, fmt.Sprintf("%s %s %s: %s, %d images", c.Kind, c.Vulnerability, c.Package, c.Reason, c.Images))
		}
		slices.Sort(lines)
		wantList(t, "changes", lines, "changed "+cve(1)+" left: severity critical, was high; fix 3, 2 images",
			"gone "+cve(2)+" left: ADV-"+cve(2)+" no longer speaks of left, 2 images", "new "+cve(3)+" left: ADV-"+cve(3)+" of Test: < , 2 images")
		prod, err := s.Changes(t.Context(), plimsoll.Scope{Labels: []string{"env=prod"}}, g.ID, "new", api.List{})
		if err != nil || len(prod.Items) != 1 || prod.Items[0].Images != 1 {
			t.Errorf("changes in sight of prod: %v, %+v", err, prod.Items)
		}
		if now := idsOf(t, s, every()); !slices.ContainsFunc(now, func(id string) bool { return slices.Contains(ids, id) }) {
			t.Errorf("findings lost their IDs: %q, were %q", now, ids)
		}

		// Back to the first: what was gone is back, seen first when it was.
		pass(s, day)
		mustEvaluate(t, s, judge)
		page, err := s.Findings(t.Context(), plimsoll.Everything, api.FindingFilter{Vulnerability: cve(2)}, api.List{})
		if err != nil || len(page.Items) != 2 || !page.Items[0].FirstSeen.Equal(testStart) {
			t.Errorf("back again: %v, %+v", err, page.Items)
		}
		checkFindings(t, s)
		all, err := s.Generations(t.Context(), api.List{})
		if err != nil || len(all.Items) != 3 || all.Total != 3 {
			t.Errorf("generations: %v, %+v", err, all)
		}
		if id, err := s.Activate(t.Context(), judge.Generation()); err != nil || id != all.Items[0].ID {
			t.Errorf("the active one again: %d, %v", id, err)
		}
	})
}

// A date that nobody knows is absent, not the year 1.
func TestUnknownDates(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		if _, err := s.Activate(t.Context(), plimsoll.Generation{ID: digestOf("generation", 1), Sources: []plimsoll.DataSource{{Name: "undated"}}}); err != nil {
			t.Fatal(err)
		}
		g, err := s.CurrentGeneration(t.Context())
		if text := encode(g); err != nil || strings.Contains(text, `"0001`) || !strings.Contains(text, `"undated"`) {
			t.Errorf("%v, %s", err, text)
		}
	})
}

// stoppingJudge ends the context after a number of answers.
type stoppingJudge struct {
	*testJudge
	left int
	stop context.CancelFunc
}

func (j *stoppingJudge) Judge(ctx context.Context, system plimsoll.OS, packages []plimsoll.Package) ([]plimsoll.Verdict, error) {
	if j.left--; j.left < 0 {
		j.stop()
	}
	return j.testJudge.Judge(ctx, system, packages)
}

// An evaluation that is stopped after every batch, and after every renewal of
// counts, ends with what one that was never stopped ends with.
func TestEvaluateResumes(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		first := &testJudge{generation: 1}
		second := &testJudge{generation: 2}
		for n := range 40 {
			if n%3 > 0 {
				first.flaws = append(first.flaws, newFlaw(n, fmt.Sprint("p", n%10), plimsoll.Severity(n%6), ""))
			}
			if n%3 < 2 {
				second.flaws = append(second.flaws, newFlaw(n, fmt.Sprint("p", n%10), plimsoll.Severity(n%5), "9"))
			}
		}
		const images = 230 // more than one batch of images
		var list []api.HostImage
		for n := range images {
			list = append(list, hostImage(n, fmt.Sprintf("r%d:1", n%7)))
		}
		mustSync(t, s, host, fullSync(1, list...))
		mustActivate(t, s, first)
		for n := range images {
			var packages []plimsoll.Package
			for p := range 30 { // in all more software than one batch takes
				packages = append(packages, npm(fmt.Sprint("p", (n+p)%30), fmt.Sprint(n, " ", p)))
			}
			mustStore(t, s, host, reportOf(n, fmt.Sprint(n), packages...), first)
		}
		mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "ignore", Package: "p3", UntilFix: true, Remark: "r"}, {Kind: "whitelist", Vulnerability: cve(4), Remark: "r"}}})
		checkFindings(t, s)
		mustActivate(t, s, second)
		runs := 0
		for ; ; runs++ {
			ctx, stop := context.WithCancel(t.Context())
			err := s.Evaluate(ctx, &stoppingJudge{second, 1, stop}, nil)
			stop()
			if err == nil {
				break
			}
			if runs > 100 {
				t.Fatal(err)
			}
			if g, err := s.CurrentGeneration(t.Context()); err != nil || g.Evaluated != nil {
				t.Fatalf("called evaluated while it was not: %v", err)
			}
		}
		if runs < 2 {
			t.Errorf("stopped %d times only", runs)
		}
		checkFindings(t, s)
		got := matchLines(t, s)
		g, err := s.CurrentGeneration(t.Context())
		if err != nil || g.Evaluated == nil || g.Software != images*30 {
			t.Errorf("generation: %v, %+v", err, g)
		}
		// The same from the start, in one go.
		if err := s.write(t.Context(), "forget", func(t *tx) error {
			for _, q := range []string{"UPDATE software SET generation = 1", "UPDATE match SET gone = 1 WHERE gone = 0 AND id % 2 = 0", "DELETE FROM share", "UPDATE software SET images = 0", "DELETE FROM risk"} {
				if _, err := t.exec(q); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Evaluate(t.Context(), second, nil); err != nil {
			t.Fatal(err)
		}
		strip := func(lines []string) (live []string) {
			for _, l := range lines {
				if !bytes.Contains([]byte(l), []byte("no longer")) {
					live = append(live, l)
				}
			}
			return live
		}
		if again := matchLines(t, s); !slices.Equal(strip(got), strip(again)) {
			t.Errorf("%d matches, in one go %d, or others", len(got), len(again))
		}
	})
}

// Every kept count equals a computation from scratch after any sequence of lists
// of images, results, advisories, decisions and time.
func TestCountsAfterRandomSteps(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		seed := uint64(12)
		random := rand.New(rand.NewPCG(seed, 1))
		pick := func(n int) int { return random.IntN(n) }
		hosts := []int64{joinHost(t, s, "one", "env=prod"), joinHost(t, s, "two", "env=dev"), joinHost(t, s, "three", "env=dev", "site=x")}
		held := map[int64]map[int]api.HostImage{}
		for _, h := range hosts {
			held[h] = map[int]api.HostImage{}
		}
		generation := 0
		var judge *testJudge
		newJudge := func() *testJudge {
			generation++
			j := &testJudge{generation: generation}
			for n := range 12 {
				if pick(3) == 0 {
					continue
				}
				f := newFlaw(n, fmt.Sprint("p", n%5), plimsoll.Severity(pick(6)), []string{"", "9"}[pick(2)])
				f.Aliases = []string{fmt.Sprintf("GHSA-%d", n/2)}
				f.version = []string{"", "1", "2"}[pick(3)]
				f.Malicious = pick(9) == 0
				if pick(5) == 0 {
					f.KEV = &plimsoll.KEV{Added: testStart}
				}
				if pick(6) == 0 {
					f.status = plimsoll.StatusNotPresent
				}
				f.EPSS = &plimsoll.EPSS{Score: float64(pick(100)) / 100}
				j.flaws = append(j.flaws, f)
			}
			return j
		}
		judge = newJudge()
		mustActivate(t, s, judge)
		var decisions []int64
		seq := int64(0)
		for step := range 120 {
			pass(s, time.Duration(pick(600))*time.Minute)
			switch pick(10) {
			case 0, 1, 2: // a host lists its images
				h := hosts[pick(len(hosts))]
				n := pick(6)
				if pick(3) == 0 {
					delete(held[h], n)
				} else {
					var names []string
					for r := range 3 {
						if pick(2) == 0 {
							names = append(names, fmt.Sprintf("r%d:%d", r, pick(2)))
						}
					}
					held[h][n] = hostImage(n, names...)
				}
				var images []api.HostImage
				for _, n := range sortedKeys(held[h]) {
					images = append(images, held[h][n])
				}
				seq++
				mustSync(t, s, h, fullSync(seq, images...))
			case 3, 4, 5: // a host reads an image
				h := hosts[pick(len(hosts))]
				if len(held[h]) == 0 {
					continue
				}
				n := sortedKeys(held[h])[pick(len(held[h]))]
				var packages []plimsoll.Package
				for range pick(8) {
					p := npm(fmt.Sprint("p", pick(6)), fmt.Sprint(1+pick(2)))
					p.Path = fmt.Sprint("app/", pick(3))
					packages = append(packages, p)
				}
				packages = append(packages, deb(fmt.Sprint("p", pick(6)), "1"))
				r := reportOf(n, fmt.Sprint(step), packages...)
				if pick(4) == 0 {
					r.Status = plimsoll.ScanPartial
				}
				mustStore(t, s, h, r, []plimsoll.Judge{judge, nil, judge}[pick(3)])
			case 6: // other advisories
				judge = newJudge()
				mustActivate(t, s, judge)
				if pick(2) == 0 {
					mustEvaluate(t, s, judge)
				}
			case 7, 8: // a decision
				d := api.Decision{Kind: []plimsoll.DecisionKind{"ignore", "fixed", "whitelist"}[pick(3)], Remark: "r", UntilFix: pick(4) == 0}
				switch pick(4) {
				case 0:
					d.Vulnerability = cve(pick(12))
				case 1:
					d.Vulnerability = fmt.Sprintf("ghsa-%d", pick(6))
				case 2:
					d.Package = []string{"p1", "p*", "p2"}[pick(3)]
				default:
					d.Path = "app/?"
				}
				if pick(2) == 0 {
					d.Repositories = [][]string{{"r0"}, {"r*"}, {""}, {"r1:1", "r2"}}[pick(4)]
				}
				if pick(4) == 0 {
					d.Labels = []string{"env=dev"}
				}
				if pick(4) == 0 {
					end := s.now().Add(day)
					d.Expires = &end
				}
				if _, err := s.ExpireDecisions(t.Context()); err != nil {
					t.Fatal(err)
				}
				request := api.DecisionRequest{Rules: []api.Decision{d}}
				foreseen, err := s.Preview(t.Context(), plimsoll.Everything, request)
				if err != nil {
					t.Fatal(err)
				}
				open := len(idsOf(t, s, api.FindingFilter{}))
				decisions = append(decisions, mustDecide(t, s, request)[0].ID)
				if handled := open - len(idsOf(t, s, api.FindingFilter{})); foreseen.Findings != int64(handled) {
					t.Errorf("step %d: %+v handles %d findings, the preview said %d", step, d, handled, foreseen.Findings)
				}
			default:
				if len(decisions) == 0 {
					continue
				}
				err := s.RevokeDecision(t.Context(), plimsoll.Everything, "ann", decisions[pick(len(decisions))], "")
				if err != nil && plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
					t.Fatal(err)
				}
			}
			if _, err := s.ExpireDecisions(t.Context()); err != nil {
				t.Fatal(err)
			}
			if step%20 == 19 {
				mustEvaluate(t, s, judge) // what waits makes counts old on purpose
				checkFindings(t, s)
				if t.Failed() {
					t.Fatalf("seed %d, step %d", seed, step)
				}
			}
		}
	})
}

// Files of generations come back whole; of three, the newest two are kept.
func TestGenerationFiles(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		for n := 1; n <= 3; n++ {
			data := bytes.Repeat([]byte{byte(n)}, n*generationPart/2)
			digest := digestOf("generation", n)
			if err := s.PutGeneration(t.Context(), digest, bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			mustActivate(t, s, &testJudge{generation: n})
			var got bytes.Buffer
			if err := s.GetGeneration(t.Context(), digest, &got); err != nil || !bytes.Equal(got.Bytes(), data) {
				t.Errorf("%d: %v, %d bytes of %d", n, err, got.Len(), len(data))
			}
		}
		for n, want := range []plimsoll.Code{plimsoll.CodeNotFound, plimsoll.CodeNotFound, "", ""} {
			if err := s.GetGeneration(t.Context(), digestOf("generation", n), &bytes.Buffer{}); plimsoll.CodeOf(err) != want {
				t.Errorf("%d: %v, want %q", n, err, want)
			}
		}
		broken := errors.New("broken")
		if err := s.PutGeneration(t.Context(), digestOf("generation", 9), &brokenReader{broken}); !errors.Is(err, broken) {
			t.Errorf("a broken file: %v", err)
		}
		if err := s.GetGeneration(t.Context(), digestOf("generation", 9), &bytes.Buffer{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("half a file: %v", err)
		}
	})
}

type brokenReader struct{ err error }

func (r *brokenReader) Read(p []byte) (int, error) { return len(p) / 2, r.err }
