package match

import (
	"context"
	"fmt"
	"testing"

	"plimsoll"
)

// BenchmarkEvaluate judges 100,000 distinct packages of a fleet: a third from
// Debian, the others from language ecosystems; every fifth name has advisories
// (eight each, about what Debian and npm have), and about one package in ten is
// affected. The budget is 100,000 packages a second and core.
func BenchmarkEvaluate(b *testing.B) {
	const packages = 100_000
	adv := generation()
	ecosystems := []struct {
		name string
		typ  plimsoll.PackageType
	}{{"Debian:12", plimsoll.TypeDeb}, {"npm", plimsoll.TypeNPM}, {"PyPI", plimsoll.TypePyPI}}
	inv := debian()
	for i := range packages {
		e := ecosystems[i%len(ecosystems)]
		name := fmt.Sprintf("package-%d", i)
		v := fmt.Sprintf("%d.%d.%d", i%7, i%13, i%5)
		p := plimsoll.Package{Type: e.typ, Name: name, Version: v, Path: "app/" + name}
		if e.typ == plimsoll.TypeDeb {
			p.Version += "-1+deb12u1"
			p = built(p, name+"-src", p.Version)
			name += "-src"
		}
		inv.Packages = append(inv.Packages, p)
		if i/3%5 != 0 {
			continue
		}
		for j := range 8 {
			id := fmt.Sprintf("CVE-2024-%d", (i*8+j)%40_000)
			from, to := fmt.Sprintf("%d.%d.0", j%3, j), fmt.Sprintf("%d.%d.1", j%3+i%2, j)
			a := withFlaw(about(fmt.Sprintf("GHSA-%d-%d", i, j), e.name, name, "introduced "+from, "fixed "+to), id)
			key := [2]string{e.name, name}
			adv.affected[key] = append(adv.affected[key], a)
			adv.flaws[id] = plimsoll.Vulnerability{ID: id, Ratings: []plimsoll.Rating{{Source: "NVD", Method: "CVSS_V3", Score: 7.5, Severity: plimsoll.SeverityHigh}}}
		}
	}
	b.ReportAllocs()
	findings := 0
	for b.Loop() {
		e, err := Evaluate(context.Background(), adv, inv, Options{})
		if err != nil {
			b.Fatal(err)
		}
		findings = len(e.Findings)
	}
	b.ReportMetric(float64(packages)*float64(b.N)/b.Elapsed().Seconds(), "packages/s")
	b.ReportMetric(float64(findings), "findings")
}

// BenchmarkKernel judges the binary packages of one source with as many records
// as the Linux kernel has in a release.
func BenchmarkKernel(b *testing.B) {
	adv := generation()
	key := [2]string{"Debian:12", "linux"}
	for i := range 5000 {
		id := fmt.Sprintf("CVE-2024-%d", i)
		adv.affected[key] = append(adv.affected[key], withFlaw(about("DEBIAN-"+id, "Debian:12", "linux", "introduced 0", fmt.Sprintf("fixed 6.1.%d-1", i/50)), id))
		adv.flaws[id] = plimsoll.Vulnerability{ID: id, Severity: plimsoll.SeverityUnknown}
	}
	inv := debian()
	for i := range 8 {
		inv.Packages = append(inv.Packages, built(deb(fmt.Sprintf("linux-part-%d", i), "6.1.90-1"), "linux", "6.1.90-1"))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Evaluate(context.Background(), adv, inv, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
