package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// Preview says what Decide would change, and changes nothing.
func (s *Store) Preview(ctx context.Context, scope plimsoll.Scope, r api.DecisionRequest) (api.Preview, error) {
	const few = 500
	return s.preview(ctx, scope, r, few)
}

// preview looks through all findings of the images that decisions reach when these
// are few, else for the findings that they name.
func (s *Store) preview(ctx context.Context, scope plimsoll.Scope, r api.DecisionRequest, few int) (p api.Preview, err error) {
	err = s.read(ctx, "preview a decision", func(t *tx) error {
		p = api.Preview{Sample: []api.Finding{}}
		decisions, err := t.rulesOf(scope, r)
		if err != nil {
			return err
		}
		p.Rules = len(decisions)
		v := preview{tx: t, handled: make(map[findingID]bool)}
		if err := v.look(decisions, few); err != nil {
			return err
		}
		return t.describe(scope, &p, slices.SortedFunc(maps.Keys(v.handled), func(a, b findingID) int {
			return slices.Compare([]int64{a.image, a.instance, a.match}, []int64{b.image, b.instance, b.match})
		}))
	})
	return p, err
}

// findingID is a finding and the image that it is in.
type findingID struct{ image, instance, match int64 }

// preview finds the open findings that decisions would handle. A decision takes no
// effect away: a finding is handled once its effects and those of the new decisions
// cover all repositories of its image. So only what these fit is looked at.
type preview struct {
	*tx
	book    *ruleBook
	holders map[int64]*holder
	handled map[findingID]bool
	partly  map[findingID]map[int64]bool // has effects already: the repositories that the decisions fit
}

func (v *preview) look(decisions []plimsoll.Decision, few int) (err error) {
	list := make([]*rule, len(decisions))
	for i, d := range decisions {
		list[i] = &rule{Decision: d, created: ms(d.Created)}
	}
	if v.book, err = v.tx.book(list); err != nil {
		return err
	}
	images, err := v.places(decisions)
	if err != nil {
		return err
	}
	if len(images) <= few || len(v.book.others) > 0 {
		fits := v.conditions()
		for part := range slices.Chunk(images, chunk) {
			if v.holders, err = v.tx.holders(part); err != nil {
				return err
			}
			w := where{conditions: slices.Clone(fits.conditions), args: slices.Clone(fits.args)}
			in(&w, "i.image_id", part)
			if err := v.find("instance i CROSS JOIN match m CROSS JOIN software s", w); err != nil {
				return err
			}
		}
		return nil
	}
	v.holders = make(map[int64]*holder, len(images))
	for part := range slices.Chunk(images, chunk) {
		some, err := v.tx.holders(part)
		if err != nil {
			return err
		}
		maps.Copy(v.holders, some)
	}
	for part := range slices.Chunk(sortedKeys(v.book.byVulnerability), chunk) {
		var w where
		in(&w, "m.vulnerability_id", part)
		if err := v.find("match m CROSS JOIN software s CROSS JOIN instance i", w); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(sortedKeys(v.book.byPackage), chunk) {
		lower := make([]string, len(part))
		for i, name := range part {
			lower[i] = strings.ToLower(name)
		}
		var w where
		in(&w, "s.name_lower", lower)
		if err := v.find("software s CROSS JOIN match m CROSS JOIN instance i", w); err != nil {
			return err
		}
	}
	return nil
}

// places returns the images that the decisions name, or those of the repositories
// that they name: all of them when one decision is about all.
func (v *preview) places(decisions []plimsoll.Decision) ([]int64, error) {
	asked := make(map[string]plimsoll.Decision) // a filter makes many rules for the same places
	for _, d := range decisions {
		at := plimsoll.Decision{Repositories: d.Repositories, ImageIDs: d.ImageIDs}
		asked[encode([]any{at.Repositories, at.ImageIDs})] = at
	}
	return v.reachOf(slices.Collect(maps.Values(asked)))
}

// conditions narrows to what one of the rules can fit, when none names a
// vulnerability or a package.
func (v *preview) conditions() (w where) {
	if len(v.book.byVulnerability)+len(v.book.byPackage) > 0 {
		return w
	}
	var any where
	for _, r := range v.book.others {
		var one where
		if r.Path != "" {
			one.glob(v.s.dialect, "i.path_class", r.Path)
		}
		if r.PackageType != "" {
			one.and("s.type = ?", string(r.PackageType))
		}
		if r.Package != "" {
			one.glob(v.s.dialect, "s.name", r.Package)
		}
		if len(one.conditions) == 0 {
			return where{}
		}
		any.and(strings.Join(one.conditions, " AND "), one.args...)
	}
	if len(any.conditions) == 0 { // they name vulnerabilities that nobody knows
		w.never()
		return w
	}
	w.and(strings.Join(any.conditions, " OR "), any.args...)
	return w
}

// find looks at the findings that w allows.
func (v *preview) find(from string, w where) error {
	v.partly = make(map[findingID]map[int64]bool)
	w.and("m.software_id = i.software_id AND s.id = m.software_id AND +m.gone = 0")
	if w.err != nil {
		return w.err
	}
	rows, err := v.query("SELECT i.image_id, i.id, m.id, m.vulnerability_id, s.type, s.name, i.path_class, m.fix, "+
		"(SELECT count(*) FROM effect e WHERE e.instance_id = i.id AND e.match_id = m.id) FROM "+from+w.String(), w.args...)
	var f findingRow
	var covered int
	err = each(rows, err, func(scan func(...any) error) error {
		if err := scan(&f.image, &f.instance, &f.match, &f.vulnerability, &f.kind, &f.name, &f.class, &f.fix, &covered); err != nil {
			return err
		}
		h := v.holders[f.image]
		if h == nil || covered >= len(h.repositories) {
			return nil
		}
		var fits map[int64]bool
		several := false
		for r := range v.book.fitting(&f) {
			switch in := r.in(h); {
			case len(in) == 0:
			case fits == nil:
				fits = in
			default:
				if !several {
					fits, several = maps.Clone(fits), true
				}
				maps.Copy(fits, in)
			}
		}
		switch id := (findingID{f.image, f.instance, f.match}); {
		case len(fits) == len(h.repositories):
			v.handled[id] = true
		case len(fits) > 0 && covered > 0:
			v.partly[id] = fits
		}
		return nil
	})
	if err != nil || len(v.partly) == 0 {
		return err
	}
	return v.complete()
}

// complete adds the findings that are handled by old and new decisions together.
func (v *preview) complete() error {
	var instances []int64
	for id := range v.partly {
		instances = append(instances, id.instance)
	}
	slices.Sort(instances)
	for part := range slices.Chunk(slices.Compact(instances), chunk) {
		rows, err := v.query("SELECT image_id, instance_id, match_id, repository_id FROM effect WHERE instance_id IN ("+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id findingID
			var repository int64
			if err := scan(&id.image, &id.instance, &id.match, &repository); err != nil {
				return err
			}
			if fits := v.partly[id]; fits != nil && !fits[repository] {
				fits = maps.Clone(fits) // it is the rule's
				fits[repository] = true
				v.partly[id] = fits
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for id, fits := range v.partly {
		if len(fits) == len(v.holders[id.image].repositories) {
			v.handled[id] = true
		}
	}
	return nil
}

// describe counts the findings of a preview that are in scope.
func (t *tx) describe(scope plimsoll.Scope, p *api.Preview, handled []findingID) error {
	var images []int64
	for _, f := range handled {
		images = append(images, f.image)
	}
	images = slices.Compact(images)
	sees := make(map[int64]bool)
	hosts := make(map[int64]bool)
	for part := range slices.Chunk(images, chunk) {
		var w where
		in(&w, "image_id", part)
		w.seesHost(scope, "host_id")
		rows, err := t.query("SELECT image_id, host_id, running FROM host_image"+w.String(), w.args...)
		err = each(rows, err, func(scan func(...any) error) error {
			var image, host, running int64
			if err := scan(&image, &host, &running); err != nil {
				return err
			}
			sees[image], hosts[host] = true, true
			p.Containers += running
			return nil
		})
		if err != nil {
			return err
		}
	}
	const sample = 20
	var ids []string
	for _, f := range handled {
		if sees[f.image] {
			p.Findings++
			if len(ids) < sample {
				ids = append(ids, findingName(f.instance, f.match))
			}
		}
	}
	p.Images, p.Hosts = int64(len(sees)), int64(len(hosts))
	if len(ids) == 0 {
		return nil
	}
	page, err := t.findings(scope, api.FindingFilter{IDs: ids, States: allStates}, api.List{Limit: sample})
	if err == nil {
		p.Sample = page.Items
	}
	return err
}
