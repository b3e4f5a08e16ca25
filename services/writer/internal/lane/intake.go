package lane

import (
	"time"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// parked is a LeftOut that does not fit in a checkpoint before the window has settled. Batches from its sequence on
// wait for it.
type parked struct {
	before  uint64
	offsets []int64
}

const (
	// maxLeftOut is that of LeftOut.offsets in the protocol.
	maxLeftOut = 10_000
	// maxParked bounds the offsets that wait for the window to settle.
	maxParked = 10 * maxLeftOut
	// offsetBytes is what an offset takes.
	offsetBytes = 8
)

// take lets a message in, or has it wait outside until the budget has room for it.
func (l *lane) take() error {
	r := &l.request
	if r.Err != nil {
		return invalid("%v", r.Err)
	}
	if size := l.weigh(&r.Request); size > 0 {
		if l.place = l.service.Budget.charge(size, l); l.place != nil {
			return nil
		}
		l.charged += size
	}
	return l.process(&r.Request)
}

// weigh is how much of the budget a message takes; nothing when it is refused as it is. Responses of ingest take
// nothing: they make room.
func (l *lane) weigh(r *lanewire.Request) int64 {
	if l.phase < streaming {
		return 0
	}
	if left := r.Control.GetLeftOut(); left != nil {
		if n := len(left.GetOffsets()); n <= maxLeftOut && left.GetSequence() == 0 {
			return int64(n) * offsetBytes
		}
		return 0
	}
	if size := int64(r.Append.Size()); l.bytes+size <= l.service.Limits.WindowBytes {
		return size
	}
	return 0
}

// turn is the channel of a message that waits; nil when none does.
func (l *lane) turn() <-chan struct{} {
	if l.place == nil {
		return nil
	}
	return l.place.let
}

// letIn takes the message whose turn has come.
func (l *lane) letIn() error {
	l.charged += l.place.bytes
	l.place = nil
	return l.process(&l.request.Request)
}

// giveBack returns bytes to the budget.
func (l *lane) giveBack(n int64) {
	l.charged -= n
	l.service.Budget.release(n)
}

// process checks one message and takes over what it holds. The request is free for the next one when it returns.
func (l *lane) process(r *lanewire.Request) error {
	defer r.Free()
	if l.phase == awaitsOpen {
		if r.Control == nil {
			return invalid("append: the first message of a call must be Open")
		}
		l.speaks()
		return l.takeOpen(r.Control.GetOpen())
	}
	if r.Control == nil {
		if l.phase == awaitsDurable {
			return invalid("append before durable: commit the checkpoint of Opened and send Durable with barrier 0 " +
				"first")
		}
		return l.takeAppend(&r.Append)
	}
	switch m := r.Control.GetMessage().(type) {
	case *lanev1.LaneRequest_Durable:
		return l.takeDurable(m.Durable.GetBarrier())
	case *lanev1.LaneRequest_LeftOut:
		if l.phase == awaitsDurable {
			return invalid("left_out before durable: commit the checkpoint of Opened and send Durable with barrier 0 " +
				"first")
		}
		return l.takeLeftOut(m.LeftOut)
	case *lanev1.LaneRequest_Open:
		return invalid("open: this call has opened %s/%d already; a lane is one call", l.open.GetTopic(),
			l.open.GetPartition())
	}
	return invalid("message: none is set")
}

// speaks says that the call awaits its Open no more.
func (l *lane) speaks() {
	if l.silent != nil {
		l.silent()
		l.silent = nil
	}
}

func (l *lane) takeDurable(barrier uint64) error {
	if !l.awaiting {
		return invalid("durable.barrier is %d, but no barrier awaits a response", barrier)
	}
	if barrier != l.barrier {
		return invalid("durable.barrier is %d, expected %d", barrier, l.barrier)
	}
	l.awaiting = false
	l.durable = l.awaited
	if l.phase == awaitsDurable {
		l.enter(streaming)
		if l.service.Carries != nil {
			l.carried = l.service.Carries(l.ctx)
		}
		l.rest.Reset(l.service.Limits.RestAfter)
	}
	l.resume()
	return nil
}

func (l *lane) takeAppend(a *lanewire.Append) error {
	limits := &l.service.Limits
	switch {
	case a.Sequence != l.sequence+1:
		return invalid("append.sequence is %d, expected %d", a.Sequence, l.sequence+1)
	case a.EndPosition <= l.end:
		return invalid("append.end_position is %d, must exceed %d", a.EndPosition, l.end)
	case len(l.window) >= limits.WindowBatches:
		return invalid("append %d exceeds the window of %d batches (opened.limits.window_batches)", a.Sequence,
			limits.WindowBatches)
	case len(a.Blocks) > len(l.tables):
		return invalid("append.blocks has %d blocks for %d routes", len(a.Blocks), len(l.tables))
	case l.bytes+int64(a.Size()) > limits.WindowBytes:
		return invalid("append %d exceeds the window of %d bytes (opened.limits.window_bytes)", a.Sequence,
			limits.WindowBytes)
	}
	b := l.newBatch()
	b.sequence, b.start, b.end, b.needs = a.Sequence, l.end, a.EndPosition, 0
	now := time.Now()
	b.received = now.UnixNano()
	records := b.end - b.start - within(l.left, b.start, b.end)
	for i := range a.Blocks {
		from := &a.Blocks[i]
		if int64(from.Route) >= int64(len(l.tables)) {
			return invalid("append.blocks[%d].route is %d, but open has %d routes", i, from.Route, len(l.tables))
		}
		t := &l.tables[from.Route]
		if t.fed == a.Sequence {
			return invalid("append.blocks[%d].route is %d, that of an earlier block", i, from.Route)
		}
		t.fed = a.Sequence
		size := int64(from.Bytes.Len())
		if size > limits.BlockBytes {
			return invalid("append.blocks[%d] has %d bytes of rows, at most %d (opened.limits.block_bytes)", i, size,
				limits.BlockBytes)
		}
		// The count enters the accounting of exactly-once: it must be that of the rows.
		rows, err := lanewire.CountRows(from.Bytes)
		if err != nil {
			return invalid("append.blocks[%d]: %v", i, err)
		}
		if int64(rows) != int64(from.Rows) {
			return invalid("append.blocks[%d].rows is %d, but it holds %d rows", i, from.Rows, rows)
		}
		if int64(from.Dropped) > t.toDrop {
			return invalid("append.blocks[%d].dropped is %d, but only %d rows of %s are left to drop", i, from.Dropped,
				t.toDrop, t.route.GetTable())
		}
		if rows > 0 && int64(from.Dropped) < t.toDrop {
			return invalid("append.blocks[%d] has rows while %d rows of %s are still to be dropped (opened.replay)", i,
				t.toDrop-int64(from.Dropped), t.route.GetTable())
		}
		if records -= int64(rows) + int64(from.Dropped); records < 0 {
			return invalid("append.blocks: more rows than the records from %d to %d that are not left out", b.start,
				b.end)
		}
		b.bytes += size
		b.blocks = append(b.blocks, block{
			table: int(from.Route), rows: rows, dropped: int64(from.Dropped),
			done: rows == 0,
		})
		if rows > 0 {
			b.open++
		}
	}
	// Checked: from here on the lane owns the rows.
	if b.open > 0 && l.resting {
		l.resting = false
		l.floor = l.change()
	}
	b.needs = l.floor
	l.rest.Stop()
	for i := range a.Blocks {
		bl := &b.blocks[i]
		l.tables[bl.table].toDrop -= bl.dropped
		if bl.rows > 0 {
			bl.data, a.Blocks[i].Bytes = a.Blocks[i].Bytes, nil
			l.prepare(bl.table)
		}
	}
	l.sequence, l.end = b.sequence, b.end
	l.window = append(l.window, b)
	b.traced = l.trace(a.Trace, b, now)
	l.bytes += b.bytes
	l.service.Metrics.held.Add(float64(b.bytes))
	return nil
}

func (l *lane) takeLeftOut(m *lanev1.LeftOut) error {
	offsets := m.GetOffsets()
	switch {
	case len(offsets) == 0:
		return invalid("left_out.offsets is empty")
	case len(offsets) > maxLeftOut:
		return invalid("left_out.offsets has %d offsets, at most %d", len(offsets), maxLeftOut)
	case m.GetSequence() != 0:
		return l.recordLeftOut(m)
	case !ascending(offsets, l.end, 1<<63-1):
		return invalid("left_out.offsets must ascend from %d, the end of the batches sent: LeftOut precedes the "+
			"Append that passes its records", l.end)
	case l.waits+len(offsets) > maxParked:
		return invalid("left_out.offsets: %d offsets wait for the window to settle already, at most %d", l.waits,
			maxParked)
	}
	l.service.Metrics.leftOut.Add(float64(len(offsets)))
	l.parked = append(l.parked, parked{before: l.sequence + 1, offsets: offsets})
	l.waits += len(offsets)
	switch {
	case !l.counts:
		// Nothing is counted by the list: it only saves the next owner a second dead letter, as far as it fits.
		l.leaveOut(offsets, l.service.Limits.CheckpointBytes)
		l.unpark()
	case len(l.parked) == 1 && l.leaveOut(offsets, l.service.Limits.CheckpointBytes):
		l.unpark()
		l.floor = l.change()
	}
	return nil
}

// unpark takes the oldest parked LeftOut away.
func (l *lane) unpark() {
	n := len(l.parked[0].offsets)
	l.parked = l.parked[1:]
	l.waits -= n
	l.giveBack(int64(n) * offsetBytes)
}

// change takes the next version of the lane's state.
func (l *lane) change() uint64 {
	l.version++
	return l.version
}

func (l *lane) newBatch() *batch {
	if n := len(l.free); n > 0 {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		*b = batch{blocks: b.blocks[:0]}
		return b
	}
	return new(batch)
}
