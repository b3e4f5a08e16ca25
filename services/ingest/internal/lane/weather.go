package lane

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Weather is what the lanes of a process know together of what they all wait for, so that it is found out once, said
// once, and over for all of them at once. Safe for concurrent use; nothing waits under its lock.
//
// While no writer serves, one lane tries to open and the others wait for it. Whoever finds that one serves wakes them
// all.
type Weather struct {
	target string
	log    *slog.Logger

	mu     sync.Mutex
	outage *outage
	storms map[string]*storm
}

// outage is a time without a writer.
type outage struct {
	since  time.Time
	cause  string
	logged bool
	tries  int
	// lanes counts those that wait or have waited.
	lanes int
	// turn holds a token for the lane that tries next; over is closed at the end.
	turn, over chan struct{}
}

// storm is a time in which BigQuery takes nothing for some table, as the writers' notices have it.
type storm struct {
	since        time.Time
	lanes, total int
}

// NewWeather makes the weather of lanes whose writers are at target. It writes a line when something begins and one
// when it ends.
func NewWeather(target string, log *slog.Logger) *Weather {
	return &Weather{target: target, log: log, storms: make(map[string]*storm)}
}

// The pauses between two attempts while no writer serves: the last one bounds how long it takes to see that one is
// back.
const firstTry, lastTry = 100 * time.Millisecond, time.Second

// away says that no writer took the lane: none serves, or the connection broke before one responded.
func (w *Weather) away(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.outage == nil {
		w.outage = &outage{since: time.Now(), turn: make(chan struct{}, 1), over: make(chan struct{})}
		w.outage.turn <- struct{}{}
	}
	w.outage.cause = err.Error()
}

// serves says that a writer serves.
func (w *Weather) serves() {
	w.mu.Lock()
	o := w.outage
	w.outage = nil
	if o == nil {
		w.mu.Unlock()
		return
	}
	tries, lanes, logged := o.tries, o.lanes, o.logged
	w.mu.Unlock()
	close(o.over)
	if logged {
		w.log.Warn("a writer serves again", "writer", w.target, "lasted", time.Since(o.since).Round(time.Millisecond),
			"tries", tries, "lanes", lanes)
	}
}

// await returns once the lane may try to open: at once while writers serve, and else when it is its turn to find out,
// or they are back. waits gets what is waited for. done is to be called when the attempt is over.
func (w *Weather) await(ctx context.Context, waits func(what string, since time.Time)) (done func()) {
	w.mu.Lock()
	o := w.outage
	if o == nil {
		w.mu.Unlock()
		return func() {}
	}
	o.lanes++
	lanes, cause := o.lanes, o.cause
	w.mu.Unlock()
	waits("no writer serves at "+w.target+": "+cause, o.since)
	defer waits("", time.Time{})
	select {
	case <-ctx.Done():
	case <-o.over:
		// Not all in one instant: opening a lane is some work for the writer.
		sleep(ctx, nil, rand.N(min(time.Second, time.Duration(lanes)*time.Millisecond)))
	case <-o.turn:
		sleep(ctx, o.over, w.pause(o))
		return func() {
			w.mu.Lock()
			o.tries++
			due := o.tries > 1 && !o.logged && w.outage == o // one attempt may meet a writer that is just going
			o.logged = o.logged || due
			cause := o.cause
			w.mu.Unlock()
			o.turn <- struct{}{}
			if due {
				w.log.Warn("no writer serves: lanes wait, and one of them tries", "writer", w.target, "error", cause)
			}
		}
	}
	return func() {}
}

// pause is how long the next attempt waits.
func (w *Weather) pause(o *outage) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	pause := min(firstTry<<min(o.tries, 10), lastTry)
	return pause/2 + rand.N(pause/2)
}

// back is closed when the writers that are away now serve again; nil while they do.
func (w *Weather) back() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.outage == nil {
		return nil
	}
	return w.outage.over
}

// stormy notes that a lane was notified of a cause; calm, that it is over for that lane.
func (w *Weather) stormy(cause, text string, since time.Time) {
	w.mu.Lock()
	s := w.storms[cause]
	first := s == nil
	if first {
		s = &storm{since: since}
		w.storms[cause] = s
	}
	s.lanes++
	s.total++
	w.mu.Unlock()
	if first {
		w.log.Warn("rows wait for BigQuery, and their lanes with them", "cause", cause, "error", text, "since", since)
	}
}

func (w *Weather) calm(cause string) {
	w.mu.Lock()
	s := w.storms[cause]
	s.lanes--
	last := s.lanes == 0
	if last {
		delete(w.storms, cause) // s is ours alone now
	}
	w.mu.Unlock()
	if last {
		w.log.Warn("rows go to BigQuery again", "cause", cause, "lasted", time.Since(s.since).Round(time.Millisecond),
			"lanes", s.total)
	}
}

// sleep returns after d, when wake is closed, or when ctx ends.
func sleep(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}
