package store

import (
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// A clock that was two days ahead and is set right holds nothing up for two days:
// what an agent that is gone was reading is read by another, a layer that it was to
// read is free, its host is offline, a schedule runs at its next time.
func TestClockSetBack(t *testing.T) {
	const jump = 48 * time.Hour
	for name, restart := range map[string]bool{"while the console runs": false, "before the console starts": true} {
		t.Run(name, func(t *testing.T) {
			inYard(t, func(y yard) {
				pass(y.s, jump)
				gone, other := y.host(), y.host()
				task := y.scan(y.image([]string{"base", "l1"}, gone, other), y.image([]string{"base", "l2"}, other))
				y.lease(gone)
				if w := y.work(other); w.Scan != nil {
					t.Fatal("the shared layer is read twice")
				}
				daily := func(_ string, after time.Time) time.Time { return after.Truncate(24 * time.Hour).Add(24 * time.Hour) }
				if _, err := y.s.PutSchedule(y.Context(), api.Schedule{Name: "daily", Enabled: true, Trigger: "cron", Cron: "0 0 * * *"}, y.s.now()); err != nil {
					t.Fatal(err)
				}
				ran := func() int {
					due, err := y.s.DueSchedules(y.Context(), daily)
					if err != nil {
						t.Fatal(err)
					}
					return len(due)
				}
				if ran() != 1 {
					t.Fatal("the schedule does not run")
				}
				y.sweep()

				pass(y.s, -jump)
				if restart {
					y.s.latest.Store(0)
				}
				y.sweep()
				y.want(task.ID, plimsoll.TaskRunning, "total 2 ok 0 partial 0 failed 0 cancelled 0 running 1 queued 1 waiting 0")
				if ran() != 0 {
					t.Error("the schedule runs at no time of its own")
				}
				pass(y.s, LeaseTime+ticks)
				y.exec("UPDATE host SET last_seen = ? WHERE id = ?", y.s.now().UnixMilli(), other)
				y.sweep()
				pass(y.s, retryAfter)
				first := y.lease(other)
				y.finish(first.ID, plimsoll.TaskSucceeded, "")
				y.finish(y.lease(other).ID, plimsoll.TaskSucceeded, "")
				y.want(task.ID, plimsoll.TaskSucceeded, "total 2 ok 2 partial 0 failed 0 cancelled 0 running 0 queued 0 waiting 0")

				pass(y.s, OfflineAfter)
				hosts, err := y.s.Hosts(y.Context(), plimsoll.Everything, api.HostFilter{}, api.List{})
				if err != nil || len(hosts.Items) != 2 || hosts.Items[0].ID != gone || hosts.Items[0].State != plimsoll.AgentOffline {
					t.Errorf("%+v, %v", hosts.Items, err)
				}
				pass(y.s, 24*time.Hour)
				if ran() != 1 {
					t.Error("the schedule does not run on the next day")
				}
			})
		})
	}
}
