package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Demand is a load to plan for.
type Demand struct {
	// Partitions of all topics: lanes.
	Partitions int
	// BytesPerS are record values before compression, all partitions together, evenly spread.
	BytesPerS float64
	// Tables is how many tables each partition has rows for.
	Tables int
	// LatencyS is how long BigQuery takes to respond to an append, in seconds.
	LatencyS float64
	// LingerS is batch.linger in seconds: how long rows wait for others.
	LingerS float64
	// ThroughputPerS is BigQuery's quota for bytes of rows a second of a project.
	ThroughputPerS float64
	// Cores of a process, and the share of them that may be busy on average: the rest is for peaks and catching up.
	Cores float64
	Busy  float64
	// Budget is memory.budget of either service in bytes.
	Budget float64
}

// Costs of one row, as measured.
type rowCosts struct {
	ingest, writer float64  // processor seconds in a full batch
	batch          Services // processor seconds a batch, beside its rows; zero when no small loads were measured
	in, out        float64  // bytes of the record's value, and of the row that BigQuery gets
	lane           float64  // rows a second that one lane carries alone
	laneMeasured   bool     // or else a share of what several did
}

// The knobs' defaults, as in ingest.example.yaml and writer.example.yaml, and the constants of the services.
const (
	windowBytes    = 16 << 20 // window.bytes
	windowBatches  = 32       // window.batches
	batchBytes     = 1 << 20  // batch.bytes
	createRate     = 20       // bigquery.create_streams_per_second
	leastFetch     = 32 << 10 // what ingest fetches of a partition at least; four of them are what it plans to hold
	callsEach      = 80       // append calls that share an HTTP/2 connection; BigQuery takes 100
	recordOverhead = 264      // what the memory budget counts beside a record's value: 200 a message, 64 its row
)

// BigQuery's limits of a project in a region, beside the throughput.
const (
	connectionQuota = 5_000  // AppendRows calls open at once
	createQuota     = 10_000 // CreateWriteStream calls an hour
	createsPerS     = 40     // above it they get slow
)

// Need is one line of a plan without a limit: so many of it.
type Need struct {
	What   string
	Number float64
	Note   string
}

// Bound is one line of a plan with a limit.
type Bound struct {
	What string
	// Used is the part of the limit that is used: at 1 the load is at the limit.
	Used float64
	// Detail says need and limit, Knob what moves it.
	Detail, Knob string
}

// Plan is what a demand needs.
type Plan struct {
	Demand Demand
	Source string
	// Batches says that the cost of batches is counted.
	Batches bool
	Needs   []Need
	// Bounds are in the order in which a growing load meets them.
	Bounds []Bound
}

// Scale plans for a demand by the costs of a workload in a report.
func Scale(r Report, workload string, d Demand) (Plan, error) {
	switch {
	case d.Partitions < 1 || d.Tables < 1:
		return Plan{}, fmt.Errorf("%d partitions with %d tables each: both must be positive", d.Partitions, d.Tables)
	case d.BytesPerS <= 0 || d.LatencyS < 0 || d.LingerS < 0 || d.ThroughputPerS <= 0:
		return Plan{}, fmt.Errorf("%.0f bytes a second, latency %g s, linger %g s, quota %.0f bytes a second: rates "+
			"must be positive, times not negative",
			d.BytesPerS, d.LatencyS, d.LingerS, d.ThroughputPerS)
	case d.Budget < 16<<20:
		return Plan{}, fmt.Errorf("a memory budget of %.0f bytes: the services take 16 MiB at least", d.Budget)
	case d.Cores <= 0 || d.Busy <= 0 || d.Busy > 1:
		return Plan{}, fmt.Errorf("%g cores a process, %g of them busy: cores must be positive, and busy between 0 "+
			"and 1",
			d.Cores, d.Busy)
	}
	costs, source, err := costsOf(r, workload)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Demand: d, Source: source, Batches: costs.batch != Services{}}
	p.compute(costs)
	return p, nil
}

// costsOf reads the costs of a workload: with TLS if that was measured, then with eight lanes, then without compression
// or latency.
func costsOf(r Report, workload string) (c rowCosts, source string, err error) {
	var best, single, loaded *Result
	rank := func(w *Result) int {
		n := 0
		for i, good := range []bool{w.LatencyMS == 0, w.Codec == "none", w.Lanes == 8, w.TLS} {
			if good {
				n += 1 << i
			}
		}
		return n
	}
	for i := range r.Workloads {
		w := &r.Workloads[i]
		if w.Name != workload || w.RowBytes <= 0 || w.CPU.Total <= 0 {
			continue
		}
		if best == nil || rank(w) > rank(best) {
			best = w
		}
		if len(w.Loads) > 1 && (loaded == nil || rank(w) > rank(loaded)) {
			loaded = w
		}
		if w.Lanes == 1 && (single == nil || rank(w) > rank(single)) {
			single = w
		}
	}
	if best == nil {
		return c, "", fmt.Errorf("the report holds no costs of the workload %q: measure it first", workload)
	}
	c = rowCosts{
		ingest: best.CPU.Ingest / 1e6, writer: best.CPU.Writer / 1e6, in: best.RowBytes, out: max(best.OutBytes, 1),
	}
	c.lane, c.laneMeasured = best.RowsPerS/float64(best.Lanes), false
	if single != nil {
		c.lane, c.laneMeasured = single.RowsPerS, true
	}
	source = best.variant().String()
	if loaded != nil {
		c.batch = batchCost(loaded.Loads)
		source += "; a batch: " + loaded.variant().String()
	}
	return c, source, nil
}

// batchCost is what a batch costs beside its rows: the slope of the cost of a row over the batches that it takes, in
// processor seconds. The loads count by their relative errors, or the smallest, whose rows are dearest, would decide
// alone.
func batchCost(loads []Load) Services {
	slope := func(cost func(Load) float64) float64 {
		var w, x, y, xx, xy float64
		for _, l := range loads {
			c := cost(l)
			if l.RowsPerBatch <= 0 || c <= 0 {
				continue
			}
			weight, batches := 1/(c*c), 1/l.RowsPerBatch
			w, x, y, xx, xy = w+weight, x+weight*batches, y+weight*c, xx+weight*batches*batches, xy+weight*batches*c
		}
		spread := w*xx - x*x
		if spread <= 1e-12*w*xx {
			return 0 // batches of one size say nothing
		}
		return max(0, (w*xy-x*y)/spread) / 1e6
	}
	return Services{
		slope(func(l Load) float64 { return l.CPU.Ingest }), slope(func(l Load) float64 { return l.CPU.Writer }),
	}
}

// batches is how many batches a second a lane sends at so many rows a second: one for each row while rows come seldom,
// one a linger while they come often, and no fewer than hold the rows.
func batches(rows, out, linger float64) float64 {
	return max(rows/(1+rows*linger), rows*out/batchBytes)
}

func (p *Plan) compute(c rowCosts) {
	d := p.Demand
	lanes := float64(d.Partitions)
	rows := d.BytesPerS / c.in
	perLane := rows / lanes

	// What one lane holds: rows wait for the linger or the batch, then for BigQuery's response. Ingest keeps the
	// records beside the rows.
	age := d.LingerS + d.LatencyS
	ingestLane := perLane * age * (c.in + recordOverhead + c.out)
	writerLane := perLane * d.LatencyS * c.out
	ingestBudget, prefetchBudget := d.Budget/4*3, d.Budget/4

	sent := lanes * batches(perLane, c.out, d.LingerS)
	ingestCores, writerCores := rows*c.ingest+sent*c.batch.Ingest, rows*c.writer+sent*c.batch.Writer
	ingests, ingestBy := processes(ingestCores, d, lanes*ingestLane/ingestBudget, 4*lanes*leastFetch/prefetchBudget)
	writers, writerBy := processes(writerCores, d, lanes*writerLane/d.Budget, 0)
	calls := lanes * float64(d.Tables)
	perWriter := math.Ceil(calls / writers)
	pool := math.Ceil(perWriter / callsEach)
	creating := min(writers*createRate, createsPerS)

	p.Needs = []Need{
		{"rows a second", rows, fmt.Sprintf("%.0f bytes a record, %.0f a row", c.in, c.out)},
		{"lanes", lanes, fmt.Sprintf("one a partition; each carries %.2f MB/s", d.BytesPerS/lanes/1e6)},
		{"batches a second", sent, fmt.Sprintf("%.1f rows each, by a linger of %.0f ms", rows/sent, 1e3*d.LingerS)},
		{
			"cores of ingest", ingestCores, fmt.Sprintf("%.2f s a million rows, %.2f ms a batch",
				1e6*c.ingest, 1e3*c.batch.Ingest),
		},
		{
			"cores of writers", writerCores, fmt.Sprintf("%.2f s a million rows, %.2f ms a batch",
				1e6*c.writer, 1e3*c.batch.Writer),
		},
		{"ingest processes", ingests, fmt.Sprintf("%s; %.0f lanes each", ingestBy, math.Ceil(lanes/ingests))},
		{"writer processes", writers, fmt.Sprintf("%s; %.0f lanes each", writerBy, math.Ceil(lanes/writers))},
		{"connections ingest to writer", ingests * writers, "one for each pair; lanes share them"},
		{"write streams", calls, "one a lane and table, as many AppendRows calls"},
		{
			"connections to BigQuery", pool * writers,
			fmt.Sprintf("%.0f a writer: %.0f calls, %d on each", pool, perWriter, callsEach),
		},
		{
			"MB in flight in an ingest", lanes * ingestLane / ingests / 1e6,
			fmt.Sprintf("%.0f KB a lane; budget %.0f MB", ingestLane/1e3, ingestBudget/1e6),
		},
		{
			"MB in flight in a writer", lanes * writerLane / writers / 1e6,
			fmt.Sprintf("%.0f KB a lane; budget %.0f MB", writerLane/1e3, d.Budget/1e6),
		},
		{
			"seconds to create all streams", calls / creating,
			fmt.Sprintf("%.0f a second; after a crash of everything, or at the first start", creating),
		},
		{"streams created by a rolling restart", 0, "a lane that ends in order leaves its streams to the next owner"},
	}
	windowRate := min(windowBytes, windowBatches*batchBytes) / max(d.LatencyS, 1e-3)
	note := "measured with one lane"
	if !c.laneMeasured {
		note = "at least: a share of what several lanes carried"
	}
	p.Bounds = []Bound{
		{
			"BigQuery throughput", rows * c.out / d.ThroughputPerS,
			fmt.Sprintf("%.0f of %.0f MB/s of rows", rows*c.out/1e6, d.ThroughputPerS/1e6),
			"the quota of AppendRows bytes; a multi-region; tables in projects of their own",
		},
		{
			"AppendRows calls open", calls / connectionQuota,
			fmt.Sprintf("%.0f of %d a region", calls, connectionQuota),
			"fewer partitions or tables a topic; delivery: at_least_once for minor topics; the quota",
		},
		{
			"CreateWriteStream an hour", calls / createQuota,
			fmt.Sprintf("%.0f of %d when every lane crashes once an hour",
				calls, createQuota), "drain_timeout, so that lanes end in order; the quota",
		},
		{
			"one lane's processor time", perLane / c.lane,
			fmt.Sprintf("%.0f of %.0f rows/s, %s", perLane, c.lane, note),
			"more partitions",
		},
		{
			"one lane's window", perLane * c.out / windowRate, fmt.Sprintf("%.2f of %.0f MB/s at this latency",
				perLane*c.out/1e6, windowRate/1e6), "window.bytes, window.batches; more partitions",
		},
		{
			"ingest processes", ingests / lanes, fmt.Sprintf("%.0f of %.0f: a lane cannot be shared", ingests, lanes),
			"more cores a process; more partitions",
		},
	}
	slices.SortStableFunc(p.Bounds, func(a, b Bound) int { return cmp.Compare(b.Used, a.Used) })
}

// processes is how many are needed and what decides: the processor; what lanes hold; or the fetches that they prefetch.
// The last two are multiples of what one process has.
func processes(cores float64, d Demand, held, fetched float64) (n float64, by string) {
	n, by = math.Ceil(cores/(d.Cores*d.Busy)), fmt.Sprintf("for the processor: %g cores, %.0f %% busy",
		d.Cores, 100*d.Busy)
	if m := math.Ceil(held); m > n {
		n, by = m, "for what lanes hold: memory.budget"
	}
	if m := math.Ceil(fetched); m > n {
		n, by = m, "for what lanes prefetch: memory.budget"
	}
	return max(n, 1), by
}
