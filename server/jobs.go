package server

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
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
	jobExports   = "exports"
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
	jobTimeout    = 2 * time.Minute
	updateTimeout = 2 * time.Hour
	rescueAfter   = 3 * time.Minute // a job of a console that died
)

// jobs queue background work once the console runs.
type jobs struct {
	insert atomic.Pointer[func(context.Context, job) error]
}

// want queues a job.
func (q *jobs) want(ctx context.Context, j job) error {
	insert := q.insert.Load()
	if insert == nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "queue "+j.Name, "the console is starting")
	}
	return (*insert)(ctx, j)
}

// Run does the console's background work until ctx ends, then lets what is under
// way stop.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.followLoop(ctx) })
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
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{server: s})
	client, err := river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}},
		Workers:           workers,
		Logger:            log,
		FetchPollInterval: time.Second,
		JobTimeout:        jobTimeout,
		// A console that dies holds a job for this long.
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: 10 * time.Minute,
		DiscardedJobRetentionPeriod: 24 * time.Hour,
		SoftStopTimeout:             5 * time.Second,
		PeriodicJobs: []*river.PeriodicJob{
			every(5*time.Second, jobSweep), every(30*time.Second, jobExpire), every(15*time.Second, jobSchedules),
			every(time.Minute, jobEvaluate), every(time.Hour, jobRetain), every(10*time.Minute, jobRefresh), every(time.Hour, jobRisk),
			every(2*time.Second, jobExports),
		},
	})
	if err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, op, "%w", err)
	}
	insert := func(ctx context.Context, j job) error {
		_, err := client.Insert(ctx, j, nil)
		return err
	}
	s.jobs.insert.Store(&insert)
	defer s.jobs.insert.Store(nil)
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	<-ctx.Done()
	const grace = 15 * time.Second
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
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
func (w *worker) Timeout(j *river.Job[job]) time.Duration {
	if j.Args.Name == jobUpdate {
		return updateTimeout
	}
	return jobTimeout
}

// Work does a job. Its error is told here: the queue tries nothing again that
// time brings anyway.
func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
	err := w.server.do(ctx, j.Args)
	if err != nil && ctx.Err() == nil {
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
		return err
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
		return s.update(ctx, j.Task)
	case jobRefresh:
		return s.refresh(ctx)
	case jobRisk:
		return s.Store.RecordRiskDay(ctx)
	case jobExports:
		return s.makeExports(ctx)
	}
	return plimsoll.Errorf(plimsoll.CodeInvalid, "do background work", "%q is not known", j.Name)
}

// refresh queues an update of the advisories when the settings say so: after the
// last one was tried, also when it failed.
func (s *Server) refresh(ctx context.Context) error {
	if s.Update == nil {
		return nil
	}
	settings, err := s.Store.Settings(ctx)
	if err != nil || settings.DatabaseHours == 0 {
		return err
	}
	last, err := s.lastUpdate(ctx)
	if err != nil || s.Now().Sub(last) < time.Duration(settings.DatabaseHours)*time.Hour {
		return err
	}
	return s.jobs.want(ctx, job{Name: jobUpdate})
}

// followLoop takes up what other consoles, or plimsoll db on this machine, have
// activated, and queues work that cannot wait for its time.
func (s *Server) followLoop(ctx context.Context) error {
	const look = time.Minute
	for ctx.Err() == nil {
		generation, wanted := s.Store.Wait(store.TopicGeneration), s.Store.Wait(store.TopicJobs)
		if err := s.follow(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "advisories not taken up", "error", err)
		}
		wait := time.NewTimer(look)
		select {
		case <-ctx.Done():
		case <-generation:
		case <-wanted:
			time.Sleep(time.Second) // until the job that rang is over
			s.evaluateSoon(ctx)
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
