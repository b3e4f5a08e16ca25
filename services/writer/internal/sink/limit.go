package sink

import (
	"sync/atomic"
	"time"
)

const (
	// leastRequest is the floor of what is learnt, in bytes: BigQuery takes requests of that size, and an error that
	// says otherwise is about something else.
	leastRequest = 64 << 10
	// learntFor is how long it counts. Then the configured limit is tried again, at the price of one rejected request.
	learntFor = 15 * time.Minute
)

// requestLimit is the most bytes of rows in one request: the configured ones, or fewer while BigQuery's errors teach
// so. All appenders of a process to one kind of stream share it.
type requestLimit struct {
	most   int
	learnt atomic.Pointer[learnt]
}

// learnt is a lower limit, and until when it counts.
type learnt struct {
	bytes int
	until time.Time
}

func newRequestLimit(most int) *requestLimit { return &requestLimit{most: most} }

// at is the limit at a time.
func (l *requestLimit) at(now time.Time) int {
	if known := l.learnt.Load(); known != nil && now.Before(known.until) {
		return known.bytes
	}
	return l.most
}

// learn lowers the limit for a while. It never raises it, and believes nothing below the floor.
func (l *requestLimit) learn(bytes int, now time.Time) {
	for {
		known := l.learnt.Load()
		if bytes < leastRequest || bytes >= l.at(now) ||
			l.learnt.CompareAndSwap(known, &learnt{bytes, now.Add(learntFor)}) {
			return
		}
	}
}

// Load is the limit now.
func (l *requestLimit) Load() int64 { return int64(l.at(time.Now())) }
