// Command fleet changes the writers under load, measures how the lanes follow them, and compares every offset.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/waybill-data/waybill/e2e/fleet"
	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Short bool    `help:"Two minutes instead of seven."`
	Rate  float64 `default:"1600" help:"Events a second, over 32 lanes."`
	Bin   string  `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Keep  bool    `help:"Keep data and logs also when all is well."`
}

func main() {
	const description = "Writers come, go, hang and are updated under load; lanes follow. `make fleet` calls it."
	os.Exit(cli.Main("fleet", description, &command{}))
}

var errBroken = errors.New("an event is lost or doubled, or a graceful change finalized a stream: see above")

// Run does it.
func (c *command) Run(ctx context.Context, std cli.Streams) (err error) {
	if c.Rate < 100 || c.Rate > 20_000 {
		return fmt.Errorf("--rate must be between 100 and 20000, got %v: with less, lanes are silent by themselves", c.Rate)
	}
	dir, err := os.MkdirTemp("", "waybill-fleet-")
	if err != nil {
		return err
	}
	defer func() { err = stack.Tidy(ctx, dir, c.Keep, err, std.Err) }()
	report, err := fleet.Run(ctx, fleet.Config{Dir: dir, Bin: c.Bin, Short: c.Short, Rate: c.Rate, Out: std.Out})
	if err != nil {
		return err
	}
	if err := report.Print(std.Out); err != nil {
		return err
	}
	if !report.OK() {
		return errBroken
	}
	return nil
}
