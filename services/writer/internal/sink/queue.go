package sink

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// queue is the ordered resend queue of one write stream: a state machine without I/O, clock or goroutine. The appender
// around it asks next what to do, does it, and reports what came of it.
//
// Invariants:
//   - rows [0, end) are in the stream, and pieces[0] goes to offset end: every piece is written exactly where the one
//     before it ends;
//   - pieces[:sent] are under way on this connection, without a response, in order; responses come in order, so a reply
//     is pieces[0]'s;
//   - after a rejection what is under way behind it is rejected too (it is beyond the end). Its replies are drained
//     before anything is sent again, so no two requests of ours for one offset are ever under way on one connection;
//   - a piece changes its offset only when no older copy of it can still reach BigQuery; where that is not certain the
//     queue fails.
//
// The queue of a default stream differs in what is behind a rejection: see default.go.
type queue struct {
	// repeats says that this is a default stream: there are no offsets, and rows may be written more than once.
	repeats bool
	// end is how many rows the stream is known to hold, begun how many it held at first.
	end, begun int64
	// high is the end of the furthest piece ever sent. Nothing of ours can lie beyond it.
	high int64
	// at is the offset of pieces[sent].
	at int64
	// limit is the most bytes of rows to put in one request, as learnt so far by all queues that share it; overhead is
	// what else a request may hold.
	limit    *requestLimit
	overhead int
	// pieces are what is to be written, in order.
	pieces []*piece
	sent   int
	// draining counts replies still to come to requests behind a rejected one.
	draining int
	// behind are the pieces that those replies are about, where they may be written all the same: on a default stream.
	behind []*piece
	// shifted says that pieces were refused while others were under way behind them: these have other offsets from now
	// on.
	shifted bool
	// paused waits for Resume.
	paused bool
	// solo keeps one request under way, so that what ends a connection can be told to be about it.
	solo bool
	// private asks for a connection of the queue's own, until something is written: on a shared one nobody can tell
	// whose request ended it.
	private bool
	// careful keeps solo until then: this table's bad rows end connections.
	careful time.Time
	// connected says that a connection stands; renew, that it is to be replaced.
	connected, renew bool
	// attempts counts faults since the last success; nothing is sent before hold.
	attempts int
	hold     time.Time
	// started is when the stream was first needed; barred is since when BigQuery has denied it.
	started, barred time.Time
	// doubts are the rows refused one by one since BigQuery last took any, each for `reason`.
	doubts int
	reason string
	// err ended the queue; delivered, that a result has said so.
	err       error
	delivered bool
	// results wait to be delivered.
	results []lane.Result
	// bytes are held in pieces.
	bytes int
	// jitter returns a number in [0, 1).
	jitter func() float64
}

// batch is one Append.
type batch struct {
	id uint64
	// rows were appended; doubts of them were refused one by one, for a reason that names no row.
	rows, doubts int
	// written are its rows in the stream; left are its pieces not yet done.
	written, left int
}

// piece is consecutive rows of one batch that go in one request.
type piece struct {
	batch *batch
	// data is one reference.
	data mem.BufferSlice
	rows int
	// index gives each row's index in its batch; nil when they run on from start.
	index []int
	start int
	// tried says that it was sent at its present offset.
	tried bool
	fate  fate
	// sentAt is when it was sent last.
	sentAt time.Time
}

// fate is what may have become of a piece that was sent and that BigQuery has not confirmed.
type fate int

const (
	// fresh: no copy of it is in the stream.
	fresh fate = iota
	// uncertain: it may be in the stream.
	uncertain
	// inDoubt: it may be in the stream, or may yet get there over a connection that we lost.
	inDoubt
)

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 30 * time.Second
	// newStreamGrace is how long a write stream that has taken no rows yet may be unknown to the backend that appends.
	newStreamGrace = 30 * time.Second
)

func newQueue(rows int64, limit, overhead int, jitter func() float64) *queue {
	return &queue{
		end: rows, begun: rows, high: rows, at: rows, limit: newRequestLimit(limit), overhead: overhead, jitter: jitter,
	}
}

// do is what the appender is to do next.
type do int

const (
	doWait do = iota
	doConnect
	doSend
	doStop
)

// step is the next thing to do.
type step struct {
	do do
	// until ends a wait, unless something happens before; zero: only something ends it.
	until time.Time
	// piece goes to offset. rows are its data, with a reference of the appender's own.
	piece  *piece
	offset int64
	rows   mem.BufferSlice
}

// append queues rows; it takes the reference.
func (q *queue) append(id uint64, rows int, data mem.BufferSlice) {
	if q.err != nil {
		data.Free()
		q.deliver(lane.Result{ID: id, Err: q.err})
		return
	}
	b := &batch{id: id, rows: rows, left: 1}
	q.pieces = append(q.pieces, &piece{batch: b, data: data, rows: rows})
	q.bytes += data.Len()
}

// resume goes on after refused rows.
func (q *queue) resume() { q.paused = false }

// hurry brings what is held back forward to a time.
func (q *queue) hurry(at time.Time) {
	if at.Before(q.hold) {
		q.hold = at
	}
}

// next says what to do at this time.
func (q *queue) next(now time.Time) step {
	limit := q.limit.at(now)
	for {
		switch {
		case q.err != nil:
			return step{do: doStop}
		case q.paused || q.draining > 0 || q.sent == len(q.pieces) || q.solo && q.sent > 0:
			return step{}
		}
		p := q.pieces[q.sent]
		alone := p.rows == 0 || p.data.Len() > limit && p.rows == 1
		if alone && q.sent > 0 {
			return step{}
		}
		switch {
		case p.rows == 0:
			q.done()
			continue
		case now.Before(q.hold):
			return step{until: q.hold}
		case !q.connected || q.renew:
			if q.started.IsZero() {
				q.started = now
			}
			return step{do: doConnect}
		case p.data.Len() > limit && p.rows > 1:
			q.split(q.sent, fitting(p, limit))
			continue
		case alone:
			q.solo = true
		}
		s := step{do: doSend, piece: p, offset: q.at}
		p.tried, p.sentAt = true, now
		q.sent++
		q.at += int64(p.rows)
		q.high = max(q.high, q.at)
		return s
	}
}

// up reports a new connection.
func (q *queue) up() { q.connected, q.renew = true, false }

// reply takes the response to the oldest request under way. It returns the piece that is written by it, if one is.
func (q *queue) reply(r *reply, now time.Time) *piece {
	if q.err != nil || !q.connected {
		return nil
	}
	f := r.fault
	if f == nil && r.offset < 0 && !q.repeats {
		f = noResult() // Rows sent for an offset are written at one.
	}
	switch {
	case q.draining > 0:
		q.draining--
		q.shifted = q.shifted && q.draining > 0
		if q.repeats {
			return q.landed(r)
		}
		return nil
	case q.sent == 0:
		q.fail(errors.New("BigQuery responded to an append that was not sent"))
		return nil
	case f == nil:
		if r.offset != q.end && !q.repeats {
			q.fail(fmt.Errorf("BigQuery wrote rows at offset %d that were sent for offset %d", r.offset, q.end))
			return nil
		}
		q.dispel()
		return q.accept(now)
	case f.kind == exists && !q.repeats:
		if err := q.ours(q.pieces[0], q.end, f); err != nil {
			q.fail(err)
			return nil
		}
		return q.accept(now)
	}
	q.draining = q.sent - 1
	if q.repeats {
		q.behind = append(q.behind[:0], q.pieces[1:q.sent]...)
	}
	q.rewind()
	q.reject(f, now)
	return nil
}

// accept counts the first piece as written.
func (q *queue) accept(now time.Time) *piece {
	p := q.pieces[0]
	q.sent--
	q.attempts, q.doubts, q.barred = 0, 0, time.Time{}
	q.solo = now.Before(q.careful)
	q.renew, q.private = q.private, false
	q.end += int64(p.rows)
	p.batch.written += p.rows
	q.done()
	return p
}

// done takes the first piece away, and settles its batch with its last piece.
func (q *queue) done() {
	p := q.pieces[0]
	q.pieces[0] = nil
	q.pieces = q.pieces[1:]
	q.bytes -= p.data.Len()
	p.data.Free()
	p.data = nil
	p.batch.left--
	if p.batch.left == 0 {
		q.results = append(q.results, lane.Result{ID: p.batch.id, Written: p.batch.written})
	}
}

// fail ends the queue.
func (q *queue) fail(err error) {
	if q.err != nil {
		return
	}
	q.err = err
	if len(q.pieces) > 0 {
		b := q.pieces[0].batch
		q.deliver(lane.Result{ID: b.id, Written: b.written, Unwritten: q.unwritten(), Err: err})
	}
}

// deliver hands over the result that ends the queue, once.
func (q *queue) deliver(last lane.Result) {
	if !q.delivered {
		q.delivered = true
		q.results = append(q.results, last)
	}
}

// close frees what is queued.
func (q *queue) close() {
	q.err, q.delivered = errors.New("closed"), true
	for _, p := range q.pieces {
		p.data.Free()
	}
	q.pieces, q.behind, q.results, q.sent, q.bytes = nil, nil, nil, 0, 0
}
