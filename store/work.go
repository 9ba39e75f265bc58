package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// How work is handed out.
const (
	// LeaseTime is how long a lease lasts without being renewed.
	LeaseTime = 90 * time.Second

	maxAttempts   = 3                // leases of one image, or deliveries of one sync request
	retryAfter    = 10 * time.Second // wait after a lost lease, for each attempt so far
	syncTime      = 2 * time.Minute  // for an agent to answer a sync request
	maxCandidates = 50               // images that are looked at for one lease
)

// WorkFor hands out what a host should do now: sync requests, and the lease of
// one image when it has fewer than the settings allow, the window is open and
// the fleet's rate permits. No image and no layer is read by two hosts at once:
// an image whose unknown layers another lease is reading waits.
func (s *Store) WorkFor(ctx context.Context, hostID int64) (work api.Work, err error) {
	const op = "look for work"
	host := worker{id: hostID}
	// Most agents that ask have nothing to do: they must not disturb the writer.
	var syncs, images []int64
	err = s.read(ctx, op, func(t *tx) error {
		if err := host.load(t); err != nil {
			return err
		}
		if syncs, err = host.syncs(t); err != nil {
			return err
		}
		if _, may, err := host.mayLease(t); err != nil || !may {
			return err
		}
		images, err = host.candidates(t, 1)
		return err
	})
	if err != nil || len(syncs) == 0 && len(images) == 0 {
		return work, err
	}
	changed := false
	err = s.writeWork(ctx, op, func(t *tx) error {
		work, changed = api.Work{}, false
		if work.Sync, err = host.syncs(t); err != nil {
			return err
		}
		for _, task := range work.Sync {
			changed = true
			if err := t.startItems("task_id = ? AND image_id = 0 AND host_id = ?", hostID, task, hostID); err != nil {
				return err
			}
		}
		work.Scan, err = host.lease(t)
		changed = changed || work.Scan != nil
		return err
	})
	if err == nil && changed {
		s.Ring(ctx, TopicTasks)
	}
	return work, err
}

// worker is a host that asks for work.
type worker struct {
	id        int64
	analyzers string
}

func (h *worker) load(t *tx) error {
	err := t.row("SELECT analyzers FROM host WHERE id = ? AND revoked = 0", h.id).Scan(&h.analyzers)
	if errors.Is(err, sql.ErrNoRows) {
		return notFound("host", h.id)
	}
	return err
}

// syncs returns the sync requests that the host has not been given yet.
func (h *worker) syncs(t *tx) ([]int64, error) {
	return t.ids("SELECT task_id FROM task_item WHERE host_id = ? AND state = 'queued' AND image_id = 0 ORDER BY task_id", h.id)
}

// candidates returns images that wait and that the host can read, the most
// urgent first. A private store is read only when no other host that is online
// holds the image in one that speaks for the fleet.
func (h *worker) candidates(t *tx, limit int) ([]int64, error) {
	// From the host's images to the queue: whatever the planner believes of the
	// queue, which is empty at one moment and long at the next.
	return t.ids("SELECT id FROM (SELECT held.image_id AS id, held.private AS private, (SELECT work.priority FROM work "+
		"WHERE work.image_id = held.image_id AND work.state = 'queued' AND work.not_before <= ?) AS priority "+
		"FROM host_image held WHERE held.host_id = ? AND held.readable = 1) waiting "+
		"WHERE priority IS NOT NULL AND (private = 0 OR NOT EXISTS "+
		"(SELECT 1 FROM host_image other JOIN host ON host.id = other.host_id WHERE other.image_id = waiting.id AND other.private = 0 "+
		"AND other.readable = 1 AND host.revoked = 0 AND host.last_seen >= ?)) "+
		"ORDER BY priority DESC, (SELECT work.queued FROM work WHERE work.image_id = waiting.id), id LIMIT ?",
		t.now, h.id, t.now-OfflineAfter.Milliseconds(), limit)
}

// mayLease says whether the settings allow the host one more image now.
func (h *worker) mayLease(t *tx) (settings api.Settings, may bool, err error) {
	if settings, err = t.settings(); err != nil {
		return settings, false, err
	}
	if code, _, err := t.heldBack(settings); err != nil || code != "" {
		return settings, false, err
	}
	var mine int64
	if err := t.row("SELECT count(*) FROM work WHERE host_id = ? AND state = 'leased'", h.id).Scan(&mine); err != nil {
		return settings, false, err
	}
	if mine >= int64(settings.HostConcurrency) {
		return settings, false, nil
	}
	return settings, true, nil
}

// lease gives the host the right to read one image, nil when there is none now.
func (h *worker) lease(t *tx) (*api.Lease, error) {
	settings, may, err := h.mayLease(t)
	if err != nil || !may {
		return nil, err
	}
	images, err := h.candidates(t, maxCandidates)
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		lease, err := h.take(t, image, settings)
		if err != nil || lease != nil {
			return lease, err
		}
	}
	return nil, nil
}

// heldBack says why no scan starts in the whole fleet now; nothing when one may.
func (t *tx) heldBack(settings api.Settings) (code, detail string, err error) {
	open, err := inWindow(settings.Window, moment(t.now))
	if err != nil {
		return "", "", err
	}
	if !open {
		return api.CodeOutsideWindow, "scans start at " + settings.Window + " UTC", nil
	}
	if settings.ScansPerHour == 0 {
		return "", "", nil
	}
	var running, done int64
	if err := t.row("SELECT (SELECT count(*) FROM work WHERE state = 'leased'), (SELECT count(*) FROM scan WHERE stored > ?)",
		t.now-time.Hour.Milliseconds()).Scan(&running, &done); err != nil {
		return "", "", err
	}
	if running+done >= int64(settings.ScansPerHour) {
		return api.CodeHourlyLimit, fmt.Sprintf("the settings allow %d scans in an hour", settings.ScansPerHour), nil
	}
	return "", "", nil
}

// take leases an image unless another lease is reading a layer that it needs.
func (h *worker) take(t *tx, image int64, settings api.Settings) (*api.Lease, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	until := t.now + LeaseTime.Milliseconds()
	lease := &api.Lease{ID: hex.EncodeToString(id), Until: moment(until), Timeout: settings.ScanTimeout}
	var force bool
	if err := t.row("SELECT image.digest, held.private, work.force, work.attempts FROM work JOIN image ON image.id = work.image_id "+
		"JOIN host_image held ON held.image_id = work.image_id AND held.host_id = ? WHERE work.image_id = ?", h.id, image).
		Scan(&lease.Image, &lease.Private, &force, &lease.Attempt); err != nil {
		return nil, err
	}
	lease.Attempt++
	if !lease.Private { // or it shares nothing: neither what others read nor what it will
		var unknown [][]any
		blocked := false
		rows, err := t.query("SELECT DISTINCT layer.diff_id, CASE WHEN EXISTS (SELECT 1 FROM layer_facts kept WHERE kept.diff_id = layer.diff_id AND kept.analyzers = ?) "+
			"THEN 1 ELSE 0 END, CASE WHEN EXISTS (SELECT 1 FROM layer_claim claim WHERE claim.diff_id = layer.diff_id AND claim.image_id <> ? AND claim.until > ?) THEN 1 ELSE 0 END "+
			"FROM image_layer JOIN layer ON layer.id = image_layer.layer_id WHERE image_layer.image_id = ? ORDER BY layer.diff_id",
			h.analyzers, image, t.now, image)
		err = each(rows, err, func(scan func(...any) error) error {
			var diff plimsoll.Digest
			var known, claimed bool
			if err := scan(&diff, &known, &claimed); err != nil {
				return err
			}
			if known && !force {
				lease.Have = append(lease.Have, diff)
				return nil
			}
			blocked = blocked || claimed
			unknown = append(unknown, []any{diff, image, until})
			return nil
		})
		if err != nil || blocked {
			return nil, err
		}
		if err := t.insertMany("layer_claim (diff_id, image_id, until)", 3, unknown,
			"ON CONFLICT (diff_id) DO UPDATE SET image_id = excluded.image_id, until = excluded.until"); err != nil {
			return nil, err
		}
	}
	if _, err := t.exec("UPDATE work SET state = 'leased', lease = ?, host_id = ?, until = ?, started = ?, attempts = attempts + 1, done = 0, total = 0 WHERE image_id = ?",
		lease.ID, h.id, until, t.now, image); err != nil {
		return nil, err
	}
	return lease, t.startItems("image_id = ?", h.id, image)
}

// startItems notes that a host works on the queued items that fit.
func (t *tx) startItems(condition string, hostID int64, args ...any) error {
	tasks, err := t.waiting(condition, args...)
	if err != nil {
		return err
	}
	if _, err := t.exec("UPDATE task_item SET state = 'running', host_id = ?, attempts = attempts + 1, started = CASE started WHEN 0 THEN ? ELSE started END, "+
		"code = '', detail = '' WHERE state = 'queued' AND "+condition, append([]any{hostID, t.now}, args...)...); err != nil {
		return err
	}
	for _, k := range tasks {
		if _, err := t.exec("UPDATE task SET running = running + ? WHERE id = ?", k.queued, k.id); err != nil {
			return err
		}
		if err := t.settle([]int64{k.id}); err != nil {
			return err
		}
	}
	return nil
}

// waitingTask is a task with its items that have not ended, of those asked about.
type waitingTask struct{ id, queued, running int64 }

func (t *tx) waiting(condition string, args ...any) ([]waitingTask, error) {
	var list []waitingTask
	rows, err := t.query("SELECT task_id, sum(CASE state WHEN 'queued' THEN 1 ELSE 0 END), sum(CASE state WHEN 'running' THEN 1 ELSE 0 END) "+
		"FROM task_item WHERE "+waits+" AND "+condition+" GROUP BY task_id ORDER BY task_id", args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var k waitingTask
		err := scan(&k.id, &k.queued, &k.running)
		list = append(list, k)
		return err
	})
	return list, err
}

// endItems ends the items that fit and have not ended; hostID 0 leaves who did it.
func (t *tx) endItems(state plimsoll.TaskState, code, detail string, hostID int64, condition string, args ...any) error {
	column, ok := map[plimsoll.TaskState]string{plimsoll.TaskSucceeded: "succeeded", plimsoll.TaskPartial: "partial", plimsoll.TaskFailed: "failed"}[state]
	if !ok {
		return plimsoll.Errorf(plimsoll.CodeInternal, "end work", "%q is no end", state)
	}
	tasks, err := t.waiting(condition, args...)
	if err != nil || len(tasks) == 0 {
		return err
	}
	if _, err := t.exec("UPDATE task_item SET state = ?, code = ?, detail = ?, ended = ?, host_id = CASE WHEN CAST(? AS BIGINT) > 0 THEN CAST(? AS BIGINT) ELSE host_id END WHERE "+
		waits+" AND "+condition, append([]any{state, plain(code), plain(detail), t.now, hostID, hostID}, args...)...); err != nil {
		return err
	}
	for _, k := range tasks {
		if _, err := t.exec("UPDATE task SET "+column+" = "+column+" + ?, running = running - ? WHERE id = ?", k.queued+k.running, k.running, k.id); err != nil {
			return err
		}
		if err := t.settle([]int64{k.id}); err != nil {
			return err
		}
	}
	return nil
}

// queueItems puts running items that fit back into the queue.
func (t *tx) queueItems(uncount int64, condition string, args ...any) error {
	tasks, err := t.waiting(condition, args...)
	if err != nil {
		return err
	}
	if _, err := t.exec("UPDATE task_item SET state = 'queued', attempts = attempts - ? WHERE state = 'running' AND "+condition,
		append([]any{uncount}, args...)...); err != nil {
		return err
	}
	for _, k := range tasks {
		if _, err := t.exec("UPDATE task SET running = running - ? WHERE id = ?", k.running, k.id); err != nil {
			return err
		}
	}
	return nil
}

// RenewLease renews a lease and notes progress; Stop when it is lost.
func (s *Store) RenewLease(ctx context.Context, hostID int64, lease string, p api.Progress) (answer api.ProgressAnswer, err error) {
	err = s.write(ctx, "renew a lease", func(t *tx) error {
		until := t.now + LeaseTime.Milliseconds()
		n, err := affected(t.exec("UPDATE work SET until = ?, done = ?, total = ? WHERE lease = ? AND lease <> '' AND host_id = ? AND state = 'leased'",
			until, max(0, p.Done), max(0, p.Total), lease, hostID))
		if err != nil {
			return err
		}
		if n == 0 {
			answer = api.ProgressAnswer{Stop: true}
			return nil
		}
		answer = api.ProgressAnswer{Until: moment(until)}
		_, err = t.exec("UPDATE layer_claim SET until = ? WHERE image_id IN (SELECT image_id FROM work WHERE lease = ?)", until, lease)
		return err
	})
	return answer, err
}

// ReturnLease gives a lease back undone (the agent stops): the image is queued
// again and no attempt is counted.
func (s *Store) ReturnLease(ctx context.Context, hostID int64, lease string) error {
	err := s.writeWork(ctx, "return a lease", func(t *tx) error {
		host, image, err := t.leaseOf(lease)
		if errors.Is(err, sql.ErrNoRows) || err == nil && host != hostID {
			return nil // lost already
		}
		if err != nil {
			return err
		}
		n, err := affected(t.exec("UPDATE work SET state = 'queued', lease = '', host_id = 0, until = 0, attempts = attempts - 1 "+
			"WHERE image_id = ? AND state = 'leased'", image))
		if err != nil || n == 0 {
			return err
		}
		if _, err := t.exec("DELETE FROM layer_claim WHERE image_id = ?", image); err != nil {
			return err
		}
		return t.queueItems(1, "image_id = ?", image)
	})
	if err == nil {
		s.Ring(ctx, TopicWork)
		s.Ring(ctx, TopicTasks)
	}
	return err
}

// finishWork ends the work on an image and every task item that waits for it.
// state is succeeded, partial or failed. The caller rings TopicTasks after the
// commit, and for whom there may be work now; a transaction that also writes findings must take
// that lock first.
func (t *tx) finishWork(imageID, hostID int64, state plimsoll.TaskState, code, detail string) error {
	if err := t.lock(lockWork); err != nil {
		return err
	}
	for _, step := range []string{"DELETE FROM layer_claim WHERE image_id = ?", "DELETE FROM work WHERE image_id = ?"} {
		if _, err := t.exec(step, imageID); err != nil {
			return err
		}
	}
	return t.endItems(state, code, detail, hostID, "image_id = ?", imageID)
}

// blocksOthers says whether images wait for layers that the lease on an image is
// reading.
func (t *tx) blocksOthers(imageID int64) (blocks bool, err error) {
	err = t.row(`SELECT EXISTS (SELECT 1 FROM layer_claim JOIN layer ON layer.diff_id = layer_claim.diff_id
		JOIN image_layer ON image_layer.layer_id = layer.id JOIN work ON work.image_id = image_layer.image_id
		WHERE layer_claim.image_id = ? AND work.state = 'queued')`, imageID).Scan(&blocks)
	return blocks, err
}

// leaseOf returns the host that holds or last held the lease, and the image;
// sql.ErrNoRows when the lease was never given or its image has been leased anew.
func (t *tx) leaseOf(lease string) (hostID, imageID int64, err error) {
	if lease == "" {
		return 0, 0, sql.ErrNoRows
	}
	err = t.row("SELECT host_id, image_id FROM work WHERE lease = ?", plain(lease)).Scan(&hostID, &imageID)
	return hostID, imageID, err
}

// answerSync ends the items of sync requests for a host. The caller rings
// TopicTasks after the commit.
func (t *tx) answerSync(hostID int64, tasks []int64) error {
	if len(tasks) == 0 {
		return nil
	}
	if err := t.lock(lockWork); err != nil {
		return err
	}
	for _, task := range slices.Compact(slices.Sorted(slices.Values(tasks))) {
		if err := t.endItems(plimsoll.TaskSucceeded, "", "", hostID, "task_id = ? AND image_id = 0 AND host_id = ?", task, hostID); err != nil {
			return err
		}
	}
	return nil
}

// inWindow says whether now lies within hours of the day in UTC, "22:00-06:00";
// an empty window is always open.
func inWindow(window string, now time.Time) (bool, error) {
	if window == "" {
		return true, nil
	}
	const clock = "15:04"
	bad := plimsoll.Errorf(plimsoll.CodeInvalid, "read the window", "%q is not like 22:00-06:00", window)
	if len(window) != 2*len(clock)+1 || window[len(clock)] != '-' {
		return false, bad
	}
	from, err := time.Parse(clock, window[:len(clock)])
	if err != nil {
		return false, bad
	}
	to, err := time.Parse(clock, window[len(clock)+1:])
	if err != nil {
		return false, bad
	}
	minute := func(t time.Time) int { return t.Hour()*60 + t.Minute() }
	at := minute(now.UTC())
	if minute(from) <= minute(to) {
		return minute(from) <= at && at < minute(to), nil
	}
	return at >= minute(from) || at < minute(to), nil
}
