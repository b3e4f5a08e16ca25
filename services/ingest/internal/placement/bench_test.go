package placement

import (
	"fmt"
	"testing"
	"time"
)

// What one look costs: 1,000 lanes by 50 writers, of which the last has just joined.
func BenchmarkPlan(b *testing.B) {
	w := newWorld("i")
	for i := range 49 {
		w.join(fmt.Sprintf("10.0.0.%d:7070", i))
	}
	w.observe()
	for i := range 1000 {
		w.open("orders", int32(i), float64(1000+i%7*300))
	}
	w.run(20 * time.Second)
	w.join("10.0.0.50:7070")
	lanes := make([]Lane, 0, len(w.lanes))
	for _, l := range w.lanes {
		lanes = append(lanes, Lane{LaneID: l.LaneID, Writer: l.at, Open: true, Rate: l.rate})
	}
	planned := 0
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(2 * giveUp) // so that each look finds moves to make
		w.core.settling = true
		w.core.Observe(w.now, w.writers, lanes)
		planned += len(w.core.Plan(w.now))
	}
	b.ReportMetric(float64(planned)/float64(b.N), "moves/op")
}
