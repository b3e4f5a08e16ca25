//go:build realkafka

package realkafka

import (
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// One broker of three at a time goes away under load, first asked to, then killed: leaders move, the group's
// coordinator moves, and everything goes on.
func TestBrokersRestart(t *testing.T) {
	w := newWorld(t, stack.Config{Ingests: 2})
	load := w.load(w.topic(), 400)
	for i, broker := range kafka.Brokers {
		w.committed(int64(i+1) * 500)
		if i == 1 {
			broker.Kill()
		} else if err := broker.Stop(time.Minute); err != nil {
			// A broker that was asked to end says 143: ended by a signal.
			t.Log(err)
		}
		// Without it, too, the others settle.
		before := w.sum()
		w.committed(before + 500)
		if err := kafka.Start(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.produced(w.topic(), load())
	w.verified()
	if n := w.metric(w.Ingests[0], "waybill_ingest_lane_calls_total", "outcome", "fatal"); n != 0 {
		t.Errorf("%v lanes were refused", n)
	}
}
