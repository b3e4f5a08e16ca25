package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

const (
	// scanBytes is the size of a fetch; a larger batch comes whole.
	scanBytes = 4 << 20
	// scanPatience is how long a partition may yield nothing before its end is reached.
	scanPatience = time.Minute
)

// Span is a partition from its first offset to its last stable one: what was committed when it was asked for.
type Span struct {
	Partition int32
	From, End int64
}

// ErrNoTopic says that there is no such topic.
var ErrNoTopic = errors.New("the topic does not exist")

// Spans are those of all partitions of a topic, in order.
func (sc *Scanner) Spans(ctx context.Context, topic string) ([]Span, error) {
	spans, err := retry(ctx, sc, topic, func() ([]Span, error) {
		err := sc.client.RefreshMetadata(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return nil, fmt.Errorf("%w: %s", ErrNoTopic, topic)
		}
		if err != nil {
			return nil, err
		}
		partitions, err := sc.client.Partitions(topic)
		if err != nil {
			return nil, err
		}
		slices.Sort(partitions)
		spans := make([]Span, 0, len(partitions))
		for _, p := range partitions {
			from, err := sc.offset(topic, p, sarama.OffsetOldest)
			if err != nil {
				return nil, err
			}
			end, err := sc.offset(topic, p, sarama.OffsetNewest)
			if err != nil {
				return nil, err
			}
			spans = append(spans, Span{p, from, end})
		}
		return spans, nil
	})
	if err != nil && !errors.Is(err, ErrNoTopic) {
		err = explainRead(topic, err)
	}
	return spans, err
}

// offset asks for an end of the partition; the newest is the last stable offset, which sarama's own GetOffset cannot
// ask for.
func (sc *Scanner) offset(topic string, partition int32, at int64) (int64, error) {
	broker, err := sc.client.Leader(topic, partition)
	if err != nil {
		return 0, err
	}
	request := sarama.NewOffsetRequest(sc.client.Config().Version)
	request.IsolationLevel = sarama.ReadCommitted
	request.AddBlock(topic, partition, at, 1)
	response, err := broker.GetAvailableOffsets(request)
	if err != nil {
		_ = broker.Close() // it is opened again with the next request
		return 0, err
	}
	block := response.GetBlock(topic, partition)
	switch {
	case block == nil:
		return 0, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return 0, block.Err
	}
	return block.Offset, nil
}

// Scan calls each with the committed records of a span in order. A record is each's during the call alone: its bytes
// alias the fetch; fetched hears where the next fetch begins. It fetches by itself because a sarama consumer does not
// tell when it is at the end: the last offsets may be a transaction's control records.
func (sc *Scanner) Scan(ctx context.Context, topic string, s Span, fetched func(offset int64),
	each func(*record.Record) error,
) error {
	size := int32(scanBytes)
	last := time.Now()
	for s.From < s.End {
		at := s
		got, err := retry(ctx, sc, topic, func() (fetchedSpan, error) { return sc.fetch(topic, at, size) })
		if errors.Is(err, sarama.ErrOffsetOutOfRange) {
			// Retention has removed what was there when the scan began.
			oldest, err := sc.offset(topic, s.Partition, sarama.OffsetOldest)
			if err == nil && oldest <= s.From {
				err = sarama.ErrOffsetOutOfRange
			}
			if err != nil {
				return fmt.Errorf("read %s/%d: %w", topic, s.Partition, err)
			}
			s.From = oldest
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", topic, s.Partition, explainRead(topic, err))
		}
		c := catch{next: s.From}
		if got.block != nil { // nil: the broker throttles us
			if c, err = unpack(topicPartition{topic, s.Partition}, got.block, got.records, s.From, true); err != nil {
				return fmt.Errorf("read %s/%d: %w", topic, s.Partition, err)
			}
		}
		if err := c.each(s.End, each); err != nil {
			return err
		}
		switch {
		case c.next > s.From:
			s.From, size, last = c.next, scanBytes, time.Now()
			fetched(min(c.next, s.End))
		case c.cut && size < 1<<30:
			size *= 2
		case time.Since(last) > scanPatience:
			return fmt.Errorf("read %s/%d: nothing comes from offset %d on, and the end is %d", topic, s.Partition, s.From,
				s.End)
		}
	}
	return nil
}

// fetchedSpan is what a fetch brought of a partition; its block is nil when the broker throttles us.
type fetchedSpan struct {
	block   *sarama.FetchResponseBlock
	records *kafkawire.Memory
}

// fetch makes one request to the partition's leader.
func (sc *Scanner) fetch(topic string, s Span, size int32) (fetchedSpan, error) {
	broker, err := sc.client.Leader(topic, s.Partition)
	if err != nil {
		return fetchedSpan{}, err
	}
	// The partition's bound is the one that counts: kfake forgets the aborted transactions of a response that the other
	// one has cut.
	request := &sarama.FetchRequest{
		Version: kafkawire.FetchVersion, MaxWaitTime: 500, MinBytes: 1, MaxBytes: math.MaxInt32,
		Isolation: sarama.ReadCommitted, SessionEpoch: noSession,
	}
	request.AddBlock(topic, s.Partition, s.From, size, -1)
	response, records, err := sc.client.fetch(broker, request)
	if err != nil {
		_ = broker.Close() // it is opened again with the next request
		return fetchedSpan{}, err
	}
	block := response.GetBlock(topic, s.Partition)
	switch {
	case block == nil && response.ThrottleTime > 0:
		return fetchedSpan{}, nil
	case block == nil:
		return fetchedSpan{}, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return fetchedSpan{}, block.Err
	}
	return fetchedSpan{block, records.Records(topic, s.Partition)}, nil
}

// each calls f with the records before an offset, in order.
func (c *catch) each(end int64, f func(*record.Record) error) error {
	var records []record.Record
	for i := range c.stretches {
		k := &c.stretches[i]
		var err error
		if records, err = k.move(slices.Grow(records[:0], k.count), k.count); err != nil {
			return fmt.Errorf("read %s/%d: %w", c.tp.topic, c.tp.partition, err)
		}
		for j := range records {
			if records[j].Offset >= end {
				return nil
			}
			if err := f(&records[j]); err != nil {
				return err
			}
		}
	}
	return nil
}
