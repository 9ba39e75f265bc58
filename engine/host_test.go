package engine_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/engine"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Skip("NOT TESTED: ", err)
	}
}

// TestIMG07HostPrefix: a host whose root is mounted below another directory has
// links that are meant from its own root.
func TestIMG07HostPrefix(t *testing.T) {
	root := t.TempDir()
	h := engine.Host{Root: root}
	for _, dir := range []string{"data/docker", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"var/lib/docker": "/data/docker",
		"var/lib/up":     "../../../../../../data",
		"var/lib/chain":  "docker",
		"var/lib/loop":   "/var/lib/loop",
		"var/run":        "/run",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/var/lib/docker":       "data/docker",
		"/var/lib/up/docker":    "data/docker",
		"/var/lib/chain":        "data/docker",
		"/../data/./docker/":    "data/docker",
		"/":                     "",
		"/var/lib/../lib/chain": "data/docker",
	} {
		got, err := h.Resolve(path)
		if err != nil || got != filepath.Join(root, want) {
			t.Errorf("Resolve(%q) = %q, %v, want %q", path, got, err, filepath.Join(root, want))
		}
	}
	for _, path := range []string{"/var/lib/loop", "/var/run/docker.sock", "/missing/x"} {
		if got, err := h.Resolve(path); err == nil {
			t.Errorf("Resolve(%q) = %q, want an error", path, got)
		}
	}
}

func TestHomes(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n"+
		"daemon:x:1:1::/:/bin/false\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:1000::/home/ann/:\n"+
		"eve:x:1:1::relative:/bin/sh\n")
	if diff := cmp.Diff([]string{"/home/ann", "/root"}, engine.Host{Root: root}.Homes()); diff != "" {
		t.Error(diff)
	}
}

func TestDaemons(t *testing.T) {
	root := t.TempDir()
	h := engine.Host{Root: root}
	other := filepath.Join(root, "container")
	write(t, filepath.Join(other, "x"), "")
	for pid, p := range map[string]struct{ cmdline, root string }{
		"7":  {"/usr/bin/dockerd\x00--data-root\x00/data one\x00--data-root=/data two\x00-g\x00", root},
		"8":  {"/usr/bin/dockerd-proxy\x00", root},
		"9":  {"dockerd\x00", other},
		"10": {"", root},
	} {
		write(t, filepath.Join(root, "proc", pid, "cmdline"), p.cmdline)
		if err := os.Symlink(p.root, filepath.Join(root, "proc", pid, "root")); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "proc/1x/cmdline"), "dockerd\x00")
	got := h.Daemons("dockerd")
	if len(got) != 2 {
		t.Fatalf("got %d daemons, want 2: %+v", len(got), got)
	}
	if got[0].Host != h {
		t.Errorf("a process with our root sees %+v, want %+v", got[0].Host, h)
	}
	if root := got[0].Flag("--data-root", "-g"); root != "/data two" {
		t.Errorf("the last flag that has a value wins: got %q", root)
	}
	if want := (engine.Host{Root: filepath.Join(root, "proc/9/root")}); got[1].Host != want {
		t.Errorf("a process with another root sees %+v, want %+v", got[1].Host, want)
	}
	if v := got[1].Flag("--data-root"); v != "" {
		t.Errorf("no flag gave %q", v)
	}
}

func TestReadFileNeverWaits(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "data/real.json"), "{}")
	mkfifo(t, filepath.Join(root, "fifo"))
	if err := os.Symlink("/data/real.json", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	h := engine.Host{Root: root}
	for _, name := range []string{"/fifo", "/data", "/missing"} {
		if b, err := h.ReadFile(name); err == nil {
			t.Errorf("%s gave %q, want an error", name, b)
		}
	}
	if b, err := h.ReadFile("/link"); err != nil || string(b) != "{}" {
		t.Errorf("a link of the host gave %q, %v", b, err)
	}
}
