package agent

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// only returns the one result that the console has of a lease.
func (c *console) only(lease string) (found api.ScanResult) {
	c.t.Helper()
	c.until("the result of "+lease, func() bool {
		for _, r := range c.results {
			if r.Lease == lease {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

func TestScanIsDelivered(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	id := f.id(t, "sample/shop:1.0")
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: id, Attempt: 2, Timeout: 60}})
	c := config(t, f)
	stop := start(t, c, to)
	r := to.only("one")
	if r.Status != plimsoll.ScanComplete || r.Image != id || r.Attempt != 2 || r.Private || r.Inventory == nil || len(r.Inventory.Packages) == 0 {
		t.Errorf("got %+v", r)
	}
	if r.Analyzed != 3 || r.Reused != 0 {
		t.Errorf("read %d layers, reused %d", r.Analyzed, r.Reused)
	}
	to.until("the spool is empty", func() bool {
		held, _ := filepath.Glob(filepath.Join(c.StateDir, "spool", "*"))
		return len(held) == 0
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// An image that is gone or was never here is a result, too.
func TestFailedScanIsDelivered(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: "sha256:gone", Timeout: 60}})
	start(t, config(t, f), to)
	if r := to.only("one"); r.Status != plimsoll.ScanFailed || r.Problem == nil || r.Problem.Code != plimsoll.ProblemImageGone || r.Inventory != nil {
		t.Errorf("got %+v", r)
	}
}

// A layer is read once in the fleet: the second host takes its facts from the
// console, and both come to the same inventory.
func TestFactsOfLayersAreShared(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	id := f.id(t, "sample/shop:1.0")
	to.give(api.Work{Scan: &api.Lease{ID: "first", Image: id, Timeout: 60}})
	stop := start(t, config(t, f), to)
	first := to.only("first")
	to.until("the layers are known", func() bool { return len(to.images[id].Layers) == 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if len(to.facts) != 3 || to.factGets != 0 {
		t.Fatalf("the console keeps facts of %d layers and was asked %d times", len(to.facts), to.factGets)
	}
	var have []plimsoll.Digest
	for _, l := range to.images[id].Layers[:2] {
		have = append(have, l.DiffID)
	}
	to.give(api.Work{Scan: &api.Lease{ID: "second", Image: id, Timeout: 60, Have: have}})
	start(t, config(t, f), to) // another host: nothing is in its cache
	second := to.only("second")
	if second.Analyzed != 1 || second.Reused != 2 || to.factGets != 2 {
		t.Errorf("read %d, reused %d, asked %d times", second.Analyzed, second.Reused, to.factGets)
	}
	if fmt.Sprint(*first.Inventory) != fmt.Sprint(*second.Inventory) {
		t.Error("shared facts make another inventory")
	}
}

// What a console sends as facts is not believed: damaged facts, or those of
// another layer, are a miss.
func TestForgedFactsAreAMiss(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	id := f.id(t, "sample/shop:1.0")
	to.give(api.Work{Scan: &api.Lease{ID: "first", Image: id, Timeout: 60}})
	stop := start(t, config(t, f), to)
	first := to.only("first")
	to.until("the layers are known", func() bool { return len(to.images[id].Layers) == 3 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	var have []plimsoll.Digest
	for _, l := range to.images[id].Layers {
		have = append(have, l.DiffID)
	}
	to.mu.Lock()
	var keys []string
	for key := range to.facts {
		keys = append(keys, key)
	}
	to.facts[keys[0]] = to.facts[keys[1]] // of another layer
	to.facts[keys[1]] = []byte("no facts at all")
	to.facts[keys[2]] = nil
	to.mu.Unlock()
	to.give(api.Work{Scan: &api.Lease{ID: "second", Image: id, Timeout: 60, Have: have}})
	start(t, config(t, f), to)
	second := to.only("second")
	if second.Analyzed != 3 || fmt.Sprint(*first.Inventory) != fmt.Sprint(*second.Inventory) {
		t.Errorf("read %d layers; the inventories differ or forged facts were used", second.Analyzed)
	}
}

// What a user's store holds under a digest neither comes from the fleet nor
// goes to it, whoever of the two says that it is private.
func TestPrivateStoresShareNothing(t *testing.T) {
	for _, byStore := range []bool{true, false} {
		t.Run(fmt.Sprintf("store says %v", byStore), func(t *testing.T) {
			f, to := newFixture(t), newConsole(t)
			f.private = byStore
			lease := api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60, Private: !byStore}
			l, err := f.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, img := range l.Images {
				for _, layer := range img.Layers {
					lease.Have = append(lease.Have, layer.DiffID)
				}
			}
			to.give(api.Work{Scan: &lease})
			start(t, config(t, f), to)
			if r := to.only("one"); !r.Private || r.Status != plimsoll.ScanComplete || r.Analyzed != 1 {
				t.Errorf("got %+v", r)
			}
			if len(to.facts) != 0 || to.factGets != 0 {
				t.Errorf("%d facts sent, %d asked for", len(to.facts), to.factGets)
			}
		})
	}
}

// A console that is busy is sent facts again: other hosts wait for them.
func TestFactsAreSentToABusyConsoleAgain(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	left := 2
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		if left == 0 || !strings.HasSuffix(r.URL.Path, "/facts") {
			return false
		}
		left--
		refuse(w, http.StatusServiceUnavailable, "unavailable")
		return true
	}
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
	start(t, config(t, f), to)
	if to.only("one"); left != 0 || len(to.facts) != 1 {
		t.Errorf("%d refusals to come, facts of %d layers", left, len(to.facts))
	}
}

// Facts that the console does not take cost no result.
func TestFactsThatAreRefusedCostNoResult(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/facts") {
			refuse(w, http.StatusInsufficientStorage, "full")
			return true
		}
		return false
	}
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
	start(t, config(t, f), to)
	if r := to.only("one"); r.Status != plimsoll.ScanComplete {
		t.Errorf("got %+v", r)
	}
}

// SYS-05: a scan ends when the console says so.
func TestSYS05RunningScanIsStopped(t *testing.T) {
	for name, fault := range map[string]func(*console){
		"by a user": func(to *console) { to.stop["one"] = true },
		"by a lost lease": func(to *console) {
			to.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/one/progress") {
					refuse(w, http.StatusNotFound, "not_found")
					return true
				}
				return false
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, to := newFixture(t), newConsole(t)
			f.hold = make(chan struct{}) // never ends by itself
			fault(to)
			to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
			start(t, config(t, f), to)
			to.until("the scan runs", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.reads == 1 })
			to.until("the agent is idle", func() bool { return len(to.beats) > 0 && to.beats[len(to.beats)-1].Scanning == 0 })
			// The next lease is done, and nothing was reported of the first.
			f.mu.Lock()
			f.hold = nil
			f.mu.Unlock()
			to.give(api.Work{Scan: &api.Lease{ID: "two", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
			to.only("two")
			if len(to.results) != 1 || len(to.returned) != 0 {
				t.Errorf("%d results, given back %v", len(to.results), to.returned)
			}
		})
	}
}

func TestLeaseIsRenewedAndTimeRunsOut(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	f.hold = make(chan struct{})
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/shop:1.0"), Timeout: 60}})
	start(t, config(t, f), to)
	to.until("progress with the number of layers", func() bool { return len(to.progress) > 1 && to.progress[len(to.progress)-1].Total == 3 })
	close(f.hold)
	to.only("one")
}

// The lease of what is read lasts until the console has it: one that is too busy
// must not have another host read it again.
func TestLeaseIsRenewedUntilTheResultIsDelivered(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	busy := true
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		if busy && strings.Contains(r.URL.Path, "/results/") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/shop:1.0"), Timeout: 60}})
	start(t, config(t, f), to)
	to.until("it is spooled", func() bool { return to.beats != nil && to.beats[len(to.beats)-1].Spooled == 1 })
	to.mu.Lock()
	told := len(to.progress)
	to.mu.Unlock()
	to.until("its lease is renewed", func() bool { return len(to.progress) > told+1 })
	if p := to.progress[len(to.progress)-1]; p.Done != 3 || p.Total != 3 {
		t.Errorf("the progress is %+v", p)
	}
	to.mu.Lock()
	to.stop["one"] = true // a lease that is lost loses no result
	busy = false
	to.mu.Unlock()
	to.only("one")
}

// An agent that is stopped gives back what it has not read.
func TestLeaseIsGivenBack(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	f.hold = make(chan struct{})
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
	stop := start(t, config(t, f), to)
	to.until("the scan runs", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.reads == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if len(to.returned) != 1 || to.returned[0] != "one" || len(to.results) != 0 {
		t.Errorf("given back %v, %d results", to.returned, len(to.results))
	}
}

// SYS-03: a report is delivered at least once whatever the network does, and what
// the console refuses for good is not sent again: that the scan failed is.
func TestSYS03Delivery(t *testing.T) {
	status := func(code int, header ...string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if len(header) == 2 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		}
	}
	cut := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		w.Write([]byte("{"))
		panic(http.ErrAbortHandler)
	}
	for name, test := range map[string]struct {
		faults    []func(http.ResponseWriter)
		delivered bool
	}{
		"busy":             {[]func(http.ResponseWriter){status(503), status(503), status(500)}, true},
		"busy for a while": {[]func(http.ResponseWriter){status(429, "Retry-After", "1")}, true},
		"cut off":          {[]func(http.ResponseWriter){cut, cut}, true},
		"proxy refuses":    {[]func(http.ResponseWriter){status(403), status(401), status(408)}, true},
		"being upgraded":   {[]func(http.ResponseWriter){status(426)}, true},
		"refused for good": {[]func(http.ResponseWriter){status(400)}, false},
		"too large":        {[]func(http.ResponseWriter){status(413)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, to := newFixture(t), newConsole(t)
			met := 0
			to.fault = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/results/") {
					return false
				}
				to.mu.Lock()
				i := met
				met++
				to.mu.Unlock()
				if i >= len(test.faults) {
					return false
				}
				test.faults[i](w)
				return true
			}
			to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
			c := config(t, f)
			started := time.Now()
			stop := start(t, c, to)
			if test.delivered {
				to.only("one")
				if len(to.results) != 1 || to.puts != 1 || met != len(test.faults)+1 {
					t.Errorf("%d results of %d attempts", len(to.results), met)
				}
				if name == "busy for a while" && time.Since(started) < time.Second {
					t.Error("it came before the console wanted it")
				}
			} else {
				to.until("it is counted", func() bool { return to.beats != nil && to.beats[len(to.beats)-1].Dropped == 1 })
				to.only("one")
				var got api.ScanResult
				for _, got = range to.results {
				}
				if len(to.results) != 1 || met != 2 || got.Status != plimsoll.ScanFailed || got.Inventory != nil || got.Problem == nil || !strings.Contains(got.Problem.Detail, "refused") {
					t.Errorf("sent %d times, %+v", met, to.results)
				}
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// SYS-01: what was read while the console was away comes after a restart, and what a
// crash left half written does not.
func TestSYS01SpoolSurvivesARestart(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	down := true
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		if down && strings.Contains(r.URL.Path, "/results/") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
	stop := start(t, c, to)
	to.until("it is spooled", func() bool { return to.beats != nil && to.beats[len(to.beats)-1].Spooled == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(c.StateDir, "spool", tempPrefix+"torn")
	damaged := filepath.Join(c.StateDir, "spool", "0000000000000000001-r-i-0123456789abcdef"+spoolSuffix)
	for _, path := range []string{torn, damaged} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to.mu.Lock()
	down = false
	to.mu.Unlock()
	rerun(t, c)
	to.only("one")
	to.until("the damaged one is counted", func() bool {
		last := to.beats[len(to.beats)-1]
		return last.Dropped == 1 && last.Spooled == 0
	})
	for _, path := range []string{torn, damaged} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", filepath.Base(path))
		}
	}
}

func spoolOf(t *testing.T, dir string) *spool {
	t.Helper()
	s, err := openSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *spool, report string, image string, size int) (dropped int) {
	t.Helper()
	dropped, err := s.put(api.ScanResult{Report: report, Image: plimsoll.Digest("sha256:" + image)}, make([]byte, size), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

// The full spool loses first what a newer report of the same image makes
// worthless, then what is oldest.
func TestFullSpoolDropsTheSuperseded(t *testing.T) {
	s := spoolOf(t, t.TempDir())
	s.maxFiles = 3
	put(t, s, "r1", "a", 10)
	put(t, s, "r2", "b", 10)
	put(t, s, "r3", "b", 10)
	reports := func() (list []string) {
		for _, f := range spoolOf(t, s.dir).held { // as a restart sees them
			list = append(list, f.report)
		}
		return list
	}
	for _, step := range []struct{ report, image, want string }{
		{"r4", "c", "[r1 r3 r4]"}, // r2 was superseded by r3
		{"r5", "a", "[r3 r4 r5]"}, // r1 by r5 itself
		{"r6", "d", "[r4 r5 r6]"}, // none: the oldest goes
	} {
		if dropped := put(t, s, step.report, step.image, 10); dropped != 1 || fmt.Sprint(reports()) != step.want {
			t.Errorf("%s: dropped %d, holds %v, want %s", step.report, dropped, reports(), step.want)
		}
	}
	s.maxFiles, s.maxBytes = 100, 45
	if dropped := put(t, s, "r7", "e", 40); dropped != 3 || fmt.Sprint(reports()) != "[r7]" {
		t.Errorf("dropped %d, holds %v", dropped, reports())
	}
	if _, err := s.put(api.ScanResult{Report: "r8", Image: "sha256:f"}, make([]byte, 46), time.Now()); plimsoll.CodeOf(err) != plimsoll.CodeLimit || s.count() != 1 {
		t.Errorf("a report larger than the spool: %v, holds %d", err, s.count())
	}
}

// On a full disk what is spooled stays whole, and a new report says that it is
// not kept.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot make a small file system: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	s := spoolOf(t, filepath.Join(dir, "spool"))
	put(t, s, "r1", "a", 30<<10)
	if _, err := s.put(api.ScanResult{Report: "r2", Image: "sha256:b"}, make([]byte, 60<<10), time.Now()); err == nil {
		t.Fatal("a full disk took a report")
	}
	again := spoolOf(t, s.dir)
	if f, body, damaged, ok := again.next(); !ok || damaged != 0 || f.report != "r1" || len(body) != 30<<10 {
		t.Errorf("after a restart: %+v, %d bytes, %d damaged", f, len(body), damaged)
	}
	left, _ := filepath.Glob(filepath.Join(s.dir, tempPrefix+"*"))
	if len(left) != 0 || again.count() != 1 {
		t.Errorf("left half written: %v; holds %d", left, again.count())
	}
	// A newer report of the same image takes the place of the old one.
	if dropped := put(t, again, "r3", "a", 50<<10); dropped != 1 || again.count() != 1 {
		t.Errorf("dropped %d, holds %d", dropped, again.count())
	}
}

// A result that no disk takes is delivered from memory.
func TestResultIsDeliveredWithoutASpool(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	join(t, c, to)
	a, err := open(c)
	if err != nil {
		t.Fatal(err)
	}
	a.spool.maxBytes = 1
	a.report(t.Context(), api.ScanResult{Report: "r", Lease: "one", Image: "sha256:a"})
	if to.only("one"); a.dropped.Load() != 0 {
		t.Error("it was counted as dropped")
	}
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	a.report(t.Context(), api.ScanResult{Report: "r2", Lease: "two", Image: "sha256:a"})
	if a.dropped.Load() != 1 || len(to.returned) != 1 || to.returned[0] != "two" {
		t.Errorf("dropped %d, given back %v", a.dropped.Load(), to.returned)
	}
}

// A console takes no text with NUL, none of any length, and not any number of
// packages; what is cut is told.
func TestResultFitsTheConsole(t *testing.T) {
	a := &Agent{}
	r := api.ScanResult{Status: plimsoll.ScanComplete, Inventory: &plimsoll.Inventory{Systems: []plimsoll.OS{{ID: "\xff"}}, Packages: []plimsoll.Package{{Name: "a\x00b", Arch: strings.Repeat("a", api.MaxArch+1), Path: strings.Repeat("é", api.MaxPath)}}}}
	if _, err := a.encodeResult(&r); err != nil || r.Inventory.Packages[0].Name != "a\uFFFDb" || len(r.Inventory.Packages[0].Path) != api.MaxPath {
		t.Errorf("%v, %.20q", err, r.Inventory.Packages[0].Name)
	}
	if p := r.Inventory.Problems; len(p) != 1 || p[0].Code != plimsoll.ProblemLimit || p[0].Count != 4 {
		t.Errorf("problems are %+v, want one that counts four cut texts", p)
	}
	r.Inventory.Packages = make([]plimsoll.Package, api.MaxPackages+1)
	if _, err := a.encodeResult(&r); err != nil || r.Status != plimsoll.ScanFailed || r.Inventory != nil || r.Problem.Code != plimsoll.ProblemLimit {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestSettingsWithinReason(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	join(t, c, to)
	a, err := open(c)
	if err != nil {
		t.Fatal(err)
	}
	before := *a.settings.Load()
	a.applySettings(api.AgentSettings{})
	if got := *a.settings.Load(); got.MemoryMB != before.MemoryMB || got.CPUPercent != before.CPUPercent || got.SyncHours != before.SyncHours {
		t.Errorf("absent settings: %+v", got)
	}
	a.applySettings(api.AgentSettings{MemoryMB: 1, CPUPercent: -3, SyncHours: 1 << 40, ScanTimeout: 1})
	if got := *a.settings.Load(); got.MemoryMB != 64 || got.CPUPercent != 5 || got.SyncHours != 168 || got.ScanTimeout != 10 {
		t.Errorf("absurd settings: %+v", got)
	}
	a.applySettings(before)
}
