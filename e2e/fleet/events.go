package fleet

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

// resume lets a stopped process go on.
const resume = syscall.SIGCONT

// event is one change of the writers.
type event struct {
	what string
	// writers are how many there are after it, over which lanes are to be even; 0: that is not waited for.
	writers int
	// ingests are how many there are after it, over which lanes are to be even; 0: that is not waited for.
	ingests int
	// class says what is promised of it.
	class class
	// times is how often each lane has to move, where that is not once; updates says how writers take each other's
	// place.
	times   int
	updates update
	// restarts says that the static ingest which comes back does so.
	restarts bool
	// do does it. It returns the moment from which the time until all is even counts; zero: from the beginning.
	do func(ctx context.Context) (time.Time, error)
	// watch is how long is looked at least, from that moment.
	watch time.Duration
	// rest is how long to wait before it: a lane moves once a minute at most.
	rest time.Duration
}

// class is a kind of event.
type class int

const (
	graceful class = iota // nothing is lost but a moment: no stream is finalized or created
	killed                // a process dies
	hung                  // a process says nothing any more
	away                  // there is no writer at all for a while
	slow                  // BigQuery is late for one writer
	shared                // ingests come and go in order
	deserted              // an ingest dies or hangs
)

// watched is how long an event is looked at when it says nothing else: longer than the writers' names are looked up.
const watched = 3 * time.Second

// join starts writers and then publishes them.
func (r *run) join(all []int, fresh ...int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		if err := r.start(ctx, fresh...); err != nil {
			return time.Time{}, err
		}
		r.publish(all...)
		return time.Now(), nil
	}
}

// leave takes writers off the name and stops them.
func (r *run) leave(left []int, gone ...int) func(context.Context) (time.Time, error) {
	return func(context.Context) (time.Time, error) {
		r.publish(left...)
		began := time.Now()
		return began, r.stop(gone...)
	}
}

// update replaces one writer after the other: the new one is published, then the old one stops. The last writers of the
// list are the new ones.
func (r *run) update(apart time.Duration, pairs ...[2]int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		var last time.Time
		for n, p := range pairs {
			if n > 0 {
				if err := stack.Pause(ctx, apart); err != nil {
					return last, err
				}
			}
			if err := r.start(ctx, p[1]); err != nil {
				return last, err
			}
			var with []int
			for _, i := range r.published {
				if i != p[0] {
					with = append(with, i)
				}
			}
			with = append(with, p[1])
			r.publish(append([]int{p[0]}, with...)...)
			last = time.Now()
			r.publish(with...)
			if err := r.stop(p[0]); err != nil {
				return last, err
			}
		}
		return last, nil
	}
}

// lateName replaces the only writer by another one, which the name has only a while after the old one was told to stop.
func (r *run) lateName(old, fresh int, late time.Duration) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		if err := r.start(ctx, fresh); err != nil {
			return time.Time{}, err
		}
		stopped := make(chan error, 1)
		go func() { stopped <- r.stop(old) }()
		err := stack.Pause(ctx, late)
		r.publish(fresh)
		return time.Now(), errors.Join(err, <-stopped)
	}
}

// kill ends a writer at once; it stays in the name for a while, as it would until somebody notices, and does not come
// back.
func (r *run) kill(victim int, left ...int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		began := time.Now()
		r.stack.Writers[victim].Kill()
		err := stack.Pause(ctx, 2*time.Second)
		r.publish(left...)
		return began, err
	}
}

// hang stops a writer without ending it; it goes on after a while.
func (r *run) hang(victim int, length time.Duration) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		if err := r.stack.Writers[victim].Signal(syscall.SIGSTOP); err != nil {
			return time.Time{}, err
		}
		if err := stack.Pause(ctx, length); err != nil {
			return time.Time{}, err
		}
		return time.Now(), r.stack.Writers[victim].Signal(resume)
	}
}

// absent stops the only writer, and starts it again after a while at the same address.
func (r *run) absent(writer int, length time.Duration) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		r.stack.Writers[writer].Kill()
		if err := stack.Pause(ctx, length); err != nil {
			return time.Time{}, err
		}
		if err := r.start(ctx, writer); err != nil {
			return time.Time{}, err
		}
		r.watch.start() // what is promised begins when it serves
		return time.Now(), nil
	}
}

// lateFor makes BigQuery late for the last writer and waits until no lane is there.
func (r *run) lateFor(d time.Duration, watch time.Duration) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		r.late.Set(d)
		began := time.Now()
		victim := r.stack.Writers[most+spare-1].Name
		err := stack.Within(ctx, watch, lookEvery, "no lane is at the slow writer", func() error {
			if writers, _ := r.watch.counts(); writers[victim] > 0 {
				return fmt.Errorf("%d are, after %v", writers[victim], watch)
			}
			return nil
		})
		r.report.Relieved = time.Since(began)
		r.late.Set(0)
		return began, err
	}
}

// measure does one event and prints its line.
func (r *run) measure(ctx context.Context, e event) error {
	if err := stack.Pause(ctx, e.rest); err != nil {
		return err
	}
	had, _ := r.watch.counts()
	row, end, err := r.watch.row(ctx, e.what)
	if err != nil {
		return err
	}
	stress := newStress()
	since, err := e.do(ctx)
	if err != nil {
		return err
	}
	row.Class, row.Updates, row.Restarts = e.class, e.updates, e.restarts
	if e.writers > 0 {
		if err := r.even(ctx, since, e.writers); err != nil {
			return err
		}
		row.Even = time.Since(since)
		row.Needed = r.needed(had, e.writers) * max(e.times, 1)
	}
	if e.ingests > 0 {
		if err := r.evenIngests(ctx, since, e.ingests); err != nil {
			return err
		}
		row.Even = time.Since(since)
	}
	if e.class == slow {
		row.Even = r.report.Relieved // its share comes back only after it has been well for a while
	}
	if err := stack.Pause(ctx, max(watched, e.watch)-time.Since(since)); err != nil {
		return err
	}
	but := ""
	if e.restarts {
		but = r.stack.Ingests[lasting].Name
	}
	if err := end(but); err != nil {
		return err
	}
	if row.Class != shared && row.Class != deserted {
		row.Stopped = 0 // lanes go to other writers
	}
	row.Busy = stress.share()
	r.report.Rows = append(r.report.Rows, *row)
	fmt.Fprintf(r.config.Out, "%s\n", row)
	return nil
}

// needed is how many lanes have to move for an even share: those of writers that the name does not have any more, and
// what the others had too much.
func (r *run) needed(had map[string]int, writers int) (n int) {
	fair := (r.config.Lanes + writers - 1) / writers
	stays := map[string]bool{}
	for _, i := range r.published {
		stays[r.stack.Writers[i].Name] = true
	}
	for name, lanes := range had {
		if stays[name] {
			lanes = max(0, lanes-fair)
		}
		n += lanes
	}
	return n
}
