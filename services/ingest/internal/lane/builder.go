package lane

import (
	"errors"
	"fmt"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// The reasons of dead letters.
const (
	reasonUndecodable = "undecodable"
	reasonUnknown     = "unknown_type"
	reasonRefused     = "refused"
	reasonSkipped     = "skipped"
)

// limits are the smaller of the lane's configuration and what the writer says.
type limits struct {
	// rowBytes is the largest framed row; blockBytes bounds a block, batchBytes and batchRows a batch.
	rowBytes, blockBytes, batchBytes, batchRows int
	windowBytes, windowBatches                  int
}

func newLimits(c Config, l *lanev1.Limits) limits {
	smaller := func(own int, theirs uint64) int {
		if theirs == 0 {
			return own
		}
		return int(min(uint64(own), theirs))
	}
	const unbounded = 1 << 30
	out := limits{
		blockBytes:    smaller(unbounded, l.GetBlockBytes()),
		batchRows:     c.BatchRows,
		windowBytes:   smaller(c.WindowBytes, l.GetWindowBytes()),
		windowBatches: smaller(c.WindowBatches, uint64(l.GetWindowBatches())),
	}
	// Only the writer's bounds make a row impossible: our own give way to a row that is larger.
	out.rowBytes = min(out.blockBytes, smaller(unbounded, l.GetWindowBytes()))
	out.batchBytes = min(c.BatchBytes, out.windowBytes)
	return out
}

// builder lays records down as batches. It does no I/O.
type builder struct {
	contracts Contracts
	budget    *Account
	limits    limits
	routes    int
	replay    replay
	// skips are records to leave out by order; orders hears what becomes of them.
	skips  map[int64]*skip
	orders *orders
	// next is the lowest offset that may come next.
	next int64
	// batch is being filled; nil when nothing was taken since the last one.
	batch *batch
	// room is about the largest row seen lately.
	room int
	// traces picks rows for traces.
	traces sampler
	// owed is what the records taken since the last settlement of accounts cost beyond what the reader paid; negative
	// when less.
	owed int64
}

// cost is what a record counts in the budget: itself and a row of about its size.
func cost(a *Account, r *record.Record) int64 { return a.Cost(2 * int64(r.Size())) }

// take adds a record to the batch. taken is false when the batch is full: the record comes again after it. The error is
// a reader that goes back.
func (b *builder) take(r *record.Record, now time.Time) (taken bool, err error) {
	if r.Offset < b.next {
		return false, fmt.Errorf("reader went back to offset %d, expected %d or more", r.Offset, b.next)
	}
	if b.batch != nil && b.batch.isFull(b.limits) {
		return false, nil
	}
	if b.batch == nil {
		b.batch = newBatch(b.routes, b.budget, now, r.TimestampMicros)
	}
	paid := cost(b.budget, r)
	if b.replay.skips(r.Offset) {
		b.skip(r, paid)
		return true, nil
	}
	m := b.contracts.Match(r)
	switch {
	case len(b.skips) > 0 && b.skips[r.Offset] != nil && b.ordered(r, m, paid):
	case m.Action == record.Ignore:
		b.skip(r, paid)
	case m.Action == record.Unknown:
		b.leaveOut(r, paid, reasonUnknown, m.Name, m.Reason)
	case b.replay.drops(m.Route):
		b.owed -= paid
		b.batch.blocks[m.Route].dropped++
		b.batch.dropped++
		b.pass(r)
	default:
		return b.row(r, m, paid, now.UnixMicro()), nil
	}
	return true, nil
}

// ordered leaves out a record that an operator skips. It is false where the record is no row, or its row is in the
// table already, where the count of rows to drop has it.
func (b *builder) ordered(r *record.Record, m *record.Match, paid int64) bool {
	s := b.skips[r.Offset]
	switch {
	case m.Action == record.Ignore:
		b.orders.becomes(s, BecameNothing)
		return false
	case m.Action == record.Row && b.replay.remaining[m.Route] > 0:
		b.orders.becomes(s, BecameRow)
		return false
	}
	b.orders.becomes(s, BecameLetter)
	b.leaveOut(r, paid, reasonSkipped, m.Name, s.why)
	return true
}

// skip moves on past a record of no interest.
func (b *builder) skip(r *record.Record, paid int64) {
	b.owed -= paid
	b.batch.skipped++
	b.pass(r)
}

// row lays the record down. It returns false when that would outgrow the batch.
func (b *builder) row(r *record.Record, m *record.Match, paid, nowMicros int64) bool {
	k := &b.batch.blocks[m.Route]
	tail := k.reserve(b.room)
	before := len(*tail)
	var began time.Time
	if b.traces.on {
		began = b.traces.due()
	}
	out, err := b.contracts.AppendRow(*tail, r, nowMicros)
	if err != nil {
		b.undecodable(r, paid, m.Name, err)
		b.failed(b.traces.failed(r, m, began, err))
		return true
	}
	n := len(out) - before
	if n > b.limits.rowBytes {
		why := fmt.Errorf("the row takes %d bytes and BigQuery's append requests at most %d: it can never be appended",
			n, b.limits.rowBytes)
		b.leaveOut(r, paid, reasonRefused, m.Name, why.Error())
		b.failed(b.traces.failed(r, m, began, why))
		return true
	}
	if b.batch.rows > 0 && (k.bytes+n > b.limits.blockBytes || b.batch.bytes+n > b.limits.batchBytes) {
		return false
	}
	*tail = out
	// Fall slowly and rise at once: one segment too large costs less than one too small.
	b.room = max(n, b.room-b.room/64)
	k.rows++
	k.bytes += n
	t := b.batch
	t.rows++
	t.bytes += n
	t.records.Keep(r)
	t.routes = append(t.routes, uint32(m.Route))
	if t.rows == 1 {
		t.oldest = r.TimestampMicros
	}
	if !began.IsZero() && t.traced == nil {
		t.traced = b.traces.laidDown(r, m, began, t.rows-1)
	}
	extra := max(0, int64(n-r.Size()))
	t.charge += paid / 2
	t.rowCharge += paid - paid/2 + extra
	b.owed += extra
	b.move(r)
	return true
}

func (b *builder) leaveOut(r *record.Record, paid int64, reason, contract, err string) {
	b.batch.bad = append(b.batch.bad, badRecord{
		record: r.Keep(), place: r.Offset, reason: reason, contract: contract, err: err, offset: -1,
	})
	b.batch.charge += paid
	b.pass(r)
}

// undecodable leaves out a record that its contract cannot read, and keeps the place of the fault.
func (b *builder) undecodable(r *record.Record, paid int64, contract string, err error) {
	b.leaveOut(r, paid, reasonUndecodable, contract, err.Error())
	if fault, ok := errors.AsType[*decode.Error](err); ok {
		bad := &b.batch.bad[len(b.batch.bad)-1]
		bad.field, bad.offset = fault.Field, fault.Offset
	}
}

// failed keeps the trace of the record that was left out last; one of a batch is enough for the log.
func (b *builder) failed(t *traced) {
	if t != nil {
		t.row = len(b.batch.bad) - 1
		b.batch.failed = t
	}
}

// pass moves on past a record that will not be looked at again, or is kept elsewhere.
func (b *builder) pass(r *record.Record) {
	b.batch.records.Pass(r)
	b.move(r)
}

func (b *builder) move(r *record.Record) {
	b.next = r.Offset + 1
	b.batch.end = b.next
}

// balance settles the accounts of the records taken.
func (b *builder) balance() {
	b.budget.Release(-b.owed) // which takes where more is owed than was paid
	b.owed = 0
}

// finish takes the batch out, numbered.
func (b *builder) finish(sequence uint64) *batch {
	done := b.batch
	done.sequence = sequence
	b.batch = nil
	return done
}
