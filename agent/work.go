package agent

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/inventory"
)

// maxScans bounds the images that are read at once, whatever the console says.
const maxScans = 16

// Why a scan is cancelled.
var (
	errStopped = errors.New("the console stopped the scan")
	errLeaving = errors.New("the agent stops")
)

// scan is one image that is being read.
type scan struct {
	lease  api.Lease
	cancel context.CancelCauseFunc
	done   atomic.Int64 // layers
	read   atomic.Int64 // of those, not from a cache
}

// work asks the console for work and does it, until ctx ends; then it gives back
// what is not finished. The console counts how much a host has to do, so the
// agent goes on asking while it scans: lists of images are asked for this way.
func (a *Agent) work(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	a.scans.mu.Lock()
	a.scans.running = make(map[string]*scan)
	a.scans.mu.Unlock()
	for failures := 0; ; {
		w, err := a.askWork(ctx)
		if fatal := a.refused(ctx, err); fatal != nil {
			return fatal
		}
		if err != nil {
			failures++
			if ctx.Err() == nil && failures == 1 {
				a.Log.Warn("no work from the console", "error", err)
			}
			if err := wait(ctx, a.backoff(failures, err)); err != nil {
				return err
			}
			continue
		}
		failures = 0
		if len(w.Sync) > 0 {
			select {
			case a.syncNow <- syncRequest{w.Sync}:
			case <-ctx.Done():
			}
		}
		if w.Scan != nil {
			a.start(ctx, *w.Scan, &running)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (a *Agent) askWork(ctx context.Context) (w api.Work, err error) {
	wait := time.Duration(a.pace.poll) * time.Second
	ctx, cancel := context.WithTimeout(ctx, wait+callTimeout)
	defer cancel()
	_, err = a.client.Call(ctx, http.MethodGet, api.AgentPath+"/work", url.Values{"wait": {strconv.Itoa(a.pace.poll)}}, nil, &w)
	return w, err
}

// start reads the image of a lease in the background.
func (a *Agent) start(ctx context.Context, lease api.Lease, running *sync.WaitGroup) {
	a.scans.mu.Lock()
	defer a.scans.mu.Unlock()
	if a.scans.running[lease.ID] != nil {
		return // an answer that came twice
	}
	if len(a.scans.running) >= maxScans || ctx.Err() != nil {
		running.Go(func() { a.giveBack(lease) })
		return
	}
	scanning, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	s := &scan{lease: lease, cancel: cancel}
	a.scans.running[lease.ID] = s
	running.Go(func() {
		leaving := context.AfterFunc(ctx, func() { cancel(errLeaving) })
		defer leaving()
		a.scan(scanning, s)
		cancel(nil)
		a.scans.mu.Lock()
		delete(a.scans.running, lease.ID)
		a.scans.mu.Unlock()
	})
}

// scan reads the image and spools what came of it.
func (a *Agent) scan(ctx context.Context, s *scan) {
	var helpers sync.WaitGroup
	watching, end := context.WithCancel(ctx)
	helpers.Go(func() { a.renewLease(watching, s) })
	result := a.readImage(ctx, s)
	end()
	helpers.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStopped) && result.Status == plimsoll.ScanFailed:
		a.Log.Info("scan stopped", "image", s.lease.Image)
		return
	case errors.Is(cause, errLeaving) && result.Status == plimsoll.ScanFailed:
		a.giveBack(s.lease)
		return
	}
	a.Log.Info("image read", "image", s.lease.Image, "status", result.Status, "analyzed", result.Analyzed, "reused", result.Reused, "dur", result.Ended.Sub(result.Started))
	a.report(ctx, result)
}

// readImage reads the image of a lease.
func (a *Agent) readImage(ctx context.Context, s *scan) api.ScanResult {
	result := api.ScanResult{
		Report: randomID(), Lease: s.lease.ID, Image: s.lease.Image, Attempt: s.lease.Attempt, Started: a.Now(),
	}
	timeout := time.Duration(s.lease.Timeout) * time.Second
	if timeout <= 0 {
		timeout = time.Duration(a.settings.Load().ScanTimeout) * time.Second
	}
	r, private := a.Stores.Read(ctx, s.lease.Image, timeout, func(private bool) *inventory.Scanner {
		return a.scanner(ctx, s, private || s.lease.Private)
	})
	result.Ended, result.Status, result.Private = a.Now(), r.Status, private || s.lease.Private
	if r.Problem != nil {
		p := wireProblem(*r.Problem)
		result.Problem = &p
	}
	if r.Status != plimsoll.ScanFailed {
		result.Inventory = &r.Inventory
	}
	result.Analyzed = int(s.read.Load())
	result.Reused = max(0, len(r.Image.Layers)-result.Analyzed)
	if r.Status == plimsoll.ScanFailed {
		result.Reused = max(0, int(s.done.Load())-result.Analyzed)
	}
	return result
}

// scanner returns the scanner of one scan. What a private store holds neither
// comes from the fleet nor goes to it.
func (a *Agent) scanner(ctx context.Context, s *scan, private bool) *inventory.Scanner {
	shared := &sharedCache{agent: a, ctx: ctx, local: a.Cache}
	scanner := a.NewScanner(shared)
	if !private {
		scanner.Vouched = func(plimsoll.Image) bool { return true }
		shared.share(scanner, s.lease.Have)
	}
	scanner.Counted = func(_ plimsoll.Digest, cached bool) {
		s.done.Add(1)
		if !cached {
			s.read.Add(1)
		}
	}
	scanner.Limits = a.limits()
	return scanner
}

// renewLease tells the console how far a scan is, and cancels it when the
// console says so. While the console cannot be reached the scan goes on: its
// result will be welcome.
func (a *Agent) renewLease(ctx context.Context, s *scan) {
	for wait(ctx, a.pace.renew) == nil {
		total := max(a.state.layersOf(s.lease.Image), int(s.done.Load()))
		if a.renewOnce(ctx, s.lease.ID, api.Progress{Done: int(s.done.Load()), Total: total}) {
			s.cancel(errStopped)
			return
		}
	}
}

// renewSpooled renews the leases of what is read and not yet delivered: a
// console that is too busy to take it would else have it read again, and would
// go on giving this host more than it can take.
func (a *Agent) renewSpooled(ctx context.Context) error {
	for wait(ctx, a.pace.renew) == nil {
		for _, f := range a.spool.leased(a.Now()) {
			layers := a.state.layersOf(plimsoll.Digest("sha256:" + f.image))
			if a.renewOnce(ctx, f.lease, api.Progress{Done: layers, Total: layers}) {
				a.spool.unlease(f)
			}
		}
	}
	return ctx.Err()
}

// renewOnce says whether the lease is lost, or the scan was stopped.
func (a *Agent) renewOnce(ctx context.Context, lease string, p api.Progress) (lost bool) {
	var answer api.ProgressAnswer
	err := a.call(ctx, http.MethodPost, "/leases/"+url.PathEscape(lease)+"/progress", p, &answer)
	var e *api.Error
	if err == nil || errors.As(err, &e) && !e.Temporary() {
		return err != nil || answer.Stop
	}
	if ctx.Err() == nil {
		a.Log.Warn("lease not renewed", "error", err)
	}
	return false
}

// giveBack returns a lease so that another host, or this one later, reads the
// image without an attempt being counted.
func (a *Agent) giveBack(lease api.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := a.call(ctx, http.MethodDelete, "/leases/"+url.PathEscape(lease.ID), nil, nil); err != nil {
		a.Log.Warn("lease not given back", "error", err)
	}
}
