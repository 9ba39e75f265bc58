package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cost is what a command took with every process that it started.
type Cost struct {
	Wall time.Duration // until the command itself ended
	CPU  time.Duration // user and system, of all processes
	Memory
}

// Memory is the most that was seen of processes, in bytes.
type Memory struct {
	All     int64 // that they held at one time, pages that they share counted once
	Largest int64 // of one of them, by the kernel, whenever that was
}

func (m *Memory) add(other Memory) {
	m.All, m.Largest = max(m.All, other.All), max(m.Largest, other.Largest)
}

// Run runs cmd to its end and looks at its memory in intervals of look; 0 means never,
// because looking takes time.
func Run(cmd *exec.Cmd, look time.Duration) (Cost, error) {
	// A process whose parent ends first is handed to us, and with it what it took.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return Cost{}, fmt.Errorf("adopt orphans: %w", err)
	}
	// A session of its own tells its processes from all others.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	if cmd.Stderr == nil {
		cmd.Stderr = &stderr
	}
	var c Cost
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return c, err
	}
	session := cmd.Process.Pid
	ended := make(chan struct{})
	peak := make(chan Memory)
	go func() { peak <- watch(session, look, ended) }()
	err := cmd.Wait()
	c.Wall = time.Since(start)
	close(ended)
	c.Memory = <-peak
	c.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	for _, pid := range processes(session) {
		var usage syscall.Rusage
		if _, err := syscall.Wait4(pid, nil, 0, &usage); err == nil {
			c.CPU += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		}
	}
	if err != nil {
		return c, fmt.Errorf("%v: %w: %.2000s", cmd.Args, err, stderr.String())
	}
	return c, nil
}

// watch looks at the memory of a session until ended is closed. The largest resident
// size that wait4(2) tells would be ours for a small process: it begins as our copy.
func watch(session int, look time.Duration, ended <-chan struct{}) (peak Memory) {
	if look == 0 {
		<-ended
		return peak
	}
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	for {
		select {
		case <-ended:
			return peak
		case <-ticks.C:
			peak.add(Look(session))
		}
	}
}

// Look tells the memory of a session's processes now. Between fork and exec a process
// still is in its parent's memory, which counts once: the stack tells.
func Look(session int) (m Memory) {
	stacks := make(map[string]bool)
	for _, pid := range processes(session) {
		if stack := stat(pid)[25]; stack != "0" && stacks[stack] {
			continue
		} else {
			stacks[stack] = true
		}
		m.All += kilobytes(pid, "smaps_rollup", pss)
		m.Largest = max(m.Largest, kilobytes(pid, "status", highest))
	}
	return m
}

var (
	pss     = regexp.MustCompile(`(?m)^Pss:\s+(\d+) kB$`)
	highest = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)
)

// kilobytes returns a size in bytes that a file of /proc tells, 0 when the process is
// gone.
func kilobytes(pid int, file string, pattern *regexp.Regexp) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	m := pattern.FindSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// ProcessorTime returns what the living processes of a session have used until now.
func ProcessorTime(session int) (used time.Duration) {
	const tick = 10 * time.Millisecond // proc_pid_stat(5)
	for _, pid := range processes(session) {
		f := stat(pid)
		user, _ := strconv.ParseInt(f[11], 10, 64)
		system, _ := strconv.ParseInt(f[12], 10, 64)
		used += time.Duration(user+system) * tick
	}
	return used
}

// processes lists those of a session, dead ones that nobody has waited for included.
func processes(session int) (pids []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && stat(pid)[3] == strconv.Itoa(session) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat returns the fields of proc_pid_stat(5) after the name of the program, which may
// hold spaces: empty ones when the process is gone.
func stat(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return append(f, make([]string, max(0, 26-len(f)))...)
}

// Access is what a command and all that it started did to files.
type Access struct {
	Opened int   // regular files of the store, for reading
	Read   int64 // bytes of them
	Kept   int64 // bytes written below the cache
	Wrote  int64 // bytes written to any other file
}

// Trace runs cmd under strace and tells what it does to the files of a store.
func Trace(cmd *exec.Cmd, store, cache string) (Access, error) {
	dir, err := os.MkdirTemp("", "trace")
	if err != nil {
		return Access{}, err
	}
	defer os.RemoveAll(dir)
	strace, err := exec.LookPath("strace")
	if err != nil {
		return Access{}, err
	}
	// -ff gives each thread a file of its own, so no call is split in two.
	cmd.Args = append([]string{strace, "-ff", "--seccomp-bpf", "-qq", "-y", "-z", "-s", "0", "-e", "signal=none",
		"-e", "trace=open,openat,openat2,read,pread64,readv,preadv,write,pwrite64,writev,pwritev", "-o", filepath.Join(dir, "t"), cmd.Path}, cmd.Args[1:]...)
	cmd.Path = strace
	if out, err := cmd.CombinedOutput(); err != nil {
		return Access{}, fmt.Errorf("%v: %w: %.2000s", cmd.Args, err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "t.*"))
	if err != nil {
		return Access{}, err
	}
	var a Access
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return Access{}, err
		}
		for line := range strings.Lines(string(text)) {
			a.count(line, store, cache)
		}
	}
	return a, nil
}

var (
	// name(…) = result</path of result>
	opened = regexp.MustCompile(`^open\w*\(.* = \d+<(/[^>]*)>$`)
	// name(descriptor</path>, …) = bytes
	moved = regexp.MustCompile(`^p?(read|write)\w*\(\d+<(/[^>]*)>.* = (\d+)$`)
)

// count takes one line of strace's output.
func (a *Access) count(line, store, cache string) {
	line = strings.TrimSuffix(line, "\n")
	below := func(path, dir string) bool { return strings.HasPrefix(path, dir+"/") }
	if m := opened.FindStringSubmatch(line); m != nil {
		if below(m[1], store) && !strings.Contains(line, "O_PATH") && !strings.Contains(line, "O_DIRECTORY") {
			a.Opened++
		}
		return
	}
	m := moved.FindStringSubmatch(line)
	if m == nil {
		return
	}
	n, _ := strconv.ParseInt(m[3], 10, 64)
	switch {
	case m[1] == "read" && below(m[2], store):
		a.Read += n
	case m[1] == "read" || strings.HasPrefix(m[2], "/memfd:") || below(m[2], "/dev") || below(m[2], "/proc"):
	case below(m[2], cache):
		a.Kept += n
	default:
		a.Wrote += n
	}
}
