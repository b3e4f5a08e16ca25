package lane

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// An older pair is never committed after a newer one, and Durable never precedes the confirmation.
func TestLedgerHoldsWhatOvertakesABarrier(t *testing.T) {
	var l ledger
	l.raised(1, Pair{5, "barrier 1"})
	p, ok := l.await()
	if !ok || p.Checkpoint != "barrier 1" {
		t.Fatalf("await: %v %v", p, ok)
	}
	l.settled(Pair{6, "settled 6"})
	if p, ok := l.later(); ok {
		t.Errorf("%v would overtake the barrier's commit", p)
	}
	l.raised(2, Pair{6, "barrier 2"})
	if p, ok := l.await(); ok {
		t.Errorf("a second commit is in flight: %v", p)
	}
	if first, last := l.confirmed(); first != 1 || last != 1 {
		t.Errorf("durable %d to %d; the second barrier was not in that commit", first, last)
	}
	if p, ok := l.later(); ok {
		t.Errorf("%v goes later although a barrier is open", p)
	}
	l.settled(Pair{7, "settled 7"})
	if p, ok := l.await(); !ok || p.Checkpoint != "settled 7" {
		t.Errorf("await: %v %v; the newest pair explains the barrier", p, ok)
	}
	if first, last := l.confirmed(); first != 2 || last != 2 || l.open() {
		t.Errorf("durable %d to %d, open %v", first, last, l.open())
	}
	l.settled(Pair{8, "settled 8"})
	if p, ok := l.later(); !ok || p.Position != 8 {
		t.Errorf("later: %v %v", p, ok)
	}
	if p, ok := l.later(); ok {
		t.Errorf("%v twice", p)
	}
}

func TestWindow(t *testing.T) {
	var w window
	l := limits{windowBytes: 100, windowBatches: 3}
	if !w.fits(1000, l) {
		t.Error("an empty window takes any batch")
	}
	for i := range 3 {
		if !w.fits(30, l) {
			t.Errorf("batch %d does not fit", i)
		}
		w.push(&batch{sequence: uint64(i + 1), bytes: 30})
	}
	if w.fits(0, l) {
		t.Error("a fourth batch fits")
	}
	w.pop()
	if w.fits(41, l) || !w.fits(40, l) {
		t.Error("bytes are not bounded")
	}
	for i := range 9 {
		w.push(&batch{sequence: uint64(i + 4)})
	}
	for sequence := range uint64(14) {
		b := w.find(sequence)
		if in := sequence >= 2 && sequence <= 12; in != (b != nil) || in && b.sequence != sequence {
			t.Errorf("find(%d) = %v", sequence, b)
		}
	}
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		a := b.Account("orders")
		if a.Cost(1000) != 100 || !a.Try(60) || a.Try(50) {
			t.Fatal("bounds")
		}
		order := make(chan string, 2)
		go func() { _ = a.Acquire(t.Context(), 100); order <- "large"; a.Release(100) }()
		synctest.Wait()
		go func() { _ = a.Acquire(t.Context(), 1); order <- "small"; a.Release(1) }()
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- a.Acquire(ctx, 100) }()
		synctest.Wait()
		cancel()
		if <-gone == nil {
			t.Error("acquired though cancelled")
		}
		a.add(70)
		a.Release(60)
		synctest.Wait()
		if len(order) != 0 {
			t.Error("granted beyond the size")
		}
		a.Release(70)
		if first := <-order; first != "large" {
			t.Error("the small one went first: the large one could wait for ever")
		}
		<-order
		synctest.Wait()
		if b.Used() != 0 {
			t.Errorf("%d bytes left", b.Used())
		}
	})
}

func TestReplayRefusesNonsense(t *testing.T) {
	for name, opened := range map[string]*lanev1.Opened{
		"unknown route":        {Replay: []*lanev1.Replay{{Route: 2, Rows: 1}}},
		"unsorted left out":    {LeftOut: []int64{9, 8}},
		"left out in the past": {LeftOut: []int64{4}},
	} {
		if _, err := newReplay(opened, 2, 5); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Laying down a row allocates nothing once pools are warm.
func TestTakingARowAllocatesNothing(t *testing.T) {
	b := builder{
		contracts: &plainContracts{}, budget: NewBudget(1 << 30).Account("orders"), routes: 2,
		replay: replay{remaining: make([]uint64, 2)},
		limits: newLimits(DefaultConfig(), &lanev1.Limits{
			BlockBytes: 9 << 20, WindowBytes: 64 << 20,
			WindowBatches: 64,
		}),
	}
	var r record.Record
	if _, err := oneRecord(300).Read(0, &r, nil); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	const rows = 3000
	perBatch := testing.AllocsPerRun(20, func() {
		for range rows {
			r.Offset++
			if taken, err := b.take(&r, now); !taken || err != nil {
				t.Fatal(taken, err)
			}
		}
		done := b.finish(1)
		a := done.message()
		a.Free()
		done.recycle()
	})
	if perBatch > rows/50 { // half of it without the race detector, which empties pools
		t.Errorf("%v allocations for a batch of %d rows", perBatch, rows)
	}
}

// All records of a settled batch are released, whatever became of them, and none before.
func TestSettledRecordsAreReleased(t *testing.T) {
	for _, settled := range []bool{true, false} {
		c := &kindContracts{}
		b := builder{
			contracts: c, budget: NewBudget(1 << 30).Account("orders"), routes: 2,
			replay: replay{remaining: []uint64{0, 1}, pending: 1, leftOut: []int64{2}},
			limits: newLimits(DefaultConfig(), &lanev1.Limits{
				BlockBytes: 9 << 20, WindowBytes: 64 << 20,
				WindowBatches: 64,
			}),
		}
		one := oneRecord(300)
		m := kafkawire.NewBuffer(len(one.Raw))
		copy(m.Bytes(), one.Raw)
		one.Raw, one.Buffer = m.Bytes(), m
		// a row, a dropped one, one left out before, an ignored one, an unknown one, one that cannot be read
		for i := range int64(6) {
			var r record.Record
			if _, err := one.Read(0, &r, nil); err != nil {
				t.Fatal(err)
			}
			r.Offset = i
			m.Retain(1)
			if taken, err := b.take(&r, time.Now()); !taken || err != nil {
				t.Fatal(i, taken, err)
			}
		}
		done := b.finish(1)
		if done.rows != 1 || done.dropped != 1 || done.skipped != 2 || len(done.bad) != 2 {
			t.Fatalf("%d rows, %d dropped, %d skipped, %d bad", done.rows, done.dropped, done.skipped, len(done.bad))
		}
		a := done.message()
		a.Free()
		if settled {
			done.records.Release()
		}
		done.recycle()
		m.Release(1)
		held := func() (held bool) {
			defer func() { held = recover() == nil }()
			m.Release(1)
			return
		}()
		if held == settled {
			t.Errorf("settled %v, held %v", settled, held)
		}
	}
}

// kindContracts does with each record something else, by its offset.
type kindContracts struct{ keyContracts }

func (*kindContracts) Match(r *record.Record) *record.Match {
	return &[]record.Match{{}, {Route: 1}, {}, {Action: record.Ignore}, {Action: record.Unknown}, {}}[r.Offset]
}

func (*kindContracts) AppendRow(dst []byte, r *record.Record, _ int64) ([]byte, error) {
	if r.Offset == 5 {
		return dst, errors.New("unreadable")
	}
	return append(dst, 0x0a, 0), nil
}

type plainContracts struct{ keyContracts }

func (*plainContracts) Match(*record.Record) *record.Match { return &toRoute0 }
func (*plainContracts) AppendRow(dst []byte, r *record.Record, _ int64) ([]byte, error) {
	dst = append(dst, 0x0a, 0xac, 0x02)
	return append(dst, r.Value...), nil
}

// A batch goes at once on an idle lane, and waits for the size that what is under way asks for, or for its linger.
func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = 50 * time.Millisecond
		due := func(underWay, bytes int, backlog int64, age time.Duration) (bool, time.Duration) {
			c := call{
				lane: &Lane{Config: Config{Linger: linger}}, backlog: backlog,
				limits: limits{batchBytes: 1 << 20, batchRows: 1000, windowBytes: 64 << 20, windowBatches: 64},
			}
			for range underWay {
				c.window.push(&batch{})
			}
			c.builder.batch = &batch{rows: 1, bytes: bytes, began: time.Now()}
			time.Sleep(age)
			return c.due(time.Now())
		}
		for _, test := range []struct {
			underWay, bytes int
			backlog         int64
			want            bool
		}{
			{0, 1, 0, true},
			{0, 1, 5, false}, // more is at hand
			{1, 256<<10 - 1, 0, false},
			{1, 256 << 10, 0, true},
			{1, 256 << 10, 1, false},
			{2, 256 << 10, 0, false},
			{2, 512 << 10, 0, true},
			{3, 1<<20 - 1, 0, false},
			{3, 1 << 20, 9, true}, // full
			{60, 1<<20 - 1, 0, false},
			{60, 1 << 20, 0, true},
		} {
			got, wait := due(test.underWay, test.bytes, test.backlog, 0)
			if got != test.want || !got && wait != linger {
				t.Errorf("%d under way, %d bytes, %d at hand: due %t, wait %v; want %t", test.underWay, test.bytes,
					test.backlog, got, wait, test.want)
			}
			// However much is under way, nothing waits longer than its linger.
			if got, _ := due(test.underWay, test.bytes, test.backlog, linger); !got {
				t.Errorf("%d under way, %d bytes, %d at hand: still waiting after the linger", test.underWay,
					test.bytes, test.backlog)
			}
			if got, wait := due(test.underWay, 0, test.backlog, linger/2); !got && wait != linger/2 {
				t.Errorf("%d under way: waits %v more after half of the linger", test.underWay, wait)
			}
		}
	})
}

// What a batch must have never falls when more are under way, and never exceeds what a batch may have.
func TestWorthwhile(t *testing.T) {
	for _, batchBytes := range []int{1, 1 << 20, 8 << 20} {
		last := 0
		for underWay := range 1000 {
			n := worthwhile(underWay, limits{batchBytes: batchBytes})
			if n < last || n > batchBytes || underWay > 2 && n != batchBytes {
				t.Errorf("%d under way: %d bytes of %d, before it %d", underWay, n, batchBytes, last)
			}
			last = n
		}
	}
}
