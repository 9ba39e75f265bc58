package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Limits of exports.
const (
	exportPart     = 1 << 20          // bytes of one part of a file
	exportTimeout  = 15 * time.Minute // without progress before another console takes it
	exportAttempts = 3                // consoles that may leave one unfinished
)

// NewExport is an export to make.
type NewExport struct {
	Request   api.ExportRequest
	Scope     plimsoll.Scope
	CreatedBy string
	FileName  string
	MediaType string
}

const exportColumns = "export.id, export.task_id, export.state, export.kind, export.format, export.file_name, export.media_type, export.row_count, " +
	"export.size, export.created, export.created_by, export.detail"

func scanExport(scan func(...any) error) (e api.Export, err error) {
	var created int64
	err = scan(&e.ID, &e.TaskID, &e.State, &e.Kind, &e.Format, &e.FileName, &e.MediaType, &e.Rows, &e.Size, &created, &e.CreatedBy, &e.Detail)
	e.Created = moment(created)
	return e, err
}

// StartExport starts an export and its task.
func (s *Store) StartExport(ctx context.Context, n NewExport) (e api.Export, err error) {
	err = s.write(ctx, "start an export", func(t *tx) error {
		task, err := t.addTask(plimsoll.TaskExport, "Export "+n.FileName, n.CreatedBy, n.Scope)
		if err != nil {
			return err
		}
		id, err := t.id("INSERT INTO export (task_id, kind, format, request, scope, state, file_name, media_type, created, created_by) "+
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id", task, n.Request.Kind, n.Request.Format, jsonText(n.Request), jsonText(n.Scope),
			plimsoll.TaskQueued, plain(n.FileName), n.MediaType, t.now, plain(n.CreatedBy))
		if err != nil {
			return err
		}
		if _, err := t.exec("UPDATE task SET export_id = ? WHERE id = ?", id, task); err != nil {
			return err
		}
		e, err = t.export("", id)
		return err
	})
	if err == nil {
		s.Ring(ctx, TopicJobs)
		s.Ring(ctx, TopicTasks)
	}
	return e, err
}

func (t *tx) export(who string, id int64) (api.Export, error) {
	var w where
	w.and("export.id = ?", id)
	if who != "" {
		w.and("export.created_by = ?", who)
	}
	e, err := scanExport(t.row("SELECT "+exportColumns+" FROM export"+w.String(), w.args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return e, notFound("export", id)
	}
	return e, err
}

// TakeExport returns an export that waits, with what was asked and within which
// scope, and marks it as running; CodeNotFound when none waits. One that a
// console left unfinished is given out again.
func (s *Store) TakeExport(ctx context.Context) (e api.Export, n NewExport, err error) {
	none := plimsoll.Errorf(plimsoll.CodeNotFound, "take an export", "none waits")
	const found = "SELECT id FROM export WHERE state = 'queued' OR state = 'running' AND touched <= ? ORDER BY id LIMIT 1"
	err = s.read(ctx, "look for an export", func(t *tx) error {
		var id int64
		err := t.row(found, t.now-exportTimeout.Milliseconds()).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return none
		}
		return err
	})
	if err != nil {
		return e, n, err
	}
	err = s.writeWork(ctx, "take an export", func(t *tx) error {
		for {
			var id, attempts int64
			err := t.row(found, t.now-exportTimeout.Milliseconds()).Scan(&id)
			if errors.Is(err, sql.ErrNoRows) {
				return nil // what ended on the way stays ended
			}
			if err != nil {
				return err
			}
			var request, scope string
			var stopping bool
			if err := t.row("SELECT attempts, request, export.scope, stopping FROM export JOIN task ON task.id = task_id WHERE export.id = ?", id).
				Scan(&attempts, &request, &scope, &stopping); err != nil {
				return err
			}
			if stopping || attempts >= exportAttempts {
				if err := t.endExport(id, plimsoll.TaskFailed, "no console could finish it", 0); err != nil {
					return err
				}
				continue
			}
			if _, err := t.exec("UPDATE export SET state = 'running', touched = ?, attempts = attempts + 1, size = 0 WHERE id = ?", t.now, id); err != nil {
				return err
			}
			if e, err = t.export("", id); err != nil {
				return err
			}
			n = NewExport{CreatedBy: e.CreatedBy, FileName: e.FileName, MediaType: e.MediaType}
			if err := errors.Join(json.Unmarshal([]byte(request), &n.Request), json.Unmarshal([]byte(scope), &n.Scope)); err != nil {
				return err
			}
			return t.setTask(e.TaskID, plimsoll.TaskRunning, 0, 0, "")
		}
	})
	if err == nil && e.ID == 0 {
		err = none
	}
	if err == nil {
		s.Ring(ctx, TopicTasks)
	}
	return e, n, err
}

// ExportWriter stores the file of an export in parts; Close ends it well, Fail
// badly. Its writes fail when the export was stopped, or given to another
// console because this one was too slow.
type ExportWriter struct {
	s       *Store
	ctx     context.Context
	id      int64
	attempt int64
	parts   int64
	size    int64
	buffer  []byte
}

// WriteExport opens an export for writing, after TakeExport.
func (s *Store) WriteExport(ctx context.Context, id int64) (*ExportWriter, error) {
	w := &ExportWriter{s: s, ctx: ctx, id: id}
	err := s.write(ctx, "open an export", func(t *tx) error {
		err := t.row("SELECT attempts FROM export WHERE id = ? AND state = 'running'", id).Scan(&w.attempt)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("running export", id)
		}
		if err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM export_part WHERE export_id = ?", id)
		return err
	})
	return w, err
}

// Write adds to the file.
func (w *ExportWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		room := min(exportPart-len(w.buffer), len(p))
		w.buffer = append(w.buffer, p[:room]...)
		if p = p[room:]; len(w.buffer) == exportPart {
			if err := w.s.write(w.ctx, "write an export", w.flush); err != nil {
				return n - len(p), err
			}
			w.size, w.parts, w.buffer = w.size+int64(len(w.buffer)), w.parts+1, w.buffer[:0]
		}
	}
	return n, nil
}

// flush stores what is buffered, and says that somebody is at it.
func (w *ExportWriter) flush(t *tx) error {
	const op = "write an export"
	n, err := affected(t.exec("UPDATE export SET touched = ?, size = ? WHERE id = ? AND attempts = ? AND state = 'running'",
		t.now, w.size+int64(len(w.buffer)), w.id, w.attempt))
	if err != nil {
		return err
	}
	if n == 0 {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "it was given to another console")
	}
	var stopping bool
	if err := t.row("SELECT stopping FROM task JOIN export ON export.task_id = task.id WHERE export.id = ?", w.id).Scan(&stopping); err != nil {
		return err
	}
	if stopping {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "it was stopped")
	}
	if len(w.buffer) == 0 {
		return nil
	}
	_, err = t.exec("INSERT INTO export_part (export_id, number, data) VALUES (?, ?, ?)", w.id, w.parts, w.buffer)
	return err
}

// Close ends the export and its task well.
func (w *ExportWriter) Close(rows int64) error {
	return w.end(func(t *tx) error {
		if err := w.flush(t); err != nil {
			return err
		}
		return t.endExport(w.id, plimsoll.TaskSucceeded, "", rows)
	})
}

// Fail ends the export and its task badly.
func (w *ExportWriter) Fail(detail string) error {
	return w.end(func(t *tx) error {
		var mine int64
		err := t.row("SELECT id FROM export WHERE id = ? AND attempts = ? AND state = 'running'", w.id, w.attempt).Scan(&mine)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // another console's by now
		}
		if err != nil {
			return err
		}
		return t.endExport(w.id, plimsoll.TaskFailed, detail, 0)
	})
}

func (w *ExportWriter) end(f func(*tx) error) error {
	err := w.s.writeWork(w.ctx, "end an export", f)
	if err == nil {
		w.s.Ring(w.ctx, TopicTasks)
	}
	return err
}

// endExport ends an export and its task; one that was to stop is cancelled.
func (t *tx) endExport(id int64, state plimsoll.TaskState, detail string, rows int64) error {
	var task int64
	var stopping bool
	if err := t.row("SELECT task_id, stopping FROM export JOIN task ON task.id = task_id WHERE export.id = ?", id).Scan(&task, &stopping); err != nil {
		return err
	}
	if stopping && state != plimsoll.TaskSucceeded {
		state, detail = plimsoll.TaskCancelled, "stopped"
	}
	if state != plimsoll.TaskSucceeded {
		if _, err := t.exec("DELETE FROM export_part WHERE export_id = ?", id); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE export SET size = 0 WHERE id = ?", id); err != nil {
			return err
		}
	}
	if _, err := t.exec("UPDATE export SET state = ?, detail = ?, row_count = ? WHERE id = ?", state, plain(detail), rows, id); err != nil {
		return err
	}
	return t.setTask(task, state, rows, rows, detail)
}

// Export returns one that who has started; any for "" (administrators).
func (s *Store) Export(ctx context.Context, who string, id int64) (e api.Export, err error) {
	err = s.read(ctx, "find an export", func(t *tx) error {
		e, err = t.export(who, id)
		return err
	})
	return e, err
}

var exportSorts = []sortKey{{name: "created", column: "export.id", desc: true}}

// Exports lists them, newest first.
func (s *Store) Exports(ctx context.Context, who string, l api.List) (page api.Page[api.Export], err error) {
	k, err := newKeyset(l, "exports", "export.id", exportSorts)
	if err != nil {
		return page, err
	}
	var w where
	if who != "" {
		w.and("export.created_by = ?", who)
	}
	err = s.read(ctx, "list exports", func(t *tx) error {
		page, err = fetch(t, k, exportColumns, "export", w, scanExport)
		return err
	})
	return page, err
}

// ReadExport writes the file of an export to w. The error has CodeNotFound when
// there is no such export, or it has no file: not yet, or no longer.
func (s *Store) ReadExport(ctx context.Context, who string, id int64, w io.Writer) error {
	const op = "read an export"
	e, err := s.Export(ctx, who, id)
	if err != nil {
		return err
	}
	if e.State != plimsoll.TaskSucceeded {
		return plimsoll.Errorf(plimsoll.CodeNotFound, op, "it has no file: it is %s", e.State)
	}
	// A part at a time: a slow reader must not hold a transaction.
	var written int64
	for part := int64(0); written < e.Size; part++ {
		var data []byte
		err := s.read(ctx, op, func(t *tx) error {
			return t.row("SELECT data FROM export_part WHERE export_id = ? AND number = ?", id, part).Scan(&data)
		})
		if err != nil {
			return err
		}
		n, err := w.Write(data)
		written += int64(n)
		if err != nil {
			return &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op, Err: err}
		}
	}
	return nil
}
