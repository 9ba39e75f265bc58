package loadgen

import (
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"plimsoll/agent"
	"plimsoll/inventory"
	"plimsoll/local"
)

// agents are those of a whole fleet, in this process.
type agents struct {
	fleet Fleet
	dir   string // of their state directories
	heard heard
}

func (g *agents) config(h int) agent.Config {
	dir := filepath.Join(g.dir, strconv.Itoa(h))
	log := slog.New(&g.heard)
	cache := &local.Cache{Dir: filepath.Join(dir, "cache"), Fail: func(err error) { log.Warn("no cache", "error", err) }}
	return agent.Config{
		StateDir:   dir,
		Stores:     stores{engine{g.fleet, h}},
		NewScanner: func(c inventory.Cache) *inventory.Scanner { return local.NewScanner(c, cache.Fault) },
		Cache:      cache,
		Version:    "loadgen",
		Log:        log,
		Facts:      func(version, analyzers string) agent.HostFacts { return g.fleet.Facts(h, version, analyzers) },
		Shared:     true, // with all others
	}
}

// join makes every host one of the fleet's. The hosts take turns at its consoles.
func (g *agents) join(ctx context.Context, bases []string, token string, busy *refusals) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for h := range g.fleet.Hosts {
		group.Go(func() error {
			return busy.patiently(ctx, func() error {
				_, err := agent.Join(ctx, g.config(h), bases[h%len(bases)], token)
				return err
			})
		})
	}
	return group.Wait()
}

// start runs every agent. The context that it returns ends when one of them
// fails; stop ends them all and says why one did.
func (g *agents) start(ctx context.Context) (running context.Context, stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	group, running := errgroup.WithContext(ctx)
	for h := range g.fleet.Hosts {
		group.Go(func() error { return agent.Run(running, g.config(h)) })
	}
	return running, func() error {
		cancel()
		return group.Wait()
	}
}

// heard is what agents log, counted.
type heard struct {
	mu             sync.Mutex
	warnings       map[string]int // by their words
	errors         map[string]string
	analyzed, kept int64 // layers of the images that were read
}

var _ slog.Handler = (*heard)(nil)

func (h *heard) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (h *heard) WithAttrs([]slog.Attr) slog.Handler               { return h }
func (h *heard) WithGroup(string) slog.Handler                    { return h }

func (h *heard) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	warning := r.Level >= slog.LevelWarn
	if h.warnings == nil {
		h.warnings, h.errors = make(map[string]int), make(map[string]string)
	}
	if warning {
		h.warnings[r.Message]++
	}
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == "error" && warning:
			h.errors[r.Message] = a.Value.String()
		case a.Key == "analyzed":
			h.analyzed += a.Value.Int64()
		case a.Key == "reused":
			h.kept += a.Value.Int64()
		}
		return true
	})
	return nil
}

func (h *heard) layers() (analyzed, reused int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.analyzed, h.kept
}
