package source

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// topicPartition names a partition.
type topicPartition struct {
	topic     string
	partition int32
}

// pair is what a lane wants committed: a position and the checkpoint that explains it, always together.
type pair struct {
	position   int64
	checkpoint string
	// confirmed receives the outcome, once, for everyone who waits for this pair or for one that it superseded.
	confirmed []chan<- error
	// fenced ends the claim that the pair belongs to.
	fenced func(error)
}

// sendCommit sends the pairs in one request and says what the coordinator answered for each partition. A missing entry is success.
type sendCommit func(map[topicPartition]*pair) map[topicPartition]error

// committer commits for all claims of one generation.
//
// Invariant: one request is in flight at a time and it holds the newest pair of each partition, so a newer pair is never overtaken by
// an older one. A pair that is superseded before it is confirmed hands its waiters to its successor: what is durable then is a later
// state of the same lane, which explains all that the earlier one did.
type committer struct {
	send     sendCommit
	interval time.Duration
	backoff  time.Duration
	log      *slog.Logger
	metrics  *Metrics

	wake chan struct{}

	mu      sync.Mutex
	pending map[topicPartition]*pair
	over    error
}

func newCommitter(send sendCommit, interval, backoff time.Duration, log *slog.Logger, m *Metrics) *committer {
	return &committer{
		send: send, interval: interval, backoff: backoff, log: log, metrics: m,
		wake:    make(chan struct{}, 1),
		pending: make(map[topicPartition]*pair),
	}
}

// later hands over a pair for the next tick.
func (c *committer) later(tp topicPartition, position int64, checkpoint string, fenced func(error)) {
	c.add(tp, &pair{position: position, checkpoint: checkpoint, fenced: fenced})
}

// now hands over a pair and waits for the coordinator's word on it.
func (c *committer) now(ctx context.Context, tp topicPartition, position int64, checkpoint string, fenced func(error)) error {
	confirmed := make(chan error, 1)
	c.add(tp, &pair{position: position, checkpoint: checkpoint, fenced: fenced, confirmed: []chan<- error{confirmed}})
	return c.await(ctx, confirmed)
}

// flush commits what is pending of a partition, if anything is.
func (c *committer) flush(ctx context.Context, tp topicPartition) error {
	confirmed := make(chan error, 1)
	c.mu.Lock()
	p := c.pending[tp]
	if p != nil {
		p.confirmed = append(p.confirmed, confirmed)
	}
	c.mu.Unlock()
	if p == nil {
		return nil
	}
	return c.await(ctx, confirmed)
}

func (c *committer) await(ctx context.Context, confirmed <-chan error) error {
	select {
	case c.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-confirmed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *committer) add(tp topicPartition, p *pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		p.answer(c.over)
		return
	}
	if older := c.pending[tp]; older != nil {
		p.confirmed = append(older.confirmed, p.confirmed...)
	}
	c.pending[tp] = p
}

// run sends until ctx ends, then answers lane.ErrFenced to all who still wait: the generation is over.
func (c *committer) run(ctx context.Context) {
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	wait := c.backoff
	for {
		select {
		case <-ctx.Done():
			c.end(lane.ErrFenced)
			return
		case <-tick.C:
		case <-c.wake:
		case <-retry.C:
		}
		switch sent, again := c.round(); {
		case again:
			retry.Reset(wait)
			wait = min(2*wait, 20*c.backoff)
		case sent:
			wait = c.backoff
		}
	}
}

// round sends what is pending once. again says that some of it is to be sent again.
func (c *committer) round() (sent, again bool) {
	c.mu.Lock()
	batch := c.pending
	c.pending = make(map[topicPartition]*pair, len(batch))
	c.mu.Unlock()
	if len(batch) == 0 {
		return false, false
	}
	start := time.Now()
	errs := c.send(batch)
	c.metrics.commitSeconds.Observe(time.Since(start).Seconds())
	for tp, p := range batch {
		err := errs[tp]
		var fault *refusedError
		switch {
		case err == nil:
			c.metrics.commits.WithLabelValues("ok").Inc()
			p.answer(nil)
		case errors.Is(err, lane.ErrFenced):
			c.metrics.commits.WithLabelValues("fenced").Inc()
			p.answer(err)
			p.fenced(err)
		case errors.As(err, &fault):
			c.metrics.commits.WithLabelValues("failed").Inc()
			c.log.Error("commit refused", "topic", tp.topic, "partition", tp.partition, "position", p.position,
				"error", err, "remedy", fault.remedy)
			p.answer(err)
		default:
			c.metrics.commits.WithLabelValues("retried").Inc()
			c.log.Debug("commit to be sent again", "topic", tp.topic, "partition", tp.partition, "error", err)
			c.putBack(tp, p)
			again = true
		}
	}
	return true, again
}

// putBack returns an unconfirmed pair, unless a newer one has come: that takes over its waiters.
func (c *committer) putBack(tp topicPartition, p *pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if newer := c.pending[tp]; newer != nil {
		newer.confirmed = append(p.confirmed, newer.confirmed...)
		return
	}
	c.pending[tp] = p
}

func (c *committer) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = err
	for tp, p := range c.pending {
		p.answer(err)
		delete(c.pending, tp)
	}
}

func (p *pair) answer(err error) {
	for _, ch := range p.confirmed {
		ch <- err
	}
	p.confirmed = nil
}
