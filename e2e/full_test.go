//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/lab"
)

// disk is a small file system of a test's own, which can be filled to the last byte.
type disk struct{ dir string }

// newDisk makes dir a disk of some mebibytes until the test ends.
func newDisk(t testing.TB, dir string, mebibytes int) disk {
	t.Helper()
	lab.Need(t, "root")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mebibytes)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return disk{dir}
}

// fill leaves no byte free; again, it takes what was freed since.
func (d disk) fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(d.dir, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func (d disk) free(t testing.TB) {
	t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "filler")); err != nil {
		t.Fatal(err)
	}
}

// The disk of the console, and then that of the agent, is filled while everything is
// scanned. Both say so and go on with what needs no room; with room again they finish
// by themselves, and what was acknowledged is there once.
func TestSYS03FullDisksOfAFleet(t *testing.T) {
	const images = 12
	l := lab.New(t)
	d := l.Docker(t)
	npmImages(t, d, images)
	c := prepareConsole(t, "")
	consoleDisk := newDisk(t, c.dir, 64)
	c.start()
	c.ready()
	c.setUp()
	state := t.TempDir()
	agentDisk := newDisk(t, state, 4)
	a := c.joinIn(state, nil, dockerAt(d)...)
	a.args[slices.Index(a.args, "--cache-dir")+1] = t.TempDir() // TestFaultsAreToldAndCostNothing fills that one
	a.start()
	c.use(advisories(t, 2, flaws()...))
	c.eventually("the images are listed", 30*time.Second, func() bool { return len(all[api.Image](c, "/images")) == images })
	if task := c.scan(api.ScanRequest{Selection: api.Selection{All: true}}); task.State != plimsoll.TaskSucceeded {
		t.Fatalf("with room: %+v\n%s", task, tail(a.said()))
	}

	for _, place := range []struct {
		name string
		disk disk
		who  *program
	}{{"console", consoleDisk, &c.program}, {"agent", agentDisk, &a.program}} {
		c.eventually("the agent has delivered all", time.Minute, func() bool {
			waiting, err := os.ReadDir(filepath.Join(state, "agent", "spool"))
			return err == nil && len(waiting) == 0
		})
		before := len(place.who.said())
		if place.name == "agent" { // which reads what it knows in no time; a full console would take no order
			place.disk.fill(t)
		}
		var task api.Task
		c.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true}, &task)
		c.eventually("the "+place.name+" says that its disk is full", time.Minute, func() bool {
			place.disk.fill(t) // what was delivered leaves room
			return regexp.MustCompile(`(?i)disk is full|no space left|free space`).MatchString(place.who.said()[before:])
		})
		// Reading goes on.
		for _, path := range []string{"/images", "/findings", "/hosts", "/dashboard"} {
			if status, body := c.call("GET", path, nil, nil); status != http.StatusOK {
				t.Errorf("%s with the %s's disk full: %d %s", path, place.name, status, body)
			}
		}
		if place.name == "console" {
			if status, body := c.call("POST", "/decisions", api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionIgnore, Vulnerability: "GHSA-0000-0000-0001", Remark: "known"}}}, nil); status/100 == 2 {
				t.Errorf("a decision was taken with no room for it: %d %s", status, body)
			}
		}
		time.Sleep(5 * time.Second)
		place.disk.free(t)
		if ended := c.ended(task.ID, 10*time.Minute); ended.Succeeded != images {
			t.Errorf("%s: with room again the scan ended %+v", place.name, ended)
		}
		if task := c.scan(api.ScanRequest{Selection: api.Selection{All: true}}); task.State != plimsoll.TaskSucceeded {
			t.Errorf("%s: after all, a scan ended %+v", place.name, task)
		}
	}
	for _, img := range all[api.Image](c, "/images") {
		if img.State != plimsoll.ImageSucceeded || img.Applications.Total() != 2 {
			t.Errorf("%v: %+v", img.Names, img)
		}
	}
	acknowledged, _ := c.keepsWhatItAcknowledged(a)
	if refused := strings.Count(a.said(), "refused a report for good"); refused > 0 {
		t.Errorf("%d reports were refused for good", refused)
	}
	t.Logf("%d reports acknowledged", acknowledged)
}
