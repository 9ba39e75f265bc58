package agent

import (
	"cmp"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

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
	}
	if old.SyncHours != s.SyncHours {
		signal(a.changes)
	}
}

// limits are those of a process that reads an image. Those that run at once share
// the processors.
func (a *Agent) limits() inventory.Limits {
	if a.Shared {
		return inventory.Limits{}
	}
	s := a.settings.Load()
	return inventory.Limits{Memory: int64(s.MemoryMB) << 20, CPUPercent: max(1, s.CPUPercent/max(1, s.Concurrency))}
}
