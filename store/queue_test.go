package store

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// A queue that a console left behind is empty for the next one.
func TestQueueBeginsEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b", "jobs.sqlite")
	if _, err := OpenQueue(t.Context(), path); plimsoll.CodeOf(err) != plimsoll.CodeUnreadable {
		t.Errorf("without a directory: %v", err)
	}
	path = filepath.Join(t.TempDir(), "jobs.sqlite")
	for range 2 {
		db, err := OpenQueue(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("CREATE TABLE job (id INTEGER)"); err != nil {
			t.Fatal(err)
		}
		defer db.Close() // nobody closed it before it was opened again
	}
}

// A task of the advisories ends when nobody works on it any more, and only then.
func TestAbandonedTasks(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		start := func() int64 {
			task, err := s.StartTask(ctx, plimsoll.TaskDatabase, "Update", "anna", plimsoll.Everything)
			if err != nil {
				t.Fatal(err)
			}
			return task.ID
		}
		states := func(tasks ...int64) (list []plimsoll.TaskState) {
			for _, id := range tasks {
				task, err := s.Task(ctx, plimsoll.Everything, "", id)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, task.State)
			}
			return list
		}
		abandoned := func() []int64 {
			list, err := s.AbandonTasks(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		dead, alive, waiting := start(), start(), start()
		for _, id := range []int64{dead, alive} {
			if err := s.SetTask(ctx, id, plimsoll.TaskRunning, 1, 10, ""); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			pass(s, taskSilence/2)
			if goOn, err := s.TouchTask(ctx, alive); err != nil || !goOn {
				t.Fatalf("%t %v", goOn, err)
			}
		}
		if got := abandoned(); !slices.Equal(got, []int64{dead}) {
			t.Errorf("abandoned %v, want %d", got, dead)
		}
		if got := states(dead, alive, waiting); !slices.Equal(got, []plimsoll.TaskState{plimsoll.TaskFailed, plimsoll.TaskRunning, plimsoll.TaskQueued}) {
			t.Errorf("states %v", got)
		}
		if goOn, err := s.TouchTask(ctx, dead); err != nil || goOn {
			t.Errorf("an ended task goes on: %t %v", goOn, err)
		}
		if _, err := s.StopTask(ctx, plimsoll.Everything, "", alive); err != nil {
			t.Fatal(err)
		}
		if goOn, err := s.TouchTask(ctx, alive); err != nil || goOn {
			t.Errorf("a stopped task goes on: %t %v", goOn, err)
		}
		pass(s, queueTime)
		if got := abandoned(); !slices.Equal(got, []int64{alive, waiting}) {
			t.Errorf("abandoned %v, want those whose console went away", got)
		}
		if got := abandoned(); len(got) != 0 {
			t.Errorf("again %v", got)
		}
	})
}

// The one console of an embedded store knows at its start that nobody works.
func TestLeftBehind(t *testing.T) {
	s := testStore(t)
	ctx := t.Context()
	var tasks []api.Task
	for range 2 {
		task, err := s.StartTask(ctx, plimsoll.TaskDatabase, "Update", "", plimsoll.Everything)
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	if err := s.SetTask(ctx, tasks[0].ID, plimsoll.TaskRunning, 0, 0, ""); err != nil {
		t.Fatal(err)
	}
	export, err := s.StartExport(ctx, NewExport{Request: api.ExportRequest{Kind: "images", Format: "csv"}, Scope: plimsoll.Everything, FileName: "f.csv"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.TakeExport(ctx); err != nil {
		t.Fatal(err)
	}
	pass(s, time.Second)
	if _, _, err := s.TakeExport(ctx); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Fatalf("an export that somebody makes is given out: %v", err)
	}
	if err := s.LeftBehind(ctx); err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if got, err := s.Task(ctx, plimsoll.Everything, "", task.ID); err != nil || got.State != plimsoll.TaskFailed || got.Detail == "" || got.Ended == nil {
			t.Errorf("%+v %v", got, err)
		}
	}
	if e, _, err := s.TakeExport(ctx); err != nil || e.ID != export.ID {
		t.Errorf("the export is not given out again: %+v %v", e, err)
	}
}
