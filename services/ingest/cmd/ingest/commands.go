package main

import (
	"context"
	"io"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/services/ingest"
)

type commands struct {
	Serve       service.Serve   `cmd:"" help:"Carry partitions until SIGTERM, then drain and leave the group."`
	Check       service.Check   `cmd:"" help:"Check the configuration and everything it points to: contracts, brokers, topics, group, writers. Changes nothing."`
	Health      service.Health  `cmd:"" help:"Ask the ingest that runs here how it is. Exit status 0: it serves."`
	Top         topCmd          `cmd:"" help:"Watch which table is stale and why, in the terminal, or print it once."`
	Plan        planCmd         `cmd:"" help:"Show what is carried where, what is fair, what moved and why, and how many processes the load needs."`
	Leave       leaveCmd        `cmd:"" help:"Take static members that are gone for good out of the group, so that the others get their partitions at once."`
	Events      eventsCmd       `cmd:"" help:"Show what happened in the fleet: changes of state, moves, errors."`
	Pause       pauseCmd        `cmd:"" help:"Stop lanes of a topic or a table for a time, or list what is paused."`
	Resume      resumeCmd       `cmd:"" help:"End pauses before their time."`
	Move        moveCmd         `cmd:"" help:"Send a lane to another writer."`
	Drain       drainCmd        `cmd:"" help:"Have all lanes leave a writer for a time."`
	Spread      spreadCmd       `cmd:"" help:"Move lanes until they are even."`
	Reload      reloadCmd       `cmd:"" help:"Have all ingests read their contracts again while they run."`
	Skip        skipCmd         `cmd:"" help:"Have one record become a dead letter in place of a row."`
	Replay      replayTopicCmd  `cmd:"" help:"Read a part of a topic once more, into other tables, beside the group."`
	Replays     replaysCmd      `cmd:"" help:"Show the replays of the fleet and how far they are, or stop one that an ingest runs."`
	Tap         tapCmd          `cmd:"" help:"Show records as they pass, by a filter: as they come, as rows, as BigQuery refuses them, as dead letters."`
	Explain     explainCmd      `cmd:"" help:"Follow one offset: its contract, row, batch and write stream; its dead letter; or where it waits."`
	DeadLetters deadLettersCmd  `cmd:"" help:"List, show and replay the records that did not become rows."`
	Contracts   contractsCmd    `cmd:"" help:"List contracts, try them on sample records, and compare them with the tables."`
	Version     service.Version `cmd:"" help:"Print the version."`
}

var program = service.Program[ingest.Config]{
	Name: "ingest",
	Description: "ingest consumes Kafka topics as a member of a group and hands their records to a writer as rows, " +
		"each exactly once.",
	Load:      ingest.Load,
	LoadParts: ingest.LoadParts,
	Process: func(c *ingest.Config) service.Process {
		return service.Process{Memory: c.Memory, Log: c.Log, Admin: c.Admin, Access: c.Access}
	},
	Run:   ingest.Run,
	Check: ingest.Check,
}

// run parses the arguments, runs the command and returns the exit status: see cli.Run.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program.Main(ctx, &commands{}, args, cli.Streams{Out: stdout, Err: stderr})
}
