package store

import (
	"context"
	"encoding/json"
	"slices"

	"plimsoll"
	"plimsoll/api"
)

// Images lists images. Names, hosts and containers are those in scope.
func (s *Store) Images(ctx context.Context, scope plimsoll.Scope, f api.ImageFilter, l api.List) (page api.Page[api.Image], err error) {
	k, err := newKeyset(l, "images", "i.id", imageKeys)
	if err != nil {
		return page, err
	}
	w := imageFilter(scope, f, s.now().UnixMilli())
	err = s.read(ctx, "list images", func(t *tx) error {
		if page, err = t.images(scope, k, w); err != nil {
			return err
		}
		page.Total, err = t.count("image i", w)
		return err
	})
	return page, err
}

const imageColumns = `i.digest, i.manifests, i.platform, i.system, i.system_ended, i.size, i.layers, i.created, i.first_seen, i.last_seen,
	i.gone, i.hosts, i.containers, i.running, i.state, i.code, i.detail, i.scanned, i.inventory, i.packages, i.uncovered, i.problems,
	i.s_critical, i.s_high, i.s_medium, i.s_low, i.s_unknown, i.s_none, i.a_critical, i.a_high, i.a_medium, i.a_low, i.a_unknown, i.a_none,
	i.fixable, i.kev, i.malicious, i.handled, i.risk`

// images reads a page of images with what the scope sees of them.
func (t *tx) images(scope plimsoll.Scope, k *keyset, w where) (page api.Page[api.Image], err error) {
	from := "image i"
	if !scope.All {
		from = scopedOrder(scope, k, &w)
	}
	var read []bool // by row: there is an inventory to judge
	page, err = fetch(t, k, "i.id, "+imageColumns, from, w, func(scan func(...any) error) (i api.Image, err error) {
		var manifests string
		var ended, created, first, last, gone, scanned, inventory int64
		err = scan(&i.ID, &i.Digest, &manifests, &i.Platform, &i.System, &ended, &i.Size, &i.Layers, &created, &first, &last,
			&gone, &i.Hosts, &i.Containers, &i.Running, &i.State, &i.Code, &i.Detail, &scanned, &inventory, &i.Packages, &i.Uncovered, &i.Problems,
			&i.Systems.Critical, &i.Systems.High, &i.Systems.Medium, &i.Systems.Low, &i.Systems.Unknown, &i.Systems.None,
			&i.Applications.Critical, &i.Applications.High, &i.Applications.Medium, &i.Applications.Low, &i.Applications.Unknown, &i.Applications.None,
			&i.Fixable, &i.KEV, &i.Malicious, &i.Handled, &i.Risk)
		if err != nil {
			return i, err
		}
		i.Names, i.SystemEnded = []string{}, ended != 0
		i.Created, i.FirstSeen, i.LastSeen, i.Gone, i.ScannedAt = momentOrNil(created), moment(first), moment(max(first, last)), momentOrNil(gone), momentOrNil(scanned)
		read = append(read, inventory != 0)
		return i, json.Unmarshal([]byte(manifests), &i.Manifests)
	})
	if err != nil || len(page.Items) == 0 {
		return page, err
	}
	at := make(map[int64]*api.Image, len(page.Items))
	for n := range page.Items {
		at[page.Items[n].ID] = &page.Items[n]
	}
	if err := t.seen(scope, at); err != nil {
		return page, err
	}
	var built int64
	if err := t.row("SELECT coalesce(max(built), 0) FROM generation WHERE id = (SELECT max(id) FROM generation WHERE evaluated > 0)").Scan(&built); err != nil {
		return page, err
	}
	ids := sortedKeys(at)
	// Software that came while nobody could judge it.
	waiting, err := t.ids("SELECT DISTINCT n.image_id FROM software s CROSS JOIN instance n "+
		"WHERE n.software_id = s.id AND s.generation = 0 AND n.image_id IN ("+marks(len(ids))+")", args(ids)...)
	if err != nil {
		return page, err
	}
	for n := range page.Items {
		if read[n] && !slices.Contains(waiting, page.Items[n].ID) {
			page.Items[n].EvaluatedAt = momentOrNil(built)
		}
	}
	rows, err := t.query("SELECT image_id, CASE state WHEN 'leased' THEN 'running' ELSE state END FROM work WHERE image_id IN ("+marks(len(ids))+")", args(ids)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		var state plimsoll.TaskState
		if err := scan(&id, &state); err != nil {
			return err
		}
		at[id].Queue = state
		return nil
	})
	return page, err
}

// scopedOrder makes the orders by name, hosts and containers those of the hosts
// in sight: neither a row's place nor a cursor may tell of others. They cost a
// pass over what these hosts hold. It returns the tables to read from.
func scopedOrder(scope plimsoll.Scope, k *keyset, w *where) string {
	value, from := "", ""
	switch k.key.name {
	case "name":
		value, from = "min(name)", "presence v WHERE gone = 0 AND name <> ''"
	case "hosts":
		value, from = "count(*)", "host_image v WHERE 1 = 1"
	case "containers":
		value, from = "CAST(sum(containers) AS BIGINT)", "host_image v WHERE 1 = 1"
	default:
		return "image i"
	}
	sight, sightArgs := hostInSight(scope, "v.host_id")
	w.from = append(w.from, sightArgs...)
	if k.key.kind == keyText {
		k.key.column = "coalesce(order_by.value, '')"
	} else {
		k.key.column = "coalesce(order_by.value, 0)"
	}
	return "image i LEFT JOIN (SELECT v.image_id, " + value + " AS value FROM " + from + " AND " + sight + " GROUP BY v.image_id) order_by ON order_by.image_id = i.id"
}

// seen fills in the names of images and, outside of everything, replaces the
// numbers of hosts and containers by those in sight.
func (t *tx) seen(scope plimsoll.Scope, at map[int64]*api.Image) error {
	ids := sortedKeys(at)
	sight, sightArgs := hostInSight(scope, "+p.host_id") // "+": the images lead, not all hosts in sight
	rows, err := t.query(`SELECT DISTINCT p.image_id, p.name FROM presence p JOIN image i ON i.id = p.image_id
		WHERE (p.gone = 0 OR i.gone > 0) AND p.name <> '' AND p.image_id IN (`+marks(len(ids))+") AND "+sight+" ORDER BY p.image_id, p.name",
		append(args(ids), sightArgs...)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		var name string
		if err := scan(&id, &name); err != nil {
			return err
		}
		at[id].Names = append(at[id].Names, name)
		return nil
	})
	if err != nil || scope.All {
		return err
	}
	for _, i := range at {
		i.Hosts, i.Containers, i.Running = 0, 0, 0
	}
	rows, err = t.query(`SELECT p.image_id, count(*), CAST(sum(p.containers) AS BIGINT), CAST(sum(p.running) AS BIGINT) FROM host_image p
		WHERE p.image_id IN (`+marks(len(ids))+") AND "+sight+" GROUP BY p.image_id", append(args(ids), sightArgs...)...)
	return each(rows, err, func(scan func(...any) error) error {
		var id, hosts, containers, running int64
		if err := scan(&id, &hosts, &containers, &running); err != nil {
			return err
		}
		i := at[id]
		i.Hosts, i.Containers, i.Running = hosts, containers, running
		return nil
	})
}

// lookImage returns an image within the scope, gone or not.
func (t *tx) lookImage(scope plimsoll.Scope, id int64) (api.Image, error) {
	k, err := newKeyset(api.List{}, "images", "i.id", imageKeys)
	if err != nil {
		return api.Image{}, err
	}
	var w where
	w.and("i.id = ?", id)
	w.seesImage(scope, "i")
	page, err := t.images(scope, k, w)
	if err == nil && len(page.Items) == 0 {
		err = notFound("image", id)
	}
	if err != nil {
		return api.Image{}, err
	}
	return page.Items[0], nil
}

// SelectImages returns the IDs of the images that a selection means, in
// ascending order; gone images only when they are named. All leaves out those that
// the settings call too old; one whose date is unknown is not.
func (s *Store) SelectImages(ctx context.Context, scope plimsoll.Scope, sel api.Selection) (ids []int64, err error) {
	const op = "select images"
	chosen := 0
	for _, is := range []bool{sel.All, sel.Images != nil, sel.Hosts != nil, sel.Label != "", sel.Filter != nil} {
		chosen += int(bit(is))
	}
	if chosen != 1 {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, op, "choose one of all, images, hosts, label and filter")
	}
	now := s.now().UnixMilli()
	var w where
	switch {
	case sel.Images != nil:
		in(&w, "i.id", sel.Images)
		w.seesImage(scope, "i")
	case sel.Filter != nil:
		w = imageFilter(scope, *sel.Filter, now)
	case sel.Label != "":
		w = imageFilter(scope, api.ImageFilter{Label: sel.Label}, now)
	default:
		w = imageFilter(scope, api.ImageFilter{}, now)
	}
	if sel.Hosts != nil {
		sight, sightArgs := hostInSight(scope, "o.host_id")
		w.and("i.id IN (SELECT o.image_id FROM host_image o WHERE o.host_id IN ("+marks(len(sel.Hosts))+") AND "+sight+")",
			append(args(sel.Hosts), sightArgs...)...)
	}
	if w.err != nil {
		return nil, w.err
	}
	err = s.read(ctx, op, func(t *tx) error {
		settings, err := t.settings()
		if err != nil {
			return err
		}
		if sel.All && settings.MaxImageAgeDays > 0 {
			w.and("i.created = 0 OR i.created >= ?", moment(t.now).AddDate(0, 0, -settings.MaxImageAgeDays).UnixMilli())
		}
		ids, err = t.ids("SELECT i.id FROM image i"+w.String()+" ORDER BY i.id", w.args...)
		return err
	})
	return ids, err
}

// Presences lists where an image is or was, newest first.
func (s *Store) Presences(ctx context.Context, scope plimsoll.Scope, imageID int64, l api.List) (page api.Page[api.Presence], err error) {
	k, err := newKeyset(l, "presences", "p.id", []sortKey{{name: "id", column: "p.id", desc: true}})
	if err != nil {
		return page, err
	}
	var w where
	w.and("p.image_id = ?", imageID)
	w.seesHost(scope, "p.host_id")
	err = s.read(ctx, "list where an image is", func(t *tx) error {
		if _, err := t.lookImage(scope, imageID); err != nil {
			return err
		}
		// What a host has, it had at its last list.
		page, err = fetch(t, k, `p.host_id, h.name, p.engine, p.store, p.name, p.first_seen,
			CASE WHEN p.gone = 0 AND h.last_sync > p.last_seen THEN h.last_sync ELSE p.last_seen END, p.gone, p.code, p.detail`,
			"presence p JOIN host h ON h.id = p.host_id", w, func(scan func(...any) error) (p api.Presence, err error) {
				var first, last, gone int64
				err = scan(&p.HostID, &p.Host, &p.Engine, &p.Store, &p.Name, &first, &last, &gone, &p.Code, &p.Detail)
				p.FirstSeen, p.LastSeen, p.Gone = moment(first), moment(max(first, last)), momentOrNil(gone)
				return p, err
			})
		if err == nil {
			page.Total, err = t.count("presence p", w)
		}
		return err
	})
	return page, err
}

// ContainerFilter narrows the list of containers.
type ContainerFilter struct {
	Image, Host int64
	Query       string // part of a name or pod, or the beginning of an ID
	Running     bool
	Gone        bool   // those that are gone too
	Vuln        string // of images with an open finding of it, by any of its IDs
}

// Containers lists containers, newest first.
func (s *Store) Containers(ctx context.Context, scope plimsoll.Scope, f ContainerFilter, l api.List) (page api.Page[api.Container], err error) {
	k, err := newKeyset(l, "containers", "c.id", []sortKey{{name: "id", column: "c.id", desc: true}})
	if err != nil {
		return page, err
	}
	var w where
	w.seesHost(scope, "c.host_id")
	if !f.Gone {
		w.and("c.gone = 0")
	}
	if f.Image != 0 {
		w.and("c.image_id = ?", f.Image)
	}
	if f.Host != 0 {
		w.and("c.host_id = ?", f.Host)
	}
	if f.Running {
		w.and("c.running = 1")
	}
	if f.Vuln != "" {
		text, args := exposed(f.Vuln)
		w.and("+c.image_id IN ("+text+")", args...) // "+": in the order of the list
	}
	if f.Query != "" {
		w.and(like("lower(c.name)")+" OR "+like("lower(c.pod)")+" OR c.container_id >= ? AND c.container_id < ?",
			likePattern(f.Query), likePattern(f.Query), f.Query, afterPrefix(f.Query))
	}
	err = s.read(ctx, "list containers", func(t *tx) error {
		if page, err = t.containers(scope, k, w); err != nil {
			return err
		}
		page.Total, err = t.count("container c", w)
		return err
	})
	return page, err
}

func (t *tx) containers(scope plimsoll.Scope, k *keyset, w where) (page api.Page[api.Container], err error) {
	page, err = fetch(t, k, `c.container_id, c.name, c.state, c.running, c.pod, i.config, c.host_id, h.name, c.image_id, i.digest,
		c.first_seen, CASE WHEN c.gone = 0 AND h.last_sync > c.last_seen THEN h.last_sync ELSE c.last_seen END, c.gone`,
		"container c JOIN host h ON h.id = c.host_id JOIN image i ON i.id = c.image_id", w,
		func(scan func(...any) error) (c api.Container, err error) {
			var config string
			var digest plimsoll.Digest
			var running, first, last, gone int64
			if err := scan(&c.ContainerID, &c.Name, &c.State, &running, &c.Pod, &config, &c.HostID, &c.Host, &c.ImageID, &digest,
				&first, &last, &gone); err != nil {
				return c, err
			}
			c.Running, c.Image = running != 0, digest.Short()
			c.FirstSeen, c.LastSeen, c.Gone = moment(first), moment(max(first, last)), momentOrNil(gone)
			var of api.ImageConfig
			err = json.Unmarshal([]byte(config), &of)
			c.Entrypoint = append(of.Entrypoint, of.Cmd...)
			return c, err
		})
	if err != nil {
		return page, err
	}
	ids := make([]int64, len(page.Items))
	for n := range page.Items {
		ids[n] = page.Items[n].ImageID
	}
	names, err := t.firstNames(scope, ids)
	for n := range page.Items {
		if name := names[page.Items[n].ImageID]; name != "" {
			page.Items[n].Image = name
		}
	}
	return page, err
}

// firstNames returns the smallest name in sight of each of the images that has
// one; of a gone image, of those that it had.
func (t *tx) firstNames(scope plimsoll.Scope, ids []int64) (map[int64]string, error) {
	names := make(map[int64]string)
	if len(ids) == 0 {
		return names, nil
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	sight, sightArgs := hostInSight(scope, "+p.host_id")
	rows, err := t.query(`SELECT p.image_id, min(p.name) FROM presence p JOIN image i ON i.id = p.image_id
		WHERE (p.gone = 0 OR i.gone > 0) AND p.name <> '' AND p.image_id IN (`+marks(len(ids))+") AND "+sight+" GROUP BY p.image_id",
		append(args(ids), sightArgs...)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		var name string
		if err := scan(&id, &name); err != nil {
			return err
		}
		names[id] = name
		return nil
	})
	return names, err
}
