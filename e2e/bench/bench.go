// Package bench measures what Waybill costs: both services as processes of their own, against the sandbox's Kafka and
// its BigQuery emulator, which counts rows and keeps none. Beside each figure stands the floor, what the pieces of the
// way cost alone on the same records.
//
// Machines differ and are shared: compare figures of one report, or of reports from one machine and one hour.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/google/pprof/profile"
)

// Bench is one measurement.
type Bench struct {
	Choice Choice
	// Runs is how often each variant is measured; figures are medians. The runs of the variants take turns.
	Runs int
	// Rows to move in a run; 0 is the workload's own number.
	Rows int64
	// Live is how long each load of the latency phase lasts; 0 leaves the phase out.
	Live time.Duration
	// Loads are the shares of the full load whose latency is measured. The full load is always the first.
	Loads []float64
	// Floor measures the floor as well.
	Floor bool
	// Bin is the folder of the binaries sandbox, writer and ingest, Root that of the source, for the floor.
	Bin, Root string
	// Profile is a file for the profiles of both services' processor time while they move full topics, those of all
	// runs as one; empty for none.
	Profile string
	// Progress receives what is going on.
	Progress io.Writer

	began    time.Time
	profiles []*profile.Profile

	starts   map[startKey]Services
	floorDir string
	// pieces are the floor's of the round under way, in processor seconds a million rows.
	pieces map[floorKey]map[string]float64
}

// Run measures the variants that the choice asks for.
func (b *Bench) Run(ctx context.Context) (Report, error) {
	variants, err := b.Choice.variants()
	if err != nil {
		return Report{}, err
	}
	if b.Runs < 1 || b.Rows < 0 {
		return Report{}, fmt.Errorf("%d runs of %d rows: runs must be positive, rows not negative", b.Runs, b.Rows)
	}
	if b.Floor {
		if b.floorDir, err = os.MkdirTemp("", "waybill-floor-"); err != nil {
			return Report{}, err
		}
		defer func() { _ = os.RemoveAll(b.floorDir) }()
		fmt.Fprintln(b.Progress, "building the floor's programs")
		if err := b.buildFloors(ctx, b.floorDir); err != nil {
			return Report{}, err
		}
	}
	runs := make([][]Result, len(variants))
	b.began = time.Now()
	for run := range b.Runs {
		b.pieces = map[floorKey]map[string]float64{}
		for i, v := range variants {
			b.say("run %d of %d, %d of %d: %s", run+1, b.Runs, i+1, len(variants), v)
			r, err := b.once(ctx, v)
			if err != nil {
				return Report{}, fmt.Errorf("%s: %w", v, err)
			}
			runs[i] = append(runs[i], r)
		}
	}
	report := Report{Runs: b.Runs, Machine: thisMachine()}
	for _, r := range runs {
		report.Workloads = append(report.Workloads, median(r))
	}
	return report, b.writeProfile()
}

func thisMachine() Machine {
	return Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version()}
}

// once measures a variant once: first a full topic, for throughput and cost; then, with the services warm, steady
// loads, for latency; last, with the services gone, the floor.
func (b *Bench) once(ctx context.Context, v Variant) (Result, error) {
	r := Result{Name: v.Workload, Lanes: v.Lanes, Codec: v.Codec, TLS: v.TLS, LatencyMS: v.LatencyMS}
	b.say("  starting alone")
	start, err := b.startCost(ctx, v)
	if err != nil {
		return r, err
	}
	w, err := b.raise(ctx, v, nil)
	if err != nil {
		return r, err
	}
	defer w.fall()
	rows := b.Rows
	if rows == 0 {
		rows = w.workload.Rows
	}
	b.say("  a full topic: %d rows", rows)
	d, err := w.drain(ctx, rows, start, b.profile)
	if err != nil {
		return r, err
	}
	million := float64(d.rows) / 1e6
	r.Rows, r.RowBytes, r.StartCPU = d.rows, float64(d.bytes)/float64(d.rows), start
	r.OutBytes = d.out / float64(d.rows)
	r.RowsPerS, r.MBPerS = d.rate, d.rate*r.RowBytes/1e6
	r.CPU, r.Allocated = d.cpu.per(million).costs(), d.allocated.per(float64(d.rows))
	if b.Live > 0 {
		if r.Loads, err = b.loads(ctx, w, d.rate); err != nil {
			return r, err
		}
		settle := r.Loads[0].Settle
		r.Settle = &settle
	}
	if r.PeakRSS, err = w.peak(ctx); err != nil {
		return r, err
	}
	if b.Floor {
		b.say("  the floor")
		if err := w.stopServices(); err != nil {
			return r, err
		}
		f, err := b.floor(ctx, w, int64(w.next))
		if err != nil {
			return r, err
		}
		ratio := r.CPU.Total / f.Total
		r.Floor, r.FloorRatio = &f, &ratio
	}
	return r, nil
}

// say reports what is going on now, and for how long this has been going on.
func (b *Bench) say(format string, args ...any) {
	if b.began.IsZero() {
		b.began = time.Now()
	}
	fmt.Fprintf(b.Progress, "%4.0f s  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// loads measures the full load and its shares.
func (b *Bench) loads(ctx context.Context, w *world, drained float64) ([]Load, error) {
	b.say("  what is produced and settled at once")
	flatOut, err := w.together(ctx, max(1000, int64(drained*b.Live.Seconds()/2)))
	if err != nil {
		return nil, err
	}
	var all []Load
	for _, share := range append([]float64{1}, b.Loads...) {
		b.say("  latency at %.0f %% load", 100*share)
		l, err := w.live(ctx, share, fullShare*flatOut, b.Live)
		if err != nil {
			return nil, fmt.Errorf("at %.0f %% load: %w", 100*share, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// peak is the most memory that the services had so far, in 10^6 bytes.
func (w *world) peak(ctx context.Context) (Services, error) {
	ingest, err := peakMemory(w.stack.Ingests[0].Pid())
	if err == nil {
		var writer float64
		writer, err = peakMemory(w.stack.Writers[0].Pid())
		return Services{ingest / 1e6, writer / 1e6}, err
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return Services{}, err
	}
	r, err := w.read(ctx)
	return Services{r.ingest.ResidentBytes() / 1e6, r.writer.ResidentBytes() / 1e6}, err
}

// stopServices stops them in order.
func (w *world) stopServices() error {
	for _, p := range w.stack.Ingests {
		if err := p.Stop(time.Minute); err != nil {
			return err
		}
	}
	for _, p := range w.stack.Writers {
		if err := p.Stop(time.Minute); err != nil {
			return err
		}
	}
	return nil
}
