package lane

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Lanes that share a budget far below their windows take turns, and none waits for ever: what one settles lets another read.
func TestLanesShareTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newBigQuery(t)
		budget := NewBudget(20)
		w := startWriter(t, &Service{Sink: q, Budget: budget})
		defer w.stop()
		over := make(chan error)
		most := int64(0)
		const lanes = 5
		for range lanes {
			k := topic("aaaaaaBaaaaaUaaaaXaaaaa")
			// The lanes have streams of their own in the same tables.
			g := &ingest{kafka: k, client: w.client, batch: 2, window: 4, every: 2, steps: -1}
			go func() { over <- g.run(t.Context()) }()
		}
		for done := 0; done < lanes; {
			select {
			case err := <-over:
				if err != nil {
					t.Error(err)
				}
				done++
			case <-time.After(time.Millisecond):
				most = max(most, budget.Used())
			}
		}
		if rows := len(q.rows("projects/p/datasets/d/tables/events")) + len(q.rows("projects/p/datasets/d/tables/stock")); rows != lanes*21 {
			t.Errorf("%d rows", rows)
		}
		// 18 bytes a batch: one message a lane over the budget, or a window while a barrier is out.
		if most == 0 || most > 20+lanes*4*18 || budget.Used() != 0 {
			t.Errorf("held %d bytes at most, %d at the end", most, budget.Used())
		}
	})
}

// An idle lane that waits for room is woken by the release of another one.
func TestBudgetWakesWhoWaits(t *testing.T) {
	b := NewBudget(10)
	if b.wait() != nil {
		t.Fatal("an empty budget has room")
	}
	b.charge(15)
	room := b.wait()
	b.release(5)
	select {
	case <-room:
		t.Fatal("woken at the limit")
	default:
	}
	b.release(1)
	select {
	case <-room:
	default:
		t.Fatal("not woken")
	}
	if b.wait() != nil {
		t.Fatal("no room")
	}
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
		b.charge(10)
		time.Sleep(time.Second)
		if waited := b.Waited(); waited != 0 {
			t.Errorf("%v, and nobody waits", waited)
		}
		room := b.wait()
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
	})
}
