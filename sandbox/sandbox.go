// Package sandbox reads images in a child process without privileges.
//
// It owns the child: how it is started, what it may do, how the two processes
// speak, and what becomes of an image on which it dies. The parent opens layers
// and hands them over as descriptors; the child lists, reads and parses, and sends
// an inventory back. It refuses to find images, to judge them, and to fall back to
// reading in the parent.
//
// Trust: whatever the child says after it has read the first byte of an image may
// be the image's words. The parent bounds and checks it like any other input. What
// the parent says the child believes.
package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll"
	"plimsoll/inventory"
)

// Command is the first argument of a process that has to call Child.
const Command = "sandbox-child"

// Limits of one child. See docs/security.md.
const (
	defaultMemory = 512 << 20             // bytes
	maxAttempts   = 3                     // to read an image on which children die
	stallTime     = 30 * time.Second      // longest time that an analyser is given for one file
	startTime     = 20 * time.Second      // in which a child is ready to read
	watchTime     = 20 * time.Millisecond // between two looks at a child
	answerTime    = 5 * time.Second       // in which a child takes the answer to its question
	maxFrame      = 64 << 20              // bytes of one message
	maxTalk       = 512 << 20             // bytes of all messages of one child
	maxAsked      = 100_000               // questions of one child
	maxText       = 1 << 20               // bytes of one text that a child sends
	maxErrors     = 16 << 10              // bytes kept of what a child writes to its standard error
)

// Sandbox starts children. Read is to be a Scanner's Isolated.
type Sandbox struct {
	Log *slog.Logger // optional

	stall   time.Duration // tests make it shorter
	program []string      // and run other children
	told    sync.Once
	noNet   atomic.Bool // a new network namespace is refused here
}

// Restrictions are what holds a child, and what was to hold it and cannot here.
type Restrictions struct {
	Held    []string
	Missing []string
}

// Read is Extract in a child process: for an image on which the child dies in at
// most three children, the later ones slower and without the file that brought
// down the one before, when that is known. Then the error wraps
// inventory.ErrCrashed, or has CodeLimit when it was time or memory.
func (b *Sandbox) Read(ctx context.Context, s *inventory.Scanner, t inventory.Task) (plimsoll.Inventory, error) {
	r := &reading{sandbox: b, scanner: s, task: t, workers: s.Workers, stale: make(map[int]bool), counted: make(map[int]bool)}
	for attempt := 1; ; {
		inv, err := r.attempt(ctx)
		d, died := err.(*death)
		if err == nil || !died || ctx.Err() != nil {
			if cause := context.Cause(ctx); err != nil && cause != nil {
				err = cause
			}
			return inv, err
		}
		if d.stale {
			continue // no child of an attempt: the cache was damaged, and once only for each layer
		}
		b.log().Warn("the process that reads an image died", "image", t.ImageID, "attempt", attempt, "cause", d.why, "suspects", len(d.suspects))
		b.log().Debug("what it wrote before", "stderr", d.stderr)
		// Without a suspect the same would take as much again.
		if attempt == maxAttempts || d.limit && len(d.suspects) == 0 {
			return plimsoll.Inventory{}, d.final(attempt)
		}
		attempt++
		r.workers = 1 // one file at a time, so that the next death tells which
		if len(d.suspects) == 1 {
			r.skip = append(r.skip, inventory.Skipped{Analyzer: d.suspects[0].analyzer, Path: d.suspects[0].path, Why: "the file was left out: " + d.why})
		}
	}
}

func (b *Sandbox) log() *slog.Logger {
	if b.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.Log
}

// Probe starts a child that reads nothing and tells what holds it.
func (b *Sandbox) Probe(ctx context.Context) (Restrictions, error) {
	r := &reading{sandbox: b, scanner: &inventory.Scanner{}}
	_, err := r.attempt(ctx)
	return r.held, err
}

// death is the end of a child without a result.
type death struct {
	why      string // part of a sentence
	limit    bool   // it was ended for want of time or memory
	stale    bool
	suspects []suspect
	stderr   string
}

// suspect is a file that an analyser was reading.
type suspect struct{ analyzer, path string }

func (d *death) Error() string { return d.why }

// final is the error of an image that is given up after some attempts.
func (d *death) final(attempts int) error {
	const op = "read image"
	if d.limit {
		return plimsoll.Errorf(plimsoll.CodeLimit, op, "%s (attempt %d)", d.why, attempts)
	}
	return plimsoll.Errorf(plimsoll.CodeInternal, op, "%w, %d times: %s", inventory.ErrCrashed, attempts, d.why)
}

// memory returns the limit in bytes.
func memory(l inventory.Limits) int64 {
	if l.Memory > 0 {
		return l.Memory
	}
	return defaultMemory
}

// environment is all that a child gets of one: the settings of its runtime.
func environment(l inventory.Limits) []string {
	processors := runtime.GOMAXPROCS(0)
	if l.CPUPercent > 0 {
		processors = min(processors, (l.CPUPercent+99)/100)
	}
	env := []string{
		fmt.Sprintf("GOMEMLIMIT=%d", memory(l)/10*8),
		fmt.Sprintf("GOMAXPROCS=%d", processors),
	}
	for _, name := range []string{"GOGC", "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
