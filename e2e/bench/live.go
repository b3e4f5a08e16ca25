package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Load is what was measured while records came in at a steady rate.
type Load struct {
	// Load is the share of the full load, Rate its records a second.
	Load float64 `json:"load"`
	Rate float64 `json:"records_per_s"`
	// Sustained says that what was settled kept up with what was produced.
	Sustained    bool    `json:"sustained"`
	RowsPerBatch float64 `json:"rows_per_batch"`
	Settle       Settle  `json:"settle_ms"`
	// CPU is processor seconds a million rows, idling between them included.
	CPU Costs `json:"cpu_s_per_million"`
}

// fullShare is the full load: this share of what the machine produces and settles at the same time when nobody holds
// back. Above it a queue grows without end somewhere, and latency says how long the run was.
const fullShare = 0.85

// together is how many rows a second are produced, carried and settled at once, flat out, all on this machine. The
// services run, and n rows are settled before.
func (w *world) together(ctx context.Context, rows int64) (float64, error) {
	before, err := w.read(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := w.produce(ctx, rows, 0); err != nil {
		return 0, err
	}
	if _, err := w.awaitSettled(ctx, before.settled()+rows, 20*time.Millisecond); err != nil {
		return 0, err
	}
	return float64(rows) / time.Since(began).Seconds(), nil
}

// live produces at a steady rate and says how long rows took from Kafka to settled. The first second is not counted.
func (w *world) live(ctx context.Context, load, full float64, lasts time.Duration) (Load, error) {
	const warm = time.Second
	l := Load{Load: load, Rate: load * full}
	start, err := w.read(ctx)
	if err != nil {
		return l, err
	}
	rows := max(1, int64(l.Rate*(warm+lasts).Seconds()))
	producing, stop := context.WithCancel(ctx)
	defer stop()
	produced := make(chan error, 1)
	go func() {
		_, err := w.produce(producing, rows, l.Rate)
		produced <- err
	}()
	timer := time.NewTimer(warm)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return l, errors.Join(ctx.Err(), <-produced)
	}
	before, err := w.read(ctx)
	if err != nil {
		stop()
		return l, errors.Join(err, <-produced)
	}
	if err := <-produced; err != nil {
		return l, err
	}
	end, err := w.read(ctx)
	if err != nil {
		return l, err
	}
	// At the end of the production, what is on its way is at most what arrives in a second or two, or the rate was too
	// much.
	l.Sustained = start.settled()+rows-end.settled() <= int64(max(2*l.Rate*(0.5+float64(w.variant.LatencyMS)/1000), 10))
	after, err := w.awaitSettled(ctx, start.settled()+rows, 20*time.Millisecond)
	if err != nil {
		return l, err
	}
	times := settleTimes(after.ingest).minus(settleTimes(before.ingest))
	if times.count() == 0 {
		return l, fmt.Errorf("no batch settled in %v at %.0f records a second, or ingest keeps no native histogram of "+
			"waybill_ingest_settle_seconds: build it again", lasts, l.Rate)
	}
	l.Settle = Settle{P50: 1e3 * times.quantile(0.5), P99: 1e3 * times.quantile(0.99), Max: 1e3 * times.quantile(1)}
	n := float64(after.settled() - before.settled())
	if batches := after.batches() - before.batches(); batches > 0 {
		l.RowsPerBatch = n / batches
	}
	l.CPU = after.cpu().minus(before.cpu()).per(n / 1e6).costs()
	return l, nil
}
