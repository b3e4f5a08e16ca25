package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func TestRecordsAsKafkaHoldsThem(t *testing.T) {
	for name, codec := range map[string]kgo.CompressionCodec{
		"none":   kgo.NoCompression(),
		"gzip":   kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(),
		"lz4":    kgo.Lz4Compression(),
		"zstd":   kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, kfake.SeedTopics(1, testTopic))
			at := time.UnixMilli(1_700_000_000_123)
			headers := []kgo.RecordHeader{
				{Key: "a", Value: []byte("1")},
				{Key: "a", Value: nil},
				{Key: "", Value: []byte{}},
			}
			records := []*kgo.Record{
				{Key: []byte("k"), Value: []byte("v"), Headers: headers},
				{Key: nil, Value: nil},
				{Key: []byte{}, Value: []byte{}},
				{Value: bytes.Repeat([]byte("x"), 200_000)}, // larger than the fetch size below
			}
			for _, r := range records {
				r.Topic, r.Timestamp = testTopic, at
			}
			p := producer(t, c, kgo.ProducerBatchCompression(codec))
			if err := p.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) { c.Kafka.Fetch.Bytes = minFetch }),
				false)
			got := read(t, open(t, s.claim(t), 0), len(records))
			var want []record.Record
			for i, r := range records {
				w := record.Record{
					Topic: testTopic, Offset: int64(i), TimestampMicros: at.UnixMicro(), Key: r.Key,
					Value: r.Value,
				}
				for _, h := range r.Headers {
					w.Headers = append(w.Headers, record.Header{Key: []byte(h.Key), Value: h.Value})
				}
				want = append(want, w)
			}
			if diff := cmp.Diff(want, got, sameRecords); diff != "" { // null and empty are different
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNextWaitsAndReturns(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	r := open(t, s.claim(t), 0)
	dst := make([]record.Record, 0, 2)
	began := time.Now()
	out, err := r.Next(t.Context(), dst, began.Add(50*time.Millisecond))
	if took := time.Since(began); err != nil || len(out) != 0 || took < 50*time.Millisecond {
		t.Errorf("Next() = %d records, %v after %v; want none at the deadline", len(out), err, took)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	time.AfterFunc(20*time.Millisecond, func() { cancel(stop) })
	if _, err := r.Next(ctx, dst, time.Time{}); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	produce(t, producer(t, c), 0, 0, 5)
	for want := int64(5); want > 0; {
		if out, err = r.Next(t.Context(), dst, time.Time{}); err != nil || len(out) > cap(dst) {
			t.Fatalf("%d records, %v", len(out), err)
		}
		want -= int64(len(out))
		if b := r.Backlog(); b != want {
			t.Errorf("backlog %d, want %d", b, want)
		}
	}
	r.Close()
	if _, err := r.Next(t.Context(), dst, time.Time{}); !errors.Is(err, errReaderClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Markers and aborted records are offsets without records: a lane that has everything has no backlog, or it would wait
// for more to come and tell of a lag for ever.
func TestMarkersAreNoBacklog(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c, kgo.TransactionalID("two"))
	transaction := func(from, n int, end kgo.TransactionEndTry) {
		t.Helper()
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, p, 0, from, n)
		if err := p.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	transaction(0, 3, kgo.TryCommit)  // records 0 to 2, marker 3
	transaction(3, 2, kgo.TryAbort)   // 4 and 5 aborted, marker 6
	transaction(5, 10, kgo.TryCommit) // 7 to 16, marker 17
	transaction(15, 2, kgo.TryAbort)  // 18 and 19 aborted, marker 20
	s := start(t, testConfig(c.ListenAddrs()...), false)
	r := open(t, s.claim(t), 0)
	defer r.Close()
	out, err := r.Next(t.Context(), make([]record.Record, 0, 2), time.Time{})
	if err != nil || len(out) != 2 || out[1].Offset != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	// Eleven records are left, in a response with all that lies between and behind them, or partly still to be fetched.
	if b := r.Backlog(); b < 11 || b > 19 {
		t.Errorf("backlog %d with 11 records left", b)
	}
	if out := read(t, r, 11); out[10].Offset != 16 {
		t.Errorf("the last record is at %d", out[10].Offset)
	}
	eventually(t, "nothing is left", func() bool { return r.Backlog() == 0 })
}

// A lane that takes nothing is paused within its bounds, and its neighbours on the same client and broker go on.
func TestSlowLaneStallsNobody(t *testing.T) {
	const (
		n     = 20_000
		fetch = minFetch
		// Values of produce have 4 to 8 bytes. Around one, Kafka's record format v2 spends 7 to 12 here.
		smallest  = 4 + 7
		largest   = 8 + 12
		budget    = 512 << 10
		byteBound = budget / 4 // of one claim
		// byteFloor is of one claim of two when the budget is half used: more than recordBound records.
		byteFloor   = budget / (4 * 2)
		recordBound = 2000
	)
	// What a lane that takes nothing holds beyond its bound: one fetch.
	const beyond = fetch / smallest
	for name, test := range map[string]struct {
		records   int // configured
		low, high int // records that the slow lane may hold
	}{
		"bound by records": {recordBound, recordBound, recordBound + beyond},
		"bound by bytes":   {10 * n, byteFloor / largest, byteBound/smallest + beyond},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(2, testTopic))
			// A fetch has the size that was asked for only where batches are smaller, and as many records as that only
			// uncompressed.
			p := producer(t, c, kgo.ProducerBatchMaxBytes(fetch/4), kgo.ProducerBatchCompression(kgo.NoCompression()))
			s := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) {
				c.Kafka.Fetch.Clients = 1
				c.Kafka.Fetch.Bytes, c.Kafka.Fetch.Prefetch, c.Kafka.Fetch.Records = fetch, budget, test.records
			}), false)
			produce(t, p, 0, 0, n)
			produce(t, p, 1, 0, n)
			a, b := s.claim(t), s.claim(t)
			slow := open(t, a, 0).(*reader)
			fast := open(t, b, 0)
			read(t, fast, n)
			eventually(t, "the pause of the slow lane", slow.isPaused)
			// Both lanes share one chain of fetches. The first round may come with the fetch that was under way at the
			// pause; the second comes with a later one, so nothing more is on its way to the slow lane.
			for i := range 2 {
				produce(t, p, b.Number(), n+i, 1)
				read(t, fast, 1)
			}
			slow.mu.Lock()
			queued, held, counted := slow.count, slow.bytes, s.metrics.budget.Load().held.Load()
			slow.mu.Unlock()
			t.Logf("the slow lane holds %d records, %d bytes", queued, held)
			if queued < test.low || queued > test.high {
				t.Errorf("the slow lane holds %d records, want %d to %d", queued, test.low, test.high)
			}
			if counted != held {
				t.Errorf("the budget counts %d bytes, the slow lane holds %d", counted, held)
			}
			// It goes on where it was, complete.
			for i, got := range read(t, slow, n) {
				if want := fmt.Sprintf("v%d-%d", a.Number(), i); string(got.Value) != want {
					t.Fatalf("record %d is %s", i, got.Value)
				}
			}
			slow.mu.Lock()
			defer slow.mu.Unlock()
			if got := s.metrics.budget.Load().held.Load(); got != 0 || slow.queue != nil {
				t.Errorf("an empty reader holds %d bytes", got)
			}
		})
	}
}

func TestPrefetchBounds(t *testing.T) {
	for _, claims := range []int{0, 1, 16, 500, 5000} {
		p, fetch := newPrefetch(48<<20, 1<<20, 1000, claims)
		if fetch < minFetch || fetch > 1<<20 {
			t.Errorf("%d claims: fetches of %d bytes", claims, fetch)
		}
		// All readers are slow: each fills up until it is full, and one fetch on top.
		var held int64
		for range claims {
			var own int64
			for !p.full(own, 0) {
				own += int64(fetch)
				p.held.Add(int64(fetch))
			}
			held += own
			if !p.full(own, 0) || p.low(own, 0) {
				t.Fatal("full and low at once")
			}
		}
		if claims <= 500 && held > 48<<20+int64(claims)*int64(fetch) {
			t.Errorf("%d claims hold %d bytes", claims, held)
		}
	}
}

func TestReadCommitted(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c, kgo.TransactionalID("tx"))
	for i := range 4 {
		if err := p.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, p, 0, 10*i, 10)
		if err := p.EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	r := open(t, o, 0)
	for i, got := range read(t, r, 20) {
		// Transactions 0 and 2 are there; a marker takes an offset after each of the four.
		want := i%10 + 20*(i/10)
		if string(got.Value) != fmt.Sprintf("v0-%d", want) || got.Offset != int64(want+want/10) {
			t.Fatalf("record %d is %s at %d", i, got.Value, got.Offset)
		}
	}
	r.Close()
	// Starting inside an aborted transaction shows nothing of it.
	if got := read(t, open(t, o, 15), 1); got[0].Offset != 22 {
		t.Errorf("from 15 the next is %d, want 22", got[0].Offset)
	}
	u := start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) {
		c.Kafka.Group, c.Kafka.Isolation = "u", ReadUncommitted
	}), false)
	read(t, open(t, u.claim(t), 0), 40)
}

// Leaders move and connections break while a lane reads: nothing is missing, nothing comes twice.
func TestReadsThroughMovingLeaders(t *testing.T) {
	const n = 3000
	c := newCluster(t, kfake.NumBrokers(3), kfake.SeedTopics(1, testTopic))
	p := producer(t, c, kgo.ProducerBatchMaxBytes(4<<10))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	r := open(t, s.claim(t), 0)
	for i := range 3 {
		produce(t, p, 0, i*n/3, n/3)
		for j, got := range read(t, r, n/3) {
			if want := i*n/3 + j; got.Offset != int64(want) {
				t.Fatalf("offset %d, want %d", got.Offset, want)
			}
		}
		if err := c.MoveTopicPartition(testTopic, 0, int32(i)); err != nil {
			t.Fatal(err)
		}
	}
}
