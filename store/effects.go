package store

import (
	"iter"
	"slices"

	"plimsoll"
	"plimsoll/vex"
)

// rule is an active decision, ready to be compared with findings.
type rule struct {
	plimsoll.Decision
	created         int64
	vulnerabilities []int64         // that its ID may mean; none when it names one that is not known yet
	exactly         map[string]bool // repositories and references without a pattern: they can be a thousand
	patterns        []string
	// A rule that follows a VEX statement: its claim says what it is about. Without
	// a decision (ID 0) it handles nothing, but may keep another from it.
	claim     *vex.Claim
	statement int64
}

// rank orders the kinds of decisions; the highest counts.
func rank(k plimsoll.DecisionKind) int {
	return slices.Index([]plimsoll.DecisionKind{plimsoll.DecisionIgnore, plimsoll.DecisionFixed, plimsoll.DecisionWhitelist}, k)
}

// ruleBook finds the rules that may fit a finding without trying all of them.
type ruleBook struct {
	byVulnerability map[int64][]*rule
	byPackage       map[string][]*rule // without a vulnerability, of one name
	others          []*rule
	order           map[int64]int // by ID: the lowest is the strongest
	claims          bool          // some follow VEX statements
}

// rules loads the decisions in force, the strongest first and, among equals, the
// oldest, and returns them as a book; nil when there are none.
func (t *tx) rules() (*ruleBook, error) {
	var list []*rule
	rows, err := t.query("SELECT "+decisionColumns+" FROM decision WHERE document_id = 0 AND revoked = 0 AND expired = 0 AND (expires = 0 OR expires > ?)", t.now)
	err = each(rows, err, func(scan func(...any) error) error {
		d, _, err := scanDecision(scan)
		list = append(list, &rule{Decision: d, created: ms(d.Created)})
		return err
	})
	if err != nil {
		return nil, err
	}
	claims, err := t.claimRules(where{})
	if list = append(list, claims...); err != nil || len(list) == 0 {
		return nil, err
	}
	return t.book(list)
}

// book makes a book of rules.
func (t *tx) book(list []*rule) (book *ruleBook, err error) {
	slices.SortFunc(list, func(a, b *rule) int {
		if r := rank(b.Kind) - rank(a.Kind); r != 0 {
			return r
		}
		return int(a.ID - b.ID)
	})
	book = &ruleBook{byVulnerability: make(map[int64][]*rule), byPackage: make(map[string][]*rule), order: make(map[int64]int)}
	for i, r := range list {
		book.order[r.ID] = i
		r.exactly = make(map[string]bool)
		for _, name := range r.Repositories {
			if exact(name) {
				r.exactly[name] = true
			} else {
				r.patterns = append(r.patterns, name)
			}
		}
		switch {
		case r.claim != nil:
			book.claims = true
			for _, id := range r.vulnerabilities {
				book.byVulnerability[id] = append(book.byVulnerability[id], r)
			}
		case r.Vulnerability != "":
			if r.vulnerabilities, err = t.vulnerabilitiesNamed(r.Vulnerability); err != nil {
				return nil, err
			}
			for _, id := range r.vulnerabilities {
				book.byVulnerability[id] = append(book.byVulnerability[id], r)
			}
		case r.Package != "" && exact(r.Package):
			book.byPackage[r.Package] = append(book.byPackage[r.Package], r)
		default:
			book.others = append(book.others, r)
		}
	}
	return book, nil
}

// holder is what rules ask of an image.
type holder struct {
	digest       plimsoll.Digest
	manifests    string // a list
	platform     string
	first        int64                    // when its first inventory was stored
	repositories map[int64]*heldAs        // the live ones
	hosts        map[int64][]string       // labels of every host that holds it
	fits         map[*rule]map[int64]bool // repositories that a rule fits, once asked
}

// heldAs is one repository with the references of an image in it.
type heldAs struct {
	name  string
	names []string
}

// findingRow is what rules ask of a finding.
type findingRow struct {
	image, instance, match, vulnerability int64
	kind                                  plimsoll.PackageType
	name, class                           string
	fix                                   plimsoll.FixState
}

// effectKey is a finding in one repository.
type effectKey struct{ instance, match, repository int64 }

type effectValue struct{ decision, image int64 }

// applyDecisions computes anew which decisions fit the findings of these images.
// Whoever changes an image's instances, matches, repositories or hosts calls it,
// then recount.
func (t *tx) applyDecisions(imageIDs []int64) error {
	book, err := t.rules()
	if err != nil {
		return err
	}
	ids := slices.Compact(slices.Sorted(slices.Values(imageIDs)))
	for part := range slices.Chunk(ids, chunk) {
		if _, err := t.applyBook(book, findingsIn{images: part, all: true}); err != nil {
			return err
		}
	}
	return nil
}

// findingsIn are the findings of images: all, or those with some matches.
type findingsIn struct {
	images  []int64
	all     bool
	matches []int64
}

// narrow adds the conditions that findings with these columns are among them.
func (f *findingsIn) narrow(image, match string) (w where) {
	in(&w, image, f.images)
	if !f.all {
		in(&w, match, f.matches)
	}
	return w
}

// applyBook makes the effects on findings those of the book and returns the images
// where one has changed.
func (t *tx) applyBook(book *ruleBook, on findingsIn) (images []int64, err error) {
	before, err := t.effectsOf(on)
	if err != nil || book == nil && len(before) == 0 {
		return nil, err
	}
	now := make(map[effectKey]effectValue)
	if book != nil {
		if err := t.fit(book, on, now); err != nil {
			return nil, err
		}
	}
	type hit struct{ decision, instance, match int64 }
	hits := make(map[hit]int) // bit 0: before, bit 1: now
	var gone, added []effectKey
	for key, was := range before {
		hits[hit{was.decision, key.instance, key.match}] |= 1
		if now[key] != was {
			gone, images = append(gone, key), append(images, was.image)
		}
	}
	for key, is := range now {
		hits[hit{is.decision, key.instance, key.match}] |= 2
		if before[key] != is {
			added, images = append(added, key), append(images, is.image)
		}
	}
	for _, key := range gone {
		if _, err := t.exec("DELETE FROM effect WHERE instance_id = ? AND match_id = ? AND repository_id = ?", key.instance, key.match, key.repository); err != nil {
			return nil, err
		}
	}
	rows := make([][]any, len(added))
	for i, key := range added {
		rows[i] = []any{key.instance, key.match, key.repository, now[key].decision, now[key].image}
	}
	if err := t.insertMany("effect (instance_id, match_id, repository_id, decision_id, image_id)", 5, rows, ""); err != nil {
		return nil, err
	}
	changes := make(map[int64]int64)
	for h, state := range hits {
		switch state {
		case 1:
			changes[h.decision]--
		case 2:
			changes[h.decision]++
		}
	}
	for _, id := range sortedKeys(changes) {
		if _, err := t.exec("UPDATE decision SET hits = hits + ? WHERE id = ?", changes[id], id); err != nil {
			return nil, err
		}
	}
	return images, nil
}

func (t *tx) effectsOf(on findingsIn) (map[effectKey]effectValue, error) {
	found := make(map[effectKey]effectValue)
	w := on.narrow("image_id", "match_id")
	rows, err := t.query("SELECT instance_id, match_id, repository_id, decision_id, image_id FROM effect"+w.String(), w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var key effectKey
		var value effectValue
		if err := scan(&key.instance, &key.match, &key.repository, &value.decision, &value.image); err != nil {
			return err
		}
		found[key] = value
		return nil
	})
	return found, err
}

// fit finds the strongest rule for every one of the findings in each of its image's
// repositories.
func (t *tx) fit(book *ruleBook, on findingsIn, effects map[effectKey]effectValue) error {
	holders, err := t.holders(on.images)
	if err != nil {
		return err
	}
	from := "instance i CROSS JOIN match m" // SQLite joins as it is written: from what narrows most
	if !on.all {
		from = "match m CROSS JOIN instance i"
	}
	w := on.narrow("i.image_id", "m.id")
	w.and("m.software_id = i.software_id AND +m.gone = 0")
	more := ""
	if book.claims {
		more = claimColumns
	}
	rows, err := t.query("SELECT i.image_id, i.id, m.id, m.vulnerability_id, s.type, s.name, i.path_class, m.fix"+more+" FROM "+from+
		" JOIN software s ON s.id = i.software_id"+w.String(), w.args...)
	var claimed []claimSubject
	err = each(rows, err, func(scan func(...any) error) error {
		var c claimSubject
		f := &c.findingRow
		dest := []any{&f.image, &f.instance, &f.match, &f.vulnerability, &f.kind, &f.name, &f.class, &f.fix}
		if book.claims {
			dest = append(dest, c.dest()...)
		}
		if err := scan(dest...); err != nil {
			return err
		}
		h := holders[f.image]
		if h == nil {
			return nil
		}
		for r := range book.fitting(f) {
			if r.claim != nil {
				c.about = append(c.about, r)
				continue
			}
			for repository := range r.in(h) {
				key := effectKey{f.instance, f.match, repository}
				if was, ok := effects[key]; !ok || book.order[r.ID] < book.order[was.decision] {
					effects[key] = effectValue{r.ID, f.image}
				}
			}
		}
		if len(c.about) > 0 {
			claimed = append(claimed, c)
		}
		return nil
	})
	if err != nil || len(claimed) == 0 {
		return err
	}
	return t.fitClaims(book, holders, claimed, effects)
}

// fitting yields the rules whose conditions that do not depend on the image a
// finding meets.
func (b *ruleBook) fitting(f *findingRow) iter.Seq[*rule] {
	return func(yield func(*rule) bool) {
		for _, list := range [][]*rule{b.byVulnerability[f.vulnerability], b.byPackage[f.name], b.others} {
			for _, r := range list {
				if r.fitsFinding(f) && !yield(r) {
					return
				}
			}
		}
	}
}

// holders loads what rules ask of images.
func (t *tx) holders(ids []int64) (map[int64]*holder, error) {
	found := make(map[int64]*holder, len(ids))
	list := marks(len(ids))
	rows, err := t.query("SELECT id, digest, inventory, manifests, platform FROM image WHERE gone = 0 AND id IN ("+list+")", args(ids)...)
	err = each(rows, err, func(scan func(...any) error) error {
		h := &holder{repositories: make(map[int64]*heldAs), hosts: make(map[int64][]string), fits: make(map[*rule]map[int64]bool)}
		var id int64
		if err := scan(&id, &h.digest, &h.first, &h.manifests, &h.platform); err != nil {
			return err
		}
		found[id] = h
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = t.query(`SELECT DISTINCT p.image_id, p.repository_id, r.name, p.name FROM presence p JOIN repository r ON r.id = p.repository_id
		WHERE p.gone = 0 AND p.image_id IN (`+list+")", args(ids)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var image, repository int64
		var in heldAs
		var name string
		if err := scan(&image, &repository, &in.name, &name); err != nil {
			return err
		}
		if h := found[image]; h != nil {
			if h.repositories[repository] == nil {
				h.repositories[repository] = &in
			}
			at := h.repositories[repository]
			at.names = append(at.names, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = t.query("SELECT h.image_id, h.host_id, coalesce(l.label, '') FROM host_image h LEFT JOIN host_label l ON l.host_id = h.host_id WHERE h.image_id IN ("+list+")", args(ids)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var image, host int64
		var label string
		if err := scan(&image, &host, &label); err != nil {
			return err
		}
		if h := found[image]; h != nil {
			h.hosts[host] = append(h.hosts[host], label)
		}
		return nil
	})
	return found, err
}

// fitsFinding compares the conditions that do not depend on the image. The
// vulnerability fits already.
func (r *rule) fitsFinding(f *findingRow) bool {
	return (r.PackageType == "" || r.PackageType == f.kind) &&
		(r.Package == "" || plimsoll.Glob(r.Package, f.name)) &&
		(r.Path == "" || plimsoll.Glob(r.Path, f.class)) &&
		!(r.UntilFix && f.fix == plimsoll.FixAvailable)
}

// in returns the repositories of an image that the rule fits.
func (r *rule) in(h *holder) map[int64]bool {
	if known, ok := h.fits[r]; ok {
		return known
	}
	fits := make(map[int64]bool)
	h.fits[r] = fits
	if r.Kind == plimsoll.DecisionFixed && h.first > r.created {
		return fits // a rebuilt image that shows the flaw again
	}
	if len(r.ImageIDs) > 0 && !slices.Contains(r.ImageIDs, h.digest) {
		return fits
	}
	if !r.reaches(h) {
		return fits
	}
	for id, at := range h.repositories {
		if len(r.Repositories) == 0 || r.exactly[at.name] || at.onlyOne() && r.exactly[at.names[0]] || slices.ContainsFunc(r.patterns, at.fits) {
			fits[id] = true
		}
	}
	return fits
}

// reaches says whether the image lives only on hosts with a label of the rule.
func (r *rule) reaches(h *holder) bool {
	if len(r.Labels) == 0 {
		return true
	}
	for _, labels := range h.hosts {
		if !slices.ContainsFunc(labels, func(l string) bool { return slices.Contains(r.Labels, l) }) {
			return false
		}
	}
	return len(h.hosts) > 0
}

// onlyOne says whether the image has one name in the repository: a rule about that
// name is about all of it.
func (at *heldAs) onlyOne() bool {
	return at.name != "" && !slices.ContainsFunc(at.names, func(name string) bool { return name != at.names[0] })
}

// fits says whether a pattern is about the repository, or about every name that
// the image has in it.
func (at *heldAs) fits(pattern string) bool {
	if plimsoll.Glob(pattern, at.name) {
		return true
	}
	return at.name != "" && !slices.ContainsFunc(at.names, func(name string) bool { return !plimsoll.Glob(pattern, name) })
}
