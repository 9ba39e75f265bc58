//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/lab"
)

// times is how often a test does harm: the environment variable, or the number.
func times(t testing.TB, variable string, n int) int {
	t.Helper()
	if text := os.Getenv(variable); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("%s=%s is no number of times", variable, text)
		}
	}
	return n
}

// Agent and console are killed again and again while everything is scanned:
// afterwards every result is there once, the task has ended, and what was found
// before is found still (SYS-03, SYS-06). PLIMSOLL_KILLS says how often each of the
// two is killed.
func TestSYS03SYS06FleetKills(t *testing.T) {
	const images = 40
	c, a, _ := fleetOfOne(t, lab.New(t), images)
	underCrashes(t, c, a, images, times(t, "PLIMSOLL_KILLS", 25), func(pause func()) {
		pause()
		a.signal(syscall.SIGKILL)
		a.start()
		pause()
		c.signal(syscall.SIGKILL)
		c.start()
	})
}

// underCrashes scans everything without end while crash does harm n times, waiting
// for a random moment with pause, and leaves both running. Nothing that was
// acknowledged is lost, nothing is there twice, and the database is whole.
func underCrashes(t *testing.T, c *console, a *agent, images, n int, crash func(pause func())) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	pause := func() { time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond) }
	var tasks []api.Task
	again := func() {
		var task api.Task
		c.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true}, &task)
		tasks = append(tasks, task)
	}
	again()
	open := int64(0)
	for range n {
		crash(pause)
		c.ready()
		var task api.Task
		if c.must("GET", fmt.Sprintf("/tasks/%d", tasks[len(tasks)-1].ID), nil, &task); task.State.Final() {
			again()
		}
		var d api.Dashboard
		if c.must("GET", "/dashboard", nil, &d); d.Application.Total() < open {
			t.Errorf("%d findings are open, %d were before a crash", d.Application.Total(), open)
		}
		open = d.Application.Total()
	}
	for _, task := range tasks {
		ended := c.ended(task.ID, 5*time.Minute)
		if ended.Succeeded+ended.Failed+ended.Partial+ended.Cancelled != int64(images) {
			t.Errorf("task %d ended with items left: %+v", task.ID, ended)
		}
	}
	if task := c.scan(api.ScanRequest{Selection: api.Selection{All: true}}); task.State != plimsoll.TaskSucceeded {
		t.Errorf("after all, a scan ended %+v", task)
	}
	for _, img := range all[api.Image](c, "/images") {
		if got := c.findingsOf(img.ID); len(got) != 2 {
			t.Errorf("%v has findings %q, want two", img.Names, got)
		}
		if img.State != plimsoll.ImageSucceeded || img.Packages != 4 || img.Applications.Total() != 2 {
			t.Errorf("%v: %+v", img.Names, img)
		}
	}
	acknowledged, stored := c.keepsWhatItAcknowledged(a)
	t.Logf("%d crashes, %d tasks, %d reports acknowledged, %d stored", n, len(tasks), acknowledged, stored)
	if acknowledged < images {
		t.Errorf("only %d reports were acknowledged", acknowledged)
	}
}

// storedReports are the reports that the console has applied, and how often, by a
// backup: that reads the whole database and checks it.
func (c *console) storedReports() map[string]int {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "fleet.backup")
	backup := exec.Command(binary(c.t), "backup", file, "--data-dir", c.dir)
	if out, err := backup.CombinedOutput(); err != nil {
		c.t.Fatalf("backup: %v: %s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		c.t.Fatal(err)
	}
	defer z.Close()
	stored := map[string]int{}
	column := -1 // of the report, in the table of scans
	lines := bufio.NewScanner(z)
	for lines.Buffer(nil, 64<<20); lines.Scan(); {
		var table struct {
			Table   string
			Columns []string
		}
		if lines.Bytes()[0] == '{' {
			column = -1
			if err := json.Unmarshal(lines.Bytes(), &table); err != nil {
				c.t.Fatal(err)
			}
			if table.Table == "scan" {
				column = slices.Index(table.Columns, "report")
			}
		} else if column >= 0 {
			var row []any
			if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
				c.t.Fatal(err)
			}
			_, report, _ := strings.Cut(row[column].(string), "/") // of which host
			stored[report]++
		}
	}
	if err := lines.Err(); err != nil {
		c.t.Fatal(err)
	}
	return stored
}

// keepsWhatItAcknowledged fails the test unless each report of which the agent knows
// that it is stored is stored, and each stored one once. It returns how many.
func (c *console) keepsWhatItAcknowledged(a *agent) (acknowledged, stored int) {
	c.t.Helper()
	reports := c.storedReports()
	delivered := regexp.MustCompile(`msg="report delivered" report=(\S+)`).FindAllStringSubmatch(a.said(), -1)
	known := map[string]bool{} // one is acknowledged again when the agent died before it forgot it
	for _, report := range delivered {
		known[report[1]] = true
		if reports[report[1]] != 1 {
			c.t.Errorf("report %s was acknowledged and is stored %d times", report[1], reports[report[1]])
		}
	}
	for report, n := range reports {
		if n != 1 {
			c.t.Errorf("report %s is stored %d times", report, n)
		}
	}
	return len(known), len(reports)
}
