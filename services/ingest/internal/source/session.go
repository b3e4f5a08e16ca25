package source

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// session is one generation of our membership; it is sarama's group handler. Assignment is eager, so all claims live
// and die together.
type session struct {
	source  *Source
	handler Handler
	// leave ends the generation, so that the member joins again.
	leave context.CancelFunc
	// doubtful says that it ended so because of a doubtful commit.
	doubtful atomic.Bool

	committer *committer
	prefetch  *prefetch
	// fetchers are as many as connections to a broker; each has some of the claims.
	fetchers []*fetchers
	// ends are where the partitions end.
	ends *ends
	// nth numbers the claims, so that they spread over the fetchers.
	nth map[topicPartition]int

	// running is the committer, readers are the goroutines of readers and fetchers. Cleanup waits for both.
	running sync.WaitGroup
	readers sync.WaitGroup
	// unread drains sarama's own consumers.
	unread sync.WaitGroup
	stop   context.CancelFunc
}

// Setup prepares what the claims of this generation share.
func (s *session) Setup(gs sarama.ConsumerGroupSession) error {
	s.stop = func() {} // sarama calls Cleanup after a Setup that failed
	id := member{id: gs.MemberID(), generation: gs.GenerationID()}
	if err := s.source.renewal.check(id); err != nil {
		return err
	}
	s.nth = make(map[topicPartition]int)
	for topic, partitions := range gs.Claims() {
		for _, p := range partitions {
			s.nth[topicPartition{topic, p}] = len(s.nth)
		}
	}
	k := &s.source.config.Kafka
	var fetch int32
	s.prefetch, fetch = newPrefetch(int64(k.Fetch.Prefetch), int64(k.Fetch.Bytes), k.Fetch.Records, len(s.nth))
	s.source.metrics.budget.Store(s.prefetch)
	clients := k.Fetch.Clients
	if clients == 0 {
		clients = fewClients()
	}
	response := max(int32(min(int64(k.Fetch.Prefetch)/int64(4*clients), 50<<20)), fetch)
	config, err := k.dataConfig(fetch, response)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(gs.Context()))
	s.stop = cancel
	for range clients {
		s.fetchers = append(s.fetchers, newFetchers(ctx, s.source.leaders, config, &s.readers))
	}
	if k.InstanceID != "" {
		id.instance = &k.InstanceID
	}
	send := func(pairs map[topicPartition]*pair) map[topicPartition]error {
		return s.source.offsets.commit(id, pairs)
	}
	doubted := func(err error) {
		s.source.renewal.doubt(id)
		s.doubtful.Store(true)
		s.source.log.Warn("an offset commit was not answered; the generation ends, so that it cannot land after a newer one",
			"generation", id.generation, "member", id.id, "error", err)
		s.leave()
	}
	s.committer = newCommitter(send, doubted, time.Duration(s.source.config.Commit.Interval), s.source.backoff,
		s.source.log, s.source.metrics)
	s.running.Go(func() { s.committer.run(ctx) })
	s.ends = newEnds(s.source)
	s.running.Go(func() { s.ends.run(ctx) })
	s.source.metrics.generations.Inc()
	s.source.unserved.Store(0)
	s.source.joined.Store(true)
	s.source.calls.Go(s.source.sayForeign)
	s.source.log.Info("joined the group", "generation", id.generation, "member", id.id, "claims", len(s.nth),
		"fetch_bytes", fetch)
	return nil
}

// Cleanup ends the generation once every claim has drained.
func (s *session) Cleanup(gs sarama.ConsumerGroupSession) error {
	s.stop()
	s.running.Wait()
	s.readers.Wait()
	s.unread.Wait()
	s.source.log.Info("left the generation", "generation", gs.GenerationID())
	return nil
}

// ConsumeClaim runs the lane of one claim. It returns only when the session ends: returning early would end it for all
// claims.
func (s *session) ConsumeClaim(gs sarama.ConsumerGroupSession, gc sarama.ConsumerGroupClaim) error {
	tp := topicPartition{gc.Topic(), gc.Partition()}
	// Sarama's own consumer of the partition is not needed, and costs five goroutines and a share of every fetch.
	// Closed, it ends at once; sarama closes it again at the end of the claim. The pause is for the moment until then.
	s.source.group.Pause(map[string][]int32{tp.topic: {tp.partition}})
	if own, ok := gc.(interface{ AsyncClose() }); ok {
		own.AsyncClose()
	}
	s.unread.Go(func() { // a fetch that was under way before the pause may still deliver; this ends when the consumer has
		for range gc.Messages() {
		}
	})

	c := &claim{
		tp: tp, session: s, fetchers: s.fetchers[s.nth[tp]%len(s.fetchers)],
		log: s.source.log.With("topic", tp.topic, "partition", tp.partition),
	}
	c.owned, c.end = context.WithCancelCause(gs.Context())
	c.alive, c.kill = context.WithCancelCause(context.WithoutCancel(gs.Context()))
	stop := c.drain(time.Duration(s.source.config.Kafka.DrainTimeout), func() {
		s.source.metrics.overdue.Inc()
		c.log.Error("the lane did not drain in time; what it had not committed is replayed by the next owner",
			"drain_timeout", time.Duration(s.source.config.Kafka.DrainTimeout))
	})
	s.source.metrics.claims.Inc()
	s.ends.add(c)
	s.serve(c)
	s.ends.remove(c)
	s.source.metrics.claims.Dec()
	// What the lane handed to CommitLater and did not await.
	if err := s.committer.flush(c.alive, tp); err != nil {
		c.log.Debug("last commit", "error", err)
	}
	stop()
	c.kill(lane.ErrFenced)
	c.release()

	if gs.Context().Err() == nil && errors.Is(context.Cause(c.owned), lane.ErrFenced) {
		// The coordinator refused this generation; the heartbeat is about to learn the same. If it does not, only a new
		// generation helps, and returning asks for one.
		select {
		case <-gs.Context().Done():
		case <-time.After(s.source.fenceGrace):
			c.log.Warn("commits are fenced but the session goes on: joining the group again")
			return nil
		}
	}
	<-gs.Context().Done()
	c.end(nil)
	return nil
}

// serve runs the handler. A handler that returns or panics while the claim is ours is a fault that must not take the
// session down.
func (s *session) serve(c *claim) {
	defer func() {
		if r := recover(); r != nil {
			s.source.unserved.Add(1)
			c.log.Error("the lane panicked; its partition rests until the next rebalance", "panic", r, "stack",
				string(debug.Stack()))
		}
	}()
	s.handler(c.owned, c)
	if c.owned.Err() == nil {
		s.source.unserved.Add(1)
		c.log.Error("the lane ended while its claim is ours; its partition rests until the next rebalance")
	}
}
