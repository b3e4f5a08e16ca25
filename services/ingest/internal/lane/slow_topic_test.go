package lane

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// elsewhere is a member whose partition is one of another topic.
type elsewhere struct {
	*member
	topic string
}

func (e elsewhere) Topic() string { return e.topic }

// BigQuery stalls for one table: the lanes of that topic come to rest at their share, and those of another topic, in
// the same process, are as quick as they were.
func TestSlowTopicLeavesRoom(t *testing.T) {
	bubble(t, func(t *testing.T, slow *world) {
		quick := newWorld(t)
		budget := NewBudget(256 << 10)
		text := strings.Repeat("x", 1<<10)
		start := func(w *world, topic string) *process {
			return w.start(func(p *process) {
				p.lane.Budget = budget
				p.lane.Partition = elsewhere{p.member, topic}
			})
		}
		one, other := start(slow, "slow"), start(quick, "quick")
		rate := func() (settled int64) {
			from := other.lane.Status().Position
			for range 100 {
				for range 5 {
					quick.log.produce("a", text)
				}
				time.Sleep(50 * time.Millisecond)
			}
			return other.lane.Status().Position - from
		}
		before := rate()

		slow.model.mu.Lock()
		slow.model.latency = time.Hour
		slow.model.mu.Unlock()
		for range 1000 {
			slow.log.produce("a", text)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := one.lane.Status(); s.WindowBatches == 0 {
			t.Fatalf("the slow lane does not stall: %+v", s)
		}
		if held := budget.Used(); held > budget.Size()*4/5 {
			t.Errorf("a topic that does not move holds %d of %d bytes", held, budget.Size())
		}
		during := rate()
		if before < 490 || during < 490 {
			t.Errorf("the other topic settles %d of 500 records before, and %d of 500 beside it", before, during)
		}
		one.kill()
		<-one.done
		other.end()
		quick.verify()
		checkBudget(t, other)
	})
}
