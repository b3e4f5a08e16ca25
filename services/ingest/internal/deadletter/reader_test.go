package deadletter

import (
	"context"
	"errors"
	"fmt"
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

	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func opened(t *testing.T, c *kfake.Cluster) *Reader {
	t.Helper()
	config := testKafka(c.ListenAddrs()...)
	d, err := newReader(t.Context(), Defaults(), config, []string{letterTopic})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// written produces dead letters as a lane does.
func written(t *testing.T, c *kfake.Cluster, letters ...lane.DeadLetter) {
	t.Helper()
	if err := newTestWriter(t, testKafka(c.ListenAddrs()...)).Produce(t.Context(), letters, ignored); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, d *Reader, want func(Place) bool) ([]*Letter, Tally) {
	t.Helper()
	var found []*Letter
	tally, err := d.Letters(t.Context(), letterTopic, want, func(l *Letter) error {
		found = append(found, l.Clone())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, tally
}

// topicRecords reads what is committed in a topic.
func topicRecords(t *testing.T, c *kfake.Cluster, topic string, n int) []*kgo.Record {
	t.Helper()
	k := kafkatest.Producer(t, c, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	var out []*kgo.Record
	for len(out) < n {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		out = append(out, k.PollFetches(ctx).Records()...)
		cancel()
	}
	return out
}

// What a lane writes is read back as it was, null and empty apart; the version is there; what others wrote is counted.
func TestLettersComeBack(t *testing.T) {
	c := kafkatest.Cluster(t, kfake.SeedTopics(3, letterTopic))
	at := int64(1763859948123000)
	whole := record.Record{
		Topic: testTopic, Partition: 2, Offset: 9, TimestampMicros: at, Key: []byte{}, Value: []byte{},
		Headers: []record.Header{
			{Key: []byte("h"), Value: []byte{}},
			{Key: []byte("h"), Value: nil},
			{Key: []byte("waybill-version"), Value: []byte("mine")},
		},
	}
	null := record.Record{Topic: testTopic, Partition: 0, Offset: 3, TimestampMicros: -1, Headers: []record.Header{}}
	written(t, c,
		lane.DeadLetter{Record: &whole, Reason: "undecodable", Contract: "k", Err: "bad", Field: "a.b[3]", Byte: 0},
		lane.DeadLetter{Record: &null, Reason: "unknown_type", Err: "none", Byte: -1},
		lane.DeadLetter{Record: &null, Reason: "unknown_type", Err: "again", Byte: -1})
	p := kafkatest.Producer(t, c)
	if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: letterTopic, Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	d := opened(t, c)
	var read, total int64
	d.Watch = func(topic string, r, n int64) {
		if topic != letterTopic || r <= read {
			t.Errorf("%s: %d read after %d", topic, r, read)
		}
		read, total = r, n
	}
	found, tally := all(t, d, nil)
	if read != total || total != 8 { // four records, twice
		t.Errorf("%d of %d offsets were read", read, total)
	}
	slices.SortFunc(found, func(a, b *Letter) int { return int(a.Record.Offset - b.Record.Offset) })
	if len(found) != 2 || tally.Letters != 2 || tally.Duplicates != 1 || tally.Foreign != 1 || tally.Why == "" {
		t.Fatalf("%d letters, %+v", len(found), tally)
	}
	if diff := cmp.Diff(null, found[0].Record, kafkatest.SameRecords); diff != "" || found[0].Byte != -1 ||
		found[0].Field != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	got := found[1]
	if diff := cmp.Diff(whole, got.Record, kafkatest.SameRecords); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if got.Field != "a.b[3]" || got.Byte != 0 || got.Version == "" || got.LeftOut.Any() || got.Replayed ||
		time.Since(got.Time) > time.Minute {
		t.Errorf("letter %+v", got)
	}
	if found, _ = all(t, opened(t, c), func(p Place) bool { return p.Partition == 2 }); len(found) != 1 ||
		found[0].Of() != (Place{testTopic, 2, 9}) {
		t.Errorf("of partition 2: %+v", found)
	}
}

// Letters of the first layout are read too.
func TestLetterOfLayout1(t *testing.T) {
	r := &record.Record{Topic: letterTopic, Key: []byte(testTopic + "/0/7"), Value: []byte("v")}
	for _, h := range [][2]string{
		{"item_type_name", "a.B"},
		{"waybill-version", "1"},
		{"waybill-reason", "undecodable"},
		{"waybill-error", "e"},
		{"waybill-contract", "c"},
		{"waybill-topic", testTopic},
		{"waybill-partition", "0"},
		{"waybill-offset", "7"},
		{"waybill-time", "2026-01-02T03:04:05.000006Z"},
		{"waybill-key", "k"},
	} {
		r.Headers = append(r.Headers, record.Header{Key: []byte(h[0]), Value: []byte(h[1])})
	}
	l, place, k, err := readLetter(r)
	if err != nil || k != isLetter || place != (Place{testTopic, 0, 7}) || l.Version != "" ||
		string(l.Record.Key) != "k" ||
		len(l.Record.Headers) != 1 || l.Record.TimestampMicros != -1 || l.Byte != -1 {
		t.Errorf("%+v, %v, %v, %v", l, place, k, err)
	}
}

func replayed(t *testing.T, d *Reader, letters []*Letter) {
	t.Helper()
	r, err := d.Begin(t.Context(), letterTopic, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Produce(letters); err != nil {
		t.Fatal(err)
	}
}

// A record that is replayed is what it was, and says where it was first; its letter is marked, in the same transaction.
func TestReplay(t *testing.T) {
	c := kafkatest.Cluster(t, kfake.SeedTopics(2, testTopic), kfake.SeedTopics(1, letterTopic))
	first := record.Record{
		Topic: testTopic, Partition: 1, Offset: 4, TimestampMicros: 1763859948123000, Key: []byte{},
		Value: []byte("value"), Headers: []record.Header{{Key: []byte("a"), Value: []byte("b")}, {
			Key:   []byte("waybill-replay-of"),
			Value: []byte("events/1/2"),
		}, {Key: []byte("n")}},
	}
	second := record.Record{Topic: testTopic, Partition: 0, Offset: 5, TimestampMicros: -1}
	written(t, c, lane.DeadLetter{Record: &first, Reason: "r", Byte: -1}, lane.DeadLetter{
		Record: &second, Reason: "r",
		Byte: -1,
	})
	d := opened(t, c)
	found, _ := all(t, d, nil)
	replayed(t, d, found[:1])

	got := topicRecords(t, c, testTopic, 1)[0]
	want := []kgo.RecordHeader{{Key: "a", Value: []byte("b")}, {Key: "n"}, {
		Key:   "waybill-replay-of",
		Value: []byte("events/1/4"),
	}}
	if diff := cmp.Diff(want, got.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if got.Partition != 1 || string(got.Value) != "value" || got.Key == nil || len(got.Key) != 0 ||
		got.Timestamp.UnixMicro() != first.TimestampMicros {
		t.Errorf("record %+v", got)
	}
	found, tally := all(t, d, nil)
	if len(found) != 2 || !found[0].Replayed || found[1].Replayed || tally.Marks != 1 {
		t.Errorf("after the replay: %+v", tally)
	}
	mark := topicRecords(t, c, letterTopic, 3)[2]
	if string(mark.Key) != "events/1/4" || mark.Value == nil || !strings.Contains(fmt.Sprint(mark.Headers),
		"waybill-replayed") {
		t.Errorf("mark %+v", mark)
	}
	replayed(t, d, found[1:])
	for _, r := range topicRecords(t, c, testTopic, 2) {
		if r.Partition == 0 && (r.Key != nil || r.Value != nil) {
			t.Errorf("null is not null any more: %+v", r)
		}
	}
}

// A replay whose transaction has not ended: the next one ends it, and sees nothing of it. The old one finds out.
func TestReplayOvertaken(t *testing.T) {
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic, letterTopic))
	var letters []lane.DeadLetter
	for i := range 5 {
		letters = append(letters, lane.DeadLetter{Record: &record.Record{
			Topic: testTopic, Offset: int64(i),
			TimestampMicros: -1, Value: []byte{1},
		}, Reason: "r", Byte: -1})
	}
	written(t, c, letters...)
	d := opened(t, c)
	found, _ := all(t, d, nil)
	old, err := d.Begin(t.Context(), letterTopic, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Produce(found[:2]); err != nil {
		t.Fatal(err)
	}
	// The third letter's record and mark are there, and not committed.
	m := found[2].replayed(true)
	if err := errors.Join(old.send([]*sarama.ProducerMessage{m}, time.Now()),
		old.send([]*sarama.ProducerMessage{found[2].mark(Place{testTopic, 0, m.Offset}, "2/v", time.Now())},
			time.Now())); err != nil {
		t.Fatal(err)
	}
	young, err := d.Begin(t.Context(), letterTopic, true)
	if err != nil {
		t.Fatal(err)
	}
	found, tally := all(t, d, nil)
	if tally.Marks != 2 || !found[0].Replayed || !found[1].Replayed || found[2].Replayed {
		t.Fatalf("the younger replay sees %+v", tally)
	}
	if err := old.end(true); !errors.Is(old.explain(err), errOvertaken) {
		t.Errorf("a fenced replay commits: %v", err)
	}
	if err := old.Produce(found[2:3]); !errors.Is(err, errOvertaken) {
		t.Errorf("a fenced replay produces: %v", err)
	}
	if err := young.Produce(found[2:]); err != nil {
		t.Fatal(err)
	}
	if got := topicRecords(t, c, testTopic, 5); len(got) != 5 {
		t.Errorf("%d records", len(got))
	}
	if found, tally = all(t, d, nil); tally.Marks != 5 || !found[4].Replayed {
		t.Errorf("in the end %+v", tally)
	}
}

func TestReplayFenced(t *testing.T) {
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic, letterTopic))
	written(t, c, letter(1, "a"))
	d := opened(t, c)
	found, _ := all(t, d, nil)
	old, err := d.Begin(t.Context(), letterTopic, true)
	if err != nil {
		t.Fatal(err)
	}
	replayed(t, d, found)
	if err := old.Produce(found); !errors.Is(err, errOvertaken) {
		t.Errorf("got %v", err)
	}
	topicRecords(t, c, testTopic, 1)
}

// A topic that takes little at a time gets the records one by one.
func TestReplayTooLargeTogether(t *testing.T) {
	bound := "100000"
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, letterTopic))
	if _, err := kadm.NewClient(kafkatest.Producer(t, c)).CreateTopic(t.Context(), 1, 1,
		map[string]*string{"max.message.bytes": &bound}, testTopic); err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		written(t, c, letter(i, noise(i, 40_000)))
	}
	d := opened(t, c)
	found, _ := all(t, d, nil)
	try := func() error {
		r, err := d.Begin(t.Context(), letterTopic, true)
		if err != nil {
			t.Fatal(err)
		}
		return r.Produce(found)
	}
	if err := try(); err == nil || !passes(err) {
		t.Fatalf("the first try: %v", err)
	}
	if err := try(); err != nil {
		t.Fatalf("the second try: %v", err)
	}
	if _, tally := all(t, d, nil); tally.Marks != 20 {
		t.Errorf("%+v", tally)
	}
	topicRecords(t, c, testTopic, 20)
}

func TestLettersFaults(t *testing.T) {
	t.Run("a broker that is away for a moment", func(t *testing.T) {
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic, letterTopic))
		written(t, c, letter(1, "a"), letter(2, "b"))
		c.Fault(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Fetch}, Topic: letterTopic, Err: kerr.NotLeaderForPartition,
			Count: 3,
		})
		if found, _ := all(t, opened(t, c), nil); len(found) != 2 {
			t.Errorf("%d letters", len(found))
		}
	})
	t.Run("no topic", func(t *testing.T) {
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
		if found, tally := all(t, opened(t, c), nil); len(found) != 0 || !tally.Missing {
			t.Errorf("%+v", tally)
		}
	})
	t.Run("too many", func(t *testing.T) {
		c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic, letterTopic))
		written(t, c, letter(1, "a"), letter(2, "b"), letter(3, "c"))
		d := opened(t, c)
		defer func(n int) { maxPlaces = n }(maxPlaces)
		maxPlaces = 2
		_, err := d.Letters(t.Context(), letterTopic, nil, func(*Letter) error { return nil })
		if !errors.Is(err, errTooMany) || !strings.Contains(err.Error(), "--partition") {
			t.Errorf("got %v", err)
		}
		if found, _ := all(t, d, func(p Place) bool { return p.Offset < 3 }); len(found) != 2 {
			t.Errorf("%d letters of a part", len(found))
		}
	})
	t.Run("nobody responds", func(t *testing.T) {
		if _, err := newReader(t.Context(), Defaults(), testKafka("127.0.0.1:1"), []string{letterTopic}); err == nil ||
			!strings.Contains(err.Error(), "kafka.brokers") {
			t.Errorf("got %v", err)
		}
	})
}
