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

// claim is our right to one partition, from the generation in which it comes to us to the one in which it goes. It
// implements lane.Partition.
//
// It is a scope, so it keeps contexts: owned ends when the claim is revoked, fenced or over; alive outlives it by the
// drain timeout and bounds every method.
type claim struct {
	tp         topicPartition
	membership *membership
	fetchers   *fetchers
	// done is closed when the lane has ended and nothing more of it will be committed.
	done chan struct{}

	owned context.Context
	end   context.CancelCauseFunc
	alive context.Context
	kill  context.CancelCauseFunc

	// epochs are those of the records that were read.
	epochs epochs

	mu sync.Mutex
	// topic is the id of the topic at the last call of Committed, and what is read and committed from then on belongs
	// to; zero when it is not known.
	topic sarama.Uuid
	last  *reader

	outlook outlook
	// load is guarded by the membership, as is named: which of our reports to the leader was the first with the
	// partition. All that came later have it as well; 0: none has.
	load  load
	named int
}

var _ lane.Partition = (*claim)(nil)

// log names the partition. It is made where there is something to say: thousands of claims have nothing.
func (c *claim) log() *slog.Logger { return c.tp.named(c.membership.source.log) }

func (c *claim) Topic() string   { return c.tp.topic }
func (c *claim) Number() int32   { return c.tp.partition }
func (c *claim) Cluster() string { return c.membership.source.cluster }

// Committed flushes what CommitLater holds first: the response is then the newest state of this lane.
func (c *claim) Committed(ctx context.Context) (lane.Pair, error) {
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	if err := c.membership.committer.flush(ctx, c.tp); err != nil {
		return lane.Pair{}, c.wrap("commit before reading back", err)
	}
	s := c.membership.source
	read, err := Await(ctx, &s.calls, func() (lane.Pair, error) { return s.offsets.committed(ctx, c.tp, s.backoff) })
	if err != nil {
		return lane.Pair{}, err
	}
	mark, checkpoint := unmark(read.Checkpoint)
	if err := c.recognize(ctx, read.Position, mark); err != nil {
		return lane.Pair{}, err
	}
	return lane.Pair{Position: read.Position, Checkpoint: checkpoint}, nil
}

// sharedLook is how old what claims that begin know of their topic may be.
const sharedLook = 500 * time.Millisecond

// recognize looks whether a committed position is one of the topic, and of the log, that there is. From then on the
// claim reads that topic.
func (c *claim) recognize(ctx context.Context, position int64, mark stamp) error {
	leaders := c.membership.source.leaders
	// Claims begin by the thousand: they share a look at the topic that is a moment old. Should the topic have been
	// made again within it, the first fetch says so.
	leader, err := leaders.directory.leader(ctx, c.tp, time.Now().Add(-sharedLook))
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.topic = leader.topic
	c.mu.Unlock()
	c.epochs.begin(-1)
	if position < 0 || mark.place != "" && mark.place != placeOf(c.Cluster(), c.tp) {
		return nil // what was copied from elsewhere, the writer refuses by its checkpoint
	}
	if sameTopic(mark.topic, leader.topic) != nil {
		return &lane.OtherTopicError{Position: position, Was: mark.topic.String(), Is: leader.topic.String()}
	}
	if mark.epoch < 0 {
		return nil
	}
	c.epochs.begin(mark.epoch)
	end, err := leaders.epochEnd(ctx, c.tp, leader.topic, mark.epoch)
	switch {
	case err != nil:
		return c.wrap("compare the log with what was read", err)
	case end != unknownEnd && end < position:
		return &lane.CutError{Position: position, End: end}
	}
	return nil
}

// Commit implements lane.Partition.
func (c *claim) Commit(ctx context.Context, p lane.Pair) error {
	if c.alive.Err() != nil { // the partition may have another claim by now
		return c.wrap("commit", context.Cause(c.alive))
	}
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	return c.wrap("commit", c.membership.committer.now(ctx, c.tp, c.mark(p), c.fenced))
}

// CommitLater implements lane.Partition.
func (c *claim) CommitLater(p lane.Pair) {
	if c.alive.Err() != nil { // the partition may have another claim by now
		return
	}
	c.membership.committer.later(c.tp, c.mark(p), c.fenced)
}

// mark says with a checkpoint of which topic and log the position is.
func (c *claim) mark(p lane.Pair) lane.Pair {
	p.Checkpoint = stamp{c.current(), placeOf(c.Cluster(), c.tp), c.epochs.before(p.Position)}.mark(p.Checkpoint)
	return p
}

func (c *claim) current() sarama.Uuid {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.topic
}

func (c *claim) fenced(err error) { c.end(err) }

// Range implements lane.Partition.
func (c *claim) Range(ctx context.Context) (oldest, newest int64, err error) {
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	leaders, topic, since := c.membership.source.leaders, c.current(), time.Now()
	if oldest, err = leaders.offset(ctx, c.tp, topic, since, sarama.OffsetOldest, false); err == nil {
		newest, err = leaders.offset(ctx, c.tp, topic, since, sarama.OffsetNewest, false)
	}
	return oldest, newest, c.wrap("look up the offsets", err)
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
	m := c.membership
	r := newReader(origin{c.tp, c.topic, from}, &c.epochs, c.fetchers, m.prefetch, m.source.log, m.source.metrics)
	m.readers.Go(func() { r.follow(nil) })
	c.last = r
	return r, nil
}

// DeadLetter implements lane.Partition.
func (c *claim) DeadLetter(ctx context.Context, letters []lane.DeadLetter, waits func(what string)) error {
	ctx, cancel := either(ctx, c.alive)
	defer cancel()
	return c.wrap("produce dead letters", c.membership.source.Letters.Produce(ctx, letters, waits))
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
