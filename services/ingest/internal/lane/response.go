package lane

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/tap"
)

// handle takes a response of the writer. closed is true after Closed: its pair is the newest.
func (c *call) handle(in received) (closed bool, err error) {
	if in.err != nil {
		if errors.Is(in.err, io.EOF) {
			return false, errEarlyEnd
		}
		return false, callError(in.err)
	}
	switch m := in.response.GetMessage().(type) {
	case *lanev1.LaneResponse_Settled:
		return false, c.settled(m.Settled)
	case *lanev1.LaneResponse_Checkpoint:
		return false, c.checkpoint(m.Checkpoint)
	case *lanev1.LaneResponse_Refused:
		return false, c.refused(m.Refused)
	case *lanev1.LaneResponse_Drain:
		return false, c.writerDrains(m.Drain.GetReason(), m.Drain.GetWithin().AsDuration())
	case *lanev1.LaneResponse_Closed:
		return true, c.closed(m.Closed)
	case *lanev1.LaneResponse_Notice:
		c.lane.notice(m.Notice)
		return false, nil
	case nil:
		return false, violation("it sent a message of a kind that this version does not know, which a newer writer " +
			"sends only where Open asks for it")
	default:
		return false, violation("%T is out of place", m)
	}
}

func (c *call) settled(m *lanev1.Settled) error {
	b := c.window.front()
	switch {
	case b == nil:
		return violation("Settled %d with an empty window", m.GetSequence())
	case m.GetSequence() != b.sequence:
		return violation("Settled %d where %d is next", m.GetSequence(), b.sequence)
	case m.GetPosition() != b.end:
		return violation("Settled %d at position %d, sent as %d", m.GetSequence(), m.GetPosition(), b.end)
	case m.GetPosition() < c.ledger.newest.Position:
		return violation("Settled %d at position %d, a barrier was at %d already", m.GetSequence(), b.end,
			c.ledger.newest.Position)
	case b.refusals > 0:
		return violation("Settled %d before its refusal was answered", m.GetSequence())
	}
	c.ledger.settled(Pair{m.GetPosition(), m.GetCheckpoint()})
	c.window.pop()
	b.traced.end(nil)
	b.traced = nil
	c.progress = true
	c.lane.metrics.settled(b)
	c.first = c.firstUnsettled()
	c.lane.board.moved(m.GetPosition(), c.first)
	now := time.Now()
	c.lane.board.batchSettled(now.Sub(b.sent))
	c.showWindow(func(s *Status) {
		s.Dropped += uint64(b.dropped)
		c.lane.board.remembered.settled(b, now)
	})
	b.records.Release()
	c.let(b)
	return nil
}

// firstUnsettled is the Kafka timestamp of the first record at hand that is not settled, -1 when there is none or it
// has none.
func (c *call) firstUnsettled() int64 {
	switch {
	case c.window.count > 0:
		return c.window.front().first
	case c.held != nil:
		return c.held.first
	case c.builder.batch != nil:
		return c.builder.batch.first
	case c.next < len(c.part.records):
		return c.part.records[c.next].TimestampMicros
	}
	return -1
}

func (c *call) checkpoint(m *lanev1.Checkpoint) error {
	switch {
	case m.GetBarrier() != c.ledger.barrier+1:
		return violation("barrier %d where %d is next", m.GetBarrier(), c.ledger.barrier+1)
	case m.GetPosition() < c.ledger.newest.Position || m.GetPosition() > c.sentEnd:
		return violation("barrier %d at position %d, outside of %d to %d",
			m.GetBarrier(), m.GetPosition(), c.ledger.newest.Position, c.sentEnd)
	}
	c.ledger.raised(m.GetBarrier(), Pair{m.GetPosition(), m.GetCheckpoint()})
	return nil
}

// barrierCommitted answers the barriers that became durable.
func (c *call) barrierCommitted(err error) error {
	first, last := c.ledger.confirmed()
	if err != nil {
		return c.lane.commitFailed("commit the barrier", err)
	}
	// After the half-close there is no way and no need to respond: the checkpoint of Closed explains everything.
	for n := first; n <= last && !c.closing; n++ {
		c.control.push(durable(n))
	}
	return nil
}

// refused queues the dead letters of the rows that BigQuery will never take.
func (c *call) refused(m *lanev1.Refused) error {
	b := c.window.find(m.GetSequence())
	if b == nil {
		return violation("Refused %d, which is not in the window", m.GetSequence())
	}
	if len(m.GetRows()) == 0 {
		return violation("Refused %d without rows", m.GetSequence())
	}
	if b.refused == nil {
		b.refused = make(map[int]struct{})
	}
	job := letterJob{batch: b, letters: make([]DeadLetter, 0, len(m.GetRows())), refused: true}
	for _, row := range m.GetRows() {
		i := b.row(row.GetRoute(), row.GetRow())
		if i < 0 {
			return violation("Refused %d names row %d of route %d, which was not sent", m.GetSequence(), row.GetRow(),
				row.GetRoute())
		}
		if _, twice := b.refused[i]; twice {
			return violation("Refused %d names row %d of route %d again", m.GetSequence(), row.GetRow(), row.GetRoute())
		}
		b.refused[i] = struct{}{}
		if b.traced.refused(i, row) {
			job.traced, job.letter = b.traced, len(job.letters)
		}
		r := b.records.Record(i)
		job.letters = append(job.letters, DeadLetter{
			Record: r, Reason: reasonRefused, Contract: c.lane.Contracts.Match(r).Name,
			Err: row.GetCode() + ": " + row.GetMessage(), Byte: -1,
		})
	}
	c.lane.tapped(tap.Refused, job.letters)
	b.refusals++
	c.letters = append(c.letters, job)
	return nil
}

// lettersProduced goes on with the batch that waited for its dead letters.
func (c *call) lettersProduced(err error) error {
	job := c.letters[0]
	c.letters[0] = letterJob{}
	c.letters = c.letters[1:]
	c.lettering = false
	c.abandonLetters()
	if c.draining && job.batch == c.held {
		c.let(c.held)
		c.held = nil
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	if err != nil {
		return err
	}
	job.logLetter(c.lane.Log)
	c.lane.tapped(tap.DeadLetter, job.letters)
	c.lane.metrics.letters(job.letters)
	if c.lane.Letters != nil {
		c.lane.Letters.Count(time.Now(), job.letters)
	}
	c.lane.board.update(func(s *Status) { s.DeadLetters += uint64(len(job.letters)) })
	if !job.refused {
		c.held = nil
		c.append(job.batch)
		return nil
	}
	job.batch.refusals--
	offsets := make([]int64, len(job.letters))
	for i := range job.letters {
		offsets[i] = job.letters[i].Record.Offset
	}
	slices.Sort(offsets)
	c.control.push(leftOut(job.batch.sequence, offsets))
	return nil
}

// tapped shows dead letters, or what is about to become some, to those who look.
func (l *Lane) tapped(at tap.Point, letters []DeadLetter) {
	w := l.Taps.Watching()
	if w == nil {
		return
	}
	w.Faulty(at, l.Partition.Topic(), len(letters), func(i int) (*record.Record, tap.Fault) {
		d := &letters[i]
		return d.Record, tap.Fault{Reason: d.Reason, Err: d.Err, Field: d.Field, Byte: d.Byte}
	})
}

// closed checks the last response.
func (c *call) closed(m *lanev1.Closed) error {
	if !c.closing {
		return violation("Closed came without a half-close")
	}
	if m.GetPosition() != c.sentEnd {
		return violation("Closed at position %d, everything sent ends at %d", m.GetPosition(), c.sentEnd)
	}
	c.ledger.newest = Pair{m.GetPosition(), m.GetCheckpoint()}
	return nil
}

// notice takes what the writer says of BigQuery to the board and to the weather. An empty one, or the end of the call,
// ends it.
func (l *Lane) notice(n *lanev1.Notice) {
	cause, since := n.GetCause(), time.Now()
	if n.GetSince().IsValid() {
		since = n.GetSince().AsTime()
	}
	if cause != l.noticed {
		if l.noticed != "" {
			l.Weather.calm(l.noticed)
		}
		if cause != "" {
			l.Weather.stormy(cause, n.GetText(), since)
		}
		l.noticed = cause
	}
	if cause == "" {
		l.board.waitsFor(forBigQuery, "", time.Time{})
		return
	}
	text := cause
	if n.GetText() != "" {
		text += ": " + n.GetText()
	}
	l.board.waitsFor(forBigQuery, text, since)
}
