package lane

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Nobody makes room for a reader that waits for it no longer, as the one does that waits for its ingest by now, and its
// wait is over: other readers wait on.
func TestNoRoomIsMadeForWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reliefs atomic.Int32
		b := NewBudget(10)
		b.relieve = func() { reliefs.Add(1) }
		b.charge(10, nil)
		room, other := b.wait(nil), b.wait(nil)
		if again := b.wait(room); again != room {
			t.Fatal("the one that waits already was given another channel")
		}
		time.Sleep(time.Second)
		b.forgo(room)
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v while another one waits", waited)
		}
		b.forgo(other)
		time.Sleep(time.Hour)
		if synctest.Wait(); reliefs.Load() != 0 {
			t.Errorf("relieved %d times, and nobody waits", reliefs.Load())
		}
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v, and nobody waits", waited)
		}
		third := b.wait(nil)
		b.forgo(other) // which it does once
		b.release(10)
		select {
		case <-third:
		default:
			t.Error("a reader sleeps on though there is room")
		}
		b.forgo(third) // it is woken, and counts no longer
		b.charge(10, nil)
		b.wait(nil)
		time.Sleep(patience + time.Second)
		if synctest.Wait(); reliefs.Load() != 1 {
			t.Errorf("relieved %d times for one who waits", reliefs.Load())
		}
		b.release(10)
	})
}

// Who begins to wait while nobody else does waits as long as one may, whenever somebody waited before.
func TestPatienceBeginsWithTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		reliefs := make(chan time.Duration, 1)
		b := NewBudget(10)
		b.relieve = func() { reliefs <- time.Since(began) }
		b.charge(10, nil)
		room := b.wait(nil)
		time.Sleep(time.Second)
		b.forgo(room)
		time.Sleep(time.Second)
		b.wait(nil)
		if at := <-reliefs; at != 2*time.Second+patience {
			t.Errorf("relieved after %v", at)
		}
		b.release(10)
	})
}

// That a lane comes first no longer makes room of what nobody holds: readers use that before anybody is ended.
func TestTheEndOfATurnIsRoomForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(2)
		budget := c.s.Budget
		if c.s.relieve(); c.cut() != 1 || !c.enters(0, 0) {
			t.Fatal("no room was made")
		}
		c.s.Budget.release(1)
		room := budget.wait(nil)
		if room == nil {
			t.Fatal("others read on while one comes first")
		}
		time.Sleep(patience)
		if c.s.relieve(); c.cut() != -1 {
			t.Error("a lane was ended though its turn was all that kept others from reading")
		}
		select {
		case <-room:
		default:
			t.Error("they do not read on")
		}
	})
}

// A lane waits for room to read only while it needs no response of its ingest, and as long as it lives.
func TestALaneThatWaitsForItsIngestNeedsNoRoom(t *testing.T) {
	l := bare(t, 0)
	l.grant = make(chan struct{}, 1)
	budget := l.service.Budget
	budget.charge(budget.Limit(), nil)
	readers := func() int {
		budget.mu.Lock()
		defer budget.mu.Unlock()
		return budget.readers
	}
	for range 2 {
		if l.readOn(); l.reading || readers() != 1 {
			t.Fatalf("reads: %v, %d wait to read", l.reading, readers())
		}
	}
	l.awaiting = true
	if l.readOn(); !l.reading || l.room != nil || readers() != 0 {
		t.Fatalf("reads: %v, %d wait to read", l.reading, readers())
	}
	<-l.grant
	l.reading, l.awaiting = false, false
	if l.readOn(); l.reading || readers() != 1 {
		t.Fatalf("reads: %v, %d wait to read", l.reading, readers())
	}
	l.forgo()
	if readers() != 0 {
		t.Errorf("%d wait to read", readers())
	}
	budget.mu.Lock()
	budget.alarm.Stop()
	budget.mu.Unlock()
}

// A lane that ends while it waits for room waits for none from then on.
func TestTheEndOfALaneEndsItsWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(10)
		w := startWriter(t, &Service{Sink: &odd{}, Budget: budget})
		defer w.stop()
		budget.charge(10, nil)
		openLane(t, w, exactlyOnce)
		time.Sleep(time.Second)
		for _, l := range w.list() {
			l.cut(errStuck(0))
		}
		synctest.Wait()
		before := budget.Waited()
		if before == 0 {
			t.Error("it did not wait")
		}
		time.Sleep(time.Second)
		if waited := budget.Waited() - before; waited != 0 {
			t.Errorf("it waited for %v after its end", waited)
		}
	})
}
