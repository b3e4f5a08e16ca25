package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

const (
	// scanBytes is the size of a fetch; a larger batch comes whole.
	scanBytes = 4 << 20
	// scanPatience is how long a partition may yield nothing before its end is reached.
	scanPatience = time.Minute
	// abortControl is the type of the control record that ends an aborted transaction (KIP-98).
	abortControl = 0
)

// span is a partition from its first offset to its last stable one: what was committed when the scan began.
type span struct {
	partition int32
	from, end int64
}

// errNoTopic says that there is no such topic.
var errNoTopic = errors.New("the topic does not exist")

// spans are those of all partitions of a topic, in order.
func (d *DeadLetters) spans(ctx context.Context, topic string) ([]span, error) {
	var spans []span
	err := d.retry(ctx, topic, func() error {
		err := d.client.RefreshMetadata(topic)
		if errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
			return fmt.Errorf("%w: %s", errNoTopic, topic)
		}
		if err != nil {
			return err
		}
		partitions, err := d.client.Partitions(topic)
		if err != nil {
			return err
		}
		slices.Sort(partitions)
		spans = spans[:0]
		for _, p := range partitions {
			from, err := d.offset(topic, p, sarama.OffsetOldest)
			if err != nil {
				return err
			}
			end, err := d.offset(topic, p, sarama.OffsetNewest)
			if err != nil {
				return err
			}
			spans = append(spans, span{p, from, end})
		}
		return nil
	})
	return spans, err
}

// offset asks for an end of the partition; the newest is the last stable offset, which sarama's own GetOffset cannot ask for.
func (d *DeadLetters) offset(topic string, partition int32, at int64) (int64, error) {
	broker, err := d.client.Leader(topic, partition)
	if err != nil {
		return 0, err
	}
	request := sarama.NewOffsetRequest(d.client.Config().Version)
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

// scan calls each with the committed records of a span in order. A record is each's during the call alone: its bytes alias the fetch; fetched hears where the next fetch begins. It
// fetches by itself because a sarama consumer does not tell when it is at the end: the last offsets may be a transaction's control records.
func (d *DeadLetters) scan(ctx context.Context, topic string, s span, fetched func(offset int64), each func(*record.Record) error) error {
	size := int32(scanBytes)
	last := time.Now()
	for s.from < s.end {
		var block *sarama.FetchResponseBlock
		err := d.retry(ctx, topic, func() (err error) {
			block, err = d.fetch(topic, s, size)
			return err
		})
		if errors.Is(err, sarama.ErrOffsetOutOfRange) {
			// Retention has removed what was there when the scan began.
			oldest, err := d.offset(topic, s.partition, sarama.OffsetOldest)
			if err == nil && oldest <= s.from {
				err = sarama.ErrOffsetOutOfRange
			}
			if err != nil {
				return fmt.Errorf("read %s/%d: %w", topic, s.partition, err)
			}
			s.from = oldest
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s/%d: %w", topic, s.partition, explain(err))
		}
		next, err := take(topic, s, block, each)
		if err != nil {
			return err
		}
		switch {
		case next > s.from:
			s.from, size, last = next, scanBytes, time.Now()
			fetched(min(next, s.end))
		case block != nil && block.Partial && size < 1<<30:
			size *= 2
		case block != nil && len(block.RecordsSet) == 0 && block.HighWaterMarkOffset > s.from && block.LastStableOffset > s.from:
			s.from++ // compaction has left an empty batch, which sarama passes over
		case time.Since(last) > scanPatience:
			return fmt.Errorf("read %s/%d: nothing comes from offset %d on, and the end is %d", topic, s.partition, s.from, s.end)
		}
	}
	return nil
}

// fetch makes one request to the partition's leader; nil when the broker throttles us.
func (d *DeadLetters) fetch(topic string, s span, size int32) (*sarama.FetchResponseBlock, error) {
	broker, err := d.client.Leader(topic, s.partition)
	if err != nil {
		return nil, err
	}
	// Version 11 is Kafka 2.3's; a session of epoch -1 is none. The partition's bound is the one that counts: kfake forgets the aborted
	// transactions of a response that the other one has cut.
	request := &sarama.FetchRequest{
		Version: 11, MaxWaitTime: 500, MinBytes: 1, MaxBytes: math.MaxInt32, Isolation: sarama.ReadCommitted, SessionEpoch: -1,
	}
	request.AddBlock(topic, s.partition, s.from, size, -1)
	response, err := broker.Fetch(request)
	if err != nil {
		_ = broker.Close() // it is opened again with the next request
		return nil, err
	}
	block := response.GetBlock(topic, s.partition)
	switch {
	case block == nil && response.ThrottleTime > 0:
		return nil, nil
	case block == nil:
		return nil, sarama.ErrIncompleteResponse
	case block.Err != sarama.ErrNoError:
		return nil, block.Err
	}
	return block, nil
}

// take hands on the committed records of a fetch, and returns the offset to go on at. It leaves out those of aborted transactions as KIP-98
// says: from the transaction's first offset to the control record that ends it.
func take(topic string, s span, block *sarama.FetchResponseBlock, each func(*record.Record) error) (next int64, err error) {
	next = s.from
	if block == nil {
		return next, nil
	}
	begin := slices.Clone(block.AbortedTransactions)
	slices.SortFunc(begin, func(a, b *sarama.AbortedTransaction) int { return int(min(1, max(-1, a.FirstOffset-b.FirstOffset))) })
	aborted := map[int64]bool{}
	for _, records := range block.RecordsSet {
		batch := records.RecordBatch
		if batch == nil {
			return next, fmt.Errorf("read %s/%d: offset %d is in a format from before Kafka 0.11", topic, s.partition, next)
		}
		if batch.PartialTrailingRecord {
			break
		}
		for len(begin) > 0 && begin[0].FirstOffset <= batch.LastOffset() {
			aborted[begin[0].ProducerID] = true
			begin = begin[1:]
		}
		switch {
		case batch.Control:
			if isAbort(batch) {
				delete(aborted, batch.ProducerID)
			}
		case batch.IsTransactional && aborted[batch.ProducerID]:
		default:
			if err := yield(topic, s, batch, each); err != nil {
				return next, err
			}
		}
		next = max(next, batch.LastOffset()+1)
	}
	return next, nil
}

// isAbort reads the key of a control record: version, type.
func isAbort(batch *sarama.RecordBatch) bool {
	if len(batch.Records) == 0 || len(batch.Records[0].Key) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(batch.Records[0].Key[2:]) == abortControl
}

func yield(topic string, s span, batch *sarama.RecordBatch, each func(*record.Record) error) error {
	for _, r := range batch.Records {
		offset := batch.FirstOffset + r.OffsetDelta
		if offset < s.from || offset >= s.end {
			continue
		}
		one := record.Record{Topic: topic, Partition: s.partition, Offset: offset, TimestampMicros: -1, Key: r.Key, Value: r.Value}
		if at := batch.FirstTimestamp.Add(r.TimestampDelta).UnixMicro(); at >= 0 {
			one.TimestampMicros = at
		}
		one.Headers = make([]record.Header, len(r.Headers))
		for i, h := range r.Headers {
			one.Headers[i] = record.Header{Key: h.Key, Value: h.Value}
		}
		if err := each(&one); err != nil {
			return err
		}
	}
	return nil
}
