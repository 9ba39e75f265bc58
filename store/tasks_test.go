package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// yard is a small fleet, put together row by row: what these tests need of hosts
// and images, and nothing of how they come to be known.
type yard struct {
	*testing.T
	s *Store
}

func (y yard) exec(query string, args ...any) {
	y.Helper()
	err := y.s.write(y.Context(), "set up a test", func(t *tx) error {
		_, err := t.exec(query, args...)
		return err
	})
	if err != nil {
		y.Fatal(err)
	}
}

func (y yard) number(query string, args ...any) (n int64) {
	y.Helper()
	err := y.s.read(y.Context(), "look", func(t *tx) error { return t.row(query, args...).Scan(&n) })
	if err != nil {
		y.Fatal(err)
	}
	return n
}

// host adds a host that is online and has analysers v1.
func (y yard) host(labels ...string) (id int64) {
	y.Helper()
	err := y.s.write(y.Context(), "add a host", func(t *tx) (err error) {
		id, err = t.id("INSERT INTO host (name, analyzers, enrolled, last_seen) VALUES ('host', 'v1', ?, ?) RETURNING id", t.now, t.now)
		if err != nil {
			return err
		}
		if _, err = t.exec("UPDATE host SET name = ? WHERE id = ?", fmt.Sprintf("host-%d", id), id); err != nil {
			return err
		}
		for _, l := range append(labels, fmt.Sprintf("id=%d", id)) {
			if _, err = t.exec("INSERT INTO host_label (host_id, label) VALUES (?, ?)", id, l); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		y.Fatal(err)
	}
	return id
}

// image adds an image of these layers that these hosts hold.
func (y yard) image(layers []string, hosts ...int64) (id int64) {
	y.Helper()
	err := y.s.write(y.Context(), "add an image", func(t *tx) (err error) {
		var n int64
		if err = t.row("SELECT count(*) FROM image").Scan(&n); err != nil {
			return err
		}
		id, err = t.id("INSERT INTO image (digest, name, first_seen, last_seen, hosts) VALUES (?, ?, ?, ?, ?) RETURNING id",
			fmt.Sprintf("sha256:%064d", n), fmt.Sprintf("app-%d:1", n), t.now, t.now, len(hosts))
		if err != nil {
			return err
		}
		for i, diff := range layers {
			if _, err = t.exec("INSERT INTO layer (diff_id) VALUES (?) ON CONFLICT (diff_id) DO NOTHING", diff); err != nil {
				return err
			}
			if _, err = t.exec("INSERT INTO image_layer (image_id, number, layer_id) SELECT CAST(? AS BIGINT), CAST(? AS BIGINT), id FROM layer WHERE diff_id = ?", id, i, diff); err != nil {
				return err
			}
		}
		for _, h := range hosts {
			if _, err = t.exec("INSERT INTO host_image (host_id, image_id, hash) VALUES (?, ?, '')", h, id); err != nil {
				return err
			}
			if err = t.noteHeld(h); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		y.Fatal(err)
	}
	return id
}

func (y yard) scan(images ...int64) api.Task {
	y.Helper()
	task, err := y.s.StartScan(y.Context(), NewScan{Title: "scan", CreatedBy: "anna", Scope: plimsoll.Everything, Images: images, Priority: peoplesPriority})
	if err != nil {
		y.Fatal(err)
	}
	return task
}

func (y yard) work(host int64) api.Work {
	y.Helper()
	w, err := y.s.WorkFor(y.Context(), host)
	if err != nil {
		y.Fatal(err)
	}
	return w
}

// lease takes a lease, which must be there.
func (y yard) lease(host int64) *api.Lease {
	y.Helper()
	w := y.work(host)
	if w.Scan == nil {
		y.Fatalf("host %d got no lease", host)
	}
	return w.Scan
}

// finish ends work as a result does.
func (y yard) finish(lease string, state plimsoll.TaskState, code string) {
	y.Helper()
	err := y.s.write(y.Context(), "apply a result", func(t *tx) error {
		host, image, err := t.leaseOf(lease)
		if err != nil {
			return err
		}
		return t.finishWork(image, host, state, code, "")
	})
	if err != nil {
		y.Fatal(err)
	}
}

func (y yard) sweep() int {
	y.Helper()
	n, err := y.s.SweepWork(y.Context())
	if err != nil {
		y.Fatal(err)
	}
	return n
}

// want checks a task's state and counts, and that the kept counts are those of
// its items.
func (y yard) want(id int64, state plimsoll.TaskState, counts string) api.Task {
	y.Helper()
	task, err := y.s.Task(y.Context(), plimsoll.Everything, "", id)
	if err != nil {
		y.Fatal(err)
	}
	got := fmt.Sprintf("total %d ok %d partial %d failed %d cancelled %d running %d queued %d waiting %d",
		task.Total, task.Succeeded, task.Partial, task.Failed, task.Cancelled, task.Running, task.Queued, task.Waiting)
	if task.State != state || got != counts {
		y.Errorf("task %d is %s: %s\nwant %s: %s", id, task.State, got, state, counts)
	}
	for column, state := range map[string]plimsoll.TaskState{"succeeded": "succeeded", "partial": "partial", "failed": "failed", "cancelled": "cancelled", "running": "running"} {
		kept := y.number("SELECT "+column+" FROM task WHERE id = ?", id)
		if items := y.number("SELECT count(*) FROM task_item WHERE task_id = ? AND state = ?", id, state); kept != items {
			y.Errorf("task %d keeps %d %s, its items are %d", id, kept, state, items)
		}
	}
	return task
}

func (y yard) items(id int64) []api.TaskItem {
	y.Helper()
	page, err := y.s.TaskItems(y.Context(), plimsoll.Everything, "", id, "", api.List{})
	if err != nil {
		y.Fatal(err)
	}
	return page.Items
}

func inYard(t *testing.T, test func(y yard)) {
	contract(t, func(t *testing.T, s *Store) { test(yard{t, s}) })
}

func TestScanFromStartToEnd(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		a, b := y.image([]string{"l1", "l2"}, h), y.image([]string{"l3"}, h)
		task := y.scan(b, a, a)
		y.want(task.ID, "queued", "total 2 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 2 waiting 0")
		first := y.lease(h)
		if first.Attempt != 1 || first.Timeout != 900 || !first.Until.Equal(testStart.Add(LeaseTime)) || len(first.ID) != 32 {
			t.Errorf("lease %+v", first)
		}
		if w := y.work(h); w.Scan != nil { // one image at a time by default
			t.Error("a second lease beside the first")
		}
		y.want(task.ID, "running", "total 2 ok 0 partial 0 failed 0 cancelled 0 running 1 queued 1 waiting 0")
		pass(y.s, 20*time.Second)
		answer, err := y.s.RenewLease(y.Context(), h, first.ID, api.Progress{Done: 1, Total: 4})
		if err != nil || answer.Stop || !answer.Until.Equal(testStart.Add(20*time.Second+LeaseTime)) {
			t.Errorf("renewed: %+v, %v", answer, err)
		}
		if items := y.items(task.ID); items[0].Progress != 0.25 || items[0].Host != "host-1" || items[0].Image != "app-0:1" {
			t.Errorf("items %+v", items)
		}
		y.finish(first.ID, plimsoll.TaskSucceeded, "")
		got := y.want(task.ID, "running", "total 2 ok 1 partial 0 failed 0 cancelled 0 running 0 queued 1 waiting 0")
		if got.Remaining == nil || *got.Remaining != 20 {
			t.Errorf("remaining %v, want 20 seconds: one image took that long and one is left", got.Remaining)
		}
		y.finish(y.lease(h).ID, plimsoll.TaskPartial, "unreadable")
		got = y.want(task.ID, "partial", "total 2 ok 1 partial 1 failed 0 cancelled 0 running 0 queued 0 waiting 0")
		if got.Ended == nil || got.Remaining != nil {
			t.Errorf("ended %v, remaining %v", got.Ended, got.Remaining)
		}
		if n := y.number("SELECT (SELECT count(*) FROM work) + (SELECT count(*) FROM layer_claim)"); n != 0 {
			t.Errorf("%d rows of work and claims are left", n)
		}
	})
}

func TestWhatIsKnownIsNotReadAgain(t *testing.T) {
	inYard(t, func(y yard) {
		h, old := y.host(), y.host()
		known, stale, partial, blind := y.image(nil, h), y.image(nil, h), y.image(nil, h), y.image(nil, h)
		alone := y.image(nil)
		y.exec("UPDATE host SET analyzers = 'v0', last_seen = last_seen - 1000 WHERE id = ?", old)
		y.exec("INSERT INTO host_image (host_id, image_id, hash) VALUES (?, ?, '')", old, known)
		y.exec("UPDATE image SET state = 'succeeded', analyzers = 'v1', scan_host = ? WHERE id = ?", h, known)
		y.exec("UPDATE image SET state = 'succeeded', analyzers = 'v0' WHERE id = ?", stale)
		y.exec("UPDATE image SET state = 'partial', analyzers = 'v1' WHERE id = ?", partial)
		y.exec("UPDATE image SET state = 'unreadable', code = 'unreadable', detail = 'permission denied' WHERE id = ?", blind)
		y.exec("UPDATE host_image SET readable = 0 WHERE image_id = ?", blind)
		task := y.scan(known, stale, partial, blind, alone)
		y.want(task.ID, "queued", "total 5 ok 1 partial 0 failed 2 cancelled 0 running 0 queued 2 waiting 0")
		items := y.items(task.ID)
		if !items[0].Reused || items[0].HostID != h || items[3].Code != "unreadable" || items[3].Detail != "permission denied" || items[4].Code != api.CodeNoHost {
			t.Errorf("items %+v", items)
		}
		forced, err := y.s.StartScan(y.Context(), NewScan{Images: []int64{known}, Scope: plimsoll.Everything, Force: true})
		if err != nil {
			t.Fatal(err)
		}
		y.want(forced.ID, "queued", "total 1 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 1 waiting 0")
		// What one host's private store told does not speak for another's.
		y.exec("UPDATE image SET private = 1 WHERE id = ?", known)
		y.want(y.scan(known).ID, "queued", "total 1 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 1 waiting 0")
		y.exec("UPDATE host_image SET private = 1 WHERE image_id = ?", known)
		y.want(y.scan(known).ID, "succeeded", "total 1 ok 1 partial 0 failed 0 cancelled 0 running 0 queued 0 waiting 0")
		if empty := y.scan(); empty.State != plimsoll.TaskSucceeded || empty.Detail != "no image fits" {
			t.Errorf("a scan of nothing: %+v", empty)
		}
	})
}

// One reading serves everybody who asked (SYS-05).
func TestSYS05TwoTasksWantOneImage(t *testing.T) {
	inYard(t, func(y yard) {
		h, other := y.host(), y.host()
		image := y.image([]string{"l1"}, h, other)
		first := y.scan(image)
		lease := y.lease(h)
		second := y.scan(image)
		y.want(second.ID, "running", "total 1 ok 0 partial 0 failed 0 cancelled 0 running 1 queued 0 waiting 0")
		if w := y.work(other); w.Scan != nil {
			t.Error("the image is read twice")
		}
		y.finish(lease.ID, plimsoll.TaskFailed, "corrupt")
		for _, id := range []int64{first.ID, second.ID} {
			y.want(id, "failed", "total 1 ok 0 partial 0 failed 1 cancelled 0 running 0 queued 0 waiting 0")
		}
	})
}

func TestStop(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		reading, shared, queued := y.image([]string{"l1"}, h), y.image([]string{"l2"}, h), y.image([]string{"l3"}, h)
		task := y.scan(reading, shared, queued)
		lease := y.lease(h)
		other := y.scan(shared)
		stopped, err := y.s.StopTask(y.Context(), plimsoll.Everything, "", task.ID)
		if err != nil || !stopped.Stopping {
			t.Fatalf("%+v, %v", stopped, err)
		}
		y.want(task.ID, "cancelled", "total 3 ok 0 partial 0 failed 0 cancelled 3 running 0 queued 0 waiting 0")
		if answer, err := y.s.RenewLease(y.Context(), h, lease.ID, api.Progress{}); err != nil || !answer.Stop {
			t.Errorf("the agent is not told to stop: %+v, %v", answer, err)
		}
		// The other task's image goes on, and only that.
		y.finish(y.lease(h).ID, plimsoll.TaskSucceeded, "")
		y.want(other.ID, "succeeded", "total 1 ok 1 partial 0 failed 0 cancelled 0 running 0 queued 0 waiting 0")
		if w := y.work(h); w.Scan != nil {
			t.Error("a stopped image is handed out")
		}
		// A result that was on its way is welcome for a while.
		var image int64
		if err := y.s.read(y.Context(), "look", func(t *tx) (err error) { _, image, err = t.leaseOf(lease.ID); return err }); err != nil || image != reading {
			t.Errorf("the stopped lease speaks for image %d, %v", image, err)
		}
		pass(y.s, 2*LeaseTime)
		if n := y.sweep(); n != 1 {
			t.Errorf("swept %d, want the stopped work", n)
		}
		again, err := y.s.RetryTask(y.Context(), plimsoll.Everything, "bert", task.ID)
		if err != nil || again.Total != 3 || again.CreatedBy != "bert" {
			t.Errorf("retry: %+v, %v", again, err)
		}
		if _, err := y.s.RetryTask(y.Context(), plimsoll.Everything, "bert", other.ID); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("retry of what went well: %v", err)
		}
	})
}

func TestLostLeases(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		task := y.scan(y.image([]string{"l1"}, h))
		var leases []string
		for attempt := 1; attempt <= 3; attempt++ {
			lease := y.lease(h)
			if leases = append(leases, lease.ID); lease.Attempt != attempt {
				t.Errorf("attempt %d, want %d", lease.Attempt, attempt)
			}
			pass(y.s, LeaseTime-time.Second)
			if y.sweep() != 0 {
				t.Fatal("a lease in force was swept")
			}
			pass(y.s, time.Second)
			if y.sweep() != 1 {
				t.Fatal("a lease that ran out was not swept")
			}
			if attempt == 3 {
				break
			}
			y.exec("UPDATE host SET last_seen = ?", y.s.now().UnixMilli())
			y.want(task.ID, "running", "total 1 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 1 waiting 0")
			if answer, err := y.s.RenewLease(y.Context(), h, lease.ID, api.Progress{}); err != nil || !answer.Stop {
				t.Errorf("a lost lease was renewed: %+v, %v", answer, err)
			}
			// Late results speak for the host until somebody else has the image.
			for _, id := range leases {
				err := y.s.read(y.Context(), "look", func(t *tx) error { _, _, err := t.leaseOf(id); return err })
				if late := id == lease.ID; late != (err == nil) {
					t.Errorf("lease %s of %v: %v", id, leases, err)
				}
			}
			if y.work(h).Scan != nil {
				t.Error("no pause after a lost lease")
			}
			pass(y.s, time.Duration(attempt)*retryAfter)
		}
		y.want(task.ID, "failed", "total 1 ok 0 partial 0 failed 1 cancelled 0 running 0 queued 0 waiting 0")
		if i := y.items(task.ID)[0]; i.Code != api.CodeAgentLost || i.Attempts != 3 {
			t.Errorf("item %+v", i)
		}
	})
}

func TestReturnedLeaseCountsNoAttempt(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		task := y.scan(y.image([]string{"l1"}, h))
		for range 5 {
			lease := y.lease(h)
			if lease.Attempt != 1 {
				t.Fatalf("attempt %d", lease.Attempt)
			}
			if err := y.s.ReturnLease(y.Context(), h+1, lease.ID); err != nil {
				t.Fatal(err)
			}
			y.want(task.ID, "running", "total 1 ok 0 partial 0 failed 0 cancelled 0 running 1 queued 0 waiting 0") // not another's to return
			if err := y.s.ReturnLease(y.Context(), h, lease.ID); err != nil {
				t.Fatal(err)
			}
			y.want(task.ID, "running", "total 1 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 1 waiting 0")
		}
	})
}

// An item that waits says why: of several reasons the one that lasts longest.
func TestWhyItemsWait(t *testing.T) {
	inYard(t, func(y yard) {
		settings := api.DefaultSettings()
		set := func(change func(v *api.Settings)) {
			y.Helper()
			if change(&settings); y.s.SetSettings(y.Context(), settings) != nil {
				y.Fatalf("%+v", settings)
			}
		}
		h, other, silent := y.host(), y.host(), y.host()
		y.exec("UPDATE host SET last_seen = 1 WHERE id = ?", silent)
		task := y.scan(y.image(nil, h), y.image(nil, h), y.image(nil, h, other), y.image(nil, silent))
		want := func(what string, want ...string) {
			y.Helper()
			for i, item := range y.items(task.ID) {
				if item.Code != want[i] || (item.Detail == "") != (want[i] == "") {
					y.Errorf("%s: item %d says %q, %q, want %q", what, i, item.Code, item.Detail, want[i])
				}
			}
		}
		want("nobody has asked yet", "", "", "", api.CodeHostOffline)
		y.lease(h)
		want("one host reads, another could", "", api.CodeHostBusy, "", api.CodeHostOffline)
		if y.work(h).Scan != nil {
			y.Error("a busy host got a second lease")
		}
		set(func(v *api.Settings) { v.HostConcurrency = 2 })
		want("two at a time", "", "", "", api.CodeHostOffline)
		set(func(v *api.Settings) { v.ScansPerHour = 1 })
		want("one in an hour", "", api.CodeHourlyLimit, api.CodeHourlyLimit, api.CodeHostOffline)
		set(func(v *api.Settings) { v.Window = "22:00-06:00" })
		want("at night", "", api.CodeOutsideWindow, api.CodeOutsideWindow, api.CodeHostOffline)
		sync, err := y.s.StartSync(y.Context(), plimsoll.Everything, "anna", api.SyncRequest{Hosts: []int64{h}})
		if err != nil {
			y.Fatal(err)
		}
		if items := y.items(sync.ID); items[0].Code != "" {
			y.Errorf("a sync waits for no window: %+v", items)
		}
	})
}

func TestOfflineHostsAreWaitedFor(t *testing.T) {
	inYard(t, func(y yard) {
		h, gone := y.host(), y.host()
		task := y.scan(y.image(nil, h), y.image(nil, gone))
		pass(y.s, OfflineAfter+time.Second)
		y.exec("UPDATE host SET last_seen = ? WHERE id = ?", y.s.now().UnixMilli(), h)
		y.want(task.ID, "queued", "total 2 ok 0 partial 0 failed 0 cancelled 0 running 0 queued 2 waiting 1")
		if items := y.items(task.ID); items[0].Code != "" || items[1].Code != api.CodeHostOffline {
			t.Errorf("items %+v", items)
		}
		y.exec("DELETE FROM host_image WHERE host_id = ?", gone)
		if n := y.sweep(); n != 1 {
			t.Errorf("swept %d", n)
		}
		y.want(task.ID, "queued", "total 2 ok 0 partial 0 failed 1 cancelled 0 running 0 queued 1 waiting 0")
	})
}

func TestSettingsBoundTheWork(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		for i := range 4 {
			y.scan(y.image([]string{fmt.Sprint("l", i)}, h))
		}
		set := func(change func(*api.Settings)) {
			v := api.DefaultSettings()
			change(&v)
			if err := y.s.SetSettings(y.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
		set(func(v *api.Settings) { v.Window = "22:00-06:00" })
		if y.work(h).Scan != nil {
			t.Error("a scan starts outside the window")
		}
		set(func(v *api.Settings) { v.Window = "11:00-13:00"; v.HostConcurrency = 3; v.ScansPerHour = 2 })
		first := y.lease(h)
		y.lease(h)
		if y.work(h).Scan != nil {
			t.Error("a third scan within the hour")
		}
		y.finish(first.ID, plimsoll.TaskSucceeded, "")
		y.exec("INSERT INTO scan (image_id, report, state, started, ended, stored) VALUES (1, 'r', 'succeeded', 0, 0, ?)", y.s.now().UnixMilli())
		if y.work(h).Scan != nil {
			t.Error("a scan that ended within the hour does not count")
		}
		y.exec("UPDATE scan SET stored = stored - 3600000")
		y.lease(h)
		for _, bad := range []string{"22:00", "24:00-06:00", "22:00_06:00", "aa:bb-cc:dd"} {
			v := api.DefaultSettings()
			v.Window = bad
			if err := y.s.SetSettings(y.Context(), v); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Errorf("window %q: %v", bad, err)
			}
		}
	})
}

func TestWindow(t *testing.T) {
	for _, c := range []struct {
		window, clock string
		open          bool
	}{
		{"", "12:00", true},
		{"22:00-06:00", "21:59", false}, {"22:00-06:00", "22:00", true}, {"22:00-06:00", "05:59", true}, {"22:00-06:00", "06:00", false},
		{"09:00-17:00", "09:00", true}, {"09:00-17:00", "17:00", false},
	} {
		at, _ := time.Parse("15:04", c.clock)
		if open, err := inWindow(c.window, at); err != nil || open != c.open {
			t.Errorf("%q at %s: %v, %v", c.window, c.clock, open, err)
		}
	}
}

func TestLayersAreReadOnce(t *testing.T) {
	inYard(t, func(y yard) {
		a, b := y.host(), y.host()
		y.scan(y.image([]string{"base", "one"}, a))
		second := y.image([]string{"base", "two"}, b)
		y.scan(second)
		first := y.lease(a)
		if y.work(b).Scan != nil {
			t.Fatal("two hosts read one layer at the same time")
		}
		y.exec("INSERT INTO layer_facts (key, diff_id, analyzers, host_id, size, stored, data) VALUES ('k', 'base', 'v1', 1, 0, 0, ?)", []byte{})
		y.exec("DELETE FROM layer_claim WHERE diff_id = 'base'")
		lease := y.lease(b)
		if len(lease.Have) != 1 || lease.Have[0] != "base" {
			t.Errorf("have %v, want the base", lease.Have)
		}
		y.finish(first.ID, plimsoll.TaskSucceeded, "")
		if n := y.number("SELECT count(*) FROM layer_claim WHERE image_id = ?", second); n != 1 {
			t.Errorf("%d claims of the image that is being read", n)
		}
	})
}

func TestPrivateStoresShareNothing(t *testing.T) {
	inYard(t, func(y yard) {
		private, shared := y.host(), y.host()
		image := y.image([]string{"base"}, private, shared)
		y.exec("UPDATE host_image SET private = 1 WHERE host_id = ?", private)
		y.exec("INSERT INTO layer_facts (key, diff_id, analyzers, host_id, size, stored, data) VALUES ('k', 'base', 'v1', 1, 0, 0, ?)", []byte{})
		y.scan(image)
		if y.work(private).Scan != nil {
			t.Error("a private store is read while another can speak for the fleet")
		}
		y.exec("UPDATE host SET last_seen = 0 WHERE id = ?", shared)
		if lease := y.lease(private); !lease.Private || len(lease.Have) != 0 {
			t.Errorf("lease %+v", lease)
		}
		if n := y.number("SELECT count(*) FROM layer_claim"); n != 0 {
			t.Errorf("a private lease claims %d layers", n)
		}
	})
}

func TestSyncRequests(t *testing.T) {
	inYard(t, func(y yard) {
		a, b, c := y.host("env=prod"), y.host("env=prod"), y.host()
		task, err := y.s.StartSync(y.Context(), plimsoll.Everything, "anna", api.SyncRequest{Label: "env=prod"})
		if err != nil {
			t.Fatal(err)
		}
		if w := y.work(a); len(w.Sync) != 1 || w.Sync[0] != task.ID {
			t.Errorf("work %+v", w)
		}
		if w := y.work(a); len(w.Sync) != 0 {
			t.Error("a request is repeated while the agent is at it")
		}
		if w := y.work(c); len(w.Sync) != 0 {
			t.Error("a host is asked that was not meant")
		}
		y.exec("UPDATE host SET revoked = 1 WHERE id = ?", b)
		if n := y.sweep(); n != 1 {
			t.Errorf("swept %d", n)
		}
		pass(y.s, syncTime)
		y.sweep()
		if w := y.work(a); len(w.Sync) != 1 {
			t.Error("a request that got no answer is not repeated")
		}
		answer := func(host int64) {
			if err := y.s.write(y.Context(), "answer", func(t *tx) error { return t.answerSync(host, []int64{task.ID, 99, task.ID}) }); err != nil {
				t.Fatal(err)
			}
		}
		answer(c)
		y.want(task.ID, "running", "total 2 ok 0 partial 0 failed 1 cancelled 0 running 1 queued 0 waiting 0")
		answer(a)
		answer(a)
		y.want(task.ID, "partial", "total 2 ok 1 partial 0 failed 1 cancelled 0 running 0 queued 0 waiting 0")
		none, err := y.s.StartSync(y.Context(), plimsoll.Scope{}, "anna", api.SyncRequest{All: true})
		if err != nil || none.State != plimsoll.TaskSucceeded || none.Detail != "no host fits" {
			t.Errorf("a scope that sees nothing: %+v, %v", none, err)
		}
	})
}

// A user limited to some hosts sees and counts what they hold, nothing else (SYS-08).
func TestSYS08TasksWithinScope(t *testing.T) {
	inYard(t, func(y yard) {
		mine, theirs := y.host("team=a"), y.host("team=b")
		seen, hidden := y.image(nil, mine), y.image(nil, theirs)
		both := y.image(nil, mine, theirs)
		scope := plimsoll.Scope{Labels: []string{"team=a"}}
		mixed, foreign, within := y.scan(seen, hidden, both), y.scan(hidden), y.scan(seen)
		page, err := y.s.Tasks(y.Context(), scope, "carl", api.TaskFilter{}, api.List{})
		if err != nil || len(page.Items) != 2 || page.Items[0].ID != within.ID || page.Items[1].ID != mixed.ID || page.Items[1].Total != 2 {
			t.Errorf("tasks %+v, %v", page, err)
		}
		for who, want := range map[string]int{"anna": 2, "carl": 0} {
			if page, err := y.s.Tasks(y.Context(), scope, "carl", api.TaskFilter{CreatedBy: who}, api.List{}); err != nil || len(page.Items) != want {
				t.Errorf("tasks that %s started: %+v, %v", who, page.Items, err)
			}
		}
		items, err := y.s.TaskItems(y.Context(), scope, "carl", mixed.ID, "", api.List{})
		if err != nil || len(items.Items) != 2 || items.Total != 2 || items.Items[0].ImageID != seen || items.Items[1].ImageID != both {
			t.Errorf("items %+v, %v", items, err)
		}
		for name, call := range map[string]func(int64) error{
			"task": func(id int64) error { _, err := y.s.Task(y.Context(), scope, "carl", id); return err },
			"stop": func(id int64) error { _, err := y.s.StopTask(y.Context(), scope, "carl", id); return err },
		} {
			if err := call(foreign.ID); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("%s of a foreign task: %v", name, err)
			}
			if err := call(mixed.ID); (plimsoll.CodeOf(err) == plimsoll.CodeNotFound) != (name == "stop") {
				t.Errorf("%s of a task with items out of sight: %v", name, err)
			}
			if err := call(within.ID); err != nil {
				t.Errorf("%s of a task in sight: %v", name, err)
			}
		}
		if page, err := y.s.Tasks(y.Context(), plimsoll.Scope{}, "", api.TaskFilter{}, api.List{}); err != nil || len(page.Items) != 0 {
			t.Errorf("a scope that sees nothing sees %+v, %v", page, err)
		}
		if page, err := y.s.Tasks(y.Context(), plimsoll.Scope{}, "anna", api.TaskFilter{}, api.List{}); err != nil || len(page.Items) != 3 || page.Items[0].Total != 0 {
			t.Errorf("who started them sees %+v, %v", page, err)
		}
	})
}

// Ten hosts ask at once, again and again: no image is read twice, and no layer
// that nobody knows is read by two at the same time (SYS-05).
func TestSYS05ConcurrentHosts(t *testing.T) {
	inYard(t, func(y yard) {
		var hosts []int64
		for range 10 {
			hosts = append(hosts, y.host())
		}
		var images []int64
		layers := map[plimsoll.Digest][]string{}
		for i := range 40 {
			l := []string{fmt.Sprint("base", i%8), fmt.Sprint("own", i)}
			images = append(images, y.image(l, hosts[i%10], hosts[(i+3)%10], hosts[(i+7)%10]))
			layers[plimsoll.Digest(fmt.Sprintf("sha256:%064d", i))] = l
		}
		settings := api.DefaultSettings()
		settings.HostConcurrency = 4
		if err := y.s.SetSettings(y.Context(), settings); err != nil {
			t.Fatal(err)
		}
		task := y.scan(images...)
		done := map[plimsoll.Digest]bool{}
		for round := 0; len(done) < len(images); round++ {
			if round > 40 {
				t.Fatalf("%d of %d images after %d rounds", len(done), len(images), round)
			}
			leases := make([]*api.Lease, 100)
			errs := make([]error, len(leases))
			var group sync.WaitGroup
			for i := range leases {
				group.Go(func() {
					w, err := y.s.WorkFor(context.Background(), hosts[i%len(hosts)])
					leases[i], errs[i] = w.Scan, err
				})
			}
			group.Wait()
			reading := map[string]plimsoll.Digest{}
			for i, lease := range leases {
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				if lease == nil {
					continue
				}
				if done[lease.Image] {
					t.Errorf("%s is read twice", lease.Image)
				}
				done[lease.Image] = true
				for _, l := range layers[lease.Image] {
					if other, claimed := reading[l]; claimed {
						t.Errorf("%s and %s both read %s", lease.Image, other, l)
					}
					reading[l] = lease.Image
				}
			}
			for _, lease := range leases {
				if lease != nil {
					y.finish(lease.ID, plimsoll.TaskSucceeded, "")
				}
			}
		}
		y.want(task.ID, "succeeded", "total 40 ok 40 partial 0 failed 0 cancelled 0 running 0 queued 0 waiting 0")
	})
}

func TestSchedulesRunOnce(t *testing.T) {
	inYard(t, func(y yard) {
		due := testStart.Add(time.Hour)
		id, err := y.s.PutSchedule(y.Context(), api.Schedule{Name: "nightly", Enabled: true, Trigger: "cron", Cron: "0 13 * * *", Selection: api.Selection{All: true}}, due)
		if err != nil {
			t.Fatal(err)
		}
		next := func(_ string, after time.Time) time.Time { return after.Add(24 * time.Hour) }
		if list, err := y.s.DueSchedules(y.Context(), next); err != nil || len(list) != 0 {
			t.Errorf("due before its time: %v, %v", list, err)
		}
		pass(y.s, time.Hour)
		var mu sync.Mutex
		var group sync.WaitGroup
		got := 0
		for range 8 {
			group.Go(func() {
				list, err := y.s.DueSchedules(context.Background(), next)
				mu.Lock()
				defer mu.Unlock()
				if got += len(list); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got != 1 {
			t.Errorf("a schedule ran %d times", got)
		}
		if err := y.s.NoteSchedule(y.Context(), id, 7); err != nil {
			t.Fatal(err)
		}
		list, err := y.s.Schedules(y.Context())
		if err != nil || len(list) != 1 || list[0].LastTask != 7 || !list[0].NextRun.Equal(due.Add(24*time.Hour)) || !list[0].Selection.All {
			t.Errorf("%+v, %v", list, err)
		}
		if err := y.s.RemoveSchedule(y.Context(), id); err != nil {
			t.Fatal(err)
		}
		if _, err := y.s.PutSchedule(y.Context(), list[0], due); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("a schedule that is gone was replaced: %v", err)
		}
	})
}
