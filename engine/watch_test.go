package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll/engine"
)

func TestPollTellsEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, told := "a", 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- engine.Poll(ctx, func() string { return state }, func() { told++ }) }()
		for i, next := range []string{"a", "b", "b", "a"} {
			synctest.Wait()
			state = next
			time.Sleep(engine.PollInterval)
			synctest.Wait()
			if want := []int{0, 1, 1, 2}[i]; told != want {
				t.Errorf("after %d steps: told %d times, want %d", i+1, told, want)
			}
		}
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
}

// A daemon is asked for again from time to time; a change at that moment is told, too.
func TestSYS01FollowTellsChangesBetweenLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, told, asked := 0, 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		listen := func(context.Context) bool {
			asked++
			if asked == 2 { // nobody is there, and meanwhile a record changes
				state++
			}
			return asked == 3
		}
		go func() {
			done <- engine.Follow(ctx, listen, func() string { return strconv.Itoa(state) }, func() { told++ })
		}()
		for asked < 2 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		time.Sleep(engine.PollInterval)
		synctest.Wait()
		if told != 1 {
			t.Errorf("a change while the daemon was asked for: told %d times", told)
		}
		for asked < 3 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if told != 2 {
			t.Errorf("a lost stream of events: told %d times in all, want 2", told)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if told != 2 {
			t.Errorf("nothing changed: told %d times in all, want 2", told)
		}
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestSignatureChangesWithRecords(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "one", "record")
	seen := map[string]string{}
	look := func(state string) {
		t.Helper()
		s := engine.Signature(file) + engine.SignatureBelow(dir)
		if before, again := seen[s]; again {
			t.Errorf("%q looks like %q", state, before)
		}
		seen[s] = state
	}
	replace := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	look("nothing")
	if err := os.Mkdir(filepath.Join(dir, "one"), 0o700); err != nil {
		t.Fatal(err)
	}
	look("a directory")
	replace("a")
	look("a record")
	replace("bb")
	look("another record")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	look("removed")
	if a, b := engine.SignatureBelow(dir), engine.SignatureBelow(dir); a != b {
		t.Error("nothing changed, and yet it looks so")
	}
}

// An agent with nothing to do looks at stores every two seconds, for years: what a look
// allocates is bounded. It is 36 for ten files.
func TestALookAllocatesLittle(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i := range 10 {
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if n := testing.AllocsPerRun(10, func() { engine.Signature(paths...) }); n > 45 {
		t.Errorf("%v allocations to look at %d files", n, len(paths))
	}
}
