//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"plimsoll/api"
	"plimsoll/e2e/lab"
)

// drive is an ext4 on a loop device whose power can be cut: what was not synced to
// it is gone.
type drive struct {
	t          testing.TB
	image, dir string
}

// newDrive makes dir a drive of some mebibytes until the test ends.
func newDrive(t testing.TB, dir string, mebibytes int64) drive {
	t.Helper()
	lab.Need(t, "root", "mkfs.ext4", "mount")
	d := drive{t, filepath.Join(t.TempDir(), "drive"), dir}
	f, err := os.Create(d.image)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(mebibytes << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	d.run("mkfs.ext4", "-q", "-F", d.image)
	d.mount()
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return d
}

func (d drive) run(argv ...string) {
	d.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %v %s", argv, err, out)
	}
}

// mount mounts the drive so that nothing but a sync makes the kernel write soon.
func (d drive) mount() {
	d.t.Helper()
	d.run("mount", "-o", "loop,commit=300", d.image, d.dir)
	if err := os.Chmod(d.dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
}

// cut takes the power from the drive while p works on it, and gives it back: the
// file system stops at once, without its journal's last words (EXT4_IOC_SHUTDOWN with
// EXT4_GOING_FLAGS_NOLOGFLUSH, linux/ext4.h). Then p is killed and the drive is
// mounted anew.
func (d drive) cut(p *program) {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	const shutdown, noLogFlush = 0x8004587d, 2
	flags := uint32(noLogFlush)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags)))
	f.Close()
	if errno != 0 {
		d.t.Fatalf("cut the power: %v", errno)
	}
	p.signal(syscall.SIGKILL)
	if err := syscall.Unmount(d.dir, 0); err != nil {
		d.t.Fatal(err)
	}
	d.mount()
}

// The power of the agent's disk and of the console's is cut again and again while
// everything is scanned: what was acknowledged was on the disk, and is there once.
// PLIMSOLL_POWERCUTS says how often each of the two is cut.
func TestSYS03FleetPowerCuts(t *testing.T) {
	const images = 12
	d := lab.New(t).Docker(t)
	npmImages(t, d, images)
	c := prepareConsole(t, "")
	consoleDrive := newDrive(t, c.dir, 96)
	c.start()
	c.ready()
	c.setUp()
	state := t.TempDir()
	agentDrive := newDrive(t, state, 32)
	a := c.joinIn(state, nil, dockerAt(d)...)
	a.start()
	c.use(advisories(t, 2, flaws()...))
	c.eventually("the images are listed", 30*time.Second, func() bool { return len(all[api.Image](c, "/images")) == images })

	underCrashes(t, c, a, images, times(t, "PLIMSOLL_POWERCUTS", 3), func(pause func()) {
		pause()
		agentDrive.cut(&a.program)
		a.start()
		pause()
		consoleDrive.cut(&c.program)
		c.start()
	})
}

// Without a sync the drive of these tests forgets, with one it does not.
func TestPowerCutsTakeWhatIsNotSynced(t *testing.T) {
	d := newDrive(t, t.TempDir(), 16)
	p := &program{t: t}
	p.cmd, p.done = exec.Command("sleep", "600"), make(chan struct{})
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	for _, name := range []string{"synced", "forgotten"} {
		f, err := os.Create(filepath.Join(d.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(name); err != nil {
			t.Fatal(err)
		}
		if name == "synced" {
			f.Sync()
		}
		f.Close()
	}
	d.cut(p)
	if got := readFile(t, filepath.Join(d.dir, "synced")); got != "synced" {
		t.Errorf("what was synced is %q", got)
	}
	if b, err := os.ReadFile(filepath.Join(d.dir, "forgotten")); err == nil && len(b) > 0 {
		t.Errorf("what was not synced is there: %q", b)
	}
}
