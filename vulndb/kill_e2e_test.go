//go:build e2e

package vulndb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// importing is set in the processes that the tests of this file start: the directory
// and the bundle that each imports.
const importing = "PLIMSOLL_TEST_IMPORT"

func TestMain(m *testing.M) {
	job, asked := os.LookupEnv(importing)
	if !asked {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // calls are counted by thread
	path, bundle, _ := strings.Cut(job, "\n")
	err := func() error {
		d, err := Acquire(path)
		if err != nil {
			return err
		}
		f, err := os.Open(bundle)
		if err != nil {
			return err
		}
		_, err = d.Import(context.Background(), f, Terms{})
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func importer(path, bundle string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), importing+"="+path+"\n"+bundle, "GOMAXPROCS=1")
	return cmd
}

// two is a directory with the first of two generations, and the bundle of the second.
func two(t *testing.T) (path, bundle string) {
	t.Helper()
	from, path := t.TempDir(), filepath.Join(t.TempDir(), "db")
	source, d := acquire(t, from), acquire(t, path)
	for i := 1; i <= 2; i++ {
		generation(t, source, 100*i, i)
		if _, err := source.Activate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := Export(from, &b); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			keys, err := ReadKeys(from)
			if err == nil {
				err = d.Trust(keys.Root, true)
			}
			if err == nil {
				_, err = d.Import(t.Context(), &b, Terms{})
			}
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		bundle = filepath.Join(from, "second")
		if err := os.WriteFile(bundle, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.Release()
	return path, bundle
}

// Whenever an import is killed, at each of its calls to the kernel that changes
// anything, the generation in use is whole, signed, and the old or the new one; and
// the next import succeeds.
func TestADV15KilledAtEachStep(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("PLIMSOLL_FORBID_SKIP") != "" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: ", err)
	}
	path, bundle := two(t)
	steps := 0
	for _, call := range []string{"mkdirat", "openat", "flock", "write", "fsync", "close", "renameat", "renameat2", "rename", "symlinkat", "unlinkat"} {
		for n := 1; ; n++ {
			dir := filepath.Join(t.TempDir(), "db")
			if out, err := exec.Command("cp", "-a", path, dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			child := importer(dir, bundle)
			cmd := exec.Command("strace", append([]string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n)}, child.Args...)...)
			cmd.Env = child.Env
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err == nil { // so many calls there are not
				break
			}
			if !errors.As(err, &exit) || exit.Exited() && exit.ExitCode() == 1 {
				t.Fatalf("%s %d: %v: %s", call, n, err, out)
			}
			steps++
			before, by, err := Verify(t.Context(), dir)
			if err != nil || by == (Key{}) || before.Advisories != 100 && before.Advisories != 200 {
				t.Errorf("killed at %s %d: %d advisories in use, signed by %s, %v", call, n, before.Advisories, by, err)
			}
			if out, err := importer(dir, bundle).CombinedOutput(); err != nil {
				t.Errorf("after %s %d: %v: %s", call, n, err, out)
			}
			if after, by, err := Verify(t.Context(), dir); err != nil || by == (Key{}) || after.Advisories != 200 {
				t.Errorf("after %s %d: %d advisories, signed by %s, %v", call, n, after.Advisories, by, err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "*"+tmpSuffix)); left != nil {
				t.Errorf("after %s %d: left behind %v", call, n, left)
			}
			os.RemoveAll(dir)
		}
	}
	if steps < 20 {
		t.Errorf("only %d steps: calls of other names?", steps)
	}
	t.Logf("killed at %d steps", steps)
}

// Four processes at once: one imports, the others are told to wait or find it done,
// and whoever reads meanwhile has one generation or the other.
func TestADV15FourAtOnce(t *testing.T) {
	path, bundle := two(t)
	var wg sync.WaitGroup
	results := make([]string, 4)
	for i := range results {
		wg.Go(func() {
			out, err := importer(path, bundle).CombinedOutput()
			if err != nil {
				results[i] = string(out)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	reads := 0
	for running := true; running; reads++ {
		select {
		case <-done:
			running = false
		default:
		}
		db, err := OpenCurrent(path)
		if err != nil {
			t.Fatal(err)
		}
		g := db.Generation()
		if g.Advisories != 100 && g.Advisories != 200 {
			t.Errorf("%d advisories", g.Advisories)
		}
		db.Close()
	}
	succeeded := 0
	for _, said := range results {
		if said == "" {
			succeeded++
		} else if !strings.Contains(said, "another process is changing the advisories") {
			t.Errorf("refused: %s", said)
		}
	}
	if g, _, err := Verify(t.Context(), path); err != nil || g.Advisories != 200 || succeeded == 0 {
		t.Errorf("%d succeeded, %d advisories: %v", succeeded, g.Advisories, err)
	}
	t.Logf("%d of 4 imported, %d reads meanwhile", succeeded, reads)
}
