package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/pkg/logging/logtest"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// coordinator is a fake that responds after a second.
type coordinator struct {
	mu    sync.Mutex
	busy  bool
	sent  []map[topicPartition]int64
	reply func(n int, tp topicPartition) error
	// doubts are what another generation was asked for.
	doubts []error
	t      *testing.T
}

func (c *coordinator) send(pairs map[topicPartition]*handed) map[topicPartition]error {
	c.mu.Lock()
	if c.busy {
		c.t.Error("two requests at once")
	}
	c.busy = true
	n := len(c.sent)
	request, errs := map[topicPartition]int64{}, map[topicPartition]error{}
	for tp, p := range pairs {
		request[tp] = p.Position
		if err := c.reply(n, tp); err != nil {
			errs[tp] = err
		}
	}
	c.sent = append(c.sent, request)
	c.mu.Unlock()
	time.Sleep(time.Second)
	c.mu.Lock()
	c.busy = false
	c.mu.Unlock()
	return errs
}

// requested are the reasons for which another generation was asked for so far.
func (c *coordinator) requested() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.doubts)
}

// requests are those sent so far.
func (c *coordinator) requests() []map[topicPartition]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

func (c *coordinator) run(t *testing.T, test func(*committer)) {
	synctest.Test(t, func(t *testing.T) {
		c.t = t
		ctx, cancel := context.WithCancel(context.Background())
		doubted := func(err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.doubts = append(c.doubts, err)
		}
		k := newCommitter(c.send, doubted, 10*time.Second, time.Second, new(logtest.Log).Logger(), NewMetrics(nil))
		done := make(chan struct{})
		go func() { defer close(done); k.run(ctx) }()
		defer func() { // also when the test gives up
			cancel()
			<-done
		}()
		test(k)
	})
}

var (
	tpA = topicPartition{"a", 0}
	tpB = topicPartition{"b", 1}
)

func unfenced(t *testing.T) func(error) {
	return func(err error) { t.Errorf("fenced: %v", err) }
}

// One partition's trouble is sent again; its neighbours in the request are done.
func TestCommitterPartialFailure(t *testing.T) {
	c := &coordinator{reply: func(n int, tp topicPartition) error {
		if tp == tpB && n < 3 {
			return errors.New("later")
		}
		return nil
	}}
	c.run(t, func(k *committer) {
		k.later(tpB, lane.Pair{Position: 1}, unfenced(t))
		began := time.Now()
		if err := k.now(context.Background(), tpA, lane.Pair{Position: 5}, unfenced(t)); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v: waited for the neighbour", took)
		}
		if err := k.flush(context.Background(), tpB); err != nil {
			t.Error(err)
		}
		if sent := c.requests(); len(sent) < 4 || len(sent[0]) != 2 {
			t.Errorf("sent %v", sent)
		}
	})
}

// A waiter of a superseded pair is served by its successor, and the older pair is never sent after it.
func TestCommitterSupersedes(t *testing.T) {
	c := &coordinator{reply: func(n int, _ topicPartition) error {
		if n == 0 {
			return errors.New("lost")
		}
		return nil
	}}
	c.run(t, func(k *committer) {
		old := make(chan error, 1)
		go func() { old <- k.now(context.Background(), tpA, lane.Pair{Position: 1}, unfenced(t)) }()
		synctest.Wait() // the first is under way
		k.later(tpA, lane.Pair{Position: 2}, unfenced(t))
		if err := <-old; err != nil {
			t.Error(err)
		}
		for i, request := range c.requests()[1:] {
			if request[tpA] != 2 {
				t.Errorf("request %d commits %d after 2 was there", i+1, request[tpA])
			}
		}
	})
}

// After a request without a response nothing more is sent in that generation, and nothing counts as confirmed: not its
// own pairs, not those that came meanwhile. In the next one the newest of each partition is sent.
func TestCommitterDoubt(t *testing.T) {
	c := &coordinator{reply: func(n int, _ topicPartition) error {
		if n == 0 {
			return fmt.Errorf("%w: cut", errDoubtful)
		}
		return nil
	}}
	c.run(t, func(k *committer) {
		old, newer := make(chan error, 1), make(chan error, 1)
		go func() { old <- k.now(context.Background(), tpA, lane.Pair{Position: 1}, unfenced(t)) }()
		synctest.Wait() // the first is under way
		go func() { newer <- k.now(context.Background(), tpA, lane.Pair{Position: 2}, unfenced(t)) }()
		k.later(tpB, lane.Pair{Position: 7}, unfenced(t))
		time.Sleep(time.Minute)
		k.later(tpB, lane.Pair{Position: 8}, unfenced(t))
		if sent := c.requests(); len(sent) != 1 || len(old)+len(newer) != 0 {
			t.Errorf("sent %v: want nothing after the doubt, and nobody told", sent)
		}
		if requested := c.requested(); len(requested) != 1 || !errors.Is(requested[0], errDoubtful) {
			t.Errorf("doubts %v, want one", requested)
		}
		k.advance(member{id: "m", generation: 2})
		if err := errors.Join(<-old, <-newer); err != nil {
			t.Error(err)
		}
		if sent := c.requests(); len(sent) != 2 || sent[1][tpA] != 2 || sent[1][tpB] != 8 {
			t.Errorf("sent %v: want the newest of both in the next generation", sent)
		}
	})
}

// A refusal of the generation is the last word only when no other one is to come: until then what waits is kept.
func TestRefusedGenerationIsWaitedOut(t *testing.T) {
	refused := fmt.Errorf("%w: %w", lane.ErrFenced, sarama.ErrIllegalGeneration)
	c := &coordinator{reply: func(n int, _ topicPartition) error {
		if n != 1 {
			return refused
		}
		return nil
	}}
	c.run(t, func(k *committer) {
		k.grace = time.Minute
		reported := make(chan error, 1)
		go func() { reported <- k.now(context.Background(), tpA, lane.Pair{Position: 1}, unfenced(t)) }()
		time.Sleep(30 * time.Second)
		if sent := c.requests(); len(sent) != 1 || len(reported)+len(c.requested()) != 0 {
			t.Errorf("sent %v, asked %v: want patience", sent, c.requested())
		}
		time.Sleep(time.Minute)
		if requested := c.requested(); len(requested) != 1 {
			t.Errorf("asked %v times for another generation, want once", requested)
		}
		k.advance(member{id: "m", generation: 3})
		if err := <-reported; err != nil {
			t.Error(err)
		}
		k.conclude()
		fenced := make(chan error, 1)
		mustFenced(t, k.now(context.Background(), tpA, lane.Pair{Position: 2}, func(err error) { fenced <- err }))
		mustFenced(t, <-fenced)
		mustFenced(t, k.now(context.Background(), tpB, lane.Pair{Position: 2}, unfenced(t)))
	})
}

// What a claim has handed over before it went is never sent after that, neither what waits nor what is to be sent
// again: in a generation that no longer has the claim the coordinator would take it.
func TestRetiredClaimCommitsNothing(t *testing.T) {
	c := &coordinator{reply: func(n int, _ topicPartition) error {
		if n == 0 {
			return errors.New("coordinator is loading")
		}
		return nil
	}}
	c.run(t, func(k *committer) {
		gone := make(chan error, 2)
		go func() { gone <- k.now(context.Background(), tpA, lane.Pair{Position: 1}, unfenced(t)) }()
		synctest.Wait() // it is on its way, and will fail
		k.later(tpB, lane.Pair{Position: 7}, unfenced(t))
		k.retire(tpA, lane.ErrFenced)
		k.retire(tpB, lane.ErrFenced)
		k.advance(member{id: "m", generation: 2})
		k.admit(tpA) // a new claim of the same partition
		time.Sleep(time.Minute)
		if sent := c.requests(); len(sent) != 1 {
			t.Errorf("sent %v: want nothing of claims that have gone", sent)
		}
		mustFenced(t, <-gone)
		mustFenced(t, k.now(context.Background(), tpB, lane.Pair{Position: 8}, unfenced(t)))
		if err := k.now(context.Background(), tpA, lane.Pair{Position: 2}, unfenced(t)); err != nil {
			t.Errorf("the new claim: %v", err)
		}
	})
}

func TestCommitterTimerAndEnd(t *testing.T) {
	c := &coordinator{reply: func(int, topicPartition) error { return nil }}
	c.run(t, func(k *committer) {
		for i := range int64(100) {
			k.later(tpA, lane.Pair{Position: i}, unfenced(t))
			k.later(tpB, lane.Pair{Position: -i}, unfenced(t))
		}
		time.Sleep(20 * time.Second)
		if sent := c.requests(); len(sent) != 1 || sent[0][tpA] != 99 || sent[0][tpB] != -99 {
			t.Errorf("sent %v: want one request with the newest of both", sent)
		}
		if err := k.flush(context.Background(), tpA); err != nil {
			t.Errorf("nothing to flush: %v", err)
		}
		k.end(lane.ErrFenced)
		mustFenced(t, k.now(context.Background(), tpA, lane.Pair{Position: 1}, unfenced(t)))
	})
}

func TestCommitterGivesUpWithItsCaller(t *testing.T) {
	c := &coordinator{reply: func(int, topicPartition) error { return errors.New("away") }}
	c.run(t, func(k *committer) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		if err := k.now(ctx, tpA, lane.Pair{Position: 1}, unfenced(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		// Backs off to 20 times the first pause, and ticks go on.
		if n := len(c.requests()); n < 300 || n > 700 {
			t.Errorf("%d attempts in an hour", n)
		}
	})
}

// Whoever flushes waits for what is on its way, too: it learns the outcome of that, also when it is sent again.
func TestFlushWaitsForTheCommitUnderWay(t *testing.T) {
	sending, responses := make(chan struct{}), make(chan error)
	tp := topicPartition{"t", 0}
	c := newCommitter(func(map[topicPartition]*handed) map[topicPartition]error {
		sending <- struct{}{}
		if err := <-responses; err != nil {
			return map[topicPartition]error{tp: err}
		}
		return nil
	}, func(error) {}, time.Hour, time.Millisecond, new(logtest.Log).Logger(), NewMetrics(nil))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.run(ctx) })
	waiting := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := 0
		for _, pairs := range []map[topicPartition]*handed{c.pending, c.flight} {
			if p := pairs[tp]; p != nil {
				n += len(p.confirmed)
			}
		}
		return n
	}
	c.later(tp, lane.Pair{Position: 5, Checkpoint: "x"}, func(error) {})
	c.wake <- struct{}{}
	<-sending
	flushed := make(chan error, 1)
	go func() { flushed <- c.flush(t.Context(), tp) }()
	eventually(t, "a waiter of the commit on its way", func() bool { return waiting() == 1 })
	responses <- errors.New("again, please")
	<-sending
	select {
	case err := <-flushed:
		t.Errorf("flush returns %v while the commit has no response", err)
	default:
	}
	responses <- nil
	if err := <-flushed; err != nil {
		t.Errorf("flush: %v", err)
	}
	if err := c.flush(t.Context(), tp); err != nil {
		t.Errorf("nothing is left to flush: %v", err)
	}
	cancel()
	running.Wait()
	mustFenced(t, c.flush(t.Context(), tp)) // the generation is over, and what it holds is not the newest
}

// Who waits for a pair that a newer one has replaced before it was sent is served with that one.
func TestWaitersOfAReplacedPairAreServed(t *testing.T) {
	c := &coordinator{reply: func(int, topicPartition) error { return nil }}
	c.run(t, func(k *committer) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		responses := make(chan error, 3)
		wait := func(tp topicPartition, position int64) {
			go func() { responses <- k.now(ctx, tp, lane.Pair{Position: position}, unfenced(t)) }()
			synctest.Wait()
		}
		wait(tpB, 1) // under way, so that what follows waits for the next request
		wait(tpA, 1)
		wait(tpA, 2)
		for range 3 {
			if err := <-responses; err != nil {
				t.Error(err)
			}
		}
		if sent := c.requests(); len(sent) != 2 || sent[1][tpA] != 2 {
			t.Errorf("sent %v: want the newer one alone", sent)
		}
	})
}

// What is to be sent again goes after a pause, which grows while that goes on, and not with the next tick; it starts
// anew once something was confirmed.
func TestPausesBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pause = time.Second
		failures := 0
		var at []time.Time
		k := newCommitter(func(pairs map[topicPartition]*handed) map[topicPartition]error {
			at = append(at, time.Now())
			if failures--; failures >= 0 {
				return map[topicPartition]error{tpA: errors.New("later")}
			}
			return nil
		}, func(error) {}, time.Hour, pause, new(logtest.Log).Logger(), NewMetrics(nil))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { k.run(ctx) })
		for _, want := range [][]time.Duration{{pause, 2 * pause, 4 * pause}, {pause, 2 * pause}} {
			failures, at = len(want), nil
			if err := k.now(t.Context(), tpA, lane.Pair{Position: 1}, unfenced(t)); err != nil {
				t.Error(err)
			}
			var got []time.Duration
			for i := range len(at) - 1 {
				got = append(got, at[i+1].Sub(at[i]))
			}
			if !slices.Equal(got, want) {
				t.Errorf("pauses of %v, want %v", got, want)
			}
		}
		cancel()
		running.Wait()
	})
}
