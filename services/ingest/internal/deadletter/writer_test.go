package deadletter

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/pkg/version"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// consumed reads n records of the dead-letter topic.
func consumed(t *testing.T, c *kfake.Cluster, n int) []*kgo.Record {
	t.Helper()
	k := kafkatest.Producer(t, c, kgo.ConsumeTopics(letterTopic))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out []*kgo.Record
	for len(out) < n {
		f := k.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d dead letters", len(out), n)
		}
		out = append(out, f.Records()...)
	}
	return out
}

func letter(offset int64, value string) lane.DeadLetter {
	return lane.DeadLetter{
		Record: &record.Record{
			Topic: testTopic, Offset: offset, TimestampMicros: 1763859948123000, Key: []byte("key"),
			Value: []byte(value), Headers: []record.Header{{Key: []byte("item_type_name"), Value: []byte("a.b.C")}, {
				Key:   []byte("empty"),
				Value: nil,
			}},
		},
		Reason: "undecodable", Contract: "delivery", Err: "delivery.weight at byte 7: cut short",
		Field: "delivery.weight", Byte: 7,
	}
}

func TestDeadLetter(t *testing.T) {
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
	w := newTestWriter(t, testKafka(c.ListenAddrs()...))
	null := letter(8, "")
	null.Record.Key, null.Record.Value, null.Record.Headers = nil, nil, nil
	if err := w.Produce(t.Context(), []lane.DeadLetter{letter(7, "value"), null}, ignored); err != nil {
		t.Fatal(err)
	}
	got := consumed(t, c, 2)
	header := map[string]string{}
	var order []string
	for _, h := range got[0].Headers {
		header[h.Key] = string(h.Value)
		order = append(order, h.Key)
	}
	at, err := time.Parse(time.RFC3339Nano, header["waybill-time"])
	if err != nil || time.Since(at).Abs() > time.Minute ||
		len(header["waybill-time"]) != len("2006-01-02T15:04:05.000000Z") {
		t.Errorf("waybill-time %q", header["waybill-time"])
	}
	delete(header, "waybill-time")
	want := map[string]string{
		"item_type_name": "a.b.C", "empty": "", "waybill-version": "2/" + version.String(),
		"waybill-reason": "undecodable", "waybill-error": "delivery.weight at byte 7: cut short",
		"waybill-contract": "delivery", "waybill-topic": testTopic,
		"waybill-partition": "0", "waybill-offset": "7", "waybill-key": "key", "waybill-timestamp": "1763859948123",
		"waybill-field": "delivery.weight", "waybill-byte": "7",
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if order[0] != "item_type_name" || got[0].Headers[1].Value != nil {
		t.Error("the original headers are not first and as they were")
	}
	if string(got[0].Key) != testTopic+"/0/7" || string(got[0].Value) != "value" {
		t.Errorf("key %q value %q", got[0].Key, got[0].Value)
	}
	if got[1].Value != nil || strings.Contains(keysOf(got[1]), "waybill-key") {
		t.Errorf("a null key or value is not null any more: %+v", got[1])
	}
	if d, err := kadm.NewClient(kafkatest.Producer(t, c)).ListTopics(t.Context(), letterTopic); err != nil ||
		len(d[letterTopic].Partitions) != 1 {
		t.Errorf("the topic made: %+v, %v", d, err)
	}
}

func keysOf(r *kgo.Record) string {
	var keys []string
	for _, h := range r.Headers {
		keys = append(keys, h.Key)
	}
	return strings.Join(keys, " ")
}

// noise is text that does not compress.
func noise(seed int64, n int) string {
	random := rand.New(rand.NewPCG(1, uint64(seed)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

func TestDeadLetterFaults(t *testing.T) {
	t.Run("retried", func(t *testing.T) {
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic, letterTopic))
		w := newTestWriter(t, testKafka(c.ListenAddrs()...))
		// More than sarama's own patience.
		f := c.Fault(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Produce}, Topic: letterTopic, Err: kerr.NotEnoughReplicas,
			Count: 6,
		})
		if err := w.Produce(t.Context(), []lane.DeadLetter{letter(1, "a"), letter(2, "b")}, ignored); err != nil {
			t.Fatal(err)
		}
		if f.Hits() != 6 {
			t.Errorf("%d faults", f.Hits())
		}
		consumed(t, c, 2)
	})
	t.Run("too large", func(t *testing.T) {
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic, letterTopic))
		w := newTestWriter(t, testKafka(c.ListenAddrs()...))
		// Once beside what other lanes may send, and once alone.
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: letterTopic, Err: kerr.MessageTooLarge, Count: 2})
		if err := w.Produce(t.Context(), []lane.DeadLetter{letter(1, strings.Repeat("four", 100))},
			ignored); err != nil {
			t.Fatal(err)
		}
		got := consumed(t, c, 1)[0]
		if last := got.Headers[len(got.Headers)-1]; got.Value != nil || last.Key != "waybill-value-left-out" ||
			string(last.Value) != "400" {
			t.Errorf("value %q, headers %v", got.Value, got.Headers)
		}
	})
	// sarama makes one batch of what lanes send at a time: letters that are too large with those of others only, keep
	// their values.
	t.Run("too large beside others", func(t *testing.T) {
		bound := "100000"
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
		if _, err := kadm.NewClient(kafkatest.Producer(t, c)).CreateTopic(t.Context(), 1, 1,
			map[string]*string{"max.message.bytes": &bound}, letterTopic); err != nil {
			t.Fatal(err)
		}
		w := newTestWriter(t, testKafka(c.ListenAddrs()...))
		const lanes = 20
		ended := make(chan error, lanes)
		for i := range int64(lanes) {
			go func() {
				ended <- w.Produce(t.Context(), []lane.DeadLetter{letter(i, noise(i, 40_000))}, ignored)
			}()
		}
		for range lanes {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		for _, r := range consumed(t, c, lanes) {
			if len(r.Value) != 40_000 {
				t.Errorf("%s has %d bytes", r.Key, len(r.Value))
			}
		}
	})
	// Brokers bound a batch as they bound a record: letters that are too large together only, keep their values.
	t.Run("too large together", func(t *testing.T) {
		bound := "100000"
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
		if _, err := kadm.NewClient(kafkatest.Producer(t, c)).CreateTopic(t.Context(), 1, 1,
			map[string]*string{"max.message.bytes": &bound}, letterTopic); err != nil {
			t.Fatal(err)
		}
		var batch []lane.DeadLetter
		for i := range int64(40) {
			batch = append(batch, letter(i, noise(i, 40_000)))
		}
		batch = append(batch, letter(40, noise(40, 200_000)))
		if err := newTestWriter(t, testKafka(c.ListenAddrs()...)).Produce(t.Context(), batch, ignored); err != nil {
			t.Fatal(err)
		}
		whole := 0
		for _, r := range consumed(t, c, 41) {
			if len(r.Value) == 40_000 {
				whole++
			} else if !strings.Contains(keysOf(r), "waybill-value-left-out") {
				t.Errorf("%s has %d bytes", r.Key, len(r.Value))
			}
		}
		if whole != 40 {
			t.Errorf("%d of 40 letters have their values", whole)
		}
	})
	t.Run("not allowed to create", func(t *testing.T) {
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
		w := newTestWriter(t, testKafka(c.ListenAddrs()...), func(c *Config) { c.Create = false })
		sent := make(chan error, 1)
		go func() { sent <- w.Produce(t.Context(), []lane.DeadLetter{letter(1, "a")}, ignored) }()
		kafkatest.Eventually(t, "the remedy in the log",
			func() bool { return w.logs.Count("create it, or set dead_letter.create") == 1 })
		if _, err := kadm.NewClient(kafkatest.Producer(t, c)).CreateTopic(t.Context(), 3, 1, nil,
			letterTopic); err != nil {
			t.Fatal(err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		consumed(t, c, 1)
	})
	t.Run("until the caller gives up", func(t *testing.T) {
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
		w := newTestWriter(t, testKafka(c.ListenAddrs()...))
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := w.Produce(ctx, []lane.DeadLetter{letter(1, "a")}, ignored); err == nil || ctx.Err() == nil {
			t.Errorf("got %v", err)
		}
	})
}

// The memory of a record is used for others once its lane has settled it; a letter may lie in the producer for longer.
func TestLetterHasBytesOfItsOwn(t *testing.T) {
	memory := []byte("key value name text")
	r := record.Record{
		Topic: testTopic, Offset: 5, TimestampMicros: -1, Key: memory[:3], Value: memory[4:9],
		Headers: []record.Header{{Key: memory[10:14], Value: memory[15:]}},
	}
	l := NewWriter(Defaults(), testKafka("127.0.0.1:1"), new(logtest.Log).Logger(), nil)
	m := l.message(newDraft(&lane.DeadLetter{Record: &r, Reason: "refused", Byte: -1}, time.Now()))
	copied := (&Letter{Record: r}).Clone()
	for i := range memory {
		memory[i] = '!'
	}
	value, err := m.Value.Encode()
	if err != nil || string(value) != "value" || string(m.Headers[0].Key) != "name" ||
		string(m.Headers[0].Value) != "text" {
		t.Errorf("value %q, header %q=%q, %v", value, m.Headers[0].Key, m.Headers[0].Value, err)
	}
	if i := slices.IndexFunc(m.Headers,
		func(h sarama.RecordHeader) bool { return string(h.Key) == "waybill-key" }); i < 0 ||
		string(m.Headers[i].Value) != "key" {
		t.Errorf("the record's key is not in %v", m.Headers)
	}
	if c := copied.Record; string(c.Key) != "key" || string(c.Value) != "value" || string(c.Headers[0].Key) != "name" ||
		string(c.Headers[0].Value) != "text" {
		t.Errorf("the copy is %+v", c)
	}
}
