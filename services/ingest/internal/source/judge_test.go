package source

import (
	"context"
	"errors"
	"testing"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// A stale member's commit is not done, and whoever waits for it learns so: the claim ends with it.
func TestStaleCommitEndsTheClaim(t *testing.T) {
	for _, code := range []sarama.KError{
		sarama.ErrIllegalGeneration, sarama.ErrUnknownMemberId, sarama.ErrFencedInstancedId,
	} {
		t.Run(code.Error(), func(t *testing.T) {
			c := &coordinator{reply: func(int, topicPartition) error { return judge(code) }}
			c.run(t, func(k *committer) {
				k.conclude() // no other generation is to come
				ended := make(chan error, 1)
				err := k.now(context.Background(), tpA, lane.Pair{Position: 1}, func(err error) { ended <- err })
				if !errors.Is(err, lane.ErrFenced) {
					t.Errorf("the commit returned %v, want ErrFenced", err)
				}
				select {
				case err := <-ended:
					if !errors.Is(err, lane.ErrFenced) {
						t.Errorf("the claim ended with %v, want ErrFenced", err)
					}
				default:
					t.Error("the claim goes on")
				}
				if sent := c.requests(); len(sent) != 1 {
					t.Errorf("sent %d times, want once: nothing will change", len(sent))
				}
			})
		})
	}
}
