//go:build linux && !race

package e2e

import (
	"io"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
)

// The services and the sandbox take turns, and rows move; every figure is there, on a fast machine too, which empties
// the topic before it was measured. What the figures are is not judged here. It runs beside no other test, which would
// be what it measures.
func TestBenchCores(t *testing.T) {
	c := bench.Cores{
		Workloads: []string{"json-270"}, Lanes: []int{4}, Counts: []int{1},
		Slices: []time.Duration{3 * time.Millisecond},
		Runs:   1, Lasts: 200 * time.Millisecond, Rows: 100_000, Bin: bin, Progress: io.Discard,
	}
	report, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Series) != 1 {
		t.Fatalf("%d results", len(report.Series))
	}
	r := report.Series[0]
	if r.RowsPerS <= 0 || r.CPU.Ingest <= 0 || r.CPU.Writer <= 0 || r.TurnMS < 3 || r.RestMS <= 0 ||
		r.RowsPerAppend < 1 {
		t.Errorf("%+v", r)
	}
	// One processor has no more than its time; what is counted a tick late is within a tenth.
	if r.Busy <= 0 || r.Busy > 1.1 {
		t.Errorf("the services used %.2f of one processor", r.Busy)
	}
}
