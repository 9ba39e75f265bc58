package sandbox

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// throttle keeps the process below a share of one processor while it scans: an
// analyser that starts when too much was used waits first.
type throttle struct {
	percent int

	mu    sync.Mutex
	since time.Time     // start of the window that is counted
	used  time.Duration // processor time at since
}

// Of a window, and of one pause.
const (
	throttleWindow = 10 * time.Second
	throttlePause  = time.Second
)

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

// wait waits as long as pause says.
func (t *throttle) wait() {
	if t.percent <= 0 {
		return
	}
	if d := t.pause(time.Now(), processorTime()); d > time.Millisecond {
		time.Sleep(d)
	}
}

// processorTime returns what this process has used of all processors.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
