// Command chaos runs Waybill under load while everything that can fail does, and proves that no event is lost or
// doubled.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/waybill-data/waybill/e2e/chaos"
	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/pkg/cli"
)

type command struct {
	Duration time.Duration `default:"5m" help:"How long load and disturbances last; start, drain and verification come on top."`
	Seed     uint64        `help:"What happens when is a function of it; 0 draws one."`
	Plan     bool          `help:"Print what would happen, and do nothing."`
	Rate     float64       `default:"300" help:"Delivery events a second, of about 4 KB; the other topics have a share. A minute at 300 takes about 200 MB of disk."`
	Bin      string        `default:"bin" help:"Folder of the binaries sandbox, writer and ingest." type:"path"`
	Keep     bool          `help:"Keep data and logs also when all is well."`
}

// Exit codes: 1 for a broken promise or a run that could not be made, 130 for an interrupt, as shells have it.
const interrupted = 130

func main() {
	const description = "Load, kills, pauses and faults, and then a look at every offset. `make chaos` calls it."
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, "chaos", description, &command{}, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr})
	if code == 1 && ctx.Err() != nil {
		code = interrupted
	}
	stop()
	os.Exit(code)
}

// Run does it, or prints what it would do.
func (c *command) Run(ctx context.Context, std cli.Streams) error {
	err := c.run(ctx)
	if err != nil && ctx.Err() != nil {
		fmt.Fprintln(std.Err, "\nchaos: interrupted; everything is stopped and removed")
		return cli.ErrFailed
	}
	return err
}

var errBroken = errors.New("NOT as the contracts promise, or dead letters differ: see above")

func (c *command) run(ctx context.Context) (err error) {
	if c.Duration < 10*time.Second || c.Rate <= 0 || c.Rate > 5000 {
		return fmt.Errorf("--duration must be 10s or more and --rate between 0 and 5000, got %v and %v", c.Duration,
			c.Rate)
	}
	for c.Seed == 0 {
		c.Seed = uint64(rand.Uint32())
	}
	if c.Plan {
		for _, d := range chaos.Plan(c.Seed, c.Duration) {
			fmt.Printf("%7.2fs  %s\n", d.At.Seconds(), d)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "waybill-chaos-")
	if err != nil {
		return err
	}
	defer func() { err = stack.Tidy(ctx, dir, c.Keep, err, os.Stderr) }()
	fmt.Printf("chaos for %v, seed %d; again with: make chaos DURATION=%v SEED=%d\n\n",
		c.Duration, c.Seed, c.Duration, c.Seed)
	report, err := chaos.Run(ctx, chaos.Config{
		Dir: dir, Bin: c.Bin, Seed: c.Seed, Duration: c.Duration, Rate: c.Rate, Out: os.Stdout,
	})
	if err != nil {
		return fmt.Errorf("%w\n  seed %d", err, c.Seed)
	}
	if err := report.Print(os.Stdout); err != nil {
		return err
	}
	if !report.OK() {
		return errBroken
	}
	return nil
}
