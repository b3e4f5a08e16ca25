package source

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// session is one call of Consume, and sarama's group handler: one generation of an eager group, or, of a cooperative
// one, all of them until something ends the call. Claims are not its own, see membership; it ends them with itself
// unless it is to be renewed.
type session struct {
	membership *membership
	// leave ends the session, so that the member joins again.
	leave context.CancelFunc
	// renewed says that the claims outlive the session, as another generation is wanted for their commits.
	renewed atomic.Bool
	// early says that a revoked claim has ended while the session ran, see outlived.
	early atomic.Bool
	// over concludes the generation, once.
	over sync.Once
	// group is set while the session runs.
	group sarama.ConsumerGroupSession
	// unread drains sarama's own consumers.
	unread sync.WaitGroup
}

// renew ends the session without the claims.
func (s *session) renew() {
	s.renewed.Store(true)
	s.leave()
}

// outlived says that claims go on when the session ends. A claim that is revoked may have drained before sarama has
// marked it as revoked, which it does after it has told us of the assignment: sarama then takes its end for the
// handler's wish to leave, and ends the session of all. The next join has the same claims, by our report.
func (s *session) outlived(ctx context.Context) bool {
	return s.renewed.Load() ||
		s.early.Load() && errors.Is(context.Cause(ctx), sarama.ErrSessionConsumeClaimExited)
}

// Setup begins the first generation of a session.
func (s *session) Setup(gs sarama.ConsumerGroupSession) error {
	m := s.membership
	id := m.identity(gs.MemberID(), gs.GenerationID())
	m.mu.Lock()
	reported := m.reported
	m.reported = false
	m.mu.Unlock()
	if err := m.source.renewal.check(id); err != nil {
		return err
	}
	rest, _ := m.enter(id, gs.Claims(), reported, reported)
	m.source.joined.Store(true)
	if err := drained(gs.Context(), rest); err != nil {
		return err
	}
	m.mu.Lock()
	s.group, m.session = gs, s
	m.mu.Unlock()
	m.source.calls.Go(m.source.sayForeign)
	return nil
}

// errDrained says that claims of an earlier session have ended: joining again hands their partitions over.
var errDrained = errors.New("partitions have been drained: joining again without them")

// drained waits until claims have drained of which sarama's session knows nothing. Heartbeats go on meanwhile, and so
// do the lanes of the others.
func drained(ctx context.Context, rest []*claim) error {
	for _, c := range rest {
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil
		}
	}
	if len(rest) > 0 {
		return errDrained
	}
	return nil
}

// Cleanup ends the session once every claim has drained, or is kept for the next one.
func (s *session) Cleanup(gs sarama.ConsumerGroupSession) error {
	s.unread.Wait()
	m := s.membership
	m.mu.Lock()
	m.session = nil
	m.mu.Unlock()
	m.source.log.Info("left the session", "generation", gs.GenerationID())
	return nil
}

// assignment is what a cooperative group assigns to us in the generation to come, of which sarama's session knows
// nothing yet. Claims that are not in it end here: that sarama closes the messages of such a claim helps nobody
// who has closed them himself.
func (m *membership) assignment(generation int32, topics map[string][]int32, reported bool) {
	m.mu.Lock()
	s := m.session
	if s == nil { // the first of a session is Setup's
		m.reported = reported
	}
	m.mu.Unlock()
	if s == nil {
		return
	}
	if _, lost := m.enter(m.identity(s.group.MemberID(), generation), topics, true, reported); lost {
		s.leave()
	}
}

func (m *membership) identity(id string, generation int32) member {
	as := member{id: id, generation: generation}
	if k := &m.source.config.Kafka; k.InstanceID != "" {
		as.instance = &k.InstanceID
	}
	return as
}

// ConsumeClaim is the session's part of a claim. It returns when the claim has ended: returning early would end the
// session.
func (s *session) ConsumeClaim(gs sarama.ConsumerGroupSession, gc sarama.ConsumerGroupClaim) error {
	m, tp := s.membership, topicPartition{gc.Topic(), gc.Partition()}
	m.known(m.identity(gs.MemberID(), gs.GenerationID()))
	c := m.claim(gs.Context(), tp)
	if c == nil { // revoked before it began, which sarama says by the end of the messages
		for range gc.Messages() {
		}
		return nil
	}
	// Sarama's own consumer of the partition is not needed, and costs five goroutines and a share of every fetch.
	// Closed, it ends at once; sarama closes it again at the end of the claim. The pause is for the moment until then.
	m.source.group.Pause(map[string][]int32{tp.topic: {tp.partition}})
	if own, ok := gc.(interface{ AsyncClose() }); ok {
		own.AsyncClose()
	}
	// A fetch that was under way before the pause may still deliver; this ends when the consumer has.
	s.unread.Go(func() {
		for range gc.Messages() {
		}
	})
	select {
	case <-c.owned.Done():
	case <-gs.Context().Done():
	}
	if gs.Context().Err() != nil {
		if s.outlived(gs.Context()) {
			return nil
		}
		s.over.Do(m.committer.conclude)
		c.end(nil)
	}
	<-c.done
	fenced := errors.Is(context.Cause(c.owned), lane.ErrFenced)
	if !fenced {
		s.early.Store(true)
	}
	if gs.Context().Err() == nil && fenced {
		// The coordinator does not know us; the heartbeat is about to learn the same. If it does not, only joining
		// again helps, and returning asks for that. Until then the claim has no lane.
		m.source.fenced.Add(1)
		defer m.source.fenced.Add(-1)
		select {
		case <-gs.Context().Done():
		case <-time.After(m.source.fenceGrace):
			c.log().Warn("commits are fenced but the session goes on: joining the group again")
		}
	}
	return nil
}
