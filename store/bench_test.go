package store

import (
	"fmt"
	"os"
	"testing"

	"plimsoll"
	"plimsoll/api"
)

// benchStore is a store on SQLite, or on PostgreSQL when PLIMSOLL_TEST_PG is set.
func benchStore(b *testing.B) *Store {
	if dsn := os.Getenv("PLIMSOLL_TEST_PG"); dsn != "" {
		return openTest(b, testDatabase(b, dsn))
	}
	return testStore(b)
}

// fleetOf adds images of 400 packages with 100 matches each, of which most
// packages are those of other images, and returns a function that stores the
// result of one.
func fleetOf(b *testing.B, s *Store, images int) (judge *testJudge, store func(n int)) {
	const packages, flawed = 400, 100
	host := joinHost(b, s, "one")
	var list []api.HostImage
	for n := range images {
		list = append(list, hostImage(n, fmt.Sprintf("r%d:1", n)))
	}
	mustSync(b, s, host, fullSync(1, list...))
	judge = &testJudge{generation: 1}
	byName := map[string]testFlaw{}
	for n := range flawed {
		byName[fmt.Sprint("p", n)] = newFlaw(n, fmt.Sprint("p", n), plimsoll.Severity(n%6), "9")
	}
	for _, name := range sortedKeys(byName) {
		judge.flaws = append(judge.flaws, byName[name])
	}
	mustActivate(b, s, judge)
	return judge, func(n int) {
		var all []plimsoll.Package
		for p := range packages {
			version := fmt.Sprint(n % 20) // twenty bases
			if p%40 == 0 {
				version = fmt.Sprint("own ", n)
			}
			all = append(all, npm(fmt.Sprint("p", p), version))
		}
		mustStore(b, s, host, reportOf(n, fmt.Sprint(n), all...), judge)
	}
}

// Inventories of 400 packages with 100 matches each (budget: 200 a second).
func BenchmarkApplyResult(b *testing.B) {
	s := benchStore(b)
	_, store := fleetOf(b, s, b.N+20)
	for n := range 20 {
		store(n) // the fleet knows the bases
	}
	b.ResetTimer()
	for n := range b.N {
		store(n + 20)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "inventories/s")
}

// Another generation for 500 images with 50,000 findings, all of which change.
func BenchmarkEvaluate(b *testing.B) {
	const images = 500
	s := benchStore(b)
	judge, store := fleetOf(b, s, images)
	for n := range images {
		store(n)
	}
	b.ResetTimer()
	for n := range b.N {
		next := &testJudge{generation: n + 2}
		for _, f := range judge.flaws {
			f.Severity = plimsoll.Severity((int(f.Severity) + n + 1) % 6)
			next.flaws = append(next.flaws, f)
		}
		mustEvaluate(b, s, next)
	}
	b.ReportMetric(float64(b.N*images*100)/b.Elapsed().Seconds(), "findings/s")
}
