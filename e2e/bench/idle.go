package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// What idle lanes of one process may cost: processors, 10^6 bytes resident, and goroutines of ingest a lane.
const (
	IdleCores      = 0.2
	IdleMB         = 300
	IdleGoroutines = 6
)

// Idle measures what lanes cost that have nothing to do: many partitions, one ingest and one writer.
type Idle struct {
	Lanes []int
	// Settles is how long the lanes are left alone before the measurement, Lasts how long that is.
	Settles, Lasts time.Duration
	// Bin is the folder of the binaries sandbox, writer and ingest.
	Bin string
	// Profiles is a folder for heap and goroutine profiles of both services; empty for none.
	Profiles string
	// Progress receives what is going on.
	Progress io.Writer
}

// Run measures.
func (i *Idle) Run(ctx context.Context) (IdleReport, error) {
	report := IdleReport{Machine: thisMachine(), Seconds: i.Lasts.Seconds()}
	if len(i.Lanes) == 0 || i.Lasts < time.Second || i.Settles < 0 {
		return report, fmt.Errorf("%d numbers of lanes for %v after %v: at least one, and 1s",
			len(i.Lanes), i.Lasts, i.Settles)
	}
	b := Bench{Bin: i.Bin, Progress: i.Progress}
	for _, lanes := range i.Lanes {
		result, err := i.once(ctx, &b, lanes)
		if err != nil {
			return report, fmt.Errorf("%d lanes: %w", lanes, err)
		}
		report.Results = append(report.Results, result)
	}
	return report, nil
}

// idleLoad is the workload whose lanes are idle: every lane opens with its contract.
const idleLoad = "avro-stock"

func (i *Idle) once(ctx context.Context, b *Bench, lanes int) (r IdleResult, err error) {
	r.Lanes = lanes
	w, err := b.raise(ctx, Variant{Workload: idleLoad, Lanes: lanes, Codec: "none"}, nil)
	if err != nil {
		return r, err
	}
	defer w.fall()
	if err := w.stack.UpServices(ctx); err != nil {
		return r, err
	}
	b.say("%d lanes open", lanes)
	if err := awaitIdle(ctx, w, lanes); err != nil {
		return r, err
	}
	b.say("  all are open; they rest for %v", i.Settles)
	if err := stack.Pause(ctx, i.Settles); err != nil {
		return r, err
	}
	began := time.Now()
	first, err := w.read(ctx)
	if err != nil {
		return r, err
	}
	if err := stack.Pause(ctx, i.Lasts); err != nil {
		return r, err
	}
	took := time.Since(began)
	last, err := w.read(ctx)
	if err != nil {
		return r, err
	}
	r.Cores = last.cpu().minus(first.cpu()).per(took.Seconds())
	each := func(name string) Services { return Services{last.ingest.Sum(name), last.writer.Sum(name)} }
	r.Goroutines = each("go_goroutines")
	r.MB = each("process_resident_memory_bytes").per(1e6)
	r.HeapMB, r.StackMB = each("go_memstats_heap_inuse_bytes").per(1e6), each("go_memstats_stack_inuse_bytes").per(1e6)
	if i.Profiles != "" {
		err = i.profile(ctx, w, lanes)
	}
	return r, err
}

// awaitIdle polls until the writer has so many lanes. The fewer questions the better: they are what is measured
// otherwise.
func awaitIdle(ctx context.Context, w *world, lanes int) error {
	last, moved := 0.0, time.Now()
	for {
		m, err := w.stack.Writers[0].Metrics(ctx)
		if err != nil {
			return err
		}
		open := m.Sum("waybill_writer_lanes")
		switch {
		case int(open) >= lanes:
			return nil
		case open > last:
			last, moved = open, time.Now()
		case time.Since(moved) > 4*stuck:
			return fmt.Errorf("%.0f of %d lanes are open; the end of ingest's log:\n%s",
				open, lanes, stack.Tail(w.stack.Ingests[0].Log, 5))
		}
		if err := stack.Pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

func (i *Idle) profile(ctx context.Context, w *world, lanes int) error {
	for _, s := range []*stack.Service{w.stack.Ingests[0], w.stack.Writers[0]} {
		for _, kind := range []string{"heap?gc=1", "goroutine", "profile?seconds=10"} {
			name := fmt.Sprintf("%s/%s-%d-%.4s.pprof", i.Profiles, s.Name, lanes, kind)
			if err := download(ctx, "http://"+s.Admin+"/debug/pprof/"+kind, name); err != nil {
				return err
			}
		}
	}
	return nil
}
