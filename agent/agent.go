// Package agent is what runs on a host of the fleet: it tells the console which
// images are here, reads those that the console asks for, and delivers what it
// read.
//
// It owns the host's identity, the protocol from the agent's side, the spool and
// the limits that keep a scan from disturbing the host. It refuses to listen on
// anything, to judge what it reads (it holds no advisories), to look at engines
// itself (Stores does) and to run what a console sends: a console can ask for
// lists of images and for images to be read, nothing else.
//
// Trust: the console is authenticated by the key that the join token named; its
// answers are bounded and checked all the same. Image texts are data.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/inventory"
)

// Stores is the image stores of this host.
type Stores interface {
	// List lists every image in every store, anew.
	List(ctx context.Context) (Listing, error)
	// Read reads one image that a store holds, in at most timeout. It says whether
	// the store was private and asks scanner accordingly. Whatever goes wrong is
	// in the result.
	Read(ctx context.Context, id plimsoll.Digest, timeout time.Duration, scanner func(private bool) *inventory.Scanner) (r plimsoll.Result, private bool)
	// Watch calls changed whenever images or containers may have changed, until
	// ctx ends.
	Watch(ctx context.Context, changed func()) error
}

// Listing is what all stores of a host hold.
type Listing struct {
	Images   []Held
	Stores   []api.Store
	Problems []plimsoll.Problem
}

// Held is one image in one store. Private: others than the administrator can
// write the store.
type Held struct {
	plimsoll.Image
	Private bool
}

// Config is what an agent needs.
type Config struct {
	StateDir string // identity, spool, cache, what was told; made with mode 0700
	Stores   Stores
	// NewScanner returns a scanner with all analysers and the given cache.
	NewScanner func(cache inventory.Cache) *inventory.Scanner
	Cache      inventory.Cache // facts on this host's disk
	Version    string
	Log        *slog.Logger
	Now        func() time.Time // nil: time.Now
	// Facts says what is told of the host; nil: Facts, of this machine. A process
	// that is many hosts tells them apart with it.
	Facts func(version, analyzers string) HostFacts
	// Shared says that the process does other things, too (a console): its
	// priority, memory limit and processors are left alone.
	Shared bool
	// Console is where the console is now, when that is not where the host joined.
	Console string

	pace *pace // tests make it faster
}

// pace is how long an agent waits for what.
type pace struct {
	heartbeat time.Duration // between heartbeats
	renew     time.Duration // between renewals of a lease
	settle    time.Duration // after an event, for more of them
	hour      time.Duration // of Settings.SyncHours
	backoff   time.Duration // the first
	capped    time.Duration // the longest
	poll      int           // seconds that a request for work waits
}

func defaultPace() *pace {
	return &pace{
		heartbeat: time.Minute,
		renew:     20 * time.Second,
		settle:    700 * time.Millisecond,
		hour:      time.Hour,
		backoff:   10 * time.Millisecond,
		capped:    5 * time.Minute,
		poll:      50,
	}
}

// ErrRevoked ends Run when the console refuses the host's identity. The spool is
// kept: after joining again it is delivered.
var ErrRevoked = errors.New("the console does not accept this host any more")

const revokedHint = "Join again with a new token: plimsoll agent join. What was read and not yet delivered is kept."

// Agent is one running agent.
type Agent struct {
	Config
	identity *identity
	client   *api.Client
	spool    *spool
	facts    HostFacts
	boot     string

	syncNow  chan syncRequest // full lists that were asked for
	events   chan struct{}    // something changed
	deliver  chan struct{}    // something was spooled
	settings atomic.Pointer[api.AgentSettings]
	changes  chan struct{} // the settings changed
	scans    scans
	dropped  atomic.Int64
	state    syncState
}

// HostFacts is what is told of the host.
type HostFacts struct {
	api.HostFacts
	MachineID string
}

// Run works until ctx ends, then gives back what it has not finished and returns
// nil. It returns an error when the host has not joined, its state directory
// cannot be used, or the console revoked it (ErrRevoked).
func Run(ctx context.Context, c Config) error {
	a, err := open(c)
	if err != nil {
		return err
	}
	return a.run(ctx)
}

func open(c Config) (*Agent, error) {
	c = c.withDefaults()
	id, err := loadIdentity(c.StateDir)
	if err != nil {
		return nil, err
	}
	if c.Console != "" {
		if id.console.URL, err = consoleURL(c.Console); err != nil {
			return nil, err
		}
	}
	sweep(c.StateDir)
	sp, err := openSpool(filepath.Join(c.StateDir, spoolDir))
	if err != nil {
		return nil, err
	}
	a := &Agent{
		Config: c, identity: id, spool: sp, boot: randomID(),
		client:  id.client(c.Version),
		syncNow: make(chan syncRequest, 16),
		events:  make(chan struct{}, 1),
		deliver: make(chan struct{}, 1),
		changes: make(chan struct{}, 1),
	}
	a.facts = c.Facts(c.Version, c.NewScanner(nil).AnalyzerSet())
	a.settings.Store(&api.AgentSettings{SyncHours: 24, Concurrency: 1, ScanTimeout: 900, MemoryMB: 512, CPUPercent: 100})
	a.state.load(filepath.Join(c.StateDir, "sync.json"))
	return a, nil
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Facts == nil {
		c.Facts = Facts
	}
	if c.pace == nil {
		c.pace = defaultPace()
	}
	return c
}

func (a *Agent) run(ctx context.Context) error {
	if !a.Shared {
		a.beKind()
	}
	a.applySettings(*a.settings.Load())
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context) error{
		a.heartbeats, a.watch, a.syncs, a.work, a.renewSpooled, a.deliveries, a.renewals,
	} {
		g.Go(func() error { return loop(ctx) })
	}
	err := g.Wait()
	a.client.HTTP.CloseIdleConnections()
	if errors.Is(err, ErrRevoked) {
		return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: "speak to the console", Hint: revokedHint, Err: err}
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// refused says that the console refuses this host, if err does: with ErrRevoked;
// any other error is nil. A proxy in between refuses without a code, and a
// request that was under way while the certificate was renewed is refused for
// the old one: so the console is asked once more.
func (a *Agent) refused(ctx context.Context, err error) error {
	if !refusal(err) || ctx.Err() != nil {
		return nil
	}
	if err := a.heartbeat(ctx); refusal(err) {
		return errors.Join(ErrRevoked, err)
	}
	return nil
}

func refusal(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) && e.Code != ""
}

// wait sleeps for d; an error means that ctx has ended.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// backoff returns how long to wait after the nth failure in a row: n² times the
// first wait, at most the longest, give or take half. What the console asks for
// counts when it is longer.
func (a *Agent) backoff(n int, err error) time.Duration {
	d := min(time.Duration(n*n)*a.pace.backoff, a.pace.capped)
	d = d/2 + rand.N(d+1)
	var e *api.Error
	if errors.As(err, &e) {
		d = max(d, e.RetryAfter)
	}
	return d
}

// signal wakes whoever waits on c, or whoever will next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// heartbeats says that the agent is alive, now and then.
func (a *Agent) heartbeats(ctx context.Context) error {
	// Agents that start together, as after a power cut, do not go on together.
	for every := rand.N(a.pace.heartbeat); ; every = a.pace.heartbeat {
		err := a.heartbeat(ctx)
		if fatal := a.refused(ctx, err); fatal != nil {
			return fatal
		}
		if err != nil && ctx.Err() == nil {
			a.Log.Warn("heartbeat failed", "error", err)
		}
		if err := wait(ctx, every); err != nil {
			return err
		}
	}
}

// heartbeat says that the agent is alive and takes over the settings.
func (a *Agent) heartbeat(ctx context.Context) error {
	var answer api.HeartbeatAnswer
	err := a.call(ctx, http.MethodPost, "/heartbeat", api.Heartbeat{
		Now: a.Now(), MachineID: a.facts.MachineID, Boot: a.boot,
		Spooled: a.spool.count(), Dropped: a.dropped.Load(), Scanning: a.scans.count(),
	}, &answer)
	if err == nil {
		a.applySettings(answer.Settings)
	}
	return err
}

// call asks the console for a short thing.
func (a *Agent) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := a.client.Call(ctx, method, api.AgentPath+path, nil, in, out)
	return err
}

// Timeouts of requests.
const (
	callTimeout  = 2 * time.Minute  // with a list of images
	bodyTimeout  = 15 * time.Minute // with a result or with facts
	leaveTimeout = 5 * time.Second  // to say goodbye
)

// watch turns changes of the stores into events.
func (a *Agent) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := a.Stores.Watch(ctx, func() { signal(a.events) }); err != nil && ctx.Err() == nil {
			a.Log.Warn("stores cannot be watched", "error", err)
		}
		signal(a.events)
		if err := wait(ctx, a.pace.heartbeat); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// scans are the images that are being read.
type scans struct {
	mu      sync.Mutex
	running map[string]*scan // by lease
}

func (s *scans) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running)
}
