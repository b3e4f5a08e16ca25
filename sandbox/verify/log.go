package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// log reads Kafka.
type log struct {
	seeds  []string
	client *kgo.Client // for metadata and offsets
}

// span is the range of offsets of one partition that is to be read: [start, end), where end is the last stable offset.
type span struct {
	partition  int32
	start, end int64
}

var errNoTopic = errors.New("the topic does not exist")

func dial(seeds []string) (*log, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...))
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return &log{seeds, client}, nil
}

// each calls yield with every committed record of the topic, by partition in order of offset. before is given the
// ranges first.
func (l *log) each(ctx context.Context, topic string, before func([]span), yield func(*kgo.Record)) error {
	spans, err := l.spans(ctx, topic)
	if err != nil {
		return err
	}
	if before != nil {
		before(spans)
	}
	left := map[int32]int64{}
	from := map[int32]kgo.Offset{}
	for _, s := range spans {
		if s.end > s.start {
			left[s.partition] = s.end
			from[s.partition] = kgo.NewOffset().At(s.start)
		}
	}
	if len(left) == 0 {
		return nil
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(l.seeds...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // a partition may end with a marker: without it the end would never be seen
		// The partition's bound is the one to be met: kfake forgets to name the aborted transactions of a response
		// that the other has cut.
		kgo.FetchMaxBytes(96<<20), kgo.FetchMaxPartitionBytes(1<<20),
		kgo.FetchMaxWait(50*time.Millisecond), // all is there already: waiting for more would only delay the end
	)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", topic, err)
		}
		for _, failed := range fetches.Errors() {
			if !kerr.IsRetriable(failed.Err) {
				return fmt.Errorf("read %s/%d: %w", topic, failed.Partition, failed.Err)
			}
		}
		fetches.EachRecord(func(record *kgo.Record) {
			end, open := left[record.Partition]
			if !open || record.Offset >= end {
				return
			}
			if !record.Attrs.IsControl() {
				yield(record)
			}
			if record.Offset == end-1 {
				delete(left, record.Partition)
			}
		})
	}
	return nil
}

// spans asks for the ranges of all partitions, in order of partition.
func (l *log) spans(ctx context.Context, topic string) ([]span, error) {
	request := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	request.Topics = append(request.Topics, wanted)
	metadata, err := request.RequestWith(ctx, l.client)
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if err := kerr.ErrorForCode(metadata.Topics[0].ErrorCode); errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil, fmt.Errorf("%w: %s", errNoTopic, topic)
	} else if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", topic, err)
	}
	spans := make([]span, 0, len(metadata.Topics[0].Partitions))
	for _, p := range metadata.Topics[0].Partitions {
		spans = append(spans, span{partition: p.Partition})
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.partition - b.partition) })
	const earliest, latest = -2, -1
	if err := l.offsets(ctx, topic, spans, earliest, func(s *span, offset int64) { s.start = offset }); err != nil {
		return nil, err
	}
	return spans, l.offsets(ctx, topic, spans, latest, func(s *span, offset int64) { s.end = offset })
}

func (l *log) offsets(ctx context.Context, topic string, spans []span, at int64, set func(*span, int64)) error {
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	request.IsolationLevel = 1 // read_committed: the latest offset is the last stable one
	wanted := kmsg.NewListOffsetsRequestTopic()
	wanted.Topic = topic
	for _, s := range spans {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = s.partition, at
		wanted.Partitions = append(wanted.Partitions, p)
	}
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(ctx, l.client)
	if err != nil {
		return fmt.Errorf("offsets of %s: %w", topic, err)
	}
	known := 0
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("offsets of %s/%d: %w", topic, p.Partition, err)
			}
			i := slices.IndexFunc(spans, func(s span) bool { return s.partition == p.Partition })
			if i < 0 {
				continue
			}
			set(&spans[i], p.Offset)
			known++
		}
	}
	if known != len(spans) {
		return fmt.Errorf("offsets of %s: %d of %d partitions are known", topic, known, len(spans))
	}
	return nil
}
