// Package hostile runs a stack as real processes, and clients that mean no good at the writer's gRPC port: those of
// attacks.go, one kind after the other, each in a process of its own. All the while rows flow over lanes of an honest
// ingest. It measures the writer's memory and goroutines, and how much longer the honest rows take to settle.
//
// A hostile client's machine is its own, so the clients here have a processor of their own and the stack has the
// others, before the first attack as well: what the rows wait for is then the writer's work for strangers, and not the
// strangers' own. Where the processors are shared, the same load by programs that attack nobody is measured beside it.
//
// Everything is on loopback, without TLS and without access: what is tried is what a client can do that was let in.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strconv"
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
	// Only are the numbers of the attacks to run, from 1 on; empty: all.
	Only []int
	// Rate is events a second of the honest lanes.
	Rate float64
	// Self is this program, whose commands `attack` and `burn` are the clients.
	Self string
	// Shared lets clients and stack have all processors. Otherwise the clients have the last one, which Linux alone can
	// do.
	Shared bool
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
	// Alive says that the writer is the process that was started, and responses.
	Alive bool
	// PeakBytes is the most resident memory of the writer.
	PeakBytes float64
	// Before and During are the 99th percentiles of the time to settle of honest rows, in seconds, without attacks and
	// over all attacks.
	Before, During float64
	// Control is the same while other programs take as much of the processors as the clients did; 0 where it was not
	// measured.
	Control float64
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
	if len(config.Only) == 0 {
		for i := range attacks {
			config.Only = append(config.Only, i+1)
		}
	}
	for _, n := range config.Only {
		if n < 1 || n > len(attacks) {
			return report, unknown(n)
		}
	}
	s, err := stack.New(stack.Config{
		Dir: config.Dir, Bin: config.Bin, Writers: 1, Ingests: 1, StockPartitions: lanes, DeliveryPartitions: 1,
		Contracts: "  - builtin: stock.v1\n", WriterYAML: "memory: {budget: 64MiB}\ndrain_timeout: 10s\n",
	})
	if err != nil {
		return report, err
	}
	r := &run{stack: s, config: config}
	if !config.Shared {
		if r.clients, err = apart(s); err != nil {
			return report, err
		}
	}
	defer func() {
		if down := s.Down(grace); down != nil && err == nil {
			err = fmt.Errorf("a process did not stop in order: %w", down)
		}
	}()
	if err := s.Up(ctx); err != nil {
		return report, err
	}
	load := s.Load(ctx, produce.Config{
		Topic: stack.StockTopic, Rate: config.Rate, Codec: "none", Generator: events.Config{Seed: 7},
	})
	defer func() { _, _ = load.End() }()                    // how it ended is looked at below
	if err := stack.Pause(ctx, 2*config.Each); err != nil { // streams are made, caches filled
		return report, err
	}
	if report, err = r.all(ctx); err != nil {
		return report, err
	}
	select {
	case <-load.Ended():
		_, err := load.End()
		return report, fmt.Errorf("the load ended early: %w", err)
	default:
	}
	return report, nil
}

// apart gives the stack all processors but the last, which it returns.
func apart(s *stack.Stack) ([]int, error) {
	n := runtime.NumCPU()
	if runtime.GOOS != "linux" || n < 2 {
		return nil, fmt.Errorf("clients need a processor of their own, which Linux can give them where there are two; "+
			"this is %s with %d: try --shared", runtime.GOOS, n)
	}
	var ours []int
	for cpu := range n - 1 {
		ours = append(ours, cpu)
	}
	for _, p := range []*stack.Process{s.Sandbox, s.Writers[0].Process, s.Ingests[0].Process} {
		p.CPUs = ours
	}
	return []int{n - 1}, nil
}

type run struct {
	stack  *stack.Stack
	config Config
	// clients are the processors of the hostile clients; empty: all.
	clients []int
	peak    float64
}

// all measures without attacks, with each of them, and where processors are shared with programs that are as busy.
func (r *run) all(ctx context.Context) (report Report, err error) {
	writer, ingest := r.stack.Writers[0], r.stack.Ingests[0]
	fmt.Fprintf(r.config.Out, "%-52s %9s %12s %10s %10s %12s %12s\n", "attack", "peak MB", "goroutines", "settled",
		"p99 ms", "its cores", "the writer's")
	began, err := ingest.Metrics(ctx)
	if err != nil {
		return report, err
	}
	_, err = r.measure(ctx, "none", "burn", "--share=0", "--lasts="+(4*r.config.Each).String())
	if err != nil {
		return report, err
	}
	start, err := ingest.Metrics(ctx)
	if err != nil {
		return report, err
	}
	report.Before = bench.SettleQuantile(began, start, 0.99)
	lasts := "--lasts=" + r.config.Each.String()
	var shares []float64
	for _, n := range r.config.Only {
		var share float64
		share, err = r.measure(ctx, attacks[n-1].name, "attack", "--address="+writer.GRPC, "--number="+strconv.Itoa(n),
			lasts)
		if err != nil {
			break // the writer does not respond any more
		}
		shares = append(shares, share)
		report.Attacks++
	}
	report.PeakBytes, report.Alive = r.peak, err == nil && writer.Running()
	if ctx.Err() != nil || err != nil && writer.Running() {
		return report, errors.Join(err, ctx.Err())
	}
	end, err := ingest.Metrics(ctx)
	if err != nil {
		return report, err
	}
	report.During = bench.SettleQuantile(start, end, 0.99)
	if !r.config.Shared {
		return report, nil
	}
	for i, share := range shares {
		name := "as busy: " + attacks[r.config.Only[i]-1].name
		if _, err = r.measure(ctx, name, "burn", fmt.Sprintf("--share=%.3f", share), lasts); err != nil {
			return report, err
		}
	}
	control, err := ingest.Metrics(ctx)
	if err != nil {
		return report, err
	}
	report.Control = bench.SettleQuantile(end, control, 0.99)
	return report, nil
}

// measure runs a command of this program, prints a line, and returns how many processors the command used.
func (r *run) measure(ctx context.Context, name string, args ...string) (share float64, err error) {
	writer, ingest := r.stack.Writers[0], r.stack.Ingests[0]
	before, err := ingest.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	used, err := writer.Metrics(ctx)
	if err != nil {
		return 0, fmt.Errorf("the writer does not respond: %w", err)
	}
	client := &stack.Process{
		Name: "client", Path: r.config.Self, Args: args, CPUs: r.clients,
		Log: filepath.Join(r.config.Dir, "logs", "client.log"),
	}
	began := time.Now()
	if err := client.Start(); err != nil {
		return 0, err
	}
	defer client.Kill()
	peak, goroutines := 0.0, 0.0
	for client.Running() {
		m, err := writer.Metrics(ctx)
		if err != nil {
			return 0, fmt.Errorf("the writer does not respond: %w", err)
		}
		peak, goroutines = max(peak, m.ResidentBytes()), max(goroutines, m.Sum("go_goroutines"))
		select {
		case <-client.Exited():
		case <-time.After(250 * time.Millisecond):
		}
	}
	took := time.Since(began).Seconds()
	if err := client.Stop(grace); err != nil {
		return 0, err
	}
	r.peak = max(r.peak, peak)
	after, err := ingest.Metrics(ctx)
	if err != nil {
		return 0, err
	}
	now, err := writer.Metrics(ctx)
	if err != nil {
		return 0, fmt.Errorf("the writer does not respond: %w", err)
	}
	share = client.Used().Seconds() / took
	fmt.Fprintf(r.config.Out, "%-52s %9.0f %12.0f %10.0f %10.0f %12.2f %12.2f\n", name, peak/(1<<20), goroutines,
		bench.Settles(before, after), 1000*bench.SettleQuantile(before, after, 0.99), share,
		(now.CPUSeconds()-used.CPUSeconds())/took)
	return share, nil
}
