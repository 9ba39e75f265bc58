package main

import (
	"testing"

	"plimsoll"
)

// Findings that rest on a text in a binary can be kept from failing a build.
func TestBIN03GateLeavesOutLowConfidence(t *testing.T) {
	found := func(evidence plimsoll.Evidence) []plimsoll.Result {
		return []plimsoll.Result{{Findings: []plimsoll.Finding{{
			Vulnerability: plimsoll.Vulnerability{Severity: plimsoll.SeverityCritical}, Status: plimsoll.StatusAffected, Package: plimsoll.Package{Evidence: evidence},
		}}}}
	}
	for _, c := range []struct {
		gate     string
		evidence plimsoll.Evidence
		met      bool
	}{
		{"high", plimsoll.EvidenceBinary, true},
		{"high+confident", plimsoll.EvidenceBinary, false},
		{"high+confident", plimsoll.EvidencePackageDB, true},
		{"high+confident", plimsoll.EvidenceSBOM, true},
	} {
		g, err := parseGate(c.gate)
		if err != nil {
			t.Fatal(err)
		}
		if got := g.met(found(c.evidence)) != ""; got != c.met {
			t.Errorf("%s with %s: %t", c.gate, c.evidence, got)
		}
	}
}
