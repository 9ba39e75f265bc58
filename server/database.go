package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
	"plimsoll/vulndb"
)

var errNoAdvisories = errors.New("there are no advisories yet")

// staleAfter is the age from which advisories are called stale.
const staleAfter = 7 * 24 * time.Hour

func (s *Server) databaseRoutes() {
	route(s, viewer, op("GET", "/database", "get-database", "Advisories", "State of the advisories"), func(ctx context.Context, c *caller, _ *struct{}) (api.Database, error) {
		return s.database(ctx, c)
	})
	route(s, viewer, op("GET", "/generations", "list-generations", "Advisories", "Generations that were active, newest first"), func(ctx context.Context, c *caller, in *Paging) (api.Page[api.Generation], error) {
		page, err := s.Store.Generations(ctx, in.list(""))
		for i := range page.Items {
			hideCounts(c, &page.Items[i])
		}
		return page, err
	})
	route(s, viewer, op("GET", "/generations/{id}/changes", "list-changes", "Advisories", "What a generation changed"), func(ctx context.Context, c *caller, in *changesInput) (api.Page[api.Change], error) {
		return s.Store.Changes(ctx, c.scope, in.ID, in.Kind, in.list(""))
	})
	route(s, admin, op("POST", "/database/update", "update-database", "Advisories", "Fetch advisories now"), s.startUpdate)

	upload := op("POST", "/database/import", "import-database", "Advisories", "Use advisories that were exported elsewhere")
	upload.Parameters = []*huma.Param{
		{Name: "force", In: "query", Schema: &huma.Schema{Type: "boolean"}, Description: "accept fewer or older records than before"},
		{Name: "unsigned", In: "query", Schema: &huma.Schema{Type: "boolean"}, Description: "accept a file that no trusted key vouches for"},
	}
	upload.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}
	upload.Responses = map[string]*huma.Response{"204": {Description: "They are active; all software is judged again."}}
	s.document(upload, rule{need: admin, body: 8 << 30, time: 2 * time.Hour}, s.importDatabase)
}

type changesInput struct {
	ByID
	Kind string `query:"kind" enum:"new,gone,changed" doc:"new, gone or changed matches"`
	Paging
}

// hideCounts leaves out what counts the whole fleet for whoever sees a part of it.
func hideCounts(c *caller, g *api.Generation) {
	if !c.scope.All {
		g.Software, g.NewMatches, g.GoneMatches, g.NewFindings, g.GoneFindings = -1, -1, -1, -1, -1
	}
}

func (s *Server) database(ctx context.Context, c *caller) (d api.Database, err error) {
	g, err := s.Store.CurrentGeneration(ctx)
	switch {
	case err == nil:
		hideCounts(c, &g)
		age := s.Now().Sub(g.Built)
		d.Current, d.Stale = &g, age > staleAfter
		if !g.Built.IsZero() {
			d.AgeSecs = int64(age.Seconds())
		}
	case plimsoll.CodeOf(err) != plimsoll.CodeNotFound:
		return d, err
	}
	if d.Pending, err = s.Store.PendingSoftware(ctx); err != nil {
		return d, err
	}
	if !c.scope.All {
		d.Pending = -1
	}
	tasks, err := s.Store.Tasks(ctx, plimsoll.Everything, "", api.TaskFilter{Kind: string(plimsoll.TaskDatabase)}, api.List{Limit: 1})
	if err == nil && len(tasks.Items) > 0 && !tasks.Items[0].State.Final() {
		d.Task = &tasks.Items[0]
	}
	return d, err
}

func (s *Server) startUpdate(ctx context.Context, c *caller, _ *struct{}) (api.Task, error) {
	if err := unbounded(c); err != nil {
		return api.Task{}, err
	}
	if s.Update == nil {
		return api.Task{}, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "update advisories",
			Err: errors.New("this console fetches none"), Hint: "import them"}
	}
	return s.queueUpdate(ctx, c.name)
}

// updateTitle is the title of tasks that fetch advisories.
const updateTitle = "Update of the advisories"

// queueUpdate starts a task that fetches advisories. There is one at a time: who
// asks meanwhile gets the same.
func (s *Server) queueUpdate(ctx context.Context, who string) (api.Task, error) {
	tasks, err := s.Store.Tasks(ctx, plimsoll.Everything, "", api.TaskFilter{Kind: string(plimsoll.TaskDatabase)}, api.List{})
	if err != nil {
		return api.Task{}, err
	}
	for _, t := range tasks.Items {
		if t.Title == updateTitle && !t.State.Final() {
			return t, nil
		}
	}
	task, err := s.Store.StartTask(ctx, plimsoll.TaskDatabase, updateTitle, who, plimsoll.Everything)
	if err != nil {
		return task, err
	}
	if err := s.jobs.want(ctx, job{Name: jobUpdate, Task: task.ID}); err != nil {
		return task, errors.Join(err, s.Store.SetTask(ctx, task.ID, plimsoll.TaskFailed, 0, 1, err.Error()))
	}
	return task, nil
}

// nextUpdate is when the advisories are fetched again: hours after they were last
// asked for, sooner when that failed in all or in part.
func (s *Server) nextUpdate(ctx context.Context, hours int) (time.Time, error) {
	const again = time.Hour
	tasks, err := s.Store.Tasks(ctx, plimsoll.Everything, "", api.TaskFilter{Kind: string(plimsoll.TaskDatabase)}, api.List{Limit: 1})
	if err != nil || len(tasks.Items) == 0 {
		return time.Time{}, err
	}
	wait := time.Duration(hours) * time.Hour
	last := tasks.Items[0]
	if last.State == plimsoll.TaskFailed || last.State == plimsoll.TaskPartial {
		wait = min(wait, again)
	}
	return last.Created.Add(wait), nil
}

// errStopped ends a task that somebody stopped.
var errStopped = errors.New("stopped")

// databaseTask runs change and makes what it left in DatabaseDir active, under a
// task that tells of both. Stopping the task stops it.
func (s *Server) databaseTask(ctx context.Context, task int64, change func(ctx context.Context, tell func(stage string, done, total int64)) (behind string, err error)) error {
	tell := func(state plimsoll.TaskState, done, total int64, detail string) {
		if err := s.Store.SetTask(context.WithoutCancel(ctx), task, state, done, total, detail); err != nil {
			s.Log.WarnContext(ctx, "progress not kept", "task", task, "error", err)
		}
	}
	tell(plimsoll.TaskRunning, 0, 0, "")
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go s.keepAlive(working, stop, task)
	var mu sync.Mutex
	var last time.Time
	behind, err := change(working, func(stage string, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(last) >= time.Second {
			last = now
			tell(plimsoll.TaskRunning, done, total, stage)
		}
	})
	if err == nil {
		err = s.follow(working)
	}
	switch {
	case err == nil && behind != "":
		tell(plimsoll.TaskPartial, 1, 1, behind)
	case err == nil:
		tell(plimsoll.TaskSucceeded, 1, 1, "")
	case working.Err() == nil:
		tell(plimsoll.TaskFailed, 0, 1, err.Error())
	case context.Cause(working) == errStopped:
		err = plimsoll.Errorf(plimsoll.CodeUnavailable, "change the advisories", "%w", errStopped)
		tell(plimsoll.TaskCancelled, 0, 1, errStopped.Error())
	default:
		tell(plimsoll.TaskCancelled, 0, 1, "cut off: the console stopped, or the sender hung up")
	}
	return err
}

// keepAlive says that somebody works on a task until ctx ends, and calls stop
// when it was stopped or has ended.
func (s *Server) keepAlive(ctx context.Context, stop context.CancelCauseFunc, task int64) {
	for {
		look := s.Store.Wait(store.TopicJobs)
		goOn, err := s.Store.TouchTask(ctx, task)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.Log.WarnContext(ctx, "task not touched", "task", task, "error", err)
		case !goOn:
			stop(errStopped)
			return
		}
		wait := time.NewTimer(store.TouchEvery)
		select {
		case <-ctx.Done():
		case <-look:
		case <-wait.C:
		}
		wait.Stop()
	}
}

func (s *Server) importDatabase(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	c := &requestOf(ctx).caller
	err := unbounded(c)
	var task api.Task
	if err == nil {
		task, err = s.Store.StartTask(ctx, plimsoll.TaskDatabase, "Import of advisories", c.name, plimsoll.Everything)
	}
	if err == nil {
		err = s.databaseTask(ctx, task.ID, func(ctx context.Context, _ func(string, int64, int64)) (string, error) {
			return "", s.install(ctx, r.Body, vulndb.Terms{Force: r.URL.Query().Get("force") == "true", Unsigned: r.URL.Query().Get("unsigned") == "true"})
		})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// install puts a generation's file into DatabaseDir.
func (s *Server) install(ctx context.Context, r io.Reader, terms vulndb.Terms) error {
	dir, err := vulndb.Acquire(s.DatabaseDir)
	if err != nil {
		return err
	}
	defer dir.Release()
	_, err = dir.Import(ctx, r, terms)
	return err
}

// openJudge takes up what is in DatabaseDir at the start.
func (s *Server) openJudge(ctx context.Context) error {
	if err := s.follow(ctx); err != nil {
		if plimsoll.CodeOf(err) == plimsoll.CodeUnavailable {
			return err
		}
		s.Log.ErrorContext(ctx, "advisories not usable; nothing new is judged", "error", err)
	}
	return nil
}

// follow makes the newest generation the active one: what this machine's
// DatabaseDir holds, or what another console has activated meanwhile.
func (s *Server) follow(ctx context.Context) error {
	s.following.Lock()
	defer s.following.Unlock()
	active, err := s.Store.CurrentGeneration(ctx)
	if err != nil && plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		return err
	}
	db, err := vulndb.OpenCurrent(s.DatabaseDir)
	if err != nil && plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		return err
	}
	if s.Store.Shared() && active.Digest != "" && (db == nil || behind(db.Generation(), active)) {
		if db != nil {
			db.Close()
		}
		if err := s.fetch(ctx, plimsoll.Digest(active.Digest)); err != nil {
			return err
		}
		if db, err = vulndb.OpenCurrent(s.DatabaseDir); err != nil {
			return err
		}
	}
	if db == nil {
		return nil
	}
	g := db.Generation()
	if string(g.ID) != active.Digest {
		if err := s.activate(ctx, g); err != nil {
			db.Close()
			return err
		}
	}
	if s.judge.digest() == g.ID {
		return db.Close()
	}
	s.judge.swap(db)
	s.evaluateSoon(ctx)
	return nil
}

// behind says whether another console's active generation replaces g here.
func behind(g plimsoll.Generation, active api.Generation) bool {
	switch {
	case string(g.ID) == active.Digest:
		return false
	case g.Sample != active.Sample:
		return g.Sample
	}
	return g.Built.Before(active.Built)
}

// activate tells the fleet of a generation that lies in DatabaseDir.
func (s *Server) activate(ctx context.Context, g plimsoll.Generation) error {
	if s.Store.Shared() {
		r, w := io.Pipe()
		go func() {
			_, err := vulndb.Export(s.DatabaseDir, w)
			w.CloseWithError(err)
		}()
		err := s.Store.PutGeneration(ctx, g.ID, r)
		r.CloseWithError(err)
		if err != nil {
			return err
		}
	}
	if _, err := s.Store.Activate(ctx, g); err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "advisories active", "digest", g.ID, "built", g.Built, "records", g.Advisories)
	s.Store.Ring(ctx, store.TopicGeneration)
	return nil
}

// fetch brings a generation that another console has activated.
func (s *Server) fetch(ctx context.Context, digest plimsoll.Digest) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(s.Store.GetGeneration(ctx, digest, w)) }()
	err := s.install(ctx, r, vulndb.Terms{Force: true, Unsigned: true}) // the fleet's own database vouches for it
	r.CloseWithError(err)
	return err
}

// evaluate judges software that waits, for at most a slice of time, so that a
// console that dies holds nobody up for long. It says whether more waits.
func (s *Server) evaluate(ctx context.Context) (more bool, err error) {
	const slice = time.Minute
	active, err := s.Store.CurrentGeneration(ctx)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return false, nil
	}
	if err == nil && s.judge.digest() != plimsoll.Digest(active.Digest) {
		err = s.follow(ctx)
	}
	j, release := s.judge.acquire()
	defer release()
	if j == nil || j.Generation().ID != plimsoll.Digest(active.Digest) {
		if plimsoll.CodeOf(err) == plimsoll.CodeUnavailable { // while this console changes its own; told by followLoop
			err = nil
		}
		return err == nil && s.Store.Shared(), err // by a console that has the advisories
	}
	pending, err := s.Store.PendingSoftware(ctx)
	if err != nil || pending == 0 && active.Evaluated != nil {
		return false, err
	}
	part, cancel := context.WithTimeout(ctx, slice)
	defer cancel()
	err = s.Store.Evaluate(part, j, func(done, total int64) { s.metrics.pending.Set(float64(total - done)) })
	if err != nil && part.Err() != nil && ctx.Err() == nil {
		return true, nil
	}
	if err == nil {
		s.Store.Ring(ctx, store.TopicGeneration)
	}
	return false, err
}
