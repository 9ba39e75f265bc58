package store

import (
	"slices"
)

// pair is an image under a repository.
type pair struct{ image, repository int64 }

// countNames finds what the sync changes about the images' repositories and the
// names that they are shown by.
func (y *syncing) countNames() error {
	var changed []pair
	for _, id := range y.ids() {
		f := y.images[id]
		was, now := f.was.repositories(), f.now.repositories()
		for _, r := range was {
			if !slices.Contains(now, r) {
				changed = append(changed, pair{id, r})
			}
		}
		for _, r := range now {
			if !slices.Contains(was, r) {
				changed = append(changed, pair{id, r})
			}
		}
		f.again = f.name != "" && f.was.names(f.name) && !f.now.names(f.name)
		for at := range f.now {
			if at.name != "" && (f.name == "" || at.name < f.name) {
				f.name = at.name
			}
		}
	}
	elsewhere, err := y.elsewhere(changed)
	if err != nil {
		return err
	}
	for _, p := range changed {
		if elsewhere[p] {
			continue // another host's copy keeps it
		}
		f := y.images[p.image]
		f.repositories = true
		if slices.Contains(f.now.repositories(), p.repository) {
			f.moreRepositories++
		} else {
			f.moreRepositories--
		}
	}
	return nil
}

func (p presences) repositories() []int64 {
	var list []int64
	for _, at := range p {
		list = append(list, at.repository)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (p presences) names(name string) bool {
	for at := range p {
		if at.name == name {
			return true
		}
	}
	return false
}

// elsewhere says which of the pairs another host has too.
func (y *syncing) elsewhere(pairs []pair) (map[pair]bool, error) {
	found := make(map[pair]bool)
	for part := range slices.Chunk(pairs, 1000) {
		values := make([]any, 0, 2*len(part)+1)
		for _, p := range part {
			values = append(values, p.image, p.repository)
		}
		// The EXISTS stops at the first row: an image may be on thousands of hosts.
		rows, err := y.query("WITH asked (image_id, repository_id) AS (VALUES "+valueRows("(CAST(? AS BIGINT), CAST(? AS BIGINT))", len(part))+`)
			SELECT asked.image_id, asked.repository_id FROM asked WHERE EXISTS (SELECT 1 FROM presence p
				WHERE p.repository_id = asked.repository_id AND p.gone = 0 AND p.image_id = asked.image_id AND p.host_id <> ?)`,
			append(values, y.host)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var p pair
			if err := scan(&p.image, &p.repository); err != nil {
				return err
			}
			found[p] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// valueRows returns n times one, separated by commas.
func valueRows(one string, n int) string {
	b := make([]byte, 0, n*(len(one)+2))
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, one...)
	}
	return string(b)
}

// countImages brings the images' counts, names, presence and readability up to
// date, and then what follows from them.
func (y *syncing) countImages() error {
	var again []int64
	for part := range slices.Chunk(y.ids(), 1000) {
		values := make([]any, 0, 7*len(part)+1)
		for _, id := range part {
			f := y.images[id]
			seen := y.now
			if f.gone {
				seen = y.lastSync
			}
			if f.again {
				again = append(again, id)
			}
			values = append(values, id, f.moreHosts, f.moreContainers, f.moreRunning, f.moreRepositories, f.name, seen)
		}
		one := "(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT))"
		rows, err := y.query("WITH more (id, hosts, containers, running, repositories, name, seen) AS (VALUES "+valueRows(one, len(part))+`)
			UPDATE image SET hosts = image.hosts + more.hosts, containers = image.containers + more.containers,
				running = image.running + more.running, repositories = image.repositories + more.repositories, name = more.name,
				last_seen = CASE WHEN image.last_seen < more.seen THEN more.seen ELSE image.last_seen END,
				gone = CASE WHEN image.hosts + more.hosts > 0 THEN 0 WHEN image.gone > 0 THEN image.gone ELSE ? END
			FROM more WHERE image.id = more.id RETURNING image.id, image.hosts`, append(values, y.now)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id, hosts int64
			if err := scan(&id, &hosts); err != nil {
				return err
			}
			f := y.images[id]
			f.turned = hosts == 0 || hosts == f.moreHosts && f.moreHosts > 0
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := y.nameAnew(again); err != nil {
		return err
	}
	if err := y.markUnreadable(y.ids()); err != nil {
		return err
	}
	return y.follow()
}

// nameAnew gives images the smallest of their live names.
func (t *tx) nameAnew(images []int64) error {
	for part := range slices.Chunk(images, maxParameters/2) {
		_, err := t.exec(`UPDATE image SET name = coalesce((SELECT min(p.name) FROM presence p
			WHERE p.image_id = image.id AND p.gone = 0 AND p.name <> ''), '') WHERE id IN (`+marks(len(part))+")", args(part)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// markUnreadable marks images that were never read and that no host which holds
// them can read, and takes the mark away from others.
func (t *tx) markUnreadable(images []int64) error {
	for part := range slices.Chunk(images, maxParameters/2) {
		list := "id IN (" + marks(len(part)) + ")"
		const readable = "EXISTS (SELECT 1 FROM host_image h WHERE h.image_id = image.id AND h.readable = 1)"
		why := func(column string) string {
			return column + " = coalesce((SELECT p." + column + " FROM presence p WHERE p.image_id = image.id AND p.gone = 0 AND p.code <> '' ORDER BY p.host_id, p.id LIMIT 1), '')"
		}
		_, err := t.exec("UPDATE image SET state = 'unreadable', "+why("code")+", "+why("detail")+
			" WHERE "+list+" AND state IN ('never', 'unreadable') AND hosts > 0 AND NOT "+readable, args(part)...)
		if err != nil {
			return err
		}
		_, err = t.exec("UPDATE image SET state = 'never', code = '', detail = '' WHERE "+list+" AND state = 'unreadable' AND "+readable, args(part)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// follow renews what follows from where images are and how they are called.
func (y *syncing) follow() error {
	var moved, spread []int64
	for _, id := range y.ids() {
		switch f := y.images[id]; {
		case f.repositories || f.turned:
			moved = append(moved, id)
		case f.moreHosts != 0:
			spread = append(spread, id)
		}
	}
	if len(spread) > 0 {
		some, err := y.labelsDecide()
		if err != nil {
			return err
		}
		if some {
			moved = append(moved, spread...)
		}
	}
	return y.renew(moved)
}

// labelsDecide says whether a decision in force asks for the labels of hosts:
// else it does not matter to findings which hosts hold an image.
func (t *tx) labelsDecide() (some bool, err error) {
	var n int
	err = t.row("SELECT count(*) FROM (SELECT 1 AS one FROM decision WHERE labels <> '[]' AND revoked = 0 AND expired = 0 LIMIT 1) d").Scan(&n)
	return n > 0, err
}

// renew computes anew which decisions fit, and the counts, of those of the images
// that were read.
func (t *tx) renew(images []int64) error {
	var read []int64
	for part := range slices.Chunk(images, maxParameters/2) {
		list, err := t.ids("SELECT id FROM image WHERE inventory <> 0 AND id IN ("+marks(len(part))+") ORDER BY id", args(part)...)
		if err != nil {
			return err
		}
		read = append(read, list...)
	}
	return t.renewFindings(read, nil)
}
