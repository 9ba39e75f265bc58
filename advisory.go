package plimsoll

import "time"

// Advisory is one published record about a vulnerability, in the source's own
// words. Its shape follows the OSV schema (version 1.7).
type Advisory struct {
	ID        string
	Provider  string // who published it: "Debian", "GitHub", "Go", "PyPA", …
	Aliases   []string
	Upstream  []string // ids of the flaws that a distribution's record is about
	Related   []string
	Published time.Time
	Modified  time.Time
	Withdrawn time.Time // zero unless withdrawn; a withdrawn record never matches
	Summary   string
	Details   string
	Ratings   []Rating
	// References are URLs, as published.
	References []string
	// Malicious marks a record about a package that is itself the attack.
	Malicious bool
}

// Affected says which versions of one package an advisory is about.
type Affected struct {
	AdvisoryID string
	// Vulnerability is the canonical ID of the advisory's alias group: the CVE
	// when there is one. An advisory about several CVEs has one Affected for each.
	Vulnerability string
	Provider      string
	Modified      time.Time // of the advisory
	Ecosystem     string    // in OSV's spelling: "Debian:12", "npm"
	Package       string    // as the ecosystem normalises names
	Ranges        []Range
	Versions      []string // affected versions listed one by one
	Ratings       []Rating // more specific than the advisory's
	State         FixState // the vendor's word when there is no fix
	// Note is the vendor's own reason for the state, in its words: "no-dsa: Minor
	// issue", "Out of support scope", "vulnerable_code_not_present".
	Note string
	// Preferred: of several providers who speak about a package of this ecosystem,
	// the operator believes this one first.
	Preferred bool
	Arches    []string // as NormalizeArch spells them; empty means all
	// Epochless: the record writes the versions of rpm packages without their
	// epochs (acceptance RPM-10).
	Epochless bool
	Modules   []string // rpm module streams "name:stream"; empty means not modular
	Malicious bool
}

// SourcePrefix begins the name of a package in a record that names a source
// package where its neighbours name binary packages: "src:openssl".
const SourcePrefix = "src:"

// EcosystemNVD is the ecosystem of NVD's lists of affected versions. OSV has none
// of this name: these records are about programs without a package, told by text
// in their data, and their versions are compared without knowing who built them.
const EcosystemNVD = "NVD"

// RangeType says how the events of a range are compared.
type RangeType string

// The range types that can be judged. GIT ranges are not kept.
const (
	RangeSemVer    RangeType = "SEMVER"
	RangeEcosystem RangeType = "ECOSYSTEM"
)

// Range is a list of events along a package's version order.
type Range struct {
	Type   RangeType
	Events []Event
}

// Event is one point of a range; exactly one field is set. Introduced "0" is
// before every version.
type Event struct {
	Introduced   string
	Fixed        string
	LastAffected string
	Limit        string
}

// FixState says whether and why not a fix exists.
type FixState string

// The fix states.
const (
	FixUnknown       FixState = ""              // the source does not say
	FixAvailable     FixState = "fixed"         // in FixedVersion
	FixNone          FixState = "not-fixed"     // affected, no fix yet
	FixDeferred      FixState = "deferred"      // postponed, no-dsa, needed
	FixRefused       FixState = "will-not-fix"  // the vendor decided against one
	FixEndOfLife     FixState = "end-of-life"   // out of support
	FixExtended      FixState = "extended-only" // only with a paid extension (Ubuntu Pro, ELS …)
	FixInvestigating FixState = "under-investigation"
)

// Severity is ordered: a larger value is worse. Unknown stands above low so
// that nothing unrated hides at the bottom of a list.
type Severity int8

// The severities.
const (
	SeverityNone Severity = iota
	SeverityLow
	SeverityUnknown
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityNames = [...]string{"none", "low", "unknown", "medium", "high", "critical"}

func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return "unknown"
	}
	return severityNames[s]
}

// ParseSeverity understands the words of the usual sources ("moderate",
// "important", "negligible", "重要" …), in any case. ok is false for other words.
func ParseSeverity(word string) (s Severity, ok bool) {
	switch asciiLower(word) {
	case "none", "untriaged":
		return SeverityNone, true
	case "low", "negligible", "minor", "unimportant", "低", "低危", "一般":
		return SeverityLow, true
	case "medium", "moderate", "中", "中危", "中等":
		return SeverityMedium, true
	case "high", "important", "高", "高危", "重要":
		return SeverityHigh, true
	case "critical", "urgent", "严重", "紧急":
		return SeverityCritical, true
	case "unknown", "":
		return SeverityUnknown, true
	}
	return SeverityUnknown, false
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// SeverityOfScore maps a CVSS base score (v3 and v4 scale) to a severity.
func SeverityOfScore(score float64) Severity {
	switch {
	case score >= 9:
		return SeverityCritical
	case score >= 7:
		return SeverityHigh
	case score >= 4:
		return SeverityMedium
	case score > 0:
		return SeverityLow
	}
	return SeverityNone
}

// Rating is one party's judgement of a flaw.
type Rating struct {
	Source   string // "Debian", "GitHub", "NVD", "CISA-ADP", …
	Method   string // "CVSS_V2", "CVSS_V3", "CVSS_V4", or the vendor's scale; may be empty
	Vector   string // CVSS vector; empty when only a word was given
	Score    float64
	Severity Severity
}

// RankBuilder is the rank of those who rate builds of their own: distributions.
const RankBuilder = 5

// RaterRank says how much a source is believed about a flaw in software as its
// authors release it, best first from 0 (want 13): those who publish advisories
// for software, whoever assigned the ID, CISA, NVD, and last, with RankBuilder,
// the distributions.
func RaterRank(source string) int {
	switch source {
	case "GitHub":
		return 0
	case "Go", "PyPA", "RustSec", "RubySec", "FriendsOfPHP", "Node Security WG", "OpenSSF", "Retire.js", "VICTIMS":
		return 1
	case "CNA", "CVE": // CVE: a copy of the CVE record, with the assigner's rating
		return 2
	case "CISA-ADP":
		return 3
	case "NVD":
		return 4
	}
	return RankBuilder
}

// Vulnerability is the merged view of all records about one flaw.
type Vulnerability struct {
	ID       string   // canonical: the CVE when there is one
	Aliases  []string // every other ID of the alias group, sorted
	Summary  string
	Details  string
	Severity Severity
	// SeveritySource names whose rating Severity is.
	SeveritySource string
	Ratings        []Rating // all of them, sorted by source
	EPSS           *EPSS
	KEV            *KEV
	References     []string
	Published      time.Time
	Malicious      bool
	Disputed       bool
}

// EPSS is FIRST's estimate that a flaw is exploited within 30 days.
type EPSS struct {
	Score      float64 // probability, 0 to 1
	Percentile float64 // 0 to 1
	Date       time.Time
}

// KEV is the entry of a flaw in CISA's catalogue of known exploited vulnerabilities.
type KEV struct {
	Added      time.Time
	Due        time.Time
	Ransomware bool // known use in ransomware campaigns
	Action     string
}

// Generation describes one immutable compilation of advisories.
type Generation struct {
	Schema     int
	ID         Digest    // of the file's content
	Built      time.Time // the newest date of its sources, never the wall clock of the build
	Sample     bool      // a demonstration sample, not to be relied on
	Sources    []DataSource
	Advisories int
}

// DataSource is one provider within a generation.
type DataSource struct {
	Name    string // "osv/Debian", "kev", "epss", …
	URL     string
	Newest  time.Time // newest record, or the provider's own date
	Fetched time.Time
	Records int
}
