package fleet

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
)

const (
	// ingests are how many there may be, with those that take another one's place. Two of them are static members:
	// retiring leaves the group when it stops, lasting does not and is taken out by its name.
	ingests           = 7
	retiring, lasting = 2, 3
	sessionTimeout    = 10 * time.Second
)

// layOutIngests gives static members their names.
func (r *run) layOutIngests() error {
	for i, leaves := range map[int]bool{retiring: true, lasting: false} {
		if err := r.stack.Ingests[i].Static(r.stack.Ingests[i].Name, leaves); err != nil {
			return err
		}
	}
	return nil
}

// enlist starts ingests.
func (r *run) enlist(fresh ...int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		began := time.Now()
		r.members = append(r.members, fresh...)
		return began, up(ctx, r.stack.Ingests, fresh)
	}
}

// dismiss stops ingests in order, all at once, for good.
func (r *run) dismiss(gone ...int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		began := time.Now()
		err := together(gone, func(i int) error { return r.retire(ctx, i) })
		r.members = slices.DeleteFunc(r.members, func(i int) bool { return slices.Contains(gone, i) })
		return began, err
	}
}

// retire stops an ingest for good, and takes it out of the group where it does not leave by itself.
func (r *run) retire(ctx context.Context, i int) error {
	one := r.stack.Ingests[i]
	if err := one.Stop(grace); err != nil || i != lasting {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	path := filepath.Join(r.config.Bin, "ingest")
	if out, err := exec.CommandContext(ctx, path, "leave", "--config", one.Config).CombinedOutput(); err != nil {
		return fmt.Errorf("ingest leave: %w: %s", err, out)
	}
	return nil
}

// relieve replaces one ingest after the other: the new one is ready before the old one stops.
func (r *run) relieve(apart time.Duration, pairs ...[2]int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (began time.Time, err error) {
		for n, p := range pairs {
			if n > 0 {
				if err := stack.Pause(ctx, apart); err != nil {
					return began, err
				}
			}
			if began, err = r.enlist(p[1])(ctx); err != nil {
				return began, err
			}
			if _, err := r.dismiss(p[0])(ctx); err != nil {
				return began, err
			}
		}
		return began, nil
	}
}

// restart stops an ingest in order and starts it again.
func (r *run) restart(i int) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		began := time.Now()
		if err := r.stack.Ingests[i].Stop(grace); err != nil {
			return began, err
		}
		return began, up(ctx, r.stack.Ingests, []int{i})
	}
}

// desert ends or stops an ingest without a word. The time counts from when the group may notice.
func (r *run) desert(i int, by syscall.Signal) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		one := r.stack.Ingests[i]
		if by == syscall.SIGKILL {
			one.Kill()
		} else if err := one.Signal(by); err != nil {
			return time.Time{}, err
		}
		r.members = slices.DeleteFunc(r.members, func(m int) bool { return m == i })
		err := stack.Pause(ctx, sessionTimeout)
		return time.Now(), err
	}
}

// wake lets a stopped ingest go on.
func (r *run) wake(i int) func(context.Context) (time.Time, error) {
	return func(context.Context) (time.Time, error) {
		r.members = append(r.members, i)
		return time.Now(), r.stack.Ingests[i].Signal(resume)
	}
}

// evenIngests waits until each of the ingests has its share of the lanes, within one.
func (r *run) evenIngests(ctx context.Context, since time.Time, n int) error {
	return r.shared(ctx, since, n, "the ingests are even", func() (shares []int, counts map[string]int) {
		_, counts = r.watch.counts()
		for _, i := range r.members {
			shares = append(shares, counts[r.stack.Ingests[i].Name])
		}
		return shares, counts
	})
}
