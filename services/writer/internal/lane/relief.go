package lane

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What the lanes of a process hold is bounded twice. The budget bounds the rows that were let in. What connections have
// read and nobody has let in is bounded by the memory they read into: messages that wait outside, unfinished ones,
// those of calls that have not been opened.

// errStuck says why a lane was made to give back what it holds.
func errStuck(waited time.Duration) error {
	return status.Errorf(codes.Aborted,
		"the writer's memory.budget is full, and this lane has waited for its ingest for %v (its response to a "+
			"barrier or to refused rows, or to be read): open it again", waited.Round(time.Second))
}

// relieve is called when lanes have waited for room as long as they may. Of those whose response to a barrier or a
// refusal may be behind the message that waits, the one that has waited longest in the line comes first. Room for it is
// made by lanes that have waited for their ingest as long: by one whose ingest sends nothing, the one that holds most,
// else by the last in the line, and by the first one itself when what is left waits for BigQuery. So those in front
// keep what they hold, and each gets to the front in the end. While all wait for BigQuery none is ended: it responds
// some day.
func (s *Service) relieve() {
	budget, lanes := s.Budget, s.list()
	line := budget.line()
	waits := func(l *lane) bool {
		_, waited := l.status.stuck()
		return waited >= patience
	}
	first := budget.first.Load()
	if first != nil && !slices.Contains(line, first) {
		if budget.quiet() < patience {
			return // its next message is on the way
		}
		first = nil
	}
	if i := slices.IndexFunc(line, waits); first == nil && i >= 0 {
		first = line[i]
	}
	if first != budget.first.Load() && budget.putFirst(first) {
		return
	}
	var victim *lane
	most, last := int64(0), -1
	for _, l := range lanes {
		held, _ := l.status.stuck()
		if held == 0 || !waits(l) {
			continue
		}
		at := slices.Index(line, l) + 1
		switch {
		case l == first:
			at = 0
		case at == 0: // its ingest sends nothing
			at = len(line) + 1
		}
		if at > last || at == last && held > most {
			victim, most, last = l, held, at
		}
	}
	if victim != nil {
		_, waited := victim.status.stuck()
		s.Metrics.relieved.WithLabelValues(reliefOfBudget).Inc()
		victim.cut(errStuck(waited))
	}
}

// stuck is how much of the budget the lane holds, and how long it has waited for its ingest.
func (b *board) stuck() (held int64, waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waits.IsZero() {
		return b.held, 0
	}
	return b.held, time.Since(b.waits)
}

const (
	// relievesEvery is how long the end of some lanes has to show before others are ended.
	relievesEvery = 50 * time.Millisecond
	// collectsEvery is how long at least lies between two collections for calls that have not been opened. Those that
	// end meanwhile may end for memory that is garbage by now; they come again.
	collectsEvery = time.Second
	// opensWithin is how long a call may be without an Open while memory is short.
	opensWithin = 100 * time.Millisecond
	// laneShare is what an open lane may have in memory beside the rest: what its messages take more than their rows,
	// small ones above all.
	laneShare = 64 << 10
)

// Relieve ends calls for as long as connections have read more into Received than its limit allows, until ctx ends:
// first those that have not been opened, then the lanes with the largest message outside, then those that hold most.
// Calls that have not been opened end as well where the rest would be too much once the budget is used up: what they
// have begun to send is at most memory.budget, however idle the lanes are.
func (s *Service) Relieve(ctx context.Context) {
	s.init()
	for {
		select {
		case <-s.Received.Signal():
		case <-ctx.Done():
			return
		}
		// Where nobody is left to end, the next signal is news.
		for s.lighten() || s.Received.Early() && !s.Received.Over() {
			select {
			case <-time.After(relievesEvery):
			case <-ctx.Done():
				return
			}
		}
	}
}

// lighten ends those calls whose turn it is, if there is too much in memory; false when it ended none.
func (s *Service) lighten() bool {
	received := s.Received
	silent := len(s.silent()) > 0
	if !received.Over() && !(received.Early() && silent) {
		return false
	}
	// What calls that have ended left unread counts until it is collected. That stops everybody a little, so it is not
	// done each time that strangers want memory, only before a lane would end for it.
	if silent && time.Since(s.collected) < collectsEvery {
		s.shedSilent()
		return true
	}
	s.collect()
	s.collected = time.Now()
	switch {
	case received.Over():
		return s.shed()
	case received.Early():
		return s.shedSilent()
	}
	return false
}

var errShort = status.Error(codes.Unavailable,
	"the writer has more in memory than twice its memory.budget, or may have soon; open the lane again, or elsewhere")

// silent are the calls that have been without an Open for a while.
func (s *Service) silent() []*lane {
	return slices.DeleteFunc(s.list(), func(l *lane) bool { return !l.status.silent(opensWithin) })
}

// shedSilent ends the calls that have been without an Open for a while; false when there is none.
func (s *Service) shedSilent() bool {
	silent := s.silent()
	for _, l := range silent {
		s.Metrics.relieved.WithLabelValues(reliefOfMemory).Inc()
		l.cut(errShort)
	}
	return len(silent) > 0
}

// shed ends those calls whose turn it is; false when there is none.
func (s *Service) shed() bool {
	if s.shedSilent() {
		return true
	}
	lanes := s.list()
	if len(lanes) == 0 {
		return false
	}
	largest := slices.MaxFunc(lanes, func(a, b *lane) int {
		x, y := a.status.load(), b.status.load()
		return cmp.Or(cmp.Compare(x.outside, y.outside), cmp.Compare(x.held, y.held))
	})
	s.Metrics.relieved.WithLabelValues(reliefOfMemory).Inc()
	largest.cut(errShort)
	return true
}

// silent reports whether the call has been without an Open for so long.
func (b *board) silent(d time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.unopened && time.Since(b.now.Since) >= d
}

// weight is what a lane has in memory.
type weight struct{ outside, held int64 }

func (b *board) load() weight {
	b.mu.Lock()
	defer b.mu.Unlock()
	return weight{b.outside, b.held}
}
