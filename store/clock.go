package store

import (
	"context"
	"time"
)

// ticks is how far the clocks of consoles on one database may differ.
const ticks = time.Minute

// deadlines are the columns by which work waits for a time or is taken to have been
// touched at one, and how far ahead of now a time may be that was set by a right clock.
var deadlines = []struct {
	table, column string
	ahead         time.Duration
}{
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
	err := s.writeWork(ctx, "shorten deadlines after the clock was set back", func(t *tx) error {
		for _, d := range deadlines {
			limit := t.now + d.ahead.Milliseconds()
			if _, err := t.exec("UPDATE "+d.table+" SET "+d.column+" = ? WHERE "+d.column+" > ?", limit, limit+ticks.Milliseconds()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.latest.Store(0)
	}
	return err
}
