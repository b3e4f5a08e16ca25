package sink

import (
	"context"
	"slices"
	"sync"
)

// Lanes that append to the default stream of one table with one row descriptor share AppendRows calls. Each lane keeps
// a queue of its own, so what it has sent, what is confirmed and what is refused is its own as well; only the call is
// common. A response goes to the lane whose request is the oldest unanswered one. A lane that waits for its refused
// rows does not hold up the others. When a call ends, nobody can tell whose request ended it unless one lane alone had
// requests under way: the others' good rows must not be taken for bad ones. Then each lane sends what was unanswered on
// a call of its own, one request at a time, and comes back once something is written.

// lanesPerCall is how many lanes share an AppendRows call.
const lanesPerCall = 16

// calls are the shared calls of a table.
type calls struct {
	mu   sync.Mutex
	open []*connection
}

// seat finds a place on a shared call, or starts one, which the caller then has to dial.
func (l *calls) seat(a *appender) (s *seat, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		if s := c.join(a); s != nil {
			return s, false
		}
	}
	c, s := newConnection(a.sink.ctx, a)
	l.open = append(l.open, c)
	return s, true
}

// join takes a seat, if there is one left and the call is not over.
func (c *connection) join(a *appender) *seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || len(c.seats) >= lanesPerCall {
		return nil
	}
	s := &seat{c, a}
	c.seats = append(c.seats, s)
	return s
}

// leave takes a seat away and reports whether it was the last: nobody can join after that. stale keeps others from
// joining as well.
func (l *calls) leave(s *seat, stale bool) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last = s.connection.unseat(s); last || stale {
		l.open = slices.DeleteFunc(l.open, func(c *connection) bool { return c == s.connection })
	}
	return last
}

// dial gives the appender a seat on a connection that stands.
func (a *appender) dial(private bool) (*seat, error) {
	if !a.preamble.repeats || private {
		c, s := newConnection(a.ctx, a)
		return s, c.dial(a.ctx)
	}
	s, fresh := a.table.calls.seat(a)
	if fresh {
		err := s.connection.dial(a.ctx)
		if err != nil {
			a.table.calls.leave(s, true)
		}
		return s, err
	}
	select {
	case <-s.connection.dialled:
		if err := s.connection.failed; err != nil {
			a.table.calls.leave(s, true)
			return nil, err
		}
		return s, nil
	case <-a.ctx.Done():
		a.part(s, false)
		return nil, context.Cause(a.ctx)
	}
}

// part gives a seat back, and ends the call with its last seat. stale says that the call must not be joined any more.
func (a *appender) part(s *seat, stale bool) {
	if a.table.calls.leave(s, stale) {
		<-s.connection.dialled
		if s.connection.failed == nil {
			s.connection.close()
		}
	}
}
