// Command hostile sends clients that mean no good to a writer, and measures what becomes of it and of honest lanes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/waybill-data/waybill/e2e/hostile"
	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Run    runCmd    `cmd:"" default:"withargs" help:"A stack, honest lanes and all attacks, one after the other. The default."`
	Attack attackCmd `cmd:"" hidden:"" help:"One attack. The command run calls it."`
	Burn   burnCmd   `cmd:"" hidden:"" help:"Keep processors busy, and attack nobody. The command run calls it."`
}

type runCmd struct {
	Each   time.Duration `default:"5s" help:"How long each attack lasts (${default})."`
	Only   []int         `help:"Numbers of the attacks to run, from 1 on; all otherwise." placeholder:"N,..."`
	Rate   float64       `default:"1000" help:"Events a second over the honest lanes (${default})."`
	Shared bool          `help:"Let clients and stack share all processors, and measure programs as busy that attack nobody beside it. Otherwise the clients have one of their own: Linux."`
	Bin    string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Keep   bool          `help:"Keep data and logs also when all is well."`
}

// client is what hostile clients have in common.
type client struct {
	Lasts time.Duration `required:"" help:"How long it lasts."`
}

type attackCmd struct {
	client
	Number  int    `required:"" help:"Which attack, from 1 on."`
	Address string `required:"" help:"The writer's gRPC port."`
}

type burnCmd struct {
	client
	Share float64 `required:"" help:"How many processors."`
}

func main() {
	const description = "Clients that mean no good, at a writer with honest lanes. `make hostile` calls it."
	os.Exit(cli.Main("hostile", description, &command{}))
}

// Run does it.
func (c *attackCmd) Run(ctx context.Context, _ cli.Streams) error {
	ctx, end := context.WithTimeout(ctx, c.Lasts)
	defer end()
	return hostile.Attack(ctx, c.Number, c.Address)
}

// Run does it.
func (c *burnCmd) Run(ctx context.Context, _ cli.Streams) error {
	ctx, end := context.WithTimeout(ctx, c.Lasts)
	defer end()
	hostile.Burn(ctx, c.Share)
	return nil
}

// Run does it.
func (c *runCmd) Run(ctx context.Context, std cli.Streams) (err error) {
	if c.Each < time.Second || c.Each > time.Minute || c.Rate < 100 || c.Rate > 20_000 {
		return errors.New("--each must be within 1s and 1m, --rate within 100 and 20000")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "waybill-hostile-")
	if err != nil {
		return err
	}
	defer func() { err = stack.Tidy(ctx, dir, c.Keep, err, std.Err) }()
	report, err := hostile.Run(ctx, hostile.Config{
		Dir: dir, Bin: c.Bin, Each: c.Each, Rate: c.Rate, Only: c.Only, Out: std.Out,
		Self: self, Shared: c.Shared,
	})
	if err != nil {
		return err
	}
	if report.Control > 0 {
		fmt.Fprintf(std.Out, "p99 %.0f ms before, %.0f ms beside programs as busy, %.0f ms during the attacks\n",
			1000*report.Before, 1000*report.Control, 1000*report.During)
	}
	fmt.Fprintln(std.Out, &report)
	if !report.OK() {
		return fmt.Errorf("the goals are a process that responds, less than %d MB, and less than %.0f times the p99",
			hostile.MostBytes>>20, hostile.MostTimes)
	}
	return nil
}
