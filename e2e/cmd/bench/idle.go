package main

import (
	"context"
	"os"
	"time"

	"github.com/waybill-data/waybill/e2e/bench"
	"github.com/waybill-data/waybill/pkg/cli"
)

type idleCmd struct {
	Bin      string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest (${default})." type:"path"`
	Lanes    []int         `default:"500,2000,5000" help:"How many lanes (${default})."`
	Settles  time.Duration `default:"60s" help:"How long the lanes rest before the measurement (${default})."`
	Lasts    time.Duration `default:"30s" help:"How long is measured (${default})."`
	Profiles string        `help:"Folder for profiles of both services, of heap, goroutines and processor time." type:"path" placeholder:"FOLDER"`
	Out      string        `default:"idle.json" help:"Where the report goes (${default})."`
}

// Help is shown below the flags.
func (idleCmd) Help() string {
	return `Every lane is open and has nothing to do. The status is 1 when a service takes more than 0.2
cores or 300 MB, or ingest more than 6 goroutines a lane.

Examples:
  bench idle
  bench idle --lanes 3000 --settles 10s --profiles /tmp`
}

// Run measures.
func (c *idleCmd) Run(ctx context.Context) error {
	i := bench.Idle{
		Lanes: c.Lanes, Settles: c.Settles, Lasts: c.Lasts, Bin: c.Bin, Profiles: c.Profiles, Progress: os.Stderr,
	}
	report, err := i.Run(ctx)
	if err != nil {
		return err
	}
	if err := publish(&report, c.Out); err != nil {
		return err
	}
	if report.Over() {
		return cli.ErrFailed // the table says which
	}
	return nil
}
