package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// IdleReport is what idle.json holds.
type IdleReport struct {
	Results []IdleResult `json:"results"`
	Machine Machine      `json:"machine"`
	// Seconds is how long was measured.
	Seconds float64 `json:"seconds"`
}

// IdleResult is what so many idle lanes cost.
type IdleResult struct {
	Lanes      int      `json:"lanes"`
	Goroutines Services `json:"goroutines"`
	// MB is resident at the end, HeapMB and StackMB are what of it Go uses for them, in 10^6 bytes.
	MB      Services `json:"rss_mb"`
	HeapMB  Services `json:"heap_mb"`
	StackMB Services `json:"stack_mb"`
	// Cores is processor time over time.
	Cores Services `json:"cores"`
}

// Over says what is more than idle lanes may cost; empty when nothing is.
func (r *IdleResult) Over() string {
	switch {
	case max(r.Cores.Ingest, r.Cores.Writer) > IdleCores:
		return fmt.Sprintf("more than %g cores", IdleCores)
	case max(r.MB.Ingest, r.MB.Writer) > IdleMB:
		return fmt.Sprintf("more than %d MB", IdleMB)
	case r.Goroutines.Ingest > float64(IdleGoroutines*r.Lanes+idleBase):
		return fmt.Sprintf("more than %d goroutines a lane in ingest", IdleGoroutines)
	}
	return ""
}

// idleBase is goroutines that are there without lanes, about.
const idleBase = 200

// Over says whether any result is over.
func (r *IdleReport) Over() bool {
	for i := range r.Results {
		if r.Results[i].Over() != "" {
			return true
		}
	}
	return false
}

// Write writes the report, whole or not at all.
func (r *IdleReport) Write(path string) error { return write(path, r) }

// Print shows the report.
func (r *IdleReport) Print(out io.Writer) error {
	fmt.Fprintf(out, "%v; %g s; MB are 10^6 bytes\n\n", r.Machine, r.Seconds)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "lanes\tservice\tgoroutines\ta lane\tMB\theap\tstacks\tcores\t\t")
	for i := range r.Results {
		c := &r.Results[i]
		verdict := c.Over()
		if verdict == "" {
			verdict = "ok"
		}
		row := func(name string, of func(Services) float64, verdict string) {
			fmt.Fprintf(t, "%d\t%s\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\t%.3f\t%s\t\n",
				c.Lanes, name, of(c.Goroutines), of(c.Goroutines)/float64(c.Lanes),
				of(c.MB), of(c.HeapMB), of(c.StackMB), of(c.Cores), verdict)
		}
		row("ingest", func(s Services) float64 { return s.Ingest }, verdict)
		row("writer", func(s Services) float64 { return s.Writer }, "")
	}
	return t.Flush()
}
