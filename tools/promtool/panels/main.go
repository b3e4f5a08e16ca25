// Command panels evaluates what dashboards show and alert rules look at over pages of /metrics that a run has left
// (bin/scrape), with Prometheus' own engine and no server: each query of a panel must have values, of a kind that its
// unit can have, and each metric that an alert rule selects must be there.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

func main() {
	scrapes := flag.String("scrapes", "", "folder of the pages: JOB/INSTANCE/MILLISECONDS.txt")
	rules := flag.String("rules", "", "file of alert rules")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Usage: panels --scrapes FOLDER --rules FILE DASHBOARD.json ...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *scrapes == "" || *rules == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), os.Stdout, *scrapes, *rules, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "panels:", err)
		os.Exit(1)
	}
}

// run prints a line for each query, and returns an error when one has nothing to show.
func run(ctx context.Context, out io.Writer, scrapes, rules string, dashboards []string) error {
	dir, err := os.MkdirTemp("", "waybill-panels-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := load(ctx, dir, scrapes)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Fprintf(out, "%d samples of %.0f s\n", s.samples, s.to.Sub(s.from).Seconds())

	var queries []query
	for _, path := range dashboards {
		of, err := panels(path)
		if err != nil {
			return err
		}
		queries = append(queries, of...)
	}
	alerts, err := alerts(rules)
	if err != nil {
		return err
	}
	queries = append(queries, alerts...)

	lines := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "\tof\tseries\tlast\tlargest\tquery")
	wrong := 0
	for _, q := range queries {
		seen, err := s.evaluate(ctx, q)
		said := "ok"
		if err != nil {
			wrong++
			said = "WRONG"
		}
		fmt.Fprintf(lines, "%s\t%s\t%d\t%.3g\t%.3g\t%s\n", said, q.of, seen.series, seen.last, seen.largest,
			strings.Join(strings.Fields(q.expr), " "))
		if err != nil {
			fmt.Fprintf(lines, "\t%v\t\t\t\t\n", err)
		}
	}
	if err := lines.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d queries show nothing, or nothing that can be: see above", wrong, len(queries))
	}
	fmt.Fprintf(out, "panels: %d queries, all with values\n", len(queries))
	return nil
}
