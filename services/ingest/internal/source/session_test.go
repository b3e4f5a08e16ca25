package source

import (
	"testing"
	"time"

	"github.com/IBM/sarama"
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
