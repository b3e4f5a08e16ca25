package lane

import (
	"sync"
	"time"
)

// Budget is the bytes of rows that the lanes of a process may hold together. A lane that has read a batch has it in memory
// already, so charging never waits; instead lanes read on only while there is room. It is exceeded by at most one message a lane,
// and by the window of a lane that must read on to learn that its barrier is durable.
type Budget struct {
	limit int64

	mu   sync.Mutex
	used int64
	// room is closed, and replaced, when use falls below the limit; nil when nobody waits.
	room chan struct{}
	// waited is how long some lane has waited, up to since.
	waited time.Duration
	since  time.Time
}

// NewBudget makes a budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// charge takes bytes, whether there is room or not.
func (b *Budget) charge(n int64) {
	b.mu.Lock()
	b.used += n
	b.mu.Unlock()
}

// release gives bytes back.
func (b *Budget) release(n int64) {
	b.mu.Lock()
	b.used -= n
	if b.room != nil && b.used < b.limit {
		close(b.room)
		b.room = nil
		b.waited += time.Since(b.since)
	}
	b.mu.Unlock()
}

// wait returns nil when there is room, else a channel that is closed when there may be.
func (b *Budget) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used < b.limit {
		return nil
	}
	if b.room == nil {
		b.room, b.since = make(chan struct{}), time.Now()
	}
	return b.room
}

// Used is how many bytes are held now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Limit is how many bytes may be held.
func (b *Budget) Limit() int64 { return b.limit }

// Waited is for how long at least one lane has waited for room, since the budget was made.
func (b *Budget) Waited() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.room == nil {
		return b.waited
	}
	return b.waited + time.Since(b.since)
}
