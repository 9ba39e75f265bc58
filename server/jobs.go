package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
	"golang.org/x/sync/errgroup"

	"plimsoll"
	"plimsoll/store"
)

// Names of background work. All of it may be done twice without harm.
const (
	jobSweep     = "sweep"     // leases that ran out
	jobExpire    = "expire"    // decisions whose time is over
	jobSchedules = "schedules" // that are due
	jobEvaluate  = "evaluate"  // software that waits to be judged
	jobRetain    = "retain"    // remove what is too old
	jobUpdate    = "update"    // advisories
	jobRefresh   = "refresh"   // update them when the settings say so
	jobRisk      = "risk-day"
)

// job is one piece of background work: of each, one waits or runs in the fleet.
type job struct {
	Name string `json:"name" river:"unique"`
	Task int64  `json:"task,omitempty"`
}

// Kind is the queue's word for it.
func (job) Kind() string { return "console" }

// InsertOpts keep a job from being queued twice.
func (j job) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled,
	}}}
}

// Times of jobs.
const (
	shortTimeout  = 20 * time.Second // of what must come again soon
	longTimeout   = 2 * time.Minute
	updateTimeout = 2 * time.Hour
	// rescueAfter is how long a console that died holds a job, once its time is over.
	rescueAfter = 20 * time.Second
)

// timeout of a job.
func (j job) timeout() time.Duration {
	switch j.Name {
	case jobSweep, jobExpire, jobSchedules, jobRefresh:
		return shortTimeout
	case jobUpdate:
		return updateTimeout
	}
	return longTimeout
}

// jobs queue background work once the console runs.
type jobs struct {
	insert atomic.Pointer[func(context.Context, job) error]
	cancel atomic.Pointer[func(ctx context.Context, tasks []int64) error]
}

// want queues a job, unless one of its name waits or runs: an error for one that
// is to do a task.
func (q *jobs) want(ctx context.Context, j job) error {
	insert := q.insert.Load()
	if insert == nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "queue "+j.Name, "the console is starting")
	}
	return (*insert)(ctx, j)
}

// forget lets go of the jobs of tasks that nobody works on: their consoles died.
func (q *jobs) forget(ctx context.Context, tasks []int64) error {
	cancel := q.cancel.Load()
	if cancel == nil || len(tasks) == 0 {
		return nil
	}
	return (*cancel)(ctx, tasks)
}

// Run does the console's background work until ctx ends, then lets what is under
// way stop.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.followLoop(ctx) })
	group.Go(func() error { return s.exportLoop(ctx) })
	if s.Database != "" {
		pool, err := pgxpool.New(ctx, s.Database)
		if err != nil {
			return plimsoll.Errorf(plimsoll.CodeInvalid, "queue background work", "the database's address cannot be used")
		}
		defer pool.Close()
		group.Go(func() error { return runJobs(ctx, s, riverpgxv5.New(pool)) })
		return group.Wait()
	}
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnreadable, "queue background work", "%w", err)
	}
	db, err := store.OpenQueue(ctx, filepath.Join(s.DataDir, "jobs.sqlite"))
	if err != nil {
		return err
	}
	defer db.Close()
	group.Go(func() error { return runJobs(ctx, s, riversqlite.New(db)) })
	return group.Wait()
}

// runJobs works on the queue with either driver.
func runJobs[Tx any](ctx context.Context, s *Server, driver riverdriver.Driver[Tx]) error {
	const op = "queue background work"
	log := slog.New(quietly{s.Log.Handler()})
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: log})
	if err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, op, "%w", err)
	}
	if err := s.Store.OneConsole(ctx, func() error {
		_, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	}); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{server: s})
	client, err := river.NewClient(driver, &river.Config{
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
		Workers:                     workers,
		Logger:                      log,
		FetchPollInterval:           time.Second,
		JobTimeout:                  shortTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: 10 * time.Minute,
		DiscardedJobRetentionPeriod: 24 * time.Hour,
		SoftStopTimeout:             5 * time.Second,
		PeriodicJobs: []*river.PeriodicJob{
			every(5*time.Second, jobSweep), every(30*time.Second, jobExpire), every(15*time.Second, jobSchedules),
			every(time.Minute, jobEvaluate), every(time.Hour, jobRetain), every(10*time.Minute, jobRefresh), every(time.Hour, jobRisk),
		},
	})
	if err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, op, "%w", err)
	}
	insert := func(ctx context.Context, j job) error {
		result, err := client.Insert(ctx, j, nil)
		if err == nil && result.UniqueSkippedAsDuplicate && j.Task != 0 {
			err = plimsoll.Errorf(plimsoll.CodeUnavailable, op, "the one before is ending")
		}
		return err
	}
	cancel := func(ctx context.Context, tasks []int64) error {
		running, err := client.JobList(ctx, river.NewJobListParams().Kinds(job{}.Kind()).States(rivertype.JobStateRunning))
		if err != nil {
			return err
		}
		for _, row := range running.Jobs {
			var j job
			if err := json.Unmarshal(row.EncodedArgs, &j); err == nil && slices.Contains(tasks, j.Task) {
				if _, err := client.JobCancel(ctx, row.ID); err != nil {
					return err
				}
			}
		}
		return nil
	}
	s.jobs.insert.Store(&insert)
	s.jobs.cancel.Store(&cancel)
	defer s.jobs.insert.Store(nil)
	defer s.jobs.cancel.Store(nil)
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	<-ctx.Done()
	const grace = 15 * time.Second
	end, done := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer done()
	if err := client.StopAndCancel(end); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "stop background work", "%w", err)
	}
	return nil
}

func every(interval time.Duration, name string) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(interval),
		func() (river.JobArgs, *river.InsertOpts) { return job{Name: name}, nil },
		&river.PeriodicJobOpts{RunOnStart: true})
}

type worker struct {
	river.WorkerDefaults[job]
	server *Server
}

// Timeout of a job.
func (w *worker) Timeout(j *river.Job[job]) time.Duration { return j.Args.timeout() }

// Work does a job. Its error is told here: the queue tries nothing again that
// time brings anyway.
func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
	err := w.server.do(ctx, j.Args)
	if err != nil && !errors.Is(err, errStopped) && !errors.Is(ctx.Err(), context.Canceled) {
		w.server.Log.ErrorContext(ctx, "background work failed", "job", j.Args.Name, "error", err)
	}
	w.server.metrics.job(j.Args.Name, err)
	return err
}

func (s *Server) do(ctx context.Context, j job) error {
	switch j.Name {
	case jobSweep:
		n, err := s.Store.SweepWork(ctx)
		if n > 0 {
			s.Store.Ring(ctx, store.TopicWork)
			s.Store.Ring(ctx, store.TopicTasks)
		}
		dead, abandonErr := s.Store.AbandonTasks(ctx)
		return errors.Join(err, abandonErr, s.jobs.forget(ctx, dead))
	case jobExpire:
		_, err := s.Store.ExpireDecisions(ctx)
		return err
	case jobSchedules:
		return s.runSchedules(ctx)
	case jobEvaluate:
		more, err := s.evaluate(ctx)
		if more { // this job still counts as running: the next one comes by the bell
			s.Store.Ring(ctx, store.TopicJobs)
		}
		return err
	case jobRetain:
		_, err := s.Store.Retain(ctx)
		return err
	case jobUpdate:
		if s.Update == nil { // another console, with other settings, has queued it
			return s.Store.SetTask(ctx, j.Task, plimsoll.TaskFailed, 0, 1, "the console that took it up fetches no advisories")
		}
		return s.databaseTask(ctx, j.Task, s.Update)
	case jobRefresh:
		return s.refresh(ctx)
	case jobRisk:
		return s.Store.RecordRiskDay(ctx)
	}
	return plimsoll.Errorf(plimsoll.CodeInvalid, "do background work", "%q is not known", j.Name)
}

// refresh queues an update of the advisories when the settings say so.
func (s *Server) refresh(ctx context.Context) error {
	if s.Update == nil {
		return nil
	}
	settings, err := s.Store.Settings(ctx)
	if err != nil || settings.DatabaseHours == 0 {
		return err
	}
	next, err := s.nextUpdate(ctx, settings.DatabaseHours)
	if err != nil || s.Now().Before(next) {
		return err
	}
	_, err = s.queueUpdate(ctx, "")
	return err
}

// followLoop takes up what other consoles, or plimsoll db on this machine, have
// activated, and queues work that cannot wait for its time.
func (s *Server) followLoop(ctx context.Context) error {
	look := time.NewTicker(time.Minute)
	defer look.Stop()
	for again := true; ctx.Err() == nil; {
		generation, wanted := s.Store.Wait(store.TopicGeneration), s.Store.Wait(store.TopicJobs)
		if again {
			if err := s.follow(ctx); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "advisories not taken up", "error", err)
			}
		}
		again = true
		select {
		case <-ctx.Done():
		case <-generation:
		case <-look.C:
		case <-wanted:
			again = false // whoever gets the job follows
			select {      // until the job that rang is over
			case <-ctx.Done():
			case <-time.After(time.Second):
				s.evaluateSoon(ctx)
			}
			select {
			case <-generation:
				again = true
			default:
			}
		}
	}
	return nil
}

// exportLoop makes exports as they are asked for. They are no jobs of the queue:
// the store gives each to one console, and again when that one dies.
func (s *Server) exportLoop(ctx context.Context) error {
	const look = 10 * time.Second // a ring may be lost
	for ctx.Err() == nil {
		wanted := s.Store.Wait(store.TopicJobs)
		err := s.makeExports(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "exports not made", "error", err)
		}
		wait := time.NewTimer(look)
		select {
		case <-ctx.Done():
		case <-wanted:
		case <-wait.C:
		}
		wait.Stop()
	}
	return nil
}

// evaluateSoon queues an evaluation, which time would bring anyway.
func (s *Server) evaluateSoon(ctx context.Context) {
	if err := s.jobs.want(ctx, job{Name: jobEvaluate}); err != nil {
		s.Log.DebugContext(ctx, "evaluation waits for its time", "error", err)
	}
}

// quietly lets the queue's warnings and errors through, and keeps its chatter.
type quietly struct{ slog.Handler }

// Enabled says which levels are let through.
func (q quietly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}
