package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Target is what a fleet is let loose on: a console, or several that share a
// PostgreSQL. It has no other hosts.
type Target struct {
	Bases    []string                             // of the consoles: "https://127.0.0.1:8443"; the administrator asks the first
	Setup    string                               // the one-time token of the first start
	PIDs     func() []int                         // of the consoles
	Postgres int                                  // the process that all others of PostgreSQL are children of; 0 without
	Data     func(context.Context) (int64, error) // the size of the data, in bytes
	State    string                               // a directory for the agents' state
	Asks     int                                  // how often each question is asked
	Idle     time.Duration                        // for which the fleet is left alone, to see what that costs
	// Activate makes a generation of advisories the one that it judges by.
	Activate func(ctx context.Context, a *Admin, generation int) error
	// Restart ends all consoles and starts them again, where they were.
	Restart func(ctx context.Context) error
}

// Run lets a fleet join, tell what it has, be read, be searched, be judged anew
// and find its console again after a restart, and returns what that took. It
// fails when the console does not know in the end what the fleet was made to
// have.
func Run(ctx context.Context, f Fleet, t Target) (*Figures, error) {
	r := &run{Fleet: f, Target: t, agents: agents{fleet: f, dir: t.State}}
	r.Figures.Fleet, r.consoles, r.postgres = f, len(t.Bases), t.Postgres != 0
	for _, generation := range []int{First, Second} {
		r.distinct[generation], r.everywhere[generation] = f.findings(generation)
	}
	r.watch()
	defer func() { r.unwatch() }()
	var err error
	if r.admin, err = NewAdmin(ctx, t.Bases[0], t.Setup); err != nil {
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
	admin   *Admin
	agents  agents
	unwatch func()
}

func (r *run) watch() { r.unwatch = r.memory.watch(r.PIDs(), r.Postgres) }

func (r *run) check(ctx context.Context, generation int) error {
	return r.admin.check(ctx, r.Fleet, generation, r.distinct[generation])
}

func (r *run) join(ctx context.Context) error {
	token, err := r.admin.joinToken(ctx, r.Fleet.Hosts)
	if err != nil {
		return err
	}
	start := time.Now()
	var busy refusals
	err = r.agents.join(ctx, r.Bases, token, &busy)
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
	before, _, err := r.metrics(ctx)
	if err != nil {
		return err
	}
	if err := r.scan(ctx); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	if r.answered, r.refused, err = r.metrics(ctx); err != nil {
		return err
	}
	r.beats = r.answered[heartbeats].since(before[heartbeats])
	if err := r.check(ctx, First); err != nil {
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
	if err := r.check(ctx, Second); err != nil {
		return err
	}
	if r.data, err = r.Data(ctx); err != nil {
		return err
	}
	if err := r.restart(ctx); err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	return r.check(ctx, Second)
}

// metrics returns how long all consoles together took to answer.
func (r *run) metrics(ctx context.Context) (answered, refused map[string]histogram, err error) {
	var all strings.Builder
	for _, base := range r.Bases {
		text, err := r.admin.at(base).metrics(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("metrics: %w", err)
		}
		all.WriteString(text)
	}
	return histograms(all.String())
}

// scan asks for every image and waits until all are read and judged.
func (r *run) scan(ctx context.Context) error {
	before, err := usedBy(r.PIDs(), r.Postgres)
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
	after, err := usedBy(r.PIDs(), r.Postgres)
	r.used = after.since(before)
	return err
}

// rest measures what agents that have nothing to do cost.
func (r *run) rest(ctx context.Context) error {
	before, err := usedBy(r.PIDs(), r.Postgres)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := sleep(ctx, r.Idle); err != nil {
		return err
	}
	after, err := usedBy(r.PIDs(), r.Postgres)
	r.idle, r.idleTime = after.since(before), time.Since(start)
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

// restart measures how long the fleet needs, once its consoles are back, to find them
// again and to tell all it has.
func (r *run) restart(ctx context.Context) error {
	r.unwatch()
	err := r.Restart(ctx)
	r.watch()
	if err != nil {
		return err
	}
	start := time.Now()
	for _, base := range r.Bases {
		if err := r.admin.at(base).awake(ctx); err != nil {
			return err
		}
	}
	if err := r.admin.Call(ctx, http.MethodPost, "/syncs", nil, api.SyncRequest{All: true}, nil); err != nil {
		return err
	}
	if err := r.admin.synced(ctx, r.Fleet, start); err != nil {
		return err
	}
	r.reconnect = time.Since(start)
	return nil
}
