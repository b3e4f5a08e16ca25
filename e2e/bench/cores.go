package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Cores measures what both services carry together on one processor and on several, on a machine that the sandbox needs
// as well: they take turns, and throughput counts the services' own time. So the machine is theirs alone in their
// turns, and the sandbox is never what is waited for, as long as the turns are short against what buffers, prefetch and
// windows hold.
type Cores struct {
	Workloads []string
	Lanes     []int
	// Counts are numbers of processors; the others are compared with the first.
	Counts []int
	// Slices are lengths of the services' turns. 0 is no turns: the services on one processor, the sandbox on the
	// others.
	Slices []time.Duration
	// Runs is how often each is measured; figures are medians. The runs take turns.
	Runs int
	// Lasts is how much of the services' own time is measured, Rows what the topic holds for it at first; 0 is enough
	// for Lasts of 2 s on 4 processors. A topic that is empty too soon is filled with as many again, a few times.
	Lasts time.Duration
	Rows  int64
	// Bin is the folder of the binaries sandbox, writer and ingest.
	Bin string
	// Progress receives what is going on.
	Progress io.Writer

	groups int
}

// Run measures.
func (c *Cores) Run(ctx context.Context) (CoresReport, error) {
	report := CoresReport{Machine: thisMachine(), Runs: c.Runs}
	if err := c.check(); err != nil {
		return report, err
	}
	workloads, err := find(c.Workloads)
	if err != nil {
		return report, err
	}
	b := Bench{Bin: c.Bin, Progress: c.Progress}
	for _, workload := range workloads {
		for _, lanes := range c.Lanes {
			results, err := c.series(ctx, &b, workload, lanes)
			if err != nil {
				return report, fmt.Errorf("%s, %d lanes: %w", workload.Name, lanes, err)
			}
			report.Series = append(report.Series, results...)
		}
	}
	report.compare()
	return report, nil
}

func (c *Cores) check() error {
	if _, err := processorTime(1); errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if c.Runs < 1 || c.Lasts < 100*time.Millisecond || len(c.Lanes) == 0 || len(c.Slices) == 0 {
		return fmt.Errorf("%d runs of %v, %d numbers of lanes, %d slices: at least one of each, and 100ms",
			c.Runs, c.Lasts, len(c.Lanes), len(c.Slices))
	}
	for _, n := range c.Counts {
		if n < 1 || n > runtime.NumCPU() {
			return fmt.Errorf("%d processors: this machine has %d", n, runtime.NumCPU())
		}
	}
	for _, slice := range c.Slices {
		if slice != 0 && slice < 500*time.Microsecond {
			return fmt.Errorf("turns of %v: choose 500us or more, or 0 for none: a process takes a while to stop and "+
				"to go on",
				slice)
		}
	}
	return nil
}

// coresRows is what a topic holds for a run, by workload.
var coresRows = map[string]int64{
	"json-270": 4_000_000, "proto-270": 4_000_000, "avro-v6": 300_000, "avro-stock": 5_000_000,
}

// maxFills is how often a topic is filled again.
const maxFills = 4

// errEmpty says that the services had read the topic before they were measured for long enough.
var errEmpty = errors.New("the topic was empty: fill it with more (--rows), or measure for less time (--lasts)")

// series measures one workload on one number of lanes: the topic is filled once, and read by a new group each time.
func (c *Cores) series(ctx context.Context, b *Bench, workload Workload, lanes int) ([]CoresResult, error) {
	w, err := b.raise(ctx, Variant{Workload: workload.Name, Lanes: lanes, Codec: "none"}, nil)
	if err != nil {
		return nil, err
	}
	defer w.fall()
	rows := c.Rows
	if rows == 0 {
		rows = coresRows[workload.Name]
	}
	b.say("%s, %d lanes: filling the topic with %d rows", workload.Name, lanes, rows)
	if _, err := w.produce(ctx, rows, 0); err != nil {
		return nil, err
	}
	var all [][]CoresResult
	var at []CoresResult
	for _, slice := range c.Slices {
		for _, n := range c.Counts {
			if slice == 0 && (n > 1 || runtime.NumCPU() == 1) {
				continue // with all processors there is nothing left for the sandbox
			}
			at = append(at, CoresResult{Workload: workload.Name, Lanes: lanes, Cores: n, SliceMS: float64(slice) / 1e6})
		}
	}
	all = make([][]CoresResult, len(at))
	for run := range c.Runs {
		for i, r := range at {
			b.say("  run %d of %d: %s", run+1, c.Runs, r.circumstances())
			for fills := 0; ; fills++ {
				err := c.once(ctx, b, w, rows, &r)
				if err == nil {
					break
				}
				if !errors.Is(err, errEmpty) || fills == maxFills {
					return nil, fmt.Errorf("%s: %w", r.circumstances(), err)
				}
				b.say("    the topic was empty too soon: filling it with %d rows more", rows)
				if _, err := w.produce(ctx, rows, 0); err != nil {
					return nil, err
				}
				rows *= 2
			}
			all[i] = append(all[i], r)
		}
	}
	var medians []CoresResult
	for _, runs := range all {
		medians = append(medians, medianCores(runs))
	}
	return medians, nil
}

// once starts the services, bound to r's number of processors, as members of a new group, and measures until they have
// run long enough.
func (c *Cores) once(ctx context.Context, b *Bench, w *world, rows int64, r *CoresResult) (err error) {
	c.groups++
	if err := w.stack.Rejoin(fmt.Sprintf("%s-%d", stack.Group, c.groups)); err != nil {
		return err
	}
	cpus, others := split(r.Cores)
	all := slices.Concat(cpus, others)
	w.stack.Ingests[0].CPUs, w.stack.Writers[0].CPUs = cpus, cpus
	sandbox := w.stack.Sandbox.Pid()
	if r.SliceMS == 0 {
		err = bind(sandbox, others)
	} else {
		err = bind(sandbox, all)
	}
	if err != nil {
		return err
	}
	base, err := w.taken(ctx)
	if err != nil {
		return err
	}
	if err := w.stack.UpServices(ctx); err != nil {
		return err
	}
	b.say("    ingest's admin port is %s, writer's %s", w.stack.Ingests[0].Admin, w.stack.Writers[0].Admin)
	t := &turns{
		services: []int{w.stack.Ingests[0].Pid(), w.stack.Writers[0].Pid()}, sandbox: sandbox,
		slice: time.Duration(r.SliceMS * 1e6),
	}
	turning, end := context.WithCancel(ctx)
	turned := make(chan error, 1)
	if t.slice > 0 {
		go func() { turned <- t.run(turning) }()
	} else {
		turned <- nil
	}
	err = c.measure(turning, w, t, base, rows, r)
	end()
	err = errors.Join(err, <-turned)
	if err == nil || errors.Is(err, errEmpty) {
		err = errors.Join(err, w.stopServices())
	}
	return err
}

// split is the first n processors, and those behind them.
func split(n int) (first, others []int) {
	for cpu := range runtime.NumCPU() {
		if cpu < n {
			first = append(first, cpu)
		} else {
			others = append(others, cpu)
		}
	}
	return first, others
}

// moment is where everything stands at one time.
type moment struct {
	rows                                     int64
	own, rested                              time.Duration
	turns                                    int64
	ingest, writer, sandbox, ourselves, busy time.Duration
	wall                                     time.Time
	appends                                  int64
}

// warm is how much of their own time the services run before it counts.
const warm = 300 * time.Millisecond

// measure waits until the services have run for long enough, and puts what they did meanwhile into r.
func (c *Cores) measure(ctx context.Context, w *world, t *turns, base, rows int64, r *CoresResult) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	started, moved := time.Now(), time.Now()
	var first, last moment
	for {
		now, err := t.moment(ctx, w)
		if err != nil {
			return err
		}
		if t.slice == 0 {
			now.own = now.wall.Sub(started)
		}
		now.rows -= base
		if now.rows > last.rows {
			moved = now.wall
		}
		last = now
		if first.rows == 0 && now.rows > 0 && now.own > warm {
			first = now
		}
		if first.rows > 0 && (now.own-first.own >= c.Lasts || now.rows > rows*9/10) {
			return r.fill(first, now, c.Lasts)
		}
		if time.Since(moved) > w.patience {
			return w.stalled(now.rows, rows)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// moment reads everything. Rows are those that the sandbox has taken, so that the services are asked nothing.
func (t *turns) moment(ctx context.Context, w *world) (m moment, err error) {
	stats, err := w.stack.Stats(ctx)
	if err != nil {
		return m, err
	}
	m.rows, m.appends = stats.Rows, stats.Appends
	m.wall, m.own, m.rested, m.turns = time.Now(), time.Duration(t.ran.Load()), time.Duration(t.rested.Load()),
		t.count.Load()
	for _, p := range []struct {
		of  *time.Duration
		pid int
	}{{&m.ingest, t.services[0]}, {&m.writer, t.services[1]}, {&m.sandbox, t.sandbox}, {&m.ourselves, ownPid}} {
		if *p.of, err = processorTime(p.pid); err != nil {
			return m, err
		}
	}
	m.busy, err = machineBusy()
	return m, err
}

// fill computes what happened between two moments.
func (r *CoresResult) fill(from, to moment, lasts time.Duration) error {
	own, rows := (to.own - from.own).Seconds(), float64(to.rows-from.rows)
	if own < lasts.Seconds()/2 {
		return fmt.Errorf("%.1f s and %.0f rows after the start %w", own, rows, errEmpty)
	}
	ingest, writer := (to.ingest - from.ingest).Seconds(), (to.writer - from.writer).Seconds()
	r.RowsPerS = rows / own
	r.CPU = Services{ingest, writer}.per(rows / 1e6).costs()
	r.Busy = (ingest + writer) / own / float64(r.Cores)
	r.RowsPerAppend = rows / max(1, float64(to.appends-from.appends))
	if n := float64(to.turns - from.turns); n > 0 {
		r.TurnMS, r.RestMS = 1e3*own/n, 1e3*(to.rested-from.rested).Seconds()/n
	}
	ours := to.ingest + to.writer + to.sandbox + to.ourselves -
		from.ingest - from.writer - from.sandbox - from.ourselves
	r.Others = max(0, (to.busy-from.busy-ours).Seconds()/to.wall.Sub(from.wall).Seconds()/float64(runtime.NumCPU()))
	return nil
}
