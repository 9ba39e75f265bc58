package store

import (
	"cmp"
	"database/sql"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"plimsoll/api"
)

// exposure is what a row of the risk view says beyond its table.
type exposure struct {
	key                                riskKey
	findings, handled, fixable, images int64
	hosts, containers, seen            int64
	fixes                              []softwareFix
}

// softwareFix is what to do about one software.
type softwareFix struct {
	software int64
	fix      api.Fix
}

// keeper is a host that holds an image, and how many containers of it run there.
type keeper struct{ host, image, running int64 }

// numbers is a set of small numbers, a bit for each.
type numbers []uint64

func (s *numbers) add(n int) {
	for n/64 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

func (s numbers) len() (n int64) {
	for _, word := range s {
		n += int64(bits.OnesCount64(word))
	}
	return n
}

func (s *numbers) union(other numbers) {
	for len(*s) < len(other) {
		*s = append(*s, 0)
	}
	for i, word := range other {
		(*s)[i] |= word
	}
}

func (s numbers) each(f func(n int)) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			f(i*64 + bits.TrailingZeros64(word))
		}
	}
}

// fillRisks adds what a page of the risk view needs beyond its table: where it
// is, in what, and the counts in sight where that is not everything. It reads the
// shares of the images once for all rows: going from each row to its findings
// would read most of them again and again.
func (t *tx) fillRisks(at sight, page []api.Vulnerability) error {
	const (
		few  = 5000 // findings: find their images, rather than look through all
		most = 10   // names of packages
	)
	if len(page) == 0 {
		return nil
	}
	list := make([]*exposure, len(page))
	vulnerabilities := make([]int64, len(page))
	findings := int64(0)
	for i := range page {
		v := &page[i]
		list[i] = &exposure{key: riskKey{v.ID, v.Class}}
		vulnerabilities[i] = v.ID
		findings += v.Findings + v.Handled
	}
	var near where // the images of these rows
	if findings <= few {
		in(&near, "m.vulnerability_id", vulnerabilities)
		near.and("i.software_id = m.software_id AND +m.gone = 0")
	}
	held, err := t.keepers(at, near)
	if err != nil {
		return err
	}
	if err := t.fixesFor(vulnerabilities, list); err != nil {
		return err
	}
	if err := t.expose(at, at.everything() && len(near.conditions) == 0, held, list); err != nil {
		return err
	}
	for i := range page {
		v, e := &page[i], list[i]
		if !at.everything() {
			v.Findings, v.Handled, v.Fixable, v.Images = e.findings, e.handled, e.fixable > 0, e.images
		}
		// It was found in an image after the image was last listed.
		v.Hosts, v.Containers, v.LastSeen = e.hosts, e.containers, moment(max(ms(v.FirstSeen), e.seen))
		fixes := make([]api.Fix, len(e.fixes))
		for k, f := range e.fixes {
			fixes[k] = f.fix
			if len(v.Packages) < most && !slices.Contains(v.Packages, f.fix.Package) {
				v.Packages = append(v.Packages, f.fix.Package)
			}
		}
		v.Suggestion = suggestion(fixes)
	}
	return nil
}

// keepers returns who in sight holds which images; near narrows to those of
// matches m and instances i.
func (t *tx) keepers(at sight, near where) ([]keeper, error) {
	var w where
	if len(near.conditions) == 0 {
		at.hosts(&w, "o.host_id")
	} else { // from the images: each host in sight would be asked for each of them
		at.hosts(&w, "+o.host_id")
		w.and("o.image_id IN (SELECT i.image_id FROM match m CROSS JOIN instance i"+near.String()+")", near.args...)
	}
	// A row for each host: fetching one for each of its images would take most of the time.
	rows, err := t.query("SELECT o.host_id, string_agg(CAST(o.image_id AS TEXT) || ' ' || CAST(o.running AS TEXT), ' ') FROM host_image o"+w.String()+" GROUP BY o.host_id", w.args...)
	var list []keeper
	err = each(rows, err, func(scan func(...any) error) error {
		var host int64
		var images string
		if err := scan(&host, &images); err != nil {
			return err
		}
		k := keeper{host: host}
		for n := 0; images != ""; n++ {
			var word string
			word, images, _ = strings.Cut(images, " ")
			number, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return err
			}
			if n%2 == 0 {
				k.image = number
				continue
			}
			k.running = number
			list = append(list, k)
		}
		return nil
	})
	return list, err
}

// fixesFor adds to each row what its software of live images can be upgraded to.
func (t *tx) fixesFor(vulnerabilities []int64, list []*exposure) error {
	by := make(map[riskKey]*exposure, len(list))
	for _, e := range list {
		by[e.key] = e
	}
	for part := range slices.Chunk(vulnerabilities, chunk) {
		var key riskKey
		var f softwareFix
		rows, err := t.query(`SELECT m.vulnerability_id, m.class, s.id, s.type, s.name, coalesce(y.name, ''), m.fixed_version, m.fix
			FROM match m JOIN software s ON s.id = m.software_id LEFT JOIN system y ON y.id = s.system_id
			WHERE m.vulnerability_id IN (`+marks(len(part))+") AND +m.gone = 0 AND +s.images > 0", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			err := scan(&key.vulnerability, &key.class, &f.software, &f.fix.Type, &f.fix.Package, &f.fix.System, &f.fix.To, &f.fix.State)
			if e := by[key]; e != nil {
				e.fixes = append(e.fixes, f)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, e := range list {
		slices.SortFunc(e.fixes, func(a, b softwareFix) int {
			return cmp.Or(cmp.Compare(a.fix.Type, b.fix.Type), cmp.Compare(a.fix.Package, b.fix.Package), cmp.Compare(a.fix.System, b.fix.System),
				cmp.Compare(a.fix.To, b.fix.To), cmp.Compare(a.fix.State, b.fix.State))
		})
	}
	return nil
}

// expose adds the shares of images to the rows, and drops the fixes of software
// that none of the images has. all: they are all images.
func (t *tx) expose(at sight, all bool, held []keeper, list []*exposure) error {
	rows := slices.SortedFunc(slices.Values(list), func(a, b *exposure) int { return compareRisks(a.key, b.key) })
	candidates := make(map[int64]bool) // software: whether an image has it
	for _, e := range rows {
		for _, f := range e.fixes {
			candidates[f.software] = false
		}
	}
	software := sortedKeys(candidates)
	running := make(map[int64]int64) // by image
	for _, h := range held {
		running[h.image] += h.running
	}
	open := make(map[int64]numbers) // image → rows with an open finding there
	add := func(image, seen int64, data []byte) bool {
		containers, in := running[image]
		if !in {
			return true
		}
		var has numbers
		s, r := 0, 0
		each := func(id int64) {
			for s < len(software) && software[s] < id {
				s++
			}
			if s < len(software) && software[s] == id {
				candidates[id] = true
			}
		}
		if at.everything() {
			each = nil
		}
		ok := eachShare(data, each, func(key riskKey, share riskShare) {
			for r < len(rows) && rows[r].key.vulnerability < key.vulnerability {
				r++
			}
			for k := r; k < len(rows) && rows[k].key.vulnerability == key.vulnerability; k++ {
				if rows[k].key.class == key.class && rows[k].add(share, seen, containers) {
					has.add(k)
				}
			}
		})
		open[image] = has
		return ok
	}
	var err error
	if all {
		err = t.eachShare(add)
	} else {
		err = t.eachShareOf(sortedKeys(running), add)
	}
	if err != nil {
		return err
	}
	exposed := make(map[int64]numbers) // host → rows
	for _, h := range held {
		rows := exposed[h.host]
		rows.union(open[h.image])
		exposed[h.host] = rows
	}
	for _, of := range exposed {
		of.each(func(n int) { rows[n].hosts++ })
	}
	if at.everything() {
		return nil
	}
	for _, e := range rows {
		e.fixes = slices.DeleteFunc(e.fixes, func(f softwareFix) bool { return !candidates[f.software] })
	}
	return nil
}

// eachShareOf calls f with the shares of images, encoded and good until f
// returns, and when the images were last seen. f says whether the share was whole.
func (t *tx) eachShareOf(images []int64, f func(image, seen int64, data []byte) bool) error {
	for part := range slices.Chunk(images, chunk) {
		if err := t.shareRows(" AND h.image_id IN ("+marks(len(part))+")", args(part), f); err != nil {
			return err
		}
	}
	return nil
}

// eachShare is eachShareOf all images: many are read faster in their order than by
// their numbers.
func (t *tx) eachShare(f func(image, seen int64, data []byte) bool) error {
	return t.shareRows("", nil, f)
}

func (t *tx) shareRows(condition string, args []any, f func(image, seen int64, data []byte) bool) error {
	rows, err := t.query("SELECT h.image_id, g.last_seen, h.data FROM share h CROSS JOIN image g WHERE g.id = h.image_id"+condition, args...)
	var image, seen int64
	var data sql.RawBytes
	return each(rows, err, func(scan func(...any) error) error {
		if err := scan(&image, &seen, &data); err != nil {
			return err
		}
		if !f(image, seen, data) {
			return damaged(image)
		}
		return nil
	})
}

// add counts the share of one image and says whether a finding there is open.
func (e *exposure) add(r riskShare, seen, running int64) bool {
	e.findings += r.open
	e.handled += r.handled
	e.fixable += r.fixable
	e.seen = max(e.seen, seen)
	if r.open == 0 {
		return false
	}
	e.images++
	e.containers += running
	return true
}
