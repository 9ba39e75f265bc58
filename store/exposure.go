package store

import (
	"cmp"
	"database/sql"
	"math/bits"
	"slices"

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

// holdings are the images that hosts in sight hold. An image has a small number here.
type holdings struct {
	hosts   []keeper
	number  map[int64]int // by image
	running []int64       // containers that run, by the image's number
}

// keeper is a host, when it last told what it holds, and the numbers of its images.
type keeper struct {
	synced int64
	images []int
}

func (h *holdings) add(host, synced int64, images string) error {
	k := keeper{synced: synced, images: make([]int, 0, len(images)/8)}
	err := eachHeld(host, images, func(image, running int64) {
		n, known := h.number[image]
		if !known {
			n = len(h.running)
			h.number[image] = n
			h.running = append(h.running, 0)
		}
		h.running[n] += running
		k.images = append(k.images, n)
	})
	h.hosts = append(h.hosts, k)
	return err
}

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
// is, in what, and the counts in sight where that is not everything. It reads what
// the images have once for all rows: going from each row to its findings would read
// most of them again and again.
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
	held, err := t.holdings(at, near)
	if err != nil {
		return err
	}
	if err := t.fixesFor(vulnerabilities, list); err != nil {
		return err
	}
	all := at.everything() && len(near.conditions) == 0 && !slices.ContainsFunc(page, func(v api.Vulnerability) bool { return v.Findings == 0 })
	if err := t.expose(at, all, held, list); err != nil {
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

// holdings returns what hosts in sight hold; near narrows to the images of matches m
// and instances i.
func (t *tx) holdings(at sight, near where) (*holdings, error) {
	var w where
	query := "SELECT o.host_id, h.last_sync, o.images FROM host_held o JOIN host h ON h.id = o.host_id"
	if len(near.conditions) == 0 {
		at.hosts(&w, "o.host_id")
		query += w.String()
	} else { // from the images: each host in sight would be asked for each of them
		at.hosts(&w, "+o.host_id")
		w.and("o.image_id IN (SELECT i.image_id FROM match m CROSS JOIN instance i"+near.String()+")", near.args...)
		query = "SELECT o.host_id, (SELECT last_sync FROM host WHERE id = o.host_id), string_agg(CAST(o.image_id AS TEXT) || ' ' || CAST(o.running AS TEXT), ' ') FROM host_image o" +
			w.String() + " GROUP BY o.host_id"
	}
	held := &holdings{number: make(map[int64]int)}
	rows, err := t.query(query, w.args...)
	return held, each(rows, err, func(scan func(...any) error) error {
		var host, synced int64
		var images string
		if err := scan(&host, &synced, &images); err != nil {
			return err
		}
		return held.add(host, synced, images)
	})
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

// expose adds to the rows where they are, and the counts there; it drops the fixes of
// software that none of the images has. all: each row is open somewhere, all images
// are in sight, and their counts known.
func (t *tx) expose(at sight, all bool, held *holdings, list []*exposure) error {
	rows := slices.SortedFunc(slices.Values(list), func(a, b *exposure) int { return compareRisks(a.key, b.key) })
	// By the image's number: the rows with an open finding there, and with any.
	open, any := make([]numbers, len(held.running)), make([]numbers, len(held.running))
	candidates := make(map[int64]bool) // software: whether an image has it
	if all {
		wanted := make([]int64, len(rows))
		for i, e := range rows {
			wanted[i] = e.key.number()
		}
		any = open
		if err := t.eachOpen(wanted, func(image int64, row int) {
			if number, in := held.number[image]; in {
				rows[row].containers += held.running[number]
				open[number].add(row)
			}
		}); err != nil {
			return err
		}
	} else {
		for _, e := range rows {
			for _, f := range e.fixes {
				candidates[f.software] = false
			}
		}
		if err := t.addShares(at, held, rows, candidates, open, any); err != nil {
			return err
		}
	}
	known := make([]int64, len(rows)) // when hosts that have a row, open or not, last told so
	for _, host := range held.hosts {
		var here, there numbers
		for _, number := range host.images {
			here.union(open[number])
			there.union(any[number])
		}
		here.each(func(n int) {
			rows[n].hosts++
			rows[n].seen = max(rows[n].seen, host.synced)
		})
		there.each(func(n int) { known[n] = max(known[n], host.synced) })
	}
	for n, e := range rows {
		if e.hosts == 0 { // open nowhere
			e.seen = known[n]
		}
	}
	if at.everything() {
		return nil
	}
	for _, e := range rows {
		e.fixes = slices.DeleteFunc(e.fixes, func(f softwareFix) bool { return !candidates[f.software] })
	}
	return nil
}

// addShares adds the shares of the images held to the rows.
func (t *tx) addShares(at sight, held *holdings, rows []*exposure, candidates map[int64]bool, open, any []numbers) error {
	software := sortedKeys(candidates)
	return t.eachShareOf(sortedKeys(held.number), func(image int64, data []byte) bool {
		number := held.number[image]
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
		return eachShare(data, each, func(key riskKey, share riskShare) {
			for r < len(rows) && rows[r].key.vulnerability < key.vulnerability {
				r++
			}
			for k := r; k < len(rows) && rows[k].key.vulnerability == key.vulnerability; k++ {
				if rows[k].key.class != key.class {
					continue
				}
				any[number].add(k)
				if rows[k].add(share, held.running[number]) {
					open[number].add(k)
				}
			}
		})
	})
}

// eachShareOf calls f with the shares of images, encoded and good until f returns.
// f says whether the share was whole.
func (t *tx) eachShareOf(images []int64, f func(image int64, data []byte) bool) error {
	for part := range slices.Chunk(images, chunk) {
		rows, err := t.query("SELECT image_id, data FROM share WHERE image_id IN ("+marks(len(part))+")", args(part)...)
		var image int64
		var data sql.RawBytes
		if err := each(rows, err, func(scan func(...any) error) error {
			if err := scan(&image, &data); err != nil {
				return err
			}
			if !f(image, data) {
				return damaged(image)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// add counts the share of one image and says whether a finding there is open.
func (e *exposure) add(r riskShare, running int64) bool {
	e.findings += r.open
	e.handled += r.handled
	e.fixable += r.fixable
	if r.open == 0 {
		return false
	}
	e.images++
	e.containers += running
	return true
}
