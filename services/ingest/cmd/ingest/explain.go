package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/waybill-data/waybill/pkg/cli"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
)

type explainCmd struct {
	query
	Timeout time.Duration `default:"1m" placeholder:"TIME" help:"Read Kafka for at most so long (${default})."`
	Output  string        `short:"o" enum:"table,json" default:"table" help:"table or json (${default})."`
	Record  string        `arg:"" name:"topic/partition/offset" help:"The record."`
}

// Help is shown below the flags.
func (explainCmd) Help() string {
	return `What became of one record: the contract that takes it, its row, the batch it was sent in, the write stream
and the row offset there, and when that was settled; or its dead letter; or where it waits, and for what. The fleet is
asked for the lane, Kafka for the record and its dead letter. A lane remembers its last 64 batches.

Examples:
  ingest explain orders/3/125
  ingest explain orders/3/125 -o json | jq .text

Exit status: 0 it is known what became of it, 1 it is not, 2 wrong usage.`
}

// Validate is called by kong.
func (c *explainCmd) Validate() error {
	if c.Timeout <= 0 {
		return errors.New("--timeout: write a time such as 30s")
	}
	_, err := deadletter.ParsePlace(c.Record)
	return err
}

// explanation is what is known of a record.
type explanation struct {
	Place string `json:"place"`
	// Known: it is clear what became of it, or where it waits.
	Known bool `json:"known"`
	// Text is a sentence.
	Text string `json:"text"`
	// Record, Contract and the like are of the record as it is in Kafka.
	Time       string `json:"time,omitempty"`
	Type       string `json:"type,omitempty"`
	ValueBytes int32  `json:"value_bytes,omitempty"`
	Contract   string `json:"contract,omitempty"`
	Table      string `json:"table,omitempty"`
	// Batch is as its ingest remembers it.
	Batch *explainedBatch `json:"batch,omitempty"`
	Row   *explainedRow   `json:"row,omitempty"`
	// Letter is its dead letter.
	Letter *explainedLetter `json:"dead_letter,omitempty"`
	// Silent are processes that did not respond.
	Silent []string `json:"did_not_answer,omitempty"`
}

type explainedBatch struct {
	Number       uint64 `json:"number"`
	First        int64  `json:"first_offset"`
	End          int64  `json:"end_offset"`
	Rows         int32  `json:"rows"`
	Bytes        int64  `json:"bytes"`
	Sent         string `json:"sent"`
	Settled      string `json:"settled,omitempty"`
	Milliseconds int64  `json:"settled_in_ms,omitempty"`
}

type explainedRow struct {
	Table  string `json:"table"`
	Stream string `json:"stream,omitempty"`
	// Offset is the row's in the write stream; absent where that is not known.
	Offset *int64 `json:"row_offset,omitempty"`
	Writer string `json:"writer,omitempty"`
	Query  string `json:"query"`
}

type explainedLetter struct {
	At       string `json:"at"`
	Written  string `json:"written,omitempty"`
	Reason   string `json:"reason"`
	Error    string `json:"error"`
	Field    string `json:"field,omitempty"`
	Byte     *int   `json:"byte,omitempty"`
	Replayed bool   `json:"replayed,omitempty"`
}

// Run explains.
func (c *explainCmd) Run(ctx context.Context, std cli.Streams) error {
	of, err := deadletter.ParsePlace(c.Record)
	if err != nil {
		return err
	}
	said, err := c.request(ctx, of)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	out, err := c.look(ctx, of, said)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = cli.JSON(std.Out, out)
	} else {
		out.print(std.Out)
	}
	if err == nil && !out.Known {
		return cli.ErrFailed
	}
	return err
}

// request gets what the fleet says.
func (c *explainCmd) request(ctx context.Context, of deadletter.Place) (*adminv1.ExplainResponse, error) {
	conn, err := dial(c.Config, c.At)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, respondsWithin)
	defer cancel()
	said, err := adminv1.NewRecordServiceClient(conn).Explain(ctx, &adminv1.ExplainRequest{
		Local: c.Local, Topic: of.Topic, Partition: of.Partition, Offset: of.Offset,
	})
	if err != nil {
		return nil, remoteError(err, "--at")
	}
	return said, nil
}

// look puts what the fleet says together with what Kafka holds.
func (c *explainCmd) look(
	ctx context.Context, of deadletter.Place, said *adminv1.ExplainResponse,
) (*explanation, error) {
	out := &explanation{Place: of.String(), Text: said.GetText(), Known: said.GetPlace() != 0}
	for _, a := range said.GetResponses() {
		if a.GetError() != "" {
			out.Silent = append(out.Silent, a.GetAddress())
		}
	}
	first := int64(-1)
	if b := said.GetBatch(); b != nil {
		first, out.Batch = b.GetFirst(), explained(b)
	}
	config, err := ingest.Load(c.Config)
	if err != nil {
		return nil, err
	}
	contracts, err := ingest.OpenContracts(ctx, config)
	if err != nil {
		return nil, err
	}
	defer contracts.Close()
	looked, err := contracts.Look(ctx, of.Topic, of.Partition, of.Offset, first)
	if err != nil {
		return nil, err
	}
	r := looked.Record
	switch {
	case of.Offset >= looked.End:
		out.Known, out.Text = false, fmt.Sprintf("there is no such record yet: the partition ends at offset %d",
			looked.End)
		return out, nil
	case of.Offset < looked.Oldest:
		out.Text += fmt.Sprintf("; the record itself is gone: retention has removed all before offset %d",
			looked.Oldest)
	case r == nil:
		out.Text += "; no record is at this offset: compaction has removed it, or it is a marker of a transaction"
	default:
		out.Type, out.Contract, out.Table = r.GetType(), r.GetContract(), r.GetTable()
		out.ValueBytes = r.GetValueBytes()
		out.Time = timeOf(r.GetTime())
	}
	if said.GetPlace() != adminv1.Place_PLACE_SETTLED || r != nil && r.GetReason() == "ignored" {
		if r.GetReason() == "ignored" {
			out.Text += "; the contracts of its topic ignore it: it becomes no row"
		}
		return out, nil
	}
	if r == nil || r.GetReason() != "" || said.GetBatch() == nil || said.GetBatch().GetDeadLetters() > 0 {
		if err := c.letter(ctx, of, out); err != nil {
			return nil, err
		}
	}
	if out.Letter == nil && r != nil && r.GetReason() == "" {
		out.Row = row(of, looked, said)
	}
	return out, nil
}

func explained(b *adminv1.Batch) *explainedBatch {
	out := &explainedBatch{
		Number: b.GetSequence(), First: b.GetFirst(), End: b.GetEnd(), Rows: b.GetRows(), Bytes: b.GetBytes(),
		Sent: timeOf(b.GetSent()), Settled: timeOf(b.GetSettled()),
	}
	if b.Settled != nil {
		out.Milliseconds = b.GetSettled().AsTime().Sub(b.GetSent().AsTime()).Milliseconds()
	}
	return out
}

func timeOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format("2006-01-02T15:04:05.000Z")
}

// row is where the record's row is.
func row(of deadletter.Place, looked *ingest.Looked, said *adminv1.ExplainResponse) *explainedRow {
	table := looked.Record.GetTable()
	out := &explainedRow{Table: table, Writer: said.GetWritten().GetWriter(), Query: fmt.Sprintf(
		"SELECT * FROM %#q WHERE kafka_topic = '%s' AND kafka_partition = %d AND kafka_offset = %d", table, of.Topic,
		of.Partition, of.Offset)}
	for _, b := range said.GetWritten().GetBlocks() {
		if !sameTable(b.GetTable(), table) {
			continue
		}
		out.Stream = b.GetStream()
		at := looked.RowsBefore - int64(said.GetBatch().GetDropped())
		// Where rows were refused or dropped the count of those before may be another one.
		if looked.RowsBefore >= 0 && b.GetOffset() >= 0 && b.GetRefused() == 0 && at >= 0 && at < int64(b.GetRows()) &&
			(said.GetBatch().GetDropped() == 0 || len(said.GetWritten().GetBlocks()) == 1) {
			offset := b.GetOffset() + at
			out.Offset = &offset
		}
	}
	return out
}

// sameTable compares names of which one may be longer: project.dataset.table.
func sameTable(long, short string) bool {
	return long == short || len(long) > len(short) && long[len(long)-len(short)-1:] == "."+short
}

// letter looks for the record's dead letter.
func (c *explainCmd) letter(ctx context.Context, of deadletter.Place, out *explanation) error {
	config, err := ingest.Load(c.Config)
	if err != nil {
		return err
	}
	letters, err := ingest.OpenDeadLetters(ctx, config, []string{of.Topic})
	if err != nil {
		return err
	}
	defer letters.Close()
	_, err = letters.Each(ctx, deadletter.Selection{Places: []deadletter.Place{of}},
		func(l *deadletter.Letter, _ string,
		) error {
			out.Letter = &explainedLetter{
				At: l.At.String(), Reason: l.Reason, Error: l.Err, Field: l.Field, Replayed: l.Replayed,
			}
			if !l.Time.IsZero() {
				out.Letter.Written = l.Time.UTC().Format("2006-01-02T15:04:05.000Z")
			}
			if l.Byte >= 0 {
				at := l.Byte
				out.Letter.Byte = &at
			}
			return deadletter.Enough()
		})
	return err
}

// print is for people.
func (e *explanation) print(out io.Writer) {
	fmt.Fprintf(out, "%s: %s.\n\n", e.Place, e.Text)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-12s"+format+"\n", append([]any{name}, args...)...)
	}
	if e.ValueBytes > 0 || e.Type != "" || e.Time != "" {
		line("record", "%s bytes, type %s, %s", thousands(int(e.ValueBytes)), orNone(e.Type), orNone(e.Time))
		line("contract", "%s, for the table %s", orNone(e.Contract), orNone(e.Table))
	}
	if b := e.Batch; b != nil {
		settled := "not settled"
		if b.Settled != "" {
			settled = fmt.Sprintf("settled %s, %d ms later", b.Settled, b.Milliseconds)
		}
		line("batch", "%d, offsets %d to %d, %s, %s bytes; sent %s, %s", b.Number, b.First, b.End-1,
			plural(int(b.Rows), "row", "rows"), thousands(int(b.Bytes)), b.Sent, settled)
	}
	if r := e.Row; r != nil {
		where := "one whose name the writer does not tell"
		if r.Stream != "" {
			where = r.Stream
		}
		switch {
		case r.Offset != nil:
			line("row", "offset %d of write stream %s", *r.Offset, where)
		case r.Stream != "":
			line("row", "in write stream %s", where)
		}
		if r.Writer != "" {
			line("writer", "%s", r.Writer)
		}
		line("query", "%s", r.Query)
	}
	if l := e.Letter; l != nil {
		line("dead letter", "%s, written %s", l.At, orNone(l.Written))
		line("reason", "%s: %s", l.Reason, clean(l.Error))
		line("more", "ingest dead-letters show %s", e.Place)
	}
	for _, s := range e.Silent {
		line("silent", "%s does not respond: what it carries is not known", s)
	}
}
