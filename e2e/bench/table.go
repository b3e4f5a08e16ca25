package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print shows the report: what each variant took, then what its floor is made of, then the loads that were asked for.
func (r Report) Print(out io.Writer) error {
	fmt.Fprintf(out, "%v; medians of %d run(s)\n\n", r.Machine, r.Runs)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tlanes\tcodec\tTLS\tBQ ms\trows/s\tMB/s\tCPU-s/M rows\tingest\twriter\tfloor\tratio\tMB/CPU-s\t")
	for i := range r.Workloads {
		w := &r.Workloads[i]
		floor, ratio := "", ""
		if w.Floor != nil && w.FloorRatio != nil {
			floor, ratio = fmt.Sprintf("%.2f", w.Floor.Total), fmt.Sprintf("%.2f", *w.FloorRatio)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t%.0f\t%.1f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%.0f\t\n",
			w.Name, w.Lanes, w.Codec, onOff(w.TLS), w.LatencyMS, w.RowsPerS, w.MBPerS, w.CPU.Total, w.CPU.Ingest,
			w.CPU.Writer, floor, ratio, w.RowBytes/w.CPU.Total)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(out, `
CPU-s/M rows: processor seconds a million rows of both services as whole processes,
their start taken off. MB/CPU-s: record values a second of processor time.

`)
	if err := r.printMemory(out); err != nil {
		return err
	}
	if err := r.printFloors(out); err != nil {
		return err
	}
	for _, w := range r.Workloads {
		if len(w.Loads) > 1 {
			return r.PrintLoads(out)
		}
	}
	return nil
}

// printMemory shows memory and latency of each variant.
func (r Report) printMemory(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tlanes\tcodec\tTLS\tBQ ms\tB/row alloc\tpeak MB\tsettle p50\tp99\tmax ms\t")
	for i := range r.Workloads {
		w := &r.Workloads[i]
		settle := "\t\t"
		if w.Settle != nil {
			settle = fmt.Sprintf("%.0f\t%.0f\t%.0f", w.Settle.P50, w.Settle.P99, w.Settle.Max)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t%.0f+%.0f\t%.0f+%.0f\t%s\t\n",
			w.Name, w.Lanes, w.Codec, onOff(w.TLS), w.LatencyMS, w.Allocated.Ingest, w.Allocated.Writer,
			w.PeakRSS.Ingest, w.PeakRSS.Writer, settle)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, `
x+y: ingest and writer. settle: from Kafka to settled at full load, of each batch's oldest row.`)
	return nil
}

// printFloors shows what the floors are made of.
func (r Report) printFloors(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	shown := false
	for i := range r.Workloads {
		w := &r.Workloads[i]
		if w.Floor == nil {
			continue
		}
		if !shown {
			shown = true
			fmt.Fprintln(out, "\nThe floor, CPU-s/M rows")
			fmt.Fprintln(t, "\tlanes\tcodec\tTLS\tsarama alone\tdecode alone\tone hop, both ends\tBigQuery "+
				"client\tfloor\tdecode MB/s\tclient's own messages instead\t")
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.0f\t%.3f\t\n", w.Name, w.Lanes, w.Codec,
			onOff(w.TLS), w.Floor.Kafka, w.Floor.Decode, w.Floor.Hop, w.Floor.BigQuery, w.Floor.Total,
			w.RowBytes/max(w.Floor.Decode, 1e-9), w.Floor.Messages)
	}
	if !shown {
		return nil
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out,
		`sarama alone: its consumers drain the same topic and drop every message; the consuming end. decode alone:
header to row on one goroutine. one hop: the same rows through the lane protocol's codec, two processes. BigQuery
client: Google's, sending the same blocks as they lie; the sending end. The last column is what the client costs when it
is given one byte slice a row, as its library has it.`)
	return err
}

// PrintLoads shows batches and latency by load.
func (r Report) PrintLoads(out io.Writer) error {
	fmt.Fprintln(out, "\nBy load")
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tlanes\tBQ ms\tload\trecords/s\trows a batch\tsettle p50\tp99\tmax ms\tCPU-s/M rows\tkept up\t")
	for i := range r.Workloads {
		w := &r.Workloads[i]
		for _, l := range w.Loads {
			kept := "yes"
			if !l.Sustained {
				kept = "NO"
			}
			fmt.Fprintf(t, "%s\t%d\t%d\t%g %%\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\t%.2f\t%s\t\n",
				w.Name, w.Lanes, w.LatencyMS, 100*l.Load, l.Rate, l.RowsPerBatch,
				l.Settle.P50, l.Settle.P99, l.Settle.Max, l.CPU.Total, kept)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out,
		"100 %%: %.0f %% of what this machine produces, carries and settles at once when nobody holds back.\n",
		100*fullShare)
	return err
}

func onOff(v bool) string {
	if v {
		return "on"
	}
	return "off"
}
