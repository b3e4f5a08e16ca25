package e2e

import (
	"io"
	"testing"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
)

// bench moves each small workload, one of them over TLS and with a slow BigQuery, and every figure is there, but for
// the processor time of so few rows. What the figures are is not judged here.
func TestBench(t *testing.T) {
	t.Parallel()
	for _, choice := range []bench.Choice{
		{
			Workloads: []string{"json-270"}, Lanes: []int{2}, Codecs: []string{"lz4"}, TLS: []bool{true},
			LatencyMS: []int{20},
		},
		{Workloads: []string{"proto-270"}, Lanes: []int{3}},
	} {
		t.Run(choice.Workloads[0], func(t *testing.T) {
			t.Parallel()
			b := bench.Bench{
				Choice: choice, Runs: 1, Rows: 20_000, Live: 500 * time.Millisecond, Loads: []float64{0.1}, Bin: bin,
				Progress: io.Discard,
			}
			report, err := b.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Workloads) != 1 {
				t.Fatalf("%d results", len(report.Workloads))
			}
			r := report.Workloads[0]
			for name, v := range map[string]float64{
				"rows": float64(r.Rows), "rows_per_s": r.RowsPerS, "row_bytes": r.RowBytes,
				"bigquery_row_bytes": r.OutBytes, "start": r.StartCPU.Ingest, "peak": r.PeakRSS.Writer,
				"allocated": r.Allocated.Ingest, "p50": r.Settle.P50,
			} {
				if v <= 0 {
					t.Errorf("%s is %v", name, v)
				}
			}
			if r.Settle.P99 < r.Settle.P50 || r.Settle.Max < r.Settle.P99 || r.Settle.P50 < float64(r.LatencyMS) {
				t.Errorf("settle: %+v with BigQuery at %d ms", r.Settle, r.LatencyMS)
			}
			if len(r.Loads) != 2 || r.Loads[1].RowsPerBatch <= 0 || r.Loads[1].Rate >= r.Loads[0].Rate {
				t.Errorf("loads: %+v", r.Loads)
			}
		})
	}
}
