//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/lab"
)

// A fleet of the previous release, the program that PLIMSOLL_PREVIOUS names: first
// its console is upgraded, then its agent, then the console goes one step back. What
// was read is there all the time.
func TestUpgradeFromThePreviousRelease(t *testing.T) {
	previous := os.Getenv("PLIMSOLL_PREVIOUS")
	if previous == "" {
		t.Skip("PLIMSOLL_PREVIOUS names no program of the previous release; store TestUpgradeKeepsTheData has its data")
	}
	const images = 3
	d := lab.New(t).Docker(t)
	npmImages(t, d, images)
	c := prepareConsole(t, "")
	c.bin = previous
	c.start()
	c.ready()
	c.setUp()
	a := c.join(nil, dockerAt(d)...)
	a.bin = previous
	a.start()
	c.eventually("the images are listed", 30*time.Second, func() bool { return len(all[api.Image](c, "/images")) == images })
	scan := func(who string) {
		t.Helper()
		if task := c.scan(api.ScanRequest{Selection: api.Selection{All: true}, Force: true}); task.State != plimsoll.TaskSucceeded {
			t.Errorf("%s: a scan ended %+v", who, task)
		}
	}
	complete := func(who string, findings int) {
		t.Helper()
		list := all[api.Image](c, "/images")
		if len(list) != images {
			t.Errorf("%s: %d images", who, len(list))
		}
		for _, img := range list {
			if img.Packages != 4 || int(img.Applications.Total()) != findings {
				t.Errorf("%s: %v has %d packages and %d findings, want 4 and %d", who, img.Names, img.Packages, img.Applications.Total(), findings)
			}
		}
	}
	scan("before")
	complete("before", 0) // the old console has no advisories

	c.signal(syscall.SIGTERM)
	c.bin = ""
	c.start()
	c.ready()
	complete("console upgraded", 0)
	c.use(advisories(t, 2, flaws()...))
	complete("console upgraded, advisories", 2)
	scan("console upgraded")
	a.signal(syscall.SIGTERM)
	a.bin = ""
	a.start()
	scan("agent upgraded")
	complete("agent upgraded", 2)

	a.signal(syscall.SIGTERM)
	c.signal(syscall.SIGTERM)
	file := filepath.Join(c.dir, "fleet.sqlite")
	copies, _ := filepath.Glob(file + ".schema-*")
	if len(copies) > 0 { // else the schema is the same, and the older version takes it
		os.Remove(file + "-wal")
		os.Remove(file + "-shm")
		if err := os.Rename(copies[0], file); err != nil {
			t.Fatal(err)
		}
	}
	c.bin, a.bin = previous, previous
	c.start()
	c.ready()
	a.start()
	if list := all[api.Image](c, "/images"); len(list) != images {
		t.Errorf("a step back: %d images", len(list))
	}
	scan("a step back")
}
