package source

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// observe calls f with every request of a kind, which the broker then handles as ever unless f does.
func observe(c *kfake.Cluster, kind kmsg.Key, f func(kmsg.Request) kmsg.Response) {
	c.ControlKey(int16(kind), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		response := f(r)
		return response, nil, response != nil
	})
}

// Whatever is asked of a leader carries its epoch, so that one that was deposed and does not know it refuses.
func TestRequestsAreFencedByEpoch(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(2), kfake.SeedTopics(1, testTopic))
	for node := range int32(3) { // epochs above zero
		if err := c.MoveTopicPartition(testTopic, 0, node%2); err != nil {
			t.Fatal(err)
		}
	}
	p := producer(t, c)
	produce(t, p, 0, 0, 10)
	var mu sync.Mutex
	epochs := map[kmsg.Key][]int32{}
	note := func(kind kmsg.Key, epoch int32) {
		mu.Lock()
		defer mu.Unlock()
		epochs[kind] = append(epochs[kind], epoch)
	}
	observe(c, kmsg.Fetch, func(r kmsg.Request) kmsg.Response {
		if topics := r.(*kmsg.FetchRequest).Topics; topics[0].TopicID != c.TopicInfo(testTopic).TopicID {
			t.Errorf("a fetch names the topic %v", topics[0].TopicID)
		}
		note(kmsg.Fetch, r.(*kmsg.FetchRequest).Topics[0].Partitions[0].CurrentLeaderEpoch)
		return nil
	})
	observe(c, kmsg.OffsetForLeaderEpoch, func(r kmsg.Request) kmsg.Response {
		requested := r.(*kmsg.OffsetForLeaderEpochRequest).Topics[0].Partitions[0]
		note(kmsg.OffsetForLeaderEpoch, requested.CurrentLeaderEpoch)
		return nil
	})
	o := start(t, testConfig(c.ListenAddrs()...), false).claim(t)
	// After what the group's own consumer asks, which is never read.
	observe(c, kmsg.ListOffsets, func(r kmsg.Request) kmsg.Response {
		note(kmsg.ListOffsets, r.(*kmsg.ListOffsetsRequest).Topics[0].Partitions[0].CurrentLeaderEpoch)
		return nil
	})
	mustCommitted(t, o, -1, "")
	if _, newest, err := o.Range(t.Context()); err != nil || newest != 10 {
		t.Fatalf("end %d, %v", newest, err)
	}
	r := open(t, o, 0)
	read(t, r, 10)
	before := c.PartitionInfo(testTopic, 0).Epoch
	if err := c.MoveTopicPartition(testTopic, 0, (c.LeaderFor(testTopic, 0)+1)%2); err != nil {
		t.Fatal(err)
	}
	produce(t, p, 0, 10, 10)
	read(t, r, 10) // the new leader was asked what it has of the old one's epoch
	if _, newest, err := o.Range(t.Context()); err != nil || newest != 20 {
		t.Fatalf("end %d, %v", newest, err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, kind := range []kmsg.Key{kmsg.ListOffsets, kmsg.Fetch, kmsg.OffsetForLeaderEpoch} {
		if len(epochs[kind]) == 0 {
			t.Errorf("%v was never asked", kind)
		}
		for _, e := range epochs[kind] {
			if e < before {
				t.Errorf("%v was asked with the epoch %d, of %d", kind, e, before)
			}
		}
	}
}

// A leader that lost records which were read is found out when it takes over, however much was written since, and
// after a restart as well.
func TestLogThatWasCutBack(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(2), kfake.SeedTopics(1, testTopic))
	p := producer(t, c)
	produce(t, p, 0, 0, 100)
	var cut sync.Map // epoch of the records: where the leader says they end
	observe(c, kmsg.OffsetForLeaderEpoch, func(r kmsg.Request) kmsg.Response {
		request := r.(*kmsg.OffsetForLeaderEpochRequest)
		requested := request.Topics[0].Partitions[0]
		end, ok := cut.Load(requested.LeaderEpoch)
		if !ok {
			return nil
		}
		response := request.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = testTopic
		one := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		one.LeaderEpoch, one.EndOffset = requested.LeaderEpoch, end.(int64)
		topic.Partitions = append(topic.Partitions, one)
		response.Topics = append(response.Topics, topic)
		return response
	})
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	mustCommitted(t, o, -1, "")
	r := open(t, o, 0)
	read(t, r, 100)
	mustCommit(t, o, 100, "settled")
	mustCommitted(t, o, 100, "settled")

	cut.Store(c.PartitionInfo(testTopic, 0).Epoch, int64(90))
	if err := c.MoveTopicPartition(testTopic, 0, (c.LeaderFor(testTopic, 0)+1)%2); err != nil {
		t.Fatal(err)
	}
	produce(t, p, 0, 100, 50) // the offsets are taken again
	_, err := r.Next(t.Context(), make([]record.Record, 0, 10), time.Time{})
	if !errors.Is(err, lane.ErrOffsetGone) || !strings.Contains(err.Error(), "ends at 90") {
		t.Errorf("the reader says %v", err)
	}
	check := func(o *owned) {
		t.Helper()
		var lost *lane.CutError
		if _, err := o.Committed(t.Context()); !errors.As(err, &lost) || lost.Position != 100 || lost.End != 90 {
			t.Errorf("what is committed is read as %v", err)
		}
	}
	check(o)
	s.stop()
	check(start(t, testConfig(c.ListenAddrs()...), false).claim(t))
}

// A topic that was deleted and made again is another topic: nothing of it is taken for what was committed, or is
// being read.
func TestTopicMadeAgain(t *testing.T) {
	for name, version := range map[string]int16{"fetched by id": 18, "fetched by name": 12} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, testTopic))
			observe(c, kmsg.ApiVersions, func(r kmsg.Request) kmsg.Response {
				if r.GetVersion() != 0 || version > 12 {
					return nil
				}
				response := r.ResponseKind().(*kmsg.ApiVersionsResponse)
				for key, newest := range map[int16]int16{1: version, 2: 6, 18: 3, 23: 4} {
					k := kmsg.NewApiVersionsResponseApiKey()
					k.ApiKey, k.MaxVersion = key, newest
					response.ApiKeys = append(response.ApiKeys, k)
				}
				return response
			})
			p := producer(t, c)
			produce(t, p, 0, 0, 20)
			s := start(t, testConfig(c.ListenAddrs()...), false)
			o := s.claim(t)
			mustCommitted(t, o, -1, "")
			r := open(t, o, 0)
			read(t, r, 20)
			mustCommit(t, o, 15, "settled")

			was := c.TopicInfo(testTopic).TopicID
			// Under one lock of the fake's: the topic is not missed.
			if err := c.DeleteTopic(testTopic); err != nil {
				t.Fatal(err)
			}
			if err := c.CreateTopic(testTopic, 1, nil); err != nil {
				t.Fatal(err)
			}
			if was == c.TopicInfo(testTopic).TopicID {
				t.Fatal("the topic has the same id")
			}
			p = producer(t, c)
			produce(t, p, 0, 20, 30) // beyond the position that was read
			for {
				got, err := r.Next(t.Context(), make([]record.Record, 0, 10), time.Time{})
				if err != nil {
					if !errors.Is(err, lane.ErrOffsetGone) || version > 12 &&
						!strings.Contains(err.Error(), "made with its name") {
						t.Errorf("the reader says %v", err)
					}
					break
				}
				t.Fatalf("%d records of the new topic, from %s on", len(got), got[0].Value)
			}
			// A position of the old one may still be committed.
			mustCommit(t, o, 20, "late")
			if _, _, err := o.Range(t.Context()); !errors.Is(err, lane.ErrOffsetGone) {
				t.Errorf("the range of a topic that is gone: %v", err)
			}
			var other *lane.OtherTopicError
			if _, err := o.Committed(t.Context()); !errors.As(err, &other) || other.Position != 20 ||
				other.Was == other.Is {
				t.Fatalf("what is committed is read as %v", err)
			}
			// From then on the claim is one to the new topic.
			if oldest, newest, err := o.Range(t.Context()); err != nil || oldest != 0 || newest != 30 {
				t.Errorf("%d to %d, %v", oldest, newest, err)
			}
			mustCommit(t, o, 0, "anew")
			mustCommitted(t, o, 0, "anew")
			if got := read(t, open(t, o, 0), 30); string(got[0].Value) != "v0-20" {
				t.Errorf("the first record is %s", got[0].Value)
			}
		})
	}
}

// What was committed before there were stamps is a position of the topic that there is.
func TestCommitsWithoutStamps(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	produce(t, producer(t, c), 0, 0, 20)
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	mustCommit(t, o, 7, "old") // no call of Committed before: nothing is known of the topic
	if _, metadata := stored(c, 0); metadata != "old" {
		t.Fatalf("committed %q", metadata)
	}
	mustCommitted(t, o, 7, "old")
	read(t, open(t, o, 7), 13)
	mustCommit(t, o, 9, "new")
	_, metadata := stored(c, 0)
	if !strings.HasPrefix(metadata, "topic_id=") || !strings.HasSuffix(metadata, ";leader_epoch=0;new") {
		t.Errorf("committed %q", metadata)
	}
	mustCommitted(t, o, 9, "new")
}
