package main

import (
	"context"
	"io"
	"time"

	"github.com/waybill-data/waybill/e2e/walk"
)

// walked are the packages and files that exactly-once rests on: how rows are counted, ordered, appended, settled and
// committed.
var walked = []walk.Package{
	{Path: "services/writer/internal/checkpoint"},
	{Path: writerLane},
	{
		Path: writerSink, Files: []string{
			"queue.go", "verdict.go", "pieces.go", "appender.go", "fault.go", "default.go", "streams.go",
		},
	},
	{Path: ingestLane},
	{
		Path: source, Files: []string{
			"commit.go", "generation.go", "membership.go", "claim.go", "session.go", "follow.go", "fetcher.go",
		},
	},
}

// walk mutates every condition of these packages and runs their own tests.
func (c *command) walk(ctx context.Context, out io.Writer) error {
	return walk.Walk{
		Packages: walked, Only: c.Package, Files: c.File, Parallel: c.Parallel, Limit: 8 * time.Second, Goal: 0.95,
	}.Run(ctx, out)
}
