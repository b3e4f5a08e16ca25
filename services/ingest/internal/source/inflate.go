package source

import (
	"context"
	"errors"
	"sync"
	"time"
)

// inflate makes the queuedBatch that the queue begins with ready, of which packed is a copy. It is false when the
// deadline has passed, which is zero for none; other errors Next finds.
func (r *reader) inflate(ctx context.Context, packed *queuedBatch, deadline time.Time) bool {
	open, err := r.budget.inflate(r.tp, packed, func(bytes int64) error { return r.await(ctx, bytes, deadline) })
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed():
		r.budget.deflate(&open)
		return true
	case errors.Is(err, errNoBudget):
		return ctx.Err() != nil
	case err != nil:
		r.spoil(err)
		return true
	}
	// Meanwhile the queue has only become longer.
	r.hold(-r.queue[0].bytes())
	r.count -= packed.count - open.count
	packed.memory.Release(1)
	r.queue[0] = open
	if open.count == 0 {
		r.shift()
	}
	return true
}

// errNoBudget says that waiting for budget has ended without it.
var errNoBudget = errors.New("no budget to inflate a batch")

// await takes bytes of the budget for what is inflated, once they are there.
func (r *reader) await(ctx context.Context, bytes int64, deadline time.Time) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !deadline.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-r.closing:
			cancel()
		case <-stop:
		}
	})
	err := r.budget.inflating.Acquire(ctx, bytes)
	close(stop)
	watch.Wait()
	if err != nil {
		return errNoBudget
	}
	return nil
}
