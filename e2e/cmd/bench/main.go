// Command bench measures what Waybill costs, compares two measurements, and computes what a larger load would need. `make bench` calls it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type command struct {
	Run     runCmd     `cmd:"" default:"withargs" help:"Measure: rows, processor time, memory and latency, beside the floor. Writes bench.json. The default."`
	Compare compareCmd `cmd:"" help:"Compare two reports of one machine."`
	Linger  lingerCmd  `cmd:"" help:"Batches and latency at 1, 10 and 100 % load: how the linger adapts."`
	Scale   scaleCmd   `cmd:"" help:"What many partitions and a large load need, by the costs in a report."`
}

func main() {
	var c command
	parsed := kong.Parse(&c, kong.Name("bench"), kong.Description("What Waybill costs on this machine."), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	parsed.BindTo(ctx, (*context.Context)(nil))
	err := parsed.Run()
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}
