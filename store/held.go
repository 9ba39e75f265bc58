package store

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"plimsoll"
)

// theIDs stands in a query for the IDs that its parameter, an idSource, means. What
// thousands of hosts hold is worked out once for all questions of a transaction, from
// a row for each host: the database would go through a row for each image on each of
// them, each time.
const theIDs = "{ids}"

// idSource says which IDs; equal words mean the same ones.
type idSource interface {
	String() string
	ids(*tx) ([]int64, error)
}

// heldBy means the images that hosts in sight hold, those of which a container runs
// there, or the software of all.
type heldBy struct {
	sight
	running, software bool
}

func (h heldBy) String() string {
	return fmt.Sprint(h.scope.All, h.host, h.running, h.software, "\x00", h.label, "\x00", strings.Join(slices.Sorted(slices.Values(h.scope.Labels)), "\x00"))
}

// bind puts the IDs in place of each idSource.
func (t *tx) bind(query string, args []any) (string, []any) {
	if !slices.ContainsFunc(args, func(a any) bool { _, ok := a.(idSource); return ok }) {
		return query, args
	}
	args = slices.Clone(args)
	for i, a := range args {
		source, ok := a.(idSource)
		if !ok {
			continue
		}
		ids, err := t.idsOf(source)
		if err != nil {
			args[i] = failed{err}
			continue
		}
		b := make([]byte, 0, 8*len(ids)+2)
		b = append(b, '[')
		for n, id := range ids {
			if n > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, id, 10)
		}
		args[i] = string(append(b, ']'))
	}
	return strings.ReplaceAll(query, theIDs, t.s.dialect.ids), args
}

// failed is a parameter that could not be worked out: the query fails with its error.
type failed struct{ error }

func (f failed) Value() (driver.Value, error) { return nil, f.error }

// heldList makes the row of a host of its rows in table host_image.
const heldList = "string_agg(CAST(image_id AS TEXT) || ' ' || CAST(running AS TEXT), ' ' ORDER BY image_id)"

// noteHeld brings the row of a host up to date with table host_image.
func (t *tx) noteHeld(host int64) error {
	_, err := t.exec(`INSERT INTO host_held (host_id, images)
		SELECT CAST(? AS BIGINT), coalesce(`+heldList+`, '') FROM host_image WHERE host_id = ?
		ON CONFLICT (host_id) DO UPDATE SET images = excluded.images`, host, host)
	return err
}

// idsOf returns the IDs in ascending order.
func (t *tx) idsOf(source idSource) ([]int64, error) {
	key := source.String()
	if ids, known := t.sets[key]; known {
		return ids, nil
	}
	ids, err := source.ids(t)
	if err == nil && t.sets != nil {
		t.sets[key] = ids
	}
	return ids, err
}

func (h heldBy) ids(t *tx) ([]int64, error) {
	if h.software {
		return t.softwareHeld(h)
	}
	return t.imagesHeld(h)
}

// wellRead means the images of which a host that is not revoked has the analysers that
// read them.
type wellRead struct{}

func (wellRead) String() string { return "well read" }

func (wellRead) ids(t *tx) ([]int64, error) {
	held := make(map[string]*idSet) // by analysers
	rows, err := t.query("SELECT o.host_id, h.analyzers, o.images FROM host_held o JOIN host h ON h.id = o.host_id WHERE h.revoked = 0")
	err = each(rows, err, func(scan func(...any) error) error {
		var host int64
		var analyzers, images string
		if err := scan(&host, &analyzers, &images); err != nil {
			return err
		}
		if held[analyzers] == nil {
			held[analyzers] = &idSet{}
		}
		return eachHeld(host, images, func(image, _ int64) { held[analyzers].add(image) })
	})
	if err != nil {
		return nil, err
	}
	var read idSet
	rows, err = t.query("SELECT id, analyzers FROM image WHERE gone = 0")
	err = each(rows, err, func(scan func(...any) error) error {
		var image int64
		var analyzers string
		err := scan(&image, &analyzers)
		if by := held[analyzers]; by != nil && by.has(image) {
			read.add(image)
		}
		return err
	})
	return read.list(), err
}

func (t *tx) imagesHeld(h heldBy) ([]int64, error) {
	var held idSet
	var w where
	h.hosts(&w, "o.host_id")
	rows, err := t.query("SELECT o.host_id, o.images FROM host_held o"+w.String(), w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var host int64
		var images string
		if err := scan(&host, &images); err != nil {
			return err
		}
		return eachHeld(host, images, func(image, running int64) {
			if !h.running || running > 0 {
				held.add(image)
			}
		})
	})
	return held.list(), err
}

func (t *tx) softwareHeld(h heldBy) ([]int64, error) {
	images, err := t.idsOf(heldBy{sight: h.sight, running: h.running})
	if err != nil {
		return nil, err
	}
	var software idSet
	for part := range slices.Chunk(images, chunk) {
		contents, err := t.contents(part)
		if err != nil {
			return nil, err
		}
		for _, list := range contents {
			for _, p := range list {
				software.add(p.software)
			}
		}
	}
	return software.list(), nil
}

// idSet is a set of IDs. Millions are added, most of them again and again, and near
// those before.
type idSet struct {
	pages map[int64]*[64]uint64 // of 4096 IDs each
	last  *[64]uint64
	at    int64
}

func (s *idSet) add(id int64) {
	if page := id >> 12; s.last == nil || s.at != page {
		if s.pages == nil {
			s.pages = make(map[int64]*[64]uint64)
		}
		if s.pages[page] == nil {
			s.pages[page] = new([64]uint64)
		}
		s.last, s.at = s.pages[page], page
	}
	s.last[id>>6&63] |= 1 << (id & 63)
}

func (s *idSet) has(id int64) bool {
	page := s.pages[id>>12]
	return page != nil && page[id>>6&63]&(1<<(id&63)) != 0
}

// list returns the IDs in ascending order.
func (s *idSet) list() (ids []int64) {
	for _, page := range sortedKeys(s.pages) {
		numbers(s.pages[page][:]).each(func(n int) { ids = append(ids, page<<12+int64(n)) })
	}
	return ids
}

// eachHeld calls f for the images in a row of host_held.
func eachHeld(host int64, text string, f func(image, running int64)) error {
	number := func() (n int64, ok bool) {
		i := 0
		for ; i < len(text) && text[i] >= '0' && text[i] <= '9' && i < 18; i++ {
			n = n*10 + int64(text[i]-'0')
		}
		ok = i > 0 && (i == len(text) || text[i] == ' ')
		text = text[min(i+1, len(text)):]
		return n, ok
	}
	for text != "" {
		image, ok1 := number()
		running, ok2 := number()
		if !ok1 || !ok2 {
			return plimsoll.Errorf(plimsoll.CodeCorrupt, "read what hosts hold", "the images of host %d are damaged", host)
		}
		f(image, running)
	}
	return nil
}
