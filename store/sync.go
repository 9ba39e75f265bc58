package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"plimsoll"
	"plimsoll/api"
)

// SyncEffect is what a sync changed, for schedules.
type SyncEffect struct {
	Answer api.SyncAnswer
	New    []int64 // images that the fleet sees for the first time
	Pulled []int64 // images that came to this host since its last sync
}

// ApplySync brings what the fleet knows of a host's images up to date: presence
// per name and store, containers, counts. It answers sync requests. Applying one
// twice changes nothing.
//
// An image ID is the digest of a configuration that lists the layers: the first
// record of an image stands. A host that claims other layers for it is not
// believed; that becomes a problem of the host, the rest of its sync counts.
// The error has CodeInvalid, naming the field, for what the bounds do not allow.
func (s *Store) ApplySync(ctx context.Context, hostID int64, sync api.Sync) (SyncEffect, error) {
	const op = "store the images of a host"
	if err := checkSync(&sync); err != nil {
		return SyncEffect{}, err
	}
	var effect SyncEffect
	var came, changed bool
	err := s.writeFindings(ctx, op, func(t *tx) error {
		y := &syncing{tx: t, host: hostID, sync: &sync}
		if err := y.apply(); err != nil {
			return err
		}
		effect, came, changed = y.effect, y.came, len(y.images) > 0
		return nil
	})
	if err != nil {
		return SyncEffect{}, err
	}
	if came { // an image that waits may be readable here
		s.Ring(ctx, HostWork(hostID))
	}
	if changed {
		s.Ring(ctx, TopicFleet)
	}
	if len(sync.Requests) > 0 {
		s.Ring(ctx, TopicTasks)
	}
	return effect, nil
}

// syncing is one sync while it is applied.
type syncing struct {
	*tx
	host   int64
	sync   *api.Sync
	effect SyncEffect
	came   bool // the host holds an image that it did not

	lastSync int64         // of the host, before this one
	notes    []api.Problem // the console's own about the host
	held     map[plimsoll.Digest]holding
	images   map[int64]*touched
}

// holding is an image that the host holds, as the console knows it.
type holding struct {
	image int64
	hash  string
}

// touched is one image that the sync says something new about.
type touched struct {
	id     int64
	digest plimsoll.Digest
	record *api.HostImage // nil: gone from this host, or changed by another's record
	gone   bool           // from this host
	held   bool           // by this host before
	lost   bool           // a name to another image, whose record says so

	was, now            presences // live ones
	containers, running int64     // on this host, now

	name  string // the image's in the fleet, now
	again bool   // that name must be searched for
	// What is to be added to the image's counts.
	moreHosts, moreContainers, moreRunning, moreRepositories int64
	repositories                                             bool // their set changed
	turned                                                   bool // it was gone and is back, or is gone now
}

func (y *syncing) apply() error {
	var seq, revoked int64
	var notes string
	err := y.row("SELECT sync_seq, last_sync, problems, revoked FROM host WHERE id = ?", y.host).
		Scan(&seq, &y.lastSync, &notes, &revoked)
	if err != nil || revoked != 0 {
		if err == nil {
			err = notFound("host", y.host)
		}
		return err
	}
	if !y.sync.Full && y.sync.Seq < seq {
		return nil // what came later has said it already
	}
	if err := y.change(notes); err != nil {
		return err
	}
	if err := y.noteHost(); err != nil {
		return err
	}
	if len(y.sync.Requests) > 0 {
		return y.answerSync(y.host, y.sync.Requests)
	}
	return nil
}

// change brings everything but the host's own row up to date.
func (y *syncing) change(notes string) error {
	if err := y.load(notes); err != nil {
		return err
	}
	if err := y.compare(); err != nil || len(y.images) == 0 {
		return err
	}
	for _, step := range []func() error{y.findMoved, y.keepImages, y.placeNames, y.placeContainers, y.hold, y.countNames, y.countImages} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// load reads what the host held: all of it for a full sync, else what the sync
// speaks of.
func (y *syncing) load(notes string) error {
	var problems []api.Problem
	if err := json.Unmarshal([]byte(notes), &problems); err != nil {
		return err
	}
	for _, p := range problems {
		if p.Analyzer == noteAnalyzer {
			y.notes = append(y.notes, p)
		}
	}
	y.held = make(map[plimsoll.Digest]holding)
	read := func(condition string, args ...any) error {
		rows, err := y.query(`SELECT i.digest, i.id, h.hash FROM host_image h JOIN image i ON i.id = h.image_id
			WHERE h.host_id = ?`+condition, append([]any{y.host}, args...)...)
		return each(rows, err, func(scan func(...any) error) error {
			var d plimsoll.Digest
			var h holding
			if err := scan(&d, &h.image, &h.hash); err != nil {
				return err
			}
			y.held[d] = h
			return nil
		})
	}
	if y.sync.Full {
		return read("")
	}
	asked := slices.Clone(y.sync.Gone)
	for i := range y.sync.Images {
		asked = append(asked, y.sync.Images[i].ID)
	}
	for part := range slices.Chunk(asked, maxParameters/2) {
		if err := read(" AND i.digest IN ("+marks(len(part))+")", args(part)...); err != nil {
			return err
		}
	}
	return nil
}

// compare finds what changed, what went and what the console wants to hear more of.
func (y *syncing) compare() error {
	y.images = make(map[int64]*touched)
	present := make(map[plimsoll.Digest]bool, len(y.sync.Known)+len(y.sync.Images))
	fresh := make(map[plimsoll.Digest]*touched)
	for i := range y.sync.Images {
		record := &y.sync.Images[i]
		present[record.ID] = true
		held, ok := y.held[record.ID]
		if ok && held.hash == record.Hash {
			continue
		}
		fresh[record.ID] = &touched{id: held.image, digest: record.ID, record: record, held: ok}
	}
	gone := y.sync.Gone
	if y.sync.Full {
		gone = nil
		for _, k := range y.sync.Known {
			if present[k.ID] {
				continue
			}
			present[k.ID] = true
			if held, ok := y.held[k.ID]; !ok || held.hash != k.Hash {
				y.effect.Answer.Want = append(y.effect.Answer.Want, k.ID)
			}
		}
		slices.Sort(y.effect.Answer.Want)
		for d := range y.held {
			if !present[d] {
				gone = append(gone, d)
			}
		}
	}
	for _, d := range gone {
		if h, ok := y.held[d]; ok && !present[d] {
			y.images[h.image] = &touched{id: h.image, digest: d, held: true, gone: true}
		}
	}
	y.notes = slices.DeleteFunc(y.notes, func(p api.Problem) bool {
		d := plimsoll.Digest(p.Path)
		return fresh[d] != nil || y.sync.Full && !present[d] || slices.Contains(gone, d)
	})
	return y.identify(fresh)
}

// identify finds or makes the rows of images that records are about.
func (y *syncing) identify(fresh map[plimsoll.Digest]*touched) error {
	digests := slices.Sorted(maps.Keys(fresh))
	known := make(map[plimsoll.Digest]int64, len(digests))
	find := func(list []plimsoll.Digest) error {
		for part := range slices.Chunk(list, maxParameters/2) {
			rows, err := y.query("SELECT id, digest FROM image WHERE digest IN ("+marks(len(part))+")", args(part)...)
			err = each(rows, err, func(scan func(...any) error) error {
				var id int64
				var d plimsoll.Digest
				if err := scan(&id, &d); err != nil {
					return err
				}
				known[d] = id
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := find(digests); err != nil {
		return err
	}
	if err := y.refuse(fresh, known); err != nil {
		return err
	}
	var unknown []plimsoll.Digest
	var rows [][]any
	for _, d := range digests {
		if fresh[d] == nil || known[d] != 0 {
			continue
		}
		row, err := y.imageRow(fresh[d].record)
		if err != nil {
			return err
		}
		unknown, rows = append(unknown, d), append(rows, row)
	}
	if len(unknown) > 0 {
		if err := y.insertMany(`image (digest, platform, manifests, created, size, config, history, layers, first_seen, last_seen)`, 10, rows, ""); err != nil {
			return err
		}
		if err := find(unknown); err != nil {
			return err
		}
		if err := y.stack(unknown, known, fresh); err != nil {
			return err
		}
	}
	for d, f := range fresh {
		f.id = known[d]
		y.images[f.id] = f
	}
	for _, d := range unknown {
		y.effect.New = append(y.effect.New, known[d])
	}
	slices.Sort(y.effect.New)
	for _, d := range y.sync.Pulled {
		if f := fresh[d]; f != nil && !f.held {
			y.effect.Pulled = append(y.effect.Pulled, f.id)
		}
	}
	slices.Sort(y.effect.Pulled)
	y.effect.Pulled = slices.Compact(y.effect.Pulled)
	return nil
}

// noteAnalyzer marks problems of a host that the console, not the agent, met.
const noteAnalyzer = "console"

// refuse drops records that claim other layers for an image than it is known to
// have, and notes that.
func (y *syncing) refuse(fresh map[plimsoll.Digest]*touched, known map[plimsoll.Digest]int64) error {
	stacks := make(map[int64][]plimsoll.Digest)
	for part := range slices.Chunk(slices.Sorted(maps.Values(known)), maxParameters/2) {
		rows, err := y.query(`SELECT il.image_id, l.diff_id FROM image_layer il JOIN layer l ON l.id = il.layer_id
			WHERE il.image_id IN (`+marks(len(part))+") ORDER BY il.image_id, il.number", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id int64
			var d plimsoll.Digest
			if err := scan(&id, &d); err != nil {
				return err
			}
			stacks[id] = append(stacks[id], d)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, d := range slices.Sorted(maps.Keys(known)) {
		same := slices.EqualFunc(fresh[d].record.Layers, stacks[known[d]], func(l api.HostLayer, d plimsoll.Digest) bool { return l.DiffID == d })
		if same {
			continue
		}
		delete(fresh, d)
		y.notes = append(y.notes, api.Problem{Code: plimsoll.ProblemCorruptStore, Path: string(d), Analyzer: noteAnalyzer,
			Detail: "the host names other layers for this image than the fleet knows; an image ID stands for one list of layers, so what it says of the image is not used"})
	}
	return nil
}

// imageRow returns the row of a new image.
func (y *syncing) imageRow(r *api.HostImage) ([]any, error) {
	manifests := slices.Compact(slices.Sorted(slices.Values(r.Manifests)))
	var columns []any
	for _, v := range []any{manifests, r.Config, r.History} {
		data, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		columns = append(columns, string(data))
	}
	return []any{r.ID, r.Platform.String(), columns[0], ms(r.Created), r.Size, columns[1], columns[2], len(r.Layers), y.now, y.now}, nil
}

// stack stores the layers of new images.
func (y *syncing) stack(images []plimsoll.Digest, ids map[plimsoll.Digest]int64, fresh map[plimsoll.Digest]*touched) error {
	sizes := make(map[plimsoll.Digest]int64)
	for _, d := range images {
		for _, l := range fresh[d].record.Layers {
			sizes[l.DiffID] = max(sizes[l.DiffID], l.Size)
		}
	}
	diffs := slices.Sorted(maps.Keys(sizes))
	rows := make([][]any, len(diffs))
	for i, d := range diffs {
		rows[i] = []any{d, sizes[d]}
	}
	if err := y.insertMany("layer (diff_id, size)", 2, rows, "ON CONFLICT (diff_id) DO NOTHING"); err != nil {
		return err
	}
	layers := make(map[plimsoll.Digest]int64, len(diffs))
	for part := range slices.Chunk(diffs, maxParameters/2) {
		rows, err := y.query("SELECT id, diff_id FROM layer WHERE diff_id IN ("+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id int64
			var d plimsoll.Digest
			if err := scan(&id, &d); err != nil {
				return err
			}
			layers[d] = id
			return nil
		})
		if err != nil {
			return err
		}
	}
	rows = rows[:0]
	for _, d := range images {
		for n, l := range fresh[d].record.Layers {
			rows = append(rows, []any{ids[d], n, layers[l.DiffID], l.CreatedBy, bit(l.Base)})
		}
	}
	return y.insertMany("image_layer (image_id, number, layer_id, created_by, base)", 5, rows, "")
}

// noteHost keeps what the host says of itself, and counts what it holds.
func (y *syncing) noteHost() error {
	h := &y.sync.Host
	problems := append(slices.Clone(y.sync.Problems), y.notes...)
	columns := make([]any, 0, 3)
	for _, v := range []any{orNone(h.Addresses), orNone(y.sync.Stores), orNone(problems)} {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		columns = append(columns, string(data))
	}
	_, err := y.exec(`UPDATE host SET name = CASE WHEN ? = '' THEN name ELSE ? END, os = ?, kernel = ?, arch = ?, agent_version = ?,
		analyzers = ?, addresses = ?, stores = ?, problems = ?, problem_count = ?, last_sync = ?, last_seen = ?, sync_seq = ? WHERE id = ?`,
		h.Name, h.Name, h.OS, h.Kernel, h.Arch, h.AgentVersion, h.Analyzers, columns[0], columns[1], columns[2], len(problems),
		y.now, y.now, y.sync.Seq, y.host)
	if err != nil {
		return err
	}
	if len(y.images) > 0 {
		_, err = y.exec(`UPDATE host SET (images, containers, running) =
			(SELECT count(*), coalesce(sum(containers), 0), coalesce(sum(running), 0) FROM host_image WHERE host_id = ?) WHERE id = ?`, y.host, y.host)
		if err != nil {
			return err
		}
		err = y.noteHeld(y.host)
	}
	if err != nil || !y.sync.Full {
		return err
	}
	// Images that did not change were seen all the same. An hour's precision
	// keeps a full list of a host that shares its images cheap.
	const precision = 3_600_000
	_, err = y.exec(`UPDATE image SET last_seen = ? WHERE last_seen < ? AND id IN (SELECT image_id FROM host_image WHERE host_id = ?)`,
		y.now, y.now-precision, y.host)
	return err
}

// orNone returns an empty list for none, so that JSON says [].
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
