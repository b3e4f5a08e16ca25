package saturation

import (
	"testing"
	"testing/synctest"
	"time"
)

// However many wait, and however often it is said, time counts once, and only while anybody waits.
func TestBlockedCountsTimeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Blocked
		for _, step := range []struct {
			waits bool
			sum   time.Duration // after a second of it
		}{{false, 0}, {true, time.Second}, {true, 2 * time.Second}, {false, 2 * time.Second}, {true, 3 * time.Second}} {
			b.Set(step.waits)
			time.Sleep(time.Second)
			if got := b.Sum(); got != step.sum {
				t.Errorf("%v, want %v", got, step.sum)
			}
		}
	})
}
