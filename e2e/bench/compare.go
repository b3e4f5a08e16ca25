package bench

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Comparison is two reports side by side.
type Comparison struct {
	Rows []Change
	// Alone are variants that only one report has.
	Alone []string
	// Machines says how the machines differ; empty when they do not.
	Machines string
}

// Change is the figures of one variant, after over before.
type Change struct {
	Variant Variant
	Figures []Figure
}

// Figure is one ratio.
type Figure struct {
	Name          string
	Before, After float64
	// Noise is how far apart the runs of either report were, at least leastNoise; a report of one run is taken for
	// loneNoise.
	Noise float64
}

const (
	// leastNoise is what a few runs of one program differ by on a quiet machine.
	leastNoise = 0.03
	// loneNoise is taken where there was one run, which says nothing about its noise.
	loneNoise = 0.10
)

// Ratio is after over before; 0 where there is nothing to compare with.
func (f Figure) Ratio() float64 {
	if f.Before == 0 {
		return 0
	}
	return f.After / f.Before
}

// Changed says that the ratio is beyond the noise.
func (f Figure) Changed() bool { return f.Before != 0 && math.Abs(f.Ratio()-1) > f.Noise }

// Compare sets variants that both reports have side by side, in the order of after.
func Compare(before, after Report) Comparison {
	var c Comparison
	if before.Machine != after.Machine {
		c.Machines = fmt.Sprintf("the machines differ: %+v and %+v", before.Machine, after.Machine)
	}
	known := map[Variant]*Result{}
	for i := range before.Workloads {
		known[before.Workloads[i].variant()] = &before.Workloads[i]
	}
	for i := range after.Workloads {
		a := &after.Workloads[i]
		b, ok := known[a.variant()]
		if !ok {
			c.Alone = append(c.Alone, "only in the second: "+a.variant().String())
			continue
		}
		delete(known, a.variant())
		c.Rows = append(c.Rows, Change{Variant: a.variant(), Figures: figures(b, a)})
	}
	for i := range before.Workloads {
		if v := before.Workloads[i].variant(); known[v] != nil {
			c.Alone = append(c.Alone, "only in the first: "+v.String())
		}
	}
	return c
}

// costFigures is how many of the figures, the first ones, are throughput and processor time. The others are memory and
// latency.
const costFigures = 5

// figures are what is compared of a variant.
func figures(before, after *Result) []Figure {
	figure := func(name, spread string, of func(*Result) float64) Figure {
		return Figure{
			Name: name, Before: of(before), After: of(after),
			Noise: max(leastNoise, before.noise(spread), after.noise(spread)),
		}
	}
	optional := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	settle := func(r *Result) Settle {
		if r.Settle == nil {
			return Settle{}
		}
		return *r.Settle
	}
	return []Figure{
		figure("rows/s", "rows_per_s", func(r *Result) float64 { return r.RowsPerS }),
		figure("CPU", "cpu_total", func(r *Result) float64 { return r.CPU.Total }),
		figure("CPU ingest", "cpu_ingest", func(r *Result) float64 { return r.CPU.Ingest }),
		figure("CPU writer", "cpu_writer", func(r *Result) float64 { return r.CPU.Writer }),
		figure("CPU to-floor", "floor_ratio", func(r *Result) float64 { return optional(r.FloorRatio) }),
		figure("alloc ingest", "alloc_ingest", func(r *Result) float64 { return r.Allocated.Ingest }),
		figure("alloc writer", "alloc_writer", func(r *Result) float64 { return r.Allocated.Writer }),
		figure("peak ingest", "peak_rss_ingest", func(r *Result) float64 { return r.PeakRSS.Ingest }),
		figure("peak writer", "peak_rss_writer", func(r *Result) float64 { return r.PeakRSS.Writer }),
		figure("settle p50", "settle_p50", func(r *Result) float64 { return settle(r).P50 }),
		figure("settle p99", "settle_p99", func(r *Result) float64 { return settle(r).P99 }),
	}
}

// noise is the spread of a figure's runs.
func (r *Result) noise(name string) float64 {
	if len(r.Spread) == 0 {
		return loneNoise
	}
	return r.Spread[name]
}

// Print shows the ratios, with a mark at what changed.
func (c Comparison) Print(out io.Writer) error {
	if c.Machines != "" {
		fmt.Fprintf(out, "%s\n\n", c.Machines)
	}
	if len(c.Rows) > 0 {
		if err := c.printFigures(out, 0, costFigures); err != nil {
			return err
		}
		fmt.Fprintln(out)
		if err := c.printFigures(out, costFigures, len(c.Rows[0].Figures)); err != nil {
			return err
		}
		fmt.Fprintf(out, "* beyond the noise: the spread of the runs in either report, %.0f %% at least, "+
			"%.0f %% where there was one run\n", 100*leastNoise, 100*loneNoise)
	}
	for _, line := range c.Alone {
		fmt.Fprintln(out, line)
	}
	if len(c.Rows) == 0 {
		return fmt.Errorf("the reports have no workload in common")
	}
	return nil
}

// printFigures shows the ratios of some figures. All of them side by side are wider than a terminal, so a name has its
// words below each other.
func (c Comparison) printFigures(out io.Writer, from, to int) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	above, below := "\t\t\t\t\t", "second / first\tlanes\tcodec\tTLS\tBQ ms\t"
	for _, f := range c.Rows[0].Figures[from:to] {
		first, second, two := strings.Cut(f.Name, " ")
		if !two {
			first, second = "", first
		}
		above, below = above+first+"\t", below+second+"\t"
	}
	fmt.Fprintf(t, "%s\n%s\n", above, below)
	for _, row := range c.Rows {
		v := row.Variant
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t", v.Workload, v.Lanes, v.Codec, onOff(v.TLS), v.LatencyMS)
		for _, f := range row.Figures[from:to] {
			switch {
			case f.Ratio() == 0:
				fmt.Fprint(t, "\t")
			case f.Changed():
				fmt.Fprintf(t, "%.2f*\t", f.Ratio())
			default:
				fmt.Fprintf(t, "%.2f \t", f.Ratio())
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
