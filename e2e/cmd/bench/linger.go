package main

import (
	"context"
	"os"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
)

type lingerCmd struct {
	where
	Workload string        `default:"json-270" help:"Workload (${default})."`
	Lanes    int           `default:"8" help:"Lanes (${default})."`
	Latency  int           `default:"100" help:"Latency of BigQuery's responses in milliseconds (${default})."`
	Live     time.Duration `default:"6s" help:"How long each load lasts (${default})."`
	Rows     int64         `help:"Rows moved first, to warm up, instead of the workload's own number."`
}

// Run measures.
func (c *lingerCmd) Run(ctx context.Context) error {
	b := bench.Bench{
		Choice: bench.Choice{Workloads: []string{c.Workload}, Lanes: []int{c.Lanes}, LatencyMS: []int{c.Latency}},
		Runs:   1, Rows: c.Rows, Live: c.Live, Loads: []float64{0.1, 0.01}, Bin: c.Bin, Root: c.Root,
		Progress: os.Stderr,
	}
	report, err := b.Run(ctx)
	if err != nil {
		return err
	}
	return report.PrintLoads(os.Stdout)
}
