package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// testFlaw is a flaw in all packages of one name, or one version of it.
type testFlaw struct {
	plimsoll.Vulnerability
	pkg, version, fixed string
	status              plimsoll.Status
}

// testJudge answers from a list of flaws. Packages called "nobody…" are covered
// by nobody.
type testJudge struct {
	generation int
	flaws      []testFlaw
	judged     int // packages
}

func (j *testJudge) Generation() plimsoll.Generation {
	return plimsoll.Generation{ID: digestOf("generation", j.generation), Built: testStart.Add(time.Duration(j.generation) * 24 * time.Hour), Advisories: len(j.flaws)}
}

func (j *testJudge) Judge(ctx context.Context, system plimsoll.OS, packages []plimsoll.Package) ([]plimsoll.Verdict, error) {
	verdicts := make([]plimsoll.Verdict, len(packages))
	for i, p := range packages {
		j.judged++
		v := &verdicts[i]
		if strings.HasPrefix(p.Name, "nobody") {
			v.Why = "nobody publishes advisories"
			continue
		}
		v.Group, v.Ecosystem = string(p.Type)+" "+system.ID, "test"
		if p.Owner != "" {
			continue // the distribution speaks
		}
		for _, f := range j.flaws {
			if f.pkg != p.Name || f.version != "" && f.version != p.Version {
				continue
			}
			found := plimsoll.Finding{Vulnerability: f.Vulnerability, Package: p, Class: plimsoll.ClassApplication, Status: f.status,
				Reasons: []plimsoll.Reason{{Advisory: "ADV-" + f.ID, Provider: "Test", Range: "< " + f.fixed, Package: p.Name, Version: p.Version, Modified: testStart}}}
			if p.Type.System() {
				found.Class = plimsoll.ClassSystem
			}
			if found.Status == "" {
				found.Status = plimsoll.StatusAffected
			}
			if f.fixed != "" {
				found.State, found.FixedVersion, found.FixedVersions = plimsoll.FixAvailable, f.fixed, []string{f.fixed}
			}
			v.Findings = append(v.Findings, found)
		}
	}
	return verdicts, ctx.Err()
}

func (j *testJudge) Why(_ context.Context, _ plimsoll.OS, p plimsoll.Package, was []plimsoll.Reason) string {
	return fmt.Sprintf("%s no longer speaks of %s", was[0].Advisory, p.Name)
}

func cve(n int) string { return fmt.Sprintf("CVE-2026-%04d", n) }

// newFlaw is a flaw of a package with a severity.
func newFlaw(n int, pkg string, s plimsoll.Severity, fixed string) testFlaw {
	return testFlaw{Vulnerability: plimsoll.Vulnerability{ID: cve(n), Severity: s, SeveritySource: "Test", Summary: "a flaw in " + pkg}, pkg: pkg, fixed: fixed}
}

var debian = plimsoll.OS{ID: "debian", VersionID: "12", Name: "Debian GNU/Linux 12", Codename: "bookworm", Path: "etc/os-release"}

func npm(name, version string) plimsoll.Package {
	return plimsoll.Package{Type: plimsoll.TypeNPM, Name: name, Version: version, Path: "app/node_modules/" + name + "/package.json",
		PURL: "pkg:npm/" + name + "@" + version, Evidence: plimsoll.EvidenceMetadata}
}

func deb(name, version string) plimsoll.Package {
	return plimsoll.Package{Type: plimsoll.TypeDeb, Name: name, Version: version, Arch: "amd64", Source: plimsoll.SourcePackage{Name: name, Version: version},
		Path: "var/lib/dpkg/status", PURL: "pkg:deb/debian/" + name + "@" + version, Evidence: plimsoll.EvidencePackageDB, Supplier: "Debian"}
}

// reportOf is a complete result for image n.
func reportOf(n int, report string, packages ...plimsoll.Package) api.ScanResult {
	return api.ScanResult{Report: report, Lease: "lease", Image: digestOf("image", n), Status: plimsoll.ScanComplete, Started: testStart, Ended: testStart.Add(time.Second),
		Analyzed: 2, Inventory: &plimsoll.Inventory{ImageID: digestOf("image", n), Analyzers: "set 1", Systems: []plimsoll.OS{debian}, Packages: packages}}
}

// mustStore stores a result as ApplyResult does once the lease was looked up.
func mustStore(t testing.TB, s *Store, host int64, r api.ScanResult, judge plimsoll.Judge) {
	t.Helper()
	if err := storeReport(t.Context(), s, host, r, judge); err != nil {
		t.Fatal(err)
	}
}

func storeReport(ctx context.Context, s *Store, host int64, r api.ScanResult, judge plimsoll.Judge) error {
	return storeReports(ctx, s, map[plimsoll.Digest]int64{r.Image: host}, []api.ScanResult{r}, judge)
}

// storeReports stores what hosts say about their images at once.
func storeReports(ctx context.Context, s *Store, hosts map[plimsoll.Digest]int64, list []api.ScanResult, judge plimsoll.Judge) error {
	readings := make([]*reading, len(list))
	for i := range list {
		if err := checkResult(&list[i]); err != nil {
			return err
		}
		var err error
		if readings[i], err = s.prepare(ctx, &list[i], judge); err != nil {
			return err
		}
	}
	return s.writeFindings(ctx, "store", func(t *tx) error {
		var images []int64
		for i, in := range readings {
			of := list[i].Image
			ids, err := t.ids("SELECT id FROM image WHERE digest = ?", string(of))
			if err != nil {
				return err
			}
			_, changed, err := t.storeResult(hosts[of], ids[0], in)
			if err != nil {
				return err
			}
			if changed {
				images = append(images, ids[0])
			}
		}
		return t.renewFindings(images, nil)
	})
}

func mustActivate(t testing.TB, s *Store, j *testJudge) {
	t.Helper()
	if _, err := s.Activate(t.Context(), j.Generation()); err != nil {
		t.Fatal(err)
	}
}

func mustEvaluate(t testing.TB, s *Store, j *testJudge) {
	t.Helper()
	mustActivate(t, s, j)
	if err := s.Evaluate(t.Context(), j, nil); err != nil {
		t.Fatal(err)
	}
}

func mustDecide(t testing.TB, s *Store, r api.DecisionRequest) []api.Decision {
	t.Helper()
	made, err := s.Decide(t.Context(), plimsoll.Everything, "ann", r)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// list returns the findings of a filter as "image vulnerability package state".
func list(t testing.TB, s *Store, scope plimsoll.Scope, f api.FindingFilter) (lines []string) {
	t.Helper()
	err := s.EachFinding(t.Context(), scope, f, func(f *api.Finding) error {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", f.Image, f.Vulnerability, f.Package, f.State))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func wantList(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// any state
func every() api.FindingFilter { return api.FindingFilter{States: allStates} }

func TestFindingsOfAnImage(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		mustSync(t, s, host, fullSync(1, hostImage(1, "shop/web:1")))
		judge := &testJudge{generation: 1, flaws: []testFlaw{
			newFlaw(1, "left", plimsoll.SeverityHigh, "2.0"),
			newFlaw(2, "openssl", plimsoll.SeverityCritical, ""),
			{Vulnerability: plimsoll.Vulnerability{ID: cve(3), Severity: plimsoll.SeverityLow, KEV: &plimsoll.KEV{Added: testStart}, Aliases: []string{"GHSA-aaaa"}}, pkg: "left"},
			{Vulnerability: plimsoll.Vulnerability{ID: cve(4), Severity: plimsoll.SeverityHigh}, pkg: "linux-headers", status: plimsoll.StatusNotPresent},
		}}
		mustActivate(t, s, judge)
		owned := npm("left", "1.1")
		owned.Path, owned.Owner = "usr/share/left/package.json", "left-js"
		mustStore(t, s, host, reportOf(1, "r1", npm("left", "1.0"), deb("openssl", "3.0"), deb("linux-headers", "6"), npm("nobody", "1"), deb("left-js", "1"), owned), judge)
		img := imageNumber(t, s, plimsoll.Everything, 1)
		want := api.Image{Packages: 6, Uncovered: 1, Systems: api.Counts{Critical: 1}, Applications: api.Counts{High: 1, Low: 1}, Fixable: 1, KEV: 1, Risk: "critical", State: plimsoll.ImageSucceeded, System: "Debian 12"}
		got := api.Image{Packages: img.Packages, Uncovered: img.Uncovered, Systems: img.Systems, Applications: img.Applications, Fixable: img.Fixable, KEV: img.KEV, Risk: img.Risk, State: img.State, System: img.System}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("image:\n got %+v\nwant %+v", got, want)
		}
		checkFindings(t, s)

		page, err := s.Findings(t.Context(), plimsoll.Everything, api.FindingFilter{Image: img.ID}, api.List{})
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, f := range page.Items {
			order = append(order, f.Vulnerability)
		}
		// Exploited first, then by severity; what lacks the component is listed too.
		if want := []string{cve(3), cve(2), cve(4), cve(1)}; !slices.Equal(order, want) {
			t.Errorf("order %q, want %q", order, want)
		}
		f := page.Items[len(page.Items)-1]
		if f.FixedVersion != "2.0" || f.Fix != plimsoll.FixAvailable || f.Image != "shop/web:1" || f.Class != plimsoll.ClassApplication || len(f.Reasons) != 1 || f.Reasons[0].Advisory != "ADV-"+cve(1) {
			t.Errorf("finding %+v", f)
		}
		if page.Total != 4 {
			t.Errorf("total %d", page.Total)
		}
		one, err := s.Finding(t.Context(), plimsoll.Everything, f.ID)
		if err != nil || !reflect.DeepEqual(one, f) {
			t.Errorf("one finding: %v, %+v", err, one)
		}
		wantList(t, "by alias", list(t, s, plimsoll.Everything, api.FindingFilter{Vulnerability: "ghsa-aaaa"}), "shop/web:1 "+cve(3)+" left open")

		v, err := s.Vulnerability(t.Context(), plimsoll.Everything, "ghsa-AAAA", plimsoll.ClassApplication)
		if err != nil || v.Name != cve(3) || v.Findings != 1 || v.Images != 1 || v.Hosts != 1 || v.KEVEntry == nil {
			t.Errorf("vulnerability: %v, %+v", err, v)
		}
		if any, err := s.Vulnerability(t.Context(), plimsoll.Everything, "ghsa-AAAA", ""); err != nil || !reflect.DeepEqual(any, v) || !slices.Equal(v.Classes, []plimsoll.Class{plimsoll.ClassApplication}) {
			t.Errorf("without a class it is the one that has it: %v, %+v", err, any)
		}
		if _, err := s.Vulnerability(t.Context(), plimsoll.Everything, cve(3), plimsoll.ClassSystem); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("no system package has it: %v", err)
		}
	})
}

// What a layer brought, of findings and of packages; in one image alone.
// BIN-03: a finding tells what proves its package, and how sure that makes it.
func TestBIN03FindingsTellTheirConfidence(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		mustSync(t, s, host, fullSync(1, hostImage(1, "shop/web:1")))
		judge := &testJudge{generation: 1}
		mustActivate(t, s, judge)
		want := map[plimsoll.Evidence]plimsoll.Confidence{
			plimsoll.EvidencePackageDB: plimsoll.ConfidenceHigh, plimsoll.EvidenceMetadata: plimsoll.ConfidenceHigh,
			plimsoll.EvidenceSBOM: plimsoll.ConfidenceMedium, plimsoll.EvidenceFileName: plimsoll.ConfidenceMedium, plimsoll.EvidenceBinary: plimsoll.ConfidenceLow,
		}
		var packages []plimsoll.Package
		for evidence := range want {
			p := npm("by-"+string(evidence), "1.0")
			p.Evidence = evidence
			packages = append(packages, p)
			judge.flaws = append(judge.flaws, newFlaw(len(packages), p.Name, plimsoll.SeverityHigh, "2.0"))
		}
		mustStore(t, s, host, reportOf(1, "r1", packages...), judge)
		page, err := s.Findings(t.Context(), plimsoll.Everything, api.FindingFilter{}, api.List{})
		if err != nil || len(page.Items) != len(want) {
			t.Fatalf("%d findings, %v", len(page.Items), err)
		}
		for _, f := range page.Items {
			if f.Package != "by-"+string(f.Evidence) || f.Confidence != want[f.Evidence] {
				t.Errorf("%s by %s: %s", f.Package, f.Evidence, f.Confidence)
			}
		}
	})
}

func TestBroughtByALayer(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		image := hostImage(1, "shop/web:1")
		mustSync(t, s, host, fullSync(1, image))
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, ""), newFlaw(2, "openssl", plimsoll.SeverityHigh, "")}}
		mustActivate(t, s, judge)
		below, above, nowhere := deb("openssl", "3.0"), npm("left", "1.0"), npm("left", "1.1")
		below.Layer, above.Layer = image.Layers[0].DiffID, image.Layers[1].DiffID
		nowhere.Path = "opt/left/package.json"
		mustStore(t, s, host, reportOf(1, "r1", below, above, nowhere), judge)
		id := imageNumber(t, s, plimsoll.Everything, 1).ID
		for _, c := range []struct {
			layer    string
			findings []string
			packages string
		}{
			{"", []string{"shop/web:1 " + cve(1) + " left open", "shop/web:1 " + cve(1) + " left open", "shop/web:1 " + cve(2) + " openssl open"}, "[left 1.0 left 1.1 openssl 3.0]"},
			{string(below.Layer), []string{"shop/web:1 " + cve(2) + " openssl open"}, "[openssl 3.0]"},
			{string(above.Layer), []string{"shop/web:1 " + cve(1) + " left open"}, "[left 1.0]"},
			{string(digestOf("layer", 2)), nil, "[]"},
		} {
			wantList(t, "findings of layer "+c.layer, list(t, s, plimsoll.Everything, api.FindingFilter{Image: id, Layer: c.layer}), c.findings...)
			installed, err := s.Installed(t.Context(), plimsoll.Everything, id, api.SoftwareFilter{Layer: c.layer}, api.List{})
			software, err2 := s.Software(t.Context(), plimsoll.Everything, api.SoftwareFilter{Image: id, Layer: c.layer}, api.List{})
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			var here, distinct []string
			for _, p := range installed.Items {
				here = append(here, p.Name+" "+p.Version)
			}
			for _, p := range software.Items {
				distinct = append(distinct, p.Name+" "+p.Version)
			}
			if fmt.Sprint(here) != c.packages || fmt.Sprint(distinct) != c.packages || installed.Total != int64(len(here)) {
				t.Errorf("packages of layer %q: %q (of %d) and %q, want %s", c.layer, here, installed.Total, distinct, c.packages)
			}
		}
		if _, err := s.Findings(t.Context(), plimsoll.Everything, api.FindingFilter{Layer: string(below.Layer)}, api.List{}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("a layer of no image: %v", err)
		}
		if _, err := s.Software(t.Context(), plimsoll.Everything, api.SoftwareFilter{Layer: string(below.Layer)}, api.List{}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("software of a layer of no image: %v", err)
		}
	})
}

// Where a vulnerability is: the images with an open finding of it, by any of its
// names, their hosts and their containers; none that decisions handle everywhere.
func TestWhereAVulnerabilityIs(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		one, two := joinHost(t, s, "one", "env=prod"), joinHost(t, s, "two", "env=dev")
		running := func(n int, name string) api.HostImage {
			return withContainers(hostImage(n, name), map[string]bool{fmt.Sprint("run-", n): true, fmt.Sprint("done-", n): false})
		}
		mustSync(t, s, one, fullSync(1, running(1, "shop/a:1")))
		mustSync(t, s, two, fullSync(1, hostImage(1, "shop/b:1"), running(2, "shop/c:1"), running(3, "shop/d:1")))
		judge := &testJudge{generation: 1, flaws: []testFlaw{newFlaw(1, "left", plimsoll.SeverityHigh, "2"), newFlaw(2, "right", plimsoll.SeverityHigh, "")}}
		judge.flaws[0].Aliases = []string{"GHSA-left"}
		judge.flaws[1].status = plimsoll.StatusNotPresent
		mustActivate(t, s, judge)
		for n, pkg := range []string{"left", "left", "right"} {
			mustStore(t, s, two, reportOf(n+1, fmt.Sprint(n), npm(pkg, "1")), judge)
		}
		want := func(what string, scope plimsoll.Scope, name, want string) {
			t.Helper()
			images, err := s.Images(t.Context(), scope, api.ImageFilter{Vuln: name}, api.List{})
			hosts, err2 := s.Hosts(t.Context(), scope, api.HostFilter{Vuln: name}, api.List{})
			containers, err3 := s.Containers(t.Context(), scope, ContainerFilter{Vuln: name, Running: true}, api.List{})
			if err := errors.Join(err, err2, err3); err != nil {
				t.Fatal(err)
			}
			var places, runs []string
			for _, h := range hosts.Items {
				places = append(places, h.Labels["env"])
			}
			for _, c := range containers.Items {
				runs = append(runs, c.Image)
			}
			numbers := numbersOf(images.Items)
			slices.Sort(numbers)
			slices.Sort(runs)
			if got := fmt.Sprint(numbers, places, runs); got != want || images.Total != int64(len(numbers)) || hosts.Total != int64(len(places)) || containers.Total != int64(len(runs)) {
				t.Errorf("%s: %s with totals %d %d %d, want %s", what, got, images.Total, hosts.Total, containers.Total, want)
			}
		}
		prod := plimsoll.Scope{Labels: []string{"env=prod"}}
		want("by its name", plimsoll.Everything, cve(1), "[1 2] [prod dev] [shop/a:1 shop/c:1]")
		want("by another", plimsoll.Everything, " ghsa-LEFT", "[1 2] [prod dev] [shop/a:1 shop/c:1]")
		want("within a scope", prod, cve(1), "[1] [prod] [shop/a:1]")
		want("without the component", plimsoll.Everything, cve(2), "[] [] []")
		want("unknown", plimsoll.Everything, "CVE-2000-1", "[] [] []")
		ignore := func(repository string) {
			mustDecide(t, s, api.DecisionRequest{Rules: []api.Decision{{Kind: "ignore", Vulnerability: cve(1), Repositories: []string{repository}, Remark: "r"}}})
		}
		ignore("shop/a")
		want("one of two repositories is handled", plimsoll.Everything, cve(1), "[1 2] [prod dev] [shop/a:1 shop/c:1]")
		ignore("shop/b")
		want("both are", plimsoll.Everything, cve(1), "[2] [dev] [shop/c:1]")
	})
}

// Every page, in both orders and directions, holds each finding once.
func TestFindingsPageByPage(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "one")
		judge := &testJudge{generation: 1}
		for n := range 7 {
			judge.flaws = append(judge.flaws, newFlaw(n, "left", plimsoll.Severity(n%3), ""))
		}
		mustActivate(t, s, judge)
		var images []api.HostImage
		for n := range 5 {
			images = append(images, hostImage(n, fmt.Sprintf("shop/web:%d", n)))
		}
		mustSync(t, s, host, fullSync(1, images...))
		for n := range 5 {
			mustStore(t, s, host, reportOf(n, fmt.Sprint(n), npm("left", fmt.Sprint(n%2))), judge)
		}
		for _, sort := range api.FindingSorts {
			for _, asc := range []bool{false, true} {
				l := api.List{Sort: sort, Asc: asc, Limit: 3}
				seen := map[string]bool{}
				for pages := 0; ; pages++ {
					page, err := s.Findings(t.Context(), plimsoll.Everything, api.FindingFilter{}, l)
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range page.Items {
						if seen[f.ID] {
							t.Errorf("%s %v: %s twice", sort, asc, f.ID)
						}
						seen[f.ID] = true
					}
					if l.Cursor = page.Next; l.Cursor == "" || pages > 50 {
						break
					}
				}
				if len(seen) != 35 {
					t.Errorf("%s %v: %d findings, want 35", sort, asc, len(seen))
				}
			}
		}
		for _, cursor := range []string{"x", "e30", "!"} {
			if _, err := s.Findings(t.Context(), plimsoll.Everything, api.FindingFilter{}, api.List{Sort: "priority", Cursor: cursor}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Errorf("cursor %q: %v", cursor, err)
			}
		}
	})
}
