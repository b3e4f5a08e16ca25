package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// Bounds say how much of a topic a sample is at most. None of them is zero.
type Bounds struct {
	Records int
	// Bytes counts records as record.Record.Size does. The record that passes the bound is still read.
	Bytes int64
	Time  time.Duration
	// Oldest takes the first records of each partition instead of the last ones.
	Oldest bool
}

// Sampled is what a sample has read.
type Sampled struct {
	Partitions, Records int
	Bytes               int64
	// Offsets is how many offsets the topic holds: with transactions or compaction, more than records.
	Offsets int64
	// Ended names the bound that ended the sample early: bytes or time. Empty: all the records asked for were read, or
	// all that there are.
	Ended string
}

// errEnough ends a scan early, without a fault.
var errEnough = errors.New("enough")

// Sample calls each with committed records of a topic, partition by partition, as many of each as the bounds allow and
// as the others leave. A record is each's during the call alone. The context that each gets ends with the bound on
// time. read is called with how many records have been read, of how many at most. Nothing is committed, and no group is
// joined. The error is ErrNoTopic, each's, that of ctx, or why the topic cannot be read.
func (sc *Scanner) Sample(
	ctx context.Context, topic string, b Bounds, read func(n, most int),
	each func(context.Context, *record.Record) error,
) (Sampled, error) {
	bounded, cancel := context.WithTimeout(ctx, b.Time)
	defer cancel()
	var found Sampled
	spans, err := sc.Spans(bounded, topic)
	if err == nil {
		found.Partitions = len(spans)
		for _, s := range spans {
			found.Offsets += s.End - s.From
		}
		spans = shares(spans, int64(b.Records), b.Oldest)
		err = sc.sample(bounded, topic, spans, b, &found, read, each)
	}
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		found.Ended, err = "time", nil
	}
	return found, err
}

func (sc *Scanner) sample(
	ctx context.Context, topic string, spans []Span, b Bounds, found *Sampled, read func(n, most int),
	each func(context.Context, *record.Record) error,
) error {
	most := int64(0)
	for _, s := range spans {
		most += s.End - s.From
	}
	for i, s := range spans {
		// What a partition leaves of its share of the bytes, the next ones have.
		until := found.Bytes + (b.Bytes-found.Bytes)/int64(len(spans)-i)
		err := sc.Scan(ctx, topic, s, func(int64) { read(found.Records, int(most)) }, func(r *record.Record) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if found.Bytes >= until {
				found.Ended = "bytes"
				return errEnough
			}
			found.Records++
			found.Bytes += int64(r.Size())
			return each(ctx, r)
		})
		if err != nil && !errors.Is(err, errEnough) {
			return fmt.Errorf("sample %s: %w", topic, err)
		}
	}
	return nil
}

// shares cuts the spans of a topic down to so many offsets: each partition has as many as the others, but for what it
// does not hold. Empty ones are left out.
func shares(spans []Span, most int64, oldest bool) []Span {
	order := slices.SortedFunc(slices.Values(spans), func(a, b Span) int {
		return cmp.Compare(a.End-a.From, b.End-b.From)
	})
	var kept []Span
	for i, s := range order {
		share := min(s.End-s.From, most/int64(len(order)-i))
		if rest := most % int64(len(order)-i); rest > 0 && share < s.End-s.From {
			share++
		}
		if share <= 0 {
			continue
		}
		most -= share
		if oldest {
			s.End = s.From + share
		} else {
			s.From = s.End - share
		}
		kept = append(kept, s)
	}
	slices.SortFunc(kept, func(a, b Span) int { return cmp.Compare(a.Partition, b.Partition) })
	return kept
}
