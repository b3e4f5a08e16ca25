package source

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// A static member does not learn what a generation assigns, since the next rebalance has begun by then. What it
// reported when it joined has stood for it, so its claims go on, and what it has to give away drains in order: nothing
// ends as after a crash. It may be the leader or not.
func TestStaticMemberMissesAGeneration(t *testing.T) {
	const partitions = 6
	for _, leads := range []bool{true, false} {
		t.Run(fmt.Sprint("leader ", leads), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, kfake.SeedTopics(partitions, testTopic))
			var misses, missed atomic.Int32
			observe(c, kmsg.SyncGroup, func(r kmsg.Request) kmsg.Response {
				request := r.(*kmsg.SyncGroupRequest)
				if request.InstanceID == nil || misses.Load() == 0 {
					return nil
				}
				misses.Add(-1)
				missed.Add(1)
				response := request.ResponseKind().(*kmsg.SyncGroupResponse)
				response.ErrorCode = kerr.RebalanceInProgress.Code
				return response
			})
			member := func(instance string) *running {
				return start(t, testConfig(c.ListenAddrs()...).with(func(c *Config) {
					c.Kafka.InstanceID = instance
					// Nobody is to be expelled on a busy machine.
					c.Kafka.SessionTimeout = config.Duration(time.Minute)
					c.Kafka.RebalanceTimeout = config.Duration(2 * time.Minute)
				}), false)
			}
			names := []string{"static", ""}
			if !leads {
				names = []string{"", "static"}
			}
			w := owners{}
			first := member(names[0])
			w.take(t, first, partitions)
			second := member(names[1])
			w.take(t, second, partitions/2)
			static, other := first, second
			if !leads {
				static, other = second, first
				// What it has just got it is to have named when it joined.
				other.stop()
				w.take(t, static, partitions/2)
				other = member("")
				w.take(t, other, partitions/2)
			}
			var held []*owned
			for _, o := range w.living() {
				if o.of == static {
					held = append(held, o)
				}
			}

			misses.Store(1)
			third := member("")
			w.take(t, third, 2)
			eventually(t, "everybody to have two", func() bool {
				has := map[*running]int{}
				for _, o := range w.living() {
					has[o.of]++
				}
				return has[static] == 2 && has[other] == 2 && has[third] == 2
			})
			if missed.Load() != 1 {
				t.Errorf("missed %d generations, want 1", missed.Load())
			}
			for _, o := range held {
				switch err := context.Cause(o.ctx); {
				case err == nil:
					mustCommit(t, o, 7, "goes on")
				case errors.Is(err, lane.ErrFenced):
					t.Errorf("partition %d ended as after a crash: %v", o.Number(), err)
				}
			}
		})
	}
}
