package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Pause is an operator's word that a lane rests.
type Pause struct {
	// Until is when it ends by itself.
	Until time.Time
	// By and Reason are for people: who said so, and why; Reason may be empty.
	By, Reason string
}

// String is the pause in words.
func (p *Pause) String() string {
	text := fmt.Sprintf("paused until %s by %s", p.Until.UTC().Format(time.RFC3339), p.By)
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// errPaused ends what a lane does before its call is open.
var errPaused = errors.New("the lane is paused")

// errAgain ends what a lane does before its call is open: an order wants it to open anew.
var errAgain = errors.New("the lane opens again")

// orders are what operators want of a lane.
type orders struct {
	mu    sync.Mutex
	pause *Pause
	// again is why the lane is to open again; empty once it does.
	again string
	// skips are the records that become dead letters by order, by offset; see skip.go.
	skips map[int64]*skip
	// changed is closed, and replaced, with every order.
	changed chan struct{}
	// end ends the turn of the lane, but for a call that is open: wake has that look around. Nil while there is none.
	end  context.CancelCauseFunc
	wake func()
}

// Pause makes the lane rest until a moment: what it has sent is settled and committed, nothing more is read, and the
// position stays. Nil ends that. Safe for concurrent use, before Run as well.
func (l *Lane) Pause(p *Pause) {
	o := &l.orders
	o.mu.Lock()
	defer o.mu.Unlock()
	if p == nil && o.pause == nil || p != nil && o.pause != nil && *p == *o.pause {
		return
	}
	o.pause = p
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	if o.end != nil {
		o.end(errPaused) // which a pause that ends here has done already
	}
	if o.wake != nil {
		o.wake()
	}
}

// Again makes the lane settle what it has sent and open anew, with the contracts as they are then; one that rests after
// a fault or a refusal does so at once. Safe for concurrent use.
func (l *Lane) Again(why string) {
	l.orders.mu.Lock()
	defer l.orders.mu.Unlock()
	l.orders.opensAgain(why)
}

// opensAgain orders that. The caller holds mu.
func (o *orders) opensAgain(why string) {
	o.again = why
	if o.end != nil {
		o.end(errAgain)
	}
	if o.wake != nil {
		o.wake()
	}
}

// reopens is why the lane is to open again; empty when it need not.
func (o *orders) reopens() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.again
}

// paused is the pause that holds now, nil when none does, and what is closed when there is another order.
func (o *orders) paused(now time.Time) (*Pause, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pause != nil && !now.Before(o.pause.Until) {
		o.pause = nil
	}
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.pause, o.changed
}

// turn is the context of a turn: what the lane does from one rest to the next, but for its open call. It ends with ctx,
// when the lane is paused or is to open again, and by over.
func (o *orders) turn(ctx context.Context) (turn context.Context, over func()) {
	turn, end := context.WithCancelCause(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pause != nil {
		end(errPaused)
	}
	o.again = "" // what there is now, it opens with
	o.end = end
	return turn, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.end = nil
		end(nil)
	}
}

// wakes has the owner of a call woken for what is new; nil: nobody is. What is new already wakes at once.
func (o *orders) wakes(wake func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake = wake
	if wake != nil && (o.pause != nil || o.again != "") {
		wake()
	}
}

// rest waits for as long as the lane is paused, and says whether the claim still lives.
func (l *Lane) rest(ctx context.Context) bool {
	rested := false
	for ctx.Err() == nil {
		pause, changed := l.orders.paused(time.Now())
		if pause == nil {
			break
		}
		l.board.pauses(pause.String())
		if !rested {
			rested = true
			l.whereabouts(ctx)
			l.Log.Info("lane paused", "until", pause.Until, "by", pause.By, "reason", pause.Reason)
		}
		sleep(ctx, changed, time.Until(pause.Until))
	}
	if rested && ctx.Err() == nil {
		l.Log.Info("lane goes on after a pause")
	}
	return ctx.Err() == nil
}

// whereabouts has a lane that begins with a pause know where it stands, for those who look at it. What is wrong with
// that shows when it opens.
func (l *Lane) whereabouts(ctx context.Context) {
	l.board.mu.Lock()
	known := l.board.status.Position >= 0
	l.board.mu.Unlock()
	if known {
		return
	}
	if at, err := l.Partition.Committed(ctx); err == nil {
		l.board.at(at.Position)
	}
}

// pauses enters the state Paused, and says why.
func (b *board) pauses(why string) {
	b.update(func(s *Status) { s.Paused = why })
	b.enter(Paused)
}
