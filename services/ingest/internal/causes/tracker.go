package causes

import (
	"sync"
	"time"
)

// The windows of Shares. Both end now and begin at the start of a step, so that they are up to one step longer than
// they say.
const (
	// Minute and Quarter are the windows.
	Minute  = time.Minute
	Quarter = 15 * time.Minute
	// fine and coarse are their steps. The milliseconds of a step fit into 16 bits.
	fine   = 15 * time.Second
	coarse = time.Minute
)

// Shares says which part of a window each cause had. They add to one, or are all zero where nothing has been accounted
// for.
type Shares [Count]float64

// Totals is the time of each cause since the beginning.
type Totals [Count]time.Duration

// Plus is the sum of both.
func (t Totals) Plus(o Totals) Totals {
	for c := range t {
		t[c] += o[c]
	}
	return t
}

// Tracker accounts for one lane. The zero value is not usable: New makes one. Safe for concurrent use.
type Tracker struct {
	mu      sync.Mutex
	cause   Cause
	entered time.Time
	// accounted is the time up to which everything is in the windows and in totals.
	accounted time.Time
	totals    Totals
	minute    window
	quarter   window
	// The cells of both windows, small: there are thousands of lanes.
	minutes  [Minute/fine + 1]cell
	quarters [Quarter/coarse + 1]cell
}

// New begins with a cause.
func New(now time.Time, c Cause) *Tracker {
	return &Tracker{
		cause: c, entered: now, accounted: now,
		minute:  window{step: fine, number: number(now, fine)},
		quarter: window{step: coarse, number: number(now, coarse)},
	}
}

// Enter says that from now on the cause is another one. The same one again changes nothing.
func (t *Tracker) Enter(now time.Time, c Cause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c == t.cause {
		return
	}
	t.account(now)
	t.cause, t.entered = c, now
}

// Now returns the cause and since when it has been the cause.
func (t *Tracker) Now() (Cause, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cause, t.entered
}

// Totals returns the time of each cause from the beginning to now.
func (t *Tracker) Totals(now time.Time) Totals {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.account(now)
	return t.totals
}

// Shares returns the shares of the last minute and of the last quarter of an hour.
func (t *Tracker) Shares(now time.Time) (minute, quarter Shares) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.account(now)
	return t.minute.shares(t.minutes[:], t.cause), t.quarter.shares(t.quarters[:], t.cause)
}

// account puts the time since the last call down to the cause. A clock that goes back accounts for nothing.
func (t *Tracker) account(now time.Time) {
	if !now.After(t.accounted) {
		return
	}
	t.totals[t.cause] += now.Sub(t.accounted)
	t.minute.account(t.minutes[:], t.accounted, now, t.cause)
	t.quarter.account(t.quarters[:], t.accounted, now, t.cause)
	t.accounted = now
}
