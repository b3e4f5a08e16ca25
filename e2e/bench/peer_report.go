package bench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// PeerReport is what peer.json holds.
type PeerReport struct {
	Workload  string     `json:"workload"`
	Lanes     int        `json:"lanes"`
	Codec     string     `json:"codec"`
	LatencyMS int        `json:"bigquery_latency_ms"`
	Rows      int64      `json:"rows"`
	Waybill   PeerResult `json:"waybill"`
	Peer      PeerResult `json:"peer"`
	Machine   Machine    `json:"machine"`
	// Runs is how many runs each figure is the median of.
	Runs int `json:"runs"`
}

// PeerResult is one side of the comparison.
type PeerResult struct {
	Name     string  `json:"name"`
	RowsPerS float64 `json:"rows_per_s"`
	// CPU is processor seconds a million rows, of all the side's processes; MBPerCPU is 10^6 bytes of record values a
	// processor second.
	CPU      float64 `json:"cpu_s_per_million"`
	MBPerCPU float64 `json:"mb_per_cpu_s"`
	PeakMB   float64 `json:"peak_rss_mb"`
	// Spread is the range of CPU over its median.
	Spread float64 `json:"spread"`
}

// middlePeer is the median of each figure by itself.
func middlePeer(name string, runs []PeerResult) PeerResult {
	of := func(figure func(PeerResult) float64) []float64 {
		var values []float64
		for _, r := range runs {
			values = append(values, figure(r))
		}
		slices.Sort(values)
		return values
	}
	cpu := of(func(r PeerResult) float64 { return r.CPU })
	m := PeerResult{
		Name: name, CPU: middle(cpu),
		RowsPerS: middle(of(func(r PeerResult) float64 { return r.RowsPerS })),
		MBPerCPU: middle(of(func(r PeerResult) float64 { return r.MBPerCPU })),
		PeakMB:   middle(of(func(r PeerResult) float64 { return r.PeakMB })),
	}
	if m.CPU > 0 {
		m.Spread = (cpu[len(cpu)-1] - cpu[0]) / m.CPU
	}
	return m
}

// Print shows the two and their ratios.
func (r PeerReport) Print(out io.Writer) error {
	fmt.Fprintf(out, "%s/%s, %d processors; %s, %d lanes, codec %s, BigQuery latency %d ms, %d "+
		"rows; medians of %d run(s)\n\n",
		r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Workload, r.Lanes, r.Codec, r.LatencyMS, r.Rows, r.Runs)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tCPU-s/M rows\tspread\tMB/CPU-s\trows/s\tpeak MB\t")
	for _, s := range []PeerResult{r.Waybill, r.Peer} {
		fmt.Fprintf(t, "%s\t%.2f\t±%.0f %%\t%.0f\t%.0f\t%.0f\t\n",
			s.Name, s.CPU, 50*s.Spread, s.MBPerCPU, s.RowsPerS, s.PeakMB)
	}
	fmt.Fprintf(t, "ratio\t%.2f\t\t%.2f\t%.2f\t%.2f\t\n", r.Peer.CPU/r.Waybill.CPU, r.Peer.MBPerCPU/r.Waybill.MBPerCPU,
		r.Peer.RowsPerS/r.Waybill.RowsPerS, r.Peer.PeakMB/r.Waybill.PeakMB)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, `
ratio: %s over waybill. waybill is ingest and writer together. Counted from the first rows that BigQuery has to the
last one, whole processes and all that they start. Rows a second are what this machine does with Kafka and BigQuery on
it as well; BigQuery counts rows and looks into none.
`, r.Peer.Name)
	return err
}

// Write writes the report as JSON.
func (r PeerReport) Write(path string) error { return write(path, r) }
