package plimsoll

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Labels describe a host: "env" → "prod". Administrators and enrolment tokens
// set them, agents never do. Every host also has the label "id" with its own ID.
type Labels map[string]string

// Scope is the part of the fleet that somebody may see: everything, or the hosts
// that carry at least one of the labels, each written "key=value". The zero
// value sees nothing.
type Scope struct {
	All    bool
	Labels []string
}

// Everything is the scope without bounds.
var Everything = Scope{All: true}

// Sees says whether a host with these labels is within the scope.
func (s Scope) Sees(labels Labels) bool {
	if s.All {
		return true
	}
	return slices.ContainsFunc(s.Labels, func(l string) bool {
		key, value, _ := strings.Cut(l, "=")
		v, ok := labels[key]
		return ok && v == value
	})
}

// Role is what somebody may do.
type Role string

// The roles; each may do what the ones before it may.
const (
	RoleViewer   Role = "viewer"   // read
	RoleOperator Role = "operator" // scan, sync, decide, export
	RoleAdmin    Role = "admin"    // hosts, users, tokens, settings, the advisory database
)

// Allows says whether r may do what needs the role want.
func (r Role) Allows(want Role) bool {
	rank := func(r Role) int {
		return slices.Index([]Role{RoleViewer, RoleOperator, RoleAdmin}, r)
	}
	return rank(r) >= 0 && rank(r) >= rank(want) && rank(want) >= 0
}

// AgentState says how a host's agent is doing.
type AgentState string

// The states of an agent.
const (
	AgentOnline  AgentState = "online"
	AgentLate    AgentState = "late"    // a heartbeat is overdue
	AgentOffline AgentState = "offline" // several are
	AgentNever   AgentState = "never"   // enrolled, never heard of
	AgentRevoked AgentState = "revoked"
)

// ScanState says what is known about an image's content.
type ScanState string

// The scan states of an image in the fleet. Not scanned, scanned and clean, and
// not covered are three results.
const (
	ImageNever      ScanState = "never"      // nobody asked
	ImageSucceeded  ScanState = "succeeded"  // everything wanted was read
	ImagePartial    ScanState = "partial"    // something could not be read
	ImageFailed     ScanState = "failed"     // the last scan told nothing
	ImageUnreadable ScanState = "unreadable" // no host that holds it can read it; the reason is a ProblemCode
)

// TaskKind says what a task does.
type TaskKind string

// The kinds of tasks.
const (
	TaskScan     TaskKind = "scan"
	TaskSync     TaskKind = "sync"
	TaskExport   TaskKind = "export"
	TaskDatabase TaskKind = "database" // update or import of advisories, and the re-evaluation that follows
)

// TaskState is the state of a task and of each of its items.
type TaskState string

// The states. The last four are final.
const (
	TaskQueued    TaskState = "queued"
	TaskRunning   TaskState = "running"
	TaskSucceeded TaskState = "succeeded"
	TaskPartial   TaskState = "partial"
	TaskFailed    TaskState = "failed"
	TaskCancelled TaskState = "cancelled"
)

// Final says whether the state never changes again.
func (s TaskState) Final() bool {
	switch s {
	case TaskSucceeded, TaskPartial, TaskFailed, TaskCancelled:
		return true
	}
	return false
}

// DecisionKind is what people decided about findings.
type DecisionKind string

// The kinds of decisions, weakest first: where several fit, the last one counts.
const (
	DecisionIgnore    DecisionKind = "ignore"    // still shown, not counted as open
	DecisionFixed     DecisionKind = "fixed"     // fixed by hand; holds until a rebuilt image shows it again
	DecisionWhitelist DecisionKind = "whitelist" // accepted, with a reason and perhaps an end
)

// FindingState is what a finding in the fleet is: open, handled by a decision,
// or resolved because it is no longer there.
type FindingState string

// The states of a finding.
const (
	FindingOpen        FindingState = "open"
	FindingIgnored     FindingState = "ignored"
	FindingFixed       FindingState = "fixed"
	FindingWhitelisted FindingState = "whitelisted"
)

// StateOf returns the state that a decision of kind k gives a finding.
func StateOf(k DecisionKind) FindingState {
	switch k {
	case DecisionIgnore:
		return FindingIgnored
	case DecisionFixed:
		return FindingFixed
	case DecisionWhitelist:
		return FindingWhitelisted
	}
	return FindingOpen
}

// Decision is a rule about findings: vulnerability × package × path × image ×
// host label. An empty condition is met by everything. It hangs on names that
// survive a rebuild (repository, package without version, path class, canonical
// vulnerability), never on digests unless ImageIDs says so.
type Decision struct {
	ID   int64
	Kind DecisionKind

	Vulnerability string // any ID of the alias group
	PackageType   PackageType
	Package       string // name; '*' and '?' match within it
	Path          string // path class (see PathClass); '*' and '?' match, '*' also across '/'
	// Repositories are names without tag or digest, '*' and '?' match, '*' also
	// across '/'; "name:tag" is about that tag alone; "" is about images without
	// a name. ImageIDs narrow the rule to these images.
	Repositories []string
	ImageIDs     []Digest
	// Labels narrow the rule to images that live only on hosts which carry one
	// of these labels ("env=dev"): it never hides what another host still runs.
	Labels []string

	Remark   string // why; required
	Author   string
	Created  time.Time
	Expires  time.Time // zero: never
	UntilFix bool      // ends for a finding as soon as a fix exists
	Revoked  time.Time // zero while in force

	// Document is the VEX document whose statement the decision follows: the
	// statement says what it is about. 0 for decisions that people make.
	Document int64
}

// Active says whether the decision is in force at now.
func (d *Decision) Active(now time.Time) bool {
	return d.Revoked.IsZero() && (d.Expires.IsZero() || now.Before(d.Expires))
}

// PathClass returns where p lies, independent of its version: the version within
// the path is "*", so that an upgrade does not change it. All packages of a
// system's database lie at the same place, which tells nothing: their class is "".
func PathClass(p *Package) string {
	if p.Type.System() {
		return ""
	}
	if p.Version == "" {
		return p.Path
	}
	return strings.ReplaceAll(p.Path, p.Version, "*")
}

// Repository returns the repository of an image reference: the reference
// without tag and digest.
func Repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// Glob says whether text fits pattern, in which '*' stands for any text, also
// across '/', and '?' for one byte. Every other byte stands for itself. It takes
// time in proportion to the product of both lengths.
func Glob(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// SortedLabels returns the labels as "key=value", sorted.
func (l Labels) SortedLabels() []string {
	list := make([]string, 0, len(l))
	for _, key := range slices.Sorted(maps.Keys(l)) {
		list = append(list, key+"="+l[key])
	}
	return list
}

// ValidLabel says whether key=value can be a label: a key of lower-case letters,
// digits and "._-/" that starts with a letter or digit, at most 63 bytes, other
// than "id"; a value of at most 255 printable bytes without "=" or ",".
func ValidLabel(key, value string) bool {
	const maxKey, maxValue = 63, 255
	if key == "" || key == "id" || len(key) > maxKey || len(value) > maxValue || path.Clean(key) != key {
		return false
	}
	for i, c := range []byte(key) {
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._-/", rune(c))) {
			return false
		}
	}
	for _, c := range value {
		if c < ' ' || c == 0x7f || c == '=' || c == ',' || c == '\uFFFD' {
			return false
		}
	}
	return true
}
