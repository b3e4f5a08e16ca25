package chaos

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// place is a partition.
type place struct {
	topic     string
	partition int32
}

// seen is what an ingest last said of a lane.
type seen struct {
	ingest int
	lane   stack.Lane
}

// watch reads lanes and counters all the time. Counters of processes that die are kept: what they counted since the
// last look is not.
type watch struct {
	stack *stack.Stack

	mu       sync.Mutex
	lanes    []map[place]stack.Lane // by ingest; nil when it does not respond
	read     []time.Time            // when lanes was requested
	counters map[string]map[string]float64
	folded   map[string]float64
}

const lookEvery = 50 * time.Millisecond

func newWatch(s *stack.Stack) *watch {
	n := len(s.Ingests)
	return &watch{
		stack: s, lanes: make([]map[place]stack.Lane, n), read: make([]time.Time, n),
		counters: map[string]map[string]float64{}, folded: map[string]float64{},
	}
}

// run looks until ctx ends.
func (w *watch) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range w.stack.Ingests {
		all.Go(func() { stack.Every(ctx, lookEvery, func() { w.look(ctx, i) }) })
	}
	for _, s := range w.stack.Writers {
		all.Go(func() { stack.Every(ctx, 5*lookEvery, func() { w.count(ctx, s) }) })
	}
	all.Go(func() { stack.Every(ctx, 5*lookEvery, func() { w.stats(ctx) }) })
	all.Wait()
}

func (w *watch) look(ctx context.Context, i int) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	requested := time.Now()
	var now map[place]stack.Lane
	if w.stack.Ingests[i].Running() {
		if lanes, err := w.stack.Ingests[i].Lanes(ctx); err == nil {
			now = make(map[place]stack.Lane, len(lanes))
			for _, l := range lanes {
				now[place{l.Topic, l.Partition}] = l
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lanes[i], w.read[i] = now, requested
}

// created and finalized are the counters that are read of the sandbox: write streams.
const created, finalized = "streams_created", "streams_finalized"

// openings are the counters that are read of each writer.
var openings = []string{"new", "adopted", "fenced", "refused"}

func (w *watch) count(ctx context.Context, s *stack.Service) {
	if !s.Running() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	m, err := s.Metrics(ctx)
	if err != nil {
		return
	}
	now := map[string]float64{}
	for _, o := range openings {
		now[o] = m.Sum("waybill_writer_lane_opens_total", "outcome", o)
	}
	w.fold(s.Name, now)
}

func (w *watch) stats(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	if now, err := w.stack.Stats(ctx); err == nil {
		w.fold("sandbox", map[string]float64{
			created: float64(now.StreamsCreated), finalized: float64(now.StreamsFinalized),
		})
	}
}

// fold adds what a process counted before it was restarted, which shows by a counter that went back.
func (w *watch) fold(process string, now map[string]float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.counters[process]
	for name, n := range now {
		if n < before[name] {
			for name, n := range before {
				w.folded[name] += n
			}
			break
		}
	}
	w.counters[process] = now
}

// total is a counter over all processes and their lives.
func (w *watch) total(name string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.folded[name]
	for _, c := range w.counters {
		n += c[name]
	}
	return int64(n)
}

// view is every lane, as read after a moment. A lane that two ingests name is the one whose position is further:
// the other is a zombie's or is ending.
func (w *watch) view(after time.Time) map[place]seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[place]seen{}
	for i, lanes := range w.lanes {
		if w.read[i].Before(after) {
			continue
		}
		for p, l := range lanes {
			if s, ok := all[p]; ok && (s.lane.State == "open" && l.State != "open" || s.lane.State == l.State &&
				s.lane.Position >= l.Position) {
				continue
			}
			all[p] = seen{i, l}
		}
	}
	return all
}

// of are the lanes that a process carries.
func (w *watch) of(s *stack.Service) map[place]seen {
	all := w.view(time.Time{})
	maps.DeleteFunc(all, func(_ place, l seen) bool { return !carries(w.stack, l, s) })
	return all
}

func carries(all *stack.Stack, l seen, s *stack.Service) bool {
	return l.lane.Writer == s.Name || all.Ingests[l.ingest] == s
}

// recovered waits until each of the lanes is open, not at the process that ended but elsewhere or at the one that took
// its place, and has settled something there or has nothing to settle. It gives the time since began, and false when
// that did not happen within limit.
func (w *watch) recovered(ctx context.Context, lanes map[place]seen, victim *stack.Service, pid int, began time.Time,
	limit time.Duration,
) (time.Duration, bool) {
	ctx, cancel := context.WithDeadline(ctx, began.Add(limit))
	defer cancel()
	left := slices.Collect(maps.Keys(lanes))
	start := map[place]int64{}
	tick := time.NewTicker(lookEvery / 2)
	defer tick.Stop()
	for len(left) > 0 {
		now := w.view(began.Add(lookEvery))
		left = slices.DeleteFunc(left, func(p place) bool {
			l, ok := now[p]
			if !ok || l.lane.State != "open" || carries(w.stack, l, victim) && victim.Pid() == pid {
				return false
			}
			if _, ok := start[p]; !ok {
				start[p] = l.lane.Position
			}
			return l.lane.Position > start[p] || l.lane.Lag == 0
		})
		if len(left) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return time.Since(began), false
		case <-tick.C:
		}
	}
	return time.Since(began), true
}

// open is how many lanes carry records.
func (w *watch) open() int {
	n := 0
	for _, l := range w.view(time.Time{}) {
		if l.lane.State == "open" {
			n++
		}
	}
	return n
}
