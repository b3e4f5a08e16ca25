package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print shows the plan, its first limit last.
func (p Plan) Print(out io.Writer) error {
	d := p.Demand
	fmt.Fprintf(out, "%d partitions, %.2f GB/s, %d table(s) each, BigQuery responds in %.0f ms\ncosts: %s\n\n",
		d.Partitions, d.BytesPerS/1e9, d.Tables, 1e3*d.LatencyS, p.Source)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "it needs")
	for _, n := range p.Needs {
		fmt.Fprintf(t, "%s\t%s\t%s\n", n.What, number(n.Number), n.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "limit\tused\tof what")
	for _, b := range p.Bounds {
		fmt.Fprintf(t, "%s\t%.1f %%\t%s\n", b.What, 100*b.Used, b.Detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "limit\tknob")
	for _, b := range p.Bounds {
		fmt.Fprintf(t, "%s\t%s\n", b.What, b.Knob)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if !p.Batches {
		fmt.Fprintln(out, "\nThe report holds no loads below the full one, so small batches cost no more than large "+
			"ones here. Measure them: bench run --loads 0.1,0.01")
	}
	first := p.Bounds[0]
	if first.Used > 1 {
		_, err := fmt.Fprintf(out, "\nToo much: %s is needed %.1f times over.\nKnob: %s.\n",
			first.What, first.Used, first.Knob)
		return err
	}
	_, err := fmt.Fprintf(out, "\nThe first limit that a growing load meets is %s, at %.1f times this.\nKnob: %s.\n",
		first.What, 1/first.Used, first.Knob)
	return err
}

// number has as many digits as are worth reading.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
