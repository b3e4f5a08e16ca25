package source

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// However many lanes begin, lookups of their topic take a share of the time, and each lane has one that is new enough.
func TestLookupsRest(t *testing.T) {
	const takes, lanes, rounds = 10 * time.Millisecond, 20, 5
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	config := sarama.NewConfig()
	config.Version, config.Metadata.RefreshFrequency = sarama.V3_1_0_0, 0
	client, err := sarama.NewClient(c.ListenAddrs(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	var requests atomic.Int64
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		requests.Add(1)
		c.SleepControl(func() { time.Sleep(takes) })
		return nil, nil, false
	})
	var calls sync.WaitGroup
	defer calls.Wait()
	d := newDirectory(client, &calls)
	began := time.Now()
	errs := make(chan error, lanes)
	for range lanes {
		go func() {
			var err error
			for range rounds {
				var v *topicView
				since := time.Now()
				if v, err = d.topic(t.Context(), testTopic, since); err != nil {
					break
				}
				if v.requested.Before(since) {
					t.Errorf("asked for %v before it was wanted", since.Sub(v.requested))
				}
			}
			errs <- err
		}()
	}
	for range lanes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	took, lookups := time.Since(began), requests.Load()
	if most := int64(took/(takes+restTimes*takes)) + 1; lookups < rounds || lookups > most {
		t.Errorf("%d lookups in %v, want %d to %d", lookups, took, rounds, most)
	}
}
