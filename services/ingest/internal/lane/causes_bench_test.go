package lane

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-data/waybill/pkg/processors/rowcost"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// turns counts how often a partition gives records.
type turns struct {
	*endless
	n *atomic.Int64
}

func (t turns) Read(ctx context.Context, from int64) (Reader, error) {
	if _, err := t.endless.Read(ctx, from); err != nil {
		return nil, err
	}
	return t, nil
}

func (t turns) Next(ctx context.Context, dst []record.Record, deadline time.Time) ([]record.Record, error) {
	t.n.Add(1)
	return t.endless.Next(ctx, dst, deadline)
}

// BenchmarkCausesOfARow says which part of what a row costs in ingest and at the other end of the call goes to the
// account of causes, at most: a lane changes its cause twice for the records that come at once, from waiting to
// decoding and back, and now and then for a response; three times in all where 2.0 and 2.8 were counted. A row is not
// even decoded.
func BenchmarkCausesOfARow(b *testing.B) {
	for name, size := range map[string]int{"delivery": 9000, "stock": 110} {
		b.Run(name, func(b *testing.B) {
			var n atomic.Int64
			row, _ := carry(b, size, b.N, func(e *endless) Partition { return turns{e, &n} })
			one := oneChange()
			changes := 3 * float64(n.Load())
			b.ReportMetric(row, "ns/row")
			b.ReportMetric(one, "ns/change")
			b.ReportMetric(100*changes*one/(row*float64(b.N)), "%ofrow")
		})
	}
}

// oneChange is what a change of the cause costs, in nanoseconds of a processor.
func oneChange() float64 {
	var board board
	board.time = causes.New(time.Now(), causes.Opening)
	board.status.State = Open
	meter := rowcost.Start()
	const times = 1 << 20
	for i := range times {
		board.does(causes.Cause(uint8(causes.Fetch) + uint8(i%2)))
	}
	nanos, _ := meter.Row(times)
	return nanos
}

// To account for causes allocates nothing.
func TestCausesAllocateNothing(t *testing.T) {
	var board board
	board.time = causes.New(time.Now(), causes.Opening)
	board.status.State = Open
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		i++
		board.does(causes.Cause(uint8(causes.Fetch) + uint8(i%2)))
	}); n != 0 {
		t.Errorf("%v allocations a change", n)
	}
}
