// Package processors lets Go use as many processors as the load keeps busy, instead of all there are.
//
//	stop := processors.Follow()
//	defer stop()
//
// A service of many short tasks, each of which wakes the next one, is cheaper on few processors: with more, Go wakes a
// thread for each task and moves what it works on from one processor's caches to another's. So GOMAXPROCS starts at one
// and grows within a tenth of a second once what there is is busy, or goroutines wait for it, up to Count. It shrinks
// when the load has been lower for a while.
package processors

import (
	"os"
	"runtime"
	"sync"
	"time"
)

// count is what Go may use: the machine's, or less by the container's limit or the environment.
var count = runtime.GOMAXPROCS(0)

// Count is how many processors there are for the process, however many Go uses at the moment. A limit that changes
// while the process runs is not seen.
func Count() int { return count }

// Used is the processor time that the process has used, user and system. ok is false where the system does not say.
func Used() (used time.Duration, ok bool) { return cpuTime() }

// interval is how often the load is looked at.
const interval = 100 * time.Millisecond

// Follow begins, and ends with stop, which returns when it has. Where the environment says GOMAXPROCS, or where the
// system does not say what the process used, that stays as it is.
func Follow() (stop func()) {
	used, ok := cpuTime()
	if os.Getenv("GOMAXPROCS") != "" || !ok || count == 1 {
		return func() {}
	}
	end := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		g := newGauge(count)
		runtime.GOMAXPROCS(g.now)
		defer runtime.GOMAXPROCS(count)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		at, waits := time.Now(), newWaits()
		for {
			select {
			case <-end:
				return
			case <-ticker.C:
			}
			u, _ := cpuTime()
			now := time.Now()
			if n, changed := g.look(float64(u-used)/float64(now.Sub(at)), waits.long()); changed {
				runtime.GOMAXPROCS(n)
			}
			used, at = u, now
		}
	})
	return sync.OnceFunc(func() {
		close(end)
		running.Wait()
	})
}
