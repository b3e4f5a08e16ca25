package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/terminal"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

type replaysCmd struct {
	acting
	Stop string `placeholder:"NAME" help:"Stop the replay of this name, whichever ingest runs it."`
}

// Help is shown below the flags.
func (replaysCmd) Help() string {
	return `Replays of topics, and of dead letters, that an ingest runs or has run since it started, and what Kafka
keeps of those that nobody runs: the same request goes on with them. A replay that is run by a command is stopped where
it runs.

Examples:
  ingest replays
  ingest replays -o json
  ingest replays --stop fix-1 --reason "the table is wrong"

Exit status: 0 shown, or stopped, or it had ended; 1 refused, with nothing changed, or nobody responds; 2 wrong usage.`
}

// Validate is called by kong.
func (c *replaysCmd) Validate() error {
	if c.Stop == "" && (c.acting.Validate || c.Reason != "" || c.RequestID != "") {
		return errors.New("--validate, --reason and --request-id are for --stop NAME")
	}
	return nil
}

// Run lists, or stops.
func (c *replaysCmd) Run(ctx context.Context, std cli.Streams) error {
	if c.Stop != "" {
		return do(ctx, &c.acting, std, func(ctx context.Context, s steers) (*adminv1.StopReplayResponse, error) {
			return s.StopReplay(ctx, &adminv1.StopReplayRequest{Act: c.act(), Name: c.Stop})
		}, nil)
	}
	r, err := request(ctx, &query{File: c.File, At: c.At}, &adminv1.ListReplaysRequest{},
		adminv1.AdminServiceClient.ListReplays)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return asJSON(std.Out, r)
	}
	showReplays(std.Out, terminal.Width(std.Out), r)
	return nil
}

// showReplays prints replays.
func showReplays(out io.Writer, width int, r *adminv1.ListReplaysResponse) {
	if r.GetProblem() != "" {
		say(out, width, "What Kafka keeps of replays is not known: "+r.GetProblem()+"\n")
	}
	if len(r.GetReplays()) == 0 {
		fmt.Fprintln(out, "Nothing is replayed, and nothing was.")
		return
	}
	t := newTable(out, width, []bool{false, false, false, false, true, true, true}, "replay", "state", "of", "into",
		"settled", "records", "left", "by")
	t.folds = true
	for _, one := range r.GetReplays() {
		of := strings.Join(one.GetTopics(), ", ")
		if one.GetDeadLetters() {
			of = "dead letters of " + orAll(of)
		}
		settled := thousands(int(one.GetSettled()))
		if one.GetTotal() > 0 {
			settled = fmt.Sprintf("%d%% of %s", one.GetSettled()*100/one.GetTotal(), thousands(int(one.GetTotal())))
		}
		records := "–"
		if one.GetProcess() != "" {
			records = thousands(int(one.GetRows()))
		}
		t.add(one.GetName(), one.GetState(), of, intoTables(one), settled, records, absent(one.Left),
			oneLine(one.GetBy()))
	}
	t.flush()
	for _, one := range r.GetReplays() {
		name := one.GetName()
		if one.GetError() != "" {
			say(out, width, fmt.Sprintf("%s: %s\n", name, oneLine(one.GetError())))
		}
		if one.GetWaits() != "" {
			what := "waits for "
			if one.GetProcess() == "" {
				what = "is run by "
			}
			say(out, width, fmt.Sprintf("%s %s%s\n", name, what, oneLine(one.GetWaits())))
		}
		if one.GetState() == fleetview.Interrupted {
			say(out, width, name+": nobody runs it; the same request goes on with it\n")
		}
		for _, f := range one.GetFaults() {
			say(out, width, fmt.Sprintf("%s: %s became none: %s, first %s\n", name,
				plural(int(f.GetCount()), "record", "records"), f.GetReason(), oneLine(f.GetFirst())))
		}
	}
}

func orAll(topics string) string {
	if topics == "" {
		return "all topics"
	}
	return topics
}

// intoTables are the tables that rows go to.
func intoTables(r *adminv1.Replay) string {
	if r.GetDeadLetters() {
		return "their topics"
	}
	return strings.Join(slices.Sorted(maps.Values(r.GetTables())), ", ")
}
