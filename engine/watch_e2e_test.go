//go:build e2e

package engine_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"plimsoll/e2e/lab"
	"plimsoll/engine/containerd"
	"plimsoll/engine/docker"
	"plimsoll/engine/podman"
)

// soon is within what a console promises for a change on a host: 5 seconds, of
// which syncing takes less than one. A busy machine may take longer, up to patience.
const (
	soon     = 4 * time.Second
	patience = 5 * soon
)

// watcher counts what a store's Watch tells.
type watcher struct {
	t     *testing.T
	hints chan struct{}
}

// watch watches until t ends.
func watch(t *testing.T, s interface {
	Watch(ctx context.Context, changed func()) error
}) *watcher {
	t.Helper()
	w := &watcher{t, make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func() {
			select {
			case w.hints <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// quiet waits until nothing is told any more.
func (w *watcher) quiet() {
	for {
		select {
		case <-w.hints:
		case <-time.After(soon):
			return
		}
	}
}

// after does something and waits for the hint.
func (w *watcher) after(what string, do func()) {
	w.t.Helper()
	w.quiet()
	do()
	start := time.Now()
	select {
	case <-w.hints:
		if took := time.Since(start); took > soon {
			w.t.Logf("%s is told after %v", what, took)
		}
	case <-time.After(patience):
		w.t.Errorf("%s is not told within %v", what, patience)
	}
}

// SYS-01: a change of the images or containers of a host is noticed within
// seconds, whether the daemon tells it or the disk does.
func TestSYS01DockerTellsChanges(t *testing.T) {
	l := lab.New(t)
	d := l.Docker(t)
	first, second := lab.Tiny("watched:1"), lab.Tiny("watched:2")
	second.Archive(t) // building takes longer than noticing
	d.Load(t, first)
	open := func() *docker.Store {
		stores, problems := docker.Discover(t.Context(), docker.Options{Roots: []string{d.Root}})
		if len(stores) != 1 {
			t.Fatalf("%d stores, %v", len(stores), problems)
		}
		t.Cleanup(func() { stores[0].Close() })
		return stores[0]
	}
	changes := func(t *testing.T, w *watcher) {
		w.after("a load", func() { d.Load(t, second) })
		w.after("a tag", func() { d.CLI(t, "tag", "watched:1", "watched:again") })
		w.after("a container", func() { d.CLI(t, "create", "--network=none", "--name", "box", "watched:1", "none") })
		w.after("a container's end", func() { d.CLI(t, "rm", "box") })
		w.after("a removal", func() { d.CLI(t, "rmi", "watched:again", "watched:2") })
	}
	t.Run("by events", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", d.Host)
		w := watch(t, open())
		changes(t, w)
		w.after("the end of the daemon", func() { d.Stop(t) })
		d.Start(t)
	})
	t.Run("by the disk", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(t.TempDir(), "none.sock"))
		if exec.Command("docker", "--host", "unix:///run/docker.sock", "version").Run() == nil {
			t.Log("another daemon runs here; its data root is not this one's")
		}
		w := watch(t, open())
		changes(t, w)
	})
}

func TestSYS01ContainerdTellsChanges(t *testing.T) {
	l := lab.New(t)
	c := l.Containerd(t)
	first, second := lab.Tiny("watched:1"), lab.Tiny("watched:2")
	second.Archive(t)
	c.Load(t, "default", first)
	for name, o := range map[string]containerd.Options{
		"by events":   {Addresses: []string{c.Address}},
		"by the disk": {Roots: []string{c.Root}},
	} {
		t.Run(name, func(t *testing.T) {
			stores, problems := containerd.Discover(t.Context(), o)
			if len(stores) == 0 {
				t.Fatalf("no store, %v", problems)
			}
			for _, s := range stores {
				t.Cleanup(func() { s.Close() })
			}
			w := watch(t, stores[0])
			w.after("a load", func() { c.Load(t, "default", second) })
			w.after("a tag", func() {
				c.CLI(t, "default", "images", "tag", "docker.io/library/watched:1", "docker.io/library/watched:again")
			})
			w.after("a container", func() {
				c.CLI(t, "default", "containers", "create", "docker.io/library/watched:1", "one", "/bin/none")
			})
			w.after("a container's end", func() { c.CLI(t, "default", "containers", "rm", "one") })
			w.after("an image in another namespace", func() { c.Load(t, "other", first) })
			w.after("a removal", func() {
				c.CLI(t, "default", "images", "rm", "docker.io/library/watched:again", "docker.io/library/watched:2")
			})
			c.CLI(t, "other", "images", "rm", "docker.io/library/watched:1")
		})
	}
}

func TestSYS01PodmanTellsChanges(t *testing.T) {
	l := lab.New(t)
	p := l.Podman(t)
	first, second := lab.Tiny("watched:1"), lab.Tiny("watched:2")
	second.Archive(t)
	p.Load(t, first)
	stores, problems := podman.Discover(t.Context(), podman.Options{Roots: []string{p.Root}})
	if len(stores) != 1 {
		t.Fatalf("%d stores, %v", len(stores), problems)
	}
	t.Cleanup(func() { stores[0].Close() })
	w := watch(t, stores[0])
	w.after("a load", func() { p.Load(t, second) })
	w.after("a tag", func() { p.CLI(t, "tag", "localhost/watched:1", "localhost/watched:again") })
	w.after("a removal", func() { p.CLI(t, "rmi", "localhost/watched:2") })
}
