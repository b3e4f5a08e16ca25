package source

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// A search for a broker ends with what reading ends with, and with the generation, at once and without a fault.
func TestSearchesThatEnd(t *testing.T) {
	for name, test := range map[string]struct{ why, want error }{
		"the offset is gone":             {fmt.Errorf("x: %w", lane.ErrOffsetGone), lane.ErrOffsetGone},
		"the bytes cannot be read":       {fmt.Errorf("x: %w", lane.ErrUnreadable), lane.ErrUnreadable},
		"the generation is over, first":  {nil, errStopped},
		"the generation is over, behind": {sarama.ErrNotLeaderForPartition, errStopped},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := loneReader(t)
				if errors.Is(test.want, errStopped) {
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					r.pool.ctx = ctx
				}
				began := time.Now()
				if _, ok := r.searches(test.why); ok || !errors.Is(r.err, test.want) || !time.Now().Equal(began) {
					t.Errorf("goes on %v after %v, with %v; want %v", ok, time.Since(began), r.err, test.want)
				}
				if n := testutil.ToFloat64(r.metrics.fetchErrors); n != 0 {
					t.Errorf("%v faults", n)
				}
			})
		})
	}
}

// The pauses between searches grow, begin anew when something came in between, and there is none where the broker is
// known. A change of leaders is no fault, and anything else is one.
func TestPausesBetweenSearches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := loneReader(t)
		failed, moved := errors.New("a broken connection"), sarama.ErrNotLeaderForPartition
		for i, step := range []struct {
			why    error
			came   bool
			pause  time.Duration
			faults float64
		}{
			{nil, false, 0, 0},
			{failed, false, firstSearch, 1},
			{failed, false, 2 * firstSearch, 2},
			{moved, false, 4 * firstSearch, 2},
			{failed, false, 8 * firstSearch, 3},
			{failed, false, 16 * firstSearch, 4},
			{failed, false, lastSearch, 5},
			{failed, false, lastSearch, 6},
			{failed, true, firstSearch, 7},
			{failed, false, 2 * firstSearch, 8},
			{errMoved, false, 0, 8},
			{failed, false, firstSearch, 9},
		} {
			r.moved.Store(step.came)
			began := time.Now()
			since, ok := r.searches(step.why)
			if took := time.Since(began); !ok || took != step.pause {
				t.Errorf("step %d: goes on %v after %v, want %v", i, ok, took, step.pause)
			}
			// What is relied on was asked for after the fault.
			if known := step.why == nil || errors.Is(step.why, errMoved); known != since.IsZero() ||
				!known && !since.Equal(began) {
				t.Errorf("step %d: since %v, it began at %v", i, since, began)
			}
			if n := testutil.ToFloat64(r.metrics.fetchErrors); n != step.faults {
				t.Errorf("step %d: %v faults, want %v", i, n, step.faults)
			}
		}
	})
}

// aboutEpochs responds to every request about the end of an epoch.
func aboutEpochs(c *kfake.Cluster, code sarama.KError, end int64) (requested *atomic.Int64) {
	requested = new(atomic.Int64)
	observe(c, kmsg.OffsetForLeaderEpoch, func(r kmsg.Request) kmsg.Response {
		requested.Add(1)
		request := r.(*kmsg.OffsetForLeaderEpochRequest)
		response := request.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = testTopic
		one := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		one.ErrorCode, one.EndOffset = int16(code), end
		topic.Partitions = append(topic.Partitions, one)
		response.Topics = append(response.Topics, topic)
		return response
	})
	return requested
}

// searching is a reader of a cluster, at offset 10, whose last record is of epoch 0.
func searching(t *testing.T, c *kfake.Cluster) *reader {
	src, pool := poolOf(t, c)
	budget, _ := newPrefetch(64<<10, 1<<20, 100, 1)
	from := origin{tp: topicPartition{testTopic, 0}, offset: 10}
	r := newReader(from, new(epochs), pool, budget, src.log, src.metrics)
	r.lastEpoch = 0
	return r
}

// A leader of another epoch is asked what it has of what was read, once an epoch. What it does not know is no reason
// to stop, nor is a response that it cannot give now: only an end before the offset is.
func TestLeaderShowsWhatItHas(t *testing.T) {
	for name, test := range map[string]struct {
		code sarama.KError
		end  int64
		want error
		gone bool
	}{
		"as much":       {sarama.ErrNoError, 10, nil, false},
		"less":          {sarama.ErrNoError, 9, lane.ErrOffsetGone, true},
		"nothing known": {sarama.ErrNoError, unknownEnd, nil, false},
		"no right":      {sarama.ErrTopicAuthorizationFailed, 0, sarama.ErrTopicAuthorizationFailed, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, testTopic))
			requested := aboutEpochs(c, test.code, test.end)
			r := searching(t, c)
			address, err := r.locate(time.Time{})
			if !errors.Is(err, test.want) || errors.Is(err, lane.ErrOffsetGone) != test.gone ||
				(err == nil) != (address == c.ListenAddrs()[0]) {
				t.Fatalf("%q, %v; want %v", address, err, test.want)
			}
			if err != nil {
				return
			}
			if _, err := r.locate(time.Time{}); err != nil || requested.Load() != 1 {
				t.Errorf("asked %d times about one epoch, %v", requested.Load(), err)
			}
		})
	}
}

// A topic that was made again is found out before its leader is relied on.
func TestSearchFindsAnotherTopic(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	r := searching(t, c)
	r.lastEpoch = -1
	r.topic = sarama.Uuid{1}
	if address, err := r.locate(time.Time{}); !errors.Is(err, errOtherTopic) {
		t.Errorf("%q, %v", address, err)
	}
	r.topic = c.TopicInfo(testTopic).TopicID
	if address, err := r.locate(time.Time{}); err != nil {
		t.Errorf("the topic itself: %q, %v", address, err)
	}
}

// What is wrong with a partition is said as the broker says it: none of this number is not one without a leader.
func TestSearchOfWhatIsNotThere(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	r := searching(t, c)
	r.lastEpoch = -1
	r.tp.partition = 9
	if address, err := r.locate(time.Time{}); !errors.Is(err, sarama.ErrUnknownTopicOrPartition) {
		t.Errorf("%q, %v", address, err)
	}
}

// A replica nearby is read from, the first broker too, for as long as there is a broker of its number; else the leader.
func TestSearchKeepsToAReplica(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(2), kfake.SeedTopics(1, testTopic))
	if err := c.MoveTopicPartition(testTopic, 0, 1); err != nil {
		t.Fatal(err)
	}
	r := searching(t, c)
	r.lastEpoch = -1
	at := c.ListenAddrs() // by the number of the broker
	for _, step := range []struct {
		replica int32
		want    string
		keeps   int32
	}{{-1, at[1], -1}, {0, at[0], 0}, {7, at[1], -1}} {
		r.replica = step.replica
		address, err := r.locate(time.Time{})
		if err != nil || address != step.want || r.replica != step.keeps {
			t.Errorf("replica %d: %q, %v, replica %d from then on; want %q, %d", step.replica, address, err, r.replica,
				step.want, step.keeps)
		}
	}
}

// Nothing more is asked for by a reader that is full, or has ended.
func TestWhatIsRequested(t *testing.T) {
	r := loneReader(t)
	if w, ok := r.wants(); !ok || w.offset != 10 {
		t.Errorf("%+v, %v", w, ok)
	}
	r.paused = true
	if _, ok := r.wants(); ok {
		t.Error("a full reader asks for more")
	}
	r.paused = false
	r.end(errStopped)
	if _, ok := r.wants(); ok {
		t.Error("a reader that has ended asks for more")
	}
}

// Bytes that cannot be read are fetched again, so often at each offset, before the lane learns of them, and for as long
// the reader says what the matter is.
func TestDamageIsCountedByOffset(t *testing.T) {
	r := loneReader(t)
	spoilt := errors.New("a checksum")
	for i, offset := range []int64{10, 10, 20, 20, 20} {
		final := i == 4
		if err := r.damaged(offset, spoilt); !errors.Is(err, spoilt) || errors.Is(err, lane.ErrUnreadable) != final {
			t.Errorf("attempt %d, at %d: %v", i, offset, err)
		}
	}
	r = loneReader(t)
	defer r.Close()
	trouble := "earlier"
	r.trouble.Store(&trouble)
	batch := reply(batchOf(10, 10, 10))
	batch.raw[len(batch.raw)-1] ^= 1
	if err := r.take(batch.part()); err == nil || r.trouble.Load() == nil {
		t.Errorf("damaged: %v, and no trouble is shown", err)
	}
	if err := r.take(reply(batchOf(10, 10, 10)).part()); err != nil || r.trouble.Load() != nil {
		t.Errorf("whole: %v, and trouble is shown", err)
	}
}
