package processors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// follow is Follow on a machine of four processors, until the test ends.
func follow(t *testing.T) (stop func()) {
	t.Helper()
	before := runtime.GOMAXPROCS(0)
	was := count
	count = 4
	stop = Follow()
	t.Cleanup(func() {
		stop()
		count = was
		runtime.GOMAXPROCS(before)
	})
	return stop
}

// await waits until Go uses at least, or at most, so many processors.
func await(t *testing.T, what string, ok func(n int) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(runtime.GOMAXPROCS(0)); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d processors", what, runtime.GOMAXPROCS(0))
		}
	}
}

func TestFollow(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	if _, ok := cpuTime(); !ok {
		t.Skip("this system does not say what a process used")
	}
	stop := follow(t)
	await(t, "idle", func(n int) bool { return n == 1 })
	var done atomic.Bool
	var burning sync.WaitGroup
	for range 4 {
		burning.Go(func() {
			for !done.Load() {
			}
		})
	}
	await(t, "busy", func(n int) bool { return n >= 2 })
	done.Store(true)
	burning.Wait()
	stop()
	stop()
	if n := runtime.GOMAXPROCS(0); n != 4 {
		t.Errorf("%d processors after the end, want all", n)
	}
}

// Who says how many there are to be gets as many.
func TestFollowLeavesTheEnvironmentAlone(t *testing.T) {
	t.Setenv("GOMAXPROCS", "3")
	before := runtime.GOMAXPROCS(0)
	defer follow(t)()
	time.Sleep(2 * interval) // in which it would have begun
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors, want %d as before", n, before)
	}
}
