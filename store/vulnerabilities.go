package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

var riskKeys = []sortKey{
	{name: "priority", column: "r.priority", desc: true},
	{name: "name", column: "r.name", kind: keyText},
	{name: "score", column: "r.score", kind: keyNumber, desc: true},
	{name: "epss", column: "r.epss", kind: keyNumber, desc: true},
	{name: "images", column: "r.images", desc: true},
	{name: "findings", column: "r.findings", desc: true},
	{name: "firstSeen", column: "r.first_seen", desc: true},
	{name: "published", column: "r.published", desc: true},
}

// sight is where findings of the risk view are looked for: the live images in
// scope, or those of them on one host or on hosts with a label.
type sight struct {
	scope plimsoll.Scope
	host  int64
	label string
}

func (s sight) everything() bool { return s.scope.All && s.host == 0 && s.label == "" }

// hosts narrows to hosts, by the ID in column, that are in sight.
func (s sight) hosts(w *where, column string) {
	w.seesHost(s.scope, column)
	if s.host != 0 {
		w.and(column+" = ?", s.host)
	}
	if s.label != "" {
		w.and(column+" IN (SELECT host_id FROM host_label WHERE label = ?)", s.label)
	}
}

// images narrows to images, by the ID in column, that a host in sight holds.
func (s sight) images(w *where, column string) {
	if s.everything() {
		return
	}
	held := where{}
	held.and("held.image_id = " + column)
	s.hosts(&held, "held.host_id")
	w.and("EXISTS (SELECT 1 FROM host_image held"+held.String()+")", held.args...)
}

// imagesIn returns images that hosts in sight hold, at most so many.
func (t *tx) imagesIn(at sight, most int) ([]int64, error) {
	var w where
	at.hosts(&w, "o.host_id")
	return t.ids("SELECT DISTINCT o.image_id FROM host_image o"+w.String()+" LIMIT ?", append(w.args, most)...)
}

// Vulnerabilities lists the risk view. Counts are those in scope.
func (s *Store) Vulnerabilities(ctx context.Context, scope plimsoll.Scope, f api.VulnerabilityFilter, l api.List) (page api.Page[api.Vulnerability], err error) {
	const op = "list vulnerabilities"
	err = s.read(ctx, op, func(t *tx) error {
		k, err := newKeyset(l, "vulnerabilities", "r.id", riskKeys)
		if err != nil {
			return err
		}
		at := sight{scope, f.Host, f.Label}
		if !at.everything() && (k.key.name == "images" || k.key.name == "findings") {
			return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: fmt.Errorf("within some hosts there is no order by %s", k.key.name),
				Hint: "sort by priority, or leave out the host and the label"}
		}
		w, err := t.selectRisks(at, f)
		if err != nil {
			return err
		}
		const from = "risk r JOIN vulnerability v ON v.id = r.vulnerability_id"
		if page, err = fetch(t, k, riskColumns, from, w, scanRisk); err != nil {
			return err
		}
		if at.everything() {
			if page.Total, err = t.count("risk r", w); err != nil {
				return err
			}
		}
		return t.fillRisks(at, page.Items)
	})
	return page, err
}

// selectRisks turns a filter into conditions on risk r.
func (t *tx) selectRisks(at sight, f api.VulnerabilityFilter) (w where, err error) {
	if f.Class != "" {
		w.and("r.class = ?", f.Class)
	}
	if f.Query != "" {
		w.and("r.vulnerability_id IN (SELECT a.vulnerability_id FROM vulnerability_alias a WHERE "+like("a.alias")+")", strings.ToUpper(likePattern(f.Query)))
	}
	if len(f.Severities) > 0 {
		var list []int64
		for _, word := range f.Severities {
			s, ok := plimsoll.ParseSeverity(word)
			if !ok {
				return w, plimsoll.Errorf(plimsoll.CodeInvalid, "filter vulnerabilities", "there is no such severity")
			}
			list = append(list, int64(s))
		}
		in(&w, "r.severity", list)
	}
	if f.KEV {
		w.and("r.kev = 1")
	}
	if f.Package != "" {
		w.and("(r.vulnerability_id, r.class) IN (SELECT m.vulnerability_id, m.class FROM software s CROSS JOIN match m WHERE m.software_id = s.id AND +s.images > 0 AND s.name_lower = ? AND s.name = ? AND "+counted+")",
			strings.ToLower(f.Package), f.Package)
	}
	if f.Since != 0 {
		w.and("r.first_seen >= ?", f.Since)
	}
	if !slices.Contains([]string{"", "no", "yes", "any"}, f.Handled) {
		return w, plimsoll.Errorf(plimsoll.CodeInvalid, "filter vulnerabilities", "handled is yes, no or any")
	}
	if !at.everything() {
		if err := t.inSight(at, f, fewImages, &w); err != nil {
			return w, err
		}
		return w, w.err
	}
	switch f.Handled {
	case "", "no":
		w.and("r.findings > 0")
	case "yes":
		w.and("r.handled > 0 AND r.findings = 0")
	}
	if f.Fixable {
		w.and("r.fixable > 0")
	}
	return w, w.err
}

// fewImages are so few that reading what they share takes no time.
const fewImages = 2000

// inSight narrows to risks r with such findings in sight as the filter asks for. Of few
// images all risks are found, by what the images share. Elsewhere a page is soon full,
// and each risk is looked at; unless no open one may be in sight: looking for that would
// go through all findings.
func (t *tx) inSight(at sight, f api.VulnerabilityFilter, few int, w *where) error {
	if f.Handled == "yes" {
		few = math.MaxInt32
	}
	images, err := t.imagesIn(at, few+1)
	if err != nil {
		return err
	}
	if len(images) <= few {
		ids, err := t.risksOf(images, func(r riskShare) bool {
			switch {
			case f.Fixable && r.fixable == 0, f.Handled == "yes" && r.open > 0:
				return false
			case f.Handled == "yes", f.Handled == "any":
				return true
			}
			return r.open > 0
		})
		if err != nil {
			return err
		}
		if len(ids) <= maxParameters/2 || f.Handled == "yes" {
			in(w, "+r.id", ids) // "+": in the order of the list
			return nil
		}
	}
	has := func(condition string) {
		var found where
		found.and("m.vulnerability_id = r.vulnerability_id AND m.class = r.class AND i.software_id = m.software_id AND g.id = i.image_id AND +g.gone = 0 AND " + counted + condition)
		at.images(&found, "g.id")
		// OFFSET keeps PostgreSQL from looking at all findings for the few of a page.
		w.and("EXISTS (SELECT 1 FROM match m CROSS JOIN instance i CROSS JOIN image g"+found.String()+" LIMIT 1 OFFSET 0)", found.args...)
	}
	if f.Handled == "any" {
		has("")
	} else {
		has(" AND " + open)
	}
	if f.Fixable {
		has(" AND m.fix = 'fixed' AND " + open)
	}
	return nil
}

// risksOf returns the rows of the risk view whose shares of the images, together,
// fit.
func (t *tx) risksOf(images []int64, fits func(riskShare) bool) (ids []int64, err error) {
	all := make(map[riskKey]riskShare)
	err = t.eachShareOf(images, func(_ int64, data []byte) bool {
		return eachShare(data, nil, func(key riskKey, r riskShare) {
			sum := all[key]
			sum.open += r.open
			sum.handled += r.handled
			sum.fixable += r.fixable
			all[key] = sum
		})
	})
	if err != nil {
		return nil, err
	}
	vulnerabilities := make(map[int64]bool)
	for key, sum := range all {
		if fits(sum) {
			vulnerabilities[key.vulnerability] = true
		}
	}
	for part := range slices.Chunk(sortedKeys(vulnerabilities), chunk) {
		rows, err := t.query("SELECT id, vulnerability_id, class FROM risk WHERE vulnerability_id IN ("+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id int64
			var key riskKey
			err := scan(&id, &key.vulnerability, &key.class)
			if sum, has := all[key]; has && fits(sum) {
				ids = append(ids, id)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

const riskColumns = `v.id, v.name, r.class, v.aliases, r.severity, r.score, r.epss, v.epss_percentile, r.kev, v.kev_due, r.malicious, v.disputed, v.summary,
	r.published, r.findings, r.handled, r.fixable, r.images, r.first_seen`

func scanRisk(scan func(...any) error) (v api.Vulnerability, err error) {
	var aliases string
	var severity plimsoll.Severity
	var due, published, fixable, first int64
	err = scan(&v.ID, &v.Name, &v.Class, &aliases, &severity, &v.Score, &v.EPSS, &v.EPSSPercentile, &v.KEV, &due, &v.Malicious, &v.Disputed, &v.Summary,
		&published, &v.Findings, &v.Handled, &fixable, &v.Images, &first)
	v.Aliases, v.Severity = decodeList[string](aliases), severity.String()
	v.KEVDue, v.Published, v.Fixable, v.FirstSeen = momentOrNil(due), momentOrNil(published), fixable > 0, moment(first)
	return v, err
}

// suggestion says in a few words what to do.
func suggestion(fixes []api.Fix) string {
	var names []string
	to := ""
	for _, f := range fixes {
		if f.State != plimsoll.FixAvailable || f.To == "" {
			continue
		}
		if !slices.Contains(names, f.Package) {
			names = append(names, f.Package)
		}
		to = f.To
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		same := !slices.ContainsFunc(fixes, func(f api.Fix) bool { return f.To != "" && f.To != to })
		if same {
			return fmt.Sprintf("upgrade %s to %s", names[0], to)
		}
		return "upgrade " + names[0]
	}
	return fmt.Sprintf("upgrade %d packages", len(names))
}

// fixesOf returns, per package, system and fix, what to upgrade to.
func (t *tx) fixesOf(at sight, v *api.Vulnerability) (fixes []api.Fix, err error) {
	const most = 200
	var w where
	w.and("m.vulnerability_id = ? AND m.class = ? AND g.gone = 0 AND m.gone = 0", v.ID, string(v.Class))
	at.images(&w, "g.id")
	rows, err := t.query(`SELECT s.type, s.name, coalesce(y.name, ''), m.fixed_version, m.fix, count(DISTINCT g.id)
		FROM match m JOIN instance i ON i.software_id = m.software_id JOIN image g ON g.id = i.image_id JOIN software s ON s.id = m.software_id
		LEFT JOIN system y ON y.id = s.system_id`+w.String()+" GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 LIMIT ?", append(w.args, most)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var f api.Fix
		err := scan(&f.Type, &f.Package, &f.System, &f.To, &f.State, &f.Images)
		fixes = append(fixes, f)
		return err
	})
	return fixes, err
}

// Vulnerability returns what is known about a vulnerability in one class, or in the
// first that has it, by any ID of its alias group.
func (s *Store) Vulnerability(ctx context.Context, scope plimsoll.Scope, id string, class plimsoll.Class) (d api.VulnerabilityDetail, err error) {
	err = s.read(ctx, "read a vulnerability", func(t *tx) error {
		ids, err := t.vulnerabilitiesNamed(id)
		if err != nil {
			return err
		}
		at := sight{scope: scope}
		var data string
		var classes []plimsoll.Class
		for _, c := range []plimsoll.Class{plimsoll.ClassSystem, plimsoll.ClassApplication} {
			id, name, text, err := t.vulnerabilityIn(scope, ids, id, c)
			if err != nil {
				return err
			}
			if id == 0 {
				continue
			}
			classes = append(classes, c)
			if d.ID == 0 && (class == "" || class == c) {
				class, d.ID, d.Name, data = c, id, name, text
			}
		}
		if d.ID == 0 {
			return plimsoll.Errorf(plimsoll.CodeNotFound, "find a vulnerability", "nothing in sight has it in %s packages", cmp.Or(string(class), "any"))
		}
		if d.Vulnerability, err = t.riskOf(d.ID, class); err != nil {
			return err
		}
		one := []api.Vulnerability{d.Vulnerability}
		if err := t.fillRisks(at, one); err != nil {
			return err
		}
		d.Vulnerability, d.Classes = one[0], classes
		if d.Fixes, err = t.fixesOf(at, &d.Vulnerability); err != nil {
			return err
		}
		var more flawData
		if err := json.Unmarshal([]byte(data), &more); err != nil {
			return err
		}
		d.Details, d.Ratings, d.References, d.KEVEntry = more.Details, more.Ratings, more.References, more.KEV
		if d.Decisions, err = t.decisionsNaming(scope, d.Name); err != nil {
			return err
		}
		k, err := newKeyset(api.List{}, "changes", "c.id", changeKeys)
		if err != nil {
			return err
		}
		var about where
		about.and("c.vulnerability_id = ?", d.ID)
		page, err := t.changes(scope, k, about)
		d.Changes = page.Items
		return err
	})
	return d, err
}

// vulnerabilityIn returns the vulnerability of an ID that packages of a class have in
// sight, the one named so before others that share the ID; 0 when none has.
func (t *tx) vulnerabilityIn(scope plimsoll.Scope, ids []int64, named string, class plimsoll.Class) (id int64, name, data string, err error) {
	var w where
	in(&w, "v.id", ids)
	w.and("v.id IN (SELECT m.vulnerability_id FROM match m WHERE m.class = ? AND m.gone = 0)", string(class))
	if !scope.All {
		var held where
		held.and("m.vulnerability_id = v.id AND m.class = ? AND m.gone = 0", string(class))
		held.seesLive(scope, "i.image_id")
		w.and("EXISTS (SELECT 1 FROM match m JOIN instance i ON i.software_id = m.software_id"+held.String()+")", held.args...)
	}
	rows, err := t.query("SELECT v.id, v.name, v.data FROM vulnerability v"+w.String()+" ORDER BY CASE WHEN upper(v.name) = ? THEN 0 ELSE 1 END, v.id LIMIT 1",
		append(w.args, aliasOf(strings.TrimSpace(named)))...)
	err = each(rows, err, func(scan func(...any) error) error { return scan(&id, &name, &data) })
	return id, name, data, err
}

// riskOf returns the row of the risk view, or one without counts for a
// vulnerability whose findings do not count.
func (t *tx) riskOf(id int64, class plimsoll.Class) (v api.Vulnerability, err error) {
	rows, err := t.query(`SELECT v.id, v.name, CAST(? AS TEXT), v.aliases, coalesce(r.severity, v.severity), v.score, v.epss, v.epss_percentile,
		CASE WHEN v.kev > 0 THEN 1 ELSE 0 END, v.kev_due, v.malicious, v.disputed, v.summary, v.published, coalesce(r.findings, 0), coalesce(r.handled, 0),
		coalesce(r.fixable, 0), coalesce(r.images, 0), v.first_seen
		FROM vulnerability v LEFT JOIN risk r ON r.vulnerability_id = v.id AND r.class = ? WHERE v.id = ?`, string(class), string(class), id)
	err = each(rows, err, func(scan func(...any) error) error {
		v, err = scanRisk(scan)
		return err
	})
	return v, err
}

// decisionsNaming returns the decisions in force that name a vulnerability.
func (t *tx) decisionsNaming(scope plimsoll.Scope, name string) (list []api.Decision, err error) {
	aliases, err := t.aliasesOf(name)
	if err != nil {
		return nil, err
	}
	var w where
	w.and(inForce, t.now)
	in(&w, "upper(d.vulnerability)", aliases)
	w.seesDecision(scope, "d")
	rows, err := t.query("SELECT "+decisionColumns+" FROM decision d"+w.String()+" ORDER BY d.id DESC", w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		d, hits, err := scanDecision(scan)
		list = append(list, wire(&d, hits, moment(t.now)))
		return err
	})
	for i := range list {
		if err := t.hitsInSight(scope, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, err
}
