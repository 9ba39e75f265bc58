package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
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
// 50,000 images in 60 seconds on 2 cores). Each image is there ten times: run it
// with -benchtime 100x, or with 5000x for the budget, which takes half an hour.
func BenchmarkReevaluate(b *testing.B) {
	const copies = 10
	if b.N == 1 { // the framework's trial
		return
	}
	fleet := newBenchFleet(b, 64, b.N)
	fleet.take(b, 16, int64(b.N))
	multiply(b, fleet.s, copies)
	next := realJudge{compiledAdvisories(b, loadgen.Second)}
	b.ResetTimer()
	before := cpuTime()
	if _, err := fleet.s.Activate(b.Context(), next.Generation()); err != nil {
		b.Fatal(err)
	}
	if err := fleet.s.Evaluate(b.Context(), next, nil); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(copies*b.N)/b.Elapsed().Seconds(), "images/s")
	b.ReportMetric((cpuTime()-before).Seconds()*1000/float64(copies*b.N), "CPU-ms/image")
	var software, matches int64
	if err := fleet.s.reader.QueryRowContext(b.Context(), "SELECT (SELECT count(*) FROM software), (SELECT count(*) FROM match)").Scan(&software, &matches); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(software), "software")
	b.ReportMetric(float64(matches), "matches")
	checkSample(b, fleet.s, next, 200)
}

// checkSample judges the packages of some images from scratch and fails the
// benchmark unless their findings and counts are those that the store has.
func checkSample(b *testing.B, s *Store, judge plimsoll.Judge, size int) {
	images, findings := 0, 0
	err := s.read(b.Context(), "read a sample", func(t *tx) error {
		all, err := t.ids("SELECT id FROM image WHERE inventory > 0 ORDER BY id")
		if err != nil {
			return err
		}
		random := rand.New(rand.NewPCG(7, 7))
		for range size {
			id := all[random.IntN(len(all))]
			n, err := t.checkImage(b.Context(), judge, id)
			if err != nil {
				return fmt.Errorf("image %d: %w", id, err)
			}
			images, findings = images+1, findings+n
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d images of %d findings are what judging them from scratch says", images, findings)
}

func (t *tx) checkImage(ctx context.Context, judge plimsoll.Judge, image int64) (findings int, err error) {
	type installed struct {
		software int64
		pkg      plimsoll.Package
	}
	bySystem := make(map[string][]installed)
	rows, err := t.query(`SELECT s.id, coalesce((SELECT os FROM system WHERE id = s.system_id), '{}'), s.type, s.name, s.version, s.arch,
		s.source_name, s.source_version, s.module, s.origin, s.owned FROM instance i JOIN software s ON s.id = i.software_id WHERE i.image_id = ?`, image)
	err = each(rows, err, func(scan func(...any) error) error {
		var in installed
		var system string
		var owned bool
		p := &in.pkg
		err := scan(&in.software, &system, &p.Type, &p.Name, &p.Version, &p.Arch, &p.Source.Name, &p.Source.Version, &p.Module, &p.Origin, &owned)
		in.pkg = subject(p, owned)
		bySystem[system] = append(bySystem[system], in)
		return err
	})
	if err != nil {
		return 0, err
	}
	want := make(map[string]int)
	var counts api.Counts
	for system, list := range bySystem {
		var os plimsoll.OS
		if err := json.Unmarshal([]byte(system), &os); err != nil {
			return 0, err
		}
		packages := make([]plimsoll.Package, len(list))
		for i := range list {
			packages[i] = list[i].pkg
		}
		verdicts, err := judgeAll(ctx, judge, os, packages)
		if err != nil {
			return 0, err
		}
		for i, v := range verdicts {
			for _, f := range v.Findings {
				if f.Status == plimsoll.StatusAffected {
					want[fmt.Sprint(list[i].software, " ", f.Vulnerability.ID)]++
					counts.Add(f.Vulnerability.Severity, 1)
					findings++
				}
			}
		}
	}
	have := make(map[string]int)
	rows, err = t.query(`SELECT i.software_id, v.name FROM instance i JOIN match m ON m.software_id = i.software_id JOIN vulnerability v ON v.id = m.vulnerability_id
		WHERE i.image_id = ? AND `+counted, image)
	err = each(rows, err, func(scan func(...any) error) error {
		var software int64
		var name string
		err := scan(&software, &name)
		have[fmt.Sprint(software, " ", name)]++
		return err
	})
	if err != nil {
		return 0, err
	}
	if !maps.Equal(have, want) {
		return 0, fmt.Errorf("%d findings, judged from scratch %d", len(have), len(want))
	}
	var kept api.Counts
	if err := t.row(`SELECT s_critical + a_critical, s_high + a_high, s_medium + a_medium, s_low + a_low, s_unknown + a_unknown, s_none + a_none
		FROM image WHERE id = ?`, image).Scan(&kept.Critical, &kept.High, &kept.Medium, &kept.Low, &kept.Unknown, &kept.None); err != nil {
		return 0, err
	}
	if kept != counts {
		return 0, fmt.Errorf("counts %+v, from scratch %+v", kept, counts)
	}
	return findings, nil
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
