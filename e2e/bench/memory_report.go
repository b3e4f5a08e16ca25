package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// MemoryReport is what memory.json holds.
type MemoryReport struct {
	Cases   []MemoryResult `json:"cases"`
	Machine Machine        `json:"machine"`
	// LimitMB is what no service may reach, in 10^6 bytes.
	LimitMB float64 `json:"limit_mb"`
	StallS  float64 `json:"stall_s"`
	// Runs is how many runs each figure is the largest of.
	Runs int `json:"runs"`
}

// MemoryResult is one case.
type MemoryResult struct {
	Name     string `json:"name"`
	Workload string `json:"workload"`
	Lanes    int    `json:"lanes"`
	Rows     int64  `json:"rows"`
	// Budget is memory.budget; empty is what a service takes by itself.
	Budget string `json:"memory_budget,omitempty"`
	// Peak is VmHWM, from the start of the process to the last settled row.
	Peak        Services `json:"peak_rss_mb"`
	WithinLimit bool     `json:"within_limit"`
	// Settled: at the end every row was, and BigQuery has as many as Kafka, no more.
	Settled bool `json:"all_settled"`
	// Stall is null where there was none.
	Stall *Stall `json:"stall"`
}

// Stall is what was there at the end of a stall.
type Stall struct {
	// HeldMB is what the services' budgets say that they hold.
	HeldMB Services `json:"held_mb"`
	// Waiting is rows that ingest has not made yet: the load was full to the end.
	Waiting int64 `json:"rows_waiting"`
}

// or is the larger figures of two runs of a case.
func (r MemoryResult) or(o MemoryResult) MemoryResult {
	if r.Name == "" {
		return o
	}
	o.Peak = r.Peak.larger(o.Peak)
	o.WithinLimit, o.Settled = r.WithinLimit && o.WithinLimit, r.Settled && o.Settled
	if r.Stall != nil && o.Stall != nil {
		o.Stall = &Stall{HeldMB: r.Stall.HeldMB.larger(o.Stall.HeldMB), Waiting: min(r.Stall.Waiting, o.Stall.Waiting)}
	}
	return o
}

func (s Services) larger(o Services) Services {
	return Services{max(s.Ingest, o.Ingest), max(s.Writer, o.Writer)}
}

// Over names the cases with a service at the limit or above.
func (r *MemoryReport) Over() []string {
	var over []string
	for i := range r.Cases {
		if !r.Cases[i].WithinLimit {
			over = append(over, r.Cases[i].Name)
		}
	}
	return over
}

// Write writes the report, whole or not at all.
func (r *MemoryReport) Write(path string) error { return write(path, r) }

// Print shows the report.
func (r *MemoryReport) Print(out io.Writer) error {
	fmt.Fprintf(out, "%v; the largest of %d run(s); MB are 10^6 bytes\n\n", r.Machine, r.Runs)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tlanes\tstall s\trows\tsettled\tingest peak MB\twriter peak MB\tlimit MB\t\theld in the "+
		"stall MB\t")
	for i := range r.Cases {
		c := &r.Cases[i]
		settled, verdict, stall, held := "all", "ok", "", ""
		if !c.Settled {
			settled = "NO"
		}
		if !c.WithinLimit {
			verdict = "OVER"
		}
		if c.Stall != nil {
			stall, held = fmt.Sprintf("%g", r.StallS),
				fmt.Sprintf("%.0f+%.0f", c.Stall.HeldMB.Ingest, c.Stall.HeldMB.Writer)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%s\t%.1f\t%.1f\t%.0f\t%s\t%s\t\n",
			c.Name, c.Lanes, stall, c.Rows, settled, c.Peak.Ingest, c.Peak.Writer, r.LimitMB, verdict, held)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(out, `
peak: the most that the process had resident, from its start to the last settled row.
stall: BigQuery responds to no append for so long, from when a quarter of the rows is through;
held: what the memory budgets count at its end, ingest and writer. The topic is full meanwhile.
`)
	if over := r.Over(); len(over) > 0 {
		fmt.Fprintf(out, "\nover %.0f MB: %s\n", r.LimitMB, strings.Join(over, ", "))
	}
	return nil
}
