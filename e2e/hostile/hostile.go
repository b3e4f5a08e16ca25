// Package hostile runs a stack as real processes, and clients that mean no good at the writer's gRPC port: those of
// attacks.go, one kind after the other. All the while rows flow over lanes of an honest ingest. It measures the
// writer's memory and goroutines, and how much longer the honest rows take to settle.
//
// Everything is on loopback, without TLS and without access: what is tried is what a client can do that was let in.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/produce"
)

// Config of a run.
type Config struct {
	// Dir takes data, configuration and logs; Bin is the folder of the binaries.
	Dir, Bin string
	// Each is how long an attack lasts; the time before the first is four times as long.
	Each time.Duration
	// Rate is events a second of the honest lanes.
	Rate float64
	// Out is for a person.
	Out io.Writer
}

// Goals: what the writer must keep to.
const (
	MostBytes = 512 << 20
	MostTimes = 2.0
)

// Report is what came of it.
type Report struct {
	Attacks int
	// Alive says that the writer is the process that was started, and answers.
	Alive bool
	// PeakBytes is the most resident memory of the writer.
	PeakBytes float64
	// Before and During are the 99th percentiles of the time to settle of honest rows, in seconds, without attacks and
	// over all attacks.
	Before, During float64
}

// Times is by how much the attacks made honest rows slower.
func (r *Report) Times() float64 { return r.During / r.Before }

// OK says whether the goals are kept.
func (r *Report) OK() bool {
	return r.Alive && r.PeakBytes < MostBytes && r.Before > 0 && r.During > 0 && r.Times() < MostTimes
}

// String is the last line.
func (r *Report) String() string {
	alive := "no"
	if r.Alive {
		alive = "yes"
	}
	return fmt.Sprintf("hostile: attacks %d, process alive %s, peak MB %.0f, other lanes p99 x %.2f", r.Attacks, alive,
		r.PeakBytes/(1<<20), r.Times())
}

// grace is how long a process may take to stop.
const grace = 40 * time.Second

// lanes are those of the honest ingest.
const lanes = 8

// Run runs. The error says that it could not be done; what came of it is in the report.
func Run(ctx context.Context, config Config) (report Report, err error) {
	s, err := stack.New(stack.Config{
		Dir: config.Dir, Bin: config.Bin, Writers: 1, Ingests: 1, StockPartitions: lanes, DeliveryPartitions: 1,
		Contracts: "  - builtin: stock.v1\n", WriterYAML: "memory: {budget: 64MiB}\ndrain_timeout: 10s\n",
	})
	if err != nil {
		return report, err
	}
	defer func() {
		if down := s.Down(grace); down != nil && err == nil {
			err = fmt.Errorf("a process did not stop in order: %w", down)
		}
	}()
	if err := s.Up(ctx); err != nil {
		return report, err
	}
	loading, quiet := context.WithCancel(ctx)
	var load sync.WaitGroup
	defer load.Wait()
	defer quiet()
	produced := make(chan error, 1)
	load.Go(func() {
		_, err := produce.Run(loading, produce.Config{
			Seeds: s.Seeds(), Topic: stack.StockTopic, Rate: config.Rate, Codec: "none",
			Generator: events.Config{Seed: 7},
		})
		produced <- err
	})
	if err := rest(ctx, 2*config.Each); err != nil { // streams are made, caches filled
		return report, err
	}
	r := &run{stack: s, config: config}
	fmt.Fprintf(config.Out, "%-52s %9s %12s %10s\n", "attack", "peak MB", "goroutines", "p99 ms")
	if report.Before, err = r.measure(ctx, "none", 4*config.Each, func(context.Context, string) {}); err != nil {
		return report, err
	}
	start, err := s.Ingests[0].Metrics(ctx)
	if err != nil {
		return report, err
	}
	for _, a := range attacks {
		if _, err = r.measure(ctx, a.name, config.Each, a.run); err != nil {
			break // the writer does not answer any more
		}
		report.Attacks++
	}
	report.PeakBytes, report.Alive = r.peak, err == nil && s.Writers[0].Running()
	if ctx.Err() != nil || err != nil && s.Writers[0].Running() {
		return report, errors.Join(err, ctx.Err())
	}
	end, err := s.Ingests[0].Metrics(ctx)
	if err != nil {
		return report, err
	}
	report.During = bench.SettleQuantile(start, end, 0.99)
	select {
	case err := <-produced:
		return report, fmt.Errorf("the load ended early: %w", err)
	default:
	}
	return report, nil
}

type run struct {
	stack  *stack.Stack
	config Config
	peak   float64
}

// measure attacks for a while, prints a line and returns the 99th percentile of the time to settle meanwhile.
func (r *run) measure(
	ctx context.Context, name string, lasts time.Duration, attack func(context.Context, string),
) (p99 float64, err error) {
	writer, ingest := r.stack.Writers[0], r.stack.Ingests[0]
	before, err := ingest.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	attacking, end := context.WithTimeout(ctx, lasts)
	defer end()
	done := make(chan struct{})
	go func() {
		attack(attacking, writer.GRPC)
		close(done)
	}()
	peak, goroutines := 0.0, 0.0
	for attacking.Err() == nil {
		m, err := writer.Metrics(ctx)
		if err != nil {
			return 0, fmt.Errorf("the writer does not answer: %w", err)
		}
		peak, goroutines = max(peak, m.ResidentBytes()), max(goroutines, m.Sum("go_goroutines"))
		_ = rest(attacking, 250*time.Millisecond) // the loop looks
	}
	<-done
	r.peak = max(r.peak, peak)
	after, err := ingest.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	p99 = bench.SettleQuantile(before, after, 0.99)
	fmt.Fprintf(r.config.Out, "%-52s %9.0f %12.0f %10.0f\n", name, peak/(1<<20), goroutines, 1000*p99)
	return p99, nil
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
