package main

import (
	"context"
	"io"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/writer"
)

type commands struct {
	Serve     service.Serve   `cmd:"" help:"Carry lanes until SIGTERM, then let them settle and close."`
	Check     service.Check   `cmd:"" help:"Check the configuration and everything it points to: credentials, dataset, permissions, the Storage Write API. Changes nothing."`
	Health    service.Health  `cmd:"" help:"Ask the writer that runs here how it is. Exit status 0: it takes lanes."`
	LiveCheck liveCheckCmd    `cmd:"" help:"Ask BigQuery, by experiments in a table made for them, whether it does what exactly once takes for granted."`
	Version   service.Version `cmd:"" help:"Print the version."`
}

var program = service.Program[writer.Config]{
	Name: "writer",
	Description: "writer takes the rows of Kafka partitions from ingest and appends them to BigQuery, each exactly " +
		"once.",
	Load:      writer.Load,
	LoadParts: writer.LoadParts,
	Process: func(c *writer.Config) service.Process {
		return service.Process{Memory: c.Memory, Log: c.Log, Admin: c.Admin, Access: c.Access}
	},
	Run:   writer.Run,
	Check: writer.Check,
}

// run parses the arguments, runs the command and returns the exit status: see cli.Run.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program.Main(ctx, &commands{}, args, cli.Streams{Out: stdout, Err: stderr})
}
