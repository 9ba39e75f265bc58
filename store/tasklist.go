package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"plimsoll"
	"plimsoll/api"
)

const taskColumns = "task.id, task.kind, task.state, task.title, task.created_by, task.created, task.started, task.ended, task.total, task.succeeded, " +
	"task.partial, task.failed, task.cancelled, task.running, task.stopping, task.detail, task.export_id"

func scanTask(scan func(...any) error) (k api.Task, err error) {
	var created, started, ended int64
	err = scan(&k.ID, &k.Kind, &k.State, &k.Title, &k.CreatedBy, &created, &started, &ended, &k.Total, &k.Succeeded,
		&k.Partial, &k.Failed, &k.Cancelled, &k.Running, &k.Stopping, &k.Detail, &k.ExportID)
	k.Created, k.Started, k.Ended = moment(created), momentOrNil(started), momentOrNil(ended)
	if k.Kind == plimsoll.TaskScan || k.Kind == plimsoll.TaskSync {
		k.Queued = max(0, k.Total-k.Succeeded-k.Partial-k.Failed-k.Cancelled-k.Running)
	}
	return k, err
}

// itemInSight returns the condition under which an item of a task, alias item,
// is within the scope: its image, or for a sync its host.
func itemInSight(scope plimsoll.Scope) (string, []any) {
	if scope.All {
		return "1 = 1", nil
	}
	var image where
	image.seesImage(scope, "image")
	host, more := hostInSight(scope, "item.host_id")
	return "(item.image_id > 0 AND EXISTS (SELECT 1 FROM image WHERE image.id = item.image_id AND " + image.conditions[0] +
		") OR item.image_id = 0 AND " + host + ")", append(slices.Clone(image.args), more...)
}

// able finds hosts that are online and could read the image of an item, alias
// item; its parameter says since when.
const able = "SELECT 1 FROM host_image JOIN host ON host.id = host_image.host_id WHERE host_image.image_id = item.image_id " +
	"AND host_image.readable = 1 AND host.revoked = 0 AND host.last_seen >= ?"

// nobody is the condition under which the hosts that could work on an item, alias
// item, are all silent; its two parameters say since when.
const nobody = "NOT EXISTS (" + able + ") AND " +
	"NOT EXISTS (SELECT 1 FROM host WHERE item.image_id = 0 AND host.id = item.host_id AND host.last_seen >= ?)"

// busy is the condition under which those that are not silent read as many images
// as they may; its second parameter is how many.
const busy = "item.image_id > 0 AND NOT EXISTS (" + able + " AND host.id NOT IN " +
	"(SELECT host_id FROM work WHERE state = 'leased' GROUP BY host_id HAVING count(*) >= ?))"

// Why a queued item waits, as far as it tells by itself.
const (
	waitsForHost = iota + 1 // one that is online
	waitsForTurn            // on a host that is busy
	waitsForScan            // that may start, if the fleet is not held back
)

var taskSorts = []sortKey{{name: "created", column: "task.id", desc: true}}

// Tasks lists tasks, newest first. Scoped users see those whose items they see
// and those that they started; counts are those in scope.
func (s *Store) Tasks(ctx context.Context, scope plimsoll.Scope, who string, f api.TaskFilter, l api.List) (page api.Page[api.Task], err error) {
	k, err := newKeyset(l, "tasks", "task.id", taskSorts)
	if err != nil {
		return page, err
	}
	var w where
	if f.Kind != "" {
		w.and("task.kind = ?", f.Kind)
	}
	if f.State != "" {
		w.and("task.state = ?", f.State)
	}
	if f.CreatedBy != "" {
		w.and("task.created_by = ?", f.CreatedBy)
	}
	w.seesTask(scope, who)
	err = s.read(ctx, "list tasks", func(t *tx) error {
		if page, err = fetch(t, k, taskColumns, "task", w, scanTask); err != nil {
			return err
		}
		for i := range page.Items {
			if err := t.progress(scope, &page.Items[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

func (w *where) seesTask(scope plimsoll.Scope, who string) {
	if scope.All {
		return
	}
	sight, args := itemInSight(scope)
	w.and("task.created_by <> '' AND task.created_by = ? OR EXISTS (SELECT 1 FROM task_item item WHERE item.task_id = task.id AND "+sight+")",
		append([]any{who}, args...)...)
}

// Task returns one.
func (s *Store) Task(ctx context.Context, scope plimsoll.Scope, who string, id int64) (task api.Task, err error) {
	err = s.read(ctx, "find a task", func(t *tx) error {
		task, err = t.task(scope, who, id)
		return err
	})
	return task, err
}

func (t *tx) task(scope plimsoll.Scope, who string, id int64) (api.Task, error) {
	var w where
	w.and("task.id = ?", id)
	w.seesTask(scope, who)
	if w.err != nil {
		return api.Task{}, w.err
	}
	task, err := scanTask(t.row("SELECT "+taskColumns+" FROM task"+w.String(), w.args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return task, notFound("task", id)
	}
	if err == nil {
		err = t.progress(scope, &task)
	}
	return task, err
}

// progress adds to a task what follows from its items: what waits, how long the
// rest will take and, for a narrower scope, the counts within it.
func (t *tx) progress(scope plimsoll.Scope, task *api.Task) error {
	if task.Kind != plimsoll.TaskScan && task.Kind != plimsoll.TaskSync || scope.All && task.State.Final() {
		return nil
	}
	sight, args := itemInSight(scope)
	alive := t.now - OfflineAfter.Milliseconds()
	counts := map[plimsoll.TaskState]int64{}
	var worked int64 // items that ended after somebody worked on them
	task.Waiting = 0
	rows, err := t.query("SELECT state, worked, waiting, count(*) FROM (SELECT item.state AS state, CASE WHEN item.attempts > 0 THEN 1 ELSE 0 END AS worked, "+
		"CASE WHEN item.state = 'queued' AND "+nobody+" THEN 1 ELSE 0 END AS waiting FROM task_item item WHERE item.task_id = ? AND "+sight+
		") counted GROUP BY state, worked, waiting", append([]any{alive, alive, task.ID}, args...)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var state plimsoll.TaskState
		var tried, waiting bool
		var n int64
		if err := scan(&state, &tried, &waiting, &n); err != nil {
			return err
		}
		counts[state] += n
		if waiting {
			task.Waiting += n
		}
		if tried && state.Final() {
			worked += n
		}
		return nil
	})
	if err != nil {
		return err
	}
	task.Total = 0
	for _, n := range counts {
		task.Total += n
	}
	task.Succeeded, task.Partial, task.Failed, task.Cancelled, task.Running, task.Queued = counts[plimsoll.TaskSucceeded], counts[plimsoll.TaskPartial],
		counts[plimsoll.TaskFailed], counts[plimsoll.TaskCancelled], counts[plimsoll.TaskRunning], counts[plimsoll.TaskQueued]
	if left := task.Queued - task.Waiting + task.Running; worked > 0 && left > 0 && task.Started != nil && !task.State.Final() {
		passed := float64(t.now-ms(*task.Started)) / 1000
		seconds := int64(math.Ceil(passed / float64(worked) * float64(left)))
		task.Remaining = &seconds
	}
	return nil
}

var itemSorts = []sortKey{{name: "number", column: "item.number"}}

// TaskItems lists the items of a task; state narrows when not empty.
func (s *Store) TaskItems(ctx context.Context, scope plimsoll.Scope, who string, id int64, state string, l api.List) (page api.Page[api.TaskItem], err error) {
	k, err := newKeyset(l, "items", "item.number", itemSorts)
	if err != nil {
		return page, err
	}
	err = s.read(ctx, "list the items of a task", func(t *tx) error {
		if _, err := t.task(scope, who, id); err != nil {
			return err
		}
		sight, args := itemInSight(scope)
		var w where
		w.and("item.task_id = ?", id)
		w.and(sight, args...)
		if state != "" {
			w.and("item.state = ?", state)
		}
		total, err := t.count("task_item item", w)
		if err != nil {
			return err
		}
		// Hosts and names outside the scope stay unknown.
		host, hostArgs := hostInSight(scope, "worker.id")
		names, nameArgs := "", []any(nil)
		if !scope.All {
			var seen string
			seen, nameArgs = hostInSight(scope, "presence.host_id")
			names = "(SELECT min(presence.name) FROM presence WHERE presence.image_id = item.image_id AND presence.gone = 0 AND presence.name <> '' AND " + seen + ")"
		} else {
			names = "NULLIF(image.name, '')"
		}
		alive := t.now - OfflineAfter.Milliseconds()
		columns := "item.image_id, COALESCE(" + names + ", image.digest, ''), COALESCE(worker.id, 0), COALESCE(worker.name, ''), item.state, item.code, item.detail, " +
			"item.attempts, item.started, item.ended, item.reused, COALESCE(work.done, 0), COALESCE(work.total, 0), " +
			fmt.Sprintf("CASE WHEN item.state <> 'queued' THEN 0 WHEN %s THEN %d WHEN %s THEN %d WHEN item.image_id > 0 THEN %d ELSE 0 END", nobody, waitsForHost, busy, waitsForTurn, waitsForScan)
		from := "task_item item LEFT JOIN image ON image.id = item.image_id LEFT JOIN work ON work.image_id = item.image_id AND work.state = 'leased' AND item.state = 'running' " +
			"LEFT JOIN host worker ON worker.id = item.host_id AND " + host
		settings, err := t.settings()
		if err != nil {
			return err
		}
		code, detail, err := t.heldBack(settings)
		if err != nil {
			return err
		}
		before := append(slices.Clone(nameArgs), alive, alive, alive, settings.HostConcurrency)
		w.args = slices.Concat(before, hostArgs, w.args)
		page, err = fetch(t, k, columns, from, w, func(scan func(...any) error) (api.TaskItem, error) {
			i, waits, err := scanItem(scan)
			switch {
			case waits == waitsForHost:
				i.Code, i.Detail = api.CodeHostOffline, "no host that could do it is online"
			case waits != 0 && code != "":
				i.Code, i.Detail = code, detail
			case waits == waitsForTurn:
				i.Code, i.Detail = api.CodeHostBusy, "the hosts that could do it are reading other images"
			}
			return i, err
		})
		page.Total = total
		return err
	})
	return page, err
}

func scanItem(scan func(...any) error) (i api.TaskItem, waits int, err error) {
	var started, ended, done, total int64
	err = scan(&i.ImageID, &i.Image, &i.HostID, &i.Host, &i.State, &i.Code, &i.Detail, &i.Attempts, &started, &ended, &i.Reused, &done, &total, &waits)
	i.Started, i.Ended = momentOrNil(started), momentOrNil(ended)
	if total > 0 {
		i.Progress = min(1, float64(done)/float64(total))
	}
	return i, waits, err
}
