package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

func TestCommitRoundTrip(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	mustCommitted(t, o, -1, "") // nothing is committed: an ordinary case
	checkpoint := strings.Repeat("A-_z9", 300)
	mustCommit(t, o, 5, checkpoint)
	mustCommitted(t, o, 5, checkpoint)
	// The same position with another checkpoint, and a smaller position: both are what the lane says, nothing is
	// dropped.
	mustCommit(t, o, 5, "other")
	mustCommitted(t, o, 5, "other")
	mustCommit(t, o, 3, "back")
	mustCommitted(t, o, 3, "back")
	// Without being awaited: on the timer, and before reading back.
	o.CommitLater(lane.Pair{Position: 6, Checkpoint: "later"})
	mustCommitted(t, o, 6, "later")
	o.CommitLater(lane.Pair{Position: 7, Checkpoint: "on the timer"})
	eventually(t, "the commit of the timer", func() bool { p, _ := stored(c, 0); return p == 7 })
}

func TestCommitFaults(t *testing.T) {
	type verdict int
	const (
		retried verdict = iota
		fenced
		failed
	)
	for _, tt := range []struct {
		err  *kerr.Error
		want verdict
	}{
		{kerr.CoordinatorLoadInProgress, retried},
		{kerr.CoordinatorNotAvailable, retried},
		{kerr.NotCoordinator, retried},
		{kerr.RebalanceInProgress, retried},
		{kerr.RequestTimedOut, retried},
		{kerr.UnknownTopicOrPartition, retried},
		{kerr.UnknownServerError, retried},
		{kerr.IllegalGeneration, retried}, // in another generation, which the source asks for
		{kerr.UnknownMemberID, fenced},
		{kerr.FencedInstanceID, fenced},
		{kerr.OffsetMetadataTooLarge, failed},
		{kerr.GroupAuthorizationFailed, failed},
		{kerr.TopicAuthorizationFailed, failed},
	} {
		t.Run(tt.err.Message, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, kfake.NumBrokers(3), kfake.SeedTopics(1, testTopic))
			s := start(t, testConfig(c.ListenAddrs()...), false)
			o := s.claim(t)
			mustCommit(t, o, 1, "one")
			f := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: tt.err, Count: 2})
			err := o.Commit(t.Context(), lane.Pair{Position: 2, Checkpoint: "two"})
			switch tt.want {
			case retried:
				if err != nil || f.Hits() != 2 {
					t.Errorf("Commit() = %v after %d faults", err, f.Hits())
				}
				mustCommitted(t, o, 2, "two")
			case failed:
				if err == nil || errors.Is(err, lane.ErrFenced) || f.Hits() != 1 {
					t.Errorf("Commit() = %v after %d faults; want a lasting error at once", err, f.Hits())
				}
				if s.logs.Count("remedy=") != 1 {
					t.Error("no remedy in the log")
				}
				f.Remove()
				mustCommitted(t, o, 1, "one")
			case fenced:
				mustFenced(t, err)
				f.Remove()
				select {
				case <-o.done:
				case <-time.After(patience):
					t.Fatal("the claim goes on")
				}
				// The coordinator did not mean it: the source joins again rather than rest with a claim and no lane.
				mustCommitted(t, s.claim(t), 1, "one")
			}
		})
	}
}

// A fenced commit on the timer ends the claim, since there is nobody to tell.
func TestFencedTimerCommit(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.UnknownMemberID})
	o.CommitLater(lane.Pair{Position: 1, Checkpoint: "zombie"})
	select {
	case <-o.ctx.Done():
		mustFenced(t, context.Cause(o.ctx))
	case <-time.After(patience):
		t.Fatal("the claim goes on")
	}
	mustCommitted(t, s.claim(t), -1, "")
}

// A stale generation is fenced by the coordinator itself, no fault injected.
func TestStaleGenerationIsFenced(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	mustCommit(t, o, 5, "owner")
	id := c.GroupInfo(testGroup).Members[0].MemberID
	tp := topicPartition{testTopic, 0}
	for name, m := range map[string]member{
		"generation": {id: id, generation: 99},
		"member":     {id: "somebody else", generation: c.GroupInfo(testGroup).Epoch},
	} {
		errs := s.offsets.commit(m, map[topicPartition]*handed{tp: {Pair: lane.Pair{
			Position:   9,
			Checkpoint: "zombie",
		}}})
		if !errors.Is(errs[tp], lane.ErrFenced) {
			t.Errorf("another %s: %v, want ErrFenced", name, errs[tp])
		}
	}
	mustCommitted(t, o, 5, "owner")
}

// Reading again harms nobody, so a lost response to that is no doubt.
func TestLostFetchResponse(t *testing.T) {
	for name, lost := range losses {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, kfake.SeedTopics(1, testTopic))
			s := start(t, testConfig(c.ListenAddrs()...), false)
			o := s.claim(t)
			mustCommit(t, o, 1, "one")
			c.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
				return nil, lost,
					true
			})
			mustCommitted(t, o, 1, "one")
			mustCommit(t, o, 2, "two")
		})
	}
}

// While an older pair is under way, newer ones come; the coordinator must end with the newest, also when it refuses the
// first.
func TestNewestPairWins(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	hold, seen := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		close(seen)
		c.SleepControl(func() { <-hold })
		return refusal(req.(*kmsg.OffsetCommitRequest), kerr.CoordinatorLoadInProgress), nil, true
	})
	first := make(chan error, 1)
	go func() { first <- o.Commit(t.Context(), lane.Pair{Position: 1, Checkpoint: "one"}) }()
	<-seen
	o.CommitLater(lane.Pair{Position: 2, Checkpoint: "two"})
	o.CommitLater(lane.Pair{Position: 3, Checkpoint: "three"})
	close(hold)
	if err := <-first; err != nil { // satisfied by its successor
		t.Fatal(err)
	}
	mustCommitted(t, o, 3, "three")
}

func TestCoordinatorMoves(t *testing.T) {
	c := newCluster(t, kfake.NumBrokers(3), kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	o := s.claim(t)
	for i := range int64(5) {
		c.RehashCoordinators()
		mustCommit(t, o, i, fmt.Sprint("move ", i))
		mustCommitted(t, o, i, fmt.Sprint("move ", i))
	}
}

// An operator's reset writes empty metadata; the next owner sees it.
func TestOperatorReset(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	s := start(t, testConfig(c.ListenAddrs()...), false)
	mustCommit(t, s.claim(t), 5, "checkpoint")
	s.stop()
	var reset kadm.Offsets
	reset.AddOffset(testTopic, 0, 2, -1)
	if err := kadm.NewClient(producer(t, c)).CommitAllOffsets(t.Context(), testGroup, reset); err != nil {
		t.Fatal(err)
	}
	mustCommitted(t, start(t, testConfig(c.ListenAddrs()...), false).claim(t), 2, "")
}

// A call that its caller has left may still find something out: it tells nobody. The race detector says so.
func TestCommittedIsLeft(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	o := start(t, testConfig(c.ListenAddrs()...), false).claim(t)
	mustCommit(t, o, 7, "x")
	requested := make(chan struct{}, 1)
	c.ControlKey(int16(kmsg.OffsetFetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case requested <- struct{}{}:
		default:
		}
		return nil, nil, false
	})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		var left sync.WaitGroup
		left.Go(func() {
			<-requested
			cancel() // while the response is on its way
		})
		got, err := o.Committed(ctx)
		if err == nil && got != (lane.Pair{Position: 7, Checkpoint: "x"}) || err != nil && got != (lane.Pair{}) {
			t.Errorf("%v, %v", got, err)
		}
		left.Wait()
	}
}
