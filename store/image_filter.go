package store

import (
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// imageKeys are the orders of images, those of api.ImageSorts.
var imageKeys = []sortKey{
	{name: "risk", column: "i.risk_order", desc: true},
	{name: "name", column: "i.name", kind: keyText},
	{name: "size", column: "i.size", desc: true},
	{name: "created", column: "i.created", desc: true},
	{name: "firstSeen", column: "i.first_seen", desc: true},
	{name: "lastSeen", column: "i.last_seen", desc: true},
	{name: "scannedAt", column: "i.scanned", desc: true},
	{name: "packages", column: "i.packages", desc: true},
	{name: "fixable", column: "i.fixable", desc: true},
	{name: "kev", column: "i.kev", desc: true},
	{name: "hosts", column: "i.hosts", desc: true},
	{name: "containers", column: "i.containers", desc: true},
}

// severityColumns are the suffixes of the columns of counts, worst first.
var severityColumns = []string{"critical", "high", "medium", "unknown", "low", "none"}

// word refuses a word that a filter does not know.
func word(w *where, field, value string, known ...string) bool {
	if value == "" {
		return false
	}
	if !slices.Contains(known, value) {
		if w.err == nil {
			w.err = plimsoll.Errorf(plimsoll.CodeInvalid, "read the filter", "%s: there is no such word; there are %s", field, strings.Join(known, ", "))
		}
		return false
	}
	return true
}

// imageFilter returns the conditions of a filter on table image i.
func imageFilter(scope plimsoll.Scope, f api.ImageFilter, now int64) where {
	var w where
	live := true // only images that a host holds
	if word(&w, "gone", f.Gone, "yes", "no", "any") && f.Gone != "no" {
		live = false
	}
	switch {
	case live:
		w.and("i.gone = 0")
		w.seesLive(scope, "i.id")
	case f.Gone == "yes":
		w.and("i.gone > 0")
		w.seesImage(scope, "i")
	default:
		w.seesImage(scope, "i")
	}
	if f.Query != "" {
		names, namesArgs := called(scope, live, like("n.name_lower"), likePattern(f.Query))
		id := strings.TrimPrefix(strings.ToLower(f.Query), "sha256:")
		if strings.Trim(id, "0123456789abcdef") == "" {
			names += " OR i.digest >= ? AND i.digest < ?"
			namesArgs = append(namesArgs, "sha256:"+id, afterPrefix("sha256:"+id))
		}
		w.and(names, namesArgs...)
	}
	if f.Repository != "" {
		text, args := placed(scope, live, "p.repository_id IN (SELECT id FROM repository WHERE name = ?)", f.Repository)
		w.and(text, args...)
	}
	hosts := func(condition string, args ...any) {
		text, args := onHosts(scope, live, condition, args...)
		w.and(text, args...)
	}
	if f.Host != 0 {
		hosts("p.host_id = ?", f.Host)
	}
	if f.HostName != "" {
		hosts("p.host_id IN (SELECT id FROM host WHERE "+like("lower(name)")+")", likePattern(f.HostName))
	}
	if f.Address != "" {
		// Addresses are a list in JSON; one may be written with its network's size.
		one, sized := likeEscapes.Replace(`"`+f.Address+`"`), likeEscapes.Replace(`"`+f.Address+`/`)
		hosts("p.host_id IN (SELECT id FROM host WHERE "+like("addresses")+" OR "+like("addresses")+")", "%"+one+"%", "%"+sized+"%")
	}
	if f.Label != "" {
		hosts("p.host_id IN (SELECT host_id FROM host_label WHERE label = ?)", f.Label)
	}
	contained(&w, scope, f)
	if len(f.States) > 0 {
		for _, state := range f.States {
			word(&w, "state", state, "never", "succeeded", "partial", "failed", "unreadable")
		}
		in(&w, "i.state", f.States)
	}
	if word(&w, "queue", f.Queue, "queued", "running", "any") {
		states := map[string]string{"queued": "'queued'", "running": "'leased'", "any": "'queued', 'leased'"}
		w.and("i.id IN (SELECT image_id FROM work WHERE state IN (" + states[f.Queue] + "))")
	}
	if len(f.Risks) > 0 {
		for _, risk := range f.Risks {
			word(&w, "risk", risk, "unscanned", "safe", "none", "low", "unknown", "medium", "high", "critical")
		}
		in(&w, "i.risk", f.Risks)
	}
	if f.System != "" {
		w.and("i.system = ?", f.System)
	}
	if word(&w, "minSeverity", f.MinSev, severityColumns...) {
		var sum []string
		for _, s := range severityColumns[:slices.Index(severityColumns, f.MinSev)+1] {
			sum = append(sum, "i.s_"+s, "i.a_"+s)
		}
		w.and(strings.Join(sum, " + ") + " > 0")
	}
	if f.Fixable {
		w.and("i.fixable > 0")
	}
	if f.KEV {
		w.and("i.kev > 0")
	}
	if f.Code != "" {
		w.and("i.code = ? OR EXISTS (SELECT 1 FROM image_problem x WHERE x.image_id = i.id AND x.code = ?)", f.Code, f.Code)
	}
	warned(&w, f.Warnings, now)
	if f.IDs != nil {
		in(&w, "i.id", f.IDs)
	}
	return w
}

// warned adds the condition for images with one of the warnings.
func warned(w *where, warnings []string, now int64) {
	var either []string
	var args []any
	for _, warning := range warnings {
		if !word(w, "warning", warning, api.ImageWarnings...) {
			continue
		}
		condition := ""
		switch warning {
		case "uncovered":
			condition = "i.uncovered > 0"
		case "unidentified":
			condition = "i.unidentified > 0"
		case "ended":
			condition = "i.system_ended > 0"
		case "problems":
			condition = "i.problems > 0"
		case "stale": // no host that holds it has the analysers that read it
			condition = "i.gone = 0 AND i.inventory <> 0 AND i.id NOT IN (" + theIDs + ")"
			args = append(args, wellRead{})
		case "offline":
			condition = "i.gone = 0 AND NOT EXISTS (SELECT 1 FROM host_image o JOIN host h ON h.id = o.host_id WHERE o.image_id = i.id AND h.revoked = 0 AND h.last_seen >= ?)"
			args = append(args, now-OfflineAfter.Milliseconds())
		}
		either = append(either, condition)
	}
	if len(either) > 0 {
		w.and(strings.Join(either, " OR "), args...)
	}
}

// placed returns the condition for images i with a presence p in sight that
// fits: a live one or, unless only live images are asked for, one that was.
// What fits is found once, not for each image: that would read the presences of
// all of them.
func placed(scope plimsoll.Scope, live bool, condition string, args ...any) (string, []any) {
	from, fromArgs := present(scope, live)
	return "i.id IN (SELECT p.image_id FROM " + from + " AND " + condition + ")", slices.Concat(fromArgs, args)
}

// called is placed for conditions about the name n of an image: it looks through
// the names first, not through what each host calls its images.
func called(scope plimsoll.Scope, live bool, condition string, args ...any) (string, []any) {
	from, fromArgs := present(scope, live)
	return "i.id IN (SELECT n.image_id FROM image_reference n WHERE " + condition + " AND EXISTS (SELECT 1 FROM " + from +
		" AND p.name_lower = n.name_lower AND p.image_id = n.image_id))", slices.Concat(args, fromArgs)
}

// present finds the presences p in sight that placed is about.
func present(scope plimsoll.Scope, live bool) (string, []any) {
	sight, args := hostInSight(scope, "p.host_id")
	if !live {
		return "presence p WHERE " + sight, args
	}
	return "presence p WHERE +p.gone = 0 AND " + sight, args // "+": nearly all rows are live, no index helps
}

// onHosts is placed for conditions about nothing but the host.
func onHosts(scope plimsoll.Scope, live bool, condition string, args ...any) (string, []any) {
	if !live {
		return placed(scope, live, condition, args...)
	}
	sight, sightArgs := hostInSight(scope, "p.host_id")
	return "i.id IN (SELECT p.image_id FROM host_image p WHERE " + condition + " AND " + sight + ")", slices.Concat(args, sightArgs)
}

// exposed returns a query for the IDs of images with an open finding of a
// vulnerability, by any of its names.
func exposed(name string) (string, []any) {
	return "SELECT i.image_id FROM vulnerability_alias v CROSS JOIN match m CROSS JOIN instance i CROSS JOIN image g WHERE v.alias = ? AND " +
			"m.vulnerability_id = v.vulnerability_id AND i.software_id = m.software_id AND g.id = i.image_id AND " + counted + " AND " + open,
		[]any{aliasOf(strings.TrimSpace(name))}
}

// contained adds the conditions about what images contain and what runs of them.
func contained(w *where, scope plimsoll.Scope, f api.ImageFilter) {
	if f.Software != "" {
		text, args := named(f.Software, "")
		w.and("i.id IN (SELECT n.image_id FROM instance n WHERE n.software_id IN ("+text+"))", args...)
	}
	if f.Vuln != "" {
		text, args := exposed(f.Vuln)
		w.and("i.id IN ("+text+")", args...)
	}
	seen, seenArgs := hostInSight(scope, "c.host_id")
	if f.Container != "" {
		w.and("i.id IN (SELECT c.image_id FROM container c WHERE c.gone = 0 AND ("+like("lower(c.name)")+" OR c.container_id >= ? AND c.container_id < ?) AND "+seen+")",
			slices.Concat([]any{likePattern(f.Container), f.Container, afterPrefix(f.Container)}, seenArgs)...)
	}
	if f.Pod != "" {
		w.and("i.id IN (SELECT c.image_id FROM container c WHERE c.gone = 0 AND "+like("lower(c.pod)")+" AND "+seen+")",
			slices.Concat([]any{likePattern(f.Pod)}, seenArgs)...)
	}
	if word(w, "inUse", f.InUse, "yes", "no") {
		runs, args := "i.running > 0", []any(nil)
		if !scope.All {
			runs, args = "i.id IN ("+theIDs+")", []any{heldBy{sight: sight{scope: scope}, running: true}}
		}
		if f.InUse == "no" {
			runs = "NOT (" + runs + ")"
		}
		w.and(runs, args...)
	}
}
