package match

import (
	"testing"

	"plimsoll"
)

// Severity comes from whoever knows the package best; all ratings stay (want 13, ADV-09).
func TestSeverity(t *testing.T) {
	word := func(source string, s plimsoll.Severity) plimsoll.Rating {
		return plimsoll.Rating{Source: source, Severity: s}
	}
	score := func(source, method string, v float64) plimsoll.Rating {
		return plimsoll.Rating{Source: source, Method: method, Score: v, Severity: plimsoll.SeverityOfScore(v)}
	}
	nvd := score("NVD", "CVSS_V3", 9.8)
	tests := []struct {
		name    string
		record  []plimsoll.Rating
		all     []plimsoll.Rating
		want    plimsoll.Severity
		source  string
		ratings int
	}{
		{"the vendor's word for the package", []plimsoll.Rating{word("Debian", plimsoll.SeverityLow)}, []plimsoll.Rating{nvd}, plimsoll.SeverityLow, "Debian", 2},
		{"an unknown word does not count", []plimsoll.Rating{word("Debian", plimsoll.SeverityUnknown)}, []plimsoll.Rating{nvd}, plimsoll.SeverityCritical, "NVD", 2},
		{"the publisher of the record", nil, []plimsoll.Rating{nvd, word("Debian", plimsoll.SeverityMedium)}, plimsoll.SeverityMedium, "Debian", 2},
		{"the advisory before the CNA", nil, []plimsoll.Rating{nvd, score("CVE", "CVSS_V3", 5), score("GitHub", "CVSS_V3", 7.5)}, plimsoll.SeverityHigh, "GitHub", 3},
		{"the CNA before CISA and NVD", nil, []plimsoll.Rating{nvd, score("CISA-ADP", "CVSS_V3", 5), score("CVE", "CVSS_V3", 7.5)}, plimsoll.SeverityHigh, "CVE", 3},
		{"another distribution last", nil, []plimsoll.Rating{nvd, word("Red Hat", plimsoll.SeverityLow)}, plimsoll.SeverityCritical, "NVD", 2},
		{"another distribution after whoever assigned the ID", nil, []plimsoll.Rating{score("BellSoft", "CVSS_V4", 9.8), score("CNA", "CVSS_V3", 5)}, plimsoll.SeverityMedium, "CNA", 2},
		{"another distribution when nobody else rated it", nil, []plimsoll.Rating{word("AlmaLinux", plimsoll.SeverityHigh)}, plimsoll.SeverityHigh, "AlmaLinux", 1},
		{"a copy within the record is whose it is", []plimsoll.Rating{score("CVE", "CVSS_V3", 9.8)}, []plimsoll.Rating{word("Debian", plimsoll.SeverityLow)}, plimsoll.SeverityLow, "Debian", 2},
		{"the newer method of one source", nil, []plimsoll.Rating{score("NVD", "CVSS_V2", 4), score("NVD", "CVSS_V4", 8), nvd}, plimsoll.SeverityHigh, "NVD", 3},
		{"the worse of two equals, in any order", nil, []plimsoll.Rating{nvd, score("NVD", "CVSS_V3", 5)}, plimsoll.SeverityCritical, "NVD", 2},
		{"nobody rated it", nil, nil, plimsoll.SeverityUnknown, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			adv := generation(withRatings(about("DEBIAN-CVE-2024-1", "Debian:12", "tar", "introduced 0"), tt.record...))
			adv.flaws["CVE-2024-1"] = plimsoll.Vulnerability{ID: "CVE-2024-1", Severity: plimsoll.SeverityUnknown, Ratings: tt.all}
			v := evaluate(t, adv, debian(deb("tar", "1")), Options{}).Findings[0].Vulnerability
			if v.Severity != tt.want || v.SeveritySource != tt.source || len(v.Ratings) != tt.ratings {
				t.Errorf("got %v by %q with %d ratings, want %v by %q with %d", v.Severity, v.SeveritySource, len(v.Ratings), tt.want, tt.source, tt.ratings)
			}
		})
	}
}

// Attacks first, then known exploitation, severity, likelihood, what can be
// fixed (want 38, ADV-08).
func TestOrderOfFindings(t *testing.T) {
	malicious := about("MAL-1", "npm", "e", "introduced 0")
	malicious.Malicious = true
	adv := generation(malicious, about("CVE-1", "npm", "d", "introduced 0"), about("CVE-2", "npm", "c", "introduced 0"),
		about("CVE-3", "npm", "b", "introduced 0"), about("CVE-4", "npm", "a", "introduced 0", "fixed 2.0.0"), about("CVE-5", "npm", "a", "introduced 0"))
	adv.flaws["CVE-1"] = plimsoll.Vulnerability{ID: "CVE-1", KEV: &plimsoll.KEV{}, Severity: plimsoll.SeverityUnknown}
	adv.flaws["CVE-2"] = plimsoll.Vulnerability{ID: "CVE-2", Ratings: []plimsoll.Rating{{Source: "GitHub", Severity: plimsoll.SeverityHigh}}}
	adv.flaws["CVE-3"] = plimsoll.Vulnerability{ID: "CVE-3", EPSS: &plimsoll.EPSS{Score: 0.5}, Severity: plimsoll.SeverityUnknown}
	e := evaluate(t, adv, app(lang("npm", "a", "1.0.0"), lang("npm", "b", "1.0.0"), lang("npm", "c", "1.0.0"), lang("npm", "d", "1.0.0"), lang("npm", "e", "1.0.0")), Options{})
	got := ""
	for _, f := range e.Findings {
		got += f.Vulnerability.ID + " "
	}
	if want := "MAL-1 CVE-1 CVE-2 CVE-3 CVE-4 CVE-5 "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if v := e.Findings[0].Vulnerability; v.Severity != plimsoll.SeverityCritical || !v.Malicious {
		t.Errorf("a malicious package is %v", v.Severity)
	}
}
