package source

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// Who stops waits for a join that is under way in a session, if it has claims: one whose report the newest generation's
// leader did not have, or one that releases what was revoked. The limit ends the wait.
func TestWhoStopsWaitsForItsJoin(t *testing.T) {
	const limit = time.Minute
	for name, test := range map[string]struct {
		session, claims, revoking bool
		reports, joined           int
		waits                     bool
	}{
		"a report since":                    {true, true, false, 3, 2, true},
		"claims were revoked":               {true, true, true, 2, 2, true},
		"no join":                           {true, true, false, 2, 2, false},
		"no claims":                         {true, false, false, 3, 2, false},
		"no claims left of those revoked":   {true, false, true, 2, 2, false},
		"between two sessions":              {false, true, false, 3, 2, false},
		"between two sessions, and revoked": {false, true, true, 2, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &membership{
					claims: map[topicPartition]*claim{}, entered: make(chan struct{}), reports: test.reports,
					joined: test.joined, revoking: test.revoking,
				}
				if test.session {
					m.session = &session{membership: m}
				}
				if test.claims {
					m.claims[claimed] = &claim{}
				}
				began := time.Now()
				m.rebalanced(t.Context(), limit)
				if waited := time.Since(began); waited != map[bool]time.Duration{true: limit}[test.waits] {
					t.Errorf("waited for %v", waited)
				}
			})
		})
	}
}

// The wait for a join ends with the session, and once a generation is entered that leaves no join under way.
func TestEndOfTheWaitForAJoin(t *testing.T) {
	for name, test := range map[string]struct {
		ends, enters, again bool // again: the generation takes claims once more
		want                time.Duration
	}{
		"the session ends":                     {ends: true, want: time.Second},
		"a generation is entered":              {enters: true, want: time.Second},
		"one that takes more":                  {enters: true, again: true, want: time.Minute},
		"one that takes more, and the session": {enters: true, again: true, ends: true, want: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &membership{
					claims: map[topicPartition]*claim{claimed: {}}, entered: make(chan struct{}), revoking: true,
				}
				m.session = &session{membership: m}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, func() {
					if test.enters {
						m.mu.Lock()
						m.revoking = test.again
						close(m.entered)
						m.entered = make(chan struct{})
						m.mu.Unlock()
					}
					if test.ends {
						cancel()
					}
				})
				began := time.Now()
				m.rebalanced(ctx, time.Minute)
				if waited := time.Since(began); waited != test.want {
					t.Errorf("waited for %v, want %v", waited, test.want)
				}
			})
		})
	}
}

// Claims outlive a session that is renewed, and one that sarama ends because a revoked claim of ours has drained before
// it has marked it: not one that ends for another reason after that, nor for that reason without such a claim.
func TestWhichSessionsClaimsOutlive(t *testing.T) {
	for name, test := range map[string]struct {
		renewed, early bool
		why            error
		outlived       bool
	}{
		"renewed":                         {true, false, context.Canceled, true},
		"a claim drained early":           {false, true, sarama.ErrSessionConsumeClaimExited, true},
		"one did, and the member stops":   {false, true, context.Canceled, false},
		"a claim ended though none did":   {false, false, sarama.ErrSessionConsumeClaimExited, false},
		"the member stops":                {false, false, context.Canceled, false},
		"renewed, and a claim has ended ": {true, true, sarama.ErrSessionConsumeClaimExited, true},
	} {
		s := &session{}
		s.renewed.Store(test.renewed)
		s.early.Store(test.early)
		ctx, end := context.WithCancelCause(t.Context())
		end(test.why)
		if got := s.outlived(ctx); got != test.outlived {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A claim that drains while its session goes on is noted; one that is fenced is not: the coordinator has ended that.
// Claims of sarama's that we cannot close are left to it.
func TestClaimsThatDrainEarlyAreNoted(t *testing.T) {
	for name, test := range map[string]struct {
		why   error
		early bool
	}{
		"revoked": {nil, true},
		"fenced":  {errors.Join(lane.ErrFenced, errRefused), false},
	} {
		t.Run(name, func(t *testing.T) {
			m, log := alone(t, waits)
			defer m.close()
			s := &session{membership: m, leave: func() {}}
			gc := plainClaim{messages: make(chan *sarama.ConsumerMessage)}
			c := m.claim(t.Context(), claimed)
			returned := make(chan error)
			go func() { returned <- s.ConsumeClaim(&generation{id: "m", number: 5, ctx: t.Context()}, gc) }()
			<-m.source.group.(*groupless).paused
			c.end(test.why)
			if err := <-returned; err != nil || s.early.Load() != test.early {
				t.Errorf("%v, early %v; log: %s", err, s.early.Load(), log)
			}
			close(gc.messages)
			s.unread.Wait()
		})
	}
}
