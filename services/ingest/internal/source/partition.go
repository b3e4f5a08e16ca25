package source

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// claim is our right to one partition in one generation. It implements lane.Partition.
//
// It is a scope, so it keeps contexts: owned ends when the claim is revoked, fenced or over; alive outlives it by the drain timeout and
// bounds every method.
type claim struct {
	tp       topicPartition
	session  *session
	fetchers *fetchers
	log      *slog.Logger

	owned context.Context
	end   context.CancelCauseFunc
	alive context.Context
	kill  context.CancelCauseFunc

	mu   sync.Mutex
	last *reader
}

var _ lane.Partition = (*claim)(nil)

func (c *claim) Topic() string   { return c.tp.topic }
func (c *claim) Number() int32   { return c.tp.partition }
func (c *claim) Cluster() string { return c.session.source.cluster }

// Committed flushes what CommitLater holds first: the answer is then the newest state of this lane.
func (c *claim) Committed(ctx context.Context) (int64, string, error) {
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	if err := c.session.committer.flush(ctx, c.tp); err != nil {
		return 0, "", c.wrap("commit before reading back", err)
	}
	s := c.session.source
	type commit struct {
		position   int64
		checkpoint string
	}
	found, err := Await(ctx, &s.calls, func() (commit, error) {
		position, checkpoint, err := s.offsets.committed(ctx, c.tp, s.backoff)
		return commit{position, checkpoint}, err
	})
	return found.position, found.checkpoint, err
}

// Commit implements lane.Partition.
func (c *claim) Commit(ctx context.Context, position int64, checkpoint string) error {
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	return c.wrap("commit", c.session.committer.now(ctx, c.tp, position, checkpoint, c.fenced))
}

// CommitLater implements lane.Partition.
func (c *claim) CommitLater(position int64, checkpoint string) {
	c.session.committer.later(c.tp, position, checkpoint, c.fenced)
}

func (c *claim) fenced(err error) { c.end(err) }

// Range implements lane.Partition.
func (c *claim) Range(ctx context.Context) (oldest, newest int64, err error) {
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	s := c.session.source
	type bounds struct{ oldest, newest int64 }
	found, err := Await(ctx, &s.calls, func() (bounds, error) {
		first, err := s.control.GetOffset(c.tp.topic, c.tp.partition, sarama.OffsetOldest)
		if err != nil {
			return bounds{}, err
		}
		next, err := s.control.GetOffset(c.tp.topic, c.tp.partition, sarama.OffsetNewest)
		return bounds{first, next}, err
	})
	if err != nil {
		return 0, 0, c.wrap("look up the offsets", err)
	}
	return found.oldest, found.newest, nil
}

// Read implements lane.Partition. It waits for nothing: what is wrong with the offset, Next says.
func (c *claim) Read(ctx context.Context, from int64) (lane.Reader, error) {
	for _, scope := range []context.Context{c.alive, ctx} {
		if scope.Err() != nil {
			return nil, c.wrap("read", context.Cause(scope))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil {
		c.last.Close()
	}
	s := c.session
	r := newReader(c.tp, from, c.fetchers.config, s.prefetch, c.log, s.source.metrics)
	s.readers.Go(func() { r.follow(c.fetchers) })
	c.last = r
	return r, nil
}

// DeadLetter implements lane.Partition.
func (c *claim) DeadLetter(ctx context.Context, letters []lane.DeadLetter, waits func(what string)) error {
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	return c.wrap("produce dead letters", c.session.source.Letters.Produce(ctx, letters, waits))
}

func (c *claim) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s of %s/%d: %w", what, c.tp.topic, c.tp.partition, err)
}

// release ends the claim's last reader.
func (c *claim) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil {
		c.last.Close()
	}
}

// drain kills the claim when the drain timeout passes after it was revoked.
func (c *claim) drain(timeout time.Duration, overdue func()) (stop func()) {
	done := make(chan struct{})
	unhook := context.AfterFunc(c.owned, func() {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			overdue()
			c.kill(fmt.Errorf("the drain deadline has passed: %w", lane.ErrFenced))
			c.release()
		case <-done:
		}
	})
	return func() {
		close(done)
		unhook()
	}
}
