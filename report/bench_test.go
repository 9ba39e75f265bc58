package report

import (
	"fmt"
	"io"
	"testing"
)

// BenchmarkWrite writes a report of the size of a large image: 3,000 packages,
// 9,000 findings.
func BenchmarkWrite(b *testing.B) {
	r := sampleReport()
	r.Results = r.Results[:1]
	shop := &r.Results[0]
	packages, findings := shop.Inventory.Packages, shop.Findings
	shop.Inventory.Packages, shop.Findings = nil, nil
	for i := range 3000 {
		p := packages[i%len(packages)]
		p.Name = fmt.Sprintf("%s-%d", p.Name, i)
		shop.Inventory.Packages = append(shop.Inventory.Packages, p)
		for j := range 3 {
			f := findings[i%len(findings)]
			f.Package = p
			f.Vulnerability.ID = fmt.Sprintf("CVE-2026-%d", 1000+(i+j)%5000)
			shop.Findings = append(shop.Findings, f)
		}
	}
	for _, f := range Formats() {
		b.Run(string(f), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, f, r, Options{Width: 120, Packages: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
