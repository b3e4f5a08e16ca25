package source

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/pkg/config"
)

// handingOver is a member of six partitions of which three go to another one that has come: they drain until the test
// releases them.
func handingOver(t *testing.T, joinGrace time.Duration) (a, b *running, gone, stay []*owned) {
	t.Helper()
	c := newCluster(t, kfake.SeedTopics(6, testTopic))
	patient := testConfig(c.ListenAddrs()...).with(func(c *Config) {
		c.Kafka.RebalanceTimeout, c.Kafka.DrainTimeout = config.Duration(2*patience), config.Duration(patience)
	})
	a = startTopics(t, patient, true, Topics{Names: []string{testTopic}}, func(s *Source) { s.joinGrace = joinGrace })
	w := owners{}
	w.take(t, a, 6)
	b = start(t, patient, false)
	eventually(t, "claims to be revoked", func() bool {
		gone, stay = nil, nil
		for _, o := range w {
			if o.ctx.Err() != nil {
				gone = append(gone, o)
			} else {
				stay = append(stay, o)
			}
		}
		return len(gone) == 3
	})
	return a, b, gone, stay
}

// A member that stops while it joins again releases the claims that it keeps when that join has its response:
// before, nobody else gets them, and their lanes would stand still for one rebalance more.
func TestStopsWhenItHasJoined(t *testing.T) {
	a, b, gone, stay := handingOver(t, patience)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		a.stop()
	}()
	before := a.logs.Count("joined the group")
	for _, o := range gone {
		mustCommit(t, o, 7, "drained")
		close(o.release)
	}
	for i, o := range stay {
		select {
		case <-o.ctx.Done():
		case <-time.After(patience):
			t.Fatalf("partition %d does not end", o.Number())
		}
		if joined := a.logs.Count("joined the group"); joined == before {
			t.Errorf("partition %d, which was to stay, ended in the generation that took the others", o.Number())
		}
		mustCommit(t, o, int64(i), "in the generation that followed")
		close(o.release)
	}
	for range 6 {
		b.claim(t)
	}
	<-stopped
}

// The wait has an end: a claim that does not drain, and a group that does not respond, hold up nobody who stops.
func TestStopWaitsNoLongerForAJoin(t *testing.T) {
	a, _, gone, stay := handingOver(t, 20*time.Millisecond)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		a.stop()
	}()
	for _, o := range stay {
		select {
		case <-o.ctx.Done():
		case <-time.After(patience):
			t.Fatalf("partition %d does not end", o.Number())
		}
	}
	for _, o := range append(gone, stay...) {
		close(o.release)
	}
	<-stopped
}
