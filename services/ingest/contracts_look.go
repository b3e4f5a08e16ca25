package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/tap"
)

// errNoPartition says that a topic has no such partition.
var errNoPartition = errors.New("there is no such partition")

// Looked is a record of a topic, read anew and seen by the contracts of now.
type Looked struct {
	// Oldest and End are the first offset of the partition and the one behind its last record.
	Oldest, End int64
	// Record is absent where no record is at the offset: retention or compaction has removed it, or it is a marker of a
	// transaction.
	Record *adminv1.Sample
	// RowsBefore is how many rows of the same table the records from First to the offset become; -1 where that was not
	// counted.
	RowsBefore int64
}

// mostBefore bounds how many offsets are read before one that is looked at.
const mostBefore = 100_000

// Look reads one record, and counts the rows of its table from the offset first on; negative: it counts none. It takes
// no part in the group. The error says which partitions there are, or why the topic cannot be read.
func (c *Contracts) Look(ctx context.Context, topic string, partition int32, offset, first int64) (*Looked, error) {
	if found, err := c.set.Match(topic); err != nil {
		return nil, err
	} else if !found {
		return nil, missing("topic", topic, c.set.Topics())
	}
	scanner, err := source.NewScanner(ctx, &c.config.Kafka, []string{topic})
	if err != nil {
		return nil, fmt.Errorf("connect to the brokers: %w", err)
	}
	defer scanner.Close()
	spans, err := scanner.Spans(ctx, topic)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(spans, func(s source.Span) bool { return s.Partition == partition })
	if at < 0 {
		return nil, fmt.Errorf("%w %s/%d: the topic has %d, from 0 on", errNoPartition, topic, partition, len(spans))
	}
	span := spans[at]
	out := &Looked{Oldest: span.From, End: span.End, RowsBefore: -1}
	if offset < span.From || offset >= span.End {
		return out, nil
	}
	counted := first >= span.From && first <= offset && offset-first <= mostBefore
	span.From, span.End = offset, offset+1
	if counted {
		span.From = first
	}
	seer := newSeer(c.set)
	rows := map[string]int64{}
	err = scanner.Scan(ctx, topic, span, func(int64) {}, func(r *record.Record) error {
		sample := seer.see(ctx, &tap.Item{Record: r})
		if r.Offset < offset {
			if sample.GetRow() != "" {
				rows[sample.GetTable()]++
			}
			return nil
		}
		sample.Key, sample.Value = slices.Clone(r.Key), slices.Clone(r.Value)
		out.Record = sample
		return nil
	})
	if err == nil && counted && out.Record != nil {
		out.RowsBefore = rows[out.Record.GetTable()]
	}
	return out, err
}
