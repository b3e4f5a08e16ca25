package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
)

type coresCmd struct {
	Bin      string          `default:"bin" help:"Folder of the binaries sandbox, writer and ingest (${default})." type:"path"`
	Workload []string        `default:"json-270,avro-v6" help:"Workloads (${default})."`
	Lanes    []int           `default:"8,16" help:"Numbers of lanes (${default})."`
	Cores    []int           `help:"Numbers of cores; ratios are to the first. By default 1 and all of the machine."`
	Slice    []time.Duration `default:"3ms,4ms,0s" help:"Lengths of the services' turns (${default}). 0s: no turns, the services on one core and the sandbox on the others."`
	Runs     int             `default:"3" help:"Runs of each, in turns; figures are medians (${default})."`
	Lasts    time.Duration   `default:"2s" help:"How much of the services' own time to measure (${default})."`
	Rows     int64           `help:"Rows in the topic, instead of each workload's own number."`
	Out      string          `default:"cores.json" help:"Where the report goes (${default})."`
}

// Help is shown below the flags.
func (coresCmd) Help() string {
	return `The services and the sandbox take turns: one side is stopped while the other has the machine.
Throughput counts the services' turns alone, so it is what they would carry on these cores with Kafka and BigQuery
elsewhere. Whether the turns distort is seen by measuring several lengths, and without turns. Linux only. Other
programs disturb: the column others says how much.

Examples:
  bench cores
  bench cores --workload json-270 --lanes 8 --slice 2ms,4ms,6ms,10ms,20ms,0s --runs 5
  bench cores --cores 1,2,3,4`
}

// Run measures.
func (c *coresCmd) Run(ctx context.Context) error {
	counts := c.Cores
	if len(counts) == 0 {
		counts = []int{1, runtime.NumCPU()}
	}
	b := bench.Cores{
		Workloads: c.Workload, Lanes: c.Lanes, Counts: counts, Slices: c.Slice, Runs: c.Runs, Lasts: c.Lasts,
		Rows: c.Rows, Bin: c.Bin, Progress: os.Stderr,
	}
	report, err := b.Run(ctx)
	if err != nil {
		return err
	}
	return publish(&report, c.Out)
}
