package stack

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Topics of the built-in contracts.
const (
	DeliveryTopic = "delivery_events_v6_topic"
	StockTopic    = "sms_physical_stock_updated_topic"
	DeadLetters   = ".dead-letter"
)

// Log is a view of the stack's Kafka that does not go through Waybill: what was produced, and what the group has
// committed.
type Log struct {
	seeds  []string
	client *kgo.Client
	admin  *kadm.Client
	group  string
}

// Seeds are the addresses of the stack's Kafka, host:port.
func (s *Stack) Seeds() []string { return strings.Split(s.Endpoints.Kafka, ", ") }

// Log connects to the stack's Kafka.
func (s *Stack) Log() (*Log, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Seeds()...))
	if err != nil {
		return nil, err
	}
	return &Log{seeds: s.Seeds(), client: client, admin: kadm.NewClient(client), group: s.Config.Group}, nil
}

// Close ends the connection.
func (l *Log) Close() { l.client.Close() }

// Produced is how many offsets the topics hold.
func (l *Log) Produced(ctx context.Context, topics ...string) (int64, error) {
	ends, err := l.admin.ListEndOffsets(ctx, topics...)
	if err != nil {
		return 0, err
	}
	var n int64
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			n += o.Offset
		}
	})
	return n, nil
}

// Behind is the sum of the positions behind the last record of each partition of the topics: Produced, but for markers
// of transactions at the ends.
func (l *Log) Behind(ctx context.Context, topics ...string) (int64, error) {
	var sum int64
	for _, topic := range topics {
		behind := map[int32]int64{}
		if err := l.Each(ctx, topic, func(r *kgo.Record) error {
			behind[r.Partition] = r.Offset + 1
			return nil
		}); err != nil {
			return 0, err
		}
		for _, n := range behind {
			sum += n
		}
	}
	return sum, nil
}

// Committed is the sum of the positions that the group has committed for the topics.
func (l *Log) Committed(ctx context.Context, topics ...string) (int64, error) {
	offsets, err := l.admin.FetchOffsets(ctx, l.group)
	if err != nil {
		return 0, fmt.Errorf("fetch offsets: %w", err)
	}
	var n int64
	for _, t := range topics {
		for _, o := range offsets[t] {
			if o.Err == nil {
				n += max(o.At, 0)
			}
		}
	}
	return n, nil
}

// Settled is nil when the group has committed all that the topics hold, and says how far it is otherwise.
func (l *Log) Settled(ctx context.Context, topics ...string) error {
	produced, err := l.Produced(ctx, topics...)
	if err != nil {
		return err
	}
	committed, err := l.Committed(ctx, topics...)
	if err == nil && committed != produced {
		err = fmt.Errorf("%s: %d of %d committed", strings.Join(topics, ", "), committed, produced)
	}
	return err
}

// Ends are the ends of a topic's partitions.
func (l *Log) Ends(ctx context.Context, topic string) (map[int32]int64, error) {
	listed, err := l.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends, listed.Error()
}

// EachHeaders reads a topic from its beginning to the end that it has now, and gives the headers of each committed
// record.
func (l *Log) EachHeaders(ctx context.Context, topic string, f func(map[string]string) error) error {
	return l.Each(ctx, topic, func(r *kgo.Record) error {
		headers := make(map[string]string, len(r.Headers))
		for _, h := range r.Headers {
			headers[h.Key] = string(h.Value)
		}
		return f(headers)
	})
}

// Each reads a topic from its beginning to the end that it has now, and gives each committed record.
func (l *Log) Each(ctx context.Context, topic string, f func(*kgo.Record) error) error {
	ends, err := l.Ends(ctx, topic)
	if err != nil {
		return err
	}
	from := map[int32]kgo.Offset{}
	for partition, end := range ends {
		if end > 0 {
			from[partition] = kgo.NewOffset().AtStart()
		}
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(l.seeds...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // a partition may end with a marker: without it the end would never be seen
		// The partition's bound is the one to be met: kfake forgets to name the aborted transactions of a response that
		// the other has cut.
		kgo.FetchMaxBytes(96<<20), kgo.FetchMaxPartitionBytes(1<<20))
	if err != nil {
		return err
	}
	defer reader.Close()
	for len(from) > 0 {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for r := range fetches.RecordsAll() {
			if !r.Attrs.IsControl() {
				if err := f(r); err != nil {
					return err
				}
			}
			if r.Offset >= ends[r.Partition]-1 {
				delete(from, r.Partition)
			}
		}
	}
	return nil
}
