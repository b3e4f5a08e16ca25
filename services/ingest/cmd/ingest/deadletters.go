package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/steering"
	"github.com/waybill-data/waybill/services/ingest"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

type deadLettersCmd struct {
	List   listCmd   `cmd:"" help:"List dead letters, and how many there are of each kind."`
	Show   showCmd   `cmd:"" help:"Show everything of a dead letter, and the payload around the byte at fault."`
	Replay replayCmd `cmd:"" help:"Produce the records of dead letters again, each once."`
}

// chosen are the flags that say which letters are meant.
type chosen struct {
	service.File
	Topic     []string            `placeholder:"NAME" help:"Topics, by their own names or by those of their dead-letter topics (default: all that have a contract)."`
	Reason    []string            `placeholder:"WORD" help:"Why: undecodable, unknown_type, refused, skipped."`
	Contract  []string            `placeholder:"NAME" help:"The contract that the record was read by."`
	Type      []string            `placeholder:"NAME" help:"What the record says it is; a * at the end stands for anything."`
	Partition []int32             `placeholder:"N" help:"Partitions of the records."`
	Offset    *deadletter.Offsets `placeholder:"A..B" help:"Offsets of the records, both ends included: A, A.., ..B or A..B."`
	Since     *moment             `placeholder:"TIME" help:"Letters written from then on: 2026-01-31, 2026-01-31T12:00:00Z, or 2h, 7d ago."`
	Until     *moment             `placeholder:"TIME" help:"Letters written before then."`
	Limit     int                 `placeholder:"N" xor:"amount" help:"At most so many."`
	All       bool                `xor:"amount" help:"All that the other flags leave."`
	Places    []string            `arg:"" optional:"" name:"place" help:"Places of the records: topic/partition/offset, or partition/offset with one --topic."`
}

// Validate is called by kong.
func (c *chosen) Validate() error {
	if c.Limit < 0 {
		return errors.New("--limit: write a positive number")
	}
	for _, r := range c.Reason {
		if !slices.Contains(reasons, r) {
			return fmt.Errorf("--reason: there is no reason %q: choose %s", r, strings.Join(reasons, ", "))
		}
	}
	_, err := c.places()
	return err
}

// reasons are the words of the header waybill-reason.
var reasons = []string{"undecodable", "unknown_type", "refused", "skipped"}

func (c *chosen) places() ([]deadletter.Place, error) {
	places := make([]deadletter.Place, 0, len(c.Places))
	for _, text := range c.Places {
		if len(c.Topic) == 1 && strings.Count(text, "/") == 1 {
			text = c.Topic[0] + "/" + text
		}
		p, err := deadletter.ParsePlace(text)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	return places, nil
}

// any says that a flag chooses letters.
func (c *chosen) any() bool {
	return len(c.Places)+len(c.Topic)+len(c.Reason)+len(c.Contract)+len(c.Type)+len(c.Partition)+c.Limit > 0 ||
		c.Offset != nil || c.Since != nil || c.Until != nil || c.All
}

// open reads the configuration, connects, and says what is chosen. Places are looked for in their own topics unless
// --topic says otherwise.
func (c *chosen) open(ctx context.Context, std cli.Streams) (*ingest.DeadLetters, deadletter.Selection, error) {
	s := deadletter.Selection{
		Reasons: c.Reason, Contracts: c.Contract, Types: c.Type, Partitions: c.Partition, Offsets: c.Offset,
	}
	if c.Since != nil {
		s.Since = c.Since.Time
	}
	if c.Until != nil {
		s.Until = c.Until.Time
	}
	var err error
	if s.Places, err = c.places(); err != nil {
		return nil, s, err
	}
	topics := c.Topic
	if len(topics) == 0 {
		for _, p := range s.Places {
			topics = append(topics, p.Topic)
		}
	}
	config, err := ingest.Load(c.Config)
	if err != nil {
		return nil, s, err
	}
	letters, err := ingest.OpenDeadLetters(ctx, config, topics)
	if err != nil {
		return nil, s, err
	}
	shown := time.Now()
	letters.Watch(func(topic string, read, total int64) {
		if now := time.Now(); now.Sub(shown) >= showEvery {
			shown = now
			fmt.Fprintf(std.Err, "reading %s: %d%%\n", topic, read*100/max(total, 1))
		}
	})
	return letters, s, nil
}

// showEvery is how often long work shows how far it is.
const showEvery = 2 * time.Second

// moment is a time: a day, a second, or so long ago.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(text []byte) (err error) {
	m.Time, err = steering.Moment(string(text))
	return err
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes a number with a comma between its thousands.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// clean makes foreign text fit for a terminal: one line, nothing that a terminal would obey.
func clean(s string) string {
	plain := true
	for _, r := range s {
		if !strconv.IsPrint(r) || r == '�' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
