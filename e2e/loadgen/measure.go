package loadgen

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Series is how long one kind of request took, each time.
type Series struct {
	mu    sync.Mutex
	times []time.Duration
	whole time.Duration // from the first request to the last answer
}

func (s *Series) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, d)
}

// Quantile returns the time that the share q of requests did not exceed.
func (s *Series) Quantile(q float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.times))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// Count is how many requests there were.
func (s *Series) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// Rate is how many requests were answered in a second.
func (s *Series) Rate() float64 {
	if s.whole <= 0 {
		return 0
	}
	return float64(s.Count()) / s.whole.Seconds()
}

// parallel calls f for 0 to n-1, so many at a time, and ends with the first error.
func parallel(ctx context.Context, n, workers int, f func(context.Context, int) error) (*Series, error) {
	var s Series
	start := time.Now()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next int
	var mu sync.Mutex
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= n
	}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i, ok := take(); ok && ctx.Err() == nil; i, ok = take() {
				begin := time.Now()
				if err := f(ctx, i); err != nil {
					stop(err)
					return
				}
				s.add(time.Since(begin))
			}
		})
	}
	group.Wait()
	s.whole = time.Since(start)
	return &s, context.Cause(ctx)
}

// peakMemory is the largest resident size that a process has had, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("process %d does not tell its memory", pid)
}

// treeSize is the size of all files below dir, in bytes.
func treeSize(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil { // one that is gone has no size
			size += info.Size()
		}
		return nil
	})
	return size, err
}
