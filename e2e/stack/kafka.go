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

// Log is a view of the stack's Kafka that does not go through Waybill: what was produced, and what the group has committed.
type Log struct {
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
	return &Log{client: client, admin: kadm.NewClient(client), group: s.Config.Group}, nil
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
