package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// printTable shows everything in one table: the whole first, then each stage with its share of the whole.
func printTable(out io.Writer, totals []measure, stages []stage) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\trows\trows/s\tMB/s\tCPU-s a million rows\tshare\tMB/s a core\tallocations a row\tpeak MB\t")
	for _, m := range totals {
		million := 1e6 / float64(m.events)
		s := m.took.Seconds()
		total := m.cpu()
		fmt.Fprintf(w, "%s: both services\t%d\t%.0f\t%.1f\t%.2f\t100 %%\t%.0f\t\t%.0f\t\n", m.name, m.events,
			float64(m.events)/s, float64(m.payload)/s/1e6, total*million, float64(m.payload)/total/1e6, (m.ingestRSS+m.writerRSS)/1e6)
		fmt.Fprintf(w, "ingest\t\t\t\t%.2f\t%.0f %%\t%.0f\t\t%.0f\t\n", m.ingest*million, 100*m.ingest/total, float64(m.payload)/m.ingest/1e6, m.ingestRSS/1e6)
		fmt.Fprintf(w, "writer\t\t\t\t%.2f\t%.0f %%\t%.0f\t\t%.0f\t\n", m.writer*million, 100*m.writer/total, float64(m.payload)/m.writer/1e6, m.writerRSS/1e6)
		for _, g := range stages {
			if g.workload != m.name {
				continue
			}
			fmt.Fprintf(w, "stage %s\t\t\t\t%.3f\t%.0f %%\t%s\t%.4f\t\t\n", g.name, g.nsRow/1e3, 100*g.nsRow/1e3/(total*million), rate(g.mbs), g.allocsRow)
		}
		fmt.Fprintln(w, "\t\t\t\t\t\t\t\t\t")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, `Both services: processes of their own against the sandbox's Kafka and its BigQuery emulator, which counts rows and keeps none.
Stages: benchmarks of one piece each. Those of lanes and sink go over loopback gRPC and count both ends, so stages overlap and their shares need not add up.`)
	return nil
}

func rate(mbs float64) string {
	if mbs == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", mbs)
}
