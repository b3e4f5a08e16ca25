package lane

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// skips has a lane skip a record, and counts with that.
func (w *world) skips(p *process, offset int64) {
	if err := p.lane.Skip(offset, "alice: a test"); err != nil {
		if !errors.Is(err, ErrSettled) {
			w.t.Errorf("skip %d: %v", offset, err)
		}
		return
	}
	if w.skipped == nil {
		w.skipped = map[int64]bool{}
	}
	w.skipped[offset] = true
}

// A record that its lane waits for in vain is skipped: it becomes a dead letter with the reason, those behind it become
// rows, and the write streams are adopted.
func TestSkippedWhereTheLaneWaits(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		versions := &keyVersions{away: make(chan struct{})}
		p := w.start(func(p *process) { p.lane.Contracts = &keyContracts{fingerprint: 7, versions: versions} })
		w.produceRows("a", 3)
		w.settle() // else they may be read with the one behind them
		w.log.produce("a", "v3 never")
		w.produceRows("a", 3)
		time.Sleep(time.Minute)
		if s := p.lane.Status(); s.Position != 3 || s.WaitingFor != "version 3" {
			t.Fatalf("%+v", s)
		}
		if err := p.lane.Skip(2, "x"); !errors.Is(err, ErrSettled) {
			t.Errorf("a record that is settled: %v", err)
		}
		if _, settled := p.lane.Skipped(3); settled {
			t.Error("it is not settled yet")
		}
		for range 2 { // the second says nothing new
			w.skips(p, 3)
		}
		w.settle()
		if became, settled := p.lane.Skipped(3); !settled || became != BecameLetter {
			t.Errorf("it became %q, settled %v", became, settled)
		}
		if became, _ := p.lane.Skipped(3); became != BecameLetter {
			t.Errorf("asked again, it became %q", became)
		}
		if l := w.log.letters; len(l) != 1 || l[0].Offset != 3 {
			t.Errorf("letters: %v", l)
		}
		w.verify()
		if len(w.store.streams) != 1 {
			t.Errorf("%d write streams", len(w.store.streams))
		}
		p.lane.Again("a call that opens behind the record")
		w.produceRows("a", 1)
		w.settle()
		if became, _ := p.lane.Skipped(3); became != BecameUnseen {
			t.Errorf("its order is not forgotten: %q", became)
		}
		p.end()
		checkBudget(t, p)
	})
}

// An order outlives a call that breaks between the letter and the commit: the record is met again, and becomes no row.
func TestSkippedAgainAfterABreak(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.produceRows("a", 3)
		p := w.start(func(p *process) { p.member.tick = time.Hour }) // what is settled is not committed
		time.Sleep(time.Second)
		w.skips(p, 3)
		time.Sleep(time.Second)
		w.produceRows("a", 1)
		time.Sleep(time.Second)
		if became, settled := p.lane.Skipped(3); !settled || became != BecameLetter || w.log.pair().Position > 3 {
			t.Fatalf("it became %q, settled %v, committed %d", became, settled, w.log.pair().Position)
		}
		p.cut()
		time.Sleep(10 * time.Second)
		if became, settled := p.lane.Skipped(3); !settled || became != BecameLetter {
			t.Errorf("after the break it became %q, settled %v", became, settled)
		}
		p.end()
		if rows := w.store.rows("a"); len(rows) != 3 {
			t.Errorf("rows: %v", rows)
		}
		w.verify()
	})
}

// A record whose row is in the table already stays a row, whatever is said afterwards: the count of rows to drop has
// it.
func TestSkippedTooLate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.leaveBehind() // five rows, and no position behind them
		p := w.start(func(p *process) { p.lane.Pause(pauseForAnHour()) })
		synctest.Wait()
		w.skips(p, 2)
		p.lane.Pause(nil)
		w.settle()
		if became, settled := p.lane.Skipped(2); !settled || became != BecameRow {
			t.Errorf("it became %q, settled %v", became, settled)
		}
		w.verify()
	})
}

// noting are contracts that note which records they were made ready for.
type noting struct {
	*keyContracts
	mu    sync.Mutex
	ready []int64
}

func (n *noting) Prepare(ctx context.Context, records []record.Record, waits func(string)) (bool, error) {
	n.mu.Lock()
	for i := range records {
		n.ready = append(n.ready, records[i].Offset)
	}
	n.mu.Unlock()
	return n.keyContracts.Prepare(ctx, records, waits)
}

// A call with rows to drop has its contracts made ready for a record that is to be skipped as well, and one without any
// has not.
func TestSkippedIsPreparedInACallWithRowsToDrop(t *testing.T) {
	for name, before := range map[string]int{"rows to drop": 5, "none": 0} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				if before > 0 {
					w.leaveBehind()
				} else {
					w.produceRows("a", 5)
				}
				contracts := &noting{keyContracts: &keyContracts{fingerprint: 7, versions: &keyVersions{}}}
				p := w.start(func(p *process) {
					p.lane.Contracts = contracts
					p.lane.Pause(pauseForAnHour())
				})
				synctest.Wait()
				w.skips(p, 2)
				p.lane.Pause(nil)
				w.settle()
				w.verify()
				contracts.mu.Lock()
				defer contracts.mu.Unlock()
				if got := slices.Contains(contracts.ready, 2); got != (before > 0) {
					t.Errorf("ready for %v", contracts.ready)
				}
			})
		})
	}
}

// What is ignored stays ignored, and an offset without a record is passed.
func TestSkippedNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.start(nil)
		w.settle()
		w.skips(p, 0)
		w.skips(p, 1)
		time.Sleep(time.Second)
		w.log.produce("ignore", "x")
		w.log.hole()
		w.produceRows("a", 1)
		w.settle()
		for offset, want := range []Became{BecameNothing, BecameUnseen} {
			if became, settled := p.lane.Skipped(int64(offset)); !settled || became != want {
				t.Errorf("%d became %q, settled %v", offset, became, settled)
			}
		}
		w.verify()
	})
}

// Orders of a lane are bounded.
func TestSkipsAreBounded(t *testing.T) {
	l, _ := laneAt(&spot{}, opens())
	l.Announce()
	for i := range mostSkips {
		if err := l.Skip(int64(i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Skip(mostSkips, "x"); err == nil || !strings.Contains(err.Error(), "reset the group") {
		t.Error(err)
	}
}

// An order that is known already is none: the lane does not open again for it, and what became of its record stays.
func TestSkippedTwiceIsOneOrder(t *testing.T) {
	l, _ := laneAt(&spot{}, opens())
	for n := range 2 {
		if err := l.Skip(3, "x"); err != nil {
			t.Fatal(err)
		}
		if why := l.orders.reopens(); (why != "") != (n == 0) {
			t.Errorf("the order comes for the %d. time, and the lane opens again because %q", n+1, why)
		}
		_, over := l.orders.turn(t.Context()) // with the order
		over()
		l.orders.becomes(l.orders.toSkip(0)[3], BecameLetter)
	}
	l.board.moved(4, -1)
	if became, settled := l.Skipped(3); !settled || became != BecameLetter {
		t.Errorf("it became %q, settled %v", became, settled)
	}
	if left := l.orders.toSkip(4); len(left) != 0 {
		t.Errorf("left behind the record: %v", left)
	}
}

// A record that is no row becomes a dead letter though rows are to be dropped: the count of those does not have it.
func TestSkippedRecordThatIsNoRow(t *testing.T) {
	var o orders
	b := &builder{
		contracts: &keyContracts{}, budget: NewBudget(1 << 30).Account("orders"), routes: 2, orders: &o,
		limits: newLimits(DefaultConfig(), &lanev1.Limits{}),
		replay: replay{remaining: []uint64{1, 0}, pending: 1},
		skips:  map[int64]*skip{0: {why: "alice: a test"}, 1: {}, 2: {}},
	}
	for i, kind := range []string{"nobody", "a", "a"} { // the first row is in the table, the second is not
		r := &record.Record{Topic: "orders", Offset: int64(i), Key: []byte(kind), Value: []byte("v")}
		if taken, err := b.take(r, time.Now()); !taken || err != nil {
			t.Fatal(taken, err)
		}
	}
	for i, want := range []Became{BecameLetter, BecameRow, BecameLetter} {
		if got := b.skips[int64(i)].became; got != want {
			t.Errorf("%d became %q, want %q", i, got, want)
		}
	}
	done := b.batch
	if done.dropped != 1 || b.replay.pending != 0 || len(done.bad) != 2 || done.bad[0].reason != reasonSkipped {
		t.Errorf("%d dropped, %d pending, bad %+v", done.dropped, b.replay.pending, done.bad)
	}
}

// What contracts say of the records before one that is skipped counts: that they have grown, or could not be made
// ready.
func TestSkippedBehindWhatContractsWaitFor(t *testing.T) {
	for name, says := range map[string]ends{
		"grown":  {grown: true},
		"failed": {err: io.ErrNoProgress},
	} {
		requested := 0
		says.n = &requested
		r := (&reading{lane: &Lane{Contracts: says}}).with(map[int64]*skip{2: {}})
		records := []record.Record{{Offset: 1}, {Offset: 2}, {Offset: 3}}
		grown, err := r.prepare(t.Context(), records, nil)
		if grown != says.grown || !errors.Is(err, says.err) || requested != 1 {
			t.Errorf("%s: grown %v, %v, %d records asked for", name, grown, err, requested)
		}
	}
}

// ends are contracts that end a reading, the first time that they are asked.
type ends struct {
	Contracts
	n     *int
	grown bool
	err   error
}

func (e ends) Prepare(_ context.Context, records []record.Record, _ func(string)) (bool, error) {
	if *e.n += len(records); *e.n > len(records) {
		return false, nil
	}
	return e.grown, e.err
}

// A lane opens again under load when it is told to, and at once where it rests after a refusal: nothing is lost or
// repeated, and the write streams are adopted.
func TestOpensAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		contracts := &keyContracts{fingerprint: 7, versions: &keyVersions{}}
		p := w.start(func(p *process) { small(p); p.lane.Contracts = contracts })
		go func() {
			for i := range 200 {
				w.log.produce([]string{"a", "b"}[i%2], "row")
				if time.Sleep(3 * time.Millisecond); i%50 == 25 {
					p.lane.Again("contracts were loaded again")
				}
			}
		}()
		time.Sleep(time.Second)
		w.settle()
		w.verify()
		if len(w.store.streams) != 2 || w.model.adopted < 6 { // at the first time there may be none yet
			t.Errorf("%d streams, %d adopted", len(w.store.streams), w.model.adopted)
		}
		p.end()
		checkBudget(t, p)
	})
	synctest.Test(t, func(t *testing.T) {
		l, _ := laneAt(&spot{}, nil)
		turn, over := l.orders.turn(t.Context())
		defer over()
		go func() { time.Sleep(time.Second); l.Again("x") }()
		began := time.Now()
		l.afterCall(t.Context(), turn, false, fatalf("no"))
		if took := time.Since(began); took != time.Second {
			t.Errorf("a refused lane rested for %v", took)
		}
	})
}

// While rows are to be dropped contracts are made ready for every record: what is a row, they may have to learn.
func TestSkippedIsPreparedWhileRowsAreDropped(t *testing.T) {
	requested := 0
	r := &reading{lane: &Lane{Contracts: preparing{n: &requested}}}
	records := []record.Record{{Offset: 1}, {Offset: 2}, {Offset: 3}}
	for want, skips := range map[int]map[int64]*skip{3: nil, 2: {2: {}}, 1: {1: {}, 3: {}}} {
		requested = 0
		if _, err := r.with(skips).prepare(t.Context(), records, nil); err != nil || requested != want {
			t.Errorf("%d records prepared, want %d (%v)", requested, want, err)
		}
	}
}

func (r *reading) with(skips map[int64]*skip) *reading { r.skips = skips; return r }

// preparing counts the records that it is asked to make ready for.
type preparing struct {
	Contracts
	n *int
}

func (c preparing) Prepare(_ context.Context, records []record.Record, _ func(string)) (bool, error) {
	*c.n += len(records)
	return false, nil
}
