package source

import (
	"context"
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// Claims that are revoked have drained before sarama has learned that they are: it ends the whole session then, and the
// claims that stay go on all the same.
func TestClaimsThatDrainAtOnce(t *testing.T) {
	for _, instance := range []string{"", "static"} {
		t.Run("instance "+instance, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, kfake.SeedTopics(6, testTopic))
			exits := make(chan struct{}, 64)
			a := startTopics(t, testConfig(c.ListenAddrs()...).with(func(c *Config) { c.Kafka.InstanceID = instance }),
				false, Topics{Names: []string{testTopic}}, func(s *Source) {
					s.entered = func(m *membership) {
						m.mu.Lock()
						revoking, session := m.revoking, m.session
						m.mu.Unlock()
						if session == nil || !revoking {
							return
						}
						ctx := session.group.Context()
						<-ctx.Done() // since the claims have drained, and sarama has not marked them
						if errors.Is(context.Cause(ctx), sarama.ErrSessionConsumeClaimExited) {
							exits <- struct{}{}
						}
					}
				})
			w := owners{}
			w.take(t, a, 6)
			b := start(t, testConfig(c.ListenAddrs()...), false)
			w.take(t, b, 3)
			if len(exits) == 0 {
				t.Error("sarama's session has not ended, so this shows nothing")
			}
			eventually(t, "the next session", func() bool {
				m := a.member.Load()
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.session != nil && m.session.group.Context().Err() == nil
			})
			// The plan may take one more, which drains in order; without this all three would have ended.
			stays := 0
			for _, o := range w.living() {
				if o.of != a {
					continue
				}
				err := o.Commit(t.Context(), lane.Pair{Position: 8, Checkpoint: "in the next session"})
				if err == nil {
					stays++
				} else if o.ctx.Err() == nil {
					t.Errorf("partition %d: %v", o.Number(), err)
				}
			}
			if stays == 0 {
				t.Error("no claim stays")
			}
		})
	}
}
