package saturation

import (
	"sync"
	"time"
)

// Waits adds up the time that some of many wait for one thing. The zero value is ready. Safe for concurrent use.
type Waits struct {
	mu      sync.Mutex
	waiting int
	since   time.Time
	sum     time.Duration
}

// Begin says that one more waits.
func (w *Waits) Begin() { w.change(1) }

// End says that one fewer waits.
func (w *Waits) End() { w.change(-1) }

func (w *Waits) change(by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(time.Now())
	w.waiting += by
}

func (w *Waits) add(now time.Time) {
	w.sum += time.Duration(w.waiting) * max(0, now.Sub(w.since))
	w.since = now
}

// Sum is the time waited by all, up to now.
func (w *Waits) Sum() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(time.Now())
	return w.sum
}

// Blocked adds up the time in which anybody waits for one thing, however many do. The zero value is ready. Whoever has
// it guards it.
type Blocked struct {
	since time.Time // zero while nobody waits
	sum   time.Duration
}

// Set says whether anybody waits from now on.
func (b *Blocked) Set(waits bool) {
	switch waited := !b.since.IsZero(); {
	case waits && !waited:
		b.since = time.Now()
	case !waits && waited:
		b.sum += time.Since(b.since)
		b.since = time.Time{}
	}
}

// Sum is that time up to now.
func (b *Blocked) Sum() time.Duration {
	if b.since.IsZero() {
		return b.sum
	}
	return b.sum + time.Since(b.since)
}
