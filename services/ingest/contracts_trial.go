package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
)

// Bounds say how much of a topic is looked at.
type Bounds = source.Bounds

// Sampled is what was read of a topic.
type Sampled = source.Sampled

// Trial is what would become of some records of a topic. No row is sent and nothing is committed.
type Trial struct {
	Topic   string
	Sampled Sampled
	// Rows, Letters, Ignored and Tombstones add up to the records that were read. Tombstones are null values that the
	// policy ignores.
	Rows, Letters, Ignored, Tombstones int
	// RowsBy and LettersBy count by kind, most first. Kinds beyond mostKinds are together in one without a name.
	RowsBy    []RowKind
	LettersBy []LetterKind
	// Grown says that a contract has gained columns on the way, as it would in use.
	Grown bool
}

// mostKinds bounds the kinds of a trial: types are foreign text.
const mostKinds = 200

// RowKind counts the rows of one table that one contract makes of one type. Type is empty without a type header.
type RowKind struct {
	Table, Contract, Type string
	Rows                  int
	// Bytes is how many bytes the rows take.
	Bytes int64
	// Null says that the payload of so many rows is null: tombstones that become rows.
	Null int
}

// LetterKind counts dead letters of one kind.
type LetterKind struct {
	// Reason is that of the dead letter: undecodable, unknown_type or refused.
	Reason, Contract, Type, Field string
	Letters                       int
	// Err, Partition and Offset are those of the first one.
	Err       string
	Partition int32
	Offset    int64
}

// requestBytes is the largest row that BigQuery's append requests take.
const requestBytes = 9 << 20

// Try reads a bounded sample of a topic and says what would become of its records by these contracts. It joins no group
// and commits nothing. read is called with how many records have been read, of how many at most. It is an error when
// the topic has no contract, does not exist, or cannot be read.
func (c *Contracts) Try(ctx context.Context, topic string, b Bounds, read func(n, most int)) (*Trial, error) {
	t, err := c.trier(topic)
	if err != nil {
		return nil, err
	}
	scanner, err := source.NewScanner(ctx, &c.config.Kafka, []string{topic})
	if err != nil {
		return nil, fmt.Errorf("connect to the brokers: %w", err)
	}
	defer scanner.Close()
	if t.trial.Sampled, err = scanner.Sample(ctx, topic, b, read, t.take); err != nil {
		return nil, err
	}
	return t.result(), nil
}

// trier takes records as a lane does, and counts.
type trier struct {
	topic *contract.Topic
	trial Trial
	rows  map[RowKind]*RowKind
	// letters are by what is left of their error without the values in it.
	letters map[LetterKind]*LetterKind
	row     []byte
	// seen learns of each row, with the index of its table; nil: nobody does.
	seen func(route int, framed []byte)
}

func (c *Contracts) trier(topic string) (*trier, error) {
	found, err := c.set.Match(topic)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("no contract is for the topic %s: `ingest contracts infer %s` writes one", topic, topic)
	}
	return &trier{
		topic: c.set.Topic(topic).Fork(), trial: Trial{Topic: topic},
		rows: map[RowKind]*RowKind{}, letters: map[LetterKind]*LetterKind{},
	}, nil
}

// take is what a lane does with a record. The error is that of ctx, which ends while the registry is waited for.
func (t *trier) take(ctx context.Context, r *record.Record) error {
	grown, err := t.topic.Prepare(ctx, []record.Record{*r}, nil)
	if err != nil {
		return err
	}
	if grown {
		t.topic, t.trial.Grown = t.topic.Fork(), true
	}
	m := t.topic.Match(r)
	itemType := string(m.ItemType())
	switch {
	case m.Tombstone:
		t.trial.Tombstones++
	case m.Action == contract.Ignore:
		t.trial.Ignored++
	case m.Action == contract.Unknown:
		t.letter(r, LetterKind{Reason: "unknown_type", Type: itemType, Err: m.Reason})
	default:
		route, name := m.Route, m.Contract.Name()
		row, err := m.Contract.AppendRow(t.row[:0], r, m, time.Now().UnixMicro())
		if fault, ok := errors.AsType[*DecodeError](err); ok {
			t.letter(r, LetterKind{
				Reason: "undecodable", Contract: fault.Contract, Type: itemType, Field: fault.Field, Err: fault.Reason,
			})
			return nil
		}
		if err != nil {
			return err
		}
		if len(row) > requestBytes {
			t.letter(r, LetterKind{Reason: "refused", Contract: name, Type: itemType, Err: fmt.Sprintf(
				"the row takes %d bytes and BigQuery's append requests at most %d", len(row), requestBytes)})
			return nil
		}
		t.row = row
		t.count(RowKind{Table: t.topic.Routes[route].GetTable(), Contract: name, Type: itemType}, r, len(row))
		if t.seen != nil {
			t.seen(route, row)
		}
	}
	return nil
}

func (t *trier) count(k RowKind, r *record.Record, size int) {
	t.trial.Rows++
	n := t.rows[k]
	if n == nil {
		if len(t.rows) >= mostKinds {
			k = RowKind{}
		}
		if n = t.rows[k]; n == nil {
			n = &k
			t.rows[k] = n
		}
	}
	n.Rows++
	n.Bytes += int64(size)
	if r.Value == nil {
		n.Null++
	}
}

// values are what differs between errors of one kind: numbers, and what is quoted.
var values = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\d+`)

func (t *trier) letter(r *record.Record, l LetterKind) {
	t.trial.Letters++
	kind := l
	kind.Field = values.ReplaceAllString(l.Field, "*")
	if kind.Contract != "" { // of unknown types each is reported
		kind.Err = values.ReplaceAllString(l.Err, "*")
	}
	n := t.letters[kind]
	if n == nil {
		if len(t.letters) >= mostKinds {
			kind, l = LetterKind{}, LetterKind{}
		}
		if n = t.letters[kind]; n == nil {
			n = &l
			n.Partition, n.Offset = r.Partition, r.Offset
			t.letters[kind] = n
		}
	}
	n.Letters++
}

// result is the trial with its kinds in order.
func (t *trier) result() *Trial {
	for _, k := range t.rows {
		t.trial.RowsBy = append(t.trial.RowsBy, *k)
	}
	for _, k := range t.letters {
		t.trial.LettersBy = append(t.trial.LettersBy, *k)
	}
	slices.SortFunc(t.trial.RowsBy, func(a, b RowKind) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Type, b.Type))
	})
	slices.SortFunc(t.trial.LettersBy, func(a, b LetterKind) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Partition, b.Partition),
			cmp.Compare(a.Offset, b.Offset))
	})
	return &t.trial
}
