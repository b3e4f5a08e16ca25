package lane

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/pkg/buffers"
	"github.com/waybill-data/waybill/pkg/saturation"
)

// patience is how long lanes wait for room while nobody makes any, before a lane that waits for its ingest has to make
// some.
const patience = 5 * time.Second

// Budget bounds the bytes of rows that the lanes of a process hold together. Nothing exceeds it: how large a message is
// shows only once it was read, so a message that does not fit waits outside, one a lane, and its lane reads no other.
// Lanes read on only while there is room.
//
// Waiting could last for ever: what makes a lane give bytes back may be a response of its ingest behind the very
// message that waits. So when there has been no room for a while, and nothing was given back, one lane comes first:
// until it has what it waits for, its messages alone are let in, and others make room for them one by one, see
// Service.relieve. Lanes that share what was given back instead would each be let in a little further, and none far
// enough. A Budget has one Service.
type Budget struct {
	limit int64
	// relieve makes a lane give back what it holds. It is called without the lock.
	relieve func()
	// received is called with how many bytes may still be let in; nil: nobody is.
	received *buffers.Counted

	mu   sync.Mutex
	used int64
	// queue are the messages that wait to be let in, in turn.
	queue []*place
	// first is the lane whose messages alone are let in; nil as a rule. turned is when it became that, or had a message
	// let in last.
	first  atomic.Pointer[lane]
	turned time.Time
	// room is closed, and replaced, when use falls below the limit; nil when nobody waits to read. readers are how many
	// do.
	room    chan struct{}
	readers int
	// alarm rings while somebody waits; moved is when bytes were given back last, or the first of them began to wait.
	alarm *time.Timer
	moved time.Time
	// blocked is how long some lane has waited.
	blocked saturation.Blocked
}

// place is a message's in the queue.
type place struct {
	bytes int64
	of    *lane
	// let is closed once its bytes are charged.
	let chan struct{}
}

// NewBudget makes a budget of so many bytes.
func NewBudget(limit int64) *Budget {
	return &Budget{limit: limit, relieve: func() {}}
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
	return b.blocked.Sum()
}

// waiting is how many messages wait to be let in.
func (b *Budget) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// charge takes bytes for a lane and returns nil when there is room, else the place of their turn: they are charged once
// that is let. A message larger than the whole budget waits until it is alone.
func (b *Budget) charge(n int64, of *lane) *place {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first := b.first.Load(); b.fits(n) && (first == of || first == nil) && (first != nil || len(b.queue) == 0) {
		b.take(n)
		return nil
	}
	p := &place{bytes: n, of: of, let: make(chan struct{})}
	b.watch()
	b.queue = append(b.queue, p)
	b.blocked.Set(true)
	return p
}

func (b *Budget) fits(n int64) bool { return b.used+n <= b.limit || b.used == 0 }

// take charges bytes. The caller holds mu.
func (b *Budget) take(n int64) {
	b.use(n)
	if b.first.Load() != nil {
		b.turned = time.Now()
	}
}

// use adds to what is held. The caller holds mu.
func (b *Budget) use(n int64) {
	b.used += n
	if b.received != nil {
		b.received.Ahead(-n)
	}
}

// leave gives up a place, or the bytes charged for it.
func (b *Budget) leave(p *place) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, p); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	} else {
		b.use(-p.bytes)
	}
	b.admit()
}

// release gives bytes back.
func (b *Budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.use(-n)
	b.admit()
	if n > 0 && b.alarm != nil {
		b.moved = time.Now()
	}
}

// admit lets in what there is room for, in turn, and wakes readers when nothing is left to be let in. The caller holds
// mu.
func (b *Budget) admit() {
	first, full := b.first.Load(), false
	b.queue = slices.DeleteFunc(b.queue, func(p *place) bool {
		if full || first != nil && p.of != first {
			return false
		}
		if full = !b.fits(p.bytes); full {
			return false
		}
		b.take(p.bytes)
		close(p.let)
		return true
	})
	if b.room != nil && b.roomy() {
		close(b.room)
		b.room, b.readers = nil, 0
	}
	b.blocked.Set(b.room != nil || len(b.queue) > 0)
}

// roomy reports whether lanes may read on. The caller holds mu.
func (b *Budget) roomy() bool { return b.used < b.limit && len(b.queue) == 0 && b.first.Load() == nil }

// wait returns nil when there is room to read, else a channel that is closed when there may be. Who waits for that
// already passes it, and else nil; who waits no longer says so with forgo.
func (b *Budget) wait(pending <-chan struct{}) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.roomy() {
		return nil
	}
	if b.room == nil {
		b.watch()
		b.room = make(chan struct{})
		b.blocked.Set(true)
	}
	if b.room != pending {
		b.readers++
	}
	return b.room
}

// forgo says that a reader waits for room no longer, though it got none: nobody has to make any for it.
func (b *Budget) forgo(room <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room == nil || b.room != room {
		return // it was closed
	}
	if b.readers--; b.readers == 0 {
		b.room = nil
		b.blocked.Set(len(b.queue) > 0)
	}
}

// watch sets the alarm unless it is set. It is called before somebody begins to wait. The caller holds mu.
func (b *Budget) watch() {
	if b.room == nil && len(b.queue) == 0 {
		b.moved = time.Now()
	}
	if b.alarm == nil {
		b.alarm = time.AfterFunc(patience, b.ring)
	}
}

// ring asks for relief if nobody has given anything back for as long as one may wait, or for a quarter of that while
// all wait for one lane.
func (b *Budget) ring() {
	b.mu.Lock()
	if b.room == nil && len(b.queue) == 0 {
		b.alarm = nil
		b.mu.Unlock()
		return
	}
	left := patience - time.Since(b.moved)
	if b.first.Load() != nil {
		left -= patience * 3 / 4
	}
	stuck := left <= 0
	if stuck {
		left = patience / 4 // What is to make room needs a moment.
	}
	b.alarm.Reset(left)
	b.mu.Unlock()
	if stuck {
		b.relieve()
	}
}

// line are the lanes whose messages wait to be let in, in turn.
func (b *Budget) line() []*lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := make([]*lane, len(b.queue))
	for i, p := range b.queue {
		line[i] = p.of
	}
	return line
}

// putFirst has the messages of one lane let in before all others, or of all in turn again when it is nil. It reports
// whether that alone let somebody in, or let others read on.
func (b *Budget) putFirst(l *lane) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first.Store(l)
	b.turned = time.Now()
	waited, readers := len(b.queue), b.readers
	b.admit()
	return len(b.queue) < waited || b.readers < readers
}

// served says that a lane has what it waited for, or has ended: it comes first no longer.
func (b *Budget) served(l *lane) {
	if b.first.Load() != l {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first.CompareAndSwap(l, nil) {
		b.admit()
	}
}

// quiet is for how long nothing of the lane that comes first was let in.
func (b *Budget) quiet() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.turned)
}
