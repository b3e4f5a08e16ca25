package lane

import "sync"

// Budget is the bytes of rows that the lanes of a process may hold together. A lane that has read a batch has it in memory
// already, so charging never waits; instead lanes read on only while there is room. It is exceeded by at most one message a lane,
// and by the window of a lane that must read on to learn that its barrier is durable.
type Budget struct {
	limit int64

	mu   sync.Mutex
	used int64
	// room is closed, and replaced, when use falls below the limit; nil when nobody waits.
	room chan struct{}
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
		b.room = make(chan struct{})
	}
	return b.room
}

// Used is how many bytes are held now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
