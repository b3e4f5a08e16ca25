package source

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How far a lane is behind is known while nobody reads: it waits for a writer, or is refused.
func TestBehindWithoutAReader(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(2, testTopic))
	p := producer(t, c)
	produce(t, p, 0, 0, 7)
	s := startEnds(t, testConfig(c.ListenAddrs()...))
	byNumber := map[int32]*owned{}
	for range 2 {
		o := s.claim(t)
		byNumber[o.Number()] = o
	}
	eventually(t, "the end is known", func() bool { return byNumber[0].Behind(2) == 5 && byNumber[1].Behind(0) == 0 })
	produce(t, p, 0, 7, 3)
	eventually(t, "the end has moved", func() bool { return byNumber[0].Behind(2) == 8 })
	if n := byNumber[0].Behind(11); n != 0 {
		t.Errorf("behind the end by %d at a position past it", n)
	}
}

// startEnds runs a source that looks for ends often.
func startEnds(t *testing.T, c Config) *running {
	t.Helper()
	return startWith(t, c, func(s *Source) { s.endsEvery = 30 * time.Millisecond })
}

// What fetches say is used where it is newer: while lanes read, nobody is asked.
func TestEndsAreNotRequestedWhileLanesRead(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c)
	produce(t, p, 0, 0, 3)
	s := startWith(t, testConfig(c.ListenAddrs()...), func(s *Source) { s.endsEvery = 500 * time.Millisecond })
	o := s.claim(t)
	r := open(t, o, 0)
	defer r.Close()
	read(t, r, 3)
	if n := o.Behind(1); n != 2 {
		t.Errorf("behind by %d with 2 records not settled", n)
	}
	requested := make(chan struct{}, 100)
	c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		requested <- struct{}{}
		return nil, nil, false
	})
	// On a machine that is busy with something else a fetch may take longer than that, now and then.
	eventually(t, "two seconds in which ends are not asked for", func() bool {
		for len(requested) > 0 {
			<-requested
		}
		time.Sleep(2 * time.Second)
		return len(requested) == 0
	})
	produce(t, p, 0, 3, 1)
	eventually(t, "a fetch tells of the end", func() bool { return o.Behind(3) == 1 })
}

// Markers of transactions at the end are no backlog once they are read, neither while the reader is there nor after it.
func TestMarkersAreNotBehind(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	p := producer(t, c, kgo.TransactionalID("one"))
	if err := p.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, p, 0, 0, 3)
	if err := p.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	s := startEnds(t, testConfig(c.ListenAddrs()...))
	o := s.claim(t)
	r := open(t, o, 0)
	read(t, r, 2)
	// Of the third record nobody knows whether it was settled before: it is not.
	if n := o.Behind(2); n < 1 {
		t.Errorf("behind by %d with a record to be read", n)
	}
	read(t, r, 1)
	eventually(t, "nothing is left", func() bool { return o.Behind(3) == 0 })
	if n := o.Behind(1); n < 2 {
		t.Errorf("behind by %d with two records not settled", n)
	}
	r.Close()
	time.Sleep(100 * time.Millisecond)
	if n := o.Behind(3); n != 0 {
		t.Errorf("behind by %d after the reader is closed", n)
	}
}

// A reader that is closed with records that it has fetched has not passed them.
func TestClosedReaderHasNotPassedWhatItFetched(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	produce(t, producer(t, c), 0, 0, 5)
	s := startEnds(t, testConfig(c.ListenAddrs()...))
	o := s.claim(t)
	r := open(t, o, 0).(*reader)
	eventually(t, "the records are fetched", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.count == 5 })
	r.Close()
	if n := o.Behind(0); n != 5 {
		t.Errorf("behind by %d with 5 records not read", n)
	}
}

// A broker that responds nothing about ends holds up neither the others nor the end of the source.
func TestEndsOfABrokerThatIsAway(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	produce(t, producer(t, c), 0, 0, 5)
	s := startEnds(t, testConfig(c.ListenAddrs()...))
	o := s.claim(t)
	eventually(t, "the end is known", func() bool { return o.Behind(0) == 5 })
	c.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return nil, kerr.RequestTimedOut, true
	})
	time.Sleep(200 * time.Millisecond)
	if n := o.Behind(0); n != 5 {
		t.Errorf("behind by %d: what was known is still the best there is", n)
	}
	s.stop()
}

// What keeps records from being read is reported, and no longer once they come.
func TestTroubleWithReading(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	produce(t, producer(t, c), 0, 0, 1)
	refuse := refuseFetches(c)
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	r := open(t, o, 0)
	defer r.Close()
	eventually(t, "the refusal is reported", func() bool {
		return strings.Contains(o.Trouble(),
			"grant READ on the topic")
	})
	refuse(false)
	read(t, r, 1)
	if trouble := o.Trouble(); trouble != "" {
		t.Errorf("after it: %q", trouble)
	}
}

// refuseFetches responds to fetches as a broker does that does not allow them.
func refuseFetches(c *kfake.Cluster) (set func(bool)) {
	on := make(chan bool, 1)
	on <- true
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		refused := <-on
		on <- refused
		if !refused {
			return nil, nil, false
		}
		fetch := req.(*kmsg.FetchRequest)
		resp := fetch.ResponseKind().(*kmsg.FetchResponse)
		for _, t := range fetch.Topics {
			response := kmsg.NewFetchResponseTopic()
			response.Topic, response.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				part := kmsg.NewFetchResponseTopicPartition()
				part.Partition, part.ErrorCode, part.HighWatermark = p.Partition, kerr.TopicAuthorizationFailed.Code, -1
				part.RecordBatches = []byte{}
				response.Partitions = append(response.Partitions, part)
			}
			resp.Topics = append(resp.Topics, response)
		}
		// The tickets of fetches travel in the session id.
		resp.SessionID = fetch.SessionID
		return resp, nil, true
	})
	return func(v bool) { <-on; on <- v }
}
