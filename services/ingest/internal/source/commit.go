package source

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
)

// topicPartition names a partition.
type topicPartition struct {
	topic     string
	partition int32
}

// named is a log that names the partition.
func (tp topicPartition) named(log *slog.Logger) *slog.Logger {
	return log.With("topic", tp.topic, "partition", tp.partition)
}

// handed is a pair that a lane has handed over to be committed.
type handed struct {
	lane.Pair
	// as is the member, in its generation, that the pair is on its way for.
	as member
	// confirmed receives the outcome, once, for everyone who waits for this pair or for one that it superseded.
	confirmed []chan<- error
	// fenced ends the claim that the pair belongs to; ended says that it has ended.
	fenced func(error)
	ended  error
}

// errDoubtful says that a commit was sent and got no response: it may have been applied, may never be, and may be
// applied later.
var errDoubtful = errors.New("the outcome of an offset commit is unknown")

// sendCommit sends the pairs in one request and says what the coordinator responded for each partition. A missing entry
// is success. errors.Is(err, errDoubtful), for all of them, when no response came.
type sendCommit func(map[topicPartition]*handed) map[topicPartition]error

// committer commits for all claims of this member.
//
// Invariants:
//   - One request is in flight at a time and it holds of each partition the pair that its lane handed over last, so a
//     newer pair is never overtaken by an older one. A pair that is superseded before it is confirmed hands its waiters
//     to its successor: what is durable then is a later state of the same lane, which explains all that the earlier one
//     did.
//   - A request names the generation of the moment at which its pairs were chosen, and a pair is chosen only while its
//     claim may commit in that generation: retire comes before the advance to a generation in which it may not.
//   - A request without a response may still be in flight, in a socket or in a broker that pauses, and Kafka tells
//     commits of one generation apart by nothing but their arrival: after it nothing is sent in that generation. What
//     waits is sent in the next one, in which the lost request is refused.
type committer struct {
	send     sendCommit
	interval time.Duration
	backoff  time.Duration
	// grace is how long a refused generation may last; 0 is for ever.
	grace   time.Duration
	log     *slog.Logger
	metrics *Metrics
	// doubted asks for another generation: nothing more is sent in this one.
	doubted func(error)

	wake chan struct{}
	// confirmed says that the coordinator has confirmed a pair since the last doubt.
	confirmed atomic.Bool

	// pending are the pairs to be sent, flight those on their way; mu guards both, and the waiters of their pairs.
	mu      sync.Mutex
	pending map[topicPartition]*handed
	flight  map[topicPartition]*handed
	over    error
	// member is who commits. barred says why it sends nothing in its generation.
	member member
	barred error
	// last says that no other generation is to come: what bars this one ends the claims.
	last bool
	// retired are partitions whose claim has ended, with what their lanes get as the reason.
	retired map[topicPartition]error
}

func newCommitter(send sendCommit, doubted func(error), interval, backoff time.Duration, log *slog.Logger,
	m *Metrics,
) *committer {
	return &committer{
		send: send, doubted: doubted, interval: interval, backoff: backoff, log: log, metrics: m,
		wake:    make(chan struct{}, 1),
		pending: make(map[topicPartition]*handed),
		retired: make(map[topicPartition]error),
	}
}

// later hands over a pair for the next tick.
func (c *committer) later(tp topicPartition, p lane.Pair, fenced func(error)) {
	c.add(tp, &handed{Pair: p, fenced: fenced})
}

// now hands over a pair and waits for the coordinator's response to it.
func (c *committer) now(ctx context.Context, tp topicPartition, p lane.Pair, fenced func(error)) error {
	confirmed := make(chan error, 1)
	c.add(tp, &handed{Pair: p, fenced: fenced, confirmed: []chan<- error{confirmed}})
	return c.await(ctx, confirmed)
}

// flush returns when nothing of a partition is pending or on its way any more: all that was handed over is confirmed
// then.
func (c *committer) flush(ctx context.Context, tp topicPartition) error {
	confirmed := make(chan error, 1)
	c.mu.Lock()
	p, over := c.pending[tp], c.closed(tp)
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

// closed says why a partition commits nothing more. The caller holds mu.
func (c *committer) closed(tp topicPartition) error {
	switch {
	case c.over != nil:
		return c.over
	case c.last && c.barred != nil:
		return givenUp(c.barred)
	}
	return c.retired[tp]
}

func (c *committer) await(ctx context.Context, confirmed <-chan error) error {
	c.poke()
	select {
	case err := <-confirmed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *committer) add(tp topicPartition, p *handed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.closed(tp); err != nil {
		p.resolve(err)
		return
	}
	if older := c.pending[tp]; older != nil {
		p.confirmed = append(older.confirmed, p.confirmed...)
	}
	c.pending[tp] = p
}

// run sends until ctx ends, then returns lane.ErrFenced to all who still wait: the membership is over.
func (c *committer) run(ctx context.Context) {
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	patience := time.NewTimer(time.Hour)
	patience.Stop() // until there is something to be patient with
	defer patience.Stop()
	wait := c.backoff
	for {
		select {
		case <-ctx.Done():
			c.end(lane.ErrFenced)
			return
		case <-tick.C:
		case <-c.wake:
		case <-retry.C:
		case <-patience.C:
			c.impatient()
		}
		switch again, refused := c.round(); {
		case refused && c.grace > 0:
			patience.Reset(c.grace)
		case again:
			retry.Reset(wait)
			wait = min(2*wait, 20*c.backoff)
		default:
			wait = c.backoff
		}
	}
}

// round sends what is pending once. again says that some of it is to be sent again, refused that it waits for another
// generation, which the heartbeat is about to learn of.
func (c *committer) round() (again, refused bool) {
	c.mu.Lock()
	if c.barred != nil || len(c.pending) == 0 {
		c.mu.Unlock()
		return false, false
	}
	batch := c.pending
	c.pending = make(map[topicPartition]*handed, len(batch))
	c.flight = batch
	as := c.member
	for _, p := range batch {
		p.as = as
	}
	c.mu.Unlock()
	start := time.Now()
	errs := c.send(batch)
	c.metrics.commitSeconds.Observe(time.Since(start).Seconds())
	for _, err := range errs {
		if errors.Is(err, errDoubtful) {
			return c.doubt(batch, as, err), false
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
		case errors.Is(err, sarama.ErrIllegalGeneration):
			c.metrics.commits.WithLabelValues("fenced").Inc()
			c.putBack(tp, p)
			if c.bar(as, err) {
				refused = true
			} else {
				again = true
			}
		case errors.Is(err, lane.ErrFenced):
			c.metrics.commits.WithLabelValues("fenced").Inc()
			p.fenced(err)
			c.settle(tp, p, err)
		case errors.As(err, &fault):
			c.metrics.commits.WithLabelValues("failed").Inc()
			c.log.Error("commit refused", "topic", tp.topic, "partition", tp.partition, "position", p.Position,
				"error", err, "remedy", fault.remedy)
			c.settle(tp, p, err)
		default:
			c.metrics.commits.WithLabelValues("retried").Inc()
			c.log.Debug("commit to be sent again", "topic", tp.topic, "partition", tp.partition, "error", err)
			c.putBack(tp, p)
			again = true
		}
	}
	return again, refused
}

// settle tells all who wait for a pair that was on its way.
func (c *committer) settle(tp topicPartition, p *handed, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flight, tp)
	p.resolve(err)
}

// putBack returns an unconfirmed pair, unless its claim has ended, or a newer one has come: that takes over its
// waiters.
func (c *committer) putBack(tp topicPartition, p *handed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flight, tp)
	err := p.ended
	if err == nil {
		err = c.closed(tp)
	}
	if err != nil {
		p.resolve(err)
		return
	}
	if newer := c.pending[tp]; newer != nil {
		newer.confirmed = append(p.confirmed, newer.confirmed...)
		return
	}
	c.pending[tp] = p
}

// doubt keeps the pairs of a request without an respond for the next generation, under which this request is refused
// should it arrive after all. again says that the next one is there already.
func (c *committer) doubt(batch map[topicPartition]*handed, as member, err error) (again bool) {
	c.metrics.commits.WithLabelValues("doubtful").Add(float64(len(batch)))
	c.metrics.doubtful.Inc()
	for tp, p := range batch {
		c.putBack(tp, p)
	}
	if !c.bar(as, err) {
		return true
	}
	c.confirmed.Store(false)
	c.doubted(err)
	return false
}

// end tells all who wait and will wait.
func (c *committer) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = err
	left := c.pending
	c.pending = make(map[topicPartition]*handed)
	for _, p := range left {
		p.resolve(err)
	}
}

func (p *handed) resolve(err error) {
	for _, ch := range p.confirmed {
		ch <- err
	}
	p.confirmed = nil
}
