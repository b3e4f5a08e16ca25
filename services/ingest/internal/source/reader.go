package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// reader is one pass over a partition. Fetchers put into its queue what brokers answer; what bounds the queue is asking for nothing more. A
// reader whose lane takes nothing therefore ends up with less than its high mark and one fetch.
type reader struct {
	tp        topicPartition
	budget    *prefetch
	log       *slog.Logger
	metrics   *Metrics
	committed bool
	// lease is how long a replica nearby is read before the leader is asked again; fetchBytes the size of a fetch.
	lease      time.Duration
	fetchBytes int32

	// done is closed once no goroutine works for the reader; closing by Close. released says why a fetcher let go.
	done, closing chan struct{}
	released      chan error
	ready         chan struct{}
	once          sync.Once
	// fetcher is the last one; moved says that it brought something.
	fetcher atomic.Pointer[fetcher]
	moved   atomic.Bool

	mu     sync.Mutex
	queue  []stretch
	count  int // records in queue
	bytes  int64
	paused bool
	// offset is what is to be fetched next, fetch how much, epoch the leader's.
	offset       int64
	fetch, epoch int32
	// replica is a broker to read from instead of the leader; -1 for none.
	replica      int32
	replicaUntil time.Time
	// faulty says that no record came since the last failed fetch, which was logged.
	faulty bool
	// err is what Next answers when the queue is empty. Once it is set nothing is queued any more.
	err error

	// newest is the end of the partition as of the last fetch, heard is when that was, in nanoseconds since 1970. trouble is why fetches fail.
	newest, heard atomic.Int64
	trouble       atomic.Pointer[string]
	// given is the offset after the last record handed over; dropped says that records in the queue were dropped.
	given   int64
	dropped bool
	// timer is Next's.
	timer *time.Timer
}

func newReader(tp topicPartition, from int64, c *sarama.Config, budget *prefetch, log *slog.Logger, m *Metrics) *reader {
	r := &reader{
		tp: tp, budget: budget, log: log, metrics: m, committed: c.Consumer.IsolationLevel == sarama.ReadCommitted,
		lease: c.Metadata.RefreshFrequency, fetchBytes: c.Consumer.Fetch.Default,
		done: make(chan struct{}), closing: make(chan struct{}), released: make(chan error, 1), ready: make(chan struct{}, 1),
		offset: from, given: from, fetch: c.Consumer.Fetch.Default, epoch: -1, replica: -1,
		timer: time.NewTimer(time.Hour),
	}
	r.timer.Stop()
	return r
}

// errReaderClosed is what Next answers after Close, or when sarama gives up a partition without a word.
var errReaderClosed = errors.New("reading has ended")

// put appends what a fetch brought to the queue.
func (r *reader) put(c catch) {
	r.mu.Lock()
	if r.err != nil {
		r.mu.Unlock()
		return
	}
	r.faulty = false
	r.moved.Store(true)
	r.offset = c.next
	if c.cut {
		r.fetch = larger(r.fetch)
	} else {
		r.fetch = r.fetchBytes
	}
	var bytes int64
	for i := range c.stretches {
		bytes += c.stretches[i].bytes()
		r.count += c.stretches[i].count
	}
	r.queue = append(r.queue, c.stretches...)
	r.bytes += bytes
	r.budget.held.Add(bytes)
	pause := !r.paused && r.budget.full(r.bytes, r.count)
	if pause {
		r.paused = true
	}
	r.mu.Unlock()
	if pause {
		r.metrics.pauses.Inc()
	}
	if len(c.stretches) > 0 {
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
		r.log.Warn("fetch failed, trying again", "error", err)
	}
}

// end makes Next answer err once the queue is empty. The first call wins.
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
		out, err := r.pull(dst)
		if err != nil || len(out) > len(dst) {
			return out, err
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
		case <-late:
			return dst, nil
		case <-ctx.Done():
		}
	}
}

// pull moves what fits from the queue to dst, and has more fetched when there is room.
func (r *reader) pull(dst []record.Record) ([]record.Record, error) {
	r.mu.Lock()
	if r.count == 0 {
		err := r.err
		r.mu.Unlock()
		return dst, err
	}
	first := len(dst)
	var bytes int64
	for r.count > 0 && len(dst) < cap(dst) {
		k := &r.queue[0]
		held, had := k.bytes(), k.count
		var err error
		if dst, err = k.move(dst, min(had, cap(dst)-len(dst))); err != nil {
			// Nothing behind it is passed on: Next answers it when what came before is gone.
			err = fmt.Errorf("read %s/%d: %w", r.tp.topic, r.tp.partition, err)
			r.metrics.fetchErrors.Inc()
			r.err, r.count, r.dropped, bytes = cmp.Or(r.err, err), 0, true, r.bytes
			break
		}
		bytes += held - k.bytes()
		r.count -= had - k.count
		if k.count == 0 {
			*k = stretch{}
			r.queue = r.queue[1:]
		}
	}
	if len(dst) > first {
		r.given = dst[len(dst)-1].Offset + 1
	}
	if r.count == 0 {
		r.queue = nil // an idle reader holds nothing
	}
	r.bytes -= bytes
	r.budget.held.Add(-bytes)
	resume := r.paused && r.budget.low(r.bytes, r.count)
	if resume {
		r.paused = false
	}
	err := r.err
	r.mu.Unlock()
	if resume {
		if f := r.fetcher.Load(); f != nil {
			f.poke()
		}
	}
	if len(dst) == first {
		return dst, err
	}
	return dst, nil
}

// Ready implements lane.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Backlog implements lane.Reader. Offsets that were fetched and hold no record, such as markers of transactions, do not count.
func (r *reader) Backlog() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(r.count) + max(0, r.newest.Load()-r.offset)
}

// Close implements lane.Reader. It returns at once; a fetch under way ends by itself, and what it brings is dropped.
func (r *reader) Close() {
	r.once.Do(func() {
		close(r.closing)
		r.mu.Lock()
		r.budget.held.Add(-r.bytes)
		r.dropped = r.dropped || r.count > 0
		r.queue, r.count, r.bytes = nil, 0, 0
		if r.err == nil {
			r.err = errReaderClosed
		}
		r.mu.Unlock()
	})
}
