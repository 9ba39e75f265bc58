package api

import (
	"time"

	"plimsoll"
)

// Selection says which images a scan, an export or a decision is about: exactly
// one of its fields, or All.
type Selection struct {
	All    bool         `json:"all,omitempty"`
	Images []int64      `json:"images,omitempty" maxItems:"10000"`
	Hosts  []int64      `json:"hosts,omitempty" maxItems:"10000" doc:"every image on these hosts"`
	Label  string       `json:"label,omitempty" maxLength:"320" doc:"every image on hosts with this label, \"env=prod\""`
	Filter *ImageFilter `json:"filter,omitempty" doc:"every image that fits"`
}

// ImageFilter narrows the list of images. Empty fields do not narrow.
type ImageFilter struct {
	Query      string   `json:"q,omitempty" query:"q" maxLength:"300" doc:"part of a name, or the beginning of an image ID"`
	Repository string   `json:"repository,omitempty" query:"repository" maxLength:"300" doc:"name without tag"`
	States     []string `json:"state,omitempty" query:"state,explode" doc:"never, succeeded, partial, failed or unreadable; repeatable"`
	Queue      string   `json:"queue,omitempty" query:"queue" enum:"queued,running,any" doc:"whether a scan is asked for"`
	Risks      []string `json:"risk,omitempty" query:"risk,explode" doc:"unscanned, safe, low, unknown, medium, high or critical; repeatable"`
	System     string   `json:"system,omitempty" query:"system" maxLength:"100" doc:"distribution and release, as images show it"`
	Host       int64    `json:"host,omitempty" query:"host" doc:"ID of a host"`
	HostName   string   `json:"hostName,omitempty" query:"hostName" maxLength:"255" doc:"part of a host's name"`
	Address    string   `json:"address,omitempty" query:"address" maxLength:"64" doc:"of a host"`
	Label      string   `json:"label,omitempty" query:"label" maxLength:"320" doc:"of a host, \"env=prod\""`
	Container  string   `json:"container,omitempty" query:"container" maxLength:"300" doc:"part of a container's name, or the beginning of its ID"`
	Pod        string   `json:"pod,omitempty" query:"pod" maxLength:"300" doc:"part of a pod's name"`
	Software   string   `json:"software,omitempty" query:"software" maxLength:"300" doc:"exact name of a package in it"`
	Vuln       string   `json:"vulnerability,omitempty" query:"vulnerability" maxLength:"100" doc:"with an open finding of it, by any of its IDs"`
	InUse      string   `json:"inUse,omitempty" query:"inUse" enum:"yes,no" doc:"whether a running container uses it"`
	Gone       string   `json:"gone,omitempty" query:"gone" enum:"yes,no,any" doc:"default no; yes and any find images also by the names and hosts that they had"`
	MinSev     string   `json:"minSeverity,omitempty" query:"minSeverity" doc:"with a finding at least as severe"`
	Fixable    bool     `json:"fixable,omitempty" query:"fixable" doc:"with a fix"`
	KEV        bool     `json:"kev,omitempty" query:"kev" doc:"known to be exploited"`
	Code       string   `json:"code,omitempty" query:"code" maxLength:"60" doc:"reason code"`
	Warnings   []string `json:"warning,omitempty" query:"warning,explode" doc:"what findings may be missing for: uncovered (packages that no advisory source speaks about), unidentified (archives or packages), ended (distribution without advisories any more), problems (files that could not be read), stale (read by older analysers), offline (only offline hosts hold it); repeatable"`
	IDs        []int64  `json:"ids,omitempty" query:"ids,explode" maxItems:"10000" doc:"these alone; repeatable"`
}

// ImageSorts are the sort keys of images, the default first.
var ImageSorts = []string{"risk", "name", "size", "created", "firstSeen", "lastSeen", "scannedAt", "packages", "fixable", "kev", "hosts", "containers"}

// ImageWarnings are the words of ImageFilter.Warnings.
var ImageWarnings = []string{"uncovered", "unidentified", "ended", "problems", "stale", "offline"}

// FindingFilter narrows the list of findings.
type FindingFilter struct {
	Image         int64    `json:"image,omitempty" query:"image" doc:"ID of an image"`
	Repository    string   `json:"repository,omitempty" query:"repository" maxLength:"300" doc:"judge states for this repository alone"`
	Vulnerability string   `json:"vulnerability,omitempty" query:"vulnerability" maxLength:"100" doc:"any ID of the alias group"`
	Software      int64    `json:"software,omitempty" query:"software" doc:"ID of a distinct package"`
	Package       string   `json:"package,omitempty" query:"package" maxLength:"300" doc:"exact name of a package"`
	Type          string   `json:"type,omitempty" query:"type" maxLength:"40" doc:"of the package: deb, rpm, apk, npm …"`
	Path          string   `json:"path,omitempty" query:"path" maxLength:"4096" doc:"glob over path classes"`
	Class         string   `json:"class,omitempty" query:"class" enum:"system,application" doc:"packages of the system, or of applications"`
	States        []string `json:"state,omitempty" query:"state,explode" doc:"default open"`
	Severities    []string `json:"severity,omitempty" query:"severity,explode" doc:"none, low, unknown, medium, high or critical; repeatable"`
	Fix           string   `json:"fix,omitempty" query:"fix" maxLength:"40" doc:"state of the fix, as findings show it"`
	Fixable       bool     `json:"fixable,omitempty" query:"fixable" doc:"with a fix"`
	KEV           bool     `json:"kev,omitempty" query:"kev" doc:"known to be exploited"`
	Host          int64    `json:"host,omitempty" query:"host" doc:"ID of a host"`
	Label         string   `json:"label,omitempty" query:"label" maxLength:"320" doc:"of a host, \"env=prod\""`
	Decision      int64    `json:"decision,omitempty" query:"decision" doc:"handled by this decision"`
	Base          string   `json:"base,omitempty" query:"base" enum:"yes,no" doc:"from a base layer or not"`
	Layer         string   `json:"layer,omitempty" query:"layer" maxLength:"80" doc:"brought by the layer with this diff ID; needs image"`
	IDs           []string `json:"ids,omitempty" query:"ids,explode" maxItems:"10000" doc:"these alone; repeatable"`
	Since         int64    `json:"since,omitempty" query:"since" doc:"first seen at or after, unix milliseconds"`
}

// FindingSorts are the sort keys of findings: by what to act on first, or newest first.
var FindingSorts = []string{"priority", "firstSeen"}

// VulnerabilityFilter narrows the risk view.
type VulnerabilityFilter struct {
	Query      string   `json:"q,omitempty" query:"q" maxLength:"300" doc:"part of an ID or alias"`
	Class      string   `json:"class,omitempty" query:"class" enum:"system,application" doc:"packages of the system, or of applications"`
	Severities []string `json:"severity,omitempty" query:"severity,explode" doc:"none, low, unknown, medium, high or critical; repeatable"`
	KEV        bool     `json:"kev,omitempty" query:"kev" doc:"known to be exploited"`
	Fixable    bool     `json:"fixable,omitempty" query:"fixable" doc:"with a fix"`
	Package    string   `json:"package,omitempty" query:"package" maxLength:"300" doc:"exact name of a package"`
	Handled    string   `json:"handled,omitempty" query:"handled" enum:"yes,no,any" doc:"no: with open findings (default); yes: all handled"`
	Host       int64    `json:"host,omitempty" query:"host" doc:"ID of a host"`
	Label      string   `json:"label,omitempty" query:"label" maxLength:"320" doc:"of a host, \"env=prod\""`
	Since      int64    `json:"since,omitempty" query:"since" doc:"first seen at or after, unix milliseconds"`
}

// VulnerabilitySorts are the sort keys of the risk view.
var VulnerabilitySorts = []string{"priority", "name", "score", "epss", "images", "findings", "firstSeen", "published"}

// SoftwareFilter narrows the list of software.
type SoftwareFilter struct {
	Query    string `json:"q,omitempty" query:"q" maxLength:"300" doc:"part of a name"`
	Name     string `json:"name,omitempty" query:"name" maxLength:"300" doc:"exact name"`
	Type     string `json:"type,omitempty" query:"type" maxLength:"40" doc:"deb, rpm, apk, npm …"`
	Version  string `json:"version,omitempty" query:"version" maxLength:"200" doc:"exact version"`
	Below    string `json:"below,omitempty" query:"below" maxLength:"200" doc:"versions below this one, in the ecosystem's order; needs name"`
	AtLeast  string `json:"atLeast,omitempty" query:"atLeast" maxLength:"200" doc:"this version and above; needs name"`
	License  string `json:"license,omitempty" query:"license" maxLength:"200" doc:"a licence of the package"`
	Path     string `json:"path,omitempty" query:"path" maxLength:"4096" doc:"glob"`
	PURL     string `json:"purl,omitempty" query:"purl" maxLength:"1000" doc:"beginning of a purl"`
	System   string `json:"system,omitempty" query:"system" maxLength:"100" doc:"distribution and release, as images show it"`
	Covered  string `json:"covered,omitempty" query:"covered" enum:"yes,no" doc:"whether an advisory source speaks about it"`
	Affected bool   `json:"affected,omitempty" query:"affected" doc:"with a vulnerability"`
	Image    int64  `json:"image,omitempty" query:"image" doc:"ID of an image"`
	Layer    string `json:"layer,omitempty" query:"layer" maxLength:"80" doc:"brought by the layer with this diff ID; needs an image"`
	Host     int64  `json:"host,omitempty" query:"host" doc:"ID of a host"`
	Label    string `json:"label,omitempty" query:"label" maxLength:"320" doc:"of a host, \"env=prod\""`
}

// SoftwareSorts are the sort keys of software.
var SoftwareSorts = []string{"name", "images", "risk", "firstSeen"}

// HostFilter narrows the list of hosts.
type HostFilter struct {
	Query    string `json:"q,omitempty" query:"q" maxLength:"255" doc:"part of a name or address"`
	State    string `json:"state,omitempty" query:"state" enum:"online,late,offline,never,revoked" doc:"of its agent"`
	Label    string `json:"label,omitempty" query:"label" maxLength:"320" doc:"of a host, \"env=prod\""`
	Vuln     string `json:"vulnerability,omitempty" query:"vulnerability" maxLength:"100" doc:"with an image that has an open finding of it, by any of its IDs"`
	Problems bool   `json:"problems,omitempty" query:"problems" doc:"with something that its agent cannot read"`
	IDs      []int64
}

// HostSorts are the sort keys of hosts.
var HostSorts = []string{"name", "lastSeen", "images"}

// TaskFilter narrows the list of tasks.
type TaskFilter struct {
	Kind      string `json:"kind,omitempty" query:"kind" enum:"scan,sync,export,database" doc:"what it is about"`
	State     string `json:"state,omitempty" query:"state" enum:"queued,running,succeeded,partial,failed,cancelled" doc:"of the task"`
	CreatedBy string `json:"createdBy,omitempty" query:"createdBy" maxLength:"100" doc:"name of who started it"`
}

// Task is work that was asked for, with its progress.
type Task struct {
	ID        int64              `json:"id"`
	Kind      plimsoll.TaskKind  `json:"kind" enum:"scan,sync,export,database"`
	State     plimsoll.TaskState `json:"state" enum:"queued,running,succeeded,partial,failed,cancelled"`
	Title     string             `json:"title"`
	CreatedBy string             `json:"createdBy,omitempty"`
	Created   time.Time          `json:"created"`
	Started   *time.Time         `json:"started,omitempty"`
	Ended     *time.Time         `json:"ended,omitempty"`
	Total     int64              `json:"total"`
	Succeeded int64              `json:"succeeded"`
	Partial   int64              `json:"partial"`
	Failed    int64              `json:"failed"`
	Cancelled int64              `json:"cancelled"`
	Running   int64              `json:"running"`
	Queued    int64              `json:"queued"`
	Waiting   int64              `json:"waiting" doc:"queued items whose hosts are all offline"`
	Stopping  bool               `json:"stopping,omitempty"`
	Remaining *int64             `json:"remaining,omitempty" doc:"seconds, estimated; absent when unknown"`
	Detail    string             `json:"detail,omitempty"`
	ExportID  int64              `json:"exportID,omitempty"`
}

// TaskItem is one image, or for a sync one host, of a task.
type TaskItem struct {
	ImageID  int64              `json:"imageID,omitempty"`
	Image    string             `json:"image,omitempty"`
	HostID   int64              `json:"hostID,omitempty" doc:"the host that does or did it"`
	Host     string             `json:"host,omitempty"`
	State    plimsoll.TaskState `json:"state"`
	Code     string             `json:"code,omitempty" doc:"reason code of a partial or failed item, or why it waits"`
	Detail   string             `json:"detail,omitempty"`
	Attempts int                `json:"attempts,omitempty"`
	Progress float64            `json:"progress,omitempty" doc:"0 to 1 while running"`
	Started  *time.Time         `json:"started,omitempty"`
	Ended    *time.Time         `json:"ended,omitempty"`
	Reused   bool               `json:"reused,omitempty" doc:"the fleet knew the image already: nothing was read"`
}

// Codes of task items beyond the problem codes of images.
const (
	CodeHostOffline   = "host-offline"   // waits: no host that holds the image is online
	CodeOutsideWindow = "outside-window" // waits: scans start at other hours
	CodeHourlyLimit   = "hourly-limit"   // waits: the fleet has read as many images as an hour allows
	CodeHostBusy      = "host-busy"      // waits: the hosts that hold the image read as many as they may at a time
	CodeAgentLost     = "agent-lost"     // three agents or attempts were lost during the scan
	CodeNoHost        = "no-host"        // no host holds the image any more
	CodeStopped       = "stopped"        // by a user
	CodeTimeout       = "timeout"
)

// ScanRequest asks for a scan.
type ScanRequest struct {
	Selection
	Force bool   `json:"force,omitempty" doc:"read again what the fleet knows already"`
	Title string `json:"title,omitempty" maxLength:"200"`
}

// SyncRequest asks hosts to list their images now.
type SyncRequest struct {
	All   bool    `json:"all,omitempty"`
	Hosts []int64 `json:"hosts,omitempty" maxItems:"10000"`
	Label string  `json:"label,omitempty" maxLength:"320"`
}

// Schedule starts scans by itself.
type Schedule struct {
	ID        int64      `json:"id,omitempty" readOnly:"true"`
	Name      string     `json:"name" minLength:"1" maxLength:"100"`
	Enabled   bool       `json:"enabled"`
	Trigger   string     `json:"trigger" enum:"cron,new-image,pull" doc:"cron: at times; new-image: when the fleet sees an image for the first time; pull: when a host gets an image"`
	Cron      string     `json:"cron,omitempty" maxLength:"100" doc:"five fields, in UTC"`
	Selection Selection  `json:"selection" doc:"for cron: what to scan; for the others hosts or label narrow where"`
	Changed   bool       `json:"changed,omitempty" doc:"only images without an up-to-date scan"`
	LastRun   *time.Time `json:"lastRun,omitempty" readOnly:"true"`
	NextRun   *time.Time `json:"nextRun,omitempty" readOnly:"true"`
	LastTask  int64      `json:"lastTask,omitempty" readOnly:"true"`
	CreatedBy string     `json:"createdBy,omitempty" readOnly:"true"`
}

// Settings are the fleet's.
type Settings struct {
	ScansPerHour     int    `json:"scansPerHour" minimum:"0" maximum:"1000000" doc:"in the whole fleet; 0: no limit"`
	HostConcurrency  int    `json:"hostConcurrency" minimum:"1" maximum:"16" doc:"images that one host reads at a time"`
	Window           string `json:"window" maxLength:"100" doc:"hours in UTC in which scans start, \"22:00-06:00\"; empty: always"`
	MaxImageAgeDays  int    `json:"maxImageAgeDays" minimum:"0" maximum:"36500" doc:"scan-all leaves out images created before; 0: none"`
	SyncHours        int    `json:"syncHours" minimum:"1" maximum:"168" doc:"hours between full lists of images"`
	ScanTimeout      int    `json:"scanTimeout" minimum:"10" maximum:"86400" doc:"seconds for one image"`
	AgentMemoryMB    int    `json:"agentMemoryMB" minimum:"64" maximum:"65536" doc:"most memory that reading one image may take"`
	AgentCPUPercent  int    `json:"agentCPUPercent" minimum:"5" maximum:"1600" doc:"of one core"`
	DatabaseHours    int    `json:"databaseHours" minimum:"0" maximum:"720" doc:"hours between updates of the advisories; 0: never by itself"`
	KeepPresenceDays int    `json:"keepPresenceDays" minimum:"1" maximum:"3650" doc:"how long vanished images are remembered"`
	KeepHistoryDays  int    `json:"keepHistoryDays" minimum:"1" maximum:"3650"`
	KeepTaskDays     int    `json:"keepTaskDays" minimum:"1" maximum:"3650"`
}

// DefaultSettings are in force until somebody changes them.
func DefaultSettings() Settings {
	return Settings{
		HostConcurrency: 1, SyncHours: 24, ScanTimeout: 900, AgentMemoryMB: 512, AgentCPUPercent: 100,
		DatabaseHours: 24, KeepPresenceDays: 90, KeepHistoryDays: 396, KeepTaskDays: 90,
	}
}

// Decision is plimsoll.Decision on the wire.
type Decision struct {
	ID            int64                 `json:"id,omitempty" readOnly:"true"`
	Kind          plimsoll.DecisionKind `json:"kind" enum:"ignore,fixed,whitelist"`
	Vulnerability string                `json:"vulnerability,omitempty" maxLength:"100"`
	PackageType   plimsoll.PackageType  `json:"packageType,omitempty" maxLength:"40"`
	Package       string                `json:"package,omitempty" maxLength:"300"`
	Path          string                `json:"path,omitempty" maxLength:"4096"`
	Repositories  []string              `json:"repositories,omitempty" maxItems:"1000"`
	ImageIDs      []plimsoll.Digest     `json:"imageIDs,omitempty" maxItems:"1000"`
	Labels        []string              `json:"labels,omitempty" maxItems:"100"`
	Remark        string                `json:"remark" minLength:"1" maxLength:"2000"`
	Expires       *time.Time            `json:"expires,omitempty"`
	UntilFix      bool                  `json:"untilFix,omitempty"`
	Author        string                `json:"author,omitempty" readOnly:"true"`
	Created       *time.Time            `json:"created,omitempty" readOnly:"true"`
	Revoked       *time.Time            `json:"revoked,omitempty" readOnly:"true"`
	State         string                `json:"state,omitempty" readOnly:"true" enum:"active,expired,revoked"`
	DocumentID    int64                 `json:"documentID,omitempty" readOnly:"true" doc:"of the VEX document whose statement it follows"`
	Statement     *VEXStatement         `json:"statement,omitempty" readOnly:"true" doc:"the statement that it follows, which says what it is about"`
	Hits          int64                 `json:"hits,omitempty" readOnly:"true" doc:"findings that it handles; an active one without hits matches nothing"`
}

// DecisionRequest makes one decision for each finding, each vulnerability, each
// image, or for all that a filter finds; or exactly the given rules. A filter that
// does not narrow is refused: whoever means everything says so.
type DecisionRequest struct {
	Rules    []Decision     `json:"rules,omitempty" maxItems:"1000"`
	Kind     string         `json:"kind,omitempty" enum:"ignore,fixed,whitelist" doc:"with findings, filter or all"`
	Findings []string       `json:"findings,omitempty" maxItems:"10000" doc:"IDs of findings"`
	Filter   *FindingFilter `json:"filter,omitempty" doc:"every finding that fits now; states alone do not narrow"`
	All      bool           `json:"all,omitempty" doc:"every open finding in sight"`
	Remark   string         `json:"remark,omitempty" maxLength:"2000"`
	Expires  *time.Time     `json:"expires,omitempty"`
	UntilFix bool           `json:"untilFix,omitempty"`
}

// Preview is what a decision would change.
type Preview struct {
	Findings   int64     `json:"findings" doc:"open findings that it would handle"`
	Images     int64     `json:"images"`
	Hosts      int64     `json:"hosts"`
	Containers int64     `json:"containers"`
	Rules      int       `json:"rules" doc:"decisions that would be made"`
	Sample     []Finding `json:"sample" doc:"the first 20"`
}

// DecisionEvent is one step in the history of a decision.
type DecisionEvent struct {
	ID       int64     `json:"id"`
	Decision int64     `json:"decision"`
	At       time.Time `json:"at"`
	User     string    `json:"user,omitempty"`
	Action   string    `json:"action" enum:"created,changed,revoked,expired"`
	Remark   string    `json:"remark,omitempty"`
	Findings int64     `json:"findings" doc:"findings that it handled afterwards; -1 where some of them may be out of sight"`
	Rule     *Decision `json:"rule,omitempty" doc:"the rule after the step"`
}

// ExportRequest asks for a file.
type ExportRequest struct {
	Kind     string               `json:"kind" enum:"findings,vulnerabilities,images,software,decisions,report,vex"`
	Format   string               `json:"format" enum:"csv,xlsx,json,html,cyclonedx,spdx,openvex" doc:"cyclonedx and spdx with reports, openvex and cyclonedx with kind vex"`
	Images   *ImageFilter         `json:"images,omitempty" doc:"with kind images and report"`
	Findings *FindingFilter       `json:"findings,omitempty" doc:"with kind findings and vex; vex is about what is handled, whatever the states"`
	Vulns    *VulnerabilityFilter `json:"vulnerabilities,omitempty"`
	Software *SoftwareFilter      `json:"software,omitempty"`
}

// Export is a file that was asked for.
type Export struct {
	ID        int64              `json:"id"`
	TaskID    int64              `json:"taskID"`
	State     plimsoll.TaskState `json:"state"`
	Kind      string             `json:"kind"`
	Format    string             `json:"format"`
	FileName  string             `json:"fileName"`
	MediaType string             `json:"mediaType"`
	Rows      int64              `json:"rows"`
	Size      int64              `json:"size" doc:"bytes"`
	Created   time.Time          `json:"created"`
	CreatedBy string             `json:"createdBy,omitempty"`
	Detail    string             `json:"detail,omitempty"`
}

// Generation is one activated generation of advisories and what it changed.
type Generation struct {
	ID           int64        `json:"id"`
	Digest       string       `json:"digest"`
	Built        time.Time    `json:"built,omitzero" doc:"newest date of its sources; absent when none has one"`
	Sample       bool         `json:"sample,omitempty" doc:"a demonstration sample, not to be relied on"`
	Advisories   int64        `json:"advisories"`
	Sources      []DataSource `json:"sources,omitempty"`
	Activated    time.Time    `json:"activated"`
	Evaluated    *time.Time   `json:"evaluated,omitempty" doc:"when all software was judged by it"`
	Software     int64        `json:"software" doc:"distinct packages that were judged; this and the counts below are -1 for whoever sees a part of the fleet"`
	NewMatches   int64        `json:"newMatches"`
	GoneMatches  int64        `json:"goneMatches"`
	NewFindings  int64        `json:"newFindings"`
	GoneFindings int64        `json:"goneFindings"`
}

// DataSource is one provider within a generation.
type DataSource struct {
	Name    string    `json:"name"`
	Newest  time.Time `json:"newest,omitzero" doc:"of its records; absent when unknown"`
	Fetched time.Time `json:"fetched,omitzero"`
	Records int64     `json:"records"`
}

// Database is the state of the advisories.
type Database struct {
	Current *Generation `json:"current,omitempty" doc:"absent: there are none, nothing is judged"`
	AgeSecs int64       `json:"ageSeconds,omitempty" doc:"absent when the date is unknown"`
	Stale   bool        `json:"stale,omitempty" doc:"older than a week"`
	Task    *Task       `json:"task,omitempty" doc:"the running update"`
	Pending int64       `json:"pending" doc:"distinct packages that wait to be judged; -1 for whoever sees a part of the fleet"`
}

// Dashboard is the first screen. What it counts is what the list with the same
// filter holds.
type Dashboard struct {
	Hosts           map[string]int64    `json:"hosts" doc:"by agent state"`
	HostProblems    int64               `json:"hostProblems" doc:"hosts with something that their agents cannot read"`
	Containers      int64               `json:"containers"`
	Images          int64               `json:"images"`
	InUse           int64               `json:"inUse" doc:"images that a running container uses"`
	ImageStates     map[string]int64    `json:"imageStates"`
	Risks           map[string]int64    `json:"risks" doc:"images by risk"`
	Warnings        map[string]int64    `json:"warnings" doc:"images by the warnings that their filter knows"`
	Software        int64               `json:"software" doc:"distinct packages"`
	Uncovered       int64               `json:"uncovered" doc:"installed packages without an advisory source"`
	Unidentified    int64               `json:"unidentified" doc:"archives and packages that could not be identified"`
	System          Counts              `json:"system" doc:"open findings in packages of the system"`
	Application     Counts              `json:"application" doc:"open findings in packages of applications"`
	Fixable         int64               `json:"fixable" doc:"open findings with a fix"`
	KEV             int64               `json:"kev" doc:"open findings that are known to be exploited"`
	Vulnerabilities VulnerabilityCounts `json:"vulnerabilities" doc:"those with open findings"`
	TopImages       []Image             `json:"topImages"`
	TopVulns        []Vulnerability     `json:"topVulnerabilities"`
	FailedImages    []Image             `json:"failedImages" doc:"those that could not be read, the latest first"`
	RunningTasks    int64               `json:"runningTasks"`
	RiskOverTime    []RiskPoint         `json:"riskOverTime,omitempty" doc:"days on which it was kept, the last of them today; absent for whoever sees a part of the fleet"`
	Database        Database            `json:"database"`
}

// VulnerabilityCounts counts rows of the list of vulnerabilities.
type VulnerabilityCounts struct {
	System      Counts `json:"system"`
	Application Counts `json:"application"`
	Fixable     int64  `json:"fixable"`
	KEV         int64  `json:"kev"`
	New         int64  `json:"new" doc:"first seen in the last 24 hours"`
}

// RiskPoint is one day of the risk over time.
type RiskPoint struct {
	Day      string `json:"day" doc:"2026-11-25"`
	Findings Counts `json:"findings"`
	Images   int64  `json:"images"`
	KEV      int64  `json:"kev"`
}
