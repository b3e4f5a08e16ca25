package source

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// A partition that is not ours any more when sarama begins with it has no claim: the session's part of it ends when
// sarama says so, by the end of its messages, and no sooner, since that would end the session.
func TestSessionOfAPartitionThatIsNotOurs(t *testing.T) {
	m, _ := alone(t, waits)
	defer m.close()
	m.enter(member{id: "m", generation: 6}, nil, true, true)
	s := &session{membership: m, leave: func() {}}
	gc := plainClaim{messages: make(chan *sarama.ConsumerMessage)}
	returned := make(chan error, 1)
	go func() { returned <- s.ConsumeClaim(&generation{id: "m", number: 6, ctx: t.Context()}, gc) }()
	gc.messages <- nil // what was fetched is of no use
	select {
	case err := <-returned:
		t.Errorf("ended the session: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	close(gc.messages)
	if err := <-returned; err != nil || len(m.claims) != 0 {
		t.Errorf("%v; %d claims", err, len(m.claims))
	}
}

// While the coordinator has ended a claim and the session goes on, the partition has no lane: the ingest is not ready,
// and says why.
func TestAFencedClaimIsSaid(t *testing.T) {
	m, _ := alone(t, waits)
	defer m.close()
	s := m.source
	s.fenceGrace = time.Hour
	s.joined.Store(true)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	claims := &session{membership: m, leave: func() {}}
	messages := make(chan *sarama.ConsumerMessage)
	c := m.claim(t.Context(), claimed)
	returned := make(chan error)
	go func() {
		returned <- claims.ConsumeClaim(&generation{id: "m", number: 5, ctx: ctx}, plainClaim{messages: messages})
	}()
	<-s.group.(*groupless).paused // it has the claim
	if err := s.Ready(); err != nil {
		t.Errorf("before: %v", err)
	}
	c.end(lane.ErrFenced)
	eventually(t, "the claim without a lane is said", func() bool {
		err := s.Ready()
		return err != nil && strings.Contains(err.Error(), "1 partitions of this member have no lane: another member")
	})
	end()
	if err := <-returned; err != nil {
		t.Error(err)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("after: %v", err)
	}
	close(messages)
	claims.unread.Wait()
}
