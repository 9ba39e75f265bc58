package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// allStates are the states of findings.
var allStates = []string{string(plimsoll.FindingOpen), string(plimsoll.FindingIgnored), string(plimsoll.FindingFixed), string(plimsoll.FindingWhitelisted)}

// findingName is the ID of a finding on the wire.
func findingName(instance, match int64) string { return fmt.Sprintf("%d-%d", instance, match) }

// parseFinding reads what findingName wrote. The error has CodeNotFound: no
// finding has another ID.
func parseFinding(id string) (instance, match int64, err error) {
	a, b, _ := strings.Cut(id, "-")
	instance, err1 := strconv.ParseInt(a, 10, 64)
	match, err2 := strconv.ParseInt(b, 10, 64)
	if err1 != nil || err2 != nil || findingName(instance, match) != id {
		return 0, 0, plimsoll.Errorf(plimsoll.CodeNotFound, "find a finding", "there is no such finding")
	}
	return instance, match, nil
}

// open is the condition under which a finding of instance i and match m in image
// g is open: a live repository of the image has no decision that fits.
const open = `NOT (g.repositories > 0 AND (SELECT count(*) FROM effect e WHERE e.instance_id = i.id AND e.match_id = m.id) >= g.repositories)`

// kindRank orders the kinds of decisions in SQL as rank does.
const kindRank = "CASE d.kind WHEN 'whitelist' THEN 2 WHEN 'fixed' THEN 1 ELSE 0 END"

// selection is the part of a query that finds findings: instance i, match m and
// image g.
type selection struct {
	where
	from       string
	repository int64 // judge states for it alone; 0 for all of an image
	narrow     bool  // few findings fit: counting them is cheap
}

// selectFindings turns a filter into SQL.
func (t *tx) selectFindings(scope plimsoll.Scope, f api.FindingFilter) (*selection, error) {
	q := &selection{}
	invalid := func(what string) error {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "filter findings", "there is no such %s", what)
	}
	// SQLite joins in the order that is written here: from what narrows most.
	first, second := "match m", "instance i"
	if f.Image != 0 || len(f.IDs) > 0 {
		first, second = second, first
	}
	q.from = first + " CROSS JOIN " + second + " CROSS JOIN image g"
	q.and("i.software_id = m.software_id AND g.id = i.image_id")
	if f.Image != 0 {
		q.and("i.image_id = ?", f.Image)
		q.narrow = true
	}
	if f.Image != 0 || len(f.IDs) > 0 {
		q.seesImage(scope, "g")
	} else {
		q.and("g.gone = 0")
		q.seesFound(scope, "g.id")
	}
	if len(f.IDs) > 0 {
		q.narrow = true
		instances, matches := make([]int64, 0, len(f.IDs)), make([]int64, 0, len(f.IDs))
		var pairs []any
		for _, id := range f.IDs {
			instance, match, err := parseFinding(id)
			if err != nil {
				return nil, err
			}
			instances, matches = append(instances, instance), append(matches, match)
			pairs = append(pairs, id)
		}
		in(&q.where, "i.id", instances)
		in(&q.where, "m.id", matches)
		q.and("CAST(i.id AS TEXT) || '-' || CAST(m.id AS TEXT) IN ("+marks(len(pairs))+")", pairs...)
	}
	if f.Repository != "" {
		ids, err := t.ids("SELECT id FROM repository WHERE name = ?", f.Repository)
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			q.never()
		} else {
			q.repository = ids[0]
			sight, values := hostInSight(scope, "p.host_id")
			q.and("EXISTS (SELECT 1 FROM presence p WHERE p.image_id = g.id AND p.repository_id = ? AND p.gone = 0 AND "+sight+")", append([]any{ids[0]}, values...)...)
		}
	}
	if f.Vulnerability != "" {
		ids, err := t.vulnerabilitiesNamed(f.Vulnerability)
		if err != nil {
			return nil, err
		}
		in(&q.where, "m.vulnerability_id", ids)
		q.narrow = true
	}
	if f.Software != 0 {
		q.and("m.software_id = ?", f.Software)
		q.narrow = true
	}
	if f.Package != "" {
		if err := t.ofPackage(q, f); err != nil {
			return nil, err
		}
	}
	if f.Type != "" {
		q.and("(SELECT s.type FROM software s WHERE s.id = m.software_id) = ?", f.Type)
	}
	if f.Path != "" {
		q.glob(t.s.dialect, "i.path_class", f.Path)
	}
	if f.Class != "" {
		q.and("m.class = ?", f.Class)
	}
	if len(f.Severities) > 0 {
		var list []int64
		for _, word := range f.Severities {
			s, ok := plimsoll.ParseSeverity(word)
			if !ok {
				return nil, invalid("severity")
			}
			list = append(list, int64(s))
		}
		in(&q.where, "m.severity", list)
	}
	if f.Fix != "" {
		q.and("m.fix = ?", f.Fix)
	}
	if f.Fixable {
		q.and("m.fix = ?", string(plimsoll.FixAvailable))
	}
	if f.KEV {
		q.and("m.kev = 1")
	}
	if f.Host != 0 {
		sight, values := hostInSight(scope, "h.host_id")
		q.and("EXISTS (SELECT 1 FROM host_image h WHERE h.image_id = g.id AND h.host_id = ? AND "+sight+")", append([]any{f.Host}, values...)...)
	}
	if f.Label != "" {
		sight, values := hostInSight(scope, "h.host_id")
		q.and("EXISTS (SELECT 1 FROM host_image h JOIN host_label l ON l.host_id = h.host_id WHERE h.image_id = g.id AND l.label = ? AND "+sight+")",
			append([]any{f.Label}, values...)...)
	}
	if f.Decision != 0 {
		q.and("+m.id IN (SELECT e.match_id FROM effect e WHERE e.decision_id = ?)", f.Decision) // before their findings: they are few
		q.and("EXISTS (SELECT 1 FROM effect e WHERE e.instance_id = i.id AND e.match_id = m.id AND e.decision_id = ?)", f.Decision)
	}
	switch f.Base {
	case "":
	case "yes", "no":
		q.and("i.base = ?", bit(f.Base == "yes"))
	default:
		return nil, invalid("answer: yes or no")
	}
	if err := q.layer("i", f.Image, f.Layer); err != nil {
		return nil, err
	}
	if f.Since != 0 {
		q.and("m.first_seen >= ?", f.Since)
	}
	if err := q.states(f.States); err != nil {
		return nil, err
	}
	if at := (sight{scope, f.Host, f.Label}); !q.narrow && !at.everything() {
		// Where few images are in sight, most matches have none of them: that is known
		// without a look at the instances.
		const few = 5000
		images, err := t.idsOf(heldBy{sight: at})
		if err != nil {
			return nil, err
		}
		if len(images) <= few {
			q.and("+m.software_id IN ("+theIDs+")", heldBy{sight: at, software: true})
		}
	}
	if q.narrow { // the plus keeps SQLite from going through all matches in the order of the list
		q.and("+m.gone = 0")
	} else {
		q.and("m.gone = 0")
	}
	return q, q.err
}

// ofPackage narrows to findings of a package. When they are many, its matches are
// picked out of all in the order of the list, so that a page of them is enough.
func (t *tx) ofPackage(q *selection, f api.FindingFilter) error {
	const few = 5000 // findings
	var w where
	w.and("s.name_lower = ? AND s.name = ?", strings.ToLower(f.Package), f.Package)
	if w.err != nil {
		return w.err
	}
	var ids []int64
	total := int64(0)
	rows, err := t.query("SELECT s.id, s.images * (s.m_critical + s.m_high + s.m_medium + s.m_low + s.m_unknown + s.m_none) FROM software s"+w.String(), w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id, n int64
		err := scan(&id, &n)
		ids, total = append(ids, id), total+n
		return err
	})
	if total <= few {
		q.narrow = true
		in(&q.where, "m.software_id", ids)
	} else {
		in(&q.where, "+m.software_id", ids)
	}
	return err
}

// states narrows to findings in any of these states; open when there are none.
func (q *selection) states(states []string) error {
	if len(states) == 0 {
		states = allStates[:1]
	}
	wanted := make([]bool, len(allStates))
	for _, s := range states {
		at := slices.Index(allStates, s)
		if at < 0 {
			return plimsoll.Errorf(plimsoll.CodeInvalid, "filter findings", "there is no such state; there are %s", strings.Join(allStates, ", "))
		}
		wanted[at] = true
	}
	if !slices.Contains(wanted, false) {
		return nil
	}
	of, values := "e.instance_id = i.id AND e.match_id = m.id", []any{}
	isOpen := open
	if q.repository != 0 {
		of, values = of+" AND e.repository_id = ?", []any{q.repository}
		isOpen = "NOT EXISTS (SELECT 1 FROM effect e WHERE " + of + ")"
	}
	var conditions []string
	var all []any
	if wanted[0] {
		conditions, all = append(conditions, isOpen), append(all, values...)
	}
	var ranks []string
	for i, want := range wanted[1:] {
		if want {
			ranks = append(ranks, strconv.Itoa(i))
		}
	}
	if len(ranks) > 0 {
		conditions = append(conditions, "NOT ("+isOpen+") AND (SELECT min("+kindRank+") FROM effect e JOIN decision d ON d.id = e.decision_id WHERE "+of+
			") IN ("+strings.Join(ranks, ", ")+")")
		all = append(append(all, values...), values...)
	}
	if !wanted[0] { // few matches have a decision: see which before their findings
		q.and("+m.id IN (SELECT d.match_id FROM effect d)")
	}
	q.and(strings.Join(conditions, " OR "), all...)
	return nil
}

// findingCursor is where a page of findings ended.
type findingCursor struct {
	Sort            string
	Asc             bool
	Key             int64
	Match, Instance int64
}

var findingKeys = map[string]string{"": "m.priority", "priority": "m.priority", "firstSeen": "m.first_seen"}

// Findings lists findings of live images; of a gone one when the filter names it.
func (s *Store) Findings(ctx context.Context, scope plimsoll.Scope, f api.FindingFilter, l api.List) (page api.Page[api.Finding], err error) {
	err = s.read(ctx, "list findings", func(t *tx) (err error) {
		page, err = t.findings(scope, f, l)
		return err
	})
	return page, err
}

func (t *tx) findings(scope plimsoll.Scope, f api.FindingFilter, l api.List) (api.Page[api.Finding], error) {
	page := api.Page[api.Finding]{Items: []api.Finding{}, Total: -1}
	l.Sort = strings.TrimPrefix(l.Sort, "-") // all keys are descending by nature
	column, ok := findingKeys[l.Sort]
	if !ok {
		return page, plimsoll.Errorf(plimsoll.CodeInvalid, "sort findings", "there is no such sort key; there are %s", strings.Join(api.FindingSorts, ", "))
	}
	limit := l.Limit
	if limit <= 0 {
		limit = api.DefaultLimit
	}
	limit = min(limit, api.MaxLimit)
	q, err := t.selectFindings(scope, f)
	if err != nil {
		return page, err
	}
	if q.narrow {
		if page.Total, err = t.count(q.from, q.where); err != nil {
			return page, err
		}
	}
	direction, beyond := " DESC", "<"
	if l.Asc {
		direction, beyond = "", ">"
	}
	if l.Cursor != "" {
		at, err := readFindingCursor(l)
		if err != nil {
			return page, err
		}
		q.and(column+" "+beyond+"= ? AND ("+column+", m.id, i.id) "+beyond+" (?, ?, ?)", at.Key, at.Key, at.Match, at.Instance)
	}
	// First which findings, then what they say: only these are worth reading.
	order := " ORDER BY " + column + direction + ", m.id" + direction + ", i.id" + direction
	rows, err := t.query("SELECT "+column+", "+findingColumns+" FROM (SELECT i.id AS instance_id, m.id AS match_id FROM "+q.from+q.String()+order+" LIMIT ?) f"+
		" CROSS JOIN match m CROSS JOIN instance i CROSS JOIN image g CROSS JOIN software s CROSS JOIN vulnerability v"+
		" WHERE m.id = f.match_id AND i.id = f.instance_id AND g.id = i.image_id AND s.id = m.software_id AND v.id = m.vulnerability_id"+order, append(q.args, limit+1)...)
	var last findingCursor
	err = each(rows, err, func(scan func(...any) error) error {
		if len(page.Items) == limit {
			page.Next = writeFindingCursor(last)
			return nil
		}
		last = findingCursor{Sort: l.Sort, Asc: l.Asc}
		item, err := scanFinding(func(dest ...any) error { return scan(append([]any{&last.Key}, dest...)...) }, &last)
		page.Items = append(page.Items, item)
		return err
	})
	if err != nil {
		return page, err
	}
	return page, t.fillFindings(scope, q.repository, page.Items)
}

func readFindingCursor(l api.List) (at findingCursor, err error) {
	data, err := base64.RawURLEncoding.DecodeString(l.Cursor)
	if err == nil {
		err = json.Unmarshal(data, &at)
	}
	if err != nil || at.Sort != l.Sort || at.Asc != l.Asc {
		return at, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "read the cursor", Err: fmt.Errorf("it does not belong to this list in this order"),
			Hint: "start again without a cursor, or repeat the request that gave it"}
	}
	return at, nil
}

func writeFindingCursor(c findingCursor) string {
	return base64.RawURLEncoding.EncodeToString([]byte(encode(c)))
}

const findingColumns = `i.id, m.id, i.image_id, g.digest, g.repositories, v.name, m.class, m.severity, m.severity_source, m.score, v.epss, m.kev, m.malicious,
	m.status, i.evidence, m.fix, m.fixed_version, m.fixed_versions, s.type, s.name, s.version, s.id, i.path, i.path_class, i.layer, v.summary, m.reasons, m.first_seen,
	s.purl, coalesce((SELECT l.diff_id FROM image_layer il JOIN layer l ON l.id = il.layer_id WHERE il.image_id = i.image_id AND il.number = i.layer), '')`

func scanFinding(scan func(...any) error, at *findingCursor) (f api.Finding, err error) {
	var severity plimsoll.Severity
	var fixed, reasons string
	var first, repositories int64
	err = scan(&at.Instance, &at.Match, &f.ImageID, &f.Digest, &repositories, &f.Vulnerability, &f.Class, &severity, &f.SeveritySource, &f.Score, &f.EPSS, &f.KEV,
		&f.Malicious, &f.Status, &f.Evidence, &f.Fix, &f.FixedVersion, &fixed, &f.Type, &f.Package, &f.Version, &f.SoftwareID, &f.Path, &f.PathClass, &f.LayerIndex,
		&f.Summary, &reasons, &first, &f.PURL, &f.Layer)
	f.ID = findingName(at.Instance, at.Match)
	f.Severity = severity.String()
	f.FixedVersions, f.Reasons = decodeList[string](fixed), decodeList[api.Reason](reasons)
	f.Confidence = confidence(&f)
	f.FirstSeen = moment(first)
	f.State = plimsoll.FindingOpen
	return f, err
}

// confidence is that of [plimsoll.Finding], of what is known here of one.
func confidence(f *api.Finding) plimsoll.Confidence {
	known := plimsoll.Finding{Package: plimsoll.Package{Evidence: f.Evidence}}
	for _, r := range f.Reasons {
		known.Reasons = append(known.Reasons, plimsoll.Reason{Ecosystem: r.Ecosystem})
	}
	return known.Confidence()
}

// fillFindings adds the names of images and what was decided. repository: judge
// states for it alone.
func (t *tx) fillFindings(scope plimsoll.Scope, repository int64, list []api.Finding) error {
	needs := make(map[int64]int64) // repositories of each image
	at := make(map[string]int, len(list))
	var images []int64
	for i := range list {
		at[list[i].ID] = i
		images = append(images, list[i].ImageID)
	}
	slices.Sort(images)
	images = slices.Compact(images)
	names, err := t.firstNames(scope, images)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(images, chunk) {
		rows, err := t.query("SELECT id, repositories FROM image WHERE id IN ("+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id, n int64
			err := scan(&id, &n)
			needs[id] = n
			return err
		})
		if err != nil {
			return err
		}
	}
	states := make([][]plimsoll.DecisionKind, len(list))
	for part := range slices.Chunk(list, chunk) {
		ids := make([]any, len(part))
		for i := range part {
			instance, _, err := parseFinding(part[i].ID)
			if err != nil {
				return err
			}
			ids[i] = instance
		}
		rows, err := t.query(`SELECT e.instance_id, e.match_id, e.decision_id, d.kind, r.name, e.repository_id FROM effect e JOIN decision d ON d.id = e.decision_id
			JOIN repository r ON r.id = e.repository_id WHERE e.instance_id IN (`+marks(len(ids))+") ORDER BY r.name, e.decision_id", ids...)
		err = each(rows, err, func(scan func(...any) error) error {
			var instance, match, of int64
			var d api.FindingDecision
			if err := scan(&instance, &match, &d.DecisionID, &d.Kind, &d.Repository, &of); err != nil {
				return err
			}
			if i, ok := at[findingName(instance, match)]; ok && (repository == 0 || repository == of) {
				list[i].Decisions = append(list[i].Decisions, d)
				states[i] = append(states[i], d.Kind)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i := range list {
		f := &list[i]
		f.Image = names[f.ImageID]
		if f.Image == "" {
			f.Image = f.Digest.Short()
		}
		need := needs[f.ImageID]
		if repository != 0 {
			need = 1
		}
		if need > 0 && int64(len(states[i])) >= need {
			weakest := slices.MinFunc(states[i], func(a, b plimsoll.DecisionKind) int { return rank(a) - rank(b) })
			f.State = plimsoll.StateOf(weakest)
		}
	}
	if err := t.tellStatements(list); err != nil {
		return err
	}
	if scope.All {
		return nil
	}
	return t.hideRepositories(scope, images, list)
}

// hideRepositories drops the decisions for repositories that no host in sight has.
func (t *tx) hideRepositories(scope plimsoll.Scope, images []int64, list []api.Finding) error {
	type place struct {
		image int64
		name  string
	}
	sees := make(map[place]bool)
	for part := range slices.Chunk(images, chunk) {
		var w where
		in(&w, "p.image_id", part)
		w.seesHost(scope, "p.host_id")
		rows, err := t.query("SELECT DISTINCT p.image_id, r.name FROM presence p JOIN repository r ON r.id = p.repository_id"+w.String(), w.args...)
		err = each(rows, err, func(scan func(...any) error) error {
			var p place
			err := scan(&p.image, &p.name)
			sees[p] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	for i := range list {
		f := &list[i]
		f.Decisions = slices.DeleteFunc(f.Decisions, func(d api.FindingDecision) bool { return !sees[place{f.ImageID, d.Repository}] })
	}
	return nil
}

// EachFinding calls f for every finding that Findings would list, page by page.
func (s *Store) EachFinding(ctx context.Context, scope plimsoll.Scope, filter api.FindingFilter, f func(*api.Finding) error) error {
	l := api.List{Limit: api.MaxLimit}
	for {
		page, err := s.Findings(ctx, scope, filter, l)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := f(&page.Items[i]); err != nil {
				return err
			}
		}
		if l.Cursor = page.Next; l.Cursor == "" {
			return nil
		}
	}
}

// Finding returns one finding with its reasons and decisions.
func (s *Store) Finding(ctx context.Context, scope plimsoll.Scope, id string) (found api.Finding, err error) {
	err = s.read(ctx, "read a finding", func(t *tx) error {
		page, err := t.findings(scope, api.FindingFilter{IDs: []string{id}, States: allStates}, api.List{Limit: 1})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return plimsoll.Errorf(plimsoll.CodeNotFound, "find a finding", "there is no such finding")
		}
		found = page.Items[0]
		return nil
	})
	return found, err
}
