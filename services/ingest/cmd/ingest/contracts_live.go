package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/terminal"
	"github.com/waybill-data/waybill/services/ingest"
)

// sampled are the flags that bound how much of a topic is read.
type sampled struct {
	Limit   int           `default:"1000" placeholder:"N" help:"Read at most so many records of a topic, each partition its share (${default})."`
	Bytes   config.Bytes  `default:"64MiB" placeholder:"SIZE" help:"Read at most so many bytes of records (${default})."`
	Timeout time.Duration `default:"1m" help:"Read for at most so long (${default})."`
	Oldest  bool          `help:"Read the first records of each partition instead of the last ones."`
	Output  string        `short:"o" enum:"table,json" default:"table" help:"table, or json for machines (${default})."`
}

const (
	mostRecords = 1_000_000
	mostBytes   = 1 << 30
)

func (s *sampled) validate() error {
	switch {
	case s.Limit < 1 || s.Limit > mostRecords:
		return fmt.Errorf("--limit: write 1 to %s", thousands(mostRecords))
	case s.Bytes < 1 || s.Bytes > mostBytes:
		return errors.New("--bytes: write 1 to 1GiB")
	case s.Timeout <= 0:
		return errors.New("--timeout: write a time such as 30s")
	}
	return nil
}

func (s *sampled) bounds() ingest.Bounds {
	return ingest.Bounds{Records: s.Limit, Bytes: int64(s.Bytes), Time: s.Timeout, Oldest: s.Oldest}
}

// progress says every now and then on standard error how much of a topic has been read.
func progress(std cli.Streams, topic string) func(n, most int) {
	said := time.Now()
	return func(n, most int) {
		if now := time.Now(); now.Sub(said) >= showEvery {
			said = now
			fmt.Fprintf(std.Err, "reading %s: %s of %s records\n", clean(topic), thousands(n), thousands(most))
		}
	}
}

// said is what was read of a topic, in a line.
func (s *sampled) said(topic string, read ingest.Sampled) string {
	which := "the last ones"
	if s.Oldest {
		which = "the first ones"
	}
	var line string
	switch {
	case int64(read.Records) >= read.Offsets:
		line = fmt.Sprintf("%s: all %s of %s", clean(topic), plural(read.Records, "record", "records"),
			plural(read.Partitions, "partition", "partitions"))
	default:
		line = fmt.Sprintf("%s: %s of about %s, %s of %s", clean(topic), plural(read.Records, "record", "records"),
			thousands(int(read.Offsets)), which, plural(read.Partitions, "partition", "partitions"))
	}
	switch read.Ended {
	case "bytes":
		line += fmt.Sprintf("; cut short at %s (--bytes)", s.Bytes)
	case "time":
		line += fmt.Sprintf("; cut short after %s (--timeout)", s.Timeout)
	}
	return line
}

// load reads the configuration, with the contracts of --entries in place of its own.
func (c *contractsTestCmd) load() (ingest.Config, error) {
	if c.Entries == "" {
		return ingest.Load(c.Config)
	}
	return ingest.LoadWithEntries(c.Config, c.Entries)
}

// live tries the records of a topic.
func (c *contractsTestCmd) live(ctx context.Context, config ingest.Config, std cli.Streams) error {
	contracts, err := ingest.OpenContracts(ctx, config)
	if err != nil {
		return err
	}
	defer contracts.Close()
	trial, err := contracts.Try(ctx, c.Topic, c.bounds(), progress(std, c.Topic))
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = printJSON(std.Out, newTrialLine(trial))
	} else {
		c.print(std.Out, trial)
	}
	if err == nil && trial.Letters > 0 {
		return cli.ErrFailed
	}
	return err
}

func printJSON(out io.Writer, what any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(what)
}

// print tabulates what would become of the records.
func (c *contractsTestCmd) print(out io.Writer, t *ingest.Trial) {
	width := terminal.Width(out)
	fmt.Fprintln(out, c.said(t.Topic, t.Sampled))
	if len(t.RowsBy) > 0 {
		fmt.Fprintln(out, "\nrows")
		rows := newTable(out, width, []bool{true, true, true}, "rows", "bytes", "null payload", "table", "contract",
			"type")
		for _, k := range t.RowsBy {
			rows.add(thousands(k.Rows), thousands(int(k.Bytes)), thousands(k.Null), cmp.Or(k.Table, "(others)"),
				dash(k.Contract), dash(clean(k.Type)))
		}
		rows.flush()
	}
	if len(t.LettersBy) > 0 {
		fmt.Fprintln(out, "\ndead letters")
		letters := newTable(out, width, []bool{true, true}, "letters", "first at", "reason", "contract", "type",
			"field", "error")
		letters.folds = true
		for _, k := range t.LettersBy {
			letters.add(thousands(k.Letters), fmt.Sprintf("%d/%d", k.Partition, k.Offset), cmp.Or(k.Reason, "(others)"),
				dash(k.Contract),
				dash(clean(k.Type)), dash(cutHead(clean(k.Field), widestField)), clean(k.Err))
		}
		letters.flush()
	}
	fmt.Fprintf(out, "\n%s, %s, %s ignored, %s\n", plural(t.Rows, "row", "rows"),
		plural(t.Letters, "dead letter", "dead letters"),
		thousands(t.Ignored), plural(t.Tombstones, "tombstone", "tombstones"))
	if t.Grown {
		fmt.Fprintln(out, "a contract has gained columns on the way, as it would in use: see `ingest contracts diff`")
	}
}

// trialLine is a trial as JSON.
type trialLine struct {
	Topic      string           `json:"topic"`
	Sampled    sampledLine      `json:"sampled"`
	Rows       int              `json:"rows"`
	Letters    int              `json:"dead_letters"`
	Ignored    int              `json:"ignored"`
	Tombstones int              `json:"tombstones"`
	Grown      bool             `json:"grown"`
	RowsBy     []rowKindLine    `json:"rows_by"`
	LettersBy  []letterKindLine `json:"dead_letters_by"`
}

type sampledLine struct {
	Partitions int   `json:"partitions"`
	Records    int   `json:"records"`
	Bytes      int64 `json:"bytes"`
	Offsets    int64 `json:"offsets"`
	// Ended is bytes or time where that bound ended the sample early.
	Ended string `json:"ended,omitempty"`
}

type rowKindLine struct {
	Table    string `json:"table"`
	Contract string `json:"contract"`
	Type     string `json:"type"`
	Rows     int    `json:"rows"`
	Bytes    int64  `json:"bytes"`
	Null     int    `json:"null_payloads"`
}

type letterKindLine struct {
	Reason    string `json:"reason"`
	Contract  string `json:"contract"`
	Type      string `json:"type"`
	Field     string `json:"field"`
	Letters   int    `json:"dead_letters"`
	Err       string `json:"error"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

func newTrialLine(t *ingest.Trial) trialLine {
	line := trialLine{
		Topic: t.Topic, Sampled: sampledLine(t.Sampled), Rows: t.Rows, Letters: t.Letters, Ignored: t.Ignored,
		Tombstones: t.Tombstones, Grown: t.Grown, RowsBy: []rowKindLine{}, LettersBy: []letterKindLine{},
	}
	for _, k := range t.RowsBy {
		line.RowsBy = append(line.RowsBy, rowKindLine(k))
	}
	for _, k := range t.LettersBy {
		line.LettersBy = append(line.LettersBy, letterKindLine{
			k.Reason, k.Contract, k.Type, k.Field, k.Letters, k.Err, k.Partition, k.Offset,
		})
	}
	return line
}
