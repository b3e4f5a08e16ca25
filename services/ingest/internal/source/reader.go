package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// reader is one pass over a partition. Fetchers put into its queue what brokers send; what bounds the queue is asking
// for nothing more. A reader whose lane takes nothing therefore ends up with less than its high mark and one fetch.
type reader struct {
	tp topicPartition
	// topic is the id of the topic that is read; zero when it is not known.
	topic     sarama.Uuid
	budget    *prefetch
	log       *slog.Logger
	metrics   *Metrics
	committed bool
	// lease is how long a replica nearby is read before the leader is asked again; fetchBytes the largest fetch.
	lease      time.Duration
	fetchBytes int32

	// epochs notes which leaders took the records.
	epochs *epochs

	// closing is closed by Close.
	closing chan struct{}
	ready   chan struct{}
	once    sync.Once
	// pool has the fetchers. fetcher is the one at work for the reader, nil while there is none; the pool sets it, and
	// whoever looks for the next one is the only one to do so. moved says that it brought something.
	pool    *fetchers
	fetcher atomic.Pointer[fetcher]
	moved   atomic.Bool
	// pause is that before the next attempt to find a broker. Of follow alone.
	pause time.Duration

	mu     sync.Mutex
	queue  []queuedBatch
	count  int   // records in queue
	bytes  int64 // of them, but for what is inflated
	paused bool
	// offset is what is to be fetched next, fetch how much, epoch the leader's. lastEpoch is that of the record
	// before offset; -1 when it is not known.
	offset                  int64
	fetch, epoch, lastEpoch int32
	// replica is a broker to read from instead of the leader; -1 for none.
	replica      int32
	replicaUntil time.Time
	// faulty says that no record came since the last failed fetch, which was logged.
	faulty bool
	// damages is how often the bytes at the offset damagedAt could not be read.
	damagedAt int64
	damages   int
	// err is what Next returns when the queue is empty. Once it is set nothing is queued any more.
	err error

	// newest is the end of the partition as of the last fetch, newestAt is when that was, in nanoseconds since 1970.
	// trouble is why fetches fail.
	newest, newestAt atomic.Int64
	// fetchedBytes came with the batches of fetchedOffsets.
	fetchedBytes, fetchedOffsets atomic.Int64
	trouble                      atomic.Pointer[string]
	// given is the offset after the last record handed over; dropped says that records in the queue were dropped.
	given   int64
	dropped bool
	// timer is Next's.
	timer *time.Timer
}

// origin is where a reader begins: at an offset of a partition, of the topic with an id, which is zero when it is not
// known.
type origin struct {
	tp     topicPartition
	topic  sarama.Uuid
	offset int64
}

func newReader(o origin, e *epochs, pool *fetchers, budget *prefetch, log *slog.Logger, m *Metrics) *reader {
	c := pool.config
	r := &reader{
		tp: o.tp, topic: o.topic, epochs: e, pool: pool, budget: budget, log: log, metrics: m,
		committed: c.Consumer.IsolationLevel == sarama.ReadCommitted,
		lease:     c.Metadata.RefreshFrequency, fetchBytes: c.Consumer.Fetch.Default,
		closing: make(chan struct{}), ready: make(chan struct{}, 1),
		offset: o.offset, given: o.offset, fetch: min(c.Consumer.Fetch.Default, budget.fetch.Load()),
		epoch: -1, lastEpoch: e.before(o.offset), replica: -1,
		timer: time.NewTimer(time.Hour),
	}
	r.timer.Stop()
	return r
}

// errReaderClosed is what Next returns after Close.
var errReaderClosed = errors.New("reading has ended")

// put appends what a fetch brought to the queue.
func (r *reader) put(c fetchResult) {
	r.mu.Lock()
	if r.err != nil { // what came is left to the garbage collector
		r.mu.Unlock()
		return
	}
	if c.next > r.offset || len(c.batches) > 0 {
		r.faulty = false
	}
	r.moved.Store(true)
	r.fetchedOffsets.Add(c.next - r.offset)
	r.offset = c.next
	for _, e := range c.epochs {
		r.epochs.note(e.offset, e.epoch)
		r.lastEpoch = e.epoch
	}
	if c.cut {
		r.fetch = larger(r.fetch)
	} else {
		r.fetch = min(r.fetchBytes, r.budget.fetch.Load())
	}
	var bytes int64
	for i := range c.batches {
		bytes += c.batches[i].bytes()
		r.count += c.batches[i].count
	}
	r.queue = append(r.queue, c.batches...)
	r.fetchedBytes.Add(bytes)
	r.metrics.fetched.Add(float64(bytes))
	r.hold(bytes)
	pause := !r.paused && r.budget.full(r.bytes, r.count)
	if pause {
		r.paused = true
	}
	r.mu.Unlock()
	if pause {
		r.metrics.pauses.Inc()
	}
	if len(c.batches) > 0 {
		r.signal()
	}
}

// progress is the offset to be fetched next, and how many there are from it on, as of the last fetch.
func (r *reader) progress() (next, left int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.offset, max(0, r.newest.Load()-r.offset)
}

// fault counts a failed fetch, which is tried again.
func (r *reader) fault(err error) {
	r.metrics.fetchErrors.Inc()
	r.mu.Lock()
	first := !r.faulty
	r.faulty = true
	r.mu.Unlock()
	text := unreadable(err)
	r.trouble.Store(&text)
	if first {
		r.tp.named(r.log).Warn("fetch failed, trying again", "error", err)
	}
}

// end makes Next returns err once the queue is empty. The first call wins.
func (r *reader) end(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.signal()
}

func (r *reader) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// unreadable says for good that the partition holds bytes that cannot be read. What came before them is passed on
// first.
func (r *reader) unreadable(err error) error {
	return fmt.Errorf("%w %s/%d: %w. Look at it with kafka-dump-log; if other replicas have it whole, "+
		"let one of them lead. To go on without it, stop the group and reset it to the offset behind it "+
		"with kafka-consumer-groups --reset-offsets",
		lane.ErrUnreadable, r.tp.topic, r.tp.partition, err)
}

// Next implements lane.Reader.
func (r *reader) Next(ctx context.Context, dst []record.Record, deadline time.Time) ([]record.Record, error) {
	if cap(dst) == len(dst) {
		return dst, nil
	}
	var late <-chan time.Time
	for {
		if err := ctx.Err(); err != nil {
			return dst, context.Cause(ctx)
		}
		out, packed, err := r.pull(dst)
		if err != nil || len(out) > len(dst) {
			return out, err
		}
		if packed != nil {
			if !r.inflate(ctx, packed, deadline) {
				r.signal() // there is something for the next call
				return dst, nil
			}
			continue
		}
		if late == nil && !deadline.IsZero() {
			wait := time.Until(deadline)
			if wait <= 0 {
				return dst, nil
			}
			r.timer.Reset(wait)
			late = r.timer.C
		}
		select {
		case <-r.ready:
		case <-r.closing:
		case <-late:
			return dst, nil
		case <-ctx.Done():
		}
	}
}

// pull moves what fits from the queue to dst, and has more fetched when there is room. Where the queue begins with a
// queuedBatch that is to be inflated first, it is that one.
func (r *reader) pull(dst []record.Record) (_ []record.Record, packed *queuedBatch, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 {
		return dst, nil, r.err
	}
	first := len(dst)
	for r.count > 0 && len(dst) < cap(dst) {
		k := &r.queue[0]
		if k.packed != nil {
			head := *k
			packed = &head
			break
		}
		held, had := k.bytes(), k.count
		var err error
		if dst, err = k.move(dst, min(had, cap(dst)-len(dst))); err != nil {
			r.spoil(err)
			break
		}
		if k.inflated == 0 {
			r.hold(k.bytes() - held)
		}
		r.count -= had - k.count
		if k.count == 0 {
			r.shift()
		}
	}
	if len(dst) > first {
		r.given = dst[len(dst)-1].Offset + 1
	}
	r.resume()
	switch {
	case len(dst) > first:
		return dst, nil, nil
	case packed != nil:
		return dst, packed, nil
	}
	return dst, nil, r.err
}

// The rest is called with mu held.

func (r *reader) closed() bool {
	select {
	case <-r.closing:
		return true
	default:
		return false
	}
}

// hold counts bytes that have come, or gone.
func (r *reader) hold(bytes int64) {
	r.bytes += bytes
	r.budget.held.Add(bytes)
}

// shift takes the first queuedBatch from the queue, of which nothing is left.
func (r *reader) shift() {
	r.budget.deflate(&r.queue[0])
	r.queue[0] = queuedBatch{}
	if r.queue = r.queue[1:]; len(r.queue) == 0 {
		r.queue = nil // an idle reader holds nothing
	}
}

// spoil drops the queue because what it begins with cannot be read. Nothing behind that is passed on: Next returns
// with it when what came before is gone.
func (r *reader) spoil(err error) {
	r.metrics.fetchErrors.Inc()
	if r.err == nil || !errors.Is(r.err, lane.ErrUnreadable) {
		r.err = r.unreadable(err)
	}
	r.drop()
}

// drop empties the queue.
func (r *reader) drop() {
	r.hold(-r.bytes)
	r.dropped = r.dropped || r.count > 0
	for i := range r.queue {
		r.budget.deflate(&r.queue[i])
	}
	r.queue, r.count = nil, 0
}

// resume has more fetched when there is room again.
func (r *reader) resume() {
	if !r.paused || !r.budget.low(r.bytes, r.count) {
		return
	}
	r.paused = false
	if f := r.fetcher.Load(); f != nil {
		f.poke()
	}
}

// Ready implements lane.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Backlog implements lane.Reader. Offsets that were fetched and hold no record, such as markers of transactions, do
// not count.
func (r *reader) Backlog() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(r.count) + max(0, r.newest.Load()-r.offset)
}

// Passed returns the offset after the last record handed over, and the one before which nothing is left to be handed
// over: offsets between them hold no record.
func (r *reader) Passed() (given, passed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count > 0 || r.dropped || r.err != nil {
		return r.given, r.given
	}
	return r.given, r.offset
}

// Close implements lane.Reader. It returns at once; a fetch under way ends by itself, and what it brings is dropped.
func (r *reader) Close() {
	r.once.Do(func() {
		r.mu.Lock()
		close(r.closing)
		r.drop()
		if r.err == nil {
			r.err = errReaderClosed
		}
		r.mu.Unlock()
		r.pool.leave(r)
	})
}
