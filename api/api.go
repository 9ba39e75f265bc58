// Package api is the vocabulary of the HTTP API: what agents and consoles say to
// each other, and what a console answers to people and programs.
//
// It owns the wire types, their limits and the Go client. It refuses to decide
// anything: validation against the fleet's state is package server's, storage
// package store's, which answers lists in these types so that nothing is
// described twice.
//
// Trust: what an agent or a browser sends is hostile until Validate has accepted
// it; texts from images stay data in any case (see package report).
package api

import (
	"time"

	"plimsoll"
)

// Version is the protocol that an agent and a console must share; both send it.
const Version = 1

// Paths of the two halves of the API.
const (
	AgentPath  = "/agent/v1"
	PublicPath = "/api/v1"
)

// Page is one page of a list. Next is the cursor of the following page, empty on
// the last. Total is the number of rows that match, -1 where counting would cost
// more than the page.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"cursor of the following page; absent on the last"`
	Total int64  `json:"total" doc:"rows that match the filter; -1 when not counted"`
}

// List is what every list request has in common.
type List struct {
	Sort   string `json:"sort,omitempty"` // one of the list's sort keys, "-" before it for descending order; empty: its first
	Asc    bool   `json:"asc,omitempty"`  // ascending; default is the key's natural order
	Cursor string `json:"cursor,omitempty"`
	Limit  int    `json:"limit,omitempty"` // 1 to MaxLimit; 0 means DefaultLimit
}

// Limits of pages.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Counts are open findings by severity.
type Counts struct {
	Critical int64 `json:"critical"`
	High     int64 `json:"high"`
	Medium   int64 `json:"medium"`
	Low      int64 `json:"low"`
	Unknown  int64 `json:"unknown"`
	None     int64 `json:"none"`
}

// Total sums the counts.
func (c Counts) Total() int64 { return c.Critical + c.High + c.Medium + c.Low + c.Unknown + c.None }

// Plus is the sum of two counts.
func (c Counts) Plus(o Counts) Counts {
	return Counts{c.Critical + o.Critical, c.High + o.High, c.Medium + o.Medium, c.Low + o.Low, c.Unknown + o.Unknown, c.None + o.None}
}

// Add counts n findings of a severity.
func (c *Counts) Add(s plimsoll.Severity, n int64) {
	switch s {
	case plimsoll.SeverityCritical:
		c.Critical += n
	case plimsoll.SeverityHigh:
		c.High += n
	case plimsoll.SeverityMedium:
		c.Medium += n
	case plimsoll.SeverityLow:
		c.Low += n
	case plimsoll.SeverityNone:
		c.None += n
	default:
		c.Unknown += n
	}
}

// Host is a machine with an agent.
type Host struct {
	ID           int64               `json:"id"`
	Name         string              `json:"name" doc:"as the host calls itself"`
	State        plimsoll.AgentState `json:"state" enum:"online,late,offline,never,revoked"`
	AgentVersion string              `json:"agentVersion,omitempty"`
	OS           string              `json:"os,omitempty"`
	Kernel       string              `json:"kernel,omitempty"`
	Arch         string              `json:"arch,omitempty"`
	Addresses    []string            `json:"addresses,omitempty"`
	Labels       plimsoll.Labels     `json:"labels"`
	Stores       []Store             `json:"stores,omitempty" doc:"image stores that the agent found"`
	Problems     []Problem           `json:"problems,omitempty" doc:"what the agent cannot read, and why"`
	Enrolled     time.Time           `json:"enrolled"`
	LastSeen     *time.Time          `json:"lastSeen,omitempty" doc:"last contact of the agent"`
	LastSync     *time.Time          `json:"lastSync,omitempty" doc:"last list of images"`
	ClockSkew    int64               `json:"clockSkew,omitempty" doc:"seconds that the host's clock is ahead of the console's, when more than a minute"`
	Cloned       bool                `json:"cloned,omitempty" doc:"two machines use this identity"`
	SpoolDropped int64               `json:"spoolDropped,omitempty" doc:"reports that the agent's full spool had to drop"`
	Images       int64               `json:"images"`
	Containers   int64               `json:"containers"`
	Running      int64               `json:"running" doc:"running containers"`
}

// Store is one image store of a host.
type Store struct {
	Name   string `json:"name"`
	Images int    `json:"images"`
}

// Problem is plimsoll.Problem on the wire.
type Problem struct {
	Code     plimsoll.ProblemCode `json:"code"`
	Path     string               `json:"path,omitempty"`
	Layer    plimsoll.Digest      `json:"layer,omitempty"`
	Analyzer string               `json:"analyzer,omitempty"`
	Detail   string               `json:"detail,omitempty"`
	Count    int                  `json:"count,omitempty"`
}

// Image is one image of the fleet, however many hosts and names it has.
type Image struct {
	ID           int64              `json:"id"`
	Digest       plimsoll.Digest    `json:"digest" doc:"image ID: digest of the configuration"`
	Names        []string           `json:"names" doc:"references on the hosts in sight, sorted"`
	Manifests    []plimsoll.Digest  `json:"manifests,omitempty"`
	Platform     string             `json:"platform,omitempty"`
	System       string             `json:"system,omitempty" doc:"distribution and release, empty when not scanned or without one"`
	SystemEnded  bool               `json:"systemEnded,omitempty" doc:"the distribution gets no more advisories"`
	Size         int64              `json:"size"`
	Layers       int                `json:"layers"`
	Created      *time.Time         `json:"created,omitempty"`
	FirstSeen    time.Time          `json:"firstSeen"`
	LastSeen     time.Time          `json:"lastSeen"`
	Gone         *time.Time         `json:"gone,omitempty" doc:"since when no host holds it"`
	Hosts        int64              `json:"hosts"`
	Containers   int64              `json:"containers"`
	Running      int64              `json:"running"`
	State        plimsoll.ScanState `json:"state" enum:"never,succeeded,partial,failed,unreadable"`
	Queue        plimsoll.TaskState `json:"queue,omitempty" enum:"queued,running" doc:"set while a scan is asked for"`
	Code         string             `json:"code,omitempty" doc:"why it cannot be or was not scanned completely: a reason code"`
	Detail       string             `json:"detail,omitempty"`
	ScannedAt    *time.Time         `json:"scannedAt,omitempty"`
	EvaluatedAt  *time.Time         `json:"evaluatedAt,omitempty" doc:"date of the advisories that its findings are judged by"`
	Packages     int64              `json:"packages"`
	Uncovered    int64              `json:"uncovered" doc:"packages that no advisory source covers"`
	Problems     int64              `json:"problems"`
	Systems      Counts             `json:"systemFindings" doc:"open findings in packages of the operating system"`
	Applications Counts             `json:"applicationFindings"`
	Fixable      int64              `json:"fixable"`
	KEV          int64              `json:"kev" doc:"open findings that are known to be exploited"`
	Malicious    int64              `json:"malicious"`
	Handled      int64              `json:"handled" doc:"findings that a decision handles"`
	Risk         string             `json:"risk" enum:"unscanned,safe,low,unknown,medium,high,critical"`
}

// ImageDetail is an image with what its page shows beyond the list.
type ImageDetail struct {
	Image
	Config   ImageConfig `json:"config"`
	Stack    []Layer     `json:"stack" doc:"layers, bottom first"`
	History  []BuildStep `json:"history,omitempty"`
	Issues   []Problem   `json:"issues,omitempty" doc:"what could not be read, identified or judged"`
	Coverage []Coverage  `json:"coverage,omitempty"`
	Scans    []Scan      `json:"scans,omitempty" doc:"newest first, at most 50"`
}

// ImageConfig is the part of an image's configuration that is shown.
type ImageConfig struct {
	User       string            `json:"user,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Layer is one layer of an image and what it brought.
type Layer struct {
	DiffID    plimsoll.Digest `json:"diffID"`
	Size      int64           `json:"size,omitempty"`
	CreatedBy string          `json:"createdBy,omitempty"`
	Base      bool            `json:"base,omitempty"`
	Packages  int64           `json:"packages"`
	Findings  int64           `json:"findings" doc:"open findings in packages that this layer brought"`
}

// BuildStep is one step of an image's history.
type BuildStep struct {
	Created    *time.Time `json:"created,omitempty"`
	CreatedBy  string     `json:"createdBy,omitempty"`
	Comment    string     `json:"comment,omitempty"`
	EmptyLayer bool       `json:"emptyLayer,omitempty"`
}

// Coverage says who was asked about a group of packages.
type Coverage struct {
	Group     string         `json:"group"`
	Class     plimsoll.Class `json:"class"`
	Ecosystem string         `json:"ecosystem,omitempty" doc:"absent: nobody, inventory only"`
	Packages  int            `json:"packages"`
	EndOfLife *time.Time     `json:"endOfLife,omitempty"`
	Ended     bool           `json:"ended,omitempty"`
	Assumed   bool           `json:"assumed,omitempty"`
}

// Scan is one finished attempt to read an image.
type Scan struct {
	ID       int64              `json:"id"`
	Report   string             `json:"report,omitempty" doc:"as the log of the host's agent names it"`
	State    plimsoll.TaskState `json:"state"`
	Code     string             `json:"code,omitempty"`
	Detail   string             `json:"detail,omitempty"`
	HostID   int64              `json:"hostID,omitempty"`
	Host     string             `json:"host,omitempty"`
	Started  time.Time          `json:"started"`
	Ended    time.Time          `json:"ended"`
	Packages int64              `json:"packages"`
	Analyzed int                `json:"analyzed" doc:"layers that this scan read"`
	Reused   int                `json:"reused" doc:"layers whose facts the fleet had already"`
}

// Presence is one name of an image in one store of one host.
type Presence struct {
	HostID    int64           `json:"hostID"`
	Host      string          `json:"host"`
	Engine    plimsoll.Engine `json:"engine"`
	Store     string          `json:"store"`
	Name      string          `json:"name,omitempty" doc:"absent: without a name"`
	FirstSeen time.Time       `json:"firstSeen"`
	LastSeen  time.Time       `json:"lastSeen"`
	Gone      *time.Time      `json:"gone,omitempty"`
	Code      string          `json:"code,omitempty" doc:"why this host cannot read it"`
	Detail    string          `json:"detail,omitempty"`
}

// Container is a container of the fleet.
type Container struct {
	ContainerID string     `json:"containerID"`
	Name        string     `json:"name"`
	State       string     `json:"state"`
	Running     bool       `json:"running"`
	Pod         string     `json:"pod,omitempty"`
	Entrypoint  []string   `json:"entrypoint,omitempty"`
	HostID      int64      `json:"hostID"`
	Host        string     `json:"host"`
	ImageID     int64      `json:"imageID"`
	Image       string     `json:"image"`
	FirstSeen   time.Time  `json:"firstSeen"`
	LastSeen    time.Time  `json:"lastSeen"`
	Gone        *time.Time `json:"gone,omitempty"`
}

// Software is a distinct package of the fleet.
type Software struct {
	ID        int64                `json:"id"`
	Type      plimsoll.PackageType `json:"type"`
	Name      string               `json:"name"`
	Version   string               `json:"version"`
	Arch      string               `json:"arch,omitempty"`
	Source    string               `json:"source,omitempty" doc:"source package and its version"`
	Module    string               `json:"module,omitempty"`
	Origin    string               `json:"origin,omitempty" doc:"who built it, when not the distribution"`
	System    string               `json:"system,omitempty" doc:"distribution and release, for system packages and what they own"`
	PURL      string               `json:"purl,omitempty"`
	Licenses  []string             `json:"licenses,omitempty"`
	Supplier  string               `json:"supplier,omitempty"`
	Covered   bool                 `json:"covered" doc:"an advisory source speaks about it"`
	Group     string               `json:"group,omitempty"`
	Images    int64                `json:"images"`
	Findings  Counts               `json:"vulnerabilities" doc:"vulnerabilities of the package by severity, whatever was decided"`
	FirstSeen time.Time            `json:"firstSeen"`
}

// Installed is a package at its place in an image.
type Installed struct {
	Software
	InstanceID int64             `json:"instanceID"`
	ImageID    int64             `json:"imageID"`
	Path       string            `json:"path"`
	Locations  []string          `json:"locations,omitempty"`
	Layer      plimsoll.Digest   `json:"layer,omitempty"`
	LayerIndex int               `json:"layerIndex" doc:"from the bottom, -1 when unknown"`
	Base       bool              `json:"base,omitempty"`
	Owner      string            `json:"owner,omitempty"`
	Evidence   plimsoll.Evidence `json:"evidence"`
	Dev        bool              `json:"dev,omitempty"`
	Bundled    string            `json:"bundled,omitempty"`
	Remark     string            `json:"remark,omitempty"`
}

// Vulnerability is one row of the risk view: a vulnerability with all images
// that have it, in system packages or in application packages.
type Vulnerability struct {
	ID             int64          `json:"id"`
	Name           string         `json:"name" doc:"canonical ID: the CVE when there is one"`
	Class          plimsoll.Class `json:"class" enum:"system,application"`
	Aliases        []string       `json:"aliases,omitempty"`
	Severity       string         `json:"severity" enum:"none,low,unknown,medium,high,critical" doc:"the worst of its open findings"`
	Score          float64        `json:"score,omitempty" doc:"highest CVSS base score"`
	EPSS           float64        `json:"epss,omitempty"`
	EPSSPercentile float64        `json:"epssPercentile,omitempty"`
	KEV            bool           `json:"kev,omitempty"`
	KEVDue         *time.Time     `json:"kevDue,omitempty"`
	Malicious      bool           `json:"malicious,omitempty"`
	Disputed       bool           `json:"disputed,omitempty"`
	Summary        string         `json:"summary,omitempty"`
	Published      *time.Time     `json:"published,omitempty"`
	Packages       []string       `json:"packages,omitempty" doc:"names of affected packages, at most 10"`
	Fixable        bool           `json:"fixable" doc:"an open finding has a fix"`
	Suggestion     string         `json:"suggestion,omitempty"`
	Findings       int64          `json:"findings" doc:"open findings"`
	Handled        int64          `json:"handled"`
	Images         int64          `json:"images" doc:"images with an open finding"`
	Hosts          int64          `json:"hosts"`
	Containers     int64          `json:"containers" doc:"running containers of these images"`
	FirstSeen      time.Time      `json:"firstSeen"`
	LastSeen       time.Time      `json:"lastSeen"`
}

// VulnerabilityDetail adds what the sources say.
type VulnerabilityDetail struct {
	Vulnerability
	Classes    []plimsoll.Class `json:"classes" enum:"system,application" doc:"in which packages it is"`
	Details    string           `json:"details,omitempty"`
	Ratings    []Rating         `json:"ratings,omitempty"`
	References []string         `json:"references,omitempty"`
	Fixes      []Fix            `json:"fixes,omitempty" doc:"per package what to upgrade to"`
	Decisions  []Decision       `json:"decisions,omitempty" doc:"decisions that name it"`
	KEVEntry   *KEV             `json:"kevEntry,omitempty"`
	Changes    []Change         `json:"changes,omitempty" doc:"what advisory updates changed about it, newest first, at most 50"`
}

// KEV is the entry in CISA's catalogue.
type KEV struct {
	Added      time.Time  `json:"added,omitzero"`
	Due        *time.Time `json:"due,omitempty"`
	Ransomware bool       `json:"ransomware,omitempty"`
	Action     string     `json:"action,omitempty"`
}

// Rating is one party's judgement.
type Rating struct {
	Source   string  `json:"source"`
	Method   string  `json:"method,omitempty"`
	Vector   string  `json:"vector,omitempty"`
	Score    float64 `json:"score,omitempty"`
	Severity string  `json:"severity"`
}

// Fix is what to upgrade one package to.
type Fix struct {
	Type    plimsoll.PackageType `json:"type"`
	Package string               `json:"package"`
	System  string               `json:"system,omitempty"`
	To      string               `json:"to,omitempty"`
	State   plimsoll.FixState    `json:"state"`
	Images  int64                `json:"images"`
}

// Finding is a vulnerability in a package at its place in an image.
type Finding struct {
	ID             string                `json:"id" doc:"instance and match, \"12-34\""`
	ImageID        int64                 `json:"imageID"`
	Image          string                `json:"image" doc:"first name in sight, or the short image ID"`
	Digest         plimsoll.Digest       `json:"digest"`
	State          plimsoll.FindingState `json:"state" enum:"open,ignored,fixed,whitelisted" doc:"open while one repository of the image is not covered by a decision"`
	Decisions      []FindingDecision     `json:"decisions,omitempty"`
	VEX            []VEXStatement        `json:"vex,omitempty" doc:"VEX statements about it, whether they handle it or not; at most 10"`
	Vulnerability  string                `json:"vulnerability"`
	Class          plimsoll.Class        `json:"class" enum:"system,application"`
	Severity       string                `json:"severity" enum:"none,low,unknown,medium,high,critical"`
	SeveritySource string                `json:"severitySource,omitempty"`
	Score          float64               `json:"score,omitempty"`
	EPSS           float64               `json:"epss,omitempty"`
	KEV            bool                  `json:"kev,omitempty"`
	Malicious      bool                  `json:"malicious,omitempty"`
	Status         plimsoll.Status       `json:"status" enum:"affected,component-not-present,owned-by-system"`
	Evidence       plimsoll.Evidence     `json:"evidence,omitempty" doc:"how the package was recognised"`
	Confidence     plimsoll.Confidence   `json:"confidence" enum:"high,medium,low" doc:"of the weakest link: what proves the package, and what its version is compared with"`
	Fix            plimsoll.FixState     `json:"fix" doc:"whether and why not a fix exists; empty when unknown"`
	FixedVersion   string                `json:"fixedVersion,omitempty"`
	FixedVersions  []string              `json:"fixedVersions,omitempty"`
	Type           plimsoll.PackageType  `json:"type"`
	Package        string                `json:"package"`
	Version        string                `json:"version"`
	SoftwareID     int64                 `json:"softwareID"`
	PURL           string                `json:"purl,omitempty"`
	Path           string                `json:"path"`
	PathClass      string                `json:"pathClass,omitempty"`
	Layer          plimsoll.Digest       `json:"layer,omitempty"`
	LayerIndex     int                   `json:"layerIndex"`
	Summary        string                `json:"summary,omitempty"`
	Reasons        []Reason              `json:"reasons,omitempty" doc:"why it matches: the records, the ranges, the compared versions"`
	FirstSeen      time.Time             `json:"firstSeen"`
}

// FindingDecision is a decision that fits a finding for one repository.
type FindingDecision struct {
	DecisionID int64                 `json:"decisionID"`
	Kind       plimsoll.DecisionKind `json:"kind"`
	Repository string                `json:"repository"`
}

// Reason is plimsoll.Reason on the wire.
type Reason struct {
	Advisory  string     `json:"advisory"`
	Provider  string     `json:"provider,omitempty"`
	Modified  *time.Time `json:"modified,omitempty"`
	Ecosystem string     `json:"ecosystem"`
	Package   string     `json:"package"`
	Version   string     `json:"version"`
	Scheme    string     `json:"scheme"`
	Range     string     `json:"range"`
	Note      string     `json:"note,omitempty"`
}

// Place is where a package is: one host, with the running containers there.
type Place struct {
	HostID     int64       `json:"hostID"`
	Host       string      `json:"host"`
	ImageID    int64       `json:"imageID"`
	Image      string      `json:"image"`
	Type       string      `json:"type"`
	Package    string      `json:"package"`
	Version    string      `json:"version"`
	Path       string      `json:"path"`
	Containers []Container `json:"containers,omitempty" doc:"running containers of the image on the host"`
}

// ImageDiff is what changed from one image to another. Vulnerabilities are those
// of the advisories of now in both, whatever was decided about them.
type ImageDiff struct {
	From    Image                      `json:"from" doc:"whether both were read and judged completely says how far the rest holds"`
	To      Image                      `json:"to"`
	Added   Bounded[PackageChange]     `json:"added"`
	Removed Bounded[PackageChange]     `json:"removed"`
	Changed Bounded[PackageChange]     `json:"changed" doc:"packages with other versions"`
	New     Bounded[VulnerablePackage] `json:"new" doc:"vulnerabilities that only the second has"`
	Gone    Bounded[VulnerablePackage] `json:"gone" doc:"vulnerabilities that only the first has"`
}

// Bounded is the beginning of a list that has no pages.
type Bounded[T any] struct {
	Items []T   `json:"items" doc:"the first 1,000"`
	Total int64 `json:"total" doc:"how many there are"`
}

// PackageChange is a package whose versions differ between two images; versions
// that both have are left out.
type PackageChange struct {
	Type plimsoll.PackageType `json:"type"`
	Name string               `json:"name"`
	From []string             `json:"from,omitempty" doc:"versions that only the first image has"`
	To   []string             `json:"to,omitempty" doc:"versions that only the second image has"`
}

// VulnerablePackage is a vulnerability of a package that one of two images has.
type VulnerablePackage struct {
	Vulnerability string               `json:"vulnerability"`
	Class         plimsoll.Class       `json:"class" enum:"system,application"`
	Severity      string               `json:"severity" enum:"none,low,unknown,medium,high,critical"`
	Type          plimsoll.PackageType `json:"type"`
	Package       string               `json:"package"`
}

// Change is what an update of the advisories changed about a package.
type Change struct {
	Generation    int64                `json:"generation"`
	At            time.Time            `json:"at"`
	Kind          string               `json:"kind" enum:"new,gone,changed"`
	Vulnerability string               `json:"vulnerability"`
	Severity      string               `json:"severity"`
	Type          plimsoll.PackageType `json:"type"`
	Package       string               `json:"package"`
	Version       string               `json:"version"`
	Reason        string               `json:"reason" doc:"which record says so, or why none does any more"`
	Images        int64                `json:"images"`
}
