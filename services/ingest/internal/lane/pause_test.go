package lane

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

func pauseForAnHour() *Pause {
	return &Pause{Until: time.Now().Add(time.Hour), By: "alice", Reason: "maintenance"}
}

// A lane that is paused settles what it has sent, reads nothing more, keeps its position, says why and until when, and
// goes on by itself: all rows arrive once.
func TestPausedLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(nil)
		w.produceRows("a", 200)
		time.Sleep(5 * time.Millisecond) // some is on its way
		p.lane.Pause(pauseForAnHour())
		time.Sleep(time.Minute)
		synctest.Wait()
		at := w.log.pair().Position
		s := p.lane.Status()
		if s.State != Paused || s.WindowBatches != 0 || s.Position != at ||
			!strings.Contains(s.WaitingFor, "by alice: maintenance") {
			t.Errorf("paused: %+v, committed %d", s, at)
		}
		if p.member.readers != 0 || running("send") != 0 || running("(*call).receive") != 0 {
			t.Errorf(
				"%d readers of the source, %d senders, %d receivers",
				p.member.readers,
				running("send"),
				running("(*call).receive"),
			)
		}
		if cause, _, minute, _ := p.lane.Shares(time.Now()); cause != causes.Paused || minute[causes.Paused] < 0.9 {
			t.Errorf("cause %v, %v", cause, minute)
		}
		if why := p.lane.Stuck(); why != "" {
			t.Errorf("a pause is no fault: %s", why)
		}
		w.produceRows("b", 100)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if now := w.log.pair().Position; now != at {
			t.Errorf("the position moved from %d to %d", at, now)
		}
		checkBudget(t, p)
		time.Sleep(30 * time.Minute)
		w.settle()
		if s := p.lane.Status(); s.State != Open || s.Paused != "" || s.WaitingFor != "" {
			t.Errorf("after the pause: %+v", s)
		}
		p.end()
		w.verify()
	})
}

// A pause ends before its time when it is resumed, and a lane that begins while it is paused opens nothing.
func TestResumedLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 10)
		p := w.start(func(p *process) { p.lane.Pause(pauseForAnHour()) })
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := p.lane.Status(); s.State != Paused || len(w.store.rows("a")) != 0 || len(w.log.history) != 0 {
			t.Errorf("%+v, %d rows, %d commits", s, len(w.store.rows("a")), len(w.log.history))
		}
		p.lane.Pause(nil)
		w.settle()
		p.lane.Pause(pauseForAnHour()) // at rest
		time.Sleep(time.Second)
		synctest.Wait()
		if s := p.lane.Status(); s.State != Paused {
			t.Errorf("%+v", s)
		}
		p.end() // a claim that ends does not wait for the end of the pause
		w.verify()
	})
}

// A pause reaches a lane that waits for a writer, or backs off: it is not for the end of that.
func TestPauseOfALaneThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := laneAt(&spot{}, nil)
		turn, over := l.orders.turn(t.Context())
		go func() {
			time.Sleep(time.Second)
			l.Pause(pauseForAnHour())
		}()
		began := time.Now()
		l.afterCall(t.Context(), turn, false, fatalf("no"))
		if took := time.Since(began); took != time.Second || !strings.Contains(log.Take(), "refused") {
			t.Errorf("the back-off of a refused lane ended after %v", took)
		}
		over()
		turn, over = l.orders.turn(t.Context())
		l.afterCall(t.Context(), turn, false, turn.Err()) // paused while it opened
		over()
		if log := log.Take(); log != "" {
			t.Errorf("log: %s", log)
		}
	})
}

// A lane that is announced says whose it is before it runs, and that it has no position yet.
func TestAnnounced(t *testing.T) {
	l, _ := laneAt(&spot{}, opens())
	l.Announce()
	l.Announce() // as Run does
	if s := l.Status(); s.Topic != l.Partition.Topic() || s.Topic == "" || s.Position != -1 || s.Lag != -1 {
		t.Errorf("%+v", s)
	}
}
