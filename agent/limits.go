package agent

import (
	"cmp"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll/api"
	"plimsoll/inventory"
)

const (
	niceness = 19
	// ioprio_set(2): class idle, of one thread.
	ioWhoProcess = 1
	ioClassIdle  = 3 << 13
)

// beKind lets every other process go first: for the processor and, where the
// disk's scheduler knows classes, for the disk. Threads inherit it. Where it is
// not allowed nothing is lost but kindness.
func (a *Agent) beKind() {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			err1 := unix.Setpriority(unix.PRIO_PROCESS, id, niceness)
			_, _, err2 := unix.Syscall(unix.SYS_IOPRIO_SET, ioWhoProcess, uintptr(id), ioClassIdle)
			if err1 != nil || err2 != 0 {
				a.Log.Debug("priority not lowered", "error", err1, "errno", int(err2))
			}
		}
	}
}

// applySettings takes over the fleet's settings, within reason. One that is
// absent stays as it is.
func (a *Agent) applySettings(s api.AgentSettings) {
	old := a.settings.Load()
	s.SyncHours, s.ScanTimeout = cmp.Or(s.SyncHours, old.SyncHours), cmp.Or(s.ScanTimeout, old.ScanTimeout)
	s.MemoryMB, s.CPUPercent = cmp.Or(s.MemoryMB, old.MemoryMB), cmp.Or(s.CPUPercent, old.CPUPercent)
	s.SyncHours = min(max(s.SyncHours, 1), 168)
	s.ScanTimeout = min(max(s.ScanTimeout, 10), 86400)
	s.MemoryMB = min(max(s.MemoryMB, 64), 65536)
	s.CPUPercent = min(max(s.CPUPercent, 5), 1600)
	a.settings.Store(&s)
	if !a.Shared {
		debug.SetMemoryLimit(int64(s.MemoryMB) << 20)
		runtime.GOMAXPROCS(min(runtime.NumCPU(), (s.CPUPercent+99)/100))
		a.throttle.set(s.CPUPercent)
	}
	if old.SyncHours != s.SyncHours {
		signal(a.changes)
	}
}

// watchMemory ends a scan when the process needs half as much again as its soft
// limit, at which the collector already works as hard as it can.
func (a *Agent) watchMemory(ctx context.Context, s *scan) {
	for wait(ctx, time.Second) == nil {
		if hard := uint64(a.settings.Load().MemoryMB) << 20 * 3 / 2; !a.Shared && heapInUse() > hard {
			s.cancel(errNoMemory)
			return
		}
	}
}

// heapInUse returns the bytes of memory that the Go runtime holds.
func heapInUse() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// throttle keeps the process below a share of one processor while it scans: an
// analyser that starts when too much was used waits first.
type throttle struct {
	mu      sync.Mutex
	percent int
	since   time.Time     // start of the window that is counted
	used    time.Duration // processor time at since
}

// Of a window, and of one pause.
const (
	throttleWindow = 10 * time.Second
	throttlePause  = time.Second
)

func (t *throttle) set(percent int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.percent = percent
}

// pause returns how long to wait at now, when the process has used that much
// processor time in all.
func (t *throttle) pause(now time.Time, used time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.since) > throttleWindow || t.since.IsZero() {
		t.since, t.used = now, used
	}
	if t.percent <= 0 {
		return 0
	}
	due := (used - t.used) * 100 / time.Duration(t.percent) // wall time that the use is worth
	return min(max(0, due-now.Sub(t.since)), throttlePause)
}

// throttled is an analyser that waits its turn.
type throttled struct {
	inventory.Analyzer
	throttle *throttle
}

func (t throttled) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	if d := t.throttle.pause(time.Now(), processorTime()); d > time.Millisecond {
		wait(ctx, d) // when ctx has ended the analyser notices
	}
	return t.Analyzer.Analyze(ctx, f)
}

// processorTime returns what this process has used of all processors.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
