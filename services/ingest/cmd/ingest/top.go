package main

import (
	"context"
	"slices"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/terminal"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

type topCmd struct {
	query
	Once   bool   `help:"Print the tables once. Exit status 1: one is stale; 2: wrong usage."`
	Output string `short:"o" enum:"table,json" default:"table" help:"With --once: table or json."`
}

// Help is shown below the flags.
func (topCmd) Help() string {
	return `Examples:
  ingest top                          # t tables, l lanes, f fleet, e events, d dead letters, p pause, m move, q quit
  ingest top --at 10.0.0.7:7080
  ingest top --once                   # exit status 1 when a table is stale
  ingest top --once -o json | jq '.tables[] | select(.state != "STATE_FRESH") | .reason'

Exit status: 0, with --once also no table is stale; 1 one is, or nobody responds; 2 wrong usage.`
}

// Run shows.
func (c *topCmd) Run(ctx context.Context, std cli.Streams) error {
	if !c.Once {
		return watch(ctx, &c.query)
	}
	r, err := request(ctx, &c.query, &adminv1.ListTablesRequest{Local: c.Local}, adminv1.AdminServiceClient.ListTables)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		if err := asJSON(std.Out, r); err != nil {
			return err
		}
	} else {
		showTables(std.Out, terminal.Width(std.Out), r)
	}
	if slices.ContainsFunc(r.GetTables(), stale) {
		return cli.ErrFailed
	}
	return nil
}

func stale(t *adminv1.Table) bool { return t.GetState() == adminv1.State_STATE_STALE }

type planCmd struct {
	query
	Output string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// Help is shown below the flags.
func (planCmd) Help() string {
	return `What each ingest carries at which writer, what would be fair, what moved and why, and how many
processes the load needs.

Examples:
  ingest plan
  ingest plan -o json | jq '.plans[].moves[0]'

Exit status: 0 shown, 1 nobody responds, 2 wrong usage.`
}

// Run shows.
func (c *planCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := request(ctx, &c.query, &adminv1.GetFleetRequest{Local: c.Local}, adminv1.AdminServiceClient.GetFleet)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return asJSON(std.Out, r)
	}
	showFleet(std.Out, terminal.Width(std.Out), r)
	return nil
}

type eventsCmd struct {
	query
	Topic     string `placeholder:"TOPIC" help:"Only of this topic."`
	Partition *int32 `placeholder:"N" help:"Only of this partition of the topic."`
	Filter    string `placeholder:"TEXT" help:"Only events that contain this."`
	Limit     int32  `default:"50" placeholder:"N" help:"At most so many, 1000 at most."`
	Output    string `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// Help is shown below the flags.
func (eventsCmd) Help() string {
	return `What happened in the fleet, the newest first: changes of state, moves, errors. Each process remembers its
last 2048.

Examples:
  ingest events
  ingest events --topic orders --partition 3
  ingest events --filter refused -o json | jq -r '.events[] | .time + " " + .kind'

Exit status: 0 shown, also where there are none, 1 nobody responds, 2 wrong usage.`
}

// Run shows.
func (c *eventsCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := request(ctx, &c.query, &adminv1.ListEventsRequest{
		Local: c.Local, Topic: c.Topic, Partition: c.Partition, Filter: c.Filter, Limit: c.Limit,
	}, adminv1.AdminServiceClient.ListEvents)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return asJSON(std.Out, r)
	}
	showEvents(std.Out, terminal.Width(std.Out), r)
	return nil
}
