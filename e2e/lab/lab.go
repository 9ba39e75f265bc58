// Package lab is the laboratory of the end-to-end tests: real container
// engines, private to one test, and real images made on this machine.
//
// It owns the engines' processes and directories (one temporary directory per
// Lab, removed at the end of the test) and a cache of built images, which is
// kept from run to run because building takes minutes and loading seconds. It
// never talks to an engine of the host, reads no engine configuration of the
// host, and pulls nothing from an image registry: images are made from
// Debian's archive, the npm registry and the Go module proxy as the machine's
// own tools are configured to reach them.
//
// Trust: test code only. It runs as root, executes images and trusts what it
// downloads, so nothing but tests may import it.
package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// Environment variables that steer the lab.
const (
	// envCache names the directory of built images; the default is
	// plimsoll-lab under [os.UserCacheDir].
	envCache = "PLIMSOLL_LAB_DIR"
	// envForbidSkip set to 1 turns every missing tool into a failure: in CI
	// a test that did not run must not look like one that passed.
	envForbidSkip = "PLIMSOLL_FORBID_SKIP"
)

// Need skips the test unless this machine has everything it names: "root" for
// user ID 0, anything else for a program on the search path. With
// PLIMSOLL_FORBID_SKIP=1 it fails the test instead.
func Need(t testing.TB, needs ...string) {
	t.Helper()
	var missing []string
	for _, n := range needs {
		if n == "root" {
			if os.Geteuid() != 0 {
				missing = append(missing, n)
			}
		} else if _, err := exec.LookPath(n); err != nil {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		skip(t, "this machine lacks "+strings.Join(missing, ", "))
	}
}

func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(envForbidSkip) == "1" {
		t.Fatalf("%s, and %s=1 forbids skipping", why, envForbidSkip)
	}
	t.Skipf("NOT TESTED: %s", why)
}

// A Lab is a temporary directory in which engines are started. Its methods
// report failures to the test they are given, which may be a subtest of the
// one that owns the lab.
type Lab struct {
	// Dir holds everything the lab's engines write. Its path is short: a
	// Unix socket's path has at most 107 bytes.
	Dir string
}

// New makes a lab that lives as long as t. Engines are started in it by
// [Lab.Docker], [Lab.Containerd], [Lab.Podman] and [Lab.Postgres].
func New(t testing.TB) *Lab {
	t.Helper()
	Need(t, "root")
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, dir) })
	return &Lab{Dir: dir}
}

// remove unmounts what is left mounted under dir, then deletes dir. It refuses
// to delete through a mount.
func remove(t testing.TB, dir string) {
	t.Helper()
	for _, m := range mountsUnder(t, dir) {
		run(t, exec.Command("umount", "--lazy", m))
	}
	if left := mountsUnder(t, dir); len(left) > 0 {
		t.Fatalf("%q stays: still mounted: %q", dir, left)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Errorf("remove lab: %v", err)
	}
}

// mountsUnder lists mount points under dir, deepest first.
func mountsUnder(t testing.TB, dir string) []string {
	t.Helper()
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	// proc(5): white space in a mount point is written in octal.
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for line := range strings.Lines(string(info)) {
		if f := strings.Fields(line); len(f) > 4 {
			if p := unescape.Replace(f[4]); strings.HasPrefix(p, dir+"/") {
				points = append(points, p)
			}
		}
	}
	sort.Sort(sort.Reverse(sort.StringSlice(points)))
	return points
}

// run runs cmd and returns its standard output without the last newline. A
// failure ends the test with everything the command said.
func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", strings.Join(cmd.Args, " "), err, tail(out), tail(stderr.Bytes()))
	}
	return strings.TrimSuffix(string(out), "\n")
}

// tail returns the end of a log, which is where a failure is explained.
func tail(log []byte) []byte {
	const enough = 4 << 10
	return log[max(0, len(log)-enough):]
}

// mkdir makes the directory at the joined path and returns that path.
func mkdir(t testing.TB, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
