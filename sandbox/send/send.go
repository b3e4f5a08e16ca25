// Package send puts records of a person's own making into Kafka: one JSON object a line says what a record is.
//
//	{"key": "order-1", "headers": {"item_type_name": "shop.OrderPlaced"}, "value": {"id": "order-1", "total": 12.5}}
//
// A value that is an object, an array, a number or a boolean is sent as that JSON; a string is sent as its text, null
// as a tombstone. With a schema the value is JSON that is encoded as Avro in the Confluent wire format, the schema
// registered first.
package send

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/produce"
)

// Config of one run.
type Config struct {
	// Seeds are Kafka's addresses, host:port.
	Seeds []string
	// Topic to send to; it and its dead-letter topic are created when they are missing, with so many Partitions.
	Topic      string
	Partitions int
	// Repeat sends the lines so many times; 1 when zero.
	Repeat int
	// Rate bounds the records a second; 0 is flat out.
	Rate float64
	// Encode, if set, turns the JSON of a value into the record's bytes.
	Encode func(value json.RawMessage) ([]byte, error)
}

// maxLine bounds a line, in bytes: Kafka takes no record near it.
const maxLine = 64 << 20

// line is one record.
type line struct {
	Key     *string           `json:"key"`
	Headers map[string]string `json:"headers"`
	Value   json.RawMessage   `json:"value"`
	// ValueBase64 is a value that is no text, instead of Value.
	ValueBase64 *[]byte `json:"value_base64"`
	Partition   *int32  `json:"partition"`
	// TimestampMillis is the record's timestamp; now when it is left out.
	TimestampMillis *int64 `json:"timestamp_ms"`
}

// Run reads lines and sends them in their order, and returns how many Kafka has acknowledged. Empty lines and lines
// that start with # are skipped. An error names the line; those before it are sent.
func Run(ctx context.Context, c Config, in io.Reader) (sent int64, err error) {
	records, err := read(c, in)
	if err != nil {
		return 0, err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Seeds...),
		kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}), kgo.ProducerLinger(time.Millisecond))
	if err != nil {
		return 0, fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	if err := produce.Ensure(ctx, client, kafka.Topic{Name: c.Topic, Partitions: c.Partitions}); err != nil {
		return 0, err
	}
	start := time.Now()
	var first error
	results := func(_ *kgo.Record, err error) {
		if err == nil {
			sent++
		} else if first == nil {
			first = err
		}
	}
	for n := range max(c.Repeat, 1) {
		for i := range records {
			if err := produce.Pace(ctx, start, int64(n*len(records)+i), c.Rate); err != nil {
				return sent, errors.Join(err, client.Flush(context.WithoutCancel(ctx)))
			}
			one := *records[i]
			client.Produce(ctx, &one, results) // results come one at a time
		}
	}
	if err := client.Flush(ctx); err != nil {
		return sent, err
	}
	return sent, first
}

// read reads all lines first: what is wrong with the last is said before the first is sent.
func read(c Config, in io.Reader) ([]*kgo.Record, error) {
	var records []*kgo.Record
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	for n := 1; scanner.Scan(); n++ {
		text := bytes.TrimSpace(scanner.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		record, err := c.record(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		records = append(records, record)
	}
	return records, scanner.Err()
}

func (c *Config) record(text []byte) (*kgo.Record, error) {
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, fmt.Errorf("%w: a line is a JSON object of key, headers, value or value_base64, partition and "+
			"timestamp_ms", err)
	}
	r := &kgo.Record{Topic: c.Topic, Partition: -1}
	if l.Key != nil {
		r.Key = []byte(*l.Key)
	}
	if l.Partition != nil {
		if *l.Partition < 0 || int(*l.Partition) >= c.Partitions {
			return nil, fmt.Errorf("partition %d is not one of %d", *l.Partition, c.Partitions)
		}
		r.Partition = *l.Partition
	}
	if l.TimestampMillis != nil {
		r.Timestamp = time.UnixMilli(*l.TimestampMillis)
	}
	for _, key := range slices.Sorted(maps.Keys(l.Headers)) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: []byte(l.Headers[key])})
	}
	var err error
	r.Value, err = c.value(&l)
	return r, err
}

// value is a record's bytes; nil is a tombstone.
func (c *Config) value(l *line) ([]byte, error) {
	switch {
	case l.ValueBase64 != nil && l.Value != nil:
		return nil, errors.New("value and value_base64 exclude each other")
	case l.ValueBase64 != nil:
		return *l.ValueBase64, nil
	case l.Value == nil:
		return nil, errors.New("there is neither value nor value_base64; null makes a tombstone")
	case string(l.Value) == "null":
		return nil, nil
	case c.Encode != nil:
		return c.Encode(l.Value)
	}
	var s string
	if json.Unmarshal(l.Value, &s) == nil {
		return []byte(s), nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, l.Value); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}

// partitioner takes the partition that a record names, else that of its key.
type partitioner struct{ keys kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.keys.ForTopic(topic)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

func (p topicPartitioner) RequiresConsistency(*kgo.Record) bool { return true }

func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 && int(r.Partition) < n {
		return int(r.Partition)
	}
	return p.TopicPartitioner.Partition(r, n)
}
