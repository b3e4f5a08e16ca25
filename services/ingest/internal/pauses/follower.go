package pauses

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// every is how often a member reads what is kept when nobody asks it to.
const every = 5 * time.Second

// pace is the least time between a read that failed and the next one.
const pace = 250 * time.Millisecond

// ErrRefused says that the entries may not be read, which only an operator can change: the lanes run as if there were
// none.
var ErrRefused = errors.New("pauses cannot be read")

// Follower keeps what it reads. Fill in the exported fields, then run it.
type Follower struct {
	// Read reads the entries as they are kept. An error that is ErrRefused does not pass by itself.
	Read func(ctx context.Context) (map[Lane]string, error)
	// Apply is called with new entries, by one goroutine at a time.
	Apply func(*Entries)
	// Log gets what is wrong, once.
	Log *slog.Logger

	mu      sync.Mutex
	entries *Entries
	// begun is when the last read that was applied began; failed is why the last one did not.
	begun  time.Time
	failed error
	// wanted holds a token while somebody wants a read; read is closed, and replaced, after each.
	wanted, read chan struct{}
	said         string
}

// channels makes what New would have made. The caller holds mu.
func (f *Follower) channels() (wanted, read chan struct{}) {
	if f.wanted == nil {
		f.wanted, f.read = make(chan struct{}, 1), make(chan struct{})
	}
	return f.wanted, f.read
}

// Run reads until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	f.mu.Lock()
	wanted, _ := f.channels()
	f.mu.Unlock()
	for ctx.Err() == nil {
		if !f.look(ctx) { // whoever asks again at once is to wait a little
			select {
			case <-time.After(pace):
			case <-ctx.Done():
			}
		}
		select {
		case <-wanted:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// look reads once, and reports whether it could.
func (f *Follower) look(ctx context.Context) bool {
	begun := time.Now()
	texts, err := f.Read(ctx)
	var entries *Entries
	if err == nil {
		own := make(map[Lane]Entry, len(texts))
		for lane, text := range texts {
			entry, bad := parse(text)
			if bad != nil { // somebody else's, or a later version's
				f.say("a pause cannot be read and is left out", lane.String()+": "+bad.Error())
				continue
			}
			own[lane] = entry
		}
		entries = newEntries(own)
	} else if ctx.Err() == nil {
		f.say("pauses cannot be read; those known so far hold", err.Error())
	}
	if err == nil {
		f.mu.Lock()
		f.entries = entries
		f.mu.Unlock()
		f.Apply(entries)
	}
	f.mu.Lock()
	if f.failed = err; err == nil {
		f.begun = begun
	}
	_, read := f.channels()
	f.read = make(chan struct{})
	f.mu.Unlock()
	close(read)
	return err == nil
}

// say logs what is wrong unless that was said last.
func (f *Follower) say(message, what string) {
	if f.said != what {
		f.said = what
		f.Log.Warn(message, "error", what) //nolint:sloglint // one of two
	}
}

// Entries are those known now; nil before the first read.
func (f *Follower) Entries() *Entries {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries
}

// Fresh reads now: what it returns was kept at a moment after the call, and has been applied. The error is ErrRefused,
// or that of ctx with why nothing was read.
func (f *Follower) Fresh(ctx context.Context) (*Entries, error) {
	since := time.Now()
	for {
		f.mu.Lock()
		wanted, read := f.channels()
		entries, begun, failed := f.entries, f.begun, f.failed
		f.mu.Unlock()
		switch {
		case !begun.Before(since):
			return entries, nil
		case errors.Is(failed, ErrRefused):
			return nil, failed
		}
		select {
		case wanted <- struct{}{}:
		default:
		}
		select {
		case <-read:
		case <-ctx.Done():
			if failed != nil {
				return nil, fmt.Errorf("%w: %w", context.Cause(ctx), failed)
			}
			return nil, context.Cause(ctx)
		}
	}
}
