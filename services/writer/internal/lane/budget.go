package lane

import (
	"slices"
	"sync"
	"time"
)

// patience is how long lanes wait for room while nobody makes any, before a lane that waits for its ingest has to make
// some.
const patience = 5 * time.Second

// Budget bounds the bytes of rows that the lanes of a process hold together. Nothing exceeds it: how large a message is
// shows only once it was read, so a message that does not fit waits outside, one a lane, and its lane reads no other.
// Lanes read on only while there is room.
//
// Waiting could last for ever: what makes a lane give bytes back may be an answer of its ingest behind the very message
// that waits. So when there has been no room for a while, and nothing was given back, somebody is made to: see
// Service.relieve. A Budget has one Service.
type Budget struct {
	limit    int64
	patience time.Duration
	// relieve makes a lane give back what it holds. It is called without the lock.
	relieve func()

	mu   sync.Mutex
	used int64
	// queue are the messages that wait to be let in, in turn.
	queue []*place
	// room is closed, and replaced, when use falls below the limit; nil when nobody waits to read.
	room chan struct{}
	// alarm rings while somebody waits; moved is when bytes were given back last, or somebody began to wait.
	alarm *time.Timer
	moved time.Time
	// waited is how long some lane has waited, up to since, which is zero while none does.
	waited time.Duration
	since  time.Time
}

// place is a message's in the queue.
type place struct {
	bytes int64
	// let is closed once its bytes are charged.
	let chan struct{}
}

// NewBudget makes a budget of so many bytes.
func NewBudget(limit int64) *Budget {
	return &Budget{limit: limit, patience: patience, relieve: func() {}}
}

// Limit is how many bytes may be held, Used how many are.
func (b *Budget) Limit() int64 { return b.limit }

// Used is how many bytes are held now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Waited is for how long at least one lane has waited for room, since the budget was made.
func (b *Budget) Waited() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		return b.waited
	}
	return b.waited + time.Since(b.since)
}

// tally counts the time in which somebody waits. The caller holds mu, and has changed who does.
func (b *Budget) tally() {
	switch waits := b.room != nil || len(b.queue) > 0; {
	case waits && b.since.IsZero():
		b.since = time.Now()
	case !waits && !b.since.IsZero():
		b.waited += time.Since(b.since)
		b.since = time.Time{}
	}
}

// waiting is how many messages wait to be let in.
func (b *Budget) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// charge takes bytes and returns nil when there is room, else the place of their turn: they are charged once that is
// let. A message larger than the whole budget waits until it is alone.
func (b *Budget) charge(n int64) *place {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 && b.fits(n) {
		b.used += n
		return nil
	}
	p := &place{bytes: n, let: make(chan struct{})}
	b.queue = append(b.queue, p)
	b.watch()
	b.tally()
	return p
}

func (b *Budget) fits(n int64) bool { return b.used+n <= b.limit || b.used == 0 }

// leave gives up a place, or the bytes charged for it.
func (b *Budget) leave(p *place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, p); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	} else {
		b.used -= p.bytes
	}
	b.admit()
}

// release gives bytes back.
func (b *Budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.admit()
	if n > 0 && b.alarm != nil {
		b.moved = time.Now()
	}
}

// admit lets in what there is room for, in turn, and wakes readers when nothing is left to be let in. The caller holds
// mu.
func (b *Budget) admit() {
	n := 0
	for n < len(b.queue) && b.fits(b.queue[n].bytes) {
		b.used += b.queue[n].bytes
		close(b.queue[n].let)
		n++
	}
	b.queue = slices.Delete(b.queue, 0, n)
	if b.room != nil && b.used < b.limit && len(b.queue) == 0 {
		close(b.room)
		b.room = nil
	}
	b.tally()
}

// wait returns nil when there is room to read, else a channel that is closed when there may be.
func (b *Budget) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used < b.limit && len(b.queue) == 0 {
		return nil
	}
	if b.room == nil {
		b.room = make(chan struct{})
		b.watch()
		b.tally()
	}
	return b.room
}

// watch sets the alarm unless it is set. The caller holds mu.
func (b *Budget) watch() {
	if b.alarm == nil {
		b.moved = time.Now()
		b.alarm = time.AfterFunc(b.patience, b.ring)
	}
}

// ring asks for relief if nobody has given anything back for as long as one may wait.
func (b *Budget) ring() {
	b.mu.Lock()
	if b.room == nil && len(b.queue) == 0 {
		b.alarm = nil
		b.mu.Unlock()
		return
	}
	left := b.patience - time.Since(b.moved)
	stuck := left <= 0
	if stuck {
		left = b.patience / 4 // What was asked to make room needs a moment.
	}
	b.alarm.Reset(left)
	b.mu.Unlock()
	if stuck {
		b.relieve()
	}
}
