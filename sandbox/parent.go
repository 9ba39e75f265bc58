package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// reading is an image that is read, in one child after another.
type reading struct {
	sandbox *Sandbox
	scanner *inventory.Scanner
	task    inventory.Task
	workers int
	skip    []inventory.Skipped
	stale   map[int]bool // layers whose facts in the cache are damaged
	counted map[int]bool // layers that were told to Counted
	held    Restrictions
}

// process is one child.
type process struct {
	*reading
	cmd    *exec.Cmd
	in     *os.File
	out    *os.File
	socket *os.File // for scratch files
	board  *board
	stderr tail
	ended  chan struct{} // it is gone
	// helpers end with the child; they use the board and the socket.
	helpers sync.WaitGroup

	ready atomic.Bool // it has given up its rights

	mu     sync.Mutex
	killed string // why this process killed it, part of a sentence
	stuck  []suspect
	peak   int64 // bytes of memory, as often as it was looked at
	writes sync.Mutex
}

// attempt reads the image in one child. The error is a *death when the child ended
// without telling anything.
func (r *reading) attempt(ctx context.Context) (plimsoll.Inventory, error) {
	const op = "start the process that reads images"
	p := &process{reading: r, ended: make(chan struct{})}
	j, files, err := r.job()
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return plimsoll.Inventory{}, err
	}
	if err := p.start(j, files); err != nil {
		close(p.ended)
		p.close()
		return plimsoll.Inventory{}, plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	silent := true
	defer func() {
		if silent {
			p.close()
		} else {
			go p.close() // it has said all: nobody waits for the kernel to take it down
		}
	}()
	if err := p.limit(ctx, j); err != nil {
		p.kill("its limits cannot be set")
		return plimsoll.Inventory{}, plimsoll.Errorf(plimsoll.CodeUnavailable, op, "%w", err)
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	p.helpers.Go(func() { p.watch(watching) })
	p.helpers.Go(func() {
		giveFiles(p.socket, maxAsked, func(i int) (*os.File, error) {
			if i < 0 || i >= len(r.task.Layers) {
				return nil, os.ErrInvalid
			}
			return layerfs.Scratch(r.task.Layers[i])
		})
	})
	go p.feed(j)
	inv, err := p.listen(j)
	silent = err != nil
	if err == nil || !errors.Is(err, errSilent) {
		return inv, err
	}
	return inv, p.autopsy()
}

// job makes the order for the child and the files that it inherits with it.
func (r *reading) job() (*job, []*os.File, error) {
	j := &job{
		ImageID: r.task.ImageID, Diffs: r.task.Diffs, Scope: r.task.Scope, Cached: r.scanner.Cache != nil,
		Workers: max(1, r.workers), CPUPercent: r.scanner.Limits.CPUPercent, Skip: r.skip,
	}
	var files []*os.File
	for _, l := range r.task.Layers {
		parcel, fds, err := layerfs.Pack(l)
		files = append(files, fds...)
		if err != nil {
			return nil, files, err
		}
		j.Layers = append(j.Layers, parcel)
	}
	return j, files, nil
}

// start starts the child. What it opened for p is closed by close, in any case.
func (p *process) start(j *job, files []*os.File) error {
	b, boardFile, err := newBoard()
	if err != nil {
		return err
	}
	defer boardFile.Close()
	p.board = b
	socket, childSocket, err := scratchPair()
	if err != nil {
		return err
	}
	defer childSocket.Close()
	p.socket = socket
	childIn, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer childIn.Close()
	p.in = in
	out, childOut, err := os.Pipe()
	if err != nil {
		return err
	}
	defer childOut.Close()
	p.out = out

	program := p.sandbox.program
	if program == nil {
		program = []string{"/proc/self/exe", Command}
	}
	caps, err := capabilitiesOf(0)
	if err != nil {
		return err
	}
	command := func(flags uintptr) *exec.Cmd {
		cmd := &exec.Cmd{
			Path: program[0], Args: append([]string{"plimsoll"}, program[1:]...), Dir: "/",
			Env:   environment(p.scanner.Limits),
			Stdin: childIn, Stdout: childOut, Stderr: &p.stderr,
			ExtraFiles: append([]*os.File{boardFile, childSocket}, files...),
			SysProcAttr: &syscall.SysProcAttr{
				Pdeathsig: syscall.SIGKILL, Setpgid: true, Cloneflags: flags,
			},
		}
		if os.Geteuid() != 0 { // root gets its own again, others only what is handed on
			for _, c := range caps.wanted(true) {
				cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, uintptr(c))
			}
		}
		return cmd
	}
	// A new network namespace is empty. Making one takes CAP_SYS_ADMIN.
	flags := uintptr(unix.CLONE_NEWNET)
	if !caps.permits(unix.CAP_SYS_ADMIN) || p.sandbox.noNet.Load() {
		flags = 0
	}
	started := make(chan error)
	go func() {
		// The death signal comes when the thread that started the child ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.cmd = command(flags)
		err := p.cmd.Start()
		if err != nil && flags != 0 {
			p.sandbox.noNet.Store(true)
			flags = 0
			p.cmd = command(0)
			err = p.cmd.Start()
		}
		started <- err
		if err == nil {
			p.cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	if j.NoNet = flags != 0; j.NoNet {
		j.Held = append(j.Held, "an empty network namespace")
	}
	return nil
}

// limit sets the limits that the kernel enforces, before the child has read
// anything.
func (p *process) limit(ctx context.Context, j *job) error {
	pid := p.cmd.Process.Pid
	bytes := memory(p.scanner.Limits)
	files, size := 256, 0
	for _, l := range j.Layers {
		files += 2 * l.Files
		if l.Scratch {
			size = 1 << 30 // more than package layerfs writes into one
		}
	}
	// The runtime's own needs come on top: RLIMIT_AS would not let it start.
	data := uint64(bytes) + 64<<20
	if cgo { // the race detector maps terabytes
		data = unix.RLIM_INFINITY
	}
	seconds := uint64(unix.RLIM_INFINITY)
	if deadline, ok := ctx.Deadline(); ok { // a second line: the clock on the wall comes first
		seconds = uint64(max(0, time.Until(deadline).Seconds())+10) * uint64(runtime.GOMAXPROCS(0))
	}
	for _, l := range []struct {
		what  int
		value uint64
	}{
		{unix.RLIMIT_CPU, seconds},
		{unix.RLIMIT_DATA, data},
		{unix.RLIMIT_NOFILE, uint64(files)},
		{unix.RLIMIT_FSIZE, uint64(size)},
		{unix.RLIMIT_CORE, 0},
	} {
		var old unix.Rlimit
		err := unix.Prlimit(pid, l.what, nil, &old)
		if err == nil {
			value := min(l.value, old.Max)
			err = unix.Prlimit(pid, l.what, &unix.Rlimit{Cur: value, Max: value}, nil)
		}
		if err != nil {
			return err
		}
	}
	j.Held = append(j.Held, fmt.Sprintf("memory: %d MiB, open files: %d, files written: %s, no core dump", bytes>>20, files, map[bool]string{true: "none", false: "scratch only"}[size == 0]))
	return nil
}

// kill ends the child. The first reason counts.
func (p *process) kill(why string) {
	p.mu.Lock()
	if p.killed == "" {
		p.killed = why
	}
	p.mu.Unlock()
	p.cmd.Process.Kill()
}

// close ends the child, if it still runs, and waits for its end.
func (p *process) close() {
	if p.cmd != nil && p.cmd.Process != nil {
		p.kill("it is not needed any more")
	}
	<-p.ended
	p.helpers.Wait()
	for _, f := range []*os.File{p.in, p.out, p.socket} {
		if f != nil {
			f.Close()
		}
	}
	if p.board != nil {
		p.board.close()
	}
}

// tooMuch is why a child is killed that takes more memory than it may.
func (p *process) tooMuch() string {
	return fmt.Sprintf("reading it took more than %d MiB of memory", memory(p.scanner.Limits)>>20)
}

// weigh returns the bytes of memory that are the child's own, as proc_pid_statm(5)
// tells: resident less shared pages.
func (p *process) weigh() int64 {
	var size, resident, shared int64
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err == nil {
		_, err = fmt.Sscan(string(b), &size, &resident, &shared)
	}
	if err != nil {
		return 0 // it is gone
	}
	return (resident - shared) * int64(os.Getpagesize())
}

// watch kills the child when ctx ends, when it takes too much memory, or when it
// stays with one file for too long.
func (p *process) watch(ctx context.Context) {
	stall := p.sandbox.stall
	if stall == 0 {
		stall = stallTime
	}
	ticks := time.NewTicker(watchTime)
	defer ticks.Stop()
	start := time.NewTimer(startTime)
	defer start.Stop()
	var pace pace
	for {
		select {
		case <-p.ended:
			return
		case <-ctx.Done():
			p.kill("it was cancelled")
			return
		case <-start.C:
			if !p.ready.Load() {
				p.kill(fmt.Sprintf("it was not ready after %s", startTime))
				return
			}
		case now := <-ticks.C:
			weight := p.weigh()
			p.mu.Lock()
			p.peak = max(p.peak, weight)
			p.mu.Unlock()
			if weight > memory(p.scanner.Limits) {
				p.kill(p.tooMuch())
				return
			}
			stuck := pace.stuck(p.board.counters(), now, stall)
			if found := p.board.suspects(func(i int) bool { return stuck[i] }); len(found) > 0 {
				p.mu.Lock()
				p.stuck = found
				p.mu.Unlock()
				p.kill(fmt.Sprintf("reading it took longer than %s", stall))
				return
			}
		}
	}
}

// pace is since when each slot of a board shows what it shows.
type pace struct {
	seen  [slots]uint64
	since [slots]time.Time
}

// stuck takes the counters at a time and tells the slots that have been with one file
// for longer than stall. It judges these counters alone: a slot that was free then has
// been free for any time, and may hold a file by now.
func (p *pace) stuck(counters [slots]uint64, now time.Time, stall time.Duration) (stuck [slots]bool) {
	for i, n := range counters {
		if n != p.seen[i] {
			p.seen[i], p.since[i] = n, now
		}
		stuck[i] = n%2 == 1 && now.Sub(p.since[i]) > stall
	}
	return stuck
}

// feed sends the job and what the cache has of the layers.
func (p *process) feed(j *job) {
	if p.tell(order{Job: j}) != nil || !j.Cached {
		return
	}
	sent := make(map[plimsoll.Digest]bool)
	for i, diff := range p.task.Diffs {
		if diff == "" || sent[diff] {
			continue
		}
		sent[diff] = true
		f := facts{Layer: i}
		if !p.stale[i] {
			if value, ok := p.scanner.Cache.Get(p.task.Key(i)); ok && len(value) <= maxFrame-1024 {
				f.Value = value
			}
		}
		if p.tell(order{Facts: &f}) != nil {
			return // the child's end is seen elsewhere
		}
	}
}

func (p *process) tell(o order) error {
	p.writes.Lock()
	defer p.writes.Unlock()
	return send(p.in, o)
}

// errSilent: the child ended without a result.
var errSilent = errors.New("no result")

// errLies: what the child sent is not what an honest one sends.
func errLies(format string, args ...any) error {
	return plimsoll.Errorf(plimsoll.CodeInternal, "read image", "%w: it sent "+format, append([]any{inventory.ErrCrashed}, args...)...)
}

// listen takes what the child tells, up to its result.
func (p *process) listen(j *job) (plimsoll.Inventory, error) {
	talk := &io.LimitedReader{R: p.out, N: maxTalk}
	in := bufio.NewReaderSize(talk, 64<<10)
	kept, ready, counts := make(map[int]bool), false, 0
	var puts sync.WaitGroup
	defer puts.Wait()
	putting := make(chan bool, max(1, p.scanner.Workers))
	for asked := 0; ; {
		var m report
		if err := receive(in, &m); err != nil {
			switch {
			case talk.N <= 0:
				return plimsoll.Inventory{}, errLies("more than %d bytes", maxTalk)
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, os.ErrClosed):
				return plimsoll.Inventory{}, errSilent
			}
			return plimsoll.Inventory{}, errLies("a message that cannot be read: %v", err)
		}
		switch {
		case m.Ready != nil:
			if ready {
				return plimsoll.Inventory{}, errLies("that it is ready, again")
			}
			ready = true
			p.ready.Store(true)
			if err := checkTexts(append(m.Ready.Held, m.Ready.Missing...)...); err != nil {
				return plimsoll.Inventory{}, err
			}
			p.tellOnce(*m.Ready)
			if len(p.task.Layers) == 0 {
				return plimsoll.Inventory{}, nil
			}
		case m.Counted != nil:
			i := m.Counted.Layer
			if counts++; i < 0 || i >= len(j.Diffs) || counts > len(j.Diffs) {
				return plimsoll.Inventory{}, errLies("the number of a layer that is not there")
			}
			if !p.counted[i] && p.scanner.Counted != nil {
				p.counted[i] = true
				p.scanner.Counted(j.Diffs[i], m.Counted.Cached)
			}
		case m.Facts != nil:
			i := m.Facts.Layer
			if i < 0 || i >= len(j.Diffs) || j.Diffs[i] == "" || kept[i] || !j.Cached {
				return plimsoll.Inventory{}, errLies("facts that nobody asked for")
			}
			kept[i] = true
			// A cache may ask a console, which takes its time; the child must not wait
			// for that with a question.
			puts.Go(func() {
				putting <- true
				defer func() { <-putting }()
				if err := p.scanner.Cache.Put(p.task.Key(i), m.Facts.Value); err != nil && p.scanner.CacheFault != nil {
					p.scanner.CacheFault(err)
				}
			})
		case m.Ask != nil:
			if asked++; asked > maxAsked || m.Ask.Layer < 0 || m.Ask.Layer >= len(p.task.Layers) {
				return plimsoll.Inventory{}, errLies("too many questions")
			}
			var a answer
			var err error
			if a.Metacopy, a.Redirect, err = layerfs.Metacopied(p.task.Layers[m.Ask.Layer], m.Ask.Path); err != nil {
				a.Fault = err.Error()
			}
			p.in.SetWriteDeadline(time.Now().Add(answerTime)) // an honest child waits for it
			if err := p.tell(order{Answer: &a}); err != nil {
				return plimsoll.Inventory{}, errLies("questions and took no answer")
			}
		case m.Stale != nil:
			if i := *m.Stale; i < 0 || i >= len(j.Diffs) || p.stale[i] {
				return plimsoll.Inventory{}, errLies("that facts are damaged which it was not given")
			}
			p.stale[*m.Stale] = true
			return plimsoll.Inventory{}, &death{stale: true}
		case m.Failed != nil:
			f := m.Failed
			if err := checkTexts(string(f.Code), f.Op, f.Text, f.Hint); err != nil {
				return plimsoll.Inventory{}, err
			}
			return plimsoll.Inventory{}, f.err()
		case m.Result != nil:
			inv, err := inventory.Unpack(m.Result)
			if err != nil {
				return plimsoll.Inventory{}, errLies("an inventory that cannot be read: %v", err)
			}
			return inv, p.check(&inv)
		default:
			return plimsoll.Inventory{}, errLies("an empty message")
		}
	}
}

// tellOnce logs what holds a child here: the first one tells for all.
func (p *process) tellOnce(r Restrictions) {
	p.held = r
	p.sandbox.told.Do(func() {
		p.sandbox.log().Debug("images are read in a process of its own", "held", r.Held)
		if len(r.Missing) > 0 {
			p.sandbox.log().Warn("the process that reads images cannot be restricted as it should", "missing", r.Missing)
		}
	})
}

// autopsy says what a child died of.
func (p *process) autopsy() error {
	select {
	case <-p.ended:
	case <-time.After(time.Second): // it closed its end of the pipe and lives on
		p.kill("it stopped to speak")
		<-p.ended
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &death{why: p.killed, limit: p.stuck != nil, suspects: p.stuck, stderr: p.stderr.String()}
	if d.suspects == nil {
		d.suspects = p.board.suspects(func(int) bool { return true })
	}
	if d.why != "" {
		d.limit = d.limit || d.why == p.tooMuch()
		return d
	}
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case outOfMemory.MatchString(d.stderr), status.ExitStatus() == exitFatal && p.peak > memory(p.scanner.Limits)/4*3:
		d.limit, d.why = true, p.tooMuch()
	case status.Signaled():
		d.why = fmt.Sprintf("the process was ended by signal %d (%s)", status.Signal(), status.Signal())
	default:
		d.why = fmt.Sprintf("the process ended with code %d", status.ExitStatus())
		if line, _, _ := strings.Cut(d.stderr, "\n"); status.ExitStatus() == exitOrphan && line != "" {
			d.why += ": " + line // it could not even begin
		}
		if at := place.FindStringSubmatch(d.stderr); at != nil {
			d.why += " at " + at[1]
		}
	}
	return d
}

// exitFatal is the exit code of a Go program whose runtime gave up. At the end of
// memory it does so in many words.
const exitFatal = 2

var (
	outOfMemory = regexp.MustCompile(`(?m)^fatal error: .*(out of memory|cannot allocate|failed to (allocate|reserve))`)
	// place is the source line below the first goroutine of a trace.
	place = regexp.MustCompile(`(?s)\ngoroutine \d+ .*?\n\t[^\n]*?/([A-Za-z0-9_]+\.go:\d+)`)
)

// tail keeps the beginning and the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := maxErrors - len(t.text); room > 0 {
		t.text = append(t.text, b[:min(room, len(b))]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.text), "?")
}
