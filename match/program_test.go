package match

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// Programs without a package are judged by NVD's lists, where the operator has
// them, with low confidence; those of the distribution are left to it.
func TestBIN02BIN03ProgramsAreJudgedByNVD(t *testing.T) {
	t.Parallel()
	adv := generation(
		about("NVD-CVE-2024-1", plimsoll.EcosystemNVD, "openssl", "introduced 1.1.1", "fixed 1.1.1za"),
		about("DSA-1", "Debian:12", "openssl", "introduced 0", "fixed 3.0.99-1"))
	openssl := func(version, owner string) plimsoll.Package {
		return plimsoll.Package{Type: plimsoll.TypeGeneric, Name: "openssl", Version: version, Path: "opt/bin/openssl", Owner: owner, Evidence: plimsoll.EvidenceBinary}
	}
	inv := install("debian", "12", openssl("1.1.1k", ""), openssl("1.1.1za", ""), openssl("1.1.1w", "openssl"),
		plimsoll.Package{Type: plimsoll.TypeDeb, Name: "openssl", Version: "3.0.99-1", Evidence: plimsoll.EvidencePackageDB})
	got, err := Evaluate(t.Context(), adv, inv, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Findings) != 1 {
		t.Fatalf("BIN-02: %d findings: %+v", len(got.Findings), got.Findings)
	}
	f := got.Findings[0]
	if f.Package.Version != "1.1.1k" || f.FixedVersion != "1.1.1za" || f.Confidence() != plimsoll.ConfidenceLow || f.Reasons[0].Note != nvdNote || f.Class != plimsoll.ClassApplication {
		t.Errorf("%+v", f)
	}

	// Without that source there is nobody to ask, and the report says so.
	got, err = Evaluate(t.Context(), generation(about("DSA-1", "Debian:12", "openssl", "introduced 0", "fixed 3.0.99-1")), inv, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var codes []plimsoll.ProblemCode
	for _, p := range got.Problems {
		codes = append(codes, p.Code)
	}
	if diff := cmp.Diff([]plimsoll.ProblemCode{plimsoll.ProblemNoAdvisorySource}, codes); diff != "" || len(got.Findings) > 0 {
		t.Errorf("%s %v", diff, got.Findings)
	}
}

func TestBIN03Confidence(t *testing.T) {
	t.Parallel()
	for evidence, want := range map[plimsoll.Evidence]plimsoll.Confidence{
		plimsoll.EvidencePackageDB: plimsoll.ConfidenceHigh, plimsoll.EvidenceMetadata: plimsoll.ConfidenceHigh, plimsoll.EvidenceBuildInfo: plimsoll.ConfidenceHigh,
		plimsoll.EvidenceSBOM: plimsoll.ConfidenceMedium, plimsoll.EvidenceFileName: plimsoll.ConfidenceMedium, plimsoll.EvidenceBinary: plimsoll.ConfidenceLow,
	} {
		f := plimsoll.Finding{Package: plimsoll.Package{Evidence: evidence}, Reasons: []plimsoll.Reason{{Ecosystem: "npm"}}}
		if got := f.Confidence(); got != want {
			t.Errorf("%s: %s, not %s", evidence, got, want)
		}
		f.Reasons[0].Ecosystem = plimsoll.EcosystemNVD
		if got := f.Confidence(); got != plimsoll.ConfidenceLow {
			t.Errorf("%s judged by NVD: %s", evidence, got)
		}
	}
}
