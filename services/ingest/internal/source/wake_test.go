package source

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// poolOf is fetchers of a source that has opened its clients and joined no group.
func poolOf(t *testing.T, c *kfake.Cluster) (*Source, *fetchers) {
	t.Helper()
	src := New(testConfig(c.ListenAddrs()...), new(logtest.Log).Logger(), nil)
	if err := src.open(); err != nil {
		t.Fatal(err)
	}
	config, err := src.config.Kafka.dataConfig(minFetch, minFetch)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
		src.close()
	})
	return src, newFetchers(ctx, src.leaders, config, &running)
}

// A reader that gets room at any moment while it changes from one fetcher to another wakes the one that it has then:
// who looked at it when it was full is told.
func TestReaderWakesTheFetcherItJoins(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c)
	produce(t, p, 0, 0, 10)
	src, pool := poolOf(t, c)
	budget, _ := newPrefetch(64<<10, 1<<20, 5, 1) // five records are "full"
	r := newReader(origin{tp: topicPartition{testTopic, 0}}, new(epochs), pool, budget, src.log, src.metrics)
	address, err := r.locate(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	pool.join(address, r)
	eventually(t, "full", r.isPaused)
	pool.leave(r)
	eventually(t, "the first fetcher is gone", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.byBroker) == 0
	})
	pool.join(address, r)
	second := r.fetcher.Load()
	// It has looked, found the reader full, and sleeps.
	eventually(t, "the second fetcher sleeps", func() bool { return len(second.wake) == 0 })
	read(t, r, 10)
	produce(t, p, 0, 10, 5)
	read(t, r, 5)
	r.Close()
	eventually(t, "the second fetcher is gone", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.byBroker) == 0
	})
}

// A lane that opens again has a new reader, while the one before may still be looking for a broker. When that finds
// one, it takes nothing from the new one.
func TestClosedReaderJoinsNobody(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	produce(t, producer(t, c), 0, 0, 10)
	src, pool := poolOf(t, c)
	budget, _ := newPrefetch(64<<10, 1<<20, 100, 1)
	from := origin{tp: topicPartition{testTopic, 0}}
	before := newReader(from, new(epochs), pool, budget, src.log, src.metrics)
	address, err := before.locate(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	before.Close()
	after := newReader(from, new(epochs), pool, budget, src.log, src.metrics)
	defer after.Close()
	pool.join(address, after)
	pool.join(address, before)
	if f := after.fetcher.Load(); before.fetcher.Load() != nil || pool.readerOf(f, from.tp) != after {
		t.Error("the reader that was closed is in the place of the one after it")
	}
	read(t, after, 10)
}

func (p *fetchers) readerOf(f *fetcher, tp topicPartition) *reader {
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.readers[tp]
}

// A fetcher that fails releases its readers, but not of one that was closed while the fetch was under way: nobody
// looks for another broker for that.
func TestClosedReaderIsNotReleased(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	src, pool := poolOf(t, c)
	budget, _ := newPrefetch(64<<10, 1<<20, 100, 1)
	r := newReader(origin{tp: topicPartition{testTopic, 0}}, new(epochs), pool, budget, src.log, src.metrics)
	address, err := r.locate(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	pool.join(address, r)
	f := r.fetcher.Load()
	r.Close()
	f.release(r, errors.New("a broken connection"))
	pool.running.Wait() // the fetcher ends, having nobody left
	if r.trouble.Load() != nil {
		t.Error("the closed reader looks for another broker")
	}
}

// Whoever waits for records learns that the reader was closed.
func TestCloseWakesNext(t *testing.T) {
	r := loneReader(t)
	received := make(chan error, 1)
	go func() {
		_, err := r.Next(context.Background(), make([]record.Record, 0, 1), time.Time{})
		received <- err
	}()
	time.Sleep(time.Millisecond) // most likely it waits by then; either order must do
	r.Close()
	select {
	case err := <-received:
		if !errors.Is(err, errReaderClosed) {
			t.Errorf("Next: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Next waits for ever")
	}
}

// gatedClaim is one whose session goes on when gate is closed.
type gatedClaim struct {
	plainClaim
	gate chan struct{}
}

func (c gatedClaim) AsyncClose() { <-c.gate }
