package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/produce"
)

// world is the sandbox and the services of one variant, in a folder of its own.
type world struct {
	variant  Variant
	workload Workload
	stack    *stack.Stack
	dir      string
	// next is the index of the next event to produce.
	next uint64
	// stopTokens ends the token endpoint; nil without TLS.
	stopTokens func()
	// patience is how long nothing may settle before a run is given up.
	patience time.Duration
	// movers are whose rows are awaited, where it is not the services.
	movers []*stack.Process
}

// raise starts the sandbox for a variant. Its services wait for their start. adjust, if there is one, comes last
// on the configuration.
func (b *Bench) raise(ctx context.Context, v Variant, adjust func(*stack.Config)) (_ *world, err error) {
	w := &world{variant: v, workload: v.workload(), patience: stuck}
	if w.dir, err = os.MkdirTemp("", "waybill-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.fall()
		}
	}()
	var security *stack.TLS
	if v.TLS {
		var address string
		if address, w.stopTokens, err = tokens(ctx); err != nil {
			return nil, fmt.Errorf("token endpoint: %w", err)
		}
		if security, err = certificates(w.dir, address); err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
	}
	config := stack.Config{
		Dir: w.dir, Bin: b.Bin, DeliveryPartitions: v.Lanes, StockPartitions: v.Lanes,
		Topics: []string{fmt.Sprintf("%s:%d", w.workload.Topic, v.Lanes)}, Contracts: w.workload.contracts,
		SandboxArgs: []string{"--discard"}, TLS: security,
	}
	if adjust != nil {
		adjust(&config)
	}
	if w.stack, err = stack.New(config); err != nil {
		return nil, err
	}
	if err := w.workload.write(w.dir); err != nil {
		return nil, err
	}
	if err := w.stack.UpSandbox(ctx); err != nil {
		return nil, err
	}
	if v.LatencyMS > 0 {
		err = w.slow(ctx, time.Duration(v.LatencyMS)*time.Millisecond, 0)
	}
	return w, err
}

// fall stops everything and removes the folder.
func (w *world) fall() {
	if w.stack != nil {
		// Half a minute is what lanes may take to drain; a service that was killed has been measured by then.
		if err := w.stack.Down(time.Minute); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		}
	}
	if w.stopTokens != nil {
		w.stopTokens()
	}
	_ = os.RemoveAll(w.dir) // a folder of the system's temporary ones
}

// slow delays the responses to appends that come in from now on for a time, 0 for ever. The emulator goes on taking
// requests in: latency, not less throughput.
func (w *world) slow(ctx context.Context, delay, lasts time.Duration) error {
	err := w.stack.Fault(ctx, stack.BigQuery, map[string]any{
		"kind": "latency", "method": "append", "delay": delay.String(), "for": lasts.String(),
	})
	if err != nil {
		return fmt.Errorf("latency of the emulator: %w", err)
	}
	return nil
}

// taken is how many rows the emulator has taken. Asking costs the services nothing.
func (w *world) taken(ctx context.Context) (int64, error) {
	s, err := w.stack.Stats(ctx)
	return s.Rows, err
}

// produce puts the next events into the topic, a second so many (0: flat out), and says how many bytes their values
// have.
func (w *world) produce(ctx context.Context, rows int64, rate float64) (int64, error) {
	security, err := clientTLS(w.stack.Config.TLS)
	if err != nil {
		return 0, err
	}
	sum, err := produce.Run(ctx, produce.Config{
		Seeds: w.stack.Seeds(), Topic: w.workload.Topic, Partitions: w.variant.Lanes, Events: rows, First: w.next,
		Rate:  rate,
		Codec: w.variant.Codec, Generator: generator(), TLS: security,
	})
	w.next += uint64(rows)
	return sum.Bytes, err
}

// reading is what both services say of themselves at one time.
type reading struct {
	ingest, writer stack.Metrics
}

func (w *world) read(ctx context.Context) (r reading, err error) {
	if r.ingest, err = w.stack.Ingests[0].Metrics(ctx); err != nil {
		return r, err
	}
	r.writer, err = w.stack.Writers[0].Metrics(ctx)
	return r, err
}

func (r reading) settled() int64   { return int64(r.ingest.Sum("waybill_ingest_settled_rows_total")) }
func (r reading) batches() float64 { return r.ingest.Sum("waybill_ingest_batches_total") }
func (r reading) cpu() Services {
	return Services{r.ingest.CPUSeconds(), r.writer.CPUSeconds()}
}

func (r reading) allocated() Services {
	const name = "go_memstats_alloc_bytes_total"
	return Services{r.ingest.Sum(name), r.writer.Sum(name)}
}

// stuck is the patience with a world in which BigQuery responds.
const stuck = time.Minute

// awaitSettled polls until so many rows in all are settled, and returns the reading that shows them.
func (w *world) awaitSettled(ctx context.Context, rows int64, every time.Duration) (reading, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	moved, last := time.Now(), int64(-1)
	for {
		r, err := w.read(ctx)
		if err != nil {
			return r, err
		}
		n := r.settled()
		switch {
		case n > rows:
			return r, fmt.Errorf("%d rows are settled and only %d were produced", n, rows)
		case n == rows:
			return r, nil
		case n > last:
			moved, last = time.Now(), n
		case time.Since(moved) > w.patience:
			return r, w.stalled(last, rows)
		}
		if letters := r.ingest.Sum("waybill_ingest_dead_letters_total"); letters > 0 {
			return r, fmt.Errorf("%.0f records became dead letters; all should become rows:\n%s",
				letters, stack.Tail(w.stack.Ingests[0].Log, 5))
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
	}
}

func (w *world) stalled(got, want int64) error {
	var text strings.Builder
	fmt.Fprintf(&text, "nothing has settled for %v, %d of %d rows", w.patience, got, want)
	movers := w.movers
	if len(movers) == 0 {
		movers = []*stack.Process{w.stack.Ingests[0].Process, w.stack.Writers[0].Process}
	}
	for _, p := range movers {
		fmt.Fprintf(&text, "; the end of %s's log:\n%s\n", p.Name, stack.Tail(p.Log, 5))
	}
	return errors.New(text.String())
}

// awaitOpen polls until every lane of the variant's topic is open.
func (w *world) awaitOpen(ctx context.Context) error {
	return w.stack.Ingests[0].Await(ctx, func(ctx context.Context) error {
		lanes, err := w.stack.Ingests[0].Lanes(ctx)
		if err != nil {
			return err
		}
		open := 0
		for _, l := range lanes {
			if l.Topic == w.workload.Topic && l.State == "open" {
				open++
			}
		}
		if open < w.variant.Lanes {
			return fmt.Errorf("%d of %d lanes are open", open, w.variant.Lanes)
		}
		return nil
	})
}
