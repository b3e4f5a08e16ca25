// Command fleet changes the writers under load, measures how the lanes follow them, and compares every offset.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/waybill-data/waybill/e2e/fleet"
	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Experiment  string        `enum:",thesis" default:"" help:"thesis: ways of assigning partitions beside each other, while their speeds walk at random."`
	For         time.Duration `default:"4m" help:"Of the experiment: how long each kind of walk is measured."`
	Step        time.Duration `default:"30s" help:"Of the experiment: how long speeds stay."`
	Consumers   int           `default:"8" help:"Of the experiment: ingests of each group."`
	Deltas      []int         `default:"5,15,25" help:"Of the experiment: how far a step goes at most, in percent of what a consumer carries."`
	Assignments []string      `default:"range,sticky,cooperative-sticky,load" help:"Of the experiment: what is compared."`
	Seed        uint64        `default:"7" help:"Of the experiment: that of the walks."`
	Short       bool          `help:"Two minutes instead of ten."`
	Only        string        `enum:",writers,ingests" default:"" help:"writers or ingests: only what happens to these, which halves the time."`
	Lanes       int           `default:"32" help:"Partitions, each a lane. From 500 on there are fewer scenes: how soon so many are even."`
	Rate        float64       `default:"1600" help:"Events a second over all lanes; 2 a lane at least."`
	Bin         string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Keep        bool          `help:"Keep data and logs also when all is well."`
}

func main() {
	const description = "Writers and ingests come, go, hang and are updated under load, and lanes follow: `make fleet`."
	os.Exit(cli.Main("fleet", description, &command{}))
}

var errBroken = errors.New("a goal was not met: see above")

// Run does it.
func (c *command) Run(ctx context.Context, std cli.Streams) (err error) {
	if err := fleet.CheckRate(c.Rate); err != nil {
		return err
	}
	if c.Lanes < 8 || c.Lanes > 2000 {
		return fmt.Errorf("--lanes must be between 8 and 2000, got %d", c.Lanes)
	}
	dir, err := os.MkdirTemp("", "waybill-fleet-")
	if err != nil {
		return err
	}
	defer func() { err = stack.Tidy(ctx, dir, c.Keep, err, std.Err) }()
	if c.Experiment != "" {
		return c.thesis(ctx, dir, std)
	}
	report, err := fleet.Run(ctx, fleet.Config{
		Dir: dir, Bin: c.Bin, Short: c.Short, Only: c.Only, Lanes: c.Lanes,
		Rate: max(c.Rate, float64(2*c.Lanes)), Out: std.Out,
	})
	if err != nil {
		return err
	}
	if err := report.Print(std.Out); err != nil {
		return err
	}
	if !report.OK(!c.Short) {
		return errBroken
	}
	return nil
}

// thesis runs the experiment.
func (c *command) thesis(ctx context.Context, dir string, std cli.Streams) error {
	if c.Consumers < 2 || c.Consumers > 16 || c.For < c.Step || c.Step < time.Second {
		return errors.New("--consumers must be between 2 and 16, --step a second or more, and --for no shorter " +
			"than that")
	}
	report, err := fleet.Thesis(ctx, fleet.ThesisConfig{
		Dir: dir, Bin: c.Bin, For: c.For, Step: c.Step, Consumers: c.Consumers, Deltas: c.Deltas,
		Assignments: c.Assignments, Seed: c.Seed, Out: std.Out,
	})
	if err != nil {
		return err
	}
	if err := report.Print(std.Out); err != nil {
		return err
	}
	if !report.OK() && !report.Busy() {
		return errBroken
	}
	return nil
}
