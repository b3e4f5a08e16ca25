package stack

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Poll calls f every so often until it returns nil. What runs are processes, so there is nothing to wait on. It errs,
// with what f said last, when ctx ends, or when one of the processes does.
func Poll(ctx context.Context, every time.Duration, what string, f func() error, processes ...*Process) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		for _, p := range processes {
			if p.Exited() != nil && !p.Running() {
				return fmt.Errorf("waiting until %s: %s has ended, see %s:\n%s", what, p.Name, p.Log, Tail(p.Log, 20))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, err)
		case <-tick.C:
		}
	}
}

// Within is Poll for so long. When ctx itself is canceled, that is the error: whoever did it knows why.
func Within(
	ctx context.Context, limit, every time.Duration, what string, f func() error, processes ...*Process,
) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := Poll(limited, every, what, f, processes...)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return err
}

// Every calls f, and again every so often, until ctx ends.
func Every(ctx context.Context, every time.Duration, f func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Pause lets time pass, none when it is negative. It errs when ctx ends first.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
