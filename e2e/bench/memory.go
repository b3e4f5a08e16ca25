package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// MemoryLimit is what a service may have resident by default, in 10^6 bytes, however slow BigQuery is.
const MemoryLimit = 256

// Memory measures the most memory that each service has, from its start to the last settled row of a full topic.
type Memory struct {
	Cases []MemoryCase
	// Stall is how long BigQuery responds to no append in the cases that have a stall.
	Stall time.Duration
	// Runs is how often each case is measured; the largest figures count.
	Runs int
	// Bin is the folder of the binaries sandbox, writer and ingest.
	Bin string
	// Progress receives what is going on.
	Progress io.Writer
}

// MemoryCase is one load to measure memory under.
type MemoryCase struct {
	Name, Workload string
	Lanes          int
	// Stalled: BigQuery does not respond for a while in the middle.
	Stalled bool
	// Rows are in the topic before the services start: enough that most of them are still there when the stall is over.
	Rows int64
	// Budget is memory.budget of both services; empty leaves it to them.
	Budget string
}

// MemoryCases are those of the given names, all of them for none.
func MemoryCases(names []string) ([]MemoryCase, error) {
	return pick("case", names, []MemoryCase{
		{Name: "stock-8", Workload: "avro-stock", Lanes: 8, Rows: 5_000_000},
		{Name: "stock-8-stall", Workload: "avro-stock", Lanes: 8, Rows: 5_000_000, Stalled: true},
		{Name: "stock-500", Workload: "avro-stock", Lanes: 500, Rows: 4_000_000},
		{Name: "stock-500-stall", Workload: "avro-stock", Lanes: 500, Rows: 4_000_000, Stalled: true},
		{Name: "v6-8-stall", Workload: "avro-v6", Lanes: 8, Rows: 150_000, Stalled: true},
	}, func(c MemoryCase) string { return c.Name })
}

// Run measures the cases, one after the other.
func (m *Memory) Run(ctx context.Context) (MemoryReport, error) {
	report := MemoryReport{Machine: thisMachine(), LimitMB: MemoryLimit, StallS: m.Stall.Seconds(), Runs: m.Runs}
	switch {
	case m.Runs < 1:
		return report, fmt.Errorf("%d runs: choose 1 or more", m.Runs)
	case m.Stall < 2*time.Second:
		return report, fmt.Errorf("a stall of %v: choose 2s or more, so that it can be seen that nothing settles",
			m.Stall)
	}
	b := Bench{Bin: m.Bin, Progress: m.Progress}
	for _, c := range m.Cases {
		var worst MemoryResult
		for run := range m.Runs {
			b.say("%s, run %d of %d", c.Name, run+1, m.Runs)
			r, err := m.once(ctx, &b, c)
			if err != nil {
				return report, fmt.Errorf("%s: %w", c.Name, err)
			}
			worst = worst.or(r)
		}
		report.Cases = append(report.Cases, worst)
	}
	return report, nil
}

// warmRows make every lane create its write stream, before what is measured. With the fewest lanes they are no load,
// with the most of them some forty for each.
const warmRows = 20_000

// once measures a case once. A first small load lets every lane create its write stream, which takes 500 lanes half a
// minute; then the services stop in order, so that the lanes of those that are measured adopt these streams and are
// open within a moment, all of them, with everything that they will carry in the topic.
func (m *Memory) once(ctx context.Context, b *Bench, c MemoryCase) (MemoryResult, error) {
	r := MemoryResult{Name: c.Name, Workload: c.Workload, Lanes: c.Lanes, Rows: c.Rows, Budget: c.Budget}
	w, err := b.raise(ctx, Variant{Workload: c.Workload, Lanes: c.Lanes, Codec: "none"}, func(config *stack.Config) {
		config.IngestYAML, config.WriterYAML = budget(c.Budget), budget(c.Budget)
	})
	if err != nil {
		return r, err
	}
	defer w.fall()
	b.say("  %d lanes create their write streams", c.Lanes)
	if err := w.warm(ctx); err != nil {
		return r, err
	}
	if _, err := w.produce(ctx, c.Rows, 0); err != nil {
		return r, err
	}
	b.say("  a full topic: %d rows", c.Rows)
	if err := w.stack.UpServices(ctx); err != nil {
		return r, err
	}
	if c.Stalled {
		if err := w.awaitTaken(ctx, warmRows+c.Rows/4); err != nil {
			return r, err
		}
		b.say("  BigQuery does not respond for %v", m.Stall)
		if r.Stall, err = w.stall(ctx, c.Rows, m.Stall); err != nil {
			return r, err
		}
	}
	w.patience = m.Stall + stuck
	// The count of BigQuery is looked at first: the metrics of 500 lanes are a load of their own.
	if err := w.awaitTaken(ctx, warmRows+c.Rows); err != nil {
		return r, err
	}
	if _, err := w.awaitSettled(ctx, c.Rows, 100*time.Millisecond); err != nil {
		return r, err
	}
	if r.Peak, err = w.peak(ctx); err != nil {
		return r, err
	}
	r.WithinLimit = r.Peak.Ingest < MemoryLimit && r.Peak.Writer < MemoryLimit
	if err := w.stopServices(); err != nil {
		return r, err
	}
	// Settled is what ingest says; what BigQuery has must be the same, no row more.
	taken, err := w.taken(ctx)
	if err == nil && taken != warmRows+c.Rows {
		err = fmt.Errorf("BigQuery holds %d rows of %d", taken, warmRows+c.Rows)
	}
	r.Settled = err == nil
	return r, err
}

// budget is the section of a configuration file, for both services alike.
func budget(size string) string {
	if size == "" {
		return ""
	}
	return "memory:\n  budget: " + size + "\n"
}

// warm moves a first small load and stops the services in order.
func (w *world) warm(ctx context.Context) error {
	if _, err := w.produce(ctx, warmRows, 0); err != nil {
		return err
	}
	if err := w.stack.UpServices(ctx); err != nil {
		return err
	}
	if _, err := w.awaitSettled(ctx, warmRows, 200*time.Millisecond); err != nil {
		return err
	}
	return w.stopServices()
}

// stall keeps BigQuery from responding, while rows wait in the topic, and says what the services held meanwhile.
// Appends that are under way get no response as well as new ones; what was responded to before is on its way for a
// moment.
func (w *world) stall(ctx context.Context, rows int64, lasts time.Duration) (*Stall, error) {
	if err := w.slow(ctx, lasts, lasts); err != nil {
		return nil, err
	}
	if err := stack.Pause(ctx, min(lasts/2, 5*time.Second)); err != nil {
		return nil, err
	}
	first, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	if err := stack.Pause(ctx, lasts-min(lasts/2, 5*time.Second)-lasts/10); err != nil {
		return nil, err
	}
	last, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	s := &Stall{
		HeldMB: Services{
			last.ingest.Sum("waybill_ingest_budget_used_bytes") / 1e6,
			last.writer.Sum("waybill_writer_held_bytes") / 1e6,
		},
		Waiting: rows - int64(last.ingest.Sum("waybill_ingest_rows_total")),
	}
	switch {
	case last.settled() != first.settled():
		return s, fmt.Errorf("%d rows settled while BigQuery was not to respond", last.settled()-first.settled())
	case s.Waiting < rows/4:
		return s, fmt.Errorf("at the end of the stall only %d rows of %d were left in the topic: the load was not full",
			s.Waiting, rows)
	}
	return s, nil
}
