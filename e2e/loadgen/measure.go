package loadgen

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// series is how long one kind of request took, each time.
type series []time.Duration

// quantile returns the time that the share q of requests did not exceed.
func (s series) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// histogram is how long a console took to answer the requests of one route, as
// its metrics tell: how many were answered within so many seconds.
type histogram map[float64]int64

func (h histogram) count() int64 { return h[math.Inf(1)] }

// quantile returns the bound, in seconds, that the share q of requests kept.
func (h histogram) quantile(q float64) float64 {
	for _, bound := range slices.Sorted(maps.Keys(h)) {
		if float64(h[bound]) >= q*float64(h.count()) {
			return bound
		}
	}
	return math.Inf(1)
}

var bucket = regexp.MustCompile(`(?m)^plimsoll_http_request_seconds_bucket\{route="([^"]*)",status="(\d)\d\d",le="([^"]*)"\} (\S+)$`)

// histograms reads those of a console's metrics: of requests that were answered
// and of those that were not, by route.
func histograms(metrics string) (answered, refused map[string]histogram, err error) {
	answered, refused = make(map[string]histogram), make(map[string]histogram)
	for _, m := range bucket.FindAllStringSubmatch(metrics, -1) {
		bound, err1 := strconv.ParseFloat(m[3], 64)
		count, err2 := strconv.ParseFloat(m[4], 64)
		if err1 != nil || err2 != nil {
			return nil, nil, fmt.Errorf("the console's metrics cannot be read: %s", m[0])
		}
		to := answered
		if m[2] != "2" {
			to = refused
		}
		if to[m[1]] == nil {
			to[m[1]] = make(histogram)
		}
		to[m[1]][bound] += int64(count)
	}
	return answered, refused, nil
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

// processorTime is what a process has used of all processors.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// proc_pid_stat(5): fields 14 and 15, in ticks of 10 ms; the second may hold spaces.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d does not tell its time", pid)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("process %d does not tell its time", pid)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
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
