package lane

import (
	"testing"
	"testing/synctest"
	"time"
)

// crowd are lanes that fill a budget with 20 bytes each, each of which waits for its ingest and has one more message
// outside. Nothing but the test calls for relief.
type crowd struct {
	s     *Service
	lanes []*lane
}

func newCrowd(lanes int) *crowd {
	const holds = 20
	c := &crowd{s: &Service{Sink: &odd{}, Budget: NewBudget(int64(lanes) * holds)}}
	c.s.init()
	c.s.Budget.relieve = func() {}
	for range lanes {
		l := &lane{service: c.s, killed: make(chan struct{}), charged: holds}
		c.s.Budget.charge(holds, l)
		l.status.held, l.status.waits = holds, time.Now().Add(-patience)
		c.s.lanes[l] = struct{}{}
		c.lanes = append(c.lanes, l)
	}
	for _, l := range c.lanes {
		l.place = c.s.Budget.charge(holds, l)
	}
	return c
}

// cut is the number of the lane that was ended, which gives back what it holds; -1 when none was.
func (c *crowd) cut() int {
	for i, l := range c.lanes {
		select {
		case <-l.killed:
			delete(c.s.lanes, l)
			if l.place != nil {
				c.s.Budget.leave(l.place)
			}
			c.s.Budget.served(l)
			c.s.Budget.release(l.charged)
			l.killed = make(chan struct{})
			return i
		default:
		}
	}
	return -1
}

// enters says that the message of a lane was let in, and which one follows it.
func (c *crowd) enters(i int, next int64) bool {
	l := c.lanes[i]
	if l.place == nil {
		return false
	}
	select {
	case <-l.place.let:
	default:
		return false
	}
	l.charged += l.place.bytes
	l.status.held, l.place = l.charged, nil
	if next > 0 {
		if l.place = c.s.Budget.charge(next, l); l.place == nil {
			l.charged += next
		}
	}
	return true
}

// Room that is made goes to one lane until it has the response that it waits for: others, which would each get a little
// of it and wait again, make room from the end of the line.
func TestRoomGoesToOneLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(5)
		budget := c.s.Budget
		for _, last := range []int{4, 3} {
			if c.s.relieve(); c.cut() != last {
				t.Fatalf("the last in the line, %d, was not ended", last)
			}
			if !c.enters(0, 20) || c.enters(1, 20) {
				t.Fatal("the first in the line was not let in, or not alone")
			}
		}
		if used := budget.Used(); used != budget.Limit() {
			t.Fatalf("%d bytes are held", used)
		}
		// The first one is acknowledged: its message waits in turn again, and the room is for all.
		l := c.lanes[0]
		l.status.waitsFor(false)
		budget.served(l)
		if budget.release(40); !c.enters(1, 0) || !c.enters(2, 0) || c.enters(0, 0) {
			t.Error("the others were not let in after it")
		}
	})
}

// A lane whose ingest sends nothing makes room before those whose response may be behind a message that waits.
func TestWhoSendsNothingMakesRoomFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(4)
		c.s.Budget.leave(c.lanes[1].place)
		c.lanes[1].place = nil
		if c.s.relieve(); c.cut() != 1 || !c.enters(0, 20) {
			t.Fatal("the lane without a message outside was not the one")
		}
		if c.s.relieve(); c.cut() != 3 {
			t.Fatal("then the last in the line")
		}
	})
}

// A lane comes first no longer once it has ended, or once its ingest has sent nothing more for a while; then the next
// one in the line does. Until then nobody is ended for it.
func TestWhoComesFirstRespondsOrEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(6)
		budget := c.s.Budget
		if c.s.relieve(); c.cut() != 5 || !c.enters(0, 0) {
			t.Fatal("no room was made")
		}
		time.Sleep(patience - 1)
		if c.s.relieve(); c.cut() != -1 || budget.first.Load() != c.lanes[0] {
			t.Fatal("its next message was not waited for")
		}
		time.Sleep(time.Nanosecond)
		if c.s.relieve(); budget.first.Load() != c.lanes[1] || c.cut() != 0 || !c.enters(1, 20) || c.enters(2, 20) {
			t.Fatal("the next one in the line was not put first")
		}
		c.lanes[1].cut(errStuck(0))
		if c.cut() != 1 || budget.first.Load() != nil || !c.enters(2, 0) || !c.enters(3, 0) || !c.enters(4, 0) {
			t.Error("its end did not let the others in")
		}
	})
}

// A lane that comes first makes room itself when all others wait for BigQuery, and who is let in by its turn alone ends
// nobody.
func TestWhoComesFirstIsEndedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(2)
		large, small := c.lanes[0], c.lanes[1]
		c.s.Budget.release(10) // room for neither
		large.status.waitsFor(false)
		c.s.Budget.leave(small.place)
		small.place = c.s.Budget.charge(10, small)
		if c.s.relieve(); c.cut() != -1 || !c.enters(1, 20) {
			t.Fatal("the room was not given to the one that waits for its ingest")
		}
		if c.s.relieve(); c.cut() != 1 {
			t.Fatal("it was not ended")
		}
		if c.s.relieve(); c.cut() != -1 {
			t.Fatal("a lane that waits for BigQuery was ended")
		}
	})
}

// While one lane comes first nobody else is let in, or reads on, whatever room there is; it is let in past those that
// wait. Once it is served the room is for all, at once.
func TestRoomIsForWhoComesFirst(t *testing.T) {
	first, other := &lane{}, &lane{}
	b := NewBudget(10)
	if b.putFirst(first) || b.wait(nil) == nil {
		t.Error("others read on")
	}
	p := b.charge(5, other)
	if p == nil {
		t.Fatal("another one was let in")
	}
	if b.charge(5, first) != nil {
		t.Error("the first one waits behind it")
	}
	b.served(other) // which says nothing of the first one
	if b.first.Load() != first {
		t.Error("another one took its place")
	}
	b.served(first)
	select {
	case <-p.let:
	default:
		t.Error("the other one waits though there is room")
	}
	if b.Used() != 10 {
		t.Errorf("%d bytes are held", b.Used())
	}
}

// A lane that comes first is quiet since its last message was let in.
func TestHowLongTheFirstIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, l := NewBudget(10), &lane{}
		time.Sleep(time.Hour)
		b.putFirst(l)
		time.Sleep(3 * time.Second)
		if d := b.quiet(); d != 3*time.Second {
			t.Errorf("%v after it was put first", d)
		}
		b.charge(5, l)
		time.Sleep(2 * time.Second)
		if d := b.quiet(); d != 2*time.Second {
			t.Errorf("%v after its message", d)
		}
	})
}

// That a lane came first a moment ago keeps nobody from coming first next.
func TestTheNextOneComesFirstAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(3)
		if c.s.relieve(); c.cut() != 2 || !c.enters(0, 0) {
			t.Fatal("no room was made")
		}
		c.lanes[0].status.waitsFor(false)
		c.s.Budget.served(c.lanes[0])
		if c.s.relieve(); c.s.Budget.first.Load() != c.lanes[1] {
			t.Error("the next one waits")
		}
	})
}

// Relief is asked for when nothing was given back for as long as one may wait, from the moment of that and whoever
// begins to wait later; after a quarter of that while all wait for one lane, or for what was asked before.
func TestWhenReliefIsRequested(t *testing.T) {
	const tenth = patience / 10
	for name, test := range map[string]struct {
		happens func(b *Budget)
		want    []time.Duration
	}{
		"nothing is given back": {func(*Budget) {}, []time.Duration{10 * tenth, 12*tenth + tenth/2}},
		"another one waits": {
			func(b *Budget) { time.Sleep(5 * tenth); b.charge(1, nil) },
			[]time.Duration{10 * tenth},
		},
		"something is": {
			func(b *Budget) {
				time.Sleep(3 * tenth)
				b.release(1)
				b.charge(1, nil)
			},
			[]time.Duration{13 * tenth},
		},
		"all wait for one": {
			func(b *Budget) {
				b.putFirst(&lane{})
				time.Sleep(9 * tenth)
				b.release(1)
			},
			[]time.Duration{11*tenth + tenth/2},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := NewBudget(10)
			began := time.Now()
			reliefs := make(chan time.Duration, 10)
			b.relieve = func() { reliefs <- time.Since(began) }
			b.charge(10, nil)
			b.charge(9, nil) // waits
			test.happens(b)
			time.Sleep(time.Until(began.Add(14 * tenth)))
			synctest.Wait()
			for i, want := range test.want {
				if len(reliefs) == 0 {
					t.Errorf("%s: relieved %d times", name, i)
				} else if got := <-reliefs; got != want {
					t.Errorf("%s: relieved after %v, want %v", name, got, want)
				}
			}
			b.mu.Lock()
			b.alarm.Stop()
			b.mu.Unlock()
		})
	}
}

// Those in front of the line keep what they hold, however much that is.
func TestWhoIsInFrontKeepsWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // in whatever order they are looked at
			c := newCrowd(5)
			c.lanes[1].status.held = 100
			if c.s.relieve(); c.cut() != 4 {
				t.Fatal("the last in the line was not ended")
			}
		}
	})
}

// A lane comes first for as long as it waits for its ingest.
func TestALaneIsServedOnceItWaitsForNothing(t *testing.T) {
	l := bare(t, 0)
	budget := l.service.Budget
	budget.putFirst(l)
	l.awaiting = true
	if l.publish(); budget.first.Load() != l {
		t.Error("it does not come first though it waits")
	}
	l.awaiting = false
	if l.publish(); budget.first.Load() != nil {
		t.Error("it comes first though it has what it waited for")
	}
}
