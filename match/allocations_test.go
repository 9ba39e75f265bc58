package match

import (
	"context"
	"fmt"
	"testing"

	"plimsoll"
)

// A fleet has hundreds of thousands of distinct packages, and all are judged anew with
// every generation: what each allocates is bounded, a time could not be tested. Figures
// are of one package among a thousand; the bounds leave room for a quarter more.
func TestAllocations(t *testing.T) {
	const packages = 1000
	adv := generation()
	for i := range packages {
		for j := range 8 {
			id := fmt.Sprintf("CVE-2024-%d", i*8+j)
			for name, fixed := range map[string]string{"fixed": "1.0.0", "flawed": "9.0.0"} {
				name := fmt.Sprintf("%s-%d", name, i)
				a := withFlaw(about(fmt.Sprintf("GHSA-%s-%d", name, j), "npm", name, "introduced 0", "fixed "+fixed), id)
				adv.affected[[2]string{"npm", name}] = append(adv.affected[[2]string{"npm", name}], a)
			}
			adv.flaws[id] = plimsoll.Vulnerability{ID: id}
		}
	}
	for _, tt := range []struct {
		name  string
		bound float64
	}{
		{"unknown", 1.25}, // nobody says anything about it
		{"fixed", 16},     // eight records, none of them applies
		{"flawed", 86},    // eight findings with their reasons
	} {
		inv := debian()
		for i := range packages {
			inv.Packages = append(inv.Packages, lang(plimsoll.TypeNPM, fmt.Sprintf("%s-%d", tt.name, i), "2.1.0"))
		}
		findings := 0
		got := testing.AllocsPerRun(5, func() {
			e, err := Evaluate(context.Background(), adv, inv, Options{})
			if err != nil {
				t.Fatal(err)
			}
			findings = len(e.Findings)
		}) / packages
		if got > tt.bound {
			t.Errorf("%s: %.1f allocations for a package, at most %.2f are expected", tt.name, got, tt.bound)
		}
		if want := map[string]int{"flawed": 8 * packages}[tt.name]; findings != want {
			t.Errorf("%s: %d findings, want %d", tt.name, findings, want)
		}
	}
}
