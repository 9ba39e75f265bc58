package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/loadgen"
	"plimsoll/store"
	"plimsoll/vulndb"
)

// work runs the console's background work until the test ends.
func (c *testConsole) work(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for c.jobs.insert.Load() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("background work ended with %v", err)
		}
	})
}

// until waits for a task to be in a state.
func (c *testConsole) until(id int64, state plimsoll.TaskState) api.Task {
	c.t.Helper()
	for {
		task := c.task(id)
		if task.State == state {
			return task
		}
		if task.State.Final() {
			c.t.Fatalf("the task is %+v, want %s", task, state)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// update is a source of advisories that a test controls.
type update struct {
	began chan struct{}
	end   chan error
}

func newUpdate() *update { return &update{began: make(chan struct{}, 1), end: make(chan error)} }

func (u *update) config(c *Config) {
	c.Update = func(ctx context.Context, progress func(string, int64, int64)) (string, error) {
		progress("fetch", 3, 10)
		u.began <- struct{}{}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case err := <-u.end:
			if partly := (*partly)(nil); errors.As(err, &partly) {
				return partly.Error(), nil
			}
			return "", err
		}
	}
}

// partly ends an update that did not bring all.
type partly struct{ error }

// An update of the advisories is a task: it tells of its progress, there is one
// at a time, it can be stopped, and says why it failed or what it did not bring.
func TestUpdateOfTheAdvisories(t *testing.T) {
	u := newUpdate()
	c := newTestConsole(t, u.config, func(c *Config) { advisories(t, c.DatabaseDir, loadgen.First) }).setUp()
	start := func() (task api.Task) {
		t.Helper()
		c.must(c.admin, "POST", "/database/update", nil, &task)
		return task
	}
	if a := c.call(c.admin, "POST", "/database/update", nil, nil); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("before the console works: %d %s", a.StatusCode, a.body)
	}
	c.work(t)
	first := start()
	<-u.began
	running := c.until(first.ID, plimsoll.TaskRunning)
	if running.Detail != "fetch" || running.Succeeded != 3 || running.Total != 10 {
		t.Errorf("running: %+v", running)
	}
	if again := start(); again.ID != first.ID {
		t.Errorf("a second update beside the first: %+v", again)
	}
	var d api.Database
	if c.must(c.admin, "GET", "/database", nil, &d); d.Task == nil || d.Task.ID != first.ID {
		t.Errorf("the database tells of %+v", d.Task)
	}
	c.must(c.admin, "POST", fmt.Sprintf("/tasks/%d/stop", first.ID), nil, nil)
	if stopped := c.until(first.ID, plimsoll.TaskCancelled); stopped.Detail != "stopped" {
		t.Errorf("stopped: %+v", stopped)
	}

	next := func() int64 {
		t.Helper()
		for {
			var task api.Task
			a := c.call(c.admin, "POST", "/database/update", nil, &task)
			if a.StatusCode == http.StatusServiceUnavailable { // the queue has not noted yet that the one before ended
				time.Sleep(50 * time.Millisecond)
				continue
			}
			<-u.began
			return task.ID
		}
	}
	second := next()
	u.end <- errors.New("the source is away")
	failed := c.until(second, plimsoll.TaskFailed)
	if !strings.Contains(failed.Detail, "the source is away") {
		t.Errorf("failed: %+v", failed)
	}
	again := func(task api.Task) time.Duration {
		t.Helper()
		at, err := c.nextUpdate(t.Context(), 24)
		if err != nil {
			t.Fatal(err)
		}
		return at.Sub(task.Created)
	}
	if wait := again(failed); wait != time.Hour {
		t.Errorf("by itself it is tried again %v after one that failed", wait)
	}
	third := next()
	u.end <- &partly{errors.New("kev is old")}
	if partial := c.until(third, plimsoll.TaskPartial); partial.Detail != "kev is old" || again(partial) != time.Hour {
		t.Errorf("in part: %+v", partial)
	}
	fourth := next()
	u.end <- nil
	if wait := again(c.until(fourth, plimsoll.TaskSucceeded)); wait != 24*time.Hour {
		t.Errorf("by itself it is done again %v after one that succeeded", wait)
	}
}

// What a console was doing when it was killed does not stay under way for ever,
// and does not keep the next one from working at once.
func TestAfterAKill(t *testing.T) {
	c := newTestConsole(t).setUp()
	if c.Store.Shared() {
		t.Skip("several consoles share the store: silence tells, see TestAbandonedTasks")
	}
	task, err := c.Store.StartTask(t.Context(), plimsoll.TaskDatabase, updateTitle, "root", plimsoll.Everything)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Store.SetTask(t.Context(), task.ID, plimsoll.TaskRunning, 1, 2, "fetch"); err != nil {
		t.Fatal(err)
	}
	var export api.Export
	c.must(c.admin, "POST", "/exports", api.ExportRequest{Kind: "images", Format: "csv"}, &export)
	if _, _, err := c.Store.TakeExport(t.Context()); err != nil {
		t.Fatal(err)
	}
	next, err := New(t.Context(), c.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if task := c.task(task.ID); task.State != plimsoll.TaskFailed || task.Ended == nil || !strings.Contains(task.Detail, "ended") {
		t.Errorf("the update is %+v", task)
	}
	c.work(t)
	c.until(export.TaskID, plimsoll.TaskSucceeded)
}

// Work of all kinds is done.
func TestBackgroundWork(t *testing.T) {
	c := newTestConsole(t, func(c *Config) { advisories(t, c.DatabaseDir, loadgen.First) }).setUp()
	c.work(t)
	agent := c.join(smallFleet, 0, nil)
	c.must(c.admin, "POST", "/schedules", api.Schedule{Name: "new ones", Enabled: true, Trigger: "new-image"}, nil)
	agent.sync(1)
	for agent.read() == 0 {
	}
	var tasks api.Page[api.Task]
	c.must(c.admin, "GET", "/tasks?kind=scan", nil, &tasks)
	if len(tasks.Items) != 1 || tasks.Items[0].State != plimsoll.TaskSucceeded || tasks.Items[0].CreatedBy != "root" {
		t.Errorf("the schedule started %+v", tasks.Items)
	}
	var export api.Export
	c.must(c.admin, "POST", "/exports", api.ExportRequest{Kind: "findings", Format: "json"}, &export)
	c.until(export.TaskID, plimsoll.TaskSucceeded)
	for { // another generation, by whom ever it was put there
		if err := c.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		var d api.Database
		if c.must(c.admin, "GET", "/database", nil, &d); d.Current != nil && d.Current.Evaluated != nil && d.Pending == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, kind := range []string{jobSweep, jobExpire, jobSchedules, jobEvaluate, jobRetain, jobRefresh, jobRisk} {
		line := fmt.Sprintf(`plimsoll_jobs_total{job="%s",result="ok"}`, kind)
		for !strings.Contains(string(c.do(c.client(), "GET", "/metrics", nil, "Authorization", "Bearer "+c.admin).body), line) {
			time.Sleep(50 * time.Millisecond)
		}
	}
	if a := c.do(c.client(), "GET", "/metrics", nil, "Authorization", "Bearer "+c.admin); strings.Contains(string(a.body), `result="failed"`) {
		t.Errorf("work failed: %s", a.body)
	}
}

// Of two consoles whichever takes up the work judges by the active advisories, also one
// that had none or older ones; when it cannot get them, the work is wanted again.
func TestAnotherConsoleEvaluates(t *testing.T) {
	database := testDatabase(t)
	if database == "" {
		t.Skip("an embedded store has one console")
	}
	shared := func(c *Config) { c.Database = database }
	c := newTestConsole(t, shared, func(c *Config) { advisories(t, c.DatabaseDir, loadgen.First) }).setUp()
	other := newTestConsole(t, shared, func(c *Config) { c.DatabaseDir += "-of-its-own" })
	agent := c.join(smallFleet, 0, nil)
	agent.sync(1)
	wanted := c.Store.Wait(store.TopicJobs)
	j := c.judge.now
	c.judge.now = nil // as if it had not taken them up yet
	c.must(c.admin, "POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}}, nil)
	for agent.read() == 0 {
	}
	c.judge.now = j
	select {
	case <-wanted:
	case <-time.After(10 * time.Second):
		t.Error("nobody is told that there is software to judge")
	}
	other.judge.swap(nil)
	if err := os.RemoveAll(other.DatabaseDir); err != nil {
		t.Fatal(err)
	}
	busy, err := vulndb.Acquire(other.DatabaseDir)
	if err != nil {
		t.Fatal(err)
	}
	if more, err := other.evaluate(t.Context()); err != nil || !more {
		t.Errorf("while its own advisories are changed: %v, %v", more, err)
	}
	busy.Release()
	if more, err := other.evaluate(t.Context()); err != nil || more {
		t.Errorf("once they are not: %v, %v", more, err)
	}
	if n, err := c.Store.PendingSoftware(t.Context()); err != nil || n != 0 {
		t.Errorf("%d pending, %v", n, err)
	}
}

// A fault while a file is made fails the file, not the console.
func TestFaultInAnExport(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.must(c.admin, "POST", "/exports", api.ExportRequest{Kind: "images", Format: "csv"}, nil)
	store := c.Store
	c.Store = nil
	defer func() { c.Store = store }()
	if err := c.makeExports(t.Context()); plimsoll.CodeOf(err) != plimsoll.CodeInternal {
		t.Errorf("the error is %v", err)
	}
}
