// Command bench measures what Waybill costs: processor seconds a million rows of both services, end to end against the sandbox, and what
// the stages of the way cost on their own. Machines differ and are shared: compare figures of one run, not of two machines.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type command struct {
	Deliveries int64         `default:"40000" help:"Delivery events of about 9 KB to move."`
	Stock      int64         `default:"1000000" help:"Stock events of about 110 B to move."`
	Runs       int           `default:"1" help:"Runs of each workload; the median of the processor time is shown."`
	BenchTime  time.Duration `default:"1s" help:"Time for each stage."`
	Bin        string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Root       string        `default:"." help:"Folder of the source, for the stages." type:"path"`
}

func main() {
	var c command
	kong.Parse(&c, kong.Name("bench"), kong.Description("What a million rows cost, end to end and stage by stage. `make bench` calls it."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func (c *command) run(ctx context.Context, out io.Writer) error {
	if c.Deliveries <= 0 || c.Stock <= 0 || c.Runs <= 0 {
		return fmt.Errorf("--deliveries, --stock and --runs must be positive, got %d, %d and %d", c.Deliveries, c.Stock, c.Runs)
	}
	var totals []measure
	for _, w := range c.workloads() {
		fmt.Fprintf(os.Stderr, "moving %d rows of %s, %d time(s)\n", w.events, w.name, c.Runs)
		m, err := c.measure(ctx, w)
		if err != nil {
			return fmt.Errorf("workload %s: %w", w.name, err)
		}
		totals = append(totals, m)
	}
	fmt.Fprintln(os.Stderr, "measuring the stages")
	stages, err := c.stages(ctx)
	if err != nil {
		return err
	}
	return printTable(out, totals, stages)
}
