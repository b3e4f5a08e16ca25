package sink

import "time"

// What differs on a table's default stream. It has no offsets: a rejection does not reach the requests behind it, which
// may be written before the rejected rows are. So the replies to them count. What they say is written is done when its
// turn comes, and results stay in order; the rest goes again in order behind the rejected piece. Only a lost connection
// repeats rows: nobody can tell which of the unanswered ones were written.

// newTableGrace is how long a table that stands may be unknown to the Storage Write API, which learns of it on its own.
const newTableGrace = 2 * time.Minute

// landed takes the reply to the oldest request behind a rejected one. It returns what is written by it, if anything is.
func (q *queue) landed(r *reply) *piece {
	p := q.behind[0]
	q.behind = q.behind[1:]
	if r.fault != nil {
		return nil // It meets its fault again when it is first.
	}
	q.doubts = 0
	written := &piece{rows: p.rows, sentAt: p.sentAt}
	p.batch.written += p.rows
	q.bytes -= p.data.Len()
	p.data.Free()
	p.data, p.rows = nil, 0
	return written
}

// grace is how long a stream that has taken no rows yet may be unknown. A default stream is as old as its table.
func (q *queue) grace() time.Duration {
	if q.repeats {
		return newTableGrace
	}
	return newStreamGrace
}
