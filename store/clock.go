package store

import (
	"context"
	"time"
)

// ticks is how far the clocks of consoles on one database may differ.
const ticks = time.Minute

// deadline is a column by which work waits for a time or is taken to have been touched
// at one, and how far ahead of now a time may be that was set by a right clock.
type deadline struct {
	table, column string
	ahead         time.Duration
}

func (d *deadline) limit(t *tx) int64 { return t.now + d.ahead.Milliseconds() }

var deadlines = []deadline{
	{"work", "until", LeaseTime},
	{"work", "not_before", maxAttempts * retryAfter},
	{"layer_claim", "until", LeaseTime},
	{"task_item", "started", 0},
	{"task", "touched", 0},
	{"export", "touched", 0},
	{"host", "last_seen", 0},
}

// clockSetBack shortens deadlines that were set while the clock was ahead: they would
// hold work up until the time comes that the clock showed. It looks when it is called
// for the first time and when the clock is seen to have gone back.
func (s *Store) clockSetBack(ctx context.Context) error {
	now := s.now().UnixMilli()
	if latest := s.latest.Swap(now); latest != 0 && now >= latest-ticks.Milliseconds() {
		return nil
	}
	err := s.shortenDeadlines(ctx)
	if err != nil {
		s.latest.Store(0)
	}
	return err
}

// shortenDeadlines looks before it writes: there is hardly ever anything to do, and
// nobody should wait for whole tables to be read at every start.
func (s *Store) shortenDeadlines(ctx context.Context) error {
	const op = "shorten deadlines after the clock was set back"
	found := deadlines[:0:0]
	err := s.read(ctx, op, func(t *tx) error {
		for _, d := range deadlines {
			var ahead bool
			if err := t.row("SELECT EXISTS (SELECT 1 FROM "+d.table+" WHERE "+d.column+" > ?)", d.limit(t)+ticks.Milliseconds()).Scan(&ahead); err != nil {
				return err
			}
			if ahead {
				found = append(found, d)
			}
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return s.writeWork(ctx, op, func(t *tx) error {
		for _, d := range found {
			if _, err := t.exec("UPDATE "+d.table+" SET "+d.column+" = ? WHERE "+d.column+" > ?", d.limit(t), d.limit(t)+ticks.Milliseconds()); err != nil {
				return err
			}
		}
		return nil
	})
}
