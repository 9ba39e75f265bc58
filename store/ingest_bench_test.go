package store

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/loadgen"
	"plimsoll/match"
	"plimsoll/vulndb"
)

// realJudge judges by compiled advisories, as a console does.
type realJudge struct{ *vulndb.DB }

func (j realJudge) Judge(ctx context.Context, system plimsoll.OS, packages []plimsoll.Package) ([]plimsoll.Verdict, error) {
	return match.Judge(ctx, j.DB, system, packages, match.Options{Now: j.Generation().Built})
}

func (j realJudge) Why(context.Context, plimsoll.OS, plimsoll.Package, []plimsoll.Reason) string {
	return ""
}

// BenchmarkIngest measures how many inventories a second a console takes in, of
// the fleet that loadgen invents: 80 to 500 packages with about 400 findings each,
// from as many callers as the server admits, leases included (budget: 200 a second
// on 2 cores with SQLite). The first thousand, which bring most of the software,
// do not count. x-bare compares the processor time with that of writing as many
// rows into a table without an index: a figure that a busy machine does not change.
// Run it with -benchtime 1000x.
func BenchmarkIngest(b *testing.B) {
	const hosts, callers = 64, 16
	warm := 1000
	if b.N == 1 { // the framework's trial
		warm = 1
	}
	fleet := newBenchFleet(b, hosts, warm+b.N)
	take := func(n int64) { fleet.take(b, callers, n) }
	take(int64(warm))
	b.ResetTimer()
	before := cpuTime()
	take(int64(b.N))
	b.StopTimer()
	each := (cpuTime() - before) / time.Duration(b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inventories/s")
	b.ReportMetric(each.Seconds()*1000, "CPU-ms/inventory")
	b.ReportMetric(float64(each)/float64(bareWrite(b, fleet.s)), "x-bare")
}

// benchFleet is a store with hosts whose images wait to be read.
type benchFleet struct {
	s           *Store
	judge       plimsoll.Judge
	hosts       []int64
	inventories map[plimsoll.Digest]*plimsoll.Inventory
}

func newBenchFleet(b *testing.B, hosts, images int) *benchFleet {
	f := loadgen.Fleet{Size: loadgen.Size{Hosts: hosts, PerHost: (images + hosts - 1) / hosts, Distinct: images, Seed: 1}}
	db := compiledAdvisories(b, loadgen.First)
	fleet := &benchFleet{s: benchStore(b), judge: realJudge{db}, hosts: make([]int64, hosts), inventories: make(map[plimsoll.Digest]*plimsoll.Inventory)}
	s := fleet.s
	if _, err := s.Activate(b.Context(), db.Generation()); err != nil {
		b.Fatal(err)
	}
	for i := range f.Distinct {
		fleet.inventories[f.ImageID(i)] = f.Inventory(i)
	}
	for h := range fleet.hosts {
		fleet.hosts[h] = joinHost(b, s, fmt.Sprint("host ", h))
		y := f.Sync(h, 1, testStart)
		y.Host.Analyzers = "set 1"
		mustSync(b, s, fleet.hosts[h], y)
	}
	// The facts of all layers are known: no image waits for another's.
	execTest(b, s, `INSERT INTO layer_facts (key, diff_id, analyzers, host_id, size, stored, data) SELECT diff_id, diff_id, 'set 1', 1, 0, 0, '' FROM layer`)
	all := make([]int64, f.Distinct)
	for i := range all {
		all[i] = int64(i + 1)
	}
	if _, err := s.StartScan(b.Context(), NewScan{Title: "scan", CreatedBy: "ann", Scope: plimsoll.Everything, Images: all}); err != nil {
		b.Fatal(err)
	}
	return fleet
}

func compiledAdvisories(b *testing.B, generation int) *vulndb.DB {
	path := filepath.Join(b.TempDir(), "generation")
	if _, err := loadgen.Compile(b.Context(), path, generation); err != nil {
		b.Fatal(err)
	}
	db, err := vulndb.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

// take has callers at a time ask for work and deliver results, n in all.
func (f *benchFleet) take(b *testing.B, callers int, n int64) {
	var left atomic.Int64
	left.Store(n)
	var group sync.WaitGroup
	for c := range callers {
		group.Go(func() {
			for h := c * len(f.hosts) / callers; left.Add(-1) >= 0; h = (h + 1) % len(f.hosts) {
				work, err := f.s.WorkFor(b.Context(), f.hosts[h])
				if err != nil {
					b.Error(err)
					return
				}
				if work.Scan == nil {
					left.Add(1)
					time.Sleep(time.Millisecond)
					continue
				}
				r := api.ScanResult{Report: work.Scan.ID, Lease: work.Scan.ID, Image: work.Scan.Image, Status: plimsoll.ScanComplete,
					Started: testStart, Ended: testStart, Analyzed: 1, Inventory: f.inventories[work.Scan.Image]}
				if _, err := f.s.ApplyResult(context.WithoutCancel(b.Context()), f.hosts[h], r, f.judge); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkReevaluate measures how many images a second another edition of the
// advisories is applied to, in which one flaw in fifty is withdrawn and each tenth
// name with flaws has one more: nearly all images have other findings then (budget:
// 50,000 images in 60 seconds on 2 cores). Run it with -benchtime 1000x.
func BenchmarkReevaluate(b *testing.B) {
	if b.N == 1 { // the framework's trial
		return
	}
	fleet := newBenchFleet(b, 64, b.N)
	fleet.take(b, 16, int64(b.N))
	next := compiledAdvisories(b, loadgen.Second)
	if _, err := fleet.s.Activate(b.Context(), next.Generation()); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	before := cpuTime()
	if err := fleet.s.Evaluate(b.Context(), realJudge{next}, nil); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
	b.ReportMetric((cpuTime()-before).Seconds()*1000/float64(b.N), "CPU-ms/image")
	var software, matches int64
	if err := fleet.s.reader.QueryRowContext(b.Context(), "SELECT (SELECT count(*) FROM software), (SELECT count(*) FROM match)").Scan(&software, &matches); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(software), "software")
	b.ReportMetric(float64(matches), "matches")
}

// bareWrite returns the processor time of writing 400 rows as wide as an instance,
// a transaction each, into a table without an index.
func bareWrite(b *testing.B, s *Store) time.Duration {
	const times = 50
	execTest(b, s, "CREATE TABLE bare (a BIGINT, b BIGINT, c TEXT, d TEXT, e TEXT, f TEXT, g BIGINT, h BIGINT, i TEXT, j BIGINT, k TEXT, l TEXT)")
	rows := make([][]any, 400)
	for i := range rows {
		rows[i] = []any{1, i, fmt.Sprint("app/node_modules/package-", i, "/package.json"), "app/node_modules", "", "", 2, 0, "metadata", 0, "", ""}
	}
	before := cpuTime()
	for range times {
		if err := s.write(b.Context(), "write rows", func(t *tx) error {
			return t.insertMany("bare (a, b, c, d, e, f, g, h, i, j, k, l)", 12, rows, "")
		}); err != nil {
			b.Fatal(err)
		}
	}
	return (cpuTime() - before) / times
}

// cpuTime is what this process has used: on a shared machine it says more than
// the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
