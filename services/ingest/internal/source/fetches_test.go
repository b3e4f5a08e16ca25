package source

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
)

// readerOfMine is a reader of some partition that a fetcher works for.
func readerOfMine(t *testing.T, f *fetcher, tp topicPartition, id sarama.Uuid) *reader {
	r := loneReader(t)
	r.tp, r.topic = tp, id
	f.readers[tp] = r
	t.Cleanup(r.Close)
	return r
}

// loneFetcher is one that does not run.
func loneFetcher(t *testing.T) *fetcher {
	pool := loneReader(t).pool
	f := &fetcher{pool: pool, readers: map[topicPartition]*reader{}, wake: make(chan struct{}, 1)}
	pool.byBroker[""] = f
	return f
}

// A request names each topic once, with all its partitions: by its id, and where brokers give none by its name alone.
// Its memory is that of the one before. What has no room is left out.
func TestARequestNamesEachTopicOnce(t *testing.T) {
	for name, ids := range map[string][2]sarama.Uuid{"by id": {{1}, {2}}, "by name": {}} {
		t.Run(name, func(t *testing.T) {
			f := loneFetcher(t)
			const partitions = 20 // which come in no order
			for i, topic := range []string{"one", "other"} {
				for p := range int32(partitions) {
					readerOfMine(t, f, topicPartition{topic, p}, ids[i])
				}
			}
			readerOfMine(t, f, topicPartition{"full", 0}, sarama.Uuid{}).paused = true
			round := fetchRound{readers: map[topicPartition]*reader{}}
			used := map[*kmsg.FetchRequestTopicPartition]bool{}
			for again := range 2 {
				if !f.plan(&round) || len(round.request.Topics) != 2 || len(round.readers) != 2*partitions {
					t.Fatalf("%d topics, %d readers", len(round.request.Topics), len(round.readers))
				}
				for _, topic := range round.request.Topics {
					seen := map[int32]bool{}
					for _, p := range topic.Partitions {
						seen[p.Partition] = true
					}
					if len(seen) != partitions || len(topic.Partitions) != partitions {
						t.Errorf("%s: %d partitions, %d different ones", topic.Topic, len(topic.Partitions), len(seen))
					}
					if first := &topic.Partitions[0]; again > 0 && !used[first] {
						t.Errorf("%s: the memory of the request before is not used", topic.Topic)
					} else {
						used[first] = true
					}
				}
			}
			clear(f.readers)
			if f.plan(&round) || len(f.pool.byBroker) != 0 {
				t.Error("a fetcher that nobody reads by goes on")
			}
		})
	}
}

// What is handed on is what was asked for, and the broker is left alone for a moment only where it sent all it had.
func TestWhatIsDelivered(t *testing.T) {
	round := func(r *reader, parts ...*kafkawire.FetchedPartition) *fetchRound {
		out := &fetchRound{readers: map[topicPartition]*reader{r.tp: r}}
		for _, p := range parts {
			out.response.Partitions = append(out.response.Partitions, *p)
		}
		return out
	}
	at := func(s sent, newest int64, topic string, partition int32) *kafkawire.FetchedPartition {
		p := s.part()
		p.Topic, p.Partition, p.HighWatermark = topic, partition, newest
		return p
	}
	for name, test := range map[string]struct {
		batch  sent
		newest int64
		paced  bool
	}{
		"nothing":         {reply(), 10, false},
		"all there is":    {reply(batchOf(10, 10, 10)), 11, true},
		"more to come":    {reply(batchOf(10, 10, 10)), 12, false},
		"nothing, though": {reply(), 12, false},
	} {
		f := loneFetcher(t)
		r := readerOfMine(t, f, testPartition, sarama.Uuid{})
		if paced := f.deliver(round(r, at(test.batch, test.newest, testTopic, 3))); paced != test.paced {
			t.Errorf("%s: paced %v", name, paced)
		}
	}
	f := loneFetcher(t)
	r := readerOfMine(t, f, testPartition, sarama.Uuid{})
	foreign := at(reply(batchOf(0, 0, 0)), 1, "a topic that nobody asked for", 0)
	twice := at(reply(batchOf(11, 11, 11)), 12, testTopic, 3)
	f.deliver(round(r, foreign, at(reply(batchOf(10, 10, 10)), 11, testTopic, 3), twice))
	if next, _ := r.progress(); next != 11 {
		t.Errorf("goes on at %d, want 11", next)
	}
	for what, p := range map[string]*kafkawire.FetchedPartition{"foreign": foreign, "twice": twice} {
		if !released(p.Records) {
			t.Errorf("%s: its memory is not given back", what)
		}
	}
}

// released says that nobody has a reference.
func released(b *kafkawire.Buffer) (yes bool) {
	defer func() { yes = recover() != nil }()
	b.Release(1)
	return false
}

// watched is a connection that says when it was closed.
type watched struct {
	net.Conn
	closed *atomic.Int64
}

func (c watched) Close() error {
	c.closed.Add(1)
	return c.Conn.Close()
}

// A fetcher has one connection, until it fails or is not needed any more, and says what it failed with.
func TestConnectionsOfAFetcher(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	_, pool := poolOf(t, c)
	var dialled, closed atomic.Int64
	var refused error
	dialer := *pool.leaders.dialer
	connect := dialer.Connect
	dialer.Connect = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dialled.Add(1); refused != nil {
			return nil, refused
		}
		conn, err := connect(ctx, network, address)
		return watched{conn, &closed}, err
	}
	pool.leaders = newLeaders(pool.leaders.directory, &dialer)
	f := &fetcher{pool: pool, address: c.ListenAddrs()[0]}
	round := func() *fetchRound {
		r := &fetchRound{request: kmsg.NewFetchRequest()}
		r.request.Version = kafkawire.FetchOldest
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic, topic.TopicID = testTopic, c.TopicInfo(testTopic).TopicID
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = 1 << 20
		topic.Partitions = append(topic.Partitions, p)
		r.request.Topics = append(r.request.Topics, topic)
		return r
	}
	for range 2 {
		if err := f.fetch(round()); err != nil || dialled.Load() != 1 || closed.Load() != 0 {
			t.Fatalf("%v, dialled %d times, closed %d", err, dialled.Load(), closed.Load())
		}
	}
	// The broker refuses the whole of a request, and then goes away in the middle of one.
	failing := round()
	var code atomic.Int64
	observe(c, kmsg.Fetch, func(r kmsg.Request) kmsg.Response {
		if code.Load() == 0 {
			return nil
		}
		response := r.ResponseKind().(*kmsg.FetchResponse)
		response.ErrorCode = int16(code.Load())
		return response
	})
	code.Store(int64(sarama.ErrFencedLeaderEpoch))
	if err := f.fetch(failing); !errors.Is(err, sarama.ErrFencedLeaderEpoch) {
		t.Errorf("a request that is refused: %v", err)
	}
	_ = f.conn.Close()
	if err := f.fetch(failing); err == nil || errors.Is(err, sarama.ErrFencedLeaderEpoch) {
		t.Errorf("a connection that is closed: %v", err)
	}
	if closed.Load() != 1 {
		t.Fatalf("closed %d times by the test", closed.Load())
	}
	f.disconnect()
	if f.conn != nil || closed.Load() != 2 {
		t.Errorf("after the end it has a connection: %v; closed %d times", f.conn != nil, closed.Load())
	}
	f.disconnect() // there is none
	refused = errors.New("nobody is there")
	if err := f.fetch(round()); !errors.Is(err, refused) || f.conn != nil {
		t.Errorf("nobody to connect to: %v", err)
	}
	refused = nil
	code.Store(0)
	old := round()
	old.request.Version = 99 // the oldest that would do
	if err := f.fetch(old); err == nil || !strings.Contains(err.Error(), "too old or too new for this ingest") {
		t.Errorf("a version that the broker does not speak: %v", err)
	}
	f.disconnect()
}
