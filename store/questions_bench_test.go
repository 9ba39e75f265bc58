package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/bench"
	"plimsoll/e2e/loadgen"
	"plimsoll/vulndb"
)

// compiled returns a judge by a generation of the advisories that loadgen invents.
func compiled(b testing.TB, generation int) realJudge {
	path := filepath.Join(b.TempDir(), "generation")
	if _, err := loadgen.Compile(b.Context(), path, generation); err != nil {
		b.Fatal(err)
	}
	db, err := vulndb.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return realJudge{db}
}

// fillFleet makes a store the console of a fleet that was read and judged.
func fillFleet(b testing.TB, s *Store, size loadgen.Size, judge realJudge) {
	f := loadgen.Fleet{Size: size}
	if _, err := s.Activate(b.Context(), judge.Generation()); err != nil {
		b.Fatal(err)
	}
	readers := make(map[plimsoll.Digest]int64)
	for h := range f.Hosts {
		id := joinHost(b, s, fmt.Sprintf("host-%04d", h), "env=load", fmt.Sprintf("rack=%d", h/20))
		y := f.Sync(h, 1, testStart)
		mustSync(b, s, id, y)
		for _, i := range f.Images(h) {
			readers[f.ImageID(i)] = id
		}
	}
	const together = 50
	for first := 0; first < f.Distinct; first += together {
		var list []api.ScanResult
		for i := first; i < min(first+together, f.Distinct); i++ {
			list = append(list, api.ScanResult{Report: fmt.Sprint("report ", i), Lease: "lease", Image: f.ImageID(i), Status: plimsoll.ScanComplete,
				Started: testStart, Ended: testStart, Analyzed: 1, Inventory: f.Inventory(i)})
		}
		if err := storeReports(b.Context(), s, readers, list, judge); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFleet measures each list and search (budget: p95 of 300 ms) of 10,000 hosts
// with 100 of 50,000 images each, which have some twenty million findings, and a
// re-evaluation of all of it (budget: 60 s). It takes half an hour and writes
// docs/fleet-lists.md. Run it with make lists.
func BenchmarkFleet(b *testing.B) {
	const asks, document = 20, "../docs/fleet-lists.md"
	setting, err := bench.Here(os.Getenv("PLIMSOLL_BIN"), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s := benchStore(b)
	fillFleet(b, s, loadgen.Size{Hosts: 1000, PerHost: 100, Distinct: 5000, Seed: 1}, compiled(b, loadgen.First))
	multiply(b, s, 10)
	next := compiled(b, loadgen.Second)
	start, before := time.Now(), cpuTime()
	if _, err := s.Activate(b.Context(), next.Generation()); err != nil {
		b.Fatal(err)
	}
	if err := s.Evaluate(b.Context(), next, nil); err != nil {
		b.Fatal(err)
	}
	judged, used := time.Since(start), cpuTime()-before
	checkSample(b, s, next, 200)

	page, err := s.Vulnerabilities(b.Context(), plimsoll.Everything, api.VulnerabilityFilter{}, api.List{Sort: "images", Limit: 1})
	if err != nil || len(page.Items) == 0 {
		b.Fatal(err, "no vulnerability")
	}
	var table bench.Table
	table.Row("list", "median, ms", "p95, ms", "how SQLite finds the page")
	for _, q := range fleetQuestions(page.Items[0].Name) {
		plan := pagePlan(b, s, q)
		var took []time.Duration
		for range asks {
			start := time.Now()
			if err := q.ask(s); err != nil {
				b.Fatal(q.name, err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		table.Row(q.name, took[asks/2], took[asks*95/100-1], plan)
	}
	var hosts, held, images, software, matches, findings, size int64
	if err := s.reader.QueryRowContext(b.Context(), `SELECT (SELECT count(*) FROM host), (SELECT count(*) FROM host_image), (SELECT count(*) FROM image),
		(SELECT count(*) FROM software), (SELECT count(*) FROM match), (SELECT sum(findings) FROM risk),
		(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)`).Scan(&hosts, &held, &images, &software, &matches, &findings, &size); err != nil {
		b.Fatal(err)
	}
	report := fmt.Sprintf(`%s

%d hosts hold %d images %d times. In them are %d distinct packages with %d matches: %d findings
in the images. The database takes %d MiB.

**Other advisories**, in which one flaw in fifty is withdrawn and each tenth name with flaws
has one more, so that nearly all images have other findings: all is judged and counted anew
after %.1f s, %.1f s of a processor. The findings and counts of 200 images, drawn by chance,
are what judging their packages from scratch says.

%s`, setting, hosts, images, held, software, matches, findings, size>>20, judged.Seconds(), used.Seconds(), table)
	if err := bench.Replace(document, "lists", report); err != nil {
		b.Fatal(err)
	}
}

// pagePlan asks a question and says how the database finds what its list shows.
func pagePlan(b *testing.B, s *Store, q fleetQuestion) string {
	var text string
	var values []any
	s.asked = func(query string, args []any) {
		if text == "" && strings.Contains(query, " ORDER BY ") && strings.Contains(query, " LIMIT ") {
			text, values = query, args
		}
	}
	err := q.ask(s)
	s.asked = nil
	if err != nil {
		b.Fatal(q.name, err)
	}
	var steps []string
	if text == "" || s.dialect == postgres {
		return ""
	}
	if err := s.read(b.Context(), "explain", func(t *tx) error {
		rows, err := t.query("EXPLAIN QUERY PLAN "+text, values...)
		return each(rows, err, func(scan func(...any) error) error {
			var id, parent, unused int
			var detail string
			err := scan(&id, &parent, &unused, &detail)
			steps = append(steps, detail)
			return err
		})
	}); err != nil {
		b.Fatal(q.name, err)
	}
	return strings.Join(steps, "; ")
}

// fleetQuestion is a list as somebody asks for it.
type fleetQuestion struct {
	name string
	ask  func(*Store) error
}

// fleetQuestions are each list by each of its sort keys, and what people look
// for; what needs some hosts only is asked of all, of twenty and of one. worst is
// the vulnerability that most images have.
func fleetQuestions(worst string) (list []fleetQuestion) {
	const name = "node-parse-ssl-7"
	ctx := context.Background()
	add := func(name string, ask func(s *Store) error) { list = append(list, fleetQuestion{name, ask}) }
	images := func(scope plimsoll.Scope, what string, f api.ImageFilter, sort string) {
		add("images "+what, func(s *Store) error {
			_, err := s.Images(ctx, scope, f, api.List{Sort: sort})
			return err
		})
	}
	findings := func(scope plimsoll.Scope, what string, f api.FindingFilter, sort string) {
		add("findings "+what, func(s *Store) error {
			_, err := s.Findings(ctx, scope, f, api.List{Sort: sort})
			return err
		})
	}
	vulnerabilities := func(scope plimsoll.Scope, what string, f api.VulnerabilityFilter, sort string) {
		add("vulnerabilities "+what, func(s *Store) error {
			_, err := s.Vulnerabilities(ctx, scope, f, api.List{Sort: sort})
			return err
		})
	}
	software := func(scope plimsoll.Scope, what string, f api.SoftwareFilter, sort string) {
		add("software "+what, func(s *Store) error {
			_, err := s.Software(ctx, scope, f, api.List{Sort: sort})
			return err
		})
	}
	all := plimsoll.Everything
	for _, sort := range api.ImageSorts {
		images(all, "by "+sort, api.ImageFilter{}, sort)
	}
	for _, sort := range api.FindingSorts {
		findings(all, "by "+sort, api.FindingFilter{}, sort)
	}
	for _, sort := range api.VulnerabilitySorts {
		vulnerabilities(all, "by "+sort, api.VulnerabilityFilter{}, sort)
	}
	for _, sort := range api.SoftwareSorts {
		software(all, "by "+sort, api.SoftwareFilter{}, sort)
	}
	for _, sort := range api.HostSorts {
		add("hosts by "+sort, func(s *Store) error {
			_, err := s.Hosts(ctx, all, api.HostFilter{}, api.List{Sort: sort})
			return err
		})
	}
	list = append(list,
		fleetQuestion{"containers", func(s *Store) error { _, err := s.Containers(ctx, all, ContainerFilter{}, api.List{}); return err }},
		fleetQuestion{"places of an image", func(s *Store) error { _, err := s.Presences(ctx, all, 1, api.List{}); return err }},
		fleetQuestion{"packages of an image", func(s *Store) error { _, err := s.Installed(ctx, all, 1, api.SoftwareFilter{}, api.List{}); return err }},
		fleetQuestion{"changes of an image", func(s *Store) error { _, err := s.ImageChanges(ctx, all, 1, api.List{}); return err }},
		fleetQuestion{"changes of a generation", func(s *Store) error { _, err := s.Changes(ctx, all, 1, "", api.List{}); return err }},
		fleetQuestion{"generations", func(s *Store) error { _, err := s.Generations(ctx, api.List{}); return err }},
		fleetQuestion{"decisions", func(s *Store) error { _, err := s.Decisions(ctx, all, DecisionFilter{}, api.List{}); return err }},
		fleetQuestion{"what became of decisions", func(s *Store) error {
			_, err := s.DecisionEvents(ctx, all, DecisionEventFilter{}, api.List{})
			return err
		}},
		fleetQuestion{"VEX documents", func(s *Store) error { _, err := s.VEXDocuments(ctx, all, api.List{}); return err }},
		fleetQuestion{"tasks", func(s *Store) error { _, err := s.Tasks(ctx, all, "", api.TaskFilter{}, api.List{}); return err }},
		fleetQuestion{"exports", func(s *Store) error { _, err := s.Exports(ctx, "", api.List{}); return err }},
		fleetQuestion{"audit log", func(s *Store) error { _, err := s.AuditLog(ctx, AuditFilter{}, api.List{}); return err }},
	)
	images(all, "q", api.ImageFilter{Query: "service-1"}, "")
	images(all, "risk fixable", api.ImageFilter{Risks: []string{"critical"}, Fixable: true}, "")
	images(all, "software", api.ImageFilter{Software: name}, "")
	images(all, "common software", api.ImageFilter{Software: "libssl-ssl-0"}, "")
	images(all, "hostName", api.ImageFilter{HostName: "host-0001"}, "")
	findings(all, "severity fixable", api.FindingFilter{Severities: []string{"critical"}, Fixable: true}, "")
	findings(all, "low", api.FindingFilter{Severities: []string{"low"}}, "")
	findings(all, "kev", api.FindingFilter{KEV: true}, "")
	findings(all, "package", api.FindingFilter{Package: name}, "")
	findings(all, "common package", api.FindingFilter{Package: "libssl-ssl-0"}, "")
	findings(all, "no package", api.FindingFilter{Package: "none"}, "")
	findings(all, "host", api.FindingFilter{Host: 7}, "")
	findings(all, "ignored", api.FindingFilter{States: []string{"ignored"}}, "")
	vulnerabilities(all, "q", api.VulnerabilityFilter{Query: "CVE-2020"}, "")
	vulnerabilities(all, "kev", api.VulnerabilityFilter{KEV: true}, "")
	vulnerabilities(all, "package", api.VulnerabilityFilter{Package: name}, "")
	vulnerabilities(all, "all hosts", api.VulnerabilityFilter{Label: "env=load"}, "")
	vulnerabilities(all, "twenty hosts", api.VulnerabilityFilter{Label: "rack=7"}, "")
	vulnerabilities(all, "one host", api.VulnerabilityFilter{Host: 7}, "")
	software(all, "q", api.SoftwareFilter{Query: "ssl"}, "")
	software(all, "below", api.SoftwareFilter{Name: name, Below: "1.7.0"}, "")
	add("places below", func(s *Store) error {
		_, err := s.Places(ctx, all, api.SoftwareFilter{Name: name, Below: "1.7.0"}, api.List{})
		return err
	})
	for _, scope := range []plimsoll.Scope{all, {Labels: []string{"rack=7"}}} {
		where := " with the worst vulnerability" + strings.Join(append([]string{""}, scope.Labels...), " within ")
		images(scope, where[1:], api.ImageFilter{Vuln: worst}, "")
		add("hosts"+where, func(s *Store) error {
			_, err := s.Hosts(ctx, scope, api.HostFilter{Vuln: worst}, api.List{})
			return err
		})
		add("containers"+where, func(s *Store) error {
			_, err := s.Containers(ctx, scope, ContainerFilter{Vuln: worst, Running: true}, api.List{})
			return err
		})
	}
	add("diff", func(s *Store) error {
		_, err := s.DiffImages(ctx, all, 1, 2)
		return err
	})
	add("dashboard", func(s *Store) error {
		_, err := s.Dashboard(ctx, all)
		return err
	})
	for _, label := range []string{"env=load", "rack=7"} {
		scope := plimsoll.Scope{Labels: []string{label}}
		images(scope, "within "+label, api.ImageFilter{}, "")
		images(scope, "by name within "+label, api.ImageFilter{}, "name")
		findings(scope, "within "+label, api.FindingFilter{}, "")
		findings(scope, "package within "+label, api.FindingFilter{Package: name}, "")
		vulnerabilities(scope, "within "+label, api.VulnerabilityFilter{}, "")
		vulnerabilities(scope, "by name within "+label, api.VulnerabilityFilter{}, "name")
		software(scope, "within "+label, api.SoftwareFilter{}, "")
		software(scope, "q within "+label, api.SoftwareFilter{Query: "ssl"}, "")
		add("dashboard within "+label, func(s *Store) error {
			_, err := s.Dashboard(ctx, scope)
			return err
		})
	}
	return list
}
