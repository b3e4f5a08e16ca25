// Package produce puts generated events into Kafka, in order of their index and with an idempotent producer, so that
// the topic holds each event once. Events of one delivery share a key, and so a partition.
package produce

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/registry"
)

// Config of one run.
type Config struct {
	// Seeds are Kafka's addresses, host:port.
	Seeds []string
	// Topic to fill: any name. Which events it gets is the generator's choice, see events.Generator.Of;
	// but for the topic parcels.
	Topic string
	// Registry is the URL of the schema registry, and SchemaVersion the version of schemas.Parcels to write with,
	// from 1 on; 0 is the newest. Parcels need them: the schema is registered first.
	Registry      string
	SchemaVersion int
	// Partitions of the topic and of none if it exists: it and its dead-letter topic are created when they are missing.
	Partitions int
	// Events to produce; 0 goes on until the context ends.
	Events int64
	// First is the index of the first event.
	First uint64
	// Rate bounds the events a second; 0 is flat out.
	Rate float64
	// Codec compresses batches: none, lz4 or zstd.
	Codec string
	// TLS is for brokers that want it; nil is plaintext.
	TLS *tls.Config
	// Generator says what the events are like.
	Generator events.Config
	// Event, if set, makes the events instead of a generator, in the same way: value and key may use dst's array.
	Event func(dst []byte, index uint64) events.Event
	// Progress, if set, is called with the run's state a few times a second, from one goroutine.
	Progress func(Summary)
}

// Summary is what was acknowledged by Kafka so far.
type Summary struct {
	Topic           string  `json:"topic"`
	Seed            uint64  `json:"seed"`
	First           uint64  `json:"first"`
	Events          int64   `json:"events"`
	Bytes           int64   `json:"bytes"` // of the values, before compression
	Seconds         float64 `json:"seconds"`
	EventsPerSecond float64 `json:"events_per_second"`
	MBPerSecond     float64 `json:"mb_per_second"` // 10^6 bytes
	Containers      int64   `json:"containers"`
	Truncated       int64   `json:"truncated"`
	UnknownTypes    int64   `json:"unknown_types"`
}

const (
	progressEvery = 200 * time.Millisecond
	flushTimeout  = 10 * time.Second // after the context has ended
	buffered      = 48 << 20
)

// Run produces. When the context ends before all Events are made, what was made is still flushed, and the error is
// the context's; an endless run then ends without error.
func Run(ctx context.Context, config Config) (Summary, error) {
	codec, err := codecByName(config.Codec)
	if err != nil {
		return Summary{}, err
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(config.Seeds...),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(5 * time.Millisecond),
		kgo.MaxBufferedBytes(buffered),
	}
	if config.TLS != nil {
		options = append(options, kgo.DialTLSConfig(config.TLS))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return Summary{}, fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	if err := Ensure(ctx, client, kafka.Topic{Name: config.Topic, Partitions: config.Partitions}); err != nil {
		return Summary{}, err
	}
	r := &run{config: config, client: client}
	if r.next, err = r.source(ctx); err != nil {
		return Summary{}, err
	}
	r.start = time.Now()
	return r.all(ctx)
}

// run is one Run under way.
type run struct {
	config Config
	client *kgo.Client
	next   func(dst []byte, index uint64) events.Event
	start  time.Time

	acknowledged, bytes atomic.Int64
	kinds               [events.UnknownType + 1]atomic.Int64
	pool                sync.Pool // of *kgo.Record, whose buffers are used again once Kafka has them
}

func (r *run) all(ctx context.Context) (Summary, error) {
	produceCtx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var reporter sync.WaitGroup
	done := make(chan struct{})
	reporter.Go(func() { r.report(done) })

	r.generate(produceCtx, fail)
	flushCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	if ctx.Err() == nil {
		cancel()
		flushCtx, cancel = context.WithCancel(produceCtx) // not interrupted: as long as it takes
	}
	defer cancel()
	err := r.client.Flush(flushCtx)
	close(done)
	reporter.Wait()

	if cause := context.Cause(produceCtx); cause != nil {
		err = cause
	}
	if r.config.Events == 0 && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("produce to %s: %w", r.config.Topic, err)
	}
	return r.summary(), err
}

// source is what makes the events of the topic.
func (r *run) source(ctx context.Context) (func(dst []byte, index uint64) events.Event, error) {
	if r.config.Event != nil {
		return r.config.Event, nil
	}
	generator := events.New(r.config.Generator)
	if r.config.Topic != events.ParcelTopic {
		return generator.Of(r.config.Topic), nil
	}
	version := r.config.SchemaVersion
	if version == 0 {
		version = len(schemas.Parcels)
	}
	if version < 1 || version > len(schemas.Parcels) {
		return nil, fmt.Errorf("there is no version %d of the schema of %s, the newest is %d",
			version, r.config.Topic, len(schemas.Parcels))
	}
	id, err := registry.Register(ctx, r.config.Registry, events.ParcelSubject, schemas.Parcels[version-1])
	if err != nil {
		return nil, err
	}
	return func(dst []byte, index uint64) events.Event {
		return generator.Parcel(dst, index, version, uint32(id))
	}, nil
}

// generate makes the events and hands them to the client, which blocks it when its buffer is full.
func (r *run) generate(ctx context.Context, fail context.CancelCauseFunc) {
	// Records outlive an interrupt: the client must not drop what it has taken.
	recordCtx := context.WithoutCancel(ctx)
	for i := int64(0); r.config.Events == 0 || i < r.config.Events; i++ {
		if Pace(ctx, r.start, i, r.config.Rate) != nil {
			return
		}
		record, _ := r.pool.Get().(*kgo.Record)
		if record == nil {
			record = &kgo.Record{Headers: []kgo.RecordHeader{{}, {}}}
		}
		event := r.next(record.Value[:0], r.config.First+uint64(i))
		*record = kgo.Record{Topic: r.config.Topic, Key: event.Key, Value: event.Value, Headers: record.Headers[:2]}
		for at, h := range event.Headers {
			record.Headers[at] = kgo.RecordHeader{Key: h.Key, Value: append(record.Headers[at].Value[:0], h.Value...)}
		}
		r.client.Produce(recordCtx, record, func(record *kgo.Record, err error) {
			if err != nil {
				fail(err)
				return
			}
			r.acknowledged.Add(1)
			r.bytes.Add(int64(len(record.Value)))
			r.kinds[event.Kind].Add(1)
			r.pool.Put(record)
		})
	}
}

// Pace waits for the turn of record i of a run, at so many records a second since its start; 0 is flat out. The error
// is that of a context that has ended.
func Pace(ctx context.Context, start time.Time, i int64, rate float64) error {
	if rate > 0 {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
	}
	return ctx.Err()
}

func (r *run) report(done <-chan struct{}) {
	if r.config.Progress == nil {
		return
	}
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			r.config.Progress(r.summary())
			return
		case <-ticker.C:
			r.config.Progress(r.summary())
		}
	}
}

func (r *run) summary() Summary {
	s := Summary{
		Topic: r.config.Topic, Seed: r.config.Generator.Seed, First: r.config.First,
		Events: r.acknowledged.Load(), Bytes: r.bytes.Load(), Seconds: time.Since(r.start).Seconds(),
		Containers: r.kinds[events.Container].Load(), Truncated: r.kinds[events.Truncated].Load(),
		UnknownTypes: r.kinds[events.UnknownType].Load(),
	}
	s.EventsPerSecond = float64(s.Events) / s.Seconds
	s.MBPerSecond = float64(s.Bytes) / 1e6 / s.Seconds
	return s
}

func codecByName(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "", "none":
		return kgo.NoCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("unknown codec %q: use none, lz4 or zstd", name)
}

// Ensure creates a topic and its dead-letter topic, of one partition, unless they exist.
func Ensure(ctx context.Context, client *kgo.Client, topic kafka.Topic) error {
	return errors.Join(ensure(ctx, client, topic),
		ensure(ctx, client, kafka.Topic{Name: topic.Name + kafka.DeadLetter, Partitions: 1}))
}

func ensure(ctx context.Context, client *kgo.Client, topic kafka.Topic) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 10_000
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = topic.Name, int32(topic.Partitions), -1
	request.Topics = append(request.Topics, one)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("create topic %s: %w", topic.Name, err)
	}
	err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s: %w", topic.Name, err)
	}
	return nil
}
