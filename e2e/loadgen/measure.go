package loadgen

import (
	"context"
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

// since leaves out what was counted before.
func (h histogram) since(before histogram) histogram {
	since := make(histogram, len(h))
	for bound, n := range h {
		since[bound] = n - before[bound]
	}
	return since
}

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

// histograms reads those of the metrics of consoles, which it adds up: of requests
// that were answered and of those that were not, by route.
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

// tells returns a number that a file below /proc tells of a process by its name.
func tells(pid int, file, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name+":" {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("process %d does not tell its %s", pid, name)
}

// ownMemory is what only the end of a process, or the process itself, gives back, in
// bytes.
func ownMemory(pid int) (int64, error) {
	n, err := tells(pid, "status", "RssAnon")
	return n << 10, err
}

// memoryShare is that and its share of what other processes or the kernel's cache of
// files hold, too, in bytes: a page that is mapped several times counts once.
func memoryShare(pid int) (int64, error) {
	n, err := tells(pid, "smaps_rollup", "Pss")
	return n << 10, err
}

// peaks are the most memory that was seen at once, in bytes.
type peaks struct {
	own, share int64 // of the largest console
	database   int64 // of all processes of the database
}

// watch looks at the memory of the consoles and of the database's processes until
// it is stopped. A process that has ended has none.
func (p *peaks) watch(consoles []int, database int) (stop func()) {
	const (
		often  = 100 * time.Millisecond
		second = 10  // as often: the kernel counts pages for the share
		rarely = 100 // as often: each process of PostgreSQL maps all that they share
	)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			for _, pid := range consoles {
				own, _ := ownMemory(pid)
				p.own = max(p.own, own)
				if n%second == 0 {
					share, _ := memoryShare(pid)
					p.share = max(p.share, share)
				}
			}
			if n%rarely == 0 {
				var sum int64
				for _, pid := range family(database) {
					share, _ := memoryShare(pid)
					sum += share
				}
				p.database = max(p.database, sum)
			}
			if sleep(ctx, often) != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// family is a process with one thread, and its children; none for 0.
func family(pid int) (list []int) {
	if pid == 0 {
		return nil
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			list = append(list, child)
		}
	}
	return append(list, pid)
}

// used is what processes have used of all processors.
type used struct{ consoles, database time.Duration }

func usedBy(consoles []int, database int) (u used, err error) {
	for _, pid := range consoles {
		t, err := processorTime(pid)
		if err != nil {
			return u, err
		}
		u.consoles += t
	}
	for _, pid := range family(database) {
		t, err := processorTime(pid)
		if err != nil && pid == database { // the time of a child that has ended is its parent's
			return u, err
		}
		u.database += t
	}
	return u, nil
}

func (u used) since(before used) used {
	return used{u.consoles - before.consoles, u.database - before.database}
}

// processorTime is what a process and its children that have ended have used of all
// processors.
func processorTime(pid int) (sum time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// proc_pid_stat(5): fields 14 to 17, in ticks of 10 ms; the second may hold spaces.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return 0, fmt.Errorf("process %d does not tell its time", pid)
	}
	for _, field := range fields[11:15] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process %d does not tell its time", pid)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
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
