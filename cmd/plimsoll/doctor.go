package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"plimsoll"
	"plimsoll/agent"
	"plimsoll/report"
	"plimsoll/sandbox"
	"plimsoll/vulndb"
)

func (a *app) doctorCommand() *cobra.Command {
	var stateDir string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what Plimsoll can and cannot do on this host, and what to change",
		Long: `Doctor looks at the rights of this process and of the one that reads images, the engines and their stores, the
cache, the advisory database and, on a host of a fleet, at the agent's identity and
whether its console answers. It changes nothing. It ends with exit code 4 when
something keeps scans from being complete.`,
		Example: "  plimsoll doctor",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := doctor{app: a}
			d.rights()
			d.sandbox(cmd.Context())
			d.stores(cmd.Context())
			d.directory("cache", a.cacheDir)
			d.directory("data", a.dataDir)
			if !d.agent(cmd.Context(), cmp.Or(stateDir, filepath.Join(a.dataDir, agentDir))) {
				d.database()
			}
			if d.bad > 0 {
				return &outcome{exitIncomplete, fmt.Sprintf("what keeps scans from being complete is marked BAD above: %d", d.bad)}
			}
			return nil
		},
	}
	stateDirFlag(cmd.Flags(), &stateDir)
	return cmd
}

type doctor struct {
	*app
	bad int
}

func (d *doctor) ok(what, format string, args ...any) {
	fmt.Fprintf(d.stdout, "ok    %-10s %s\n", what, report.Text(fmt.Sprintf(format, args...)))
}

func (d *doctor) fail(what, format string, args ...any) {
	d.bad++
	fmt.Fprintf(d.stdout, "BAD   %-10s %s\n", what, report.Text(fmt.Sprintf(format, args...)))
}

// weak is what keeps no scan from being complete.
func (d *doctor) weak(what, format string, args ...any) {
	fmt.Fprintf(d.stdout, "weak  %-10s %s\n", what, report.Text(fmt.Sprintf(format, args...)))
}

// sandbox tells what holds the process that reads images.
func (d *doctor) sandbox(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := (&sandbox.Sandbox{Log: d.log}).Probe(ctx)
	if err != nil {
		d.fail("sandbox", "images cannot be read: %v", err)
		return
	}
	d.ok("sandbox", "images are read in a process with %s", strings.Join(r.Held, "; "))
	for _, missing := range r.Missing {
		d.weak("sandbox", "that process lacks %s", missing)
	}
}

// rights tells which capabilities decide what of a store can be read.
func (d *doctor) rights() {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		d.fail("rights", "capabilities are unknown: %v", err)
		return
	}
	has := func(capability uint) bool { return data[capability/32].Effective&(1<<(capability%32)) != 0 }
	if has(unix.CAP_DAC_READ_SEARCH) || has(unix.CAP_DAC_OVERRIDE) {
		d.ok("rights", "files of other users can be read")
	} else {
		d.fail("rights", "without CAP_DAC_READ_SEARCH only stores of this user (uid %d) can be read; run as root", os.Geteuid())
	}
	if has(unix.CAP_SYS_ADMIN) {
		d.ok("rights", "opaque directories are visible")
	} else {
		d.fail("rights", "without CAP_SYS_ADMIN opaque directories are known only where the engine recorded them; images of several layers where it did not are reported as incomplete")
	}
}

func (d *doctor) stores(ctx context.Context) {
	h, err := d.openHost(ctx)
	if err != nil {
		d.fail("engines", "%v", err)
		return
	}
	defer h.Close()
	if len(h.Stores)+len(h.Problems) == 0 {
		d.ok("engines", "none found; give --docker-root, --containerd-address or --storage-root if one is elsewhere")
	}
	all := h.Images(ctx)
	for _, s := range h.Stores {
		total, unreadable := 0, map[plimsoll.ProblemCode]int{}
		detail := map[plimsoll.ProblemCode]string{}
		for _, img := range all {
			if img.In(s) {
				total++
				if img.Problem != nil {
					unreadable[img.Problem.Code]++
					detail[img.Problem.Code] = img.Problem.Detail
				}
			}
		}
		d.ok("store", "%s: %d images", s.Name(), total)
		for _, code := range slices.Sorted(maps.Keys(unreadable)) {
			d.fail("store", "%s: %d images cannot be read: %s: %s", s.Name(), unreadable[code], code, detail[code])
		}
	}
	for _, p := range h.Problems {
		d.fail("store", "%s", problemText(p))
	}
}

func (d *doctor) directory(what, path string) {
	var stat unix.Statfs_t
	exists := path
	for unix.Statfs(exists, &stat) != nil && filepath.Dir(exists) != exists {
		exists = filepath.Dir(exists)
	}
	const floor = 512 << 20 // bytes; an update needs about this much
	switch free := stat.Bavail * uint64(stat.Bsize); {
	case unix.Access(exists, unix.W_OK) != nil:
		d.fail(what, "%s cannot be written; set --%s-dir", path, what)
	case free < floor:
		d.fail(what, "%s has only %d MiB free", path, free>>20)
	default:
		d.ok(what, "%s, %d MiB free", path, free>>20)
	}
}

// agent tells about this host's place in a fleet. It says whether there is one:
// the console then has the advisories.
func (d *doctor) agent(ctx context.Context, stateDir string) bool {
	m, err := agent.Joined(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		d.ok("agent", "this host has joined no console")
		return false
	}
	if err != nil {
		d.fail("agent", "%v", err)
		return false
	}
	left := time.Until(m.Until)
	if left <= 0 {
		d.fail("agent", "the identity of host %d at %s ended on %s; join again: plimsoll agent join", m.HostID, m.Console, m.Until.Format(time.DateOnly))
		return true
	}
	d.ok("agent", "host %d of %s, until %s unless renewed", m.HostID, m.Console, m.Until.Format(time.DateOnly))
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := m.Reach(ctx); err != nil {
		d.fail("agent", "the console does not answer: %v; what is read is kept and delivered later", err)
	} else {
		d.ok("agent", "the console answers")
	}
	if m.Spooled > 0 {
		d.ok("agent", "%d reports wait for delivery", m.Spooled)
	}
	return true
}

func (d *doctor) database() {
	db, err := vulndb.OpenCurrent(d.dbDir())
	if err != nil {
		d.fail("advisories", "%v; run: plimsoll db update", err)
		return
	}
	defer db.Close()
	g := db.Generation()
	if g.Sample {
		d.fail("advisories", "only the built-in sample of %d records; run: plimsoll db update", g.Advisories)
		return
	}
	d.ok("advisories", "%d records of %s", g.Advisories, g.Built.Format("2006-01-02"))
}
