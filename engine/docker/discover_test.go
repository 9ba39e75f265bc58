package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/engine"
)

// host is a host's root file system made by hand.
type host struct {
	testing.TB
	root string
}

func newHost(t testing.TB) host {
	// Nothing of the machine that runs the test may count.
	t.Setenv("DOCKER_HOST", "")
	return host{t, t.TempDir()}
}

func (h host) write(name, content string) { newRoot(h, h.root).write(name, content) }

// docker makes a data root with one image.
func (h host) docker(path string) { newRoot(h, filepath.Join(h.root, path)).image(path) }

// discover returns the data roots that were found, as the host names them.
func (h host) discover(o Options) ([]string, []plimsoll.Problem) {
	h.Helper()
	o.Host = engine.Host{Root: h.root}
	stores, problems := Discover(context.Background(), o)
	var roots []string
	for _, s := range stores {
		roots = append(roots, s.dir.Path()[len(h.root):])
		if list, _, err := s.Images(context.Background()); err != nil || len(list) != 1 {
			h.Errorf("%s: got %+v, %v, want one image", s.Name(), list, err)
		}
		s.Close()
	}
	return roots, problems
}

func (h host) want(o Options, want ...string) {
	h.Helper()
	got, problems := h.discover(o)
	if diff := cmp.Diff(want, got); diff != "" {
		h.Error(diff)
	}
	if len(problems) > 0 {
		h.Errorf("%+v", problems)
	}
}

func TestIMG03DataRootIsFound(t *testing.T) {
	t.Run("none", func(t *testing.T) { newHost(t).want(Options{}) })
	t.Run("default", func(t *testing.T) {
		h := newHost(t)
		h.docker("/var/lib/docker")
		h.want(Options{}, "/var/lib/docker")
	})
	t.Run("once, though three say so", func(t *testing.T) {
		h := newHost(t)
		h.docker("/data/docker")
		h.write("etc/docker/daemon.json", `{"data-root": "/var/lib/docker/"}`)
		h.write("proc/7/cmdline", "dockerd\x00--data-root=/data/docker\x00")
		os.Symlink(h.root, filepath.Join(h.root, "proc/7/root"))
		os.MkdirAll(filepath.Join(h.root, "var/lib"), 0o755)
		os.Symlink("/data/docker", filepath.Join(h.root, "var/lib/docker"))
		h.want(Options{}, "/data/docker")
	})
	t.Run("daemon.json of old", func(t *testing.T) {
		h := newHost(t)
		h.docker("/data/old docker")
		h.write("etc/docker/daemon.json", `{"graph": "/data/old docker"}`)
		h.want(Options{}, "/data/old docker")
	})
	t.Run("two daemons, one with its own configuration", func(t *testing.T) {
		h := newHost(t)
		h.docker("/data/one")
		h.docker("/data/two")
		h.write("etc/two.json", `{"data-root": "/data/two"}`)
		h.write("proc/7/cmdline", "dockerd\x00-g\x00/data/one\x00")
		h.write("proc/8/cmdline", "dockerd\x00--config-file\x00/etc/two.json\x00")
		h.want(Options{}, "/data/one", "/data/two")
	})
	t.Run("daemon in a container", func(t *testing.T) {
		h := newHost(t)
		h.docker("/containers/1/var/lib/docker")
		h.write("proc/7/cmdline", "dockerd\x00")
		os.Symlink(filepath.Join(h.root, "containers/1"), filepath.Join(h.root, "proc/7/root"))
		h.want(Options{}, "/proc/7/root/var/lib/docker")
	})
	t.Run("rootless", func(t *testing.T) {
		h := newHost(t)
		h.write("etc/passwd", "ann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n")
		h.docker("/home/ann/.local/share/docker")
		h.docker("/scratch/bob")
		h.write("home/bob/.config/docker/daemon.json", `{"data-root": "/scratch/bob"}`)
		h.want(Options{}, "/home/ann/.local/share/docker", "/scratch/bob")
	})
	t.Run("user name spaces", func(t *testing.T) {
		h := newHost(t)
		h.docker("/var/lib/docker/165536.165536")
		h.want(Options{}, "/var/lib/docker/165536.165536")
	})
	t.Run("named", func(t *testing.T) {
		h := newHost(t)
		h.docker("/var/lib/docker")
		h.docker("/a b")
		h.docker("/c")
		h.want(Options{Roots: []string{"/a b", "/c", "/c/"}}, "/a b", "/c")
	})
	t.Run("containerd's image store", func(t *testing.T) {
		h := newHost(t)
		h.write("var/lib/docker/containerd/daemon/x", "")
		h.want(Options{})
	})
}

func TestIMG03TheDaemonIsAsked(t *testing.T) {
	h := newHost(t)
	h.docker("/elsewhere/docker")
	os.MkdirAll(filepath.Join(h.root, "run"), 0o755)
	l, err := net.Listen("unix", filepath.Join(h.root, "run/docker.sock"))
	if err != nil {
		t.Skip("NOT TESTED: ", err) // a path of more than 107 bytes
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/info" {
			t.Errorf("the daemon was sent %s %s", r.Method, r.URL)
		}
		fmt.Fprint(w, `{"DockerRootDir":"/elsewhere/docker","Driver":"overlay2"}`)
	})}
	go srv.Serve(l)
	defer srv.Close()
	h.want(Options{}, "/elsewhere/docker")
}

func TestDiscoverSaysWhatItCannotRead(t *testing.T) {
	for name, test := range map[string]struct {
		make func(h host)
		o    Options
		want plimsoll.ProblemCode
	}{
		"named root is missing": {func(h host) {}, Options{Roots: []string{"/nowhere"}}, plimsoll.ProblemEngineUnavailable},
		"named root is none": {func(h host) { h.write("data/file", "") }, Options{Roots: []string{"/data"}},
			plimsoll.ProblemEngineUnavailable},
		"configured root is missing": {func(h host) { h.write("etc/docker/daemon.json", `{"data-root":"/nowhere"}`) }, Options{},
			plimsoll.ProblemEngineUnavailable},
		"driver that is not read": {func(h host) { h.write("var/lib/docker/image/btrfs/imagedb/content/sha256/x", "") }, Options{},
			plimsoll.ProblemUnsupportedDriver},
		"may not be read": {func(h host) {
			h.docker("/var/lib/docker")
			os.Chmod(filepath.Join(h.root, "var/lib/docker"), 0o100)
			h.Cleanup(func() { os.Chmod(filepath.Join(h.root, "var/lib/docker"), 0o700) })
		}, Options{}, plimsoll.ProblemPermission},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			test.make(h)
			if test.want == plimsoll.ProblemPermission {
				unprivileged(t, h.root)
			}
			roots, problems := h.discover(test.o)
			if len(roots) != 0 || len(problems) != 1 || problems[0].Code != test.want || problems[0].Detail == "" {
				t.Errorf("got %q and %+v, want %s", roots, problems, test.want)
			}
		})
	}
}

// unprivileged takes root's right to read everything from this test's thread:
// the file system user of a thread can be changed on its own. The test's temporary
// directory stays readable.
func unprivileged(t *testing.T, tempDir string) {
	t.Helper()
	os.Chmod(tempDir, 0o755)
	os.Chmod(filepath.Dir(tempDir), 0o755)
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	runtime.LockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Setfsuid(0)
		runtime.UnlockOSThread()
	})
}
