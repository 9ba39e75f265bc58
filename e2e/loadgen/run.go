package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Target is the console that a fleet is let loose on. It has no other hosts.
type Target struct {
	Base  string // "https://127.0.0.1:8443"
	Setup string // the one-time token of its first start
	PID   func() int
	Data  string        // the directory of its data
	State string        // a directory for the agents' state
	Asks  int           // how often each question is asked
	Idle  time.Duration // for which the fleet is left alone, to see what that costs
	// Activate makes a generation of advisories the one that it judges by.
	Activate func(ctx context.Context, a *Admin, generation int) error
	// Restart ends the console and starts it again, where it was.
	Restart func(ctx context.Context) error
}

// Run lets a fleet join, tell what it has, be read, be searched, be judged anew
// and find its console again after a restart, and returns what that took. It
// fails when the console does not know in the end what the fleet was made to
// have.
func Run(ctx context.Context, f Fleet, t Target) (*Figures, error) {
	r := &run{Fleet: f, Target: t, agents: agents{fleet: f, dir: t.State}}
	r.Figures.Fleet = f
	var err error
	if r.admin, err = NewAdmin(ctx, t.Base, t.Setup); err != nil {
		return nil, fmt.Errorf("first administrator: %w", err)
	}
	if err := t.Activate(ctx, r.admin, First); err != nil {
		return nil, fmt.Errorf("first advisories: %w", err)
	}
	if err := r.join(ctx); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	start := time.Now()
	running, stop := r.agents.start(ctx)
	err = r.withAgents(running, start)
	if agentErr := stop(); agentErr != nil {
		err = fmt.Errorf("an agent ended: %w", agentErr)
	}
	r.warnings, r.errors = r.agents.heard.warnings, r.agents.heard.errors
	r.analyzed, r.reused = r.agents.heard.layers()
	return &r.Figures, err
}

// run is one run.
type run struct {
	Fleet
	Target
	Figures
	admin  *Admin
	agents agents
}

func (r *run) join(ctx context.Context) error {
	token, err := r.admin.joinToken(ctx, r.Fleet.Hosts)
	if err != nil {
		return err
	}
	start := time.Now()
	var busy refusals
	err = r.agents.join(ctx, r.Base, token, &busy)
	r.enrol, r.enrolRefused = time.Since(start), busy.Load()
	return err
}

// withAgents is the part of a run for which the agents run; all of them started
// at one time.
func (r *run) withAgents(ctx context.Context, start time.Time) (err error) {
	if err := r.admin.synced(ctx, r.Fleet, time.Time{}); err != nil {
		return fmt.Errorf("first lists: %w", err)
	}
	r.settle = time.Since(start)
	if err := r.scan(ctx); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	metrics, err := r.admin.metrics(ctx)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if r.answered, r.refused, err = histograms(metrics); err != nil {
		return err
	}
	if err := r.admin.check(ctx, r.Fleet, First); err != nil {
		return err
	}
	for _, q := range questions() {
		s, err := r.admin.ask(ctx, q, r.Asks)
		if err != nil {
			return err
		}
		r.answers = append(r.answers, answers{q, s})
	}
	if err := r.rest(ctx); err != nil {
		return err
	}
	start = time.Now()
	if err := r.Activate(ctx, r.admin, Second); err != nil {
		return fmt.Errorf("second advisories: %w", err)
	}
	r.again = time.Since(start)
	if err := r.admin.check(ctx, r.Fleet, Second); err != nil {
		return err
	}
	if r.peak, err = peakMemory(r.PID()); err != nil {
		return err
	}
	if r.data, err = treeSize(r.Data); err != nil {
		return err
	}
	if err := r.restart(ctx); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return r.admin.check(ctx, r.Fleet, Second)
}

// scan asks for every image and waits until all are read and judged.
func (r *run) scan(ctx context.Context) error {
	console, err := processorTime(r.PID())
	if err != nil {
		return err
	}
	own := ownTime()
	start := time.Now()
	var task api.Task
	if err := r.admin.Call(ctx, http.MethodPost, "/scans", nil, api.ScanRequest{Selection: api.Selection{All: true}}, &task); err != nil {
		return err
	}
	for quarter := int64(1); !task.State.Final(); {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		if err := r.admin.Call(ctx, http.MethodGet, fmt.Sprintf("/tasks/%d", task.ID), nil, nil, &task); err != nil {
			return err
		}
		for ; quarter <= 4 && task.Succeeded >= quarter*int64(r.Distinct)/4; quarter++ {
			r.quarters[quarter-1] = time.Since(start)
		}
	}
	if task.State != plimsoll.TaskSucceeded {
		return fmt.Errorf("the task ended as %s: %+v", task.State, task)
	}
	r.quarters[3] = time.Since(start)
	r.agentsTime = ownTime() - own
	after, err := processorTime(r.PID())
	r.consoleTime = after - console
	return err
}

// rest measures what agents that have nothing to do cost the console.
func (r *run) rest(ctx context.Context) error {
	before, err := processorTime(r.PID())
	if err != nil {
		return err
	}
	start := time.Now()
	if err := sleep(ctx, r.Idle); err != nil {
		return err
	}
	after, err := processorTime(r.PID())
	r.idle = float64(after-before) / float64(time.Since(start))
	return err
}

// ownTime is what this process has used of all processors.
func ownTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// restart measures how long the fleet needs, once the console is back, to find it
// again and to tell all it has.
func (r *run) restart(ctx context.Context) error {
	if err := r.Restart(ctx); err != nil {
		return err
	}
	start := time.Now()
	if err := r.admin.awake(ctx); err != nil {
		return err
	}
	if err := r.admin.Call(ctx, http.MethodPost, "/syncs", nil, api.SyncRequest{All: true}, nil); err != nil {
		return err
	}
	if err := r.admin.synced(ctx, r.Fleet, start); err != nil {
		return err
	}
	r.reconnect = time.Since(start)
	if peak, err := peakMemory(r.PID()); err == nil {
		r.peak = max(r.peak, peak)
	}
	return nil
}
