package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/terminal"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

type moveCmd struct {
	acting
	Topic     string `required:"" placeholder:"TOPIC" help:"Topic of the lane."`
	Partition int32  `required:"" placeholder:"N" help:"Partition of the lane."`
	To        string `required:"" placeholder:"WRITER" help:"Name or address of the writer that it goes to."`
}

// Help is shown below the flags.
func (moveCmd) Help() string {
	return `The lane settles what it has sent and is opened at the writer. It is no pin: what is even decides later
moves, a minute later at the earliest. ` + "`ingest plan`" + ` shows how it went.

Examples:
  ingest move --topic orders --partition 3 --to writer-2
  ingest move --topic orders --partition 3 --to writer-2 --validate -o json

Exit status: 0 done, or it was there; 1 refused, with nothing changed, or nobody responds; 2 wrong usage.`
}

// Run moves.
func (c *moveCmd) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.MoveLaneResponse, error) {
		return s.MoveLane(ctx, &adminv1.MoveLaneRequest{
			Act: c.act(), Topic: c.Topic, Partition: c.Partition,
			Writer: c.To,
		})
	}, nil)
}

type drainCmd struct {
	acting
	Writer string        `required:"" placeholder:"WRITER" help:"Name or address of the writer."`
	For    time.Duration `default:"1h" placeholder:"1h" help:"How long it has no lanes: 1s to 24h (${default})."`
	End    bool          `help:"Let it take lanes again."`
}

// Help is shown below the flags.
func (drainCmd) Help() string {
	return `The lanes of all ingests leave the writer, a few at a time, and none is opened there until the time is over
or it is started again. It goes on serving. Refused while no other writer takes lanes.

Examples:
  ingest drain --writer writer-2 --for 30m --reason "its node is replaced"
  ingest drain --writer writer-2 --end

Exit status: 0 done; 1 refused, with nothing changed, or it does not respond; 2 wrong usage.`
}

// Run drains.
func (c *drainCmd) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.DrainWriterResponse, error) {
		return s.DrainWriter(ctx, &adminv1.DrainWriterRequest{
			Act: c.act(), Writer: c.Writer, Length: durationpb.New(c.For), End: c.End,
		})
	}, nil)
}

type spreadCmd struct {
	acting
}

// Help is shown below the flags.
func (spreadCmd) Help() string {
	return `Lanes of all ingests move until they are even within a lane, also where they are left alone otherwise, since
a small difference is not worth a move.

Examples:
  ingest spread
  ingest spread --validate            # the plans as they are

Exit status: 0 done; 1 refused, with nothing changed, or nobody responds; 2 wrong usage.`
}

// Run spreads.
func (c *spreadCmd) Run(ctx context.Context, std cli.Streams) error {
	return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.SpreadResponse, error) {
		return s.Spread(ctx, &adminv1.SpreadRequest{Act: c.act()})
	}, func(out io.Writer, r *adminv1.SpreadResponse) {
		for _, p := range r.GetPlans() {
			showPlan(out, terminal.Width(out), p)
		}
		fmt.Fprintln(out)
	})
}
