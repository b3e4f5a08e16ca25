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
	// step is how fine they are. The milliseconds of a step fit into 16 bits.
	step  = 15 * time.Second
	steps = int(Quarter/step) + 1
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
	// accounted is the time up to which everything is in steps and totals.
	accounted time.Time
	// ring holds the milliseconds of each cause in the newest steps; number is that of the newest one, counted from the
	// epoch.
	ring   [steps][Count]uint16
	number int64
	totals Totals
	// rest is what totals holds beyond whole milliseconds of the ring, carried so that shares stay exact.
	rest time.Duration
}

// New begins with a cause.
func New(now time.Time, c Cause) *Tracker {
	return &Tracker{cause: c, entered: now, accounted: now, number: number(now)}
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
	return t.shares(int(Minute / step)), t.shares(int(Quarter / step))
}

// shares is those of the newest step and of whole steps before it.
func (t *Tracker) shares(whole int) Shares {
	var sums [Count]uint64
	var all uint64
	for back := range whole + 1 {
		for c, ms := range t.ring[place(t.number-int64(back))] {
			sums[c] += uint64(ms)
			all += uint64(ms)
		}
	}
	var s Shares
	if all == 0 {
		s[t.cause] = 1 // less than a millisecond old
		return s
	}
	for c := range sums {
		s[c] = float64(sums[c]) / float64(all)
	}
	return s
}

// account puts the time since the last call down to the cause. A clock that goes back accounts for nothing.
func (t *Tracker) account(now time.Time) {
	if !now.After(t.accounted) {
		return
	}
	t.totals[t.cause] += now.Sub(t.accounted)
	newest := number(now)
	if newest-t.number >= int64(steps) {
		// Nothing that the ring holds is in a window any more, and the windows are all of this cause.
		clear(t.ring[:])
		for back := 1; back < steps; back++ {
			t.ring[place(newest-int64(back))][t.cause] = uint16(step / time.Millisecond)
		}
		t.number, t.rest = newest, 0
		t.accounted = start(newest)
	}
	for t.number < newest {
		next := start(t.number + 1)
		t.credit(next.Sub(t.accounted))
		t.accounted = next
		t.number++
		clear(t.ring[place(t.number)][:])
	}
	t.credit(now.Sub(t.accounted))
	t.accounted = now
}

// credit adds time to the newest step, in whole milliseconds; the rest goes with the next.
func (t *Tracker) credit(d time.Duration) {
	d += t.rest
	ms := d / time.Millisecond
	t.rest = d % time.Millisecond
	cell := &t.ring[place(t.number)][t.cause]
	*cell += uint16(min(ms, time.Duration(^uint16(0)-*cell)))
}

func number(t time.Time) int64 { return t.UnixNano() / int64(step) }

func start(number int64) time.Time { return time.Unix(0, number*int64(step)) }

func place(number int64) int { return int(number % int64(steps)) }
