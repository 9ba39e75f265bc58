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
func imageFilter(scope plimsoll.Scope, f api.ImageFilter) where {
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
	sight, sightArgs := hostInSight(scope, "p.host_id")
	// within narrows to images with a presence that fits; those of gone images count.
	within := func(condition string, args ...any) {
		if live {
			condition = "p.gone = 0 AND " + condition
		} else {
			condition = "(p.gone = 0 OR i.gone > 0) AND " + condition
		}
		w.and("EXISTS (SELECT 1 FROM presence p WHERE p.image_id = i.id AND "+condition+" AND "+sight+")", slices.Concat(args, sightArgs)...)
	}
	if f.Query != "" {
		names := "EXISTS (SELECT 1 FROM presence p WHERE p.image_id = i.id AND (p.gone = 0 OR i.gone > 0) AND " + like("p.name_lower") + " AND " + sight + ")"
		id := strings.TrimPrefix(strings.ToLower(f.Query), "sha256:")
		if strings.Trim(id, "0123456789abcdef") == "" {
			w.and(names+" OR i.digest >= ? AND i.digest < ?",
				slices.Concat([]any{likePattern(f.Query)}, sightArgs, []any{"sha256:" + id, afterPrefix("sha256:" + id)})...)
		} else {
			w.and(names, slices.Concat([]any{likePattern(f.Query)}, sightArgs)...)
		}
	}
	if f.Repository != "" {
		within("p.repository_id IN (SELECT id FROM repository WHERE name = ?)", f.Repository)
	}
	if f.Host != 0 {
		if live {
			host, hostArgs := hostInSight(scope, "o.host_id")
			w.and("i.id IN (SELECT o.image_id FROM host_image o WHERE o.host_id = ? AND "+host+")", slices.Concat([]any{f.Host}, hostArgs)...)
		} else {
			within("p.host_id = ?", f.Host)
		}
	}
	if f.HostName != "" {
		within("p.host_id IN (SELECT id FROM host WHERE "+like("lower(name)")+")", likePattern(f.HostName))
	}
	if f.Address != "" {
		// Addresses are a list in JSON; one may be written with its network's size.
		one, sized := likeEscapes.Replace(`"`+f.Address+`"`), likeEscapes.Replace(`"`+f.Address+`/`)
		within("p.host_id IN (SELECT id FROM host WHERE "+like("addresses")+" OR "+like("addresses")+")", "%"+one+"%", "%"+sized+"%")
	}
	if f.Label != "" {
		within("p.host_id IN (SELECT host_id FROM host_label WHERE label = ?)", f.Label)
	}
	contained(&w, scope, f)
	if len(f.States) > 0 {
		for _, state := range f.States {
			word(&w, "state", state, "never", "succeeded", "partial", "failed", "unreadable")
		}
		in(&w, "i.state", f.States)
	}
	if word(&w, "queue", f.Queue, "queued", "running", "any") {
		if f.Queue == "any" {
			w.and("i.id IN (SELECT image_id FROM work WHERE state IN ('queued', 'running'))")
		} else {
			w.and("i.id IN (SELECT image_id FROM work WHERE state = ?)", f.Queue)
		}
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
	if f.IDs != nil {
		in(&w, "i.id", f.IDs)
	}
	return w
}

// contained adds the conditions about what images contain and what runs of them.
func contained(w *where, scope plimsoll.Scope, f api.ImageFilter) {
	if f.Software != "" {
		text, args := named(f.Software, "")
		w.and("i.id IN (SELECT n.image_id FROM instance n WHERE n.software_id IN ("+text+"))", args...)
	}
	if f.Vuln != "" {
		w.and(`i.id IN (SELECT n.image_id FROM vulnerability_alias v JOIN match m ON m.vulnerability_id = v.vulnerability_id AND m.gone = 0
			JOIN instance n ON n.software_id = m.software_id WHERE v.alias = ?)`, strings.ToUpper(f.Vuln))
	}
	sight, sightArgs := hostInSight(scope, "c.host_id")
	if f.Container != "" {
		w.and("i.id IN (SELECT c.image_id FROM container c WHERE c.gone = 0 AND ("+like("lower(c.name)")+" OR c.container_id >= ? AND c.container_id < ?) AND "+sight+")",
			slices.Concat([]any{likePattern(f.Container), f.Container, afterPrefix(f.Container)}, sightArgs)...)
	}
	if f.Pod != "" {
		w.and("i.id IN (SELECT c.image_id FROM container c WHERE c.gone = 0 AND "+like("lower(c.pod)")+" AND "+sight+")",
			slices.Concat([]any{likePattern(f.Pod)}, sightArgs)...)
	}
	if word(w, "inUse", f.InUse, "yes", "no") {
		runs, args := "i.running > 0", []any(nil)
		if !scope.All {
			text, sightArgs := hostInSight(scope, "u.host_id")
			runs, args = "EXISTS (SELECT 1 FROM host_image u WHERE u.image_id = i.id AND u.running > 0 AND "+text+")", sightArgs
		}
		if f.InUse == "no" {
			runs = "NOT (" + runs + ")"
		}
		w.and(runs, args...)
	}
}
