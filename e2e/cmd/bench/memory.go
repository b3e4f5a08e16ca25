package main

import (
	"context"
	"os"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
	"github.com/waybill-data/waybill/pkg/cli"
)

type memoryCmd struct {
	Bin   string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest (${default})." type:"path"`
	Case  []string      `help:"Cases: stock-8, stock-8-stall, stock-500, stock-500-stall, v6-8-stall. All of them by default."`
	Stall time.Duration `default:"60s" help:"How long BigQuery does not respond in the cases that have a stall (${default})."`
	Runs  int           `default:"1" help:"Runs of each; the largest figures count (${default})."`
	Out   string        `default:"memory.json" help:"Where the report goes (${default})."`
}

// Help is shown below the flags.
func (memoryCmd) Help() string {
	return `Both services run with the memory budgets that they give themselves. A topic is filled, then they start;
in the cases with a stall BigQuery does not respond for a while once a quarter of the rows is through. The names say the
workload (stock events of some 70 bytes, delivery events of 9 KB) and how many lanes there are. The status is 1 when a
service had 256 MB or more.

Examples:
  bench memory                                # all cases, some five minutes
  bench memory --case stock-500-stall --stall 5m`
}

// Run measures.
func (c *memoryCmd) Run(ctx context.Context) error {
	cases, err := bench.MemoryCases(c.Case)
	if err != nil {
		return err
	}
	m := bench.Memory{Cases: cases, Stall: c.Stall, Runs: c.Runs, Bin: c.Bin, Progress: os.Stderr}
	report, err := m.Run(ctx)
	if err != nil {
		return err
	}
	if err := publish(&report, c.Out); err != nil {
		return err
	}
	if len(report.Over()) > 0 {
		return cli.ErrFailed // the table says which
	}
	return nil
}
