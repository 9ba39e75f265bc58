package store

import (
	"testing"
	"time"

	"plimsoll/api"
)

// An agent that is started again does not wait for the lease of its former life
// to run out: the image is queued at its first heartbeat, and the attempt counts.
func TestAgentStartedAgain(t *testing.T) {
	inYard(t, func(y yard) {
		h := y.host()
		beat := func(boot string) {
			t.Helper()
			if err := y.s.Heartbeat(y.Context(), h, api.Heartbeat{Boot: boot, MachineID: "m"}); err != nil {
				t.Fatal(err)
			}
		}
		beat("one")
		y.scan(y.image([]string{"l1"}, h))
		first := y.lease(h)
		beat("one")
		if y.work(h).Scan != nil {
			t.Fatal("two leases for one agent")
		}
		beat("two")
		second := y.lease(h)
		if second.Image != first.Image || second.Attempt != 2 {
			t.Errorf("leased %+v after %+v", second, first)
		}
		beat("three")
		if y.work(h).Scan != nil {
			t.Error("no pause before the third attempt")
		}
		pass(y.s, 10*time.Second)
		if third := y.lease(h); third.Attempt != 3 {
			t.Errorf("leased %+v", third)
		}
		beat("four")
		if y.work(h).Scan != nil {
			t.Error("an image that takes the agent down three times is leased again")
		}
	})
}
