package memory

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// perLane is what a lane takes beside what is counted in the budget, with room for the collector: some twenty kilobytes
// of heap, and the stacks of its goroutines.
const perLane = 64 << 10

// followEvery is how often Follow counts lanes, restEvery how often it looks whether the process is at rest.
const followEvery, restEvery = time.Second, 5 * time.Second

// Follow keeps Go's soft limit at what the budget and the lanes need, until ctx ends, unless the environment sets it by
// GOMEMLIMIT. With a fixed one, thousands of idle lanes would be over it, and the collector would never rest.
//
// While next to nothing happens it also collects what has become garbage, and gives back memory that is free: Go by
// itself would wait until there is as much garbage as there are lanes, and stacks shrink only when the collector runs.
func Follow(ctx context.Context, budget int64, lanes func() int) {
	f := follower{budget: budget, limit: Limit, set: func(bytes int64) { debug.SetMemoryLimit(bytes) }}
	if os.Getenv("GOMEMLIMIT") != "" {
		f.set = func(int64) {}
	}
	var r rest
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	rested := time.Now()
	for {
		f.follow(lanes())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if time.Since(rested) >= restEvery {
			rested = time.Now()
			switch r.look(read()) {
			case collect:
				runtime.GC()
			case giveBack:
				debug.FreeOSMemory()
			}
		}
	}
}

// follower sets the limit as lanes come and go.
type follower struct {
	budget int64
	limit  func() (int64, bool)
	set    func(bytes int64)
	last   int64
}

// step is by how much the limit moves at least: setting it stops the process for a moment.
const step = 4 << 20

func (f *follower) follow(lanes int) {
	bytes := soft(f.budget, lanes, f.limit)
	if d := bytes - f.last; d > -step && d < step {
		return
	}
	f.last = bytes
	f.set(bytes)
}

// reading is what Go's memory manager says.
type reading struct {
	// allocated counts up; objects are those there, garbage among them; live is what the last collection left; free is
	// kept and not used.
	allocated, objects, live, free uint64
}

func read() reading {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return samples[i].Value.Uint64()
	}
	return reading{value(0), value(1), value(2), value(3)}
}

// todo is what there is to do at rest.
type todo int

const (
	nothing todo = iota
	collect
	giveBack
)

// The process is at rest while it allocates less than restBytes between two looks, some megabytes a second, or less
// than it has. Less than fewBytes are not worth the work.
const restBytes, fewBytes = 32 << 20, 4 << 20

// rest decides what to do while nothing happens.
type rest struct{ last uint64 }

func (r *rest) look(now reading) todo {
	fresh := now.allocated - r.last
	first := r.last == 0
	r.last = now.allocated
	switch {
	case first || fresh >= max(restBytes, now.live):
		return nothing
	case now.free > max(fewBytes, now.live/32):
		return giveBack
	case now.objects > now.live+max(fewBytes, now.live/32):
		return collect
	}
	return nothing
}
