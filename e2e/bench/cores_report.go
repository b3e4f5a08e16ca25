package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// CoresReport is what cores.json holds.
type CoresReport struct {
	Series  []CoresResult `json:"series"`
	Machine Machine       `json:"machine"`
	// Runs is how many runs each figure is the median of.
	Runs int `json:"runs"`
}

// CoresResult is one workload on so many processors.
type CoresResult struct {
	Workload string `json:"workload"`
	Lanes    int    `json:"lanes"`
	// SliceMS is how long a turn of the services was to be; 0: no turns, the sandbox had the other processors.
	SliceMS float64 `json:"slice_ms"`
	Cores   int     `json:"cores"`
	// RowsPerS counts the services' own time.
	RowsPerS float64 `json:"rows_per_s"`
	// Ratio is RowsPerS over that of the first number of processors; 0 where there is none.
	Ratio float64 `json:"ratio"`
	// CPU is processor seconds a million rows.
	CPU Costs `json:"cpu_s_per_million"`
	// Busy is the share of the processors that the services used in their turns.
	Busy          float64 `json:"busy"`
	RowsPerAppend float64 `json:"rows_per_append"`
	// TurnMS and RestMS are how long the turns of the services and of the sandbox were.
	TurnMS float64 `json:"turn_ms"`
	RestMS float64 `json:"sandbox_turn_ms"`
	// Others is the share of the machine that neither side nor the measurement used: other programs.
	Others float64 `json:"others"`
	// Spread is how far apart the runs were: (largest − smallest) / median of RowsPerS.
	Spread float64 `json:"spread"`
	// Each is the runs by themselves: on a shared machine those count in which others did little.
	Each []CoresRun `json:"each,omitempty"`
}

// CoresRun is what distinguishes runs; its figures are those of CoresResult.
type CoresRun struct {
	RowsPerS float64 `json:"rows_per_s"`
	CPU      float64 `json:"cpu_s_per_million"`
	Busy     float64 `json:"busy"`
	Others   float64 `json:"others"`
}

func (r *CoresResult) circumstances() string {
	if r.SliceMS == 0 {
		return fmt.Sprintf("%d processor(s), no turns", r.Cores)
	}
	return fmt.Sprintf("%d processor(s), turns of %g ms", r.Cores, r.SliceMS)
}

// medianCores is the median of each figure by itself.
func medianCores(runs []CoresResult) CoresResult {
	m := runs[0]
	for i := range runs {
		r := &runs[i]
		m.Each = append(m.Each, CoresRun{r.RowsPerS, r.CPU.Total, r.Busy, r.Others})
	}
	of := func(figure func(*CoresResult) *float64) []float64 {
		var values []float64
		for i := range runs {
			values = append(values, *figure(&runs[i]))
		}
		slices.Sort(values)
		*figure(&m) = middle(values)
		return values
	}
	rates := of(func(r *CoresResult) *float64 { return &r.RowsPerS })
	m.Spread = (rates[len(rates)-1] - rates[0]) / m.RowsPerS
	of(func(r *CoresResult) *float64 { return &r.CPU.Ingest })
	of(func(r *CoresResult) *float64 { return &r.CPU.Writer })
	of(func(r *CoresResult) *float64 { return &r.CPU.Total })
	of(func(r *CoresResult) *float64 { return &r.Busy })
	of(func(r *CoresResult) *float64 { return &r.RowsPerAppend })
	of(func(r *CoresResult) *float64 { return &r.TurnMS })
	of(func(r *CoresResult) *float64 { return &r.RestMS })
	of(func(r *CoresResult) *float64 { return &r.Others })
	return m
}

// compare sets the ratios: to the first of the same workload, lanes and turns.
func (r *CoresReport) compare() {
	for i := range r.Series {
		at := &r.Series[i]
		first := slices.IndexFunc(r.Series, func(o CoresResult) bool {
			return o.Workload == at.Workload && o.Lanes == at.Lanes && o.SliceMS == at.SliceMS
		})
		if first != i {
			at.Ratio = at.RowsPerS / r.Series[first].RowsPerS
		}
	}
}

// Write writes the report, whole or not at all.
func (r *CoresReport) Write(path string) error { return write(path, r) }

// Print shows the report.
func (r *CoresReport) Print(out io.Writer) error {
	fmt.Fprintf(out, "%v; medians of %d run(s)\n\n", r.Machine, r.Runs)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\t\tturn\tsandbox's\t\t\t\tCPU-s/M\t\t\t\trows an\t\t")
	fmt.Fprintln(t, "\tlanes\tcores\tms\tms\trows/s\t± %\tratio\trows\tingest\twriter\tbusy\tappend\tothers\t")
	for i := range r.Series {
		s := &r.Series[i]
		turn, rest, ratio := "none", "", ""
		if s.SliceMS > 0 {
			turn, rest = fmt.Sprintf("%.1f", s.TurnMS), fmt.Sprintf("%.1f", s.RestMS)
		}
		if s.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", s.Ratio)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%.0f\t%.0f\t%s\t%.2f\t%.2f\t%.2f\t%.0f %%\t%.0f\t%.0f %%\t\n",
			s.Workload, s.Lanes, s.Cores, turn, rest, s.RowsPerS, 50*s.Spread, ratio,
			s.CPU.Total, s.CPU.Ingest, s.CPU.Writer, 100*s.Busy, s.RowsPerAppend, 100*s.Others)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(out, `
rows/s: of the services' own time, their turns. ratio: to the first number of cores. busy: the share of those
cores that they used in their turns; where it is low they waited, for each other or, with long turns, for the
sandbox. turn none: the services on one core, the sandbox on the others, at the same time. others: the share of
the whole machine that other programs used meanwhile.
`)
	return err
}
