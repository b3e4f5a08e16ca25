// Package rowcost measures, for benchmarks and allocation tests, what a row costs the process: processor time and
// allocations of all its goroutines, so both ends of a call that stays within it.
package rowcost

import (
	"runtime"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/processors"
)

// Carry carries at least so many rows of so many bytes each, and returns what a Meter says of them.
type Carry func(b testing.TB, size, rows int) (nanos, allocations float64)

// Workload is rows of a size in bytes.
type Workload struct {
	Name string
	Size int
}

// Benchmark reports ns/row and allocs/row of each workload.
func Benchmark(b *testing.B, carry Carry, workloads ...Workload) {
	for _, w := range workloads {
		b.Run(w.Name, func(b *testing.B) {
			b.SetBytes(int64(w.Size))
			nanos, allocations := carry(b, w.Size, b.N)
			b.ReportMetric(nanos, "ns/row")
			b.ReportMetric(allocations, "allocs/row")
		})
	}
}

// Allocations fails the test when a row of a size makes more than so many allocations.
func Allocations(t *testing.T, carry Carry, size int, most float64) {
	t.Helper()
	if _, allocations := carry(t, size, 300_000); allocations > most {
		t.Errorf("%.4f allocations a row", allocations)
	}
}

// Meter counts from Start on.
type Meter struct {
	used   time.Duration
	before runtime.MemStats
}

// Start begins to measure.
func Start() *Meter {
	m := new(Meter)
	runtime.ReadMemStats(&m.before)
	m.used, _ = processors.Used()
	return m
}

// Row returns the processor time and the allocations of each of so many rows since Start. Where the system does not
// know the processor time it is 0.
func (m *Meter) Row(rows int) (nanos, allocations float64) {
	used, _ := processors.Used()
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	return float64(used-m.used) / float64(rows), float64(after.Mallocs-m.before.Mallocs) / float64(rows)
}
