package store

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"plimsoll"
)

// spot is where a host has an image: under a name, in a store.
type spot struct {
	engine      plimsoll.Engine
	store, name string
}

// presence is what the host says about an image at a spot.
type presence struct {
	repository   int64
	code, detail string
	private      bool
}

type presences map[spot]presence

// ids returns the touched images in ascending order.
func (y *syncing) ids() []int64 { return slices.Sorted(maps.Keys(y.images)) }

// eachTouched runs a query over all touched images, whose IDs follow args. The
// query ends with "IN (".
func (y *syncing) eachTouched(query string, arguments []any, f func(scan func(...any) error) error) error {
	for part := range slices.Chunk(y.ids(), maxParameters/2) {
		rows, err := y.query(query+marks(len(part))+")", append(slices.Clone(arguments), args(part)...)...)
		if err := each(rows, err, f); err != nil {
			return err
		}
	}
	return nil
}

// findMoved finds images that lose something to the records without having one:
// a container, or a name that one store can give to one image of a platform only.
// A lost event must not leave a name at two images.
func (y *syncing) findMoved() error {
	platforms := make(map[spot]string)
	var names, containers []string
	for _, id := range y.ids() {
		r := y.images[id].record
		if r == nil {
			continue
		}
		for _, p := range r.Places {
			for _, name := range p.Names {
				platforms[spot{p.Engine, p.Store, name}] = r.Platform.String()
				names = append(names, name)
			}
		}
		for _, c := range r.Containers {
			containers = append(containers, c.ID)
		}
	}
	lose := func(id int64, digest plimsoll.Digest, name bool) {
		f := y.images[id]
		if f == nil {
			f = &touched{id: id, digest: digest, held: true}
			y.images[id] = f
		}
		f.lost = f.lost || name
	}
	slices.Sort(names)
	for part := range slices.Chunk(slices.Compact(names), maxParameters/2) {
		// "+" keeps the database from reading all live rows of the fleet: the
		// host's own are few.
		rows, err := y.query(`SELECT p.image_id, i.digest, i.platform, p.engine, p.store, p.name FROM presence p JOIN image i ON i.id = p.image_id
			WHERE p.host_id = ? AND +p.gone = 0 AND p.name IN (`+marks(len(part))+")", append([]any{y.host}, args(part)...)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id int64
			var d plimsoll.Digest
			var platform string
			var at spot
			if err := scan(&id, &d, &platform, &at.engine, &at.store, &at.name); err != nil {
				return err
			}
			if f := y.images[id]; platforms[at] == platform && (f == nil || f.record == nil && !f.gone) {
				lose(id, d, true)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for part := range slices.Chunk(containers, maxParameters/2) {
		rows, err := y.query(`SELECT c.image_id, i.digest FROM container c JOIN image i ON i.id = c.image_id
			WHERE c.host_id = ? AND c.gone = 0 AND c.container_id IN (`+marks(len(part))+")", append([]any{y.host}, args(part)...)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id int64
			var d plimsoll.Digest
			if err := scan(&id, &d); err != nil {
				return err
			}
			lose(id, d, false)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keepImages adds what records tell of images that were known already: manifests,
// and a size where none was known. Everything else follows from the image ID.
func (y *syncing) keepImages() error {
	type more struct {
		manifests string
		size, id  int64
	}
	var changes []more
	err := y.eachTouched("SELECT id, name, manifests, size FROM image WHERE id IN (", nil, func(scan func(...any) error) error {
		var id, size int64
		var name, text string
		if err := scan(&id, &name, &text, &size); err != nil {
			return err
		}
		f := y.images[id]
		f.name = name
		if f.record == nil {
			return nil
		}
		var manifests []plimsoll.Digest
		if err := json.Unmarshal([]byte(text), &manifests); err != nil {
			return err
		}
		all := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(manifests), f.record.Manifests...))))
		all = all[:min(len(all), maxManifests)]
		if len(all) == len(manifests) && (size > 0 || f.record.Size == 0) {
			return nil
		}
		data, err := json.Marshal(orNone(all))
		if err != nil {
			return err
		}
		changes = append(changes, more{string(data), cmp.Or(size, f.record.Size), id})
		return nil
	})
	for _, c := range changes { // few: an image is told anew once
		if err == nil {
			_, err = y.exec("UPDATE image SET manifests = ?, size = ? WHERE id = ?", c.manifests, c.size, c.id)
		}
	}
	return err
}

// placeNames brings the presence rows of the touched images up to date.
func (y *syncing) placeNames() error {
	taken := make(map[spot]bool)
	names := []string{""}
	for _, f := range y.images {
		f.was, f.now = make(presences), make(presences)
		if f.record == nil {
			continue
		}
		for _, p := range f.record.Places {
			for _, name := range p.Names {
				taken[spot{p.Engine, p.Store, name}] = true
				names = append(names, plimsoll.Repository(name))
			}
		}
	}
	repositories, err := y.repositories(names)
	if err != nil {
		return err
	}
	var ended []int64
	type row struct {
		id, image int64
		at        spot
		presence
	}
	var live []row
	err = y.eachTouched(`SELECT id, image_id, engine, store, name, repository_id, code, detail, private FROM presence
		WHERE host_id = ? AND gone = 0 AND image_id IN (`, []any{y.host}, func(scan func(...any) error) error {
		var r row
		if err := scan(&r.id, &r.image, &r.at.engine, &r.at.store, &r.at.name, &r.repository, &r.code, &r.detail, &r.private); err != nil {
			return err
		}
		live = append(live, r)
		y.images[r.image].was[r.at] = r.presence
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range y.images {
		f.placeNow(taken, repositories)
	}
	for _, r := range live {
		if _, still := y.images[r.image].now[r.at]; !still {
			ended = append(ended, r.id)
		}
	}
	var rows, searched [][]any
	for _, id := range y.ids() {
		f := y.images[id]
		for _, at := range slices.SortedFunc(maps.Keys(f.now), compareSpots) {
			now := f.now[at]
			if was, ok := f.was[at]; ok && was == now {
				continue
			}
			rows = append(rows, []any{y.host, id, at.engine, at.store, at.name, strings.ToLower(at.name), now.repository,
				y.now, y.now, now.code, now.detail, bit(now.private)})
			searched = append(searched, []any{id, strings.ToLower(at.name)})
		}
	}
	for part := range slices.Chunk(ended, maxParameters/2) {
		_, err := y.exec(`UPDATE presence SET gone = ?, last_seen = CASE WHEN last_seen < ? THEN ? ELSE last_seen END WHERE id IN (`+marks(len(part))+")",
			append([]any{y.now, y.lastSync, y.lastSync}, args(part)...)...)
		if err != nil {
			return err
		}
	}
	if err := y.insertMany("image_reference (image_id, name_lower)", 2, searched, "ON CONFLICT DO NOTHING"); err != nil {
		return err
	}
	return y.insertMany("presence (host_id, image_id, engine, store, name, name_lower, repository_id, first_seen, last_seen, code, detail, private)", 12, rows,
		`ON CONFLICT (host_id, image_id, engine, store, name) DO UPDATE SET last_seen = excluded.last_seen, gone = 0,
			code = excluded.code, detail = excluded.detail, private = excluded.private`)
}

// placeNow works out where the host has the image now.
func (f *touched) placeNow(taken map[spot]bool, repositories map[string]int64) {
	switch {
	case f.gone:
	case f.record != nil:
		for _, p := range f.record.Places {
			at := presence{private: p.Private}
			if p.Problem != nil {
				at.code, at.detail = string(p.Problem.Code), p.Problem.Detail
			}
			names := p.Names
			if len(names) == 0 {
				names = []string{""}
			}
			for _, name := range names {
				at.repository = repositories[plimsoll.Repository(name)]
				f.now[spot{p.Engine, p.Store, name}] = at
			}
		}
	default: // it keeps what no record takes
		for at, p := range f.was {
			if !f.lost || !taken[at] {
				f.now[at] = p
			}
		}
		if len(f.now) == 0 {
			for at, p := range f.was {
				p.repository = repositories[""]
				f.now[spot{at.engine, at.store, ""}] = p
			}
		}
	}
}

func compareSpots(a, b spot) int {
	return cmp.Or(cmp.Compare(a.engine, b.engine), cmp.Compare(a.store, b.store), cmp.Compare(a.name, b.name))
}

// repositories returns the IDs of repositories by name, which are made where
// they are new.
func (t *tx) repositories(names []string) (map[string]int64, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	ids := make(map[string]int64, len(names))
	find := func() error {
		for part := range slices.Chunk(names, maxParameters/2) {
			rows, err := t.query("SELECT id, name FROM repository WHERE name IN ("+marks(len(part))+")", args(part)...)
			err = each(rows, err, func(scan func(...any) error) error {
				var id int64
				var name string
				if err := scan(&id, &name); err != nil {
					return err
				}
				ids[name] = id
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := find(); err != nil || len(ids) == len(names) {
		return ids, err
	}
	var rows [][]any
	for _, name := range names {
		if ids[name] == 0 {
			rows = append(rows, []any{name})
		}
	}
	if err := t.insertMany("repository (name)", 1, rows, "ON CONFLICT (name) DO NOTHING"); err != nil {
		return nil, err
	}
	return ids, find()
}

// placeContainers brings the containers of the touched images up to date.
func (y *syncing) placeContainers() error {
	named := make(map[string]bool)
	var rows [][]any
	for _, id := range y.ids() {
		f := y.images[id]
		if f.record == nil {
			continue
		}
		for _, c := range f.record.Containers {
			named[c.ID] = true
			f.containers++
			f.running += bit(c.Running)
			rows = append(rows, []any{y.host, id, c.ID, c.Name, c.State, bit(c.Running), c.Pod, y.now, y.now})
		}
	}
	var ended []int64
	err := y.eachTouched(`SELECT id, image_id, container_id, running FROM container WHERE host_id = ? AND gone = 0 AND image_id IN (`,
		[]any{y.host}, func(scan func(...any) error) error {
			var id, image, running int64
			var name string
			if err := scan(&id, &image, &name, &running); err != nil {
				return err
			}
			f := y.images[image]
			switch {
			case named[name]: // the record that names it counts it
			case f.record != nil || f.gone:
				ended = append(ended, id)
			default:
				f.containers++
				f.running += running
			}
			return nil
		})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ended, maxParameters/2) {
		_, err := y.exec("UPDATE container SET gone = ?, running = 0, last_seen = CASE WHEN last_seen < ? THEN ? ELSE last_seen END WHERE id IN ("+marks(len(part))+")",
			append([]any{y.now, y.lastSync, y.lastSync}, args(part)...)...)
		if err != nil {
			return err
		}
	}
	return y.insertMany("container (host_id, image_id, container_id, name, state, running, pod, first_seen, last_seen)", 9, rows,
		`ON CONFLICT (host_id, container_id) DO UPDATE SET image_id = excluded.image_id, name = excluded.name, state = excluded.state,
			running = excluded.running, pod = excluded.pod, last_seen = excluded.last_seen, gone = 0`)
}

// hold brings what the host holds up to date, and finds by how much the images'
// counts change.
func (y *syncing) hold() error {
	err := y.eachTouched("SELECT image_id, containers, running FROM host_image WHERE host_id = ? AND image_id IN (", []any{y.host},
		func(scan func(...any) error) error {
			var id, containers, running int64
			if err := scan(&id, &containers, &running); err != nil {
				return err
			}
			f := y.images[id]
			f.moreContainers, f.moreRunning = -containers, -running
			return nil
		})
	if err != nil {
		return err
	}
	var rows [][]any
	var gone []int64
	for _, id := range y.ids() {
		f := y.images[id]
		f.moreContainers += f.containers
		f.moreRunning += f.running
		if f.gone {
			f.moreHosts = -1
			gone = append(gone, id)
			continue
		}
		if !f.held {
			f.moreHosts, y.came = 1, true
		}
		hash := "" // lost something without saying so: the next full list asks for its record
		if f.record != nil {
			hash = f.record.Hash
		}
		readable, private := false, true
		for _, p := range f.now {
			readable = readable || p.code == ""
			private = private && p.private
		}
		rows = append(rows, []any{y.host, id, hash, f.containers, f.running, bit(readable), bit(private)})
	}
	for part := range slices.Chunk(gone, maxParameters/2) {
		if _, err := y.exec("DELETE FROM host_image WHERE host_id = ? AND image_id IN ("+marks(len(part))+")", append([]any{y.host}, args(part)...)...); err != nil {
			return err
		}
	}
	return y.insertMany("host_image (host_id, image_id, hash, containers, running, readable, private)", 7, rows,
		`ON CONFLICT (host_id, image_id) DO UPDATE SET hash = excluded.hash, containers = excluded.containers,
			running = excluded.running, readable = excluded.readable, private = excluded.private`)
}
