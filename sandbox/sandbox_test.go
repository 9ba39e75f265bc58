package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// TestMain makes the test's own program the child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if len(os.Args) > 2 {
			lie(os.Args[2])
		}
		Child(analyzers())
	}
	if cgo {
		fmt.Println("NOT TESTED: the sandbox is whole in a program without cgo only: CGO_ENABLED=0")
		return
	}
	os.Exit(m.Run())
}

func analyzers() []inventory.Analyzer { return []inventory.Analyzer{lines{}, acts{}} }

// lines finds a package in each line of a file.
type lines struct{}

func (lines) Name() string { return "lines" }
func (lines) Version() int { return 1 }
func (lines) Wants(path string) inventory.Want {
	if strings.HasSuffix(path, ".list") {
		return inventory.Yes
	}
	return inventory.No
}

func (lines) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	var facts inventory.Facts
	for s := bufio.NewScanner(f.Reader(1 << 20)); s.Scan(); {
		facts.Packages = append(facts.Packages, found(s.Text()))
	}
	return facts, nil
}

func found(name string) plimsoll.Package {
	return plimsoll.Package{Type: plimsoll.TypeGeneric, Name: name, Version: "1", Evidence: plimsoll.EvidenceMetadata}
}

// acts is an analyser that a file has taken over: it does what the file says, and
// finds a package named after what came of it.
type acts struct{}

func (acts) Name() string { return "acts" }
func (acts) Version() int { return 1 }
func (acts) Wants(path string) inventory.Want {
	if strings.HasSuffix(path, ".act") {
		return inventory.Yes
	}
	return inventory.No
}

var sink [][]byte

func (acts) Analyze(_ context.Context, f inventory.File) (facts inventory.Facts, err error) {
	text, err := io.ReadAll(f.Reader(1 << 10))
	if err != nil {
		return facts, err
	}
	act, what, _ := strings.Cut(string(text), " ")
	switch act {
	case "panic":
		panic("inline")
	case "panic-elsewhere":
		go func() { panic("in a goroutine of the library") }()
		time.Sleep(10 * time.Second)
	case "hang":
		for {
			runtime.Gosched()
		}
	case "hang-elsewhere":
		done := make(chan bool)
		go func() {
			for {
				runtime.Gosched()
			}
		}()
		<-done
	case "allocate":
		for {
			b := make([]byte, 8<<20)
			for i := range b {
				b[i] = 1
			}
			sink = append(sink, b)
		}
	case "die":
		syscall.Kill(syscall.Getpid(), syscall.SIGKILL) // refused
		syscall.Exit(7)
	case "wait":
		time.Sleep(time.Hour)
	case "read":
		b, err := os.ReadFile(what)
		facts.Packages = append(facts.Packages, found(outcome(string(b), err)))
	case "up": // from every descriptor that is open
		for fd := range 300 {
			n, err := unix.Openat(fd, what, unix.O_RDONLY, 0)
			if err == nil {
				facts.Packages = append(facts.Packages, found(fmt.Sprintf("descriptor %d leads out", fd)))
				unix.Close(n)
			}
		}
		facts.Packages = append(facts.Packages, found("done"))
	case "write":
		facts.Packages = append(facts.Packages, found(outcome("written", os.WriteFile(what, []byte("x"), 0o600))))
	case "change":
		facts.Packages = append(facts.Packages, found(outcome("changed", errors.Join(os.Chmod(what, 0o777), os.Rename(what, what+"2"), os.Remove(what)))))
	case "exec":
		facts.Packages = append(facts.Packages, found(outcome("executed", exec.Command("/proc/self/exe").Start())))
	case "fork":
		_, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		facts.Packages = append(facts.Packages, found(outcome("forked", errno)))
	case "connect":
		_, err := net.DialTimeout("tcp", what, time.Second)
		facts.Packages = append(facts.Packages, found(outcome("connected", err)))
	case "socket":
		_, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		facts.Packages = append(facts.Packages, found(outcome("socket", err)))
	case "ptrace":
		facts.Packages = append(facts.Packages, found(outcome("traced", unix.PtraceAttach(unix.Getppid()))))
	case "kill":
		facts.Packages = append(facts.Packages, found(outcome("killed", unix.Kill(unix.Getppid(), 0))))
	case "mount":
		facts.Packages = append(facts.Packages, found(outcome("mounted", unix.Mount("none", "/", "tmpfs", 0, ""))))
	case "rights":
		c, err := capabilitiesOf(0)
		if err != nil {
			return facts, err
		}
		facts.Packages = append(facts.Packages, found(fmt.Sprintf("%x%08x", c[1].Permitted, c[0].Permitted)))
	}
	return facts, nil
}

func outcome(good string, err error) string {
	if err != nil {
		return "refused"
	}
	return good
}

// image is an image of one directory for each layer.
type image struct {
	plimsoll.Image
	dirs []string
}

func newImage(t testing.TB, layers ...map[string]string) image {
	t.Helper()
	img := image{Image: plimsoll.Image{ID: plimsoll.DigestOf([]byte(t.Name())), Engine: plimsoll.Docker, Store: "/somewhere"}}
	for i, files := range layers {
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		img.dirs = append(img.dirs, dir)
		img.Layers = append(img.Layers, plimsoll.Layer{DiffID: plimsoll.DigestOf(fmt.Appendf(nil, "%s %d", t.Name(), i))})
	}
	return img
}

func (img image) open() (layers []layerfs.Layer, err error) {
	for i, dir := range img.dirs {
		l, err := layerfs.Dir(dir, layerfs.DirOptions{Lowest: i == 0})
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// scanner returns one that reads in children.
func scanner(b *Sandbox) *inventory.Scanner {
	return &inventory.Scanner{Analyzers: analyzers(), Workers: 2, Isolated: b.Read, Limits: inventory.Limits{Memory: 128 << 20}}
}

func scan(t testing.TB, s *inventory.Scanner, img image) plimsoll.Inventory {
	t.Helper()
	inv, err := s.Scan(t.Context(), img.Image, img.open)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// names returns the names of packages, with the file that each was found in.
func names(inv plimsoll.Inventory) (names []string) {
	for _, p := range inv.Packages {
		names = append(names, p.Path+": "+p.Name)
	}
	slices.Sort(names)
	return names
}

// memoryCache keeps values as package local's does on disk.
type memoryCache struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (c *memoryCache) Get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.values[key]
	return v, ok
}

func (c *memoryCache) Put(key string, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		c.values = make(map[string][]byte)
	}
	c.values[key] = value
	return nil
}

// A child finds what the scanner in this process finds, and keeps the same facts.
func TestChildFindsTheSame(t *testing.T) {
	img := newImage(t,
		map[string]string{"a.list": "one\ntwo", "b/c.list": "three", "bad\xff.list": "four"},
		map[string]string{"b/.wh.c.list": "", "a.list": "two\nfive"},
		map[string]string{"d.list": "six"})
	img.Layers = append(img.Layers, img.Layers[2]) // the same change set twice
	img.dirs = append(img.dirs, img.dirs[2])
	here, there := &memoryCache{}, &memoryCache{}
	s := scanner(&Sandbox{})
	s.Cache = there
	var read, cached int
	var mu sync.Mutex
	s.Counted = func(_ plimsoll.Digest, known bool) {
		mu.Lock()
		defer mu.Unlock()
		if known {
			cached++
		} else {
			read++
		}
	}
	got := scan(t, s, img)
	want := scan(t, &inventory.Scanner{Analyzers: analyzers(), Cache: here}, img)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inventory (-here +child):\n%s", diff)
	}
	if len(got.Packages) != 4 {
		t.Errorf("found %v", names(got))
	}
	if diff := cmp.Diff(here.values, there.values); diff != "" {
		t.Errorf("cache (-here +child):\n%s", diff)
	}
	if read != 3 || cached != 0 {
		t.Errorf("%d layers read, %d known", read, cached)
	}

	t.Run("known layers are not read", func(t *testing.T) {
		for key := range there.values {
			if strings.HasPrefix(key, "image/") {
				delete(there.values, key)
			}
		}
		os.WriteFile(filepath.Join(img.dirs[2], "d.list"), []byte("other"), 0o644)
		if diff := cmp.Diff(want, scan(t, s, img)); diff != "" {
			t.Errorf("inventory (-before +now):\n%s", diff)
		}
		if cached != 3 {
			t.Errorf("%d layers were known", cached)
		}
	})
	t.Run("damaged facts are read anew", func(t *testing.T) {
		for key, value := range there.values {
			if strings.HasPrefix(key, "image/") {
				delete(there.values, key)
			} else {
				there.values[key] = slices.Concat(value[:len(value)/2], []byte("damage"))
			}
		}
		os.WriteFile(filepath.Join(img.dirs[2], "d.list"), []byte("six"), 0o644)
		if diff := cmp.Diff(want, scan(t, s, img)); diff != "" {
			t.Errorf("inventory (-before +now):\n%s", diff)
		}
	})
}

func probe(t *testing.T) Restrictions {
	t.Helper()
	r, err := (&Sandbox{}).Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever takes over an analyser reads nothing of the host, changes nothing and
// speaks to nobody.
func TestWhatAChildMayNotDo(t *testing.T) {
	if r := probe(t); len(r.Missing) > 0 {
		t.Skip("this kernel lacks ", r.Missing)
	}
	host := t.TempDir()
	canary := filepath.Join(host, "canary")
	if err := os.WriteFile(canary, []byte("canary"), 0o644); err != nil {
		t.Fatal(err)
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	img := newImage(t, map[string]string{"in/canary": "of the image", "ok.list": "one"})
	inside := filepath.Join(img.dirs[0], "in/canary")
	tests := map[string]struct{ act, want string }{
		"read by absolute path":         {"read " + canary, "refused"},
		"read by the process's root":    {"read /proc/self/root" + canary, "refused"},
		"read by the parent's root":     {"read /proc/" + strconv.Itoa(os.Getpid()) + "/root" + canary, "refused"},
		"read by the working directory": {"read /proc/self/cwd" + canary, "refused"},
		"read the parent's environment": {"read /proc/" + strconv.Itoa(os.Getpid()) + "/environ", "refused"},
		"read a file of users":          {"read /etc/passwd", "refused"},
		"read the layer":                {"read " + inside, "of the image"}, // what it is for
		"leave by a descriptor":         {"up ../" + filepath.Base(host) + "/canary", "done"},
		"leave by a descriptor's root":  {"up " + canary, "done"},
		"write to the host":             {"write " + filepath.Join(host, "new"), "refused"},
		"write to the layer":            {"write " + inside, "refused"},
		"change the layer":              {"change " + inside, "refused"},
		"execute":                       {"exec", "refused"},
		"fork":                          {"fork", "refused"},
		"connect":                       {"connect " + server.Addr().String(), "refused"},
		"make a socket":                 {"socket", "refused"},
		"trace its parent":              {"ptrace", "refused"},
		"signal its parent":             {"kill", "refused"},
		"mount":                         {"mount", "refused"},
	}
	files := map[string]string{}
	var want []string
	for name, test := range tests {
		files[name+".act"] = test.act
		want = append(want, name+".act: "+test.want)
	}
	slices.Sort(want)
	for name, act := range files {
		if err := os.WriteFile(filepath.Join(img.dirs[0], name), []byte(act), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, "ok.list: one")
	slices.Sort(want)
	if diff := cmp.Diff(want, names(scan(t, scanner(&Sandbox{}), img))); diff != "" {
		t.Errorf("what came of it (-want +got):\n%s", diff)
	}
	if b, err := os.ReadFile(canary); string(b) != "canary" || err != nil {
		t.Errorf("the canary is %q, %v", b, err)
	}
}

// While it reads files a child has no right but that to read.
func TestCapabilitiesOfAChild(t *testing.T) {
	if r := probe(t); len(r.Missing) > 0 {
		t.Skip("here lacks ", r.Missing)
	}
	want := "000000000"
	c, err := capabilitiesOf(0)
	if err != nil {
		t.Fatal(err)
	}
	if c.permits(unix.CAP_DAC_READ_SEARCH) {
		want = fmt.Sprintf("0%08x", 1<<unix.CAP_DAC_READ_SEARCH)
	}
	img := newImage(t, map[string]string{"a.act": "rights"})
	if got := names(scan(t, scanner(&Sandbox{}), img)); len(got) != 1 || got[0] != "a.act: "+want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// A file on which the child dies is left out and told; the rest of the image is
// read, and the facts of its layer are not kept.
func TestADeadlyFileIsLeftOut(t *testing.T) {
	for act, why := range map[string]string{
		"panic":           "", // recovered within the child
		"panic-elsewhere": "ended with code 2 at sandbox_test.go:",
		"hang":            "longer than",
		"hang-elsewhere":  "longer than",
		"allocate":        "more than 128 MiB of memory",
		"die":             "ended with code 7",
	} {
		t.Run(act, func(t *testing.T) {
			t.Parallel()
			cache := &memoryCache{}
			b := &Sandbox{}
			if strings.HasPrefix(act, "hang") {
				b.stall = 2 * time.Second
			}
			s := scanner(b)
			s.Cache = cache
			inv := scan(t, s, newImage(t, map[string]string{"good.list": "base"}, map[string]string{"a.list": "one", "b/c/bad.act": act, "z.list": "two"}))
			if diff := cmp.Diff([]string{"a.list: one", "good.list: base", "z.list: two"}, names(inv)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if len(inv.Problems) != 1 || inv.Complete() {
				t.Fatalf("problems: %+v", inv.Problems)
			}
			p := inv.Problems[0]
			if why == "" {
				if p.Code != plimsoll.ProblemPanic {
					t.Errorf("got %+v", p)
				}
				return
			}
			if p.Code != plimsoll.ProblemCrash || p.Path != "b/c/bad.act" || p.Analyzer != "acts" || !strings.Contains(p.Detail, why) {
				t.Errorf("got %+v", p)
			}
			if len(cache.values) != 1 {
				t.Errorf("%d values were kept, want the facts of the good layer only", len(cache.values))
			}
		})
	}
}

// An image with one more deadly file than there are attempts fails, and says why.
func TestAnImageThatIsDeadlyThroughout(t *testing.T) {
	for act, code := range map[string]plimsoll.Code{"die": plimsoll.CodeInternal, "allocate": plimsoll.CodeLimit} {
		files := map[string]string{"a.list": "one"}
		for i := range maxAttempts + 3 {
			files[fmt.Sprintf("%d.act", i)] = act
		}
		img := newImage(t, files)
		_, err := scanner(&Sandbox{}).Scan(t.Context(), img.Image, img.open)
		if plimsoll.CodeOf(err) != code || errors.Is(err, inventory.ErrCrashed) != (code == plimsoll.CodeInternal) {
			t.Errorf("%s: got %v", act, err)
		}
	}
}

// A scan that is stopped leaves no child behind, and says why it was stopped.
func TestStopping(t *testing.T) {
	img := newImage(t, map[string]string{"a.act": "wait"})
	why := plimsoll.Errorf(plimsoll.CodeLimit, "scan image", "it took too long")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, why)
	defer cancel()
	start := time.Now()
	_, err := scanner(&Sandbox{}).Scan(ctx, img.Image, img.open)
	if !errors.Is(err, why) || time.Since(start) > 10*time.Second {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
	if n := children(t); n != 0 {
		t.Errorf("%d children are left", n)
	}
}

// A child that is killed from outside is tried again.
func TestKilledFromOutside(t *testing.T) {
	img := newImage(t, map[string]string{"a.act": "wait", "b.list": "one"})
	done := make(chan error)
	var inv plimsoll.Inventory
	go func() {
		var err error
		inv, err = scanner(&Sandbox{}).Scan(t.Context(), img.Image, img.open)
		done <- err
	}()
	for len(childPIDs(t)) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond) // until it waits
	for _, pid := range childPIDs(t) {
		unix.Kill(pid, unix.SIGKILL)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0].Detail, "signal 9") || len(inv.Packages) != 1 {
		t.Errorf("got %+v", inv)
	}
}

// No child outlives its parent.
func TestDeathOfTheParent(t *testing.T) {
	if os.Getenv("SANDBOX_TEST_PARENT") != "" {
		img := newImage(t, map[string]string{"a.act": "wait"})
		scanner(&Sandbox{}).Scan(t.Context(), img.Image, img.open)
		return
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestDeathOfTheParent$")
	cmd.Env = append(os.Environ(), "SANDBOX_TEST_PARENT=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var grandchildren []int
	for until := time.Now().Add(20 * time.Second); len(grandchildren) == 0 && time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		grandchildren = childrenOf(t, cmd.Process.Pid)
	}
	time.Sleep(500 * time.Millisecond)
	cmd.Process.Kill()
	cmd.Wait()
	if len(grandchildren) == 0 {
		t.Fatal("there was no child")
	}
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if unix.Kill(grandchildren[0], 0) == unix.ESRCH {
			return
		}
		if time.Now().After(until) {
			t.Fatal("the child lives on")
		}
	}
}

func children(t *testing.T) int { return len(childPIDs(t)) }

func childPIDs(t *testing.T) []int { return childrenOf(t, os.Getpid()) }

func childrenOf(t *testing.T, pid int) (pids []int) {
	t.Helper()
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range lists {
		b, _ := os.ReadFile(name)
		for _, f := range strings.Fields(string(b)) {
			n, _ := strconv.Atoi(f)
			pids = append(pids, n)
		}
	}
	return pids
}

// A tar that does not fit into memory is read by way of a file that the parent
// makes.
func TestScratchFiles(t *testing.T) {
	blob, diff := bigTar(t)
	dir := t.TempDir()
	img := image{Image: plimsoll.Image{ID: plimsoll.DigestOf([]byte("big")), Layers: []plimsoll.Layer{{DiffID: diff}}}}
	open := func() ([]layerfs.Layer, error) {
		f, err := os.Open(blob)
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		return []layerfs.Layer{layerfs.TarBlob(f, info.Size(), layerfs.TarOptions{Scratch: dir, DiffID: diff})}, err
	}
	inv, err := scanner(&Sandbox{}).Scan(t.Context(), img.Image, open)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(inv); len(got) != 1 || got[0] != "big.list: first" {
		t.Errorf("got %v, %+v", got, inv.Problems)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// An error of a layer keeps its code on its way.
func TestErrorsOfLayers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "layer.tar")
	if err := os.WriteFile(name, []byte(strings.Repeat("no tar at all", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	img := plimsoll.Image{ID: plimsoll.DigestOf(nil), Layers: []plimsoll.Layer{{DiffID: plimsoll.DigestOf(nil)}}}
	open := func() ([]layerfs.Layer, error) {
		f, err := os.Open(name)
		return []layerfs.Layer{layerfs.TarBlob(f, 1300, layerfs.TarOptions{})}, err
	}
	_, want := (&inventory.Scanner{Analyzers: analyzers()}).Scan(t.Context(), img, open)
	_, got := scanner(&Sandbox{}).Scan(t.Context(), img, open)
	if plimsoll.CodeOf(got) != plimsoll.CodeCorrupt || got.Error() != want.Error() {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Where no child can be started an image fails, and nothing is left open.
func TestNoChild(t *testing.T) {
	img := newImage(t, map[string]string{"a.list": "one"})
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before := open()
	s := scanner(&Sandbox{program: []string{"/nonexistent"}})
	for range 3 {
		_, err := s.Scan(t.Context(), img.Image, img.open)
		if plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	}
	if after := open(); after > before {
		t.Errorf("%d descriptors were open, now %d", before, after)
	}
}

// Scans beside one another keep apart, and leave neither children nor descriptors.
func TestScansAtOnce(t *testing.T) {
	var group sync.WaitGroup
	for i := range 6 {
		img := newImage(t, map[string]string{"a.list": fmt.Sprint(i), "b.act": "read /etc/passwd"})
		group.Go(func() {
			inv, err := scanner(&Sandbox{}).Scan(t.Context(), img.Image, img.open)
			if err != nil {
				t.Error(err)
				return
			}
			if got := names(inv); len(got) != 2 || got[0] != fmt.Sprint("a.list: ", i) {
				t.Errorf("image %d: %v", i, got)
			}
		})
	}
	group.Wait()
	for until := time.Now().Add(10 * time.Second); children(t) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d children are left", children(t))
		}
	}
}

// A file is slow when it is read for too long, not when nothing was read before it.
func TestAFileThatJustBeganIsNotSlow(t *testing.T) {
	const stall = time.Second
	b, f, err := newBoard()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer b.close()
	start := time.Now()
	var p pace
	look := func(after time.Duration, meanwhile func()) int {
		counters := b.counters()
		meanwhile() // between the look at the counters and that at the texts
		stuck := p.stuck(counters, start.Add(after), stall)
		return len(b.suspects(func(i int) bool { return stuck[i] }))
	}
	nothing := func() {}
	if n := look(time.Hour, func() { b.start("dpkg", "var/lib/dpkg/status") }); n != 0 {
		t.Error("a file that was begun in this moment is slow")
	}
	if n := look(time.Hour+stall, nothing); n != 0 {
		t.Error("a file that was just seen for the first time is slow")
	}
	if n := look(time.Hour+2*stall, nothing); n != 0 {
		t.Error("a file at the end of its time is slow")
	}
	if n := look(time.Hour+3*stall, nothing); n != 1 {
		t.Errorf("%d files are slow, want that one", n)
	}
}
