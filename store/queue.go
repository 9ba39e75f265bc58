package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"time"

	"plimsoll"
)

// OpenQueue opens the SQLite file in which a console with an embedded store
// queues its background work, apart from the state of the fleet. It begins empty:
// what a console left behind that ended is asked for again by time, and would
// only stand in the way.
func OpenQueue(ctx context.Context, path string) (*sql.DB, error) {
	const op = "open the queue of background work"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
	}
	f.Close()
	pragmas := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(OFF)", "trusted_schema(0)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode()+"&_txlock=immediate")
	if err != nil {
		return nil, storeError(op, err)
	}
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, storeError(op, err)
	}
	return db, nil
}

// Who works on a task of the advisories says so at least this often, and is
// taken for dead when silent for so long; one that waits to begin may wait longer.
const (
	TouchEvery  = 5 * time.Second
	taskSilence = time.Minute
	queueTime   = 15 * time.Minute
)

// TouchTask says that somebody works on a task that StartTask made, and returns
// whether to go on: not when it was stopped or has ended.
func (s *Store) TouchTask(ctx context.Context, id int64) (goOn bool, err error) {
	err = s.write(ctx, "touch a task", func(t *tx) error {
		n, err := affected(t.exec("UPDATE task SET touched = ? WHERE id = ? AND stopping = 0 AND "+waits, t.now, id))
		goOn = n > 0
		return err
	})
	return goOn, err
}

// AbandonTasks fails tasks of the advisories that nobody works on any more and
// returns them.
func (s *Store) AbandonTasks(ctx context.Context) ([]int64, error) {
	return s.abandonTasks(ctx, taskSilence, queueTime)
}

// LeftBehind fails tasks of the advisories that were not finished, and lets
// exports begin anew: for the one console of an embedded store, before it works.
func (s *Store) LeftBehind(ctx context.Context) error {
	if _, err := s.abandonTasks(ctx, 0, 0); err != nil {
		return err
	}
	return s.write(ctx, "begin exports anew", func(t *tx) error {
		_, err := t.exec("UPDATE export SET touched = 0 WHERE state = 'running'")
		return err
	})
}

func (s *Store) abandonTasks(ctx context.Context, silence, queue time.Duration) (dead []int64, err error) {
	const op = "end tasks that nobody works on"
	look := func(t *tx) ([]int64, error) {
		return t.ids("SELECT id FROM task WHERE kind = 'database' AND (state = 'running' AND touched <= ? OR state = 'queued' AND touched <= ?) ORDER BY id",
			t.now-silence.Milliseconds(), t.now-queue.Milliseconds())
	}
	err = s.read(ctx, op, func(t *tx) (err error) {
		dead, err = look(t)
		return err
	})
	if err != nil || len(dead) == 0 {
		return nil, err
	}
	err = s.write(ctx, op, func(t *tx) (err error) {
		if dead, err = look(t); err != nil {
			return err
		}
		for _, id := range dead {
			if err := t.setTask(id, plimsoll.TaskFailed, 0, 1, "the console that was to do it ended"); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(dead) > 0 {
		s.Ring(ctx, TopicTasks)
	}
	return dead, err
}
