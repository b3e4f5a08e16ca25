package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/internal/table"
	"github.com/waybill-data/waybill/sandbox/produce"
)

type produceCommand struct {
	connection
	Events        int64   `default:"20000" help:"How many events."`
	Endless       bool    `help:"Go on until interrupted."`
	Rate          float64 `help:"Events a second; without it, flat out."`
	Topic         string  `default:"delivery_events_v6_topic" help:"Topic to fill. sms_physical_stock_updated_topic gets stock events, parcels gets parcels, parcel_scans_json and parcel_scans_proto small scans, every other one delivery events."`
	SchemaVersion int     `placeholder:"N" help:"Write parcels with version N of their schema, 1 to 3 (default: the newest)."`
	Partitions    int     `default:"8" help:"Partitions of the topic, if it must be created."`
	Size          int     `default:"9000" help:"Mean size of a delivery event in bytes of Avro."`
	Bad           bool    `default:"true" negatable:"" help:"Mix in a few records that must become dead letters: see --truncated and --unknown."`
	Truncated     int     `default:"2000" placeholder:"N" help:"One in N records is cut off (default: ${default})."`
	Unknown       int     `default:"5000" placeholder:"N" help:"One in N records has a type that no contract knows (default: ${default})."`
	Container     int     `default:"500" placeholder:"N" help:"One in N records is an Avro object container file, as old producers send (default: ${default}; 0: none)."`
	Seed          uint64  `default:"1" help:"The same seed gives the same events."`
	First         uint64  `help:"Index of the first event: go on where an earlier run with this seed ended."`
	Codec         string  `default:"none" enum:"none,lz4,zstd" help:"Compression of the batches: none, lz4 or zstd."`
	JSON          bool    `name:"json" help:"Print the summary as one line of JSON, and nothing else to standard output."`
}

// Help is shown below the flags.
func (produceCommand) Help() string {
	return `Examples:
  sandbox produce                              # 20,000 delivery events of about 9 KB, flat out
  sandbox produce --endless --rate 500         # until Ctrl-C
  sandbox produce --events 1000 --no-bad       # none of them is a dead letter
  sandbox produce --topic sms_physical_stock_updated_topic --events 100000
  sandbox produce --topic parcels --schema-version 2   # Avro behind a schema id of the registry`
}

// Run produces.
func (c produceCommand) Run(ctx context.Context, s streams) error {
	endpoints, err := c.endpoints(ctx)
	if err != nil {
		return err
	}
	if c.Endless {
		c.Events = 0
	} else if c.Events <= 0 {
		return fmt.Errorf("--events must be positive; for a run without end use --endless")
	}
	if c.Partitions <= 0 || c.Rate < 0 {
		return errors.New("--partitions must be positive, and --rate not negative")
	}
	progress := newProgress(s.err)
	summary, err := produce.Run(ctx, produce.Config{
		Seeds: endpoints.Kafka, Topic: c.Topic, Partitions: c.Partitions, Registry: endpoints.Registry,
		SchemaVersion: c.SchemaVersion, Events: c.Events, First: c.First, Rate: c.Rate, Codec: c.Codec,
		Generator: events.Config{
			Seed: c.Seed, Size: c.Size, ContainerEvery: orNone(c.Container, true),
			TruncatedEvery: orNone(c.Truncated, c.Bad), UnknownTypeEvery: orNone(c.Unknown, c.Bad),
		},
		Progress: func(now produce.Summary) { progress.show(c.line(now)) },
	})
	progress.end()
	if summary.Events > 0 || err == nil {
		if printErr := c.print(s.out, summary); err == nil {
			err = printErr
		}
	}
	return err
}

// orNone is the generator's way to say that none of a kind is wanted.
func orNone(every int, wanted bool) int {
	if !wanted || every <= 0 {
		return -1
	}
	return every
}

func (c produceCommand) line(now produce.Summary) string {
	of := ""
	if c.Events > 0 {
		of = fmt.Sprintf(" of %s (%d%%)", table.Count(c.Events), now.Events*100/c.Events)
	}
	return fmt.Sprintf("produced %s%s  %s events/s  %.1f MB/s  %.0f s",
		table.Count(now.Events), of, table.Count(int64(now.EventsPerSecond)), now.MBPerSecond, now.Seconds)
}

func (c produceCommand) print(w io.Writer, summary produce.Summary) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(summary)
	}
	_, err := fmt.Fprintf(w, "produced %s (%.1f MB) to %s in %.1f s: %s events/s, %.1f MB/s; "+
		"%d object containers, %d truncated, %d of an unknown type; seed %d, next --first %d\n",
		table.Of(summary.Events, "event"), float64(summary.Bytes)/1e6, summary.Topic, summary.Seconds,
		table.Count(int64(summary.EventsPerSecond)), summary.MBPerSecond,
		summary.Containers, summary.Truncated, summary.UnknownTypes, summary.Seed, summary.First+uint64(summary.Events))
	return err
}

// progress shows how far a command is: on a terminal one line that is drawn again, elsewhere a plain line every few
// seconds.
type progress struct {
	w        io.Writer
	terminal bool
	last     time.Time
}

const plainEvery = 5 * time.Second

func newProgress(w io.Writer) *progress {
	file, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && isatty.IsTerminal(file.Fd()), last: time.Now()}
}

func (p *progress) show(line string) {
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	if now := time.Now(); now.Sub(p.last) >= plainEvery {
		p.last = now
		fmt.Fprintln(p.w, line)
	}
}

func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
