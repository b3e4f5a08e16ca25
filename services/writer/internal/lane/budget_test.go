package lane

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Lanes that share a budget far below their windows take turns, none waits for ever, and together they never hold more:
// what one settles lets another read.
func TestLanesShareTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBigQuery(t)
		const limit, lanes = 80, 5
		budget := NewBudget(limit)
		w := startWriter(t, &Service{Sink: q, Budget: budget})
		defer w.stop()
		over := make(chan struct{})
		most := int64(0)
		for range lanes {
			k := topic("aaaaaaBaaaaaUaaaaXaaaaa")
			// The lanes have streams of their own in the same tables. Windows are four batches of at most 18 bytes.
			go func() {
				defer func() { over <- struct{}{} }() // also when carryOn gives up
				carryOn(t, func() *ingest {
					return &ingest{
						kafka: k, client: w.client, batch: 2, window: 4, every: 2,
						steps: -1,
					}
				})
			}()
		}
		for done := 0; done < lanes; {
			select {
			case <-over:
				done++
			case <-time.After(time.Millisecond):
				most = max(most, budget.Used())
			}
		}
		if rows := len(q.rows("projects/p/datasets/d/tables/events")) +
			len(q.rows("projects/p/datasets/d/tables/stock")); rows != lanes*21 {
			t.Errorf("%d rows", rows)
		}
		if most == 0 || most > limit || budget.Used() != 0 {
			t.Errorf("held %d bytes at most, %d at the end", most, budget.Used())
		}
	})
}

// However many lanes wait for barriers that nobody responds, together they hold no more than the budget, and those that
// hold it make room in the end.
func TestTheBudgetHoldsWhileBarriersAreAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lanes, limit, size = 8, 100_000, 9_000
		w := startWriter(t, &Service{Sink: &odd{}, Budget: NewBudget(limit)})
		defer w.stop()
		for range lanes {
			c, _ := openLane(t, w, exactlyOnce)
			go func() {
				for n := uint64(1); n <= 10; n++ {
					if c.SendMsg(oneRow(n, size)) != nil {
						return
					}
				}
			}()
		}
		full := false
		for range 1000 {
			time.Sleep(10 * time.Millisecond)
			used := w.Budget.Used()
			if full = full || used > limit-size; used > limit {
				t.Fatalf("%d bytes are held", used)
			}
		}
		if !full {
			t.Fatal("the budget was never used")
		}
		// The last lanes fit: nobody waits for room any more.
		time.Sleep(time.Hour)
		if n := len(w.Status()); n == 0 || n == lanes || w.Budget.waiting() > 0 {
			t.Errorf("%d lanes are left, %d messages wait", n, w.Budget.waiting())
		}
	})
}

// Who waits for room is woken by the release of another one: messages in turn, and readers once none of those is left.
func TestBudgetWakesWhoWaits(t *testing.T) {
	let := func(p *place) bool {
		select {
		case <-p.let:
			return true
		default:
			return false
		}
	}
	woken := func(room <-chan struct{}) bool {
		select {
		case <-room:
			return true
		default:
			return false
		}
	}
	b := NewBudget(10)
	if b.wait(nil) != nil {
		t.Fatal("an empty budget has no room")
	}
	if b.charge(10, nil) != nil {
		t.Fatal("an empty budget has no room for all of it")
	}
	room, large, small := b.wait(nil), b.charge(8, nil), b.charge(1, nil)
	b.release(5)
	if let(large) || let(small) || b.Used() != 5 {
		t.Fatalf("let in beyond the limit, or out of turn; %d bytes used", b.Used())
	}
	last := b.charge(2, nil) // There is room for it, but it is not its turn.
	if last == nil || woken(room) || b.waiting() != 3 {
		t.Fatalf("%d wait", b.waiting())
	}
	b.release(3)
	if !let(large) || let(small) || b.Used() != 10 {
		t.Fatalf("%d bytes used", b.Used())
	}
	if b.leave(small); b.waiting() != 1 || let(small) || b.Used() != 10 {
		t.Fatalf("%d wait, %d bytes used", b.waiting(), b.Used())
	}
	b.leave(last)
	b.release(10)
	if !woken(room) || b.wait(nil) != nil || b.Used() != 0 {
		t.Fatalf("%d bytes used", b.Used())
	}
	if b.charge(11, nil) != nil {
		t.Fatal("what is larger than the budget waits though it is alone")
	}
	room = b.wait(nil)
	if b.release(1); woken(room) {
		t.Fatal("a reader was woken at the limit")
	}
	p := b.charge(3, nil)
	b.release(8) // There is room for a reader, but somebody's turn is first.
	if !let(p) || !woken(room) {
		t.Fatal("there is room for both")
	}
	b.release(2)
	b.leave(p) // its bytes were charged
	if b.Used() != 0 {
		t.Fatalf("%d bytes used", b.Used())
	}
}

// Relief is called for once nobody has given anything back for as long as one may wait, and not as long as somebody
// does.
func TestBudgetAsksForRelief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reliefs atomic.Int32
		b := NewBudget(10)
		b.relieve = func() { reliefs.Add(1) }
		time.Sleep(time.Hour)
		b.charge(10, nil)
		time.Sleep(time.Hour) // nobody waits
		p := b.charge(5, nil)
		b.wait(nil) // two who wait are asked for once
		time.Sleep(patience - time.Second)
		b.release(1)
		time.Sleep(patience - 2*time.Second)
		b.release(0) // gives nothing back
		time.Sleep(time.Second)
		if synctest.Wait(); reliefs.Load() != 0 {
			t.Fatalf("relieved %d times while bytes were given back", reliefs.Load())
		}
		time.Sleep(2 * time.Second)
		if synctest.Wait(); reliefs.Load() != 1 {
			t.Fatalf("relieved %d times", reliefs.Load())
		}
		b.release(9)
		<-p.let
		time.Sleep(time.Hour)
		if synctest.Wait(); reliefs.Load() != 1 {
			t.Fatalf("relieved %d times, and nobody waits", reliefs.Load())
		}
		b.charge(5, nil)
		b.wait(nil)
		time.Sleep(patience + time.Second)
		if synctest.Wait(); reliefs.Load() != 2 {
			t.Fatalf("relieved %d times while a reader waits", reliefs.Load())
		}
		b.release(5)
	})
}

// What a sink must never say ends the lane before it enters the accounting.
func TestResultsThatDoNotAddUp(t *testing.T) {
	for name, r := range map[string]Result{
		"fewer rows written":    {ID: 1, Written: 1},
		"more rows written":     {ID: 1, Written: 3},
		"unknown append":        {ID: 2, Written: 2},
		"row out of range":      {ID: 1, Refused: []RefusedRow{{Row: 2}}},
		"rows out of order":     {ID: 1, Refused: []RefusedRow{{Row: 1}, {Row: 0}}},
		"rows refused twice":    {ID: 1, Refused: []RefusedRow{{Row: 1}, {Row: 1}}},
		"finalized":             {Err: ErrFinalized},
		"gone with rows inside": {Err: ErrStreamGone},
	} {
		s := &Service{Sink: newBigQuery(t)}
		s.init()
		l := &lane{
			service: s, log: s.Log, tables: []table{{appender: &fakeAppender{}}}, launched: 1,
			window: []*batch{{sequence: 1, end: 2, open: 1, blocks: []block{{rows: 2}}}},
		}
		if err := l.result(0, &r); status.Code(err) != codes.Aborted {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// How long lanes have waited is counted while they wait, and not when there is room.
func TestTheBudgetCountsHowLongLanesWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10)
		if b.charge(10, nil) != nil {
			t.Fatal("there was room")
		}
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != 0 {
			t.Errorf("%v, and nobody waits", waited)
		}
		room := b.wait(nil)
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != time.Second {
			t.Errorf("%v while one waits", waited)
		}
		time.Sleep(time.Second)
		b.release(10)
		<-room
		time.Sleep(time.Hour)
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v after one has waited", waited)
		}
		b.charge(10, nil)
		place := b.charge(5, nil) // a message that is read and waits to be let in
		time.Sleep(time.Second)
		b.leave(place)
		time.Sleep(time.Hour)
		if waited := b.Waited(); waited != 3*time.Second {
			t.Errorf("%v after two have waited", waited)
		}
		b.release(10)
	})
}

// The wait of several lanes is that of the first of them, and that bytes were held and given back is none.
func TestTheBudgetCountsFromTheFirstWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(10)
		b.charge(10, nil)
		b.release(10)
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != 0 {
			t.Errorf("%v, and nobody has waited", waited)
		}
		b.charge(10, nil)
		b.wait(nil)
		time.Sleep(time.Second)
		b.charge(5, nil)
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v since the first one waits", waited)
		}
		b.release(10)
		time.Sleep(time.Second)
		b.release(5)
		if waited := b.Waited(); waited != 2*time.Second {
			t.Errorf("%v when nobody waits any more", waited)
		}
	})
}

// Room wakes all who wait to read, whenever they began to.
func TestRoomWakesAllWhoWait(t *testing.T) {
	b := NewBudget(10)
	b.charge(10, nil)
	first, second := b.wait(nil), b.wait(nil)
	b.release(5)
	for i, room := range []<-chan struct{}{first, second} {
		select {
		case <-room:
		default:
			t.Errorf("reader %d sleeps on", i)
		}
	}
	b.alarm.Stop()
}

// Somebody waits until the last one does no more, whichever of them it is: a reader, or a message that is not let in.
func TestTheBudgetCountsToTheLastWhoWaits(t *testing.T) {
	for name, test := range map[string]struct {
		begin, end func(b *Budget) // of the wait
	}{
		"a reader, while something is given back": {func(b *Budget) {
			b.charge(25, nil)
			b.wait(nil)
			b.release(5)
		}, func(b *Budget) { b.release(20) }},
		"a message, while too little is given back": {func(b *Budget) {
			b.charge(10, nil)
			b.charge(6, nil)
			b.release(2)
		}, func(b *Budget) { b.release(8) }},
		"a message behind a reader that gave up": {func(b *Budget) {
			b.charge(10, nil)
			room := b.wait(nil)
			b.charge(6, nil)
			b.forgo(room)
		}, func(b *Budget) { b.release(10) }},
		"a reader that gives up, behind one that had none to give up": {func(b *Budget) {
			b.forgo(nil)
			b.charge(10, nil)
			b.wait(nil)
		}, func(b *Budget) { b.forgo(b.room) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := NewBudget(10)
				test.begin(b)
				time.Sleep(time.Second)
				if waited := b.Waited(); waited != time.Second {
					t.Errorf("%v after a second", waited)
				}
				test.end(b)
				time.Sleep(time.Hour)
				if waited := b.Waited(); waited != time.Second {
					t.Errorf("%v when nobody has waited any more for an hour", waited)
				}
			})
		})
	}
}

// Patience is that of the first who waits: a message that comes to wait beside a reader does not prolong it.
func TestReliefCountsFromTheFirstWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, began := NewBudget(10), time.Now()
		var relieved atomic.Int64
		b.relieve = func() { relieved.CompareAndSwap(0, int64(time.Since(began))) }
		b.charge(10, nil)
		b.wait(nil)
		time.Sleep(patience * 3 / 5)
		b.charge(6, nil)
		time.Sleep(patience)
		if after := time.Duration(relieved.Load()); after != patience {
			t.Errorf("relief after %v, want %v", after, patience)
		}
		b.release(10)
		time.Sleep(2 * patience) // the alarm ends
	})
}
