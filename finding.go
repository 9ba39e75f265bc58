package plimsoll

import (
	"slices"
	"time"
)

// Class separates the two kinds of findings that people treat apart.
type Class string

// The classes.
const (
	ClassSystem      Class = "system"      // in a package of the operating system
	ClassApplication Class = "application" // in a package of a language ecosystem, or an unpackaged binary
)

// Status is what a finding says about a package.
type Status string

// The statuses of a finding.
const (
	StatusAffected Status = "affected"
	// StatusNotPresent: the package's source is affected, the vulnerable
	// component is not in this package (kernel headers without a kernel).
	StatusNotPresent Status = "component-not-present"
	// StatusOwned: a language package that a system package owns; the
	// distribution's advisories speak for it. Informational.
	StatusOwned Status = "owned-by-system"
	// StatusHandled: a VEX statement says that the package is not affected, or
	// fixed. The finding stays, with the statement in VEX.
	StatusHandled Status = "handled-by-vex"
)

// Finding is one vulnerability in one package of one image, with the reason.
type Finding struct {
	Vulnerability Vulnerability
	Package       Package
	Class         Class
	Status        Status
	State         FixState
	// FixedVersion is the lowest version at or above the installed one that is
	// not affected; empty when there is none. FixedVersions are all known, sorted.
	FixedVersion  string
	FixedVersions []string
	// Reasons are the records that matched, strongest first; never empty.
	Reasons []Reason
	// VEX are the statements that are about the finding, the one that decides first.
	VEX []VEXStatement
}

// Confidence says how sure it is that a finding's package is what it is taken for
// and that the records are about this build of it.
type Confidence string

// The confidences.
const (
	ConfidenceHigh   Confidence = "high"   // a package manager's or the package's own records, judged by advisories about them
	ConfidenceMedium Confidence = "medium" // an SBOM's claim, or a file's name
	ConfidenceLow    Confidence = "low"    // a text in a binary, or versions that are compared without knowing who built them
)

// Confidence of the finding: that of the weakest link (acceptance BIN-03).
func (f *Finding) Confidence() Confidence {
	switch {
	case f.Package.Evidence == EvidenceBinary, len(f.Reasons) > 0 && f.Reasons[0].Ecosystem == EcosystemNVD:
		return ConfidenceLow
	case f.Package.Evidence == EvidenceSBOM, f.Package.Evidence == EvidenceFileName:
		return ConfidenceMedium
	}
	return ConfidenceHigh
}

// Reason is the evidence of a match: enough to check it by hand.
type Reason struct {
	Advisory  string // the record that matched
	Provider  string
	Modified  time.Time
	Ecosystem string
	Package   string // the name that was compared: source or binary package, normalised
	Version   string // the version that was compared
	Scheme    string // the order that compared it
	Range     string // ">= 1.0, < 1.2.3", "= 1.1" for a listed version
	// Note says what makes the match less than certain, why the vendor has no fix,
	// or which other record disagrees; empty for a plain match.
	Note string
}

// ScanStatus says how far a scan came.
type ScanStatus string

// The statuses of a scan.
const (
	ScanComplete ScanStatus = "complete"
	ScanPartial  ScanStatus = "partial" // something could not be read; see the problems
	ScanFailed   ScanStatus = "failed"  // nothing is known about the image
)

// Result is the scan of one image.
type Result struct {
	Image     Image
	Status    ScanStatus
	Problem   *Problem // why the scan failed; nil unless ScanFailed
	Inventory Inventory
	Coverage  []Coverage
	// Matched is false when no advisories were asked (inventory only).
	Matched bool
	// JudgedAs is the system that somebody named in place of the one that the image
	// says it is, "Debian 12"; empty when nobody did (acceptance OS-08).
	JudgedAs string
	Findings []Finding
	Problems []Problem // of the inventory, then of matching; each sorted
	Plan     Plan
	// Hidden counts what filters removed from Findings, by filter.
	Hidden []Hidden
}

// Judged says whether advisories were asked about packages of a class. If not, that
// nothing was found there means that nothing is known. A class without packages
// counts as judged where the other class was: there is nothing to ask about it.
func (r *Result) Judged(class Class) bool {
	if !r.Matched || r.Status == ScanFailed {
		return false
	}
	asked := func(fits func(*Coverage) bool) bool {
		for i := range r.Coverage {
			if r.Coverage[i].Ecosystem != "" && fits(&r.Coverage[i]) {
				return true
			}
		}
		return false
	}
	has := func(fits func(PackageType) bool) bool {
		return slices.ContainsFunc(r.Inventory.Packages, func(p Package) bool { return fits(p.Type) })
	}
	switch {
	case slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Class == class }):
		return true
	case has(func(t PackageType) bool { return t.System() == (class == ClassSystem) }):
		return asked(func(c *Coverage) bool { return c.Class == class })
	case class == ClassSystem && has(PackageType.storesSystem):
		return asked(func(c *Coverage) bool { return PackageType(c.Group).storesSystem() })
	}
	return asked(func(*Coverage) bool { return true })
}

// Coverage says who was asked about a group of packages.
type Coverage struct {
	Group     string // "debian 12", "npm", "npm in packages of debian 12", …
	Class     Class  // of the findings in these packages
	Ecosystem string // empty: nobody, inventory only
	Packages  int
	EndOfLife time.Time // of the distribution; zero when unknown or not applicable
	Ended     bool      // the end of life lies before the advisories' date
	Assumed   bool      // judged as the distribution it derives from
}

// Plan is what to do about one image: one set of upgrades, not one line a flaw.
type Plan struct {
	Base, Own Part
	// Remaining are findings that no upgrade clears, with the count by state.
	Remaining []Remaining
}

// Part is the share of a plan that one party must do: the owner of the base
// image, or whoever builds this one.
type Part struct {
	Steps    []Step
	Clears   int // findings
	Commands []string
}

// Step upgrades one package (all its instances in a part).
type Step struct {
	Package   string   // name; the source package groups binaries of a system
	Packages  []string // the installed packages it stands for, sorted
	Type      PackageType
	Path      string // for language packages: where
	From, To  string
	Layer     Digest
	CreatedBy string   // the build step of Layer
	Clears    []string // vulnerability IDs, sorted
	Worst     Severity
	Breaking  bool // crosses a major version
}

// Remaining counts what stays.
type Remaining struct {
	State  FixState
	Count  int
	Worst  Severity
	Reason string
}

// Report is everything that one run has to tell.
type Report struct {
	Tool       string      // "plimsoll 0.1.0"
	Generation *Generation // nil when no advisories were asked
	Results    []Result
	// Hidden counts what filters removed from all results, by filter.
	Hidden []Hidden
}

// Hidden says how many findings a filter removed.
type Hidden struct {
	Filter string
	Count  int
}
