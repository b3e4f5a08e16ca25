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
	r := newReader(origin{tp: topicPartition{testTopic, 0}}, new(epochs), pool.config, budget, src.log, src.metrics)
	address, err := r.locate(pool, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	first := pool.join(address, r)
	eventually(t, "full", r.isPaused)
	first.leave(r)
	eventually(t, "the first fetcher is gone", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		return len(pool.byBroker) == 0
	})
	second := pool.join(address, r)
	// It has looked, found the reader full, and sleeps.
	eventually(t, "the second fetcher sleeps", func() bool { return len(second.wake) == 0 })
	if r.fetcher.Load() != second {
		t.Fatal("the reader would wake a fetcher that is gone")
	}
	read(t, r, 10)
	produce(t, p, 0, 10, 5)
	read(t, r, 5)
	second.leave(r)
	r.Close()
}

// Whoever waits for records hears that the reader was closed.
func TestCloseWakesNext(t *testing.T) {
	r := loneReader(t)
	heard := make(chan error, 1)
	go func() {
		_, err := r.Next(context.Background(), make([]record.Record, 0, 1), time.Time{})
		heard <- err
	}()
	time.Sleep(time.Millisecond) // most likely it waits by then; either order must do
	r.Close()
	select {
	case err := <-heard:
		if !errors.Is(err, errReaderClosed) {
			t.Errorf("Next: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Next waits for ever")
	}
}
