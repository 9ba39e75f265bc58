package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// maxRules is how many decisions one request makes.
const maxRules = 1000

// rulesOf turns a request into decisions. The error has CodeInvalid for a request
// that is none, CodeLimit when it would take too many rules.
func (t *tx) rulesOf(scope plimsoll.Scope, r api.DecisionRequest) ([]plimsoll.Decision, error) {
	const op = "decide"
	ways := bit(len(r.Rules) > 0) + bit(len(r.Findings) > 0) + bit(r.Filter != nil) + bit(r.All)
	if ways != 1 {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, op, "a decision is about rules, findings, a filter or all: one of them")
	}
	if r.Filter != nil && !narrows(*r.Filter) {
		return nil, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: errors.New("the filter is empty: the decision would be about every finding"),
			Hint: `narrow it, or say "all": true instead`}
	}
	if len(r.Rules) > maxRules {
		return nil, tooMany(len(r.Rules))
	}
	if len(r.Rules) > 0 {
		rules := make([]plimsoll.Decision, len(r.Rules))
		for i, w := range r.Rules {
			var err error
			if rules[i], err = t.ruleOf(scope, w); err != nil {
				return nil, err
			}
		}
		return rules, nil
	}
	filter := api.FindingFilter{States: allStates, IDs: r.Findings}
	switch {
	case r.Filter != nil:
		filter = *r.Filter
	case r.All:
		filter = api.FindingFilter{}
	}
	return t.rulesFor(scope, filter, r)
}

// narrows says whether a filter names more than states. Its fields are left out
// of JSON when they are empty.
func narrows(f api.FindingFilter) bool {
	f.States = nil
	return encode(f) != "{}"
}

func tooMany(n int) error {
	return &plimsoll.Error{Code: plimsoll.CodeLimit, Op: "decide", Err: plimsoll.Errorf(plimsoll.CodeLimit, "decide", "it would take %d rules or more, at most %d are made at once", n, maxRules),
		Hint: "write one rule with patterns instead, or narrow the filter"}
}

// rulesFor makes one rule for each identity among the findings that a filter
// finds: vulnerability, package and path, in the live repositories in sight of
// the images that show it.
func (t *tx) rulesFor(scope plimsoll.Scope, f api.FindingFilter, r api.DecisionRequest) ([]plimsoll.Decision, error) {
	const most = 1000 // repositories of one rule
	q, err := t.selectFindings(scope, f)
	if err != nil {
		return nil, err
	}
	q.from += " CROSS JOIN software s CROSS JOIN vulnerability v"
	q.and("s.id = m.software_id AND v.id = m.vulnerability_id")
	type identity struct {
		vulnerability string
		kind          plimsoll.PackageType
		name, class   string
	}
	shown := make(map[identity][]int64) // by which images
	rows, err := t.query("SELECT v.name, s.type, s.name, i.path_class, g.id FROM "+q.from+q.String(), q.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var is identity
		var image int64
		if err := scan(&is.vulnerability, &is.kind, &is.name, &is.class, &image); err != nil {
			return err
		}
		if shown[is] == nil && len(shown) == maxRules {
			return tooMany(maxRules + 1)
		}
		shown[is] = append(shown[is], image)
		return nil
	})
	if err != nil {
		return nil, err
	}
	repositories, err := t.liveRepositories(scope, slices.Concat(slices.Collect(maps.Values(shown))...), q.repository)
	if err != nil {
		return nil, err
	}
	var rules []plimsoll.Decision
	for _, is := range slices.SortedFunc(maps.Keys(shown), func(a, b identity) int {
		return cmp.Or(cmp.Compare(a.vulnerability, b.vulnerability), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.class, b.class))
	}) {
		names := make(map[string]bool)
		for _, image := range shown[is] {
			for _, name := range repositories[image] {
				names[name] = true
			}
		}
		for part := range slices.Chunk(sortedKeys(names), most) {
			rules = append(rules, plimsoll.Decision{Vulnerability: is.vulnerability, PackageType: is.kind, Package: is.name, Path: is.class, Repositories: part})
		}
	}
	switch {
	case len(rules) == 0:
		return nil, plimsoll.Errorf(plimsoll.CodeNotFound, "decide", "there is no such finding")
	case len(rules) > maxRules:
		return nil, tooMany(len(rules))
	}
	for i := range rules {
		w := wire(&rules[i], 0, moment(t.now))
		w.Kind, w.Remark, w.Expires, w.UntilFix = plimsoll.DecisionKind(r.Kind), r.Remark, r.Expires, r.UntilFix
		if rules[i], err = t.ruleOf(scope, w); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// liveRepositories returns the live repositories in sight of images: all, or one of them.
func (t *tx) liveRepositories(scope plimsoll.Scope, images []int64, one int64) (map[int64][]string, error) {
	found := make(map[int64][]string)
	slices.Sort(images)
	for part := range slices.Chunk(slices.Compact(images), chunk) {
		var w where
		in(&w, "p.image_id", part)
		w.and("p.gone = 0")
		w.seesHost(scope, "p.host_id")
		if one != 0 {
			w.and("p.repository_id = ?", one)
		}
		rows, err := t.query("SELECT DISTINCT p.image_id, r.name FROM presence p JOIN repository r ON r.id = p.repository_id"+w.String(), w.args...)
		err = each(rows, err, func(scan func(...any) error) error {
			var image int64
			var name string
			err := scan(&image, &name)
			found[image] = append(found[image], name)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ruleOf checks one rule and narrows it to the scope.
func (t *tx) ruleOf(scope plimsoll.Scope, w api.Decision) (d plimsoll.Decision, err error) {
	invalid := func(format string, args ...any) error {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "decide", format, args...)
	}
	d = plimsoll.Decision{Kind: w.Kind, Vulnerability: strings.TrimSpace(w.Vulnerability), PackageType: w.PackageType, Package: w.Package, Path: w.Path,
		Repositories: w.Repositories, ImageIDs: w.ImageIDs, Labels: slices.Compact(slices.Sorted(slices.Values(w.Labels))),
		Remark: strings.TrimSpace(w.Remark), UntilFix: w.UntilFix, Created: moment(t.now)}
	const most = 1000 // repositories, images
	switch {
	case rank(d.Kind) < 0:
		return d, invalid("a decision is ignore, fixed or whitelist")
	case d.Remark == "" || !fits(d.Remark, maxText):
		return d, invalid("a decision needs a remark of at most %d bytes that says why", maxText)
	case !fits(d.Vulnerability, maxKey) || !fits(string(d.PackageType), maxKey) || !fits(d.Package, maxField) || !fits(d.Path, maxPath):
		return d, invalid("a condition is too long or no text")
	case len(d.Repositories) > most || len(d.ImageIDs) > most || len(d.Labels) > 100:
		return d, invalid("a rule has at most %d repositories or images, and 100 labels", most)
	}
	for _, r := range d.Repositories {
		if !fits(r, maxField) {
			return d, invalid("a repository is too long or no text")
		}
	}
	for _, id := range d.ImageIDs {
		if _, err := plimsoll.ParseDigest(string(id)); err != nil {
			return d, err
		}
	}
	for _, label := range d.Labels {
		key, value, ok := strings.Cut(label, "=")
		if !ok || key != "id" && !plimsoll.ValidLabel(key, value) || !storable(label) {
			return d, invalid(`a label is written "key=value"`)
		}
	}
	if w.Expires != nil {
		if d.Expires = w.Expires.UTC(); !d.Expires.After(moment(t.now)) {
			return d, invalid("the end lies in the past")
		}
	}
	if d.Vulnerability == "" && d.PackageType == "" && d.Package == "" && d.Path == "" && len(d.Repositories)+len(d.ImageIDs)+len(d.Labels) == 0 {
		return d, invalid(`a rule without any condition would hide everything; "package": "*" means that`)
	}
	if !scope.All {
		switch {
		case len(scope.Labels) == 0:
			return d, invalid("nothing is in sight")
		case len(d.Labels) == 0:
			d.Labels = slices.Compact(slices.Sorted(slices.Values(scope.Labels)))
		case !within(d.Labels, scope.Labels):
			return d, invalid("a label of the rule reaches beyond the hosts in sight")
		}
	}
	return d, nil
}

// FindingHistory lists the events of every decision that fits or fitted a
// finding's identity, newest first.
func (s *Store) FindingHistory(ctx context.Context, scope plimsoll.Scope, finding string) (events []api.DecisionEvent, err error) {
	const most = 500
	err = s.read(ctx, "read the history of a finding", func(t *tx) error {
		events = []api.DecisionEvent{}
		page, err := t.findings(scope, api.FindingFilter{IDs: []string{finding}, States: allStates}, api.List{Limit: 1})
		if err != nil {
			return err
		}
		if len(page.Items) == 0 {
			return plimsoll.Errorf(plimsoll.CodeNotFound, "find a finding", "there is no such finding")
		}
		f := page.Items[0]
		aliases, err := t.aliasesOf(f.Vulnerability)
		if err != nil {
			return err
		}
		repositories, err := t.repositoriesOf(scope, f.ImageID)
		if err != nil {
			return err
		}
		var w where
		w.seesDecision(scope, "d")
		read := scanEvent(scope)
		rows, err := t.query("SELECT "+eventColumns+" FROM decision_event e JOIN decision d ON d.id = e.decision_id"+w.String()+" ORDER BY e.id DESC", w.args...)
		return each(rows, err, func(scan func(...any) error) error {
			e, err := read(scan)
			if err != nil || e.Rule == nil || len(events) == most {
				return err
			}
			handles := func(d api.FindingDecision) bool { return d.DecisionID == e.Decision }
			if e.Rule.DocumentID != 0 && !slices.ContainsFunc(f.Decisions, handles) {
				return nil // its statement, not the rule, says what it is about
			}
			if identifies(e.Rule, &f, aliases, repositories) {
				events = append(events, e)
			}
			return nil
		})
	})
	return events, err
}

// identifies says whether a rule is about a finding's identity, whoever holds the
// image now.
func identifies(r *api.Decision, f *api.Finding, aliases []string, repositories []*heldAs) bool {
	return (r.Vulnerability == "" || slices.Contains(aliases, aliasOf(r.Vulnerability))) &&
		(r.PackageType == "" || r.PackageType == f.Type) &&
		(r.Package == "" || plimsoll.Glob(r.Package, f.Package)) &&
		(r.Path == "" || plimsoll.Glob(r.Path, f.PathClass)) &&
		(len(r.ImageIDs) == 0 || slices.Contains(r.ImageIDs, f.Digest)) &&
		(len(r.Repositories) == 0 || slices.ContainsFunc(repositories, func(at *heldAs) bool { return slices.ContainsFunc(r.Repositories, at.fits) }))
}

// aliasesOf returns every name of a vulnerability, as they are looked up.
func (t *tx) aliasesOf(name string) (aliases []string, err error) {
	rows, err := t.query(`SELECT a.alias FROM vulnerability v JOIN vulnerability_alias a ON a.vulnerability_id = v.id WHERE v.name = ? ORDER BY a.alias`, name)
	err = each(rows, err, func(scan func(...any) error) error {
		var alias string
		err := scan(&alias)
		aliases = append(aliases, alias)
		return err
	})
	return aliases, err
}

// repositoriesOf returns the repositories of an image, now or before, on hosts in sight.
func (t *tx) repositoriesOf(scope plimsoll.Scope, imageID int64) (list []*heldAs, err error) {
	var w where
	w.and("p.image_id = ?", imageID)
	w.seesHost(scope, "p.host_id")
	rows, err := t.query("SELECT DISTINCT r.name, p.name FROM presence p JOIN repository r ON r.id = p.repository_id"+w.String()+" ORDER BY r.name, p.name", w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var repository, name string
		if err := scan(&repository, &name); err != nil {
			return err
		}
		if n := len(list); n == 0 || list[n-1].name != repository {
			list = append(list, &heldAs{name: repository})
		}
		last := list[len(list)-1]
		last.names = append(last.names, name)
		return nil
	})
	return list, err
}
