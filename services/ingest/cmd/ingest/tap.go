package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/waybill-data/waybill/pkg/cli"
	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

type tapCmd struct {
	service.File
	Process string        `placeholder:"HOST:PORT" help:"gRPC port of the ingest to ask (default: grpc.listen of the configuration)."`
	Local   bool          `help:"Only records of that ingest, without asking others."`
	Table   string        `placeholder:"NAME" help:"Only records of this table, as the contract writes it."`
	Topic   string        `placeholder:"NAME" help:"Only records of this topic."`
	Where   string        `placeholder:"CEL" help:"Only records that this expression in CEL takes, such as 'payload.total > 100'."`
	Point   string        `name:"at" enum:"record,row,refused,dead-letter" default:"record" help:"Where to look: record (as it comes), row (as it is sent), refused (by BigQuery), dead-letter (${default})."`
	Limit   int32         `default:"20" placeholder:"N" help:"End after so many records, 1000 at most (${default})."`
	For     time.Duration `default:"30s" placeholder:"TIME" help:"End after this time, 10m at most (${default})."`
	Output  string        `short:"o" enum:"table,json" default:"table" help:"table, or json: one object a line (${default})."`
}

// Help is shown below the flags.
func (tapCmd) Help() string {
	return `Records as they pass, of the whole fleet. A tap never slows a lane: what it has no time for is dropped, and
the last line says how many. It needs the right payload.

A filter looks at topic, partition, offset, time, key, headers, size, type, contract, table, payload and row as
BigQuery shows them, and of what is refused at reason, error and field.

Examples:
  ingest tap --table orders --where 'payload.total > 100' --limit 20 --for 30s -o json
  ingest tap --topic orders --at dead-letter --for 10m
  ingest tap --at refused --where 'error.contains("NUMERIC")'
  ingest tap -o json | jq -r '.type' | sort | uniq -c

Exit status: 0 there were records, 1 there was none or nobody responds, 2 wrong usage.`
}

var pointsByName = map[string]adminv1.Point{
	"record": adminv1.Point_POINT_RECORD, "row": adminv1.Point_POINT_ROW, "refused": adminv1.Point_POINT_REFUSED,
	"dead-letter": adminv1.Point_POINT_DEAD_LETTER,
}

// Run taps.
func (c *tapCmd) Run(ctx context.Context, std cli.Streams) error {
	conn, err := dial(c.Config, c.Process)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, c.For+respondsWithin)
	defer cancel()
	stream, err := adminv1.NewRecordServiceClient(conn).Tap(ctx, &adminv1.TapRequest{
		Local: c.Local, Topic: c.Topic, Table: c.Table, At: pointsByName[c.Point], Where: c.Where, Limit: c.Limit,
		For: durationpb.New(c.For),
	})
	shown, counts := 0, new(adminv1.TapCounts)
	for err == nil {
		var m *adminv1.TapResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		switch {
		case m.GetSample() != nil:
			shown++
			err = c.show(std.Out, m.GetSample())
		case m.GetCounts() != nil:
			counts = m.GetCounts()
		case m.GetResponse().GetError() != "":
			fmt.Fprintf(std.Err, "%s does not tap: %s\n", m.GetResponse().GetAddress(),
				oneLine(m.GetResponse().GetError()))
		}
	}
	if !errors.Is(err, io.EOF) && ctx.Err() == nil {
		return remoteError(err, "--process")
	}
	c.sum(std.Err, shown, counts)
	if shown == 0 {
		return cli.ErrFailed
	}
	return nil
}

// sum says what was looked at.
func (c *tapCmd) sum(out io.Writer, shown int, n *adminv1.TapCounts) {
	fmt.Fprintf(out, "%s shown; %s passed, %s of them dropped, for lanes do not wait for a tap", plural(shown, "record",
		"records"), thousands(int(n.GetSeen())), thousands(int(n.GetDropped()))) //nolint:gosec // counts
	if n.GetFailed() > 0 {
		fmt.Fprintf(out, "; of %s the filter could not tell, the first: %s",
			thousands(int(n.GetFailed())), oneLine(n.GetFailure())) //nolint:gosec // counts
	}
	fmt.Fprintln(out)
}

// tapLine is a sample for machines.
type tapLine struct {
	Place    string            `json:"place"`
	Process  string            `json:"process"`
	Time     string            `json:"time,omitempty"`
	Type     string            `json:"type,omitempty"`
	Contract string            `json:"contract,omitempty"`
	Table    string            `json:"table,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Error    string            `json:"error,omitempty"`
	Field    string            `json:"field,omitempty"`
	Byte     *int32            `json:"byte,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
	Key      []byte            `json:"key_base64,omitempty"`
	Bytes    int32             `json:"value_bytes"`
	Row      json.RawMessage   `json:"row,omitempty"`
	// Value is there where no row is.
	Value []byte `json:"value_base64,omitempty"`
}

func (c *tapCmd) show(out io.Writer, s *adminv1.Sample) error {
	place := fmt.Sprintf("%s/%d/%d", s.GetTopic(), s.GetPartition(), s.GetOffset())
	if c.Output == "json" {
		line := tapLine{
			Place: place, Process: s.GetProcess(), Type: s.GetType(), Contract: s.GetContract(), Table: s.GetTable(),
			Reason: s.GetReason(), Error: s.GetError(), Field: s.GetField(), Byte: s.Byte, Headers: s.GetHeaders(),
			Key: s.GetKey(), Bytes: s.GetValueBytes(), Row: json.RawMessage(s.GetRow()),
		}
		if s.Time != nil {
			line.Time = s.GetTime().AsTime().UTC().Format(time.RFC3339Nano)
		}
		if s.GetRow() == "" {
			line.Row, line.Value = nil, s.GetValue()
		}
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(line)
	}
	fmt.Fprintf(out, "%s  %s  %s → %s\n", place, clockOf(s.GetTime()), orNone(s.GetType()), orNone(s.GetTable()))
	if s.GetReason() != "" {
		at := ""
		if s.Byte != nil {
			at = fmt.Sprintf(" at byte %d", s.GetByte())
		}
		fmt.Fprintf(out, "    %s%s: %s\n", s.GetReason(), at, clean(s.GetError()))
	}
	for _, name := range slices.Sorted(maps.Keys(s.GetHeaders())) {
		fmt.Fprintf(out, "    %s: %s\n", clean(name), clean(s.GetHeaders()[name]))
	}
	switch value := s.GetValue(); {
	case s.GetRow() != "":
		fmt.Fprintf(out, "    %s\n", clean(s.GetRow()))
	case s.Value == nil:
		fmt.Fprintln(out, "    null")
	case utf8.Valid(value):
		fmt.Fprintf(out, "    %s\n", clean(string(value)))
	default:
		fmt.Fprintf(out, "    %d bytes: % x …\n", s.GetValueBytes(), value[:min(len(value), 48)])
	}
	return nil
}

func orNone(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "–"
	}
	return clean(s)
}
