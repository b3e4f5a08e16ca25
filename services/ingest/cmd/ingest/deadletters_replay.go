package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

type replayCmd struct {
	chosen
	DryRun    bool   `help:"Say what would be replayed, and produce nothing."`
	Check     bool   `default:"true" negatable:"" help:"Try the contract first and skip records that would only become dead letters again (on)."`
	Timestamp string `enum:"original,now" default:"original" help:"The records' timestamps: original, or now (${default})."`
	Output    string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// Help is shown below the flags.
func (replayCmd) Help() string {
	return `Each record goes to its own topic and partition once, with its own key, value and headers, and a header
waybill-replay-of. Its letter is marked in the same Kafka transaction: run it again whenever it was interrupted. Of
two at a time the younger goes on.

Examples:
  ingest dead-letters replay --all --dry-run
  ingest dead-letters replay --contract order --since 2026-01-31
  ingest dead-letters replay orders/3/125 orders/3/127
  ingest dead-letters replay --all --dry-run -o json

Exit status: 0 all that were chosen are replayed, 1 some are not, 2 wrong usage.`
}

// Validate is called by kong.
func (c *replayCmd) Validate() error {
	if err := c.chosen.Validate(); err != nil {
		return err
	}
	if !c.any() {
		return errors.New("which letters? write places, choose with flags, or --all")
	}
	return nil
}

// Run replays.
func (c *replayCmd) Run(ctx context.Context, std cli.Streams) error {
	letters, selection, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	defer letters.Close()
	shown := time.Now()
	result, err := letters.Replay(ctx, selection, deadletter.ReplayOptions{
		DryRun: c.DryRun, Check: c.Check, Now: c.Timestamp == "now", Limit: c.Limit,
		Progress: func(r deadletter.Replayed) {
			if now := time.Now(); now.Sub(shown) >= showEvery {
				shown = now
				fmt.Fprintf(std.Err, "%s replayed, %s before, %s skipped so far\n", thousands(r.Produced),
					thousands(r.Already), thousands(r.NotReplayed()))
			}
		},
		Retry: func(err error) { fmt.Fprintf(std.Err, "%v; trying again, nothing is repeated\n", err) },
	})
	if c.Output == "json" {
		if wrong := cli.JSON(std.Out, replayedLine(&result, c.DryRun, err == nil)); wrong != nil {
			return wrong
		}
	} else {
		c.print(std, result, err != nil)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, "what was replayed is marked: run the command again for the rest")
	}
	if result.NotReplayed() > 0 {
		return cli.ErrFailed
	}
	return nil
}

// lettersLine is a replay of dead letters as JSON.
type lettersLine struct {
	DryRun   bool          `json:"dry_run"`
	Finished bool          `json:"finished"`
	Selected int           `json:"selected"`
	Produced int           `json:"produced"`
	Already  int           `json:"already"`
	More     bool          `json:"more"`
	Skipped  []skippedLine `json:"skipped"`
}

type skippedLine struct {
	Cause  string `json:"cause"`
	Remedy string `json:"remedy"`
	Count  int    `json:"count"`
	First  string `json:"first"`
	Detail string `json:"detail"`
}

func replayedLine(r *deadletter.Replayed, dry, finished bool) lettersLine {
	out := lettersLine{
		DryRun: dry, Finished: finished, Selected: r.Selected, Produced: r.Produced, Already: r.Already, More: r.More,
		Skipped: []skippedLine{},
	}
	for _, s := range r.Skipped {
		out.Skipped = append(out.Skipped, skippedLine{s.Cause, s.Remedy, s.Count, s.First.String(), s.Detail})
	}
	return out
}

func (c *replayCmd) print(std cli.Streams, r deadletter.Replayed, broken bool) {
	for _, s := range r.Skipped {
		fmt.Fprintf(std.Out, "%s skipped: %s\n", plural(s.Count, "letter", "letters"), s.Cause)
		fmt.Fprintf(std.Out, "    first %s: %s\n    -> %s\n", s.First, clean(s.Detail), s.Remedy)
	}
	verb := "replayed"
	if c.DryRun {
		verb = "would replay"
	}
	fmt.Fprintf(std.Out, "%s %s; %s already replayed, %s skipped", verb, plural(r.Produced, "record", "records"),
		thousands(r.Already), thousands(r.NotReplayed()))
	switch {
	case broken:
		fmt.Fprint(std.Out, "; not finished")
	case r.More:
		fmt.Fprintf(std.Out, "; stopped at --limit=%d, there are more", c.Limit)
	case r.Selected == 0:
		fmt.Fprint(std.Out, ": no dead letter is of this choice")
	}
	fmt.Fprintln(std.Out)
}
