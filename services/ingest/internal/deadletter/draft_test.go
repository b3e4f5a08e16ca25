package deadletter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkatest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// createLetters makes the dead-letter topic with a bound on what it takes.
func createLetters(t *testing.T, c *kfake.Cluster, bound string) {
	t.Helper()
	_, err := kadm.NewClient(kafkatest.Producer(t, c)).CreateTopic(t.Context(), 1, 1,
		map[string]*string{"max.message.bytes": &bound}, letterTopic)
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever of a record is too large for the dead-letter topic, its letter is produced without that, says so, and keeps
// the rest; and a letter that lacks anything is not replayed as if it were whole.
func TestLetterOfAnyRecord(t *testing.T) {
	const bound = 100_000
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
	createLetters(t, c, fmt.Sprint(bound))
	w := newTestWriter(t, testKafka(c.ListenAddrs()...))
	large := func(seed int64) []byte { return []byte(noise(seed, bound-200)) }
	trace := []record.Header{{Key: []byte("trace"), Value: large(1)}, {Key: []byte("b"), Value: []byte("c")}}
	small := []record.Header{{Key: []byte("a"), Value: []byte("b")}}
	for i, test := range []struct {
		name   string
		record record.Record
		err    string
		lacks  string
	}{
		{"value", record.Record{Key: []byte("k"), Value: large(2), Headers: small}, "x", "the value (99800 bytes)"},
		{
			"headers",
			record.Record{Key: []byte("k"), Value: []byte("v"), Headers: trace},
			"x",
			"the headers (2 of 99807 bytes)",
		},
		{"key", record.Record{Key: large(3), Value: []byte("v"), Headers: small}, "x", "the key (99800 bytes)"},
		{
			"all",
			record.Record{Key: large(4), Value: large(5), Headers: trace},
			"x",
			"the value (99800 bytes), the key (99800 bytes), the headers (2 of 99807 bytes)",
		},
		{"error", record.Record{Key: []byte("k"), Value: []byte("v"), Headers: small}, noise(6, 500_000), ""},
		{"nothing", record.Record{}, "", ""},
	} {
		r := test.record
		r.Topic, r.TimestampMicros, r.Offset = testTopic, -1, int64(i)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := w.Produce(ctx, []lane.DeadLetter{{
			Record: &r, Reason: "undecodable", Contract: "c", Err: test.err,
			Byte: -1,
		}}, ignored)
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		got := taken(t, consumed(t, c, i+1)[i])
		if got.LeftOut.String() != test.lacks || got.Of() != (Place{testTopic, 0, int64(i)}) ||
			got.Reason != "undecodable" {
			t.Errorf("%s: lacks %q, want %q: %+v", test.name, got.LeftOut, test.lacks, got)
		}
		if test.err == "x" && got.Err != "x" || len(got.Err) > maxText+64 {
			t.Errorf("%s: its error has %d bytes", test.name, len(got.Err))
		}
		if whole := got.LeftOut.Value < 0; whole && !bytes.Equal(got.Record.Value, r.Value) || !whole &&
			got.Record.Value != nil {
			t.Errorf("%s: value of %d bytes", test.name, len(got.Record.Value))
		}
		if whole := got.LeftOut.Key < 0; whole && !bytes.Equal(got.Record.Key, r.Key) || !whole &&
			got.Record.Key != nil {
			t.Errorf("%s: key of %d bytes", test.name, len(got.Record.Key))
		}
		if whole := got.LeftOut.Headers < 0; whole && len(got.Record.Headers) != len(r.Headers) || !whole &&
			len(got.Record.Headers) != 0 {
			t.Errorf("%s: %d headers", test.name, len(got.Record.Headers))
		}
	}
}

// taken reads a letter as it is in Kafka.
func taken(t *testing.T, k *kgo.Record) Letter {
	t.Helper()
	r := record.Record{Topic: k.Topic, Partition: k.Partition, Offset: k.Offset, Key: k.Key, Value: k.Value}
	for _, h := range k.Headers {
		r.Headers = append(r.Headers, record.Header{Key: []byte(h.Key), Value: h.Value})
	}
	l, _, kind, err := readLetter(&r)
	if err != nil || kind != isLetter {
		t.Fatalf("%v, %v: %+v", kind, err, k)
	}
	return l
}

// To a version of the program that knows no parts but the value, a letter that lacks others looks foreign: it does not
// replay it.
func TestLetterWithoutHeadersHasALayoutOfItsOwn(t *testing.T) {
	l := NewWriter(Defaults(), testKafka("127.0.0.1:1"), new(logtest.Log).Logger(), nil)
	r := record.Record{
		Topic: testTopic, Value: []byte("value"), Key: []byte("key"),
		Headers: []record.Header{{Key: []byte("header"), Value: []byte("x")}},
	}
	m := l.message(newDraft(&lane.DeadLetter{Record: &r, Reason: "r", Byte: -1}, time.Now()))
	layouts := ""
	for ok := true; ok; m, ok = l.shorten(m) {
		for _, h := range m.Headers {
			if string(h.Key) == headerVersion {
				layouts += string(h.Value[:2])
			}
		}
	}
	// Whole, without headers, without the value, without the key; the error has nothing to give.
	if layouts != "2/3/3/3/" {
		t.Errorf("layouts %s", layouts)
	}
}

// A topic that takes next to nothing stops the lane, which says why and what to do.
func TestLetterThatCannotFit(t *testing.T) {
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic))
	createLetters(t, c, "100")
	w := newTestWriter(t, testKafka(c.ListenAddrs()...))
	var waits waitText
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() { sent <- w.Produce(ctx, []lane.DeadLetter{letter(1, "a")}, waits.set) }()
	kafkatest.Eventually(t, "the remedy at the lane and in the log", func() bool {
		return strings.Contains(waits.now(), "raise its max.message.bytes") &&
			strings.Contains(waits.now(), letterTopic) &&
			w.logs.Count("raise its max.message.bytes") == 1
	})
	cancel()
	if err := <-sent; err == nil || waits.now() != "" {
		t.Errorf("%v, and the lane waits for %q", err, waits.now())
	}
}

// The dead-letter topic of a topic whose name fills the bound has a name that is within it, and no other topic's.
func TestNameOfADeadLetterTopic(t *testing.T) {
	d := Defaults()
	short, long := strings.Repeat("t", maxTopic-len(d.Suffix)), strings.Repeat("t", maxTopic)
	names := []string{d.Topic("orders"), d.Topic(short), d.Topic(long), d.Topic(long[1:] + "u"), d.Topic(long[1:])}
	for i, name := range names {
		if !kafkaName.MatchString(name) || !strings.HasSuffix(name, d.Suffix) || slices.Contains(names[:i], name) {
			t.Errorf("%q", name)
		}
	}
	if names[0] != "orders"+d.Suffix || names[1] != short+d.Suffix {
		t.Errorf("%q, %q", names[0], names[1])
	}
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, long))
	config := testKafka(c.ListenAddrs()...)
	l := letter(1, "a")
	l.Record.Topic = long
	if err := newTestWriter(t, config).Produce(t.Context(), []lane.DeadLetter{l}, ignored); err != nil {
		t.Fatal(err)
	}
	dead, err := newReader(t.Context(), Defaults(), config, []string{names[2]})
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	tally, err := dead.Letters(t.Context(), d.Topic(long), nil, func(l *Letter) error {
		if l.Record.Topic != long {
			t.Errorf("a letter of %s", l.Record.Topic)
		}
		return nil
	})
	if err != nil || tally.Letters != 1 {
		t.Errorf("%+v, %v", tally, err)
	}
}

// A writer may be closed while a call of a lane that has been given up still produces: that is waited for, and what
// comes after is refused.
func TestClosedUnderACall(t *testing.T) {
	c := kafkatest.Cluster(t, kfake.SeedTopics(1, testTopic, letterTopic))
	w := newTestWriter(t, testKafka(c.ListenAddrs()...))
	sending, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		first.Do(func() {
			close(sending)
			c.SleepControl(func() { <-release })
		})
		return nil, nil, false
	})
	var batch []lane.DeadLetter
	for i := range int64(20) { // several requests
		batch = append(batch, letter(i, strings.Repeat("x", 400_000)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan error, 1)
	go func() { sent <- w.Produce(ctx, batch, ignored) }()
	<-sending
	cancel() // the drain deadline
	if err := <-sent; err == nil {
		t.Error("a call that was given up says that it is done")
	}
	var stopping sync.WaitGroup
	stopping.Go(w.Close)
	kafkatest.Eventually(t, "the end of the producer", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.closed
	})
	close(release)
	stopping.Wait() // the producer panics when it is closed under the call
	if err := w.open(); !errors.Is(err, errClosed) {
		t.Errorf("a producer is made after the end: %v", err)
	}
}
