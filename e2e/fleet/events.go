package fleet

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// resume lets a stopped process go on.
const resume = syscall.SIGCONT

// event is one change of the writers.
type event struct {
	what string
	// writers are how many there are after it, over which lanes are to be even; 0: that is not waited for.
	writers int
	// class says what is promised of it.
	class class
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
				if err := pause(ctx, apart); err != nil {
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

// kill ends a writer at once; it stays in the name for a while, as it would until somebody notices, and does not come
// back.
func (r *run) kill(victim int, left ...int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		began := time.Now()
		r.stack.Writers[victim].Kill()
		err := pause(ctx, 2*time.Second)
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
		if err := pause(ctx, length); err != nil {
			return time.Time{}, err
		}
		return time.Now(), r.stack.Writers[victim].Signal(resume)
	}
}

// absent stops the only writer, and starts it again after a while at the same address.
func (r *run) absent(writer int, length time.Duration) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		r.stack.Writers[writer].Kill()
		if err := pause(ctx, length); err != nil {
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
		r.late.set(d)
		began := time.Now()
		victim := r.stack.Writers[most+spare-1].Name
		for r.watch.counts()[victim] > 0 {
			if time.Since(began) > watch {
				return began, fmt.Errorf("%d lanes are at the slow writer after %v", r.watch.counts()[victim], watch)
			}
			if err := pause(ctx, lookEvery); err != nil {
				return began, err
			}
		}
		r.report.Relieved = time.Since(began)
		r.late.set(0)
		return began, nil
	}
}

func seq(from, to int) []int {
	var s []int
	for i := from; i < to; i++ {
		s = append(s, i)
	}
	return s
}

// events are what happens, in order. Lanes that moved rest for a minute, so what needs all of them again waits that
// long.
func (r *run) events() []event {
	const last = most + spare - 1
	if r.config.Short {
		return []event{
			{what: "rolling update of one", writers: 1, do: r.update(0, [2]int{0, 1})},
			{what: "1 -> 4 writers", writers: 4, do: r.join([]int{1, 2, 3, last}, 2, 3, last)},
			{
				what: "rolling update of four", writers: 4,
				do: r.update(time.Second, [2]int{1, 4}, [2]int{2, 5}, [2]int{3, 6}, [2]int{last, 7}),
			},
			{what: "4 -> 2 writers", writers: 2, do: r.leave([]int{4, 5}, 6, 7)},
			{what: "SIGSTOP of one of two", class: hung, do: r.hang(5, 8*time.Second)},
			{what: "SIGKILL of the one with the lanes", writers: 1, class: killed, do: r.kill(4, 5)},
			{what: "1 -> 2 writers", writers: 2, do: r.join([]int{5, 0}, 0), rest: 35 * time.Second},
			{what: "2 -> 1 writers", writers: 1, do: r.leave([]int{0}, 5)},
		}
	}
	return []event{
		{what: "1 -> 4 writers", writers: 4, do: r.join(seq(0, 4), 1, 2, 3)},
		{what: "4 -> 16 writers", writers: 16, do: r.join(seq(0, 16), seq(4, 16)...), rest: time.Minute},
		{what: "16 -> 2 writers", writers: 2, do: r.leave(seq(0, 2), seq(2, 16)...)},
		{what: "2 -> 1 writers", writers: 1, do: r.leave(seq(0, 1), 1)},
		{what: "rolling update of one", writers: 1, do: r.update(0, [2]int{0, 1})},
		{what: "two rolling updates of one, 8 s apart", writers: 1, do: r.update(8*time.Second, [2]int{1, 2}, [2]int{2, 3})},
		{what: "the only writer away for 20 s", writers: 1, class: away, do: r.absent(3, 20*time.Second)},
		{what: "1 -> 4 writers again", writers: 4, do: r.join([]int{0, 1, 2, 3}, 0, 1, 2), rest: 20 * time.Second},
		{
			what: "rolling update of four, 10 s a writer", writers: 4,
			do: r.update(10*time.Second, [2]int{0, 4}, [2]int{1, 5}, [2]int{2, 6}, [2]int{3, 7}),
		},
		{
			what: "rolling update of four, at once", writers: 4,
			do: r.update(0, [2]int{4, 8}, [2]int{5, 9}, [2]int{6, 10}, [2]int{7, last}),
		},
		{what: "SIGKILL of one of four", writers: 3, class: killed, do: r.kill(8, 9, 10, last)},
		{what: "a writer in its place", writers: 4, do: r.join([]int{8, 9, 10, last}, 8), rest: 30 * time.Second},
		{what: "SIGSTOP of one of four, for 12 s", writers: 4, class: hung, do: r.hang(8, 12*time.Second), rest: time.Minute},
		{
			what: "BigQuery is 3 s late for one of four", class: slow, do: r.lateFor(3*time.Second, 30*time.Second),
			rest: time.Minute,
		},
		{what: "4 -> 1 writers", writers: 1, do: r.leave([]int{9}, 8, 10, last)},
	}
}

// measure does one event and prints its line.
func (r *run) measure(ctx context.Context, e event) error {
	if err := pause(ctx, e.rest); err != nil {
		return err
	}
	before, err := r.watch.streams(ctx)
	if err != nil {
		return err
	}
	r.watch.start()
	asked := r.names.Questions()
	since, err := e.do(ctx)
	if err != nil {
		return err
	}
	row := Row{What: e.what, Class: e.class}
	if e.writers > 0 {
		if err := r.even(ctx, since, e.writers); err != nil {
			return err
		}
		row.Even = time.Since(since)
	}
	if e.class == slow {
		row.Even = r.report.Relieved // its share comes back only after it has been well for a while
	}
	if err := pause(ctx, max(watched, e.watch)-time.Since(since)); err != nil {
		return err
	}
	row.Silence, row.Moved = r.watch.end()
	after, err := r.watch.streams(ctx)
	if err != nil {
		return err
	}
	row.Created, row.Finalized = after.Created-before.Created, after.Finalized-before.Finalized
	row.Asked = r.names.Questions() - asked
	r.report.Rows = append(r.report.Rows, row)
	fmt.Fprintf(r.config.Out, "%s\n", row)
	return nil
}
