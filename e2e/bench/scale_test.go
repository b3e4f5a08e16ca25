package bench

import (
	"slices"
	"strings"
	"testing"
)

func costsReport() Report {
	one := result(1) // 60 and 20 s a million rows of 9,000 bytes, 1,000 rows/s
	one.Lanes = 1
	one.RowsPerS = 20_000
	return Report{Workloads: []Result{result(1), one}}
}

func demand() Demand {
	return Demand{
		Partitions: 1000, BytesPerS: 0.9e9, Tables: 1, LatencyS: 0.1, LingerS: 0.05, ThroughputPerS: 3e9, Cores: 4,
		Busy:   0.6,
		Budget: 128 << 20,
	}
}

func (p Plan) need(t *testing.T, what string) float64 {
	t.Helper()
	i := slices.IndexFunc(p.Needs, func(n Need) bool { return n.What == what })
	if i < 0 {
		t.Fatalf("no %q in %+v", what, p.Needs)
	}
	return p.Needs[i].Number
}

// 100,000 rows a second: six cores of ingest and two of writers, by hand.
func TestScale(t *testing.T) {
	p, err := Scale(costsReport(), "avro-v6", demand())
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]float64{
		"rows a second": 100_000, "cores of ingest": 6, "cores of writers": 2,
		// 1,000 lanes share prefetch by 256, while the cores ask for three; the writers' two cores are less than the
		// 2.4 of one.
		"ingest processes": 4, "writer processes": 1, "write streams": 1000,
		"connections to BigQuery": 13, "seconds to create all streams": 50,
	} {
		if got := p.need(t, what); got < want*0.999 || got > want*1.001 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	if first := p.Bounds[0]; first.What != "BigQuery throughput" || first.Used < 0.316 || first.Used > 0.317 {
		t.Errorf("the first limit is %+v, want 950 of 3,000 MB/s", first)
	}
	if !slices.IsSortedFunc(p.Bounds, func(a, b Bound) int {
		if a.Used > b.Used {
			return -1
		}
		return 1
	}) {
		t.Errorf("not in the order in which they are met: %+v", p.Bounds)
	}
	var out strings.Builder
	if err := p.Print(&out); err != nil || !strings.Contains(out.String(),
		"first limit that a growing load meets is BigQuery throughput, at 3.2 times this") {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestScaleFirstLimit(t *testing.T) {
	for _, c := range []struct {
		change func(*Demand)
		want   string
	}{
		{func(d *Demand) { d.ThroughputPerS = 300e6 }, "BigQuery throughput"},
		{func(d *Demand) { d.BytesPerS, d.Tables = 1e6, 4 }, "AppendRows calls open"},
		{func(d *Demand) { d.BytesPerS, d.Partitions, d.LatencyS, d.Cores = 0.3e9, 2, 0.01, 0.5 }, "ingest processes"},
		{func(d *Demand) { d.Partitions, d.LatencyS, d.Cores = 4, 0.01, 64 }, "one lane's processor time"},
		{func(d *Demand) { d.Partitions, d.LatencyS, d.Cores = 40, 10, 64 }, "one lane's window"},
	} {
		d := demand()
		c.change(&d)
		p, err := Scale(costsReport(), "avro-v6", d)
		if err != nil {
			t.Fatal(err)
		}
		if p.Bounds[0].What != c.want {
			t.Errorf("%+v: the first limit is %+v, want %s", d, p.Bounds[0], c.want)
		}
		if p.Bounds[0].Used <= 1 {
			continue
		}
		var out strings.Builder
		if err := p.Print(&out); err != nil || !strings.Contains(out.String(), "Too much: "+c.want) {
			t.Errorf("%v\n%s", err, &out)
		}
	}
}

// Costs are those of TLS where there are any.
func TestScaleChoosesCosts(t *testing.T) {
	r := costsReport()
	secured := result(2)
	secured.TLS = true
	r.Workloads = append(r.Workloads, secured)
	p, err := Scale(r, "avro-v6", demand())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.Source, "TLS") || p.need(t, "cores of ingest") < 11.9 {
		t.Errorf("costs of %s", p.Source)
	}
}

// Rows that cost 10 and 5, and 100 and 50 more a batch, whatever the order of the loads.
func TestBatchCost(t *testing.T) {
	var loads []Load
	for _, n := range []float64{50, 5, 1} {
		loads = append(loads, Load{RowsPerBatch: n, CPU: Costs{Ingest: 10 + 100/n, Writer: 5 + 50/n}})
	}
	for range 2 {
		got := batchCost(loads)
		if got.Ingest < 99.9e-6 || got.Ingest > 100.1e-6 || got.Writer < 49.9e-6 || got.Writer > 50.1e-6 {
			t.Errorf("got %+v, want 100 and 50 microseconds", got)
		}
		slices.Reverse(loads)
	}
	if got := batchCost([]Load{loads[0], loads[0]}); got != (Services{}) {
		t.Errorf("one size of batches says %+v", got)
	}
}

func TestBatches(t *testing.T) {
	for _, c := range []struct{ rows, out, linger, want float64 }{
		{1, 100, 0.05, 1 / 1.05}, // hardly ever a second row
		{1e4, 100, 0.05, 19.96},  // one a linger
		{1e6, 1048, 0.05, 999.5}, // full before the linger is over
		{100, 100, 0, 100},       // no linger, no batches
	} {
		if got := batches(c.rows, c.out, c.linger); got < c.want*0.999 || got > c.want*1.001 {
			t.Errorf("%+v: %v batches a second", c, got)
		}
	}
}

// Many lanes make small batches, and those cost: a longer linger pays.
func TestScaleBatches(t *testing.T) {
	r := costsReport()
	r.Workloads[0].Loads = []Load{
		{RowsPerBatch: 100, CPU: Costs{Ingest: 61, Writer: 21}},
		{RowsPerBatch: 1, CPU: Costs{Ingest: 160, Writer: 120}},
	}
	d := demand()
	short, err := Scale(r, "avro-v6", d)
	if err != nil {
		t.Fatal(err)
	}
	d.LingerS = 1
	long, err := Scale(r, "avro-v6", d)
	if err != nil {
		t.Fatal(err)
	}
	// 100 rows a second and lane: 16.7 batches of 100 microseconds each, on 1,000 lanes.
	if got := short.need(t, "cores of ingest"); got < 7.6 || got > 7.7 {
		t.Errorf("%v cores of ingest, want 6 for rows and 1.67 for batches", got)
	}
	if got := long.need(t, "cores of ingest"); got > 6.2 {
		t.Errorf("%v cores with a linger of a second", got)
	}
	if !short.Batches {
		t.Error("the plan says that batches are not counted")
	}
}

func TestScaleRefused(t *testing.T) {
	for _, change := range []func(*Demand){
		func(d *Demand) { d.Partitions = 0 },
		func(d *Demand) { d.Tables = 0 },
		func(d *Demand) { d.BytesPerS = 0 },
		func(d *Demand) { d.Busy = 1.1 },
		func(d *Demand) { d.Cores = 0 },
		func(d *Demand) { d.Budget = 1 << 20 },
	} {
		d := demand()
		change(&d)
		if _, err := Scale(costsReport(), "avro-v6", d); err == nil {
			t.Errorf("%+v is planned for", d)
		}
	}
	if _, err := Scale(costsReport(), "json-270", demand()); err == nil ||
		!strings.Contains(err.Error(), "measure it first") {
		t.Errorf("costs that nobody measured: %v", err)
	}
}
