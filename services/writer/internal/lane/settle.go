package lane

import (
	"strings"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/checkpoint"
)

// refusal is rows of one block that BigQuery refused, on their way to the dead-letter topic. The table's appender
// waits.
type refusal struct {
	sequence     uint64
	table        int
	rows         int
	acknowledged bool
	// parked are the offsets of the LeftOut while they do not fit in a checkpoint.
	parked []int64
	// explained says that nothing but version is awaited: that of the checkpoint which leaves them out, 0 where none
	// has to.
	explained bool
	version   uint64
}

const (
	// maxRefusedRows bounds one Refused message, and with it the LeftOut that comes for it.
	maxRefusedRows = 1000
	// maxRefusedText bounds BigQuery's message of one row.
	maxRefusedText = 500
)

// handle is the owner's side of an event.
func (l *lane) handle(e *event) error {
	switch e.kind {
	case eventNotice:
		return l.notice(e.notice)
	case eventOpened:
		return l.takeOpened(e.opened, e.err)
	case eventCreated:
		return l.created(e)
	case eventPanicked:
		return e.err
	default:
		return l.result(e.table, &e.result)
	}
}

// result is what BigQuery said of one append.
func (l *lane) result(i int, r *Result) error {
	t := &l.tables[i]
	if t.appender == nil { // forgotten
		return nil
	}
	if r.Err != nil {
		return l.broken(i, r.Err, r.Unwritten)
	}
	t.fresh = false
	b, bl := l.find(r.ID, i)
	if bl == nil {
		return aborted("%s responded to append %d, which is not in flight", t.target(), r.ID)
	}
	if len(r.Refused) > 0 {
		return l.refuse(b, bl, r.Refused)
	}
	if r.Written != bl.rows-bl.refused {
		return aborted("%s took %d rows of batch %d, expected %d: opening again settles it", t.target(), r.Written,
			b.sequence, bl.rows-bl.refused)
	}
	bl.done = true
	b.open--
	return nil
}

// find returns an appended block that is not done.
func (l *lane) find(sequence uint64, table int) (*batch, *block) {
	if l.launched == 0 || sequence < l.window[0].sequence || sequence >= l.window[0].sequence+uint64(l.launched) {
		return nil, nil
	}
	b := l.window[sequence-l.window[0].sequence]
	for i := range b.blocks {
		if bl := &b.blocks[i]; bl.table == table && !bl.done {
			return b, bl
		}
	}
	return nil, nil
}

// refuse tells ingest of refused rows, in messages of bounded size.
func (l *lane) refuse(b *batch, bl *block, rows []RefusedRow) error {
	last := -1
	for _, r := range rows {
		if r.Row <= last || r.Row >= bl.rows {
			return aborted("BigQuery refused row %d of %d in batch %d out of order", r.Row, bl.rows, b.sequence)
		}
		last = r.Row
	}
	if bl.refused += len(rows); bl.refused > bl.rows {
		return aborted("BigQuery refused %d of %d rows in batch %d", bl.refused, bl.rows, b.sequence)
	}
	l.service.Metrics.refused.Add(float64(len(rows)))
	b.traced.logger(l.log).Warn("rows refused", "batch", b.sequence, "table", l.tables[bl.table].name, "rows",
		len(rows), "code", rows[0].Code, "message", rows[0].Message)
	b.traced.refused(len(rows))
	for len(rows) > 0 {
		n := min(len(rows), maxRefusedRows)
		m := &lanev1.Refused{Sequence: b.sequence, Rows: make([]*lanev1.RefusedRow, n)}
		for i, r := range rows[:n] {
			m.Rows[i] = &lanev1.RefusedRow{
				Route: uint32(bl.table), Row: uint32(r.Row), Code: r.Code,
				Message: strings.ToValidUTF8(r.Message[:min(len(r.Message), maxRefusedText)], ""),
			}
		}
		rows = rows[n:]
		l.refusals = append(l.refusals, refusal{sequence: b.sequence, table: bl.table, rows: n})
		if err := l.send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Refused{Refused: m}}); err != nil {
			return err
		}
	}
	return nil
}

// recordLeftOut takes the LeftOut that responds to a Refused. Those of one batch come in order.
func (l *lane) recordLeftOut(m *lanev1.LeftOut) error {
	for i := range l.refusals {
		r := &l.refusals[i]
		if r.sequence != m.GetSequence() || r.acknowledged {
			continue
		}
		b := l.window[r.sequence-l.window[0].sequence]
		if len(m.GetOffsets()) != r.rows {
			return invalid("left_out.offsets has %d offsets, but %d rows of batch %d were refused", len(m.GetOffsets()),
				r.rows, b.sequence)
		}
		if !ascending(m.GetOffsets(), b.start, b.end) {
			return invalid("left_out.offsets must ascend from %d and stay below %d, the records of batch %d", b.start,
				b.end, b.sequence)
		}
		l.service.Metrics.leftOut.Add(float64(r.rows))
		r.acknowledged, r.parked = true, m.GetOffsets()
		if !l.counts {
			l.leaveOut(r.parked, l.service.Limits.CheckpointBytes)
			r.explained, r.parked = true, nil
			l.resume()
		}
		return nil
	}
	return invalid("left_out.sequence is %d, but no refused rows of that batch await a response", m.GetSequence())
}

// leaveOutRefused leaves refused rows out as far as the checkpoint can hold them: all of them once their batch is the
// oldest.
func (l *lane) leaveOutRefused() error {
	for i := range l.refusals {
		r := &l.refusals[i]
		if !r.acknowledged || r.explained {
			continue
		}
		oldest := l.window[0].sequence == r.sequence
		limit := l.service.Limits.CheckpointBytes
		if oldest {
			limit = checkpoint.MaxBytes
		}
		if l.leaveOut(r.parked, limit) {
			r.version, r.explained, r.parked = l.change(), true, nil
			l.wanted = r.version
		} else if oldest {
			return fatal("batch %d: the offsets of its refused records do not fit in a checkpoint, which Kafka's "+
				"offset metadata bounds. Lower the rows or bytes of a batch in ingest's configuration, so that fewer "+
				"records are refused at once; or see why BigQuery refuses so many rows of %s (ingest's dead "+
				"letters say)",
				r.sequence, l.tables[r.table].name)
		}
	}
	return nil
}

// resume lets appenders go on whose refused rows are left out: durably, where anything is counted.
func (l *lane) resume() {
	kept := l.refusals[:0]
	for i, r := range l.refusals {
		if !r.explained || r.version > l.durable {
			kept = append(kept, r)
			continue
		}
		last := true
		for _, other := range kept {
			last = last && other.table != r.table
		}
		for _, other := range l.refusals[i+1:] {
			last = last && other.table != r.table
		}
		if t := &l.tables[r.table]; last && t.appender != nil {
			t.appender.Resume()
		}
	}
	l.refusals = kept
}

// settle moves the position over the oldest batches whose rows are all written or left out.
func (l *lane) settle() (moved bool, err error) {
	n := 0
	for n < l.launched && l.window[n].open == 0 {
		b := l.window[n]
		n++
		l.position = b.end
		l.remember(b)
		for i := range b.blocks {
			bl := &b.blocks[i]
			t := &l.tables[bl.table]
			t.settled += int64(bl.rows - bl.refused)
			if t.drop -= bl.dropped; t.drop < 0 {
				return false, fatal("batch %d drops %d rows of %s more than were to be dropped; this is a fault of "+
					"the writer: report it", b.sequence, -t.drop, t.route.GetTable())
			}
			if bl.rows > 0 {
				t.rows.Add(float64(bl.rows - bl.refused))
			}
			l.service.Metrics.dropped.Add(float64(bl.dropped))
		}
		for len(l.parked) > 0 && l.parked[0].offsets[len(l.parked[0].offsets)-1] < l.position {
			l.unpark()
			l.hold() // what explains the next row is the new position
		}
		if err := l.sendSettled(b); err != nil {
			return false, err
		}
		l.bytes -= b.bytes
		l.giveBack(b.bytes)
		l.free = append(l.free, b)
	}
	if n == 0 {
		return false, nil
	}
	rest := copy(l.window, l.window[n:])
	clear(l.window[rest:])
	l.window, l.launched = l.window[:rest], l.launched-n
	if rest == 0 {
		l.rest.Reset(l.service.Limits.RestAfter)
	}
	return true, nil
}

func (l *lane) sendSettled(b *batch) error {
	token, err := l.encode(l.resting)
	if err != nil {
		return err
	}
	m := l.settled.Settled
	m.Sequence, m.Position, m.Checkpoint = b.sequence, b.end, token
	if err := l.send(&lanev1.LaneResponse{Message: &l.settled}); err != nil {
		return err
	}
	b.traced.end(nil)
	b.traced = nil
	metrics := l.service.Metrics
	metrics.batches.Inc()
	metrics.bytes.Add(float64(b.bytes))
	metrics.held.Sub(float64(b.bytes))
	now := time.Now().UnixNano()
	metrics.settle.Observe(time.Duration(now - b.received).Seconds())
	l.service.work.settled(b, now)
	return nil
}
