package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// decisionColumns are what scanDecision reads.
const decisionColumns = `id, kind, vulnerability, package_type, package, path, repositories, image_ids, labels, remark, author,
	created, expires, until_fix, revoked, document_id, hits`

func scanDecision(scan func(...any) error) (d plimsoll.Decision, hits int64, err error) {
	var repositories, images, labels string
	var created, expires, revoked int64
	err = scan(&d.ID, &d.Kind, &d.Vulnerability, &d.PackageType, &d.Package, &d.Path, &repositories, &images, &labels, &d.Remark, &d.Author,
		&created, &expires, &d.UntilFix, &revoked, &d.Document, &hits)
	d.Repositories, d.ImageIDs, d.Labels = decodeList[string](repositories), decodeList[plimsoll.Digest](images), decodeList[string](labels)
	d.Created, d.Expires, d.Revoked = moment(created), moment(expires), moment(revoked)
	return d, hits, err
}

// wire turns a decision into what the API says of it.
func wire(d *plimsoll.Decision, hits int64, now time.Time) api.Decision {
	w := api.Decision{ID: d.ID, Kind: d.Kind, Vulnerability: d.Vulnerability, PackageType: d.PackageType, Package: d.Package, Path: d.Path,
		Repositories: d.Repositories, ImageIDs: d.ImageIDs, Labels: d.Labels, Remark: d.Remark, UntilFix: d.UntilFix, Author: d.Author,
		Created: momentOrNil(ms(d.Created)), Expires: momentOrNil(ms(d.Expires)), Revoked: momentOrNil(ms(d.Revoked)), DocumentID: d.Document, Hits: hits}
	switch {
	case !d.Revoked.IsZero():
		w.State = "revoked"
	case !d.Active(now):
		w.State = "expired"
	default:
		w.State = "active"
	}
	return w
}

// Decide makes the decisions that a request means, in one transaction, and
// returns them. Whoever asks must see every host that a decision reaches:
// outside of everything, rules get the scope's labels (see plimsoll.Decision.Labels).
func (s *Store) Decide(ctx context.Context, scope plimsoll.Scope, who string, r api.DecisionRequest) (made []api.Decision, err error) {
	err = s.writeDecisions(ctx, "decide", func(t *tx) error {
		made = nil
		ids, err := t.decide(scope, who, r)
		if err != nil {
			return err
		}
		for _, id := range ids {
			d, hits, err := t.decision(id)
			if err != nil {
				return err
			}
			made = append(made, wire(&d, hits, moment(t.now)))
		}
		return nil
	})
	return made, err
}

// inForce is the condition under which a decision d holds at a time.
const inForce = "d.revoked = 0 AND (d.expires = 0 OR d.expires > ?)"

// decide stores the decisions of a request, applies them and returns their IDs.
func (t *tx) decide(scope plimsoll.Scope, who string, r api.DecisionRequest) (ids []int64, err error) {
	rules, err := t.rulesOf(scope, r)
	if err != nil {
		return nil, err
	}
	images, err := t.reachOf(rules)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		d := &rules[i]
		d.Author = who
		id, err := t.id(`INSERT INTO decision (kind, vulnerability, package_type, package, path, repositories, image_ids, labels, remark, author,
			created, expires, until_fix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			string(d.Kind), d.Vulnerability, string(d.PackageType), d.Package, d.Path, encodeList(d.Repositories), encodeList(d.ImageIDs), encodeList(d.Labels),
			d.Remark, who, t.now, ms(d.Expires), bit(d.UntilFix))
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, t.reapply(ids, images, who, "created", "")
}

// reapply applies all decisions anew where those that changed reach, by images, and
// notes what they have become.
func (t *tx) reapply(ids, images []int64, who, action, remark string) error {
	on, err := t.concerned(ids)
	if err != nil {
		return err
	}
	if err := t.reapplyOn(on, images); err != nil {
		return err
	}
	return t.noteDecisions(ids, who, action, remark)
}

// reapplyOn applies all decisions anew to some findings in images.
func (t *tx) reapplyOn(on findingsIn, images []int64) error {
	book, err := t.rules()
	if err != nil {
		return err
	}
	var touched []int64
	for part := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(images))), chunk) {
		on.images = part
		some, err := t.applyBook(book, on)
		if err != nil {
			return err
		}
		touched = append(touched, some...)
	}
	return t.recount(touched, nil)
}

// noteDecisions notes in the history what decisions have become.
func (t *tx) noteDecisions(ids []int64, who, action, remark string) error {
	for _, id := range ids {
		d, hits, err := t.decision(id)
		if err != nil {
			return err
		}
		said := remark
		if said == "" {
			said = d.Remark
		}
		if _, err := t.exec("INSERT INTO decision_event (decision_id, at, account, action, remark, findings, rule) VALUES (?, ?, ?, ?, ?, ?, ?)",
			id, t.now, who, action, said, hits, encode(wire(&d, hits, moment(t.now)))); err != nil {
			return err
		}
	}
	return nil
}

// concerned returns the findings that decisions can have handled before they
// changed or can handle now.
func (t *tx) concerned(ids []int64) (on findingsIn, err error) {
	const most = 10_000 // matches: no longer worth telling apart
	for _, id := range ids {
		d, _, err := t.decision(id)
		if err != nil {
			return on, err
		}
		if d.Vulnerability == "" && d.Active(moment(t.now)) {
			return findingsIn{all: true}, nil
		}
		named, err := t.vulnerabilitiesNamed(d.Vulnerability)
		if err != nil {
			return on, err
		}
		matches, err := t.ids("SELECT match_id FROM effect WHERE decision_id = ? UNION SELECT id FROM match WHERE vulnerability_id IN ("+marks(len(named))+")",
			append([]any{id}, args(named)...)...)
		if err != nil {
			return on, err
		}
		on.matches = append(on.matches, matches...)
	}
	slices.Sort(on.matches)
	on.matches = slices.Compact(on.matches)
	on.all = len(on.matches) > most
	return on, nil
}

func (t *tx) decision(id int64) (plimsoll.Decision, int64, error) {
	return scanDecision(t.row("SELECT "+decisionColumns+" FROM decision WHERE id = ?", id).Scan)
}

// exact says whether a pattern fits nothing but itself.
func exact(pattern string) bool { return !strings.ContainsAny(pattern, "*?") }

// reachOf returns, in order, the images that one of the decisions reaches.
func (t *tx) reachOf(decisions []plimsoll.Decision) (images []int64, err error) {
	for i := range decisions {
		reached, err := t.reach(&decisions[i])
		if err != nil {
			return nil, err
		}
		images = append(images, reached...)
	}
	slices.Sort(images)
	return slices.Compact(images), nil
}

// reach returns the live images that may have findings which a decision fits.
func (t *tx) reach(d *plimsoll.Decision) (ids []int64, err error) {
	var w where
	w.and("image.gone = 0 AND image.inventory > 0")
	if len(d.ImageIDs) > 0 {
		in(&w, "image.digest", d.ImageIDs)
	}
	switch {
	case d.Vulnerability != "":
		named, err := t.vulnerabilitiesNamed(d.Vulnerability)
		if err != nil {
			return nil, err
		}
		w.and("image.id IN (SELECT i.image_id FROM match m CROSS JOIN instance i WHERE i.software_id = m.software_id AND m.vulnerability_id IN ("+
			marks(len(named))+") AND +m.gone = 0)", args(named)...)
	case d.Package != "" && exact(d.Package):
		w.and("image.id IN (SELECT i.image_id FROM software s JOIN instance i ON i.software_id = s.id WHERE s.name_lower = ? AND s.name = ?)",
			strings.ToLower(d.Package), d.Package)
	}
	if len(d.Repositories) > 0 {
		var held where
		var names []string
		for _, r := range d.Repositories {
			if exact(r) {
				names = append(names, r, plimsoll.Repository(r))
				continue
			}
			held.glob(t.s.dialect, "r.name", r)
			held.glob(t.s.dialect, "p.name", r)
		}
		if len(names) > 0 {
			in(&held, "r.name", names)
		}
		if held.err != nil {
			return nil, held.err
		}
		w.and("image.id IN (SELECT p.image_id FROM presence p JOIN repository r ON r.id = p.repository_id WHERE p.gone = 0 AND ("+
			strings.Join(held.conditions, " OR ")+"))", held.args...)
	}
	if w.err != nil {
		return nil, w.err
	}
	return t.ids("SELECT image.id FROM image"+w.String()+" ORDER BY image.id", w.args...)
}

// DecisionFilter narrows the list of decisions.
type DecisionFilter struct {
	Query string // part of vulnerability, package, repository, remark or author
	Kind  string
	State string // active, expired, revoked
	Idle  bool   // active ones that match nothing
	// Document narrows to decisions that follow statements of a VEX document.
	Document int64
}

// seesDecision narrows to decisions that concern somebody: with one of their
// labels, or with an effect on an image in sight.
func (w *where) seesDecision(scope plimsoll.Scope, alias string) {
	if scope.All {
		return
	}
	var held where
	held.seesLive(scope, "e.image_id")
	condition := "EXISTS (SELECT 1 FROM effect e WHERE e.decision_id = " + alias + ".id AND " + strings.Join(held.conditions, " AND ") + ")"
	values := held.args
	for _, label := range scope.Labels {
		condition += " OR " + like(alias+".labels")
		values = append(values, "%"+likeEscapes.Replace(encode(label))+"%")
	}
	w.and(condition, values...)
}

// Decisions lists decisions, newest first.
func (s *Store) Decisions(ctx context.Context, scope plimsoll.Scope, f DecisionFilter, l api.List) (page api.Page[api.Decision], err error) {
	err = s.read(ctx, "list decisions", func(t *tx) error {
		k, err := newKeyset(l, "decisions", "d.id", []sortKey{{name: "id", column: "d.id", desc: true}})
		if err != nil {
			return err
		}
		var w where
		w.seesDecision(scope, "d")
		if f.Query != "" {
			var conditions []string
			var values []any
			for _, column := range []string{"d.vulnerability", "d.package", "d.repositories", "d.remark", "d.author"} {
				conditions = append(conditions, like("lower("+column+")"))
				values = append(values, likePattern(f.Query))
			}
			w.and(strings.Join(conditions, " OR "), values...)
		}
		if f.Kind != "" {
			w.and("d.kind = ?", f.Kind)
		}
		if f.Document != 0 {
			w.and("d.document_id = ?", f.Document)
		}
		switch f.State {
		case "":
		case "active":
			w.and(inForce, t.now)
		case "expired":
			w.and("d.revoked = 0 AND d.expires > 0 AND d.expires <= ?", t.now)
		case "revoked":
			w.and("d.revoked > 0")
		default:
			return plimsoll.Errorf(plimsoll.CodeInvalid, "list decisions", "a decision is active, expired or revoked")
		}
		if f.Idle {
			w.and(inForce+" AND d.hits = 0", t.now)
		}
		page, err = fetch(t, k, decisionColumns, "decision d", w, func(scan func(...any) error) (api.Decision, error) {
			d, hits, err := scanDecision(scan)
			return wire(&d, hits, moment(t.now)), err
		})
		if err != nil {
			return err
		}
		if page.Total, err = t.count("decision d", w); err != nil {
			return err
		}
		for i := range page.Items {
			if err := t.hitsInSight(scope, &page.Items[i]); err != nil {
				return err
			}
		}
		return t.tellSources(page.Items)
	})
	return page, err
}

// hitsInSight replaces the hits of a decision by those in scope.
func (t *tx) hitsInSight(scope plimsoll.Scope, d *api.Decision) error {
	if scope.All {
		return nil
	}
	var w where
	w.and("e.decision_id = ?", d.ID)
	w.seesLive(scope, "e.image_id")
	return t.row("SELECT count(*) FROM (SELECT DISTINCT e.instance_id, e.match_id FROM effect e"+w.String()+") AS found", w.args...).Scan(&d.Hits)
}

// Decision returns one.
func (s *Store) Decision(ctx context.Context, scope plimsoll.Scope, id int64) (found api.Decision, err error) {
	err = s.read(ctx, "read a decision", func(t *tx) error {
		var w where
		w.and("d.id = ?", id)
		w.seesDecision(scope, "d")
		d, hits, err := scanDecision(t.row("SELECT "+decisionColumns+" FROM decision d"+w.String(), w.args...).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("decision", id)
		}
		found = wire(&d, hits, moment(t.now))
		if err != nil {
			return err
		}
		one := []api.Decision{found}
		if err := t.tellSources(one); err != nil {
			return err
		}
		found = one[0]
		return t.hitsInSight(scope, &found)
	})
	return found, err
}

// ownDecision returns a decision that somebody may change: within their labels.
func (t *tx) ownDecision(scope plimsoll.Scope, id int64) (plimsoll.Decision, error) {
	d, _, err := t.decision(id)
	if errors.Is(err, sql.ErrNoRows) {
		return d, notFound("decision", id)
	}
	if err == nil && !scope.All && (len(d.Labels) == 0 || !within(d.Labels, scope.Labels)) {
		return d, notFound("decision", id)
	}
	if err == nil && !d.Revoked.IsZero() {
		return d, plimsoll.Errorf(plimsoll.CodeInvalid, "change a decision", "it was revoked")
	}
	return d, err
}

func within(labels, of []string) bool {
	return !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(of, l) })
}

// ChangeDecision replaces the conditions, the remark and the end of a decision.
func (s *Store) ChangeDecision(ctx context.Context, scope plimsoll.Scope, who string, id int64, d api.Decision) (changed api.Decision, err error) {
	err = s.writeDecisions(ctx, "change a decision", func(t *tx) error {
		was, err := t.ownDecision(scope, id)
		if err != nil {
			return err
		}
		if was.Document != 0 {
			return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "change a decision", Err: errors.New("it follows a statement of a VEX document"),
				Hint: "end it, or add a newer document"}
		}
		now, err := t.ruleOf(scope, d)
		if err != nil {
			return err
		}
		images, err := t.reach(&now)
		if err != nil {
			return err
		}
		had, err := t.ids("SELECT DISTINCT image_id FROM effect WHERE decision_id = ?", id)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE decision SET kind = ?, vulnerability = ?, package_type = ?, package = ?, path = ?, repositories = ?, image_ids = ?,
			labels = ?, remark = ?, expires = ?, until_fix = ?, expired = 0 WHERE id = ?`,
			string(now.Kind), now.Vulnerability, string(now.PackageType), now.Package, now.Path, encodeList(now.Repositories), encodeList(now.ImageIDs),
			encodeList(now.Labels), now.Remark, ms(now.Expires), bit(now.UntilFix), was.ID); err != nil {
			return err
		}
		if err := t.reapply([]int64{id}, append(images, had...), who, "changed", ""); err != nil {
			return err
		}
		after, hits, err := t.decision(id)
		changed = wire(&after, hits, moment(t.now))
		return err
	})
	return changed, err
}

// RevokeDecision ends a decision: what it alone handled is open again.
func (s *Store) RevokeDecision(ctx context.Context, scope plimsoll.Scope, who string, id int64, remark string) error {
	return s.writeDecisions(ctx, "revoke a decision", func(t *tx) error {
		if !fits(remark, maxText) {
			return plimsoll.Errorf(plimsoll.CodeInvalid, "revoke a decision", "the remark is too long or no text")
		}
		if _, err := t.ownDecision(scope, id); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE decision SET revoked = ? WHERE id = ?", t.now, id); err != nil {
			return err
		}
		had, err := t.ids("SELECT DISTINCT image_id FROM effect WHERE decision_id = ?", id)
		if err != nil {
			return err
		}
		return t.reapply([]int64{id}, had, who, "revoked", remark)
	})
}

// ExpireDecisions ends the effect of decisions whose time is over and returns how many.
func (s *Store) ExpireDecisions(ctx context.Context) (n int, err error) {
	err = s.writeFindings(ctx, "end decisions", func(t *tx) error {
		over, err := t.ids("SELECT id FROM decision WHERE revoked = 0 AND expired = 0 AND expires > 0 AND expires <= ? ORDER BY id", t.now)
		if n = len(over); err != nil || n == 0 {
			return err
		}
		var images []int64
		for part := range slices.Chunk(over, chunk) {
			if _, err := t.exec("UPDATE decision SET expired = 1 WHERE id IN ("+marks(len(part))+")", args(part)...); err != nil {
				return err
			}
			had, err := t.ids("SELECT DISTINCT image_id FROM effect WHERE decision_id IN ("+marks(len(part))+")", args(part)...)
			if err != nil {
				return err
			}
			images = append(images, had...)
		}
		return t.reapply(over, images, "", "expired", "")
	})
	if n > 0 && err == nil {
		s.Ring(ctx, TopicDecisions)
	}
	return n, err
}

// DecisionEventFilter narrows the history of decisions.
type DecisionEventFilter struct {
	Decision int64
	Vuln     string // that the decision names, by any of its IDs
	User     string
	Action   string
}

// DecisionEvents lists the history of decisions, newest first.
func (s *Store) DecisionEvents(ctx context.Context, scope plimsoll.Scope, f DecisionEventFilter, l api.List) (page api.Page[api.DecisionEvent], err error) {
	err = s.read(ctx, "list the history of decisions", func(t *tx) error {
		k, err := newKeyset(l, "decision events", "e.id", []sortKey{{name: "id", column: "e.id", desc: true}})
		if err != nil {
			return err
		}
		var w where
		if f.Decision != 0 {
			w.and("e.decision_id = ?", f.Decision)
		}
		if f.Vuln != "" {
			name := aliasOf(strings.TrimSpace(f.Vuln))
			w.and(`upper(d.vulnerability) = ? OR upper(d.vulnerability) IN (SELECT a.alias FROM vulnerability_alias n
				JOIN vulnerability_alias a ON a.vulnerability_id = n.vulnerability_id WHERE n.alias = ?)`, name, name)
		}
		if f.User != "" {
			w.and("e.account = ?", f.User)
		}
		if f.Action != "" {
			w.and("e.action = ?", f.Action)
		}
		w.seesDecision(scope, "d")
		page, err = fetch(t, k, eventColumns, "decision_event e JOIN decision d ON d.id = e.decision_id", w, scanEvent(scope))
		return err
	})
	return page, err
}

const eventColumns = "e.id, e.decision_id, e.at, e.account, e.action, e.remark, e.findings, e.rule"

// scanEvent reads events for a scope. What a decision handled at the time is a
// number that was kept: it is left out where it may count what is out of sight.
func scanEvent(scope plimsoll.Scope) func(scan func(...any) error) (api.DecisionEvent, error) {
	return func(scan func(...any) error) (e api.DecisionEvent, err error) {
		var at int64
		var rule string
		if err := scan(&e.ID, &e.Decision, &at, &e.User, &e.Action, &e.Remark, &e.Findings, &rule); err != nil {
			return e, err
		}
		e.At = moment(at)
		if rule != "" {
			e.Rule = new(api.Decision)
			err = json.Unmarshal([]byte(rule), e.Rule)
		}
		if own := e.Rule != nil && len(e.Rule.Labels) > 0 && within(e.Rule.Labels, scope.Labels); !scope.All && !own {
			e.Findings = -1
			if e.Rule != nil {
				e.Rule.Hits = 0
			}
		}
		return e, err
	}
}
