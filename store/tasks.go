package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"plimsoll"
	"plimsoll/api"
)

// NewScan is a scan to start.
type NewScan struct {
	Title     string
	CreatedBy string
	Scope     plimsoll.Scope
	Images    []int64 // from SelectImages
	Force     bool
	Priority  int64 // higher first; people ask with 10, schedules with 0
}

// peoplesPriority is the priority of what a person asks for.
const peoplesPriority = 10

// waits is the condition of an item that has not ended.
const waits = "state IN ('queued', 'running')"

// StartScan starts a task with one item for each image. An image that the fleet
// has read already with the newest analysers of a host that holds it, completely,
// is done at once unless Force; one that is being read is waited for, not read
// twice. Items of images that no online host holds wait.
func (s *Store) StartScan(ctx context.Context, n NewScan) (api.Task, error) {
	return s.startTask(ctx, "start a scan", n.Scope, n.CreatedBy, func(t *tx) (int64, error) { return t.startScan(n) })
}

// startTask runs start and returns the task that it made.
func (s *Store) startTask(ctx context.Context, op string, scope plimsoll.Scope, who string, start func(*tx) (int64, error)) (task api.Task, err error) {
	err = s.writeWork(ctx, op, func(t *tx) error {
		id, err := start(t)
		if err == nil {
			task, err = t.task(scope, who, id)
		}
		return err
	})
	if err == nil {
		s.Ring(ctx, TopicWork)
		s.Ring(ctx, TopicTasks)
	}
	return task, err
}

func (t *tx) startScan(n NewScan) (int64, error) {
	id, err := t.addTask(plimsoll.TaskScan, n.Title, n.CreatedBy, n.Scope)
	if err != nil {
		return 0, err
	}
	images := slices.Compact(slices.Sorted(slices.Values(n.Images)))
	rows := make([][]any, len(images))
	for i, image := range images {
		rows[i] = []any{id, i + 1, image, plimsoll.TaskQueued}
	}
	if err := t.insertMany("task_item (task_id, number, image_id, state)", 4, rows, ""); err != nil {
		return 0, err
	}
	// Each step looks at the items that the ones before have left queued.
	const mine = " WHERE task_id = ? AND state = 'queued'"
	const holder = "(SELECT 1 FROM host_image JOIN host ON host.id = host_image.host_id WHERE host_image.image_id = task_item.image_id AND host.revoked = 0"
	if _, err := t.exec("UPDATE task_item SET state = 'failed', code = ?, detail = 'no host holds the image', ended = ?"+mine+
		" AND NOT EXISTS "+holder+")", api.CodeNoHost, t.now, id); err != nil {
		return 0, err
	}
	if _, err := t.exec("UPDATE task_item SET state = 'failed', code = "+reason("code", "task_item.image_id")+", detail = "+
		reason("detail", "task_item.image_id")+", ended = ?"+mine+" AND NOT EXISTS "+holder+" AND readable = 1)", t.now, id); err != nil {
		return 0, err
	}
	if !n.Force {
		// What a private store told speaks for its host alone.
		if _, err := t.exec("UPDATE task_item SET state = 'succeeded', reused = 1, ended = ?, "+
			"host_id = (SELECT scan_host FROM image WHERE image.id = task_item.image_id)"+mine+
			" AND EXISTS (SELECT 1 FROM image WHERE image.id = task_item.image_id AND image.state = 'succeeded' AND image.analyzers <> ''"+
			// Host by host: a join would go through all hosts for each image.
			" AND image.analyzers = (SELECT (SELECT analyzers FROM host WHERE host.id = host_image.host_id) FROM host_image WHERE host_image.image_id = image.id"+
			" ORDER BY (SELECT CASE revoked WHEN 0 THEN last_seen ELSE -1 END FROM host WHERE host.id = host_image.host_id) DESC, host_id LIMIT 1)"+
			" AND (image.private = 0 OR NOT EXISTS "+holder+" AND host_image.private = 0)))", t.now, id); err != nil {
			return 0, err
		}
	}
	// "stopped" work may still bring a late result: it keeps its lease until it
	// is leased anew.
	if _, err := t.exec("INSERT INTO work (image_id, state, priority, queued, force) SELECT image_id, 'queued', CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS SMALLINT) "+
		"FROM task_item"+mine+" ON CONFLICT (image_id) DO UPDATE SET "+
		"state = CASE work.state WHEN 'stopped' THEN 'queued' ELSE work.state END, "+
		"attempts = CASE work.state WHEN 'stopped' THEN 0 ELSE work.attempts END, "+
		"queued = CASE work.state WHEN 'stopped' THEN excluded.queued ELSE work.queued END, "+
		"priority = CASE WHEN excluded.priority > work.priority THEN excluded.priority ELSE work.priority END, "+
		"force = CASE WHEN excluded.force > work.force THEN excluded.force ELSE work.force END",
		n.Priority, t.now, bit(n.Force), id); err != nil {
		return 0, err
	}
	if _, err := t.exec("UPDATE task_item SET state = 'running', started = ?, "+
		"host_id = (SELECT host_id FROM work WHERE work.image_id = task_item.image_id), "+
		"attempts = (SELECT attempts FROM work WHERE work.image_id = task_item.image_id)"+mine+
		" AND EXISTS (SELECT 1 FROM work WHERE work.image_id = task_item.image_id AND work.state = 'leased')", t.now, id); err != nil {
		return 0, err
	}
	return id, t.tally(id, "no image fits")
}

// reason is an expression for why no host can read an image, by its ID: what
// hosts say of their stores now, else what the image's row says.
func reason(column, image string) string {
	return "COALESCE((SELECT presence." + column + " FROM presence WHERE presence.image_id = " + image + " AND gone = 0 AND presence.code <> '' ORDER BY presence.id LIMIT 1), " +
		"(SELECT image." + column + " FROM image WHERE image.id = " + image + "), '')"
}

// StartSync starts a task that asks hosts for their images.
func (s *Store) StartSync(ctx context.Context, scope plimsoll.Scope, who string, r api.SyncRequest) (api.Task, error) {
	return s.startTask(ctx, "start a sync", scope, who, func(t *tx) (int64, error) {
		var w where
		w.and("host.revoked = 0")
		w.seesHost(scope, "host.id")
		if !r.All {
			var any where
			if len(r.Hosts) > 0 {
				in(&any, "host.id", r.Hosts)
			}
			if r.Label != "" {
				any.and("host.id IN (SELECT host_id FROM host_label WHERE label = ?)", r.Label)
			}
			if any.err != nil {
				return 0, any.err
			}
			if len(any.conditions) == 0 {
				any.never()
			}
			w.conditions, w.args = append(w.conditions, any.conditions...), append(w.args, any.args...)
		}
		hosts, err := t.ids("SELECT id FROM host"+w.String()+" ORDER BY id", w.args...)
		if err != nil {
			return 0, err
		}
		return t.startSync(scope, who, hosts)
	})
}

func (t *tx) startSync(scope plimsoll.Scope, who string, hosts []int64) (int64, error) {
	id, err := t.addTask(plimsoll.TaskSync, "List images again", who, scope)
	if err != nil {
		return 0, err
	}
	rows := make([][]any, len(hosts))
	for i, host := range hosts {
		rows[i] = []any{id, i + 1, host, plimsoll.TaskQueued}
	}
	if err := t.insertMany("task_item (task_id, number, host_id, state)", 4, rows, ""); err != nil {
		return 0, err
	}
	return id, t.tally(id, "no host fits")
}

// StartTask starts a task without items (export, database). Its state is then
// set by SetTask.
func (s *Store) StartTask(ctx context.Context, kind plimsoll.TaskKind, title, who string, scope plimsoll.Scope) (api.Task, error) {
	return s.startTask(ctx, "start a task", plimsoll.Everything, who, func(t *tx) (int64, error) {
		return t.addTask(kind, title, who, scope)
	})
}

func (t *tx) addTask(kind plimsoll.TaskKind, title, who string, scope plimsoll.Scope) (int64, error) {
	return t.id("INSERT INTO task (kind, state, title, created_by, scope, created, touched) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
		kind, plimsoll.TaskQueued, plain(title), plain(who), jsonText(scope), t.now, t.now)
}

// SetTask sets the progress and state of a task that StartTask made. A task that
// has ended stays as it is.
func (s *Store) SetTask(ctx context.Context, id int64, state plimsoll.TaskState, done, total int64, detail string) error {
	err := s.write(ctx, "note a task's progress", func(t *tx) error { return t.setTask(id, state, done, total, detail) })
	if err == nil {
		s.Ring(ctx, TopicTasks)
	}
	return err
}

func (t *tx) setTask(id int64, state plimsoll.TaskState, done, total int64, detail string) error {
	began, ended := int64(0), int64(0)
	if state != plimsoll.TaskQueued {
		began = t.now
	}
	if state.Final() {
		ended = t.now
	}
	n, err := affected(t.exec("UPDATE task SET state = ?, succeeded = ?, total = ?, detail = ?, ended = ?, touched = ?, "+
		"started = CASE started WHEN 0 THEN ? ELSE started END WHERE id = ? AND "+waits,
		state, done, total, plain(detail), ended, t.now, began, id))
	if err != nil || n > 0 {
		return err
	}
	var there int64
	err = t.row("SELECT id FROM task WHERE id = ?", id).Scan(&there)
	if errors.Is(err, sql.ErrNoRows) {
		return notFound("task", id)
	}
	return err
}

// StopTask stops a task: queued items are cancelled, running ones are told to
// stop and cancelled; images that another task also wants go on.
func (s *Store) StopTask(ctx context.Context, scope plimsoll.Scope, who string, id int64) (api.Task, error) {
	return s.startTask(ctx, "stop a task", scope, who, func(t *tx) (int64, error) {
		task, err := t.ownTask(scope, who, id)
		if err != nil || task.State.Final() {
			return id, err
		}
		return id, t.stop(task)
	})
}

func (t *tx) stop(task api.Task) error {
	if _, err := t.exec("UPDATE task SET stopping = 1 WHERE id = ?", task.ID); err != nil {
		return err
	}
	if task.Kind == plimsoll.TaskExport || task.Kind == plimsoll.TaskDatabase {
		if task.State == plimsoll.TaskRunning {
			return nil // who runs it sees that it is stopping
		}
		if _, err := t.exec("UPDATE export SET state = ?, detail = 'stopped' WHERE task_id = ?", plimsoll.TaskCancelled, task.ID); err != nil {
			return err
		}
		return t.setTask(task.ID, plimsoll.TaskCancelled, 0, task.Total, "stopped before it began")
	}
	if _, err := t.exec("UPDATE task_item SET state = 'cancelled', code = ?, ended = ? WHERE task_id = ? AND "+waits,
		api.CodeStopped, t.now, task.ID); err != nil {
		return err
	}
	const unwanted = " WHERE image_id IN (SELECT image_id FROM task_item WHERE task_id = ?) AND NOT EXISTS " +
		"(SELECT 1 FROM task_item other WHERE other.image_id = work.image_id AND other." + waits + ")"
	for _, step := range []string{
		"DELETE FROM layer_claim WHERE image_id IN (SELECT image_id FROM work" + unwanted + ")",
		"DELETE FROM work" + unwanted + " AND lease = ''",
		"UPDATE work SET state = 'stopped'" + unwanted, // a result on its way is still welcome
	} {
		if _, err := t.exec(step, task.ID); err != nil {
			return err
		}
	}
	return t.tally(task.ID, "")
}

// RetryTask starts a new task with the failed, partial and cancelled items of one.
func (s *Store) RetryTask(ctx context.Context, scope plimsoll.Scope, who string, id int64) (api.Task, error) {
	return s.startTask(ctx, "retry a task", scope, who, func(t *tx) (int64, error) {
		task, err := t.ownTask(scope, who, id)
		if err != nil {
			return 0, err
		}
		sight, in := itemInSight(scope)
		column := "image_id"
		if task.Kind == plimsoll.TaskSync {
			column = "host_id"
		}
		again, err := t.ids("SELECT "+column+" FROM task_item item WHERE task_id = ? AND state IN ('failed', 'partial', 'cancelled') AND "+
			sight+" ORDER BY number", append([]any{id}, in...)...)
		if err != nil {
			return 0, err
		}
		if len(again) == 0 {
			return 0, plimsoll.Errorf(plimsoll.CodeInvalid, "retry a task", "nothing of it failed")
		}
		if task.Kind == plimsoll.TaskSync {
			return t.startSync(scope, who, again)
		}
		return t.startScan(NewScan{Title: task.Title, CreatedBy: who, Scope: scope, Images: again, Priority: peoplesPriority})
	})
}

// ownTask returns a task that may be stopped or tried again: somebody who does
// not see all of its items must have started it.
func (t *tx) ownTask(scope plimsoll.Scope, who string, id int64) (api.Task, error) {
	task, err := t.task(scope, who, id)
	if err != nil || scope.All || who != "" && task.CreatedBy == who {
		return task, err
	}
	var all int64
	if err := t.row("SELECT count(*) FROM task_item WHERE task_id = ?", id).Scan(&all); err != nil {
		return task, err
	}
	if all != task.Total {
		return task, notFound("task", id)
	}
	return task, nil
}

// tally counts a task's items anew and ends it when none waits. empty is the
// detail of a task without items.
func (t *tx) tally(id int64, empty string) error {
	const of = "(SELECT count(*) FROM task_item WHERE task_id = task.id AND task_item.state = "
	if _, err := t.exec("UPDATE task SET total = (SELECT count(*) FROM task_item WHERE task_id = task.id), succeeded = "+of+"'succeeded'), partial = "+
		of+"'partial'), failed = "+of+"'failed'), cancelled = "+of+"'cancelled'), running = "+of+"'running') WHERE id = ?", id); err != nil {
		return err
	}
	if empty != "" {
		if _, err := t.exec("UPDATE task SET detail = ? WHERE id = ? AND total = 0", empty, id); err != nil {
			return err
		}
	}
	return t.settle([]int64{id})
}

// settle gives tasks the state that follows from their counts.
func (t *tx) settle(tasks []int64) error {
	const over = "total = succeeded + partial + failed + cancelled"
	for _, id := range tasks {
		if _, err := t.exec("UPDATE task SET state = CASE WHEN NOT ("+over+") THEN CASE WHEN running > 0 THEN 'running' ELSE state END "+
			"WHEN stopping = 1 AND cancelled > 0 THEN 'cancelled' WHEN succeeded = total THEN 'succeeded' WHEN failed = total THEN 'failed' ELSE 'partial' END, "+
			"started = CASE WHEN started = 0 AND (running > 0 OR "+over+") THEN ? ELSE started END, "+
			"ended = CASE WHEN "+over+" THEN ? ELSE ended END WHERE id = ? AND "+waits, t.now, t.now, id); err != nil {
			return err
		}
	}
	return nil
}
