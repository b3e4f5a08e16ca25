package bench

import (
	"context"
	"fmt"
	"time"
)

// drained is what it took to move a topic that was full before the services started.
type drained struct {
	rows, bytes int64   // records, and bytes of their values
	out         float64 // bytes of their rows
	rate        float64 // rows a second
	cpu         Services
	allocated   Services
}

// startKey is what the cost of starting depends on.
type startKey struct {
	lanes int
	tls   bool
}

// startCost is the processor time that the services use until every lane is open, with nothing to carry. It is taken
// from what a run used: a run has too few rows to share it among.
func (b *Bench) startCost(ctx context.Context, v Variant) (Services, error) {
	key := startKey{v.Lanes, v.TLS}
	if cost, known := b.starts[key]; known {
		return cost, nil
	}
	w, err := b.raise(ctx, v, nil)
	if err != nil {
		return Services{}, err
	}
	defer w.fall()
	if err := w.stack.UpServices(ctx); err != nil {
		return Services{}, err
	}
	opening, cancel := context.WithTimeout(ctx, stuck)
	defer cancel()
	if err := w.awaitOpen(opening); err != nil {
		return Services{}, err
	}
	r, err := w.read(ctx)
	if err != nil {
		return Services{}, err
	}
	if b.starts == nil {
		b.starts = map[startKey]Services{}
	}
	b.starts[key] = r.cpu()
	return r.cpu(), nil
}

// drain fills the topic, starts the services, and waits until every row is settled. The emulator counts rows and keeps
// none. profile begins when the services do, and what it returns ends it.
func (w *world) drain(
	ctx context.Context, rows int64, start Services, profile func(context.Context, *world) (wait func() error),
) (d drained, err error) {
	d.rows = rows
	if d.bytes, err = w.produce(ctx, rows, 0); err != nil {
		return d, err
	}
	if err := w.stack.UpServices(ctx); err != nil {
		return d, err
	}
	wait := profile(ctx, w)
	// The clock starts when the first rows are seen and counts those after them: how fast the services start is another
	// matter.
	first, began, err := w.firstRows(ctx, rows)
	if err != nil {
		return d, err
	}
	r, err := w.awaitSettled(ctx, rows, 10*time.Millisecond)
	if err != nil {
		return d, err
	}
	if rest := rows - first; rest > 0 {
		d.rate = float64(rest) / time.Since(began).Seconds()
	}
	d.cpu = r.cpu().minus(start).atLeastZero()
	d.allocated = r.allocated()
	d.out = r.ingest.Sum("waybill_ingest_row_bytes_total")
	return d, wait()
}

// firstRows waits until the emulator has taken all rows, and returns how many came first, and when.
func (w *world) firstRows(ctx context.Context, rows int64) (first int64, seen time.Time, err error) {
	// Only the last rows are awaited by asking ingest: each response with its metrics costs it a little.
	err = w.watch(ctx, rows, 5*time.Millisecond, func(n int64) error {
		if first == 0 && n > 0 {
			first, seen = n, time.Now()
		}
		return nil
	})
	return first, seen, err
}

// awaitTaken waits until the emulator has taken so many rows.
func (w *world) awaitTaken(ctx context.Context, rows int64) error {
	return w.watch(ctx, rows, 20*time.Millisecond, func(int64) error { return nil })
}

// watch asks the emulator how many rows it has taken until there are so many, and reports each number. Nobody asks the
// services meanwhile.
func (w *world) watch(ctx context.Context, rows int64, every time.Duration, report func(int64) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	moved, last := time.Now(), int64(0)
	for {
		n, err := w.taken(ctx)
		if err != nil {
			return err
		}
		if err := report(n); err != nil {
			return err
		}
		switch {
		case n >= rows:
			return nil
		case n > last:
			moved, last = time.Now(), n
		case time.Since(moved) > w.patience:
			return w.stalled(n, rows)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d rows: %w", n, rows, ctx.Err())
		case <-tick.C:
		}
	}
}
