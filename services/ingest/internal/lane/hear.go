package lane

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// hear takes a word of the writer. closed is true after Closed: its pair is the newest.
func (c *call) hear(word heard) (closed bool, err error) {
	if word.err != nil {
		if errors.Is(word.err, io.EOF) {
			return false, errEarlyEnd
		}
		return false, callError(word.err)
	}
	switch m := word.response.GetMessage().(type) {
	case *lanev1.LaneResponse_Settled:
		return false, c.settled(m.Settled)
	case *lanev1.LaneResponse_Checkpoint:
		return false, c.checkpoint(m.Checkpoint)
	case *lanev1.LaneResponse_Refused:
		return false, c.refused(m.Refused)
	case *lanev1.LaneResponse_Drain:
		c.writerDrains(m.Drain.GetReason(), 0)
		return false, nil
	case *lanev1.LaneResponse_Closed:
		return true, c.closed(m.Closed)
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
	case m.GetPosition() < c.ledger.newest.position:
		return violation("Settled %d at position %d, a barrier was at %d already", m.GetSequence(), b.end, c.ledger.newest.position)
	case b.refusals > 0:
		return violation("Settled %d before its refusal was answered", m.GetSequence())
	}
	c.ledger.settled(pair{m.GetPosition(), m.GetCheckpoint()})
	c.window.pop()
	c.progress = true
	lag := c.lag()
	c.lane.metrics.settled(b)
	c.lane.metrics.lag.Set(float64(lag))
	c.showWindow(func(s *Status) {
		s.Position, s.Lag = m.GetPosition(), lag
		s.Dropped += uint64(b.dropped)
		s.Settled++
		s.Settling += time.Since(b.sent)
	})
	b.records.LetGo()
	c.let(b)
	return nil
}

// lag is how many offsets lie between the settled position and the end of the partition.
func (c *call) lag() int64 {
	left := int64(len(c.part.records) - c.next)
	return c.builder.next - c.ledger.newest.position + left + c.backlog
}

func (c *call) checkpoint(m *lanev1.Checkpoint) error {
	switch {
	case m.GetBarrier() != c.ledger.barrier+1:
		return violation("barrier %d where %d is next", m.GetBarrier(), c.ledger.barrier+1)
	case m.GetPosition() < c.ledger.newest.position || m.GetPosition() > c.sentEnd:
		return violation("barrier %d at position %d, outside of %d to %d",
			m.GetBarrier(), m.GetPosition(), c.ledger.newest.position, c.sentEnd)
	}
	c.ledger.raised(m.GetBarrier(), pair{m.GetPosition(), m.GetCheckpoint()})
	return nil
}

// barrierCommitted answers the barriers that became durable.
func (c *call) barrierCommitted(err error) error {
	first, last := c.ledger.confirmed()
	if err != nil {
		return c.lane.commitFailed("commit the barrier", err)
	}
	// After the half-close there is no way and no need to answer: the checkpoint of Closed explains everything.
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
	letters := make([]DeadLetter, 0, len(m.GetRows()))
	for _, row := range m.GetRows() {
		i := b.row(row.GetRoute(), row.GetRow())
		if i < 0 {
			return violation("Refused %d names row %d of route %d, which was not sent", m.GetSequence(), row.GetRow(), row.GetRoute())
		}
		if _, twice := b.refused[i]; twice {
			return violation("Refused %d names row %d of route %d again", m.GetSequence(), row.GetRow(), row.GetRoute())
		}
		b.refused[i] = struct{}{}
		r := b.records.Record(i)
		letters = append(letters, DeadLetter{
			Record: r, Reason: reasonRefused, Contract: c.lane.Contracts.Match(r).Contract,
			Err: row.GetCode() + ": " + row.GetMessage(), Byte: -1,
		})
	}
	b.refusals++
	c.letters = append(c.letters, letterJob{batch: b, letters: letters, refused: true})
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
	c.lane.metrics.letters(job.letters)
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

// closed checks the last word.
func (c *call) closed(m *lanev1.Closed) error {
	if !c.closing {
		return violation("Closed came without a half-close")
	}
	if m.GetPosition() != c.sentEnd {
		return violation("Closed at position %d, everything sent ends at %d", m.GetPosition(), c.sentEnd)
	}
	c.ledger.newest = pair{m.GetPosition(), m.GetCheckpoint()}
	return nil
}
