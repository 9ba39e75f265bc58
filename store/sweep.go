package store

import (
	"context"
	"slices"

	"plimsoll"
	"plimsoll/api"
)

// sweepBatch bounds the images of each kind that one transaction ends or queues again.
const sweepBatch = 500

// SweepWork queues images whose lease has run out (the third time they fail),
// fails items whose image no host holds any more, ends tasks, and returns how
// much it changed. Called every few seconds by one console.
func (s *Store) SweepWork(ctx context.Context) (int, error) {
	const op = "sweep the work"
	if err := s.clockSetBack(ctx); err != nil {
		return 0, err
	}
	changed := 0
	for {
		n := 0
		var found sweep
		err := s.read(ctx, op, func(t *tx) (err error) {
			found, err = t.sweepable()
			return err
		})
		if err == nil && found.size() > 0 {
			err = s.writeWork(ctx, op, func(t *tx) (err error) {
				if found, err = t.sweepable(); err == nil { // another console may have been faster
					n, err = found.size(), t.sweep(found)
				}
				return err
			})
		}
		changed += n
		if err != nil || n == 0 {
			if changed > 0 {
				s.Ring(ctx, TopicWork)
				s.Ring(ctx, TopicTasks)
			}
			return changed, err
		}
	}
}

// sweep is what SweepWork has found.
type sweep struct {
	lost  []lostLease
	over  []int64    // images whose stopped work brings no result any more
	homes []int64    // images that no host holds
	blind []int64    // images that no host can read any more
	syncs [][]any    // task, number: sync requests to hosts that are gone
	slow  []lostSync // sync requests without an answer
}

type lostLease struct{ image, attempts int64 }
type lostSync struct{ task, number, attempts int64 }

func (w *sweep) size() int {
	return len(w.lost) + len(w.over) + len(w.homes) + len(w.blind) + len(w.syncs) + len(w.slow)
}

func (t *tx) sweepable() (w sweep, err error) {
	rows, err := t.query("SELECT image_id, attempts FROM work WHERE state = 'leased' AND (until <= ? OR NOT EXISTS "+
		"(SELECT 1 FROM host WHERE host.id = work.host_id AND host.revoked = 0)) ORDER BY image_id LIMIT ?", t.now, sweepBatch)
	err = each(rows, err, func(scan func(...any) error) error {
		var l lostLease
		err := scan(&l.image, &l.attempts)
		w.lost = append(w.lost, l)
		return err
	})
	if err != nil {
		return w, err
	}
	if w.over, err = t.ids("SELECT image_id FROM work WHERE state = 'stopped' AND until <= ? ORDER BY image_id LIMIT ?",
		t.now-LeaseTime.Milliseconds(), sweepBatch); err != nil {
		return w, err
	}
	const homeless = "SELECT image_id FROM work WHERE state = 'queued' AND NOT EXISTS (SELECT 1 FROM host_image JOIN host ON host.id = host_image.host_id " +
		"WHERE host_image.image_id = work.image_id AND host.revoked = 0"
	if w.homes, err = t.ids(homeless+") ORDER BY image_id LIMIT ?", sweepBatch); err != nil {
		return w, err
	}
	if w.blind, err = t.ids(homeless+" AND host_image.readable = 1) ORDER BY image_id LIMIT ?", sweepBatch); err != nil {
		return w, err
	}
	w.blind = slices.DeleteFunc(w.blind, func(id int64) bool { return slices.Contains(w.homes, id) })
	rows, err = t.query("SELECT item.task_id, item.number, item.attempts, CASE WHEN EXISTS (SELECT 1 FROM host WHERE host.id = item.host_id AND host.revoked = 0) THEN 1 ELSE 0 END "+
		"FROM task JOIN task_item item ON item.task_id = task.id WHERE task.kind = 'sync' AND task."+waits+" AND item."+waits+
		" AND (item.state = 'running' AND item.started <= ? OR NOT EXISTS (SELECT 1 FROM host WHERE host.id = item.host_id AND host.revoked = 0)) "+
		"ORDER BY item.task_id, item.number LIMIT ?", t.now-syncTime.Milliseconds(), sweepBatch)
	err = each(rows, err, func(scan func(...any) error) error {
		var l lostSync
		var alive bool
		err := scan(&l.task, &l.number, &l.attempts, &alive)
		if alive {
			w.slow = append(w.slow, l)
		} else {
			w.syncs = append(w.syncs, []any{l.task, l.number})
		}
		return err
	})
	return w, err
}

func (t *tx) sweep(w sweep) error {
	for _, l := range w.lost {
		err := error(nil)
		if l.attempts >= maxAttempts {
			err = t.finishWork(l.image, 0, plimsoll.TaskFailed, api.CodeAgentLost, "the agent was lost three times while it read the image")
		} else {
			err = t.requeue(l)
		}
		if err != nil {
			return err
		}
	}
	for _, image := range w.over {
		if _, err := t.exec("DELETE FROM work WHERE image_id = ?", image); err != nil {
			return err
		}
	}
	for _, image := range w.homes {
		if err := t.finishWork(image, 0, plimsoll.TaskFailed, api.CodeNoHost, "no host holds the image any more"); err != nil {
			return err
		}
	}
	for _, image := range w.blind {
		var code, detail string
		if err := t.row("SELECT "+reason("code", "work.image_id")+", "+reason("detail", "work.image_id")+" FROM work WHERE image_id = ?", image).Scan(&code, &detail); err != nil {
			return err
		}
		if err := t.finishWork(image, 0, plimsoll.TaskFailed, code, detail); err != nil {
			return err
		}
	}
	for _, item := range w.syncs {
		if err := t.endItems(plimsoll.TaskFailed, api.CodeNoHost, "the host was revoked or removed", 0, "task_id = ? AND number = ?", item...); err != nil {
			return err
		}
	}
	for _, l := range w.slow {
		err := error(nil)
		if l.attempts >= maxAttempts {
			err = t.endItems(plimsoll.TaskFailed, api.CodeTimeout, "the agent did not answer three times", 0, "task_id = ? AND number = ?", l.task, l.number)
		} else if err = t.queueItems(0, "task_id = ? AND number = ?", l.task, l.number); err == nil {
			_, err = t.exec("UPDATE task_item SET started = 0 WHERE task_id = ? AND number = ?", l.task, l.number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// requeue queues an image whose lease was lost. The lease's ID stays: a result
// that comes late is still one that was asked for.
func (t *tx) requeue(l lostLease) error {
	if _, err := t.exec("UPDATE work SET state = 'queued', not_before = ?, done = 0, total = 0 WHERE image_id = ?",
		t.now+l.attempts*retryAfter.Milliseconds(), l.image); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM layer_claim WHERE image_id = ?", l.image); err != nil {
		return err
	}
	return t.queueItems(0, "image_id = ?", l.image)
}
