package lane

import (
	"context"
	"sync"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// The capacities of a read. An idle lane waits with the small one, a busy lane fills large ones from the pool.
const (
	idleRecords = 16
	busyRecords = 128
)

var (
	idleStores = sync.Pool{New: func() any { return newStore(idleRecords) }}
	busyStores = sync.Pool{New: func() any { return newStore(busyRecords) }}
)

func newStore(n int) *[]record.Record {
	s := make([]record.Record, 0, n)
	return &s
}

func getStore(busy bool) *[]record.Record {
	if busy {
		return busyStores.Get().(*[]record.Record)
	}
	return idleStores.Get().(*[]record.Record)
}

func putStore(s *[]record.Record) {
	for i := range *s {
		(*s)[i].Reset()
	}
	*s = (*s)[:0]
	if cap(*s) == busyRecords {
		busyStores.Put(s)
	} else {
		idleStores.Put(s)
	}
}

// chunk is what the reader hands to the owner: records that are paid for, or a note about them.
type chunk struct {
	records []record.Record
	// backlog is how many records the partition holds beyond these.
	backlog int64
	// store goes back to its pool after these records; nil when more of its records follow.
	store *[]record.Record
	// idle: no record came for a while, and the reader rests.
	idle bool
	// starved: the budget is spent, and the reader waits for some of it.
	starved bool
	// err ends the reading.
	err error
	// requested and received are when the source was asked for the records and when it gave them; received is zero
	// where nothing is traced.
	requested, received time.Time
}

// reading is the reader of a call: it takes records from the source and pays for what it hands over. Whatever it does
// not hand over it gives back.
type reading struct {
	lane *Lane
	from int64
	out  chan<- chunk
	// reader is there from the first run to close; busy says that the last read filled what it was given.
	reader Reader
	busy   bool
	// skips are records that contracts need not be made ready for.
	skips map[int64]*skip
}

// close ends the source's part. The run is over.
func (r *reading) close() {
	if r.reader != nil {
		r.reader.Close()
		r.reader = nil
	}
}

// run reads until ctx ends, reading fails, records want contracts that have grown, or none come for a while: then it
// says that it is idle, and the owner runs it again when the source has more.
func (r *reading) run(ctx context.Context) {
	l, out, budget := r.lane, r.out, r.lane.account()
	defer func() {
		if ctx.Err() != nil { // what is fetched already is of no use any more
			r.close()
		}
	}()
	if r.reader == nil {
		reader, err := l.Partition.Read(ctx, r.from)
		if err != nil {
			hand(ctx, out, chunk{err: err})
			return
		}
		r.reader = reader
	}
	waits := l.waits // once: a method's value is an allocation
	for {
		store := getStore(r.busy)
		requested := time.Now()
		records, err := r.reader.Next(ctx, *store, requested.Add(idleAfter))
		*store = records
		if err != nil {
			putStore(store)
			hand(ctx, out, chunk{err: err})
			return
		}
		if len(records) == 0 {
			putStore(store)
			r.busy = false
			hand(ctx, out, chunk{idle: true})
			return
		}
		grown, err := r.prepare(ctx, records, waits)
		if grown && err == nil {
			err = errGrown
		}
		if err != nil {
			putStore(store)
			hand(ctx, out, chunk{err: err})
			return
		}
		var received time.Time
		if l.Traces.Tracer.Enabled() {
			received = time.Now()
		}
		r.busy = len(records) == cap(records)
		backlog := r.reader.Backlog()
		for len(records) > 0 {
			n, paid, ok := pay(ctx, budget, records, out)
			if !ok {
				return
			}
			part := chunk{
				records: records[:n], backlog: backlog + int64(len(records)-n),
				requested: requested, received: received,
			}
			if n == len(records) {
				part.store = store
			}
			if !hand(ctx, out, part) {
				budget.Release(paid)
				return
			}
			records = records[n:]
		}
	}
}

// waitShare is the part of the budget that a reader waits for at most: some hundreds of small rows. Were it one record,
// many lanes on a spent budget would take turns with batches of single rows.
const waitShare = 64

// pay takes the budget for all the records, or waits for that of the first ones. Before it waits it says so: then the
// owner sends what it has, because what it has may be what the budget is spent on.
func pay(ctx context.Context, budget *Account, records []record.Record, out chan<- chunk) (n int, paid int64, ok bool) {
	for i := range records {
		paid += cost(budget, &records[i])
	}
	if budget.Try(paid) {
		return len(records), paid, true
	}
	n, paid = 1, cost(budget, &records[0])
	for n < len(records) {
		more := paid + cost(budget, &records[n])
		if more > budget.Size()/waitShare {
			break
		}
		n, paid = n+1, more
	}
	if !budget.Try(paid) {
		if !hand(ctx, out, chunk{starved: true}) {
			return 0, 0, false
		}
		if budget.Acquire(ctx, paid) != nil {
			return 0, 0, false
		}
	}
	return n, paid, true
}

// waits says on the board what the reader waits for.
func (l *Lane) waits(what string) { l.board.waitsFor(forSchema, what, time.Time{}) }

func hand(ctx context.Context, out chan<- chunk, p chunk) bool {
	select {
	case out <- p:
		return true
	case <-ctx.Done():
		return false
	}
}
