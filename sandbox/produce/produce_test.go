package produce_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
	"github.com/waybill-data/waybill/sandbox/kafka"
	"github.com/waybill-data/waybill/sandbox/produce"
	"github.com/waybill-data/waybill/sandbox/registry"
	"github.com/waybill-data/waybill/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What Kafka holds is what the generator makes: each event once, complete, although buffers are used again.
func TestEveryEventOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	catalog := sandboxtest.Registry(t)
	for _, codec := range []string{"none", "lz4", "zstd"} {
		for _, topic := range []string{
			events.DeliveryTopic, events.StockTopic, events.ParcelTopic, events.ScanJSONTopic, events.ScanProtoTopic,
		} {
			cluster := sandboxtest.Kafka(t, kafka.Config{})
			const count, first = 600, 100
			reported := int64(0)
			config := produce.Config{
				Seeds: cluster.Seeds(), Topic: topic, Partitions: 3, Events: count, First: first, Codec: codec,
				Registry: catalog.URL(), SchemaVersion: 2,
				Generator: events.Config{
					Seed: 5, Size: 4000, ContainerEvery: 100, TruncatedEvery: 100,
					UnknownTypeEvery: 100,
				},
				Progress: func(s produce.Summary) { reported = s.Events },
			}
			summary, err := produce.Run(ctx, config)
			if err != nil || summary.Events != count || reported != count {
				t.Fatalf("%+v, %d reported, %v", summary, reported, err)
			}
			if topic == events.DeliveryTopic &&
				(summary.Containers == 0 || summary.Truncated == 0 || summary.UnknownTypes == 0) {
				t.Errorf("%+v", summary)
			}
			check(ctx, t, cluster, config, summary)
		}
	}
}

func check(ctx context.Context, t *testing.T, cluster *kafka.Cluster, config produce.Config, summary produce.Summary) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Seeds()...), kgo.ConsumeTopics(config.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	got := map[string]*kgo.Record{}
	var size int64
	for seen := int64(0); seen < config.Events; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			size += int64(len(r.Value))
			got[string(r.Key)+string(r.Value)] = r
		})
	}
	if size != summary.Bytes {
		t.Errorf("%d bytes in the topic, %d in the summary", size, summary.Bytes)
	}
	generator := events.New(config.Generator)
	next := map[string]func([]byte, uint64) events.Event{
		events.DeliveryTopic: generator.Delivery, events.StockTopic: generator.Stock,
		events.ScanJSONTopic: generator.ScanJSON, events.ScanProtoTopic: generator.ScanProto,
	}[config.Topic]
	if config.Topic == events.ParcelTopic {
		id, err := registry.Register(ctx, config.Registry, events.ParcelSubject,
			schemas.Parcels[config.SchemaVersion-1])
		if err != nil {
			t.Fatal(err)
		}
		next = func(dst []byte, index uint64) events.Event {
			return generator.Parcel(dst, index, config.SchemaVersion, uint32(id))
		}
	}
	for i := range uint64(config.Events) {
		event := next(nil, config.First+i)
		record := got[string(event.Key)+string(event.Value)]
		if record == nil {
			t.Fatalf("%s: event %d is not in the topic", config.Topic, i)
		}
		for at, h := range event.Headers {
			if record.Headers[at].Key != h.Key || !bytes.Equal(record.Headers[at].Value, []byte(h.Value)) {
				t.Fatalf("event %d: headers %v, want %v", i, record.Headers, event.Headers)
			}
		}
	}
}

// An endless run ends without error, a bounded one with the reason; both keep what was made.
func TestInterrupt(t *testing.T) {
	cluster := sandboxtest.Kafka(t, kafka.Config{})
	for _, count := range []int64{0, 1 << 40} {
		ctx, cancel := context.WithCancel(t.Context())
		summary, err := produce.Run(ctx, produce.Config{
			Seeds: cluster.Seeds(), Topic: events.StockTopic, Partitions: 1, Events: count, Rate: 2000,
			Progress: func(s produce.Summary) {
				if s.Events > 300 {
					cancel()
				}
			},
		})
		cancel()
		if summary.Events <= 300 || summary.EventsPerSecond > 2200 {
			t.Errorf("%+v", summary)
		}
		if count == 0 && err != nil || count > 0 && !errors.Is(err, context.Canceled) {
			t.Errorf("%d events: %v", count, err)
		}
	}
}

// An error of Kafka's ends the run.
func TestError(t *testing.T) {
	cluster := sandboxtest.Kafka(t, kafka.Config{})
	if _, err := cluster.Add(kafka.Fault{Key: "Produce", Error: "TOPIC_AUTHORIZATION_FAILED", Count: -1}); err != nil {
		t.Fatal(err)
	}
	_, err := produce.Run(t.Context(), produce.Config{Seeds: cluster.Seeds(), Topic: events.StockTopic, Partitions: 1})
	if err == nil {
		t.Error("no error")
	}
	if _, err := produce.Run(t.Context(), produce.Config{Codec: "brotli"}); err == nil {
		t.Error("an unknown codec is taken")
	}
	for _, config := range []produce.Config{
		{SchemaVersion: 4, Registry: sandboxtest.Registry(t).URL()}, {Registry: "http://127.0.0.1:1"},
	} {
		config.Seeds, config.Topic, config.Partitions, config.Events = cluster.Seeds(), events.ParcelTopic, 1, 1
		if _, err := produce.Run(t.Context(), config); err == nil {
			t.Errorf("%+v: no error", config)
		}
	}
}
