package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
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

// errDoubtful says that a commit was sent and not answered: it may have been applied, may never be, and may be applied
// later.
var errDoubtful = errors.New("the outcome of an offset commit is unknown")

// sendCommit sends the pairs in one request and says what the coordinator answered for each partition. A missing entry
// is success. errors.Is(err, errDoubtful), for all of them, when no answer came.
type sendCommit func(map[topicPartition]*pair) map[topicPartition]error

// committer commits for all claims of one generation.
//
// Invariant: one request is in flight at a time and it holds the newest pair of each partition, so a newer pair is
// never overtaken by an older one. A request without an answer may still be in flight, in a socket or in a broker that
// pauses, and Kafka tells commits of one generation apart by nothing but their arrival: after it nothing more is sent,
// and the generation ends. A pair that is superseded before it is confirmed hands its waiters to its successor: what is
// durable then is a later state of the same lane, which explains all that the earlier one did.
type committer struct {
	send     sendCommit
	interval time.Duration
	backoff  time.Duration
	log      *slog.Logger
	metrics  *Metrics
	// doubted ends the generation. It is called once, after the last request was sent.
	doubted func(error)

	wake chan struct{}
	// confirmed says that the coordinator has confirmed a pair of this generation.
	confirmed atomic.Bool

	// pending are the pairs to be sent, flight those on their way; mu guards both, and the waiters of their pairs.
	mu      sync.Mutex
	pending map[topicPartition]*pair
	flight  map[topicPartition]*pair
	over    error
}

func newCommitter(send sendCommit, doubted func(error), interval, backoff time.Duration, log *slog.Logger,
	m *Metrics,
) *committer {
	return &committer{
		send: send, doubted: doubted, interval: interval, backoff: backoff, log: log, metrics: m,
		wake:    make(chan struct{}, 1),
		pending: make(map[topicPartition]*pair),
	}
}

// later hands over a pair for the next tick.
func (c *committer) later(tp topicPartition, position int64, checkpoint string, fenced func(error)) {
	c.add(tp, &pair{position: position, checkpoint: checkpoint, fenced: fenced})
}

// now hands over a pair and waits for the coordinator's word on it.
func (c *committer) now(ctx context.Context, tp topicPartition, position int64, checkpoint string,
	fenced func(error),
) error {
	confirmed := make(chan error, 1)
	c.add(tp, &pair{position: position, checkpoint: checkpoint, fenced: fenced, confirmed: []chan<- error{confirmed}})
	return c.await(ctx, confirmed)
}

// flush returns when nothing of a partition is pending or on its way any more: all that was handed over is confirmed
// then.
func (c *committer) flush(ctx context.Context, tp topicPartition) error {
	confirmed := make(chan error, 1)
	c.mu.Lock()
	p, over := c.pending[tp], c.over
	if p == nil {
		p = c.flight[tp]
	}
	if p != nil {
		p.confirmed = append(p.confirmed, confirmed)
	}
	c.mu.Unlock()
	if p == nil {
		return over
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
		if c.round() {
			retry.Reset(wait)
			wait = min(2*wait, 20*c.backoff)
		} else {
			wait = c.backoff
		}
	}
}

// round sends what is pending once. again says that some of it is to be sent again.
func (c *committer) round() (again bool) {
	c.mu.Lock()
	batch := c.pending
	c.pending = make(map[topicPartition]*pair, len(batch))
	c.flight = batch
	c.mu.Unlock()
	if len(batch) == 0 {
		return false
	}
	start := time.Now()
	errs := c.send(batch)
	c.metrics.commitSeconds.Observe(time.Since(start).Seconds())
	for _, err := range errs {
		if errors.Is(err, errDoubtful) {
			c.doubt(batch, err)
			return false
		}
	}
	for tp, p := range batch {
		err := errs[tp]
		var fault *refusedError
		switch {
		case err == nil:
			c.metrics.commits.WithLabelValues("ok").Inc()
			c.confirmed.Store(true)
			c.settle(tp, p, nil)
		case errors.Is(err, lane.ErrFenced):
			c.metrics.commits.WithLabelValues("fenced").Inc()
			p.fenced(err)
			c.settle(tp, p, err)
		case errors.As(err, &fault):
			c.metrics.commits.WithLabelValues("failed").Inc()
			c.log.Error("commit refused", "topic", tp.topic, "partition", tp.partition, "position", p.position,
				"error", err, "remedy", fault.remedy)
			c.settle(tp, p, err)
		default:
			c.metrics.commits.WithLabelValues("retried").Inc()
			c.log.Debug("commit to be sent again", "topic", tp.topic, "partition", tp.partition, "error", err)
			c.putBack(tp, p)
			again = true
		}
	}
	return again
}

// settle answers all who wait for a pair that was on its way.
func (c *committer) settle(tp topicPartition, p *pair, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flight, tp)
	p.answer(err)
}

// putBack returns an unconfirmed pair, unless a newer one has come: that takes over its waiters.
func (c *committer) putBack(tp topicPartition, p *pair) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flight, tp)
	if newer := c.pending[tp]; newer != nil {
		newer.confirmed = append(p.confirmed, newer.confirmed...)
		return
	}
	c.pending[tp] = p
}

// doubt gives up the pairs of a request without an answer, and those that have come since: what was committed, the next
// generation reads back, under which this request is refused should it arrive after all.
func (c *committer) doubt(batch map[topicPartition]*pair, err error) {
	c.metrics.commits.WithLabelValues("doubtful").Add(float64(len(batch)))
	c.metrics.doubtful.Inc()
	fence := fmt.Errorf("%w: this generation is given up: %w", lane.ErrFenced, err)
	for tp, p := range batch {
		c.putBack(tp, p)
	}
	for _, p := range c.end(fence) {
		p.fenced(fence)
	}
	c.doubted(err)
}

// end answers all who wait and will wait, and returns the pairs that were not confirmed.
func (c *committer) end(err error) map[topicPartition]*pair {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = err
	left := c.pending
	c.pending = nil
	for _, p := range left {
		p.answer(err)
	}
	return left
}

func (p *pair) answer(err error) {
	for _, ch := range p.confirmed {
		ch <- err
	}
	p.confirmed = nil
}
