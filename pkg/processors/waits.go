package processors

import "runtime/metrics"

const (
	// long is a wait in seconds that says something: as long as Go lets one goroutine run while others want to.
	long = 0.010
	// few is the share of waits that may be long.
	few = 0.1
)

// waits looks at how long goroutines that could run wait until they do, which is for more than processors of ours: on a
// busy machine a process with one thread may get little of one, and shows no load.
type waits struct {
	sample    [1]metrics.Sample
	all, over uint64
}

func newWaits() *waits {
	w := new(waits)
	w.sample[0].Name = "/sched/latencies:seconds"
	w.long()
	return w
}

// long says that too many of the waits since the last call were long.
func (w *waits) long() bool {
	metrics.Read(w.sample[:])
	if w.sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return false
	}
	h := w.sample[0].Value.Float64Histogram()
	var all, over uint64
	for i, n := range h.Counts {
		all += n
		if h.Buckets[i] >= long {
			over += n
		}
	}
	recent, late := all-w.all, over-w.over
	w.all, w.over = all, over
	return float64(late) > few*float64(recent)
}
