package sandbox

import (
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	th := throttle{percent: 50}
	now := time.Now()
	for i, step := range []struct{ after, used, want time.Duration }{
		{0, 0, 0},
		{time.Second, 400 * time.Millisecond, 0}, // below half
		{time.Second, 700 * time.Millisecond, 400 * time.Millisecond},   // 0.7 s are worth 1.4 s
		{time.Second, 5 * time.Second, throttlePause},                   // never longer
		{throttleWindow + time.Second, 60 * time.Second, 0},             // a new window
		{throttleWindow + 2*time.Second, 61 * time.Second, time.Second}, // counts from its start
	} {
		if got := th.pause(now.Add(step.after), step.used); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}
