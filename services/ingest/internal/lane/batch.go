package lane

import (
	"sync"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// maxLeftOut is how many records without a row a batch may pass. Their offsets travel in a checkpoint of at most 4 KiB.
const maxLeftOut = 256

// batch is the rows of consecutive records. It keeps the records until it is settled.
type batch struct {
	sequence uint64
	// end is the position once the batch is settled.
	end int64
	// began is when its first record was taken.
	began time.Time
	// sent is when it entered the window.
	sent time.Time
	// oldest is the Kafka timestamp of its first row in microseconds, -1 without one; first is that of its first
	// record.
	oldest, first int64
	// rows and bytes are those of its blocks; dropped counts what replay dropped, skipped what was ignored or left out
	// before.
	rows, bytes, dropped, skipped int
	// charge is what its records hold of the budget until it is settled, rowCharge what its rows hold until it is sent;
	// from then on transit gives that back.
	charge, rowCharge int64
	transit           *transit
	// blocks are by route.
	blocks []block
	// records are all that it passes; those of the rows are kept, and routes are theirs, in order.
	records record.Places
	routes  []uint32
	// bad are the records that it passes without a row.
	bad []badRecord
	// refused marks rows by their index in records; nil until the writer refuses one. refusals counts the Refused not
	// yet answered.
	refused  map[int]struct{}
	refusals int
	// traced is the trace of one of its rows, failed that of one of its bad records; nil when there is none.
	traced, failed *traced
}

// badRecord is a record without a row, and why.
type badRecord struct {
	record   record.Kept
	place    int64 // the record's offset
	reason   string
	contract string
	err      string
	// field and offset are where in the record the fault is: empty and -1 when that is not known.
	field  string
	offset int
}

// block is the rows of a batch for one route. They lie in segments from a pool, so that growing copies nothing.
type block struct {
	rows, dropped uint32
	bytes         int
	full          mem.BufferSlice
	tail          *[]byte
	// transit is that of the batch.
	transit *transit
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch(routes int, budget *Account, now time.Time, first int64) *batch {
	b := batches.Get().(*batch)
	b.transit = &transit{budget: budget}
	if cap(b.blocks) < routes {
		b.blocks = make([]block, routes)
	}
	b.blocks = b.blocks[:routes]
	for i := range b.blocks {
		b.blocks[i].transit = b.transit
	}
	b.began, b.oldest, b.first = now, -1, first
	return b
}

// recycle gives the batch back. Nothing may refer to its records any more.
func (b *batch) recycle() {
	b.traced.end(errUnsettled)
	for i := range b.blocks {
		b.blocks[i].free()
	}
	clear(b.blocks)
	clear(b.bad)
	b.records.Reset()
	*b = batch{blocks: b.blocks[:0], records: b.records, routes: b.routes[:0], bad: b.bad[:0]}
	batches.Put(b)
}

// isFull says that the batch takes no further record.
func (b *batch) isFull(l limits) bool {
	return b.rows >= l.batchRows || b.bytes >= l.batchBytes || len(b.bad) >= maxLeftOut
}

// moves says that the batch only moves the position on: it has nothing to append and nothing to leave out.
func (b *batch) moves() bool { return b.rows == 0 && len(b.bad) == 0 }

// message is the Append of the batch. The references of the rows pass to it.
func (b *batch) message() *lanewire.Append {
	n := 0
	for i := range b.blocks {
		if b.blocks[i].rows > 0 || b.blocks[i].dropped > 0 {
			n++
		}
	}
	a := &lanewire.Append{
		Sequence: b.sequence, EndPosition: b.end, Blocks: make([]lanewire.Block, 0, n), Trace: b.traced.traceparent(),
	}
	for i := range b.blocks {
		b.blocks[i].seal()
	}
	b.transit.hold(b.rowCharge)
	b.rowCharge = 0
	for i := range b.blocks {
		if k := &b.blocks[i]; k.rows > 0 || k.dropped > 0 {
			a.Blocks = append(a.Blocks, lanewire.Block{
				Route: uint32(i), Rows: k.rows, Dropped: k.dropped,
				Bytes: k.take(),
			})
		}
	}
	return a
}

// leftOut are the offsets of the records without a row, ascending.
func (b *batch) leftOut() []int64 {
	offsets := make([]int64, len(b.bad))
	for i := range b.bad {
		offsets[i] = b.bad[i].place
	}
	return offsets
}

// letters are the dead letters of the records without a row.
func (b *batch) letters() []DeadLetter {
	letters := make([]DeadLetter, len(b.bad))
	for i := range b.bad {
		bad := &b.bad[i]
		letters[i] = DeadLetter{
			Record: bad.record.Record(), Reason: bad.reason, Contract: bad.contract, Err: bad.err, Field: bad.field,
			Byte: bad.offset,
		}
	}
	return letters
}

// row is the index in records of a row that the writer names by route and index in its block; -1 when there is none.
func (b *batch) row(route, index uint32) int {
	for i, r := range b.routes {
		if r != route {
			continue
		}
		if index == 0 {
			return i
		}
		index--
	}
	return -1
}

// reserve is the segment to append the next row to, with room for about so many bytes.
func (k *block) reserve(room int) *[]byte {
	if k.tail != nil && cap(*k.tail)-len(*k.tail) >= room {
		return k.tail
	}
	k.seal()
	k.tail = lanewire.Buffers.Get(max(room, grown(k.bytes)))
	*k.tail = (*k.tail)[:0]
	return k.tail
}

// seal ends the current segment.
func (k *block) seal() {
	switch {
	case k.tail == nil:
	case len(*k.tail) == 0:
		lanewire.Buffers.Put(k.tail)
	default:
		k.transit.segments.Add(1)
		k.full = append(k.full, mem.NewBuffer(k.tail, k.transit))
	}
	k.tail = nil
}

// take hands over the rows.
func (k *block) take() mem.BufferSlice {
	k.seal()
	rows := k.full
	k.full = nil
	return rows
}

func (k *block) free() {
	k.seal()
	k.full.Free()
	k.full = nil
}
