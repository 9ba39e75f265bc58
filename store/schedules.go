package store

import (
	"context"
	"encoding/json"
	"time"

	"plimsoll/api"
)

const scheduleColumns = "id, name, enabled, kind, cron, selection, changed, created_by, last_run, next_run, last_task"

func scanSchedule(scan func(...any) error) (c api.Schedule, err error) {
	var selection string
	var last, next int64
	if err := scan(&c.ID, &c.Name, &c.Enabled, &c.Trigger, &c.Cron, &selection, &c.Changed, &c.CreatedBy, &last, &next, &c.LastTask); err != nil {
		return c, err
	}
	c.LastRun, c.NextRun = momentOrNil(last), momentOrNil(next)
	return c, json.Unmarshal([]byte(selection), &c.Selection)
}

// schedules lists those that fit.
func (t *tx) schedules(condition string, args ...any) ([]api.Schedule, error) {
	list := []api.Schedule{}
	rows, err := t.query("SELECT "+scheduleColumns+" FROM schedule WHERE "+condition+" ORDER BY name, id", args...)
	err = each(rows, err, func(scan func(...any) error) error {
		c, err := scanSchedule(scan)
		list = append(list, c)
		return err
	})
	return list, err
}

// Schedules lists schedules by name.
func (s *Store) Schedules(ctx context.Context) (list []api.Schedule, err error) {
	err = s.read(ctx, "list schedules", func(t *tx) error {
		list, err = t.schedules("1 = 1")
		return err
	})
	return list, err
}

// PutSchedule adds a schedule (ID 0) or replaces one; next is when it runs next,
// zero for triggers that are no times.
func (s *Store) PutSchedule(ctx context.Context, sch api.Schedule, next time.Time) (int64, error) {
	id := sch.ID
	err := s.write(ctx, "keep a schedule", func(t *tx) (err error) {
		values := []any{plain(sch.Name), bit(sch.Enabled), sch.Trigger, plain(sch.Cron), jsonText(sch.Selection), bit(sch.Changed), ms(next)}
		if sch.ID == 0 {
			id, err = t.id("INSERT INTO schedule (name, enabled, kind, cron, selection, changed, next_run, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
				append(values, plain(sch.CreatedBy))...)
			return err
		}
		result, err := t.exec("UPDATE schedule SET name = ?, enabled = ?, kind = ?, cron = ?, selection = ?, changed = ?, next_run = ? WHERE id = ?",
			append(values, sch.ID)...)
		return changed(result, err, "schedule", sch.ID)
	})
	return id, err
}

// RemoveSchedule removes one.
func (s *Store) RemoveSchedule(ctx context.Context, id int64) error {
	return s.write(ctx, "remove a schedule", func(t *tx) error {
		result, err := t.exec("DELETE FROM schedule WHERE id = ?", id)
		return changed(result, err, "schedule", id)
	})
}

// DueSchedules returns enabled cron schedules whose time has come and moves each
// to next(cron); of several consoles one gets it. A next of zero ends it. One whose
// last run is to come, since the clock was set back, only gets another next.
func (s *Store) DueSchedules(ctx context.Context, next func(cron string, after time.Time) time.Time) ([]api.Schedule, error) {
	due := func(t *tx) ([]api.Schedule, error) {
		return t.schedules("enabled = 1 AND kind = 'cron' AND next_run > 0 AND (next_run <= ? OR last_run > ?)", t.now, t.now+ticks.Milliseconds())
	}
	var list []api.Schedule
	err := s.read(ctx, "look for due schedules", func(t *tx) (err error) {
		list, err = due(t)
		return err
	})
	if err != nil || len(list) == 0 {
		return list, err
	}
	err = s.write(ctx, "take due schedules", func(t *tx) error {
		found, err := due(t)
		list = found[:0]
		for _, c := range found {
			was, now := ms(*c.NextRun), next(c.Cron, moment(t.now))
			n, err := affected(t.exec("UPDATE schedule SET last_run = ?, next_run = ? WHERE id = ? AND next_run = ?", t.now, ms(now), c.ID, was))
			if err != nil {
				return err
			}
			if n > 0 && was <= t.now { // nobody was faster
				c.LastRun, c.NextRun = momentOrNil(t.now), momentOrNil(ms(now))
				list = append(list, c)
			}
		}
		return err
	})
	return list, err
}

// NoteSchedule notes the task that a schedule started.
func (s *Store) NoteSchedule(ctx context.Context, id, task int64) error {
	return s.write(ctx, "note a schedule's task", func(t *tx) error {
		_, err := t.exec("UPDATE schedule SET last_task = ? WHERE id = ?", task, id)
		return err
	})
}
