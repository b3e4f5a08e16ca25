package lane

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/waybill-data/waybill/pkg/saturation"
)

// Budget bounds the bytes that all lanes of a process hold in records and batches. It is first come, first served. Safe
// for concurrent use; its lock is never held across I/O.
type Budget struct {
	size int64

	mu      sync.Mutex
	used    int64
	waiting list.List // of *waiter, oldest first
	// blocked is how long some lane has waited.
	blocked saturation.Blocked
}

type waiter struct {
	bytes   int64
	granted chan struct{}
}

// NewBudget makes a budget of a number of bytes.
func NewBudget(size int64) *Budget { return &Budget{size: max(size, 1)} }

// Size is the budget's, in bytes.
func (b *Budget) Size() int64 { return b.size }

// Cost is what bytes count as: no more than the whole budget, so that what is larger gets through alone.
func (b *Budget) Cost(bytes int64) int64 { return min(bytes, b.size) }

// Try takes bytes if they are there and nobody waits for any.
func (b *Budget) Try(bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting.Len() > 0 || b.used+bytes > b.size {
		return false
	}
	b.used += bytes
	return true
}

// Acquire takes bytes, at most Cost of anything, and waits for them until ctx ends.
func (b *Budget) Acquire(ctx context.Context, bytes int64) error {
	if b.Try(bytes) {
		return nil
	}
	w := &waiter{bytes: bytes, granted: make(chan struct{})}
	b.mu.Lock()
	place := b.waiting.PushBack(w)
	b.blocked.Set(true)
	b.grant()
	b.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.granted:
		// It came at the same moment: give it back.
		b.used -= bytes
	default:
		b.waiting.Remove(place)
	}
	b.grant()
	return context.Cause(ctx)
}

// Add takes bytes that exist already, also beyond the size: whoever acquires next waits longer.
func (b *Budget) Add(bytes int64) {
	b.mu.Lock()
	b.used += bytes
	b.mu.Unlock()
}

// Release gives bytes back.
func (b *Budget) Release(bytes int64) {
	if bytes == 0 {
		return
	}
	b.mu.Lock()
	b.used -= bytes
	b.grant()
	b.mu.Unlock()
}

// Used is how many bytes are taken.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// Waited is for how long at least one lane has waited for bytes, since the budget was made.
func (b *Budget) Waited() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked.Sum()
}

func (b *Budget) grant() {
	defer func() { b.blocked.Set(b.waiting.Len() > 0) }()
	for front := b.waiting.Front(); front != nil; front = b.waiting.Front() {
		w := front.Value.(*waiter)
		if b.used+w.bytes > b.size {
			return
		}
		b.used += w.bytes
		b.waiting.Remove(front)
		close(w.granted)
	}
}
