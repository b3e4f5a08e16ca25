package lane

import (
	"container/list"
	"context"
	"slices"
)

// fairShare is how many times what is free an account may hold at most while other topics have lanes. A switch shares
// its memory among its ports in this way (Choudhury and Hahne, "Dynamic Queue Length Thresholds", 1998): whatever does
// not drain comes to rest at four fifths of the budget, and below when others take theirs, with no number to set and
// nothing kept for who does not come.
const fairShare = 4

// Account is what the lanes of one topic hold of a budget. First come, first served; between accounts, who holds least.
// While no other topic has a lane it may take the whole budget; otherwise at most four times what is then free. While
// it holds nothing, Acquire is not bound by that, so that a record of any size gets through. Safe for concurrent use.
type Account struct {
	budget *Budget

	// The budget's lock guards these.
	used    int64
	lanes   int
	waiting list.List // of *waiter, oldest first
}

// waiter is somebody who waits for bytes.
type waiter struct {
	bytes   int64
	turn    uint64
	granted chan struct{}
}

// Size is the budget's, in bytes.
func (a *Account) Size() int64 { return a.budget.size }

// Cost is what bytes count as: no more than the whole budget, so that what is larger gets through alone.
func (a *Account) Cost(bytes int64) int64 { return min(bytes, a.budget.size) }

// Try takes bytes if they are there, within the account's share, and nobody waits who comes first.
func (a *Account) Try(bytes int64) bool {
	a.budget.mu.Lock()
	defer a.budget.mu.Unlock()
	return a.share(bytes) && a.try(bytes)
}

// try takes bytes unless somebody comes first, or there is no room.
func (a *Account) try(bytes int64) bool {
	b := a.budget
	if a.waiting.Len() > 0 || b.used+bytes > b.size || !a.within(bytes) {
		return false
	}
	if first := b.next(); first != nil && first.used <= a.used {
		return false
	}
	a.take(bytes)
	b.grant() // what waited for room may be above its share now, and others below theirs
	return true
}

// Acquire takes bytes, at most Cost of anything, and waits for them until ctx ends.
func (a *Account) Acquire(ctx context.Context, bytes int64) error {
	b := a.budget
	b.mu.Lock()
	if a.try(bytes) {
		b.mu.Unlock()
		return nil
	}
	place := a.wait(bytes)
	b.mu.Unlock()
	w := place.Value.(*waiter)
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a.giveUp(place)
	return context.Cause(ctx)
}

// wait queues for bytes.
func (a *Account) wait(bytes int64) *list.Element {
	b := a.budget
	b.turn++
	place := a.waiting.PushBack(&waiter{bytes: bytes, turn: b.turn, granted: make(chan struct{})})
	if a.waiting.Len() == 1 {
		b.waiting = append(b.waiting, a)
	}
	b.blocked.Set(true)
	return place
}

// giveUp ends a wait that is of no use any more.
func (a *Account) giveUp(place *list.Element) {
	w := place.Value.(*waiter)
	select {
	case <-w.granted: // it came at the same moment: give it back
		a.take(-w.bytes)
	default:
		a.remove(place)
	}
	a.budget.grant()
}

// Release gives bytes back.
func (a *Account) Release(bytes int64) {
	if bytes == 0 {
		return
	}
	b := a.budget
	b.mu.Lock()
	a.take(-bytes)
	b.grant()
	b.mu.Unlock()
}

// within says that who waits for bytes may have them: the account holds nothing, or they are within its share.
func (a *Account) within(bytes int64) bool { return a.used <= 0 || a.share(bytes) }

// share says that bytes more leave the other topics theirs.
func (a *Account) share(bytes int64) bool {
	b := a.budget
	return b.lanes == a.lanes || a.used+bytes <= fairShare*(b.size-b.used-bytes)
}

// take counts bytes that were taken, or given back.
func (a *Account) take(bytes int64) {
	a.used += bytes
	a.budget.used += bytes
}

// first is who waits longest; there is one.
func (a *Account) first() *waiter { return a.waiting.Front().Value.(*waiter) }

// remove takes somebody out who waits no more.
func (a *Account) remove(place *list.Element) {
	b := a.budget
	a.waiting.Remove(place)
	if a.waiting.Len() == 0 {
		i := slices.Index(b.waiting, a)
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	b.blocked.Set(len(b.waiting) > 0)
}
