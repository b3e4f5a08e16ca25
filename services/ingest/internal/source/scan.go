package source

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

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
			from, err := sc.leaders.offset(ctx, topicPartition{topic, p}, sarama.Uuid{}, time.Time{},
				sarama.OffsetOldest, true)
			if err != nil {
				return nil, err
			}
			end, err := sc.leaders.offset(ctx, topicPartition{topic, p}, sarama.Uuid{}, time.Time{},
				sarama.OffsetNewest, true)
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

// At is the offset of a partition's first record with a Kafka timestamp at or after a moment; -1 when there is none.
func (sc *Scanner) At(ctx context.Context, topic string, partition int32, moment time.Time) (int64, error) {
	at, err := retry(ctx, sc, topic, func() (int64, error) {
		return sc.leaders.offset(ctx, topicPartition{topic, partition}, sarama.Uuid{}, time.Time{}, moment.UnixMilli(),
			false)
	})
	if err != nil {
		err = explainRead(topic, err)
	}
	return at, err
}

// Scan calls each with the committed records of a span in order. A record is each's during the call alone: its bytes
// alias the fetch; fetched is called with where the next fetch begins. It fetches by itself because a sarama consumer
// does not tell when it is at the end: the last offsets may be a transaction's control records.
func (sc *Scanner) Scan(ctx context.Context, topic string, s Span, fetched func(offset int64),
	each func(*record.Record) error,
) error {
	size := int32(scanBytes)
	last := time.Now()
	for s.From < s.End {
		at := s
		part, err := retry(ctx, sc, topic, func() (*kafkawire.FetchedPartition, error) {
			return sc.fetch(ctx, topic, at, size)
		})
		if errors.Is(err, sarama.ErrOffsetOutOfRange) {
			// Retention has removed what was there when the scan began.
			tp := topicPartition{topic, s.Partition}
			oldest, err := sc.leaders.offset(ctx, tp, sarama.Uuid{}, time.Time{}, sarama.OffsetOldest, true)
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
		c := fetchResult{next: s.From}
		if part != nil { // nil: the broker throttles us
			if c, err = unpack(topicPartition{topic, s.Partition}, part, s.From, true); err != nil {
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
			return fmt.Errorf("read %s/%d: nothing comes from offset %d on, and the end is %d", topic, s.Partition,
				s.From, s.End)
		}
	}
	return nil
}

// fetch makes one request to the partition's leader; nil when the broker throttles us.
func (sc *Scanner) fetch(ctx context.Context, topic string, s Span, size int32) (*kafkawire.FetchedPartition, error) {
	var part *kafkawire.FetchedPartition
	tp := topicPartition{topic, s.Partition}
	err := sc.leaders.request(ctx, tp, sarama.Uuid{}, time.Time{},
		func(c *kafkawire.Conn, leader leadership) (int16, error) {
			// The partition's bound is the one that counts: kfake forgets the aborted transactions of a response that
			// the other one has cut.
			request := kmsg.NewPtrFetchRequest()
			request.Version, request.MaxWaitMillis = kafkawire.FetchOldest, 500
			request.MinBytes, request.MaxBytes = 1, math.MaxInt32
			request.IsolationLevel = int8(sarama.ReadCommitted)
			one := kmsg.NewFetchRequestTopic()
			w := want{offset: s.From, bytes: size, epoch: leader.epoch}
			one.Topic, one.Partitions = topic, append(one.Partitions, w.request(s.Partition))
			request.Topics = append(request.Topics, one)
			if err := c.Speak(request, kafkawire.FetchByName); err != nil {
				return 0, err
			}
			var response kafkawire.FetchResponse
			err := c.Fetch(ctx, request, &response)
			switch {
			case err != nil:
				return 0, err
			case response.ErrorCode != 0 || len(response.Partitions) == 0:
				return response.ErrorCode, nil
			}
			part = &response.Partitions[0]
			return part.ErrorCode, nil
		})
	return part, err
}

// each calls f with the records before an offset, in order.
func (c *fetchResult) each(end int64, f func(*record.Record) error) error {
	var records []record.Record
	for i := range c.batches {
		k := &c.batches[i]
		var err error
		if k.packed != nil {
			// One after the other: what was inflated goes before the next is.
			if *k, err = k.inflateAlone(c.tp); err != nil {
				return fmt.Errorf("read %s/%d: %w", c.tp.topic, c.tp.partition, err)
			}
		}
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
