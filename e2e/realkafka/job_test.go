//go:build realkafka

package realkafka

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// The main job, with both built-in contracts and bad records: a writer and an ingest are killed on the way.
func TestMainJob(t *testing.T) {
	t.Parallel()
	w := lay(t, stack.Config{Ingests: 2, Writers: 2, Group: "main"})
	w.topics = verify.Builtin("waybill")
	w.create(stack.DeliveryTopic, nil)
	w.create(stack.StockTopic, nil)
	w.up()
	w.fault(map[string]any{"kind": "latency", "method": "append", "delay": "200ms"})
	mix := plain
	mix.TruncatedEvery, mix.UnknownTypeEvery, mix.ContainerEvery = 300, 400, 20
	bad := int64(0)
	for _, topic := range []string{stack.DeliveryTopic, stack.StockTopic} {
		sum := w.produce(topic, 5000, mix)
		bad += sum.Truncated + sum.UnknownTypes
	}
	w.committed(500)
	w.kill(w.Writers[0])
	w.committed(2000)
	w.kill(w.Ingests[0])
	w.restart(w.Writers[0])
	w.committed(4000)
	w.restart(w.Ingests[0])
	if report := w.verified(); report.DeadLetters != bad || bad == 0 {
		t.Errorf("%d records are dead letters, %d are bad", report.DeadLetters, bad)
	}
}

// The real coordinator fences a member that was stopped beyond its session: the other takes over, and when the first
// wakes up, with its window still in flight, neither its commits nor its appends count.
func TestZombieIngest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stack.Config{Ingests: 2})
	w.slow()
	w.produce(w.topic(), 5000, plain)
	w.committed(800)
	zombie := w.Ingests[0]
	hasLanes := func() error {
		lanes, err := zombie.Lanes(w.ctx)
		if err == nil && len(lanes) == 0 {
			err = errNoLanes
		}
		return err
	}
	w.until("both members have lanes", hasLanes)
	if err := zombie.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The one that joined first may have had all claims for a moment before.
	stopped, other := w.logSize(zombie), w.logSize(w.Ingests[1])
	w.loggedBehind(w.Ingests[1], other, fmt.Sprintf("claims=%d", partitions))
	w.settled()
	if err := zombie.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	w.loggedBehind(zombie, stopped, "lane stopped")
	w.loggedBehind(zombie, stopped, "left the session")
	w.produce(w.topic(), 1000, plain)
	w.verified()
	// It comes back: both have lanes.
	w.until("the member that was fenced has lanes again", hasLanes)
}
