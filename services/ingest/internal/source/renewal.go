package source

import (
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/IBM/sarama"
)

// errSameGeneration says that joining again changed nothing.
var errSameGeneration = errors.New("the coordinator gave the generation of a doubtful commit once more")

// renewal sees to it that after a doubtful commit the member is in another generation. Joining again is not enough: to
// a follower whose subscription is the one it came with before, the coordinator of a stable group responds with the
// generation that there is (GroupCoordinator.doJoinGroup, state Stable). A subscription that differs makes it a
// rebalance, and the member keeps its id, so that nobody waits for its session to expire.
type renewal struct {
	doubts  atomic.Int64
	doubted atomic.Pointer[member]
}

// doubt gives up the generation of a member.
func (r *renewal) doubt(m member) {
	r.doubted.Store(&m)
	r.doubts.Add(1)
}

// check refuses the generation that was given up.
func (r *renewal) check(m member) error {
	if d := r.doubted.Load(); d == nil || d.id != m.id || d.generation != m.generation {
		return nil
	}
	r.doubts.Add(1)
	return errSameGeneration
}

// marked is a strategy without user data of its own, which makes each doubt part of the subscription.
type marked struct {
	sarama.BalanceStrategy
	renewal *renewal
}

var _ sarama.SubscriptionUserDataBalanceStrategy = marked{}

// SubscriptionUserData is what sarama sends with the next join.
func (m marked) SubscriptionUserData([]string) ([]byte, error) {
	n := m.renewal.doubts.Load()
	if n == 0 {
		return nil, nil
	}
	return []byte("waybill " + strconv.FormatInt(n, 10)), nil
}
