package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

// showing is how many letters show prints without PLACE, --limit and --all.
const showing = 5

type showCmd struct {
	chosen
	Rows  int    `default:"6" placeholder:"N" help:"Rows of 16 bytes to show before and after the byte at fault (${default})."`
	Whole bool   `help:"Show the whole value."`
	Out   string `placeholder:"FILE" help:"Write the value to FILE as it is, - for standard output, and show nothing. One letter only."`

	Output string `short:"o" enum:"text,json" default:"text" help:"text, or json: one object a line, with key, headers and value."`
}

// Help is shown below the flags.
func (showCmd) Help() string {
	return `Examples:
  ingest dead-letters show orders/3/125
  ingest dead-letters show 3/125 --topic orders --whole
  ingest dead-letters show orders/3/125 --out value.avro
  ingest dead-letters show --reason undecodable --limit 1
  ingest dead-letters show orders/3/125 -o json | jq .headers

Exit status: 0 shown, 1 there is none of this choice, or it cannot be read, 2 wrong usage.`
}

// Validate is called by kong.
func (c *showCmd) Validate() error {
	if err := c.chosen.Validate(); err != nil {
		return err
	}
	if !c.any() {
		return errors.New("which letter? write its place, topic/partition/offset, or choose with flags")
	}
	if c.Rows < 0 {
		return errors.New("--rows: write a number that is not negative")
	}
	if c.Out != "" && c.Output == "json" {
		return errors.New("--out and -o json: choose one; -o json has the value as well")
	}
	return nil
}

// Run shows.
func (c *showCmd) Run(ctx context.Context, std cli.Streams) error {
	letters, selection, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	defer letters.Close()
	places := selection.Places
	limit := c.Limit
	if limit == 0 && !c.All && len(places) == 0 {
		limit = showing
	}
	shown, more := 0, false
	encoder := json.NewEncoder(std.Out)
	encoder.SetEscapeHTML(false)
	missing := map[deadletter.Place]bool{}
	for _, p := range places {
		missing[p] = true
	}
	tallies, err := letters.Each(ctx, selection, func(l *deadletter.Letter, itemType string) error {
		delete(missing, l.Of())
		if limit > 0 && shown >= limit {
			more = true
			return deadletter.Enough()
		}
		if shown++; c.Out != "" {
			if shown > 1 {
				return errors.New("--out: more than one letter is chosen; write one place")
			}
			return c.write(l, std)
		}
		if c.Output == "json" {
			return encoder.Encode(newWhole(l, itemType))
		}
		if shown > 1 {
			fmt.Fprintln(std.Out)
		}
		c.show(std.Out, l, itemType)
		return nil
	})
	if err != nil {
		return err
	}
	if more {
		fmt.Fprintf(std.Err, "\nthere are more than %d: --limit, or --all\n", limit)
	}
	if shown == 0 || len(missing) > 0 && !more {
		notes(std.Err, tallies)
		for p := range missing {
			fmt.Fprintf(std.Err, "ingest: no dead letter of %s is in %s\n", p, strings.Join(topicsOf(tallies), ", "))
		}
		if len(missing) == 0 {
			fmt.Fprintln(std.Err, "ingest: no dead letter is of this choice")
		}
		return cli.ErrFailed
	}
	return nil
}

func topicsOf(tallies []deadletter.TopicTally) []string {
	names := make([]string, len(tallies))
	for i, t := range tallies {
		names[i] = t.Topic
	}
	return names
}

// write writes the value as it is.
func (c *showCmd) write(l *deadletter.Letter, std cli.Streams) error {
	switch {
	case l.LeftOut.Value >= 0:
		return fmt.Errorf("the dead-letter topic did not take the value of %s (%d bytes): read it in its own "+
			"topic, at this place",
			l.Of(), l.LeftOut.Value)
	case l.Record.Value == nil:
		return fmt.Errorf("the value of %s is null", l.Of())
	case c.Out == "-":
		_, err := std.Out.Write(l.Record.Value)
		return err
	}
	if err := os.WriteFile(c.Out, l.Record.Value, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "wrote the value of %s to %s: %s\n", l.Of(), c.Out,
		plural(len(l.Record.Value), "byte", "bytes"))
	return nil
}

// show prints a letter.
func (c *showCmd) show(out io.Writer, l *deadletter.Letter, itemType string) {
	const label = 11
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-*s%s\n", label, name, value)
		}
	}
	r := &l.Record
	fmt.Fprintln(out, l.Of())
	by := ""
	if l.Version != "" {
		by = ", by waybill " + clean(l.Version)
	}
	field("letter", l.At.String())
	field("written", stamp(l.Time)+by)
	field("replayed", yes(l.Replayed))
	field("reason", clean(l.Reason))
	field("contract", clean(l.Contract))
	field("type", clean(itemType))
	field("error", clean(l.Err))
	field("field", clean(l.Field))
	if r.TimestampMicros >= 0 {
		field("timestamp", stamp(time.UnixMicro(r.TimestampMicros)))
	}
	if l.LeftOut.Any() {
		field("left out",
			fmt.Sprintf("%s, which the dead-letter topic did not take; the record is at %s for as long as its topic "+
				"keeps it",
				l.LeftOut, l.Of()))
	}
	if l.LeftOut.Key < 0 {
		field("key", shown(r.Key))
	}
	for i, h := range r.Headers {
		name := ""
		if i == 0 {
			name = "headers"
		}
		fmt.Fprintf(out, "  %-*s%s: %s\n", label, name, clean(string(h.Key)), shown(h.Value))
	}
	switch {
	case l.LeftOut.Value >= 0:
		return
	case r.Value == nil:
		field("value", "null")
		return
	}
	at := l.Byte
	note := ""
	switch {
	case at < 0:
	case bytes.HasPrefix(r.Value, []byte("Obj\x01")) && strings.Contains(l.Err, "decompressed"):
		at, note = -1, fmt.Sprintf("; the fault is at byte %s of the decompressed block in it", thousands(l.Byte))
	case at > len(r.Value):
		at, note = -1, fmt.Sprintf("; byte %s, where the fault is said to be, is beyond its end", thousands(l.Byte))
	case at == len(r.Value):
		note = fmt.Sprintf("; the fault is at byte %s, where it ends", thousands(at))
	default:
		note = fmt.Sprintf("; the fault is at byte %s (0x%x)", thousands(at), at)
	}
	field("value", plural(len(r.Value), "byte", "bytes")+note)
	if len(r.Value) == 0 {
		return
	}
	fmt.Fprintln(out)
	d := dump{value: r.Value, mark: at, rows: c.Rows}
	if c.Whole {
		d.rows = len(r.Value)
	}
	d.print(out)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// shown is a key or a header's value: text in quotes, other bytes in hex, null and empty apart.
func shown(b []byte) string {
	const longest = 256
	rest := ""
	if len(b) > longest {
		rest = fmt.Sprintf("… (%s)", plural(len(b), "byte", "bytes"))
		b = b[:longest]
	}
	switch {
	case b == nil:
		return "null"
	case len(b) == 0:
		return "empty"
	case utf8.Valid(b) || rest != "" && utf8.Valid(b[:len(b)-3]):
		return strconv.Quote(string(b)) + rest
	default:
		return fmt.Sprintf("%x%s (bytes)", b, rest)
	}
}
