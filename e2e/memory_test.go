//go:build !race

package e2e

import (
	"io"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
)

// A service stays far below 256 MB while BigQuery answers nothing and Kafka has more than enough, and every row arrives once it answers
// again. The budget is half of the default: a stall of seconds fills it, as a minute fills the default. Not with the race detector, whose
// shadow memory is several times what it shadows, and not beside other tests: it is a load for the whole machine.
func TestMemoryWhileBigQueryStalls(t *testing.T) {
	const budgetMB = 33.5 // 32 MiB
	m := bench.Memory{
		Cases: []bench.MemoryCase{{Name: "stall", Workload: "avro-stock", Lanes: 16, Rows: 1_000_000, Stalled: true, Budget: "32MiB"}},
		Stall: 3 * time.Second, Runs: 1, Bin: bin, Progress: io.Discard,
	}
	report, err := m.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := report.Cases[0]
	t.Logf("peak %.0f MB of ingest, %.0f MB of writer; held %+v MB; %d rows waited", r.Peak.Ingest, r.Peak.Writer, r.Stall.HeldMB, r.Stall.Waiting)
	if !r.Settled {
		t.Error("not every row arrived")
	}
	// A quarter of the budget is for prefetch, which is not in this figure.
	if r.Stall.HeldMB.Ingest < 0.7*budgetMB || r.Stall.HeldMB.Ingest > budgetMB {
		t.Errorf("ingest held %.1f MB of a budget of %.1f: the stall was to fill it", r.Stall.HeldMB.Ingest, budgetMB)
	}
	// Twice the budget and 64 MiB is what the configuration promises a process to take: 134 MB.
	for name, peak := range map[string]float64{"ingest": r.Peak.Ingest, "writer": r.Peak.Writer} {
		if peak <= 0 || peak >= 192 {
			t.Errorf("%s had %.0f MB resident: 134 were promised for this budget, and 256 is the limit with the default", name, peak)
		}
	}
}
