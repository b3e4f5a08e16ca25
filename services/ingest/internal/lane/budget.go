package lane

import (
	"sync"
	"time"

	"github.com/waybill-data/waybill/pkg/saturation"
)

// Budget bounds the bytes that all lanes of a process hold in records and batches. Lanes take them from the account of
// their topic, which sees to it that one topic leaves some to the others. Safe for concurrent use; its lock is never
// held across I/O.
type Budget struct {
	size int64

	mu       sync.Mutex
	used     int64
	accounts map[string]*Account
	// lanes are those of all accounts.
	lanes int
	// waiting are the accounts for which somebody waits; turn counts those who ever have.
	waiting []*Account
	turn    uint64
	// blocked is how long some lane has waited.
	blocked saturation.Blocked
}

// NewBudget makes a budget of a number of bytes.
func NewBudget(size int64) *Budget {
	return &Budget{size: max(size, 1), accounts: make(map[string]*Account)}
}

// Size is the budget's, in bytes.
func (b *Budget) Size() int64 { return b.size }

// Account is the one of a topic; it is made by whoever asks first.
func (b *Budget) Account(topic string) *Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.account(topic)
}

func (b *Budget) account(topic string) *Account {
	a := b.accounts[topic]
	if a == nil {
		a = &Account{budget: b}
		b.accounts[topic] = a
	}
	return a
}

// join says that a topic has one lane more, and leave that it has one less.
func (b *Budget) join(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account(topic).lanes++
	b.lanes++
	b.grant() // who waits for room may be above its share now, and others are within theirs
}

func (b *Budget) leave(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.account(topic).lanes--
	b.lanes--
	b.grant() // what is left may be alone
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

// next is the account that is served next: of those that may have what they wait for, the one that holds least. While
// there is no room for that, nobody is served who holds as much, so that a large record gets its turn. It is nil when
// all who wait have their share.
func (b *Budget) next() *Account {
	var next *Account
	for _, a := range b.waiting {
		if !a.within(a.first().bytes) {
			continue
		}
		if next == nil || a.used < next.used || a.used == next.used && a.first().turn < next.first().turn {
			next = a
		}
	}
	return next
}

// grant serves all who can be served.
func (b *Budget) grant() {
	for a := b.next(); a != nil && b.used+a.first().bytes <= b.size; a = b.next() {
		w := a.first()
		a.take(w.bytes)
		a.remove(a.waiting.Front())
		close(w.granted)
	}
}
