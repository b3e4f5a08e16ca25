package source

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// stuckLetters take nothing, and say why.
type stuckLetters struct{ got chan []lane.DeadLetter }

func (s *stuckLetters) Produce(ctx context.Context, letters []lane.DeadLetter, waits func(string)) error {
	waits("a right")
	s.got <- letters
	<-ctx.Done()
	return context.Cause(ctx)
}

// A lane's dead letters go to whoever takes them; the call ends with the claim, drained or not, and names the
// partition.
func TestDeadLettersOfAClaim(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(1, testTopic))
	letters := &stuckLetters{got: make(chan []lane.DeadLetter, 1)}
	s := start(t, testConfig(c.ListenAddrs()...), false)
	s.Letters = letters // no lane asks before the claim below does
	o := s.claim(t)
	received := make(chan string, 1)
	failed := make(chan error, 1)
	go func() {
		failed <- o.DeadLetter(context.WithoutCancel(t.Context()), []lane.DeadLetter{{Reason: "refused"}},
			func(what string) { received <- what })
	}()
	if what, got := <-received, <-letters.got; what != "a right" || len(got) != 1 || got[0].Reason != "refused" {
		t.Errorf("%q, %+v", what, got)
	}
	s.stop()
	if err := <-failed; !errors.Is(err, lane.ErrFenced) || err.Error() == "" {
		t.Errorf("got %v", err)
	}
}
