package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Results that are stored together count as if each had come alone: one that is
// refused takes no other with it, one that comes twice counts once (SYS-03).
func TestSYS03ResultsTogether(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		const results, refused, again = 3, 1, 2 // no two share a layer
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, "")}}
		mustActivate(t, s, judge)
		hosts := make([]int64, results)
		reports := make([]api.ScanResult, results)
		for n := range results {
			hosts[n] = joinHost(t, s, fmt.Sprint("host ", n))
			mustSync(t, s, hosts[n], fullSync(1, hostImage(n, fmt.Sprintf("shop/%d:1", n))))
			reports[n] = reportOf(n, fmt.Sprint("r", n), npm("left", "1.0"), npm("own", fmt.Sprint(n)))
			reports[n].Lease = leaseOn(t, s, hosts[n], n)
		}
		reports[refused].Inventory.Packages[0].Layer = digestOf("layer", 77)
		hosts, reports = append(hosts, hosts[again]), append(reports, reports[again])

		s.ingest.turn.Lock() // all wait for one transaction
		known, errs := make([]bool, len(reports)), make([]error, len(reports))
		var group sync.WaitGroup
		for n := range reports {
			mine := *judge // it counts what it judges
			group.Go(func() { known[n], errs[n] = s.ApplyResult(t.Context(), hosts[n], reports[n], &mine) })
		}
		for waiting := 0; waiting < len(reports); {
			s.ingest.mu.Lock()
			waiting = len(s.ingest.waiting)
			s.ingest.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
		s.ingest.turn.Unlock()
		group.Wait()
		for n := range results {
			want := plimsoll.ImageSucceeded
			if n == refused {
				want = plimsoll.ImageNever
			}
			if plimsoll.CodeOf(errs[n]) == plimsoll.CodeInvalid != (n == refused) || errs[n] != nil && n != refused {
				t.Errorf("result %d: %v", n, errs[n])
			}
			if img := imageNumber(t, s, plimsoll.Everything, n); img.State != want {
				t.Errorf("image %d is %q, want %q", n, img.State, want)
			}
		}
		if errs[results] != nil || known[again] == known[results] {
			t.Errorf("the result that came twice: known %v and %v, %v", known[again], known[results], errs[results])
		}
		checkFindings(t, s)
	})
}

// Software that is remembered though it was removed is looked up anew.
func TestSoftwareComesBack(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, "")}}
		mustActivate(t, s, judge)
		apply := func(n int) {
			t.Helper()
			mustSync(t, s, host, fullSync(int64(n), hostImage(n, fmt.Sprintf("shop/%d:1", n))))
			r := reportOf(n, fmt.Sprint("r", n), npm("left", "1.0"))
			r.Lease = leaseOn(t, s, host, n)
			if _, err := s.ApplyResult(t.Context(), host, r, judge); err != nil {
				t.Fatal(err)
			}
		}
		apply(1)
		apply(2)
		if len(s.software.byKey) != 1 {
			t.Fatalf("%d packages are remembered, want the one of both images", len(s.software.byKey))
		}
		mustSync(t, s, host, fullSync(3))
		pass(s, 1000*day)
		if _, err := s.Retain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := s.read(t.Context(), "count", func(t *tx) error { return t.row("SELECT count(*) FROM software").Scan(&left) }); err != nil || left != 0 {
			t.Fatalf("%d packages are left, %v", left, err)
		}
		apply(4)
		wantList(t, "findings", list(t, s, plimsoll.Everything, every()), "shop/4:1 "+cve(1)+" left open")
		checkFindings(t, s)
	})
}
