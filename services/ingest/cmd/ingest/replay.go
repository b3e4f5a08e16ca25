package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/steering"
	"github.com/waybill-data/waybill/pkg/terminal"
	"github.com/waybill-data/waybill/services/ingest"
)

type replayTopicCmd struct {
	service.File
	Name      string       `required:"" placeholder:"NAME" help:"Tells this replay from others; with the same name it goes on where it was."`
	Topic     string       `required:"" placeholder:"TOPIC" help:"What to replay."`
	Partition []int32      `placeholder:"N,..." help:"Only these partitions."`
	From      mark         `placeholder:"WHERE" help:"Where to begin: a time, how long ago, or an offset as @125 (default: the first record)."`
	To        mark         `placeholder:"WHERE" help:"Where to end; what is there is not replayed (default: the end of now)."`
	Into      []string     `placeholder:"TABLE" help:"Where rows go: a table, or OLD=NEW for each table that the topic feeds."`
	Suffix    string       `placeholder:"TEXT" help:"Rows of each table go to the table of its name with this behind it."`
	Rate      config.Bytes `placeholder:"BYTES" help:"Read at most so much a second, for example 20MiB."`
	Letters   bool         `help:"Write records that become no row to the dead-letter topic. Without, they are counted."`
	DryRun    bool         `name:"validate" help:"Say what would be replayed, and change nothing."`
	Output    string       `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// Help is shown below the flags.
func (replayTopicCmd) Help() string {
	return `Reads a part of a topic once more, into other tables, each record exactly once, beside the ingests that
carry the topic: as a consumer group of its own, GROUP-replay-NAME. It ends by itself. Interrupt it, or let it die, and
start it again with the same name: it goes on where it was, and nothing is there twice. Several processes with the same
name share the partitions. Tables that do not fit are refused with all differences; those that are not there are
created.

Examples:
  ingest replay --name fix-1 --topic orders --from 2026-11-28 --to 2026-11-29 --into orders_fixed --validate
  ingest replay --name fix-1 --topic orders --from 2026-11-28 --to 2026-11-29 --into orders_fixed --rate 20MiB
  ingest replay --name all --topic orders --partition 3 --from @0 --to @1000 --suffix _replay -o json
  ingest replays                      # how far each is, and those that an ingest runs

A process that was killed keeps its partitions for 10 s at most (kafka.session_timeout, if that is less): whoever goes
on waits for that long.

Exit status: 0 all is settled, also where records became no row; 1 refused, or not finished; 2 wrong usage.`
}

// mark is where a replay begins or ends.
type mark struct{ ingest.Mark }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *mark) UnmarshalText(text []byte) (err error) {
	m.Offset, m.Time, err = steering.Mark(string(text))
	return err
}

// into reads --into.
func (c *replayTopicCmd) into() (map[string]string, error) {
	out, err := steering.Into(c.Into)
	if err != nil {
		return nil, fmt.Errorf("--into: %w", err)
	}
	return out, nil
}

// Validate is called by kong.
func (c *replayTopicCmd) Validate() error {
	_, err := c.into()
	switch {
	case err != nil:
		return err
	case len(c.Into) == 0 && c.Suffix == "":
		return errors.New("where do rows go? Write --into TABLE, or --suffix _replay")
	case c.Rate < 0:
		return errors.New("--rate: is negative")
	}
	return nil
}

// Run replays.
func (c *replayTopicCmd) Run(ctx context.Context, std cli.Streams) error {
	settings, err := ingest.Load(c.Config)
	if err != nil {
		return err
	}
	into, err := c.into()
	if err != nil {
		return err
	}
	r, err := ingest.NewReplayer(ctx, settings, ingest.Replay{
		Name: c.Name, Topic: c.Topic, Partitions: c.Partition, From: c.From.Mark, To: c.To.Mark, Into: into,
		Suffix: c.Suffix, Rate: int64(c.Rate), Letters: c.Letters,
	}, service.Env{})
	if err != nil {
		return err
	}
	defer r.Close()
	if c.Output == "text" {
		c.plan(std.Out, &r.Plan)
	}
	if c.DryRun {
		if c.Output == "json" {
			return c.json(std.Out, &r.Plan, nil)
		}
		return nil
	}
	shown := time.Now()
	last, err := r.Run(ctx, func(now *ingest.Replayed) {
		if time.Since(shown) >= showEvery {
			shown = time.Now()
			fmt.Fprintln(std.Err, progressOf(now))
		}
	})
	if last != nil {
		if c.Output == "json" {
			err = errors.Join(err, c.json(std.Out, &r.Plan, last))
		} else {
			c.ended(std.Out, last)
		}
	}
	switch {
	case err != nil:
		return err
	case !last.Done:
		return fmt.Errorf("not finished: start it again with --name %s, and it goes on where it was", c.Name)
	}
	return nil
}

// plan shows what is replayed.
func (c *replayTopicCmd) plan(out io.Writer, p *ingest.Plan) {
	for _, old := range slices.Sorted(maps.Keys(p.Tables)) {
		fmt.Fprintf(out, "Rows of %s go to %s.\n", old, p.Tables[old])
	}
	t := newTable(out, terminal.Width(out), nil, "partition", "from", "to", "offsets", "settled")
	for _, n := range slices.Sorted(maps.Keys(p.Ranges)) {
		settled := ""
		if at, ok := p.Settled[n]; ok {
			settled = at.UTC().Format(time.RFC3339)
		}
		of := p.Ranges[n]
		t.add(fmt.Sprintf("%s/%d", c.Topic, n), strconv.FormatInt(of.From, 10), strconv.FormatInt(of.To, 10),
			thousands(int(of.To-of.From)), settled)
	}
	t.flush()
	for _, remark := range p.Remarks {
		fmt.Fprintf(out, "Note: %s.\n", remark)
	}
	if !p.Begun.IsZero() {
		fmt.Fprintf(out, "It was begun at %s.\n", p.Begun.UTC().Format(time.RFC3339))
	}
}

// progressOf is how far a replay is, in a line.
func progressOf(r *ingest.Replayed) string {
	text := fmt.Sprintf("%d%%: %s of %s offsets, %s rows", r.Offsets*100/max(r.Total, 1), thousands(int(r.Offsets)),
		thousands(int(r.Total)), thousands(int(r.Rows)))
	if r.Left > 0 {
		text += fmt.Sprintf(", about %s left", r.Left.Round(time.Second))
	}
	if r.Waits != "" {
		text += "; waits for " + clean(r.Waits)
	}
	return text
}

// ended shows what has become of it.
func (c *replayTopicCmd) ended(out io.Writer, r *ingest.Replayed) {
	for _, reason := range slices.Sorted(maps.Keys(r.BadRecords)) {
		fmt.Fprintf(out, "%s became no row: %s\n    first %s\n", plural(r.BadRecords[reason], "record", "records"),
			reason, clean(r.First[reason]))
	}
	fmt.Fprintf(out, "%s of %s offsets are settled; this process sent %s.\n", thousands(int(r.Offsets)),
		thousands(int(r.Total)), plural(int(r.Rows), "row", "rows"))
}

// json prints the plan, and how far it is.
func (c *replayTopicCmd) json(out io.Writer, p *ingest.Plan, r *ingest.Replayed) error {
	return cli.JSON(out, struct {
		Group   string              `json:"group"`
		Tables  map[string]string   `json:"tables"`
		Ranges  any                 `json:"ranges"`
		Remarks []string            `json:"remarks"`
		Settled map[int32]time.Time `json:"settled"`
		Now     *ingest.Replayed    `json:"now,omitempty"`
	}{p.Group, p.Tables, p.Ranges, p.Remarks, p.Settled, r})
}
