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

// messageOverhead is what sarama holds for a message beside its bytes: the message, its pointer and its share of the batch.
const messageOverhead = 200

// headerOverhead is the same for a header.
const headerOverhead = 64

// channelBuffer is the number of messages that sarama's channel of a partition holds, and the most that a pump takes from it before it
// counts them.
const channelBuffer = 64

// reader is one pass over a partition. Its pump takes messages from sarama as they come, always, because a channel that is not drained
// stalls every partition of that broker and client; what bounds the queue is pausing the fetches.
//
// sarama asks for a fetch once the one before is in the channel, so what is not counted when it asks is at most a channel and a burst. A
// reader whose lane takes nothing therefore ends up with less than its high mark, 2*channelBuffer messages, and one fetch.
type reader struct {
	pc      sarama.PartitionConsumer
	budget  *prefetch
	log     *slog.Logger
	metrics *Metrics

	// done is closed by the pump once sarama has let go of the partition.
	done  chan struct{}
	ready chan struct{}
	once  sync.Once

	mu     sync.Mutex
	queue  []*sarama.ConsumerMessage
	bytes  int64
	paused bool
	// faulty says that no message came since the last failed fetch, which was logged.
	faulty bool
	// err is what Next answers when the queue is empty. Once it is set nothing is queued any more.
	err error

	// next is the offset after the last record that Next returned.
	next atomic.Int64
	// timer is Next's.
	timer *time.Timer
}

func newReader(pc sarama.PartitionConsumer, from int64, budget *prefetch, log *slog.Logger, m *Metrics) *reader {
	r := &reader{
		pc: pc, budget: budget, log: log, metrics: m,
		done: make(chan struct{}), ready: make(chan struct{}, 1),
		timer: time.NewTimer(time.Hour),
	}
	r.timer.Stop()
	r.next.Store(from)
	return r
}

// pump moves messages from sarama to the queue until sarama closes its channels.
func (r *reader) pump(from int64) {
	defer close(r.done)
	messages, errs := r.pc.Messages(), r.pc.Errors()
	next := from
	burst := make([]*sarama.ConsumerMessage, 0, channelBuffer)
	for messages != nil || errs != nil {
		select {
		case e, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			r.fault(e.Err)
		case m, ok := <-messages:
			if !ok {
				messages = nil
				continue
			}
			burst = append(burst[:0], m)
		more:
			for len(burst) < channelBuffer {
				select {
				case m, ok := <-messages:
					if !ok {
						messages = nil
						break more
					}
					burst = append(burst, m)
				default:
					break more
				}
			}
			// sarama sends an error before the messages that follow it, so an error seen now may concern this burst.
			select {
			case e, ok := <-errs:
				if !ok {
					errs = nil
				} else {
					r.fault(e.Err)
				}
			default:
			}
			next = r.put(burst, next)
			clear(burst)
		}
	}
	r.end(errReaderClosed)
}

// errReaderClosed is what Next answers after Close, or when sarama gives up a partition without a word.
var errReaderClosed = errors.New("reading has ended")

// put appends to the queue what is at or after next, and returns the new next. sarama repeats nothing as far as we know; counting rows
// on replay must not depend on that.
func (r *reader) put(burst []*sarama.ConsumerMessage, next int64) int64 {
	var bytes int64
	r.mu.Lock()
	if r.err != nil {
		r.mu.Unlock()
		return next
	}
	r.faulty = false
	for _, m := range burst {
		if m.Offset < next {
			continue
		}
		next = m.Offset + 1
		bytes += size(m)
		r.queue = append(r.queue, m)
	}
	r.bytes += bytes
	r.budget.held.Add(bytes)
	pause := !r.paused && r.budget.full(r.bytes, len(r.queue))
	if pause {
		r.paused = true
		r.pc.Pause()
	}
	r.mu.Unlock()
	if pause {
		r.metrics.pauses.Inc()
	}
	r.signal()
	return next
}

func size(m *sarama.ConsumerMessage) int64 {
	n := len(m.Key) + len(m.Value) + messageOverhead
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value) + headerOverhead
	}
	return int64(n)
}

// fault handles an error of the partition consumer. sarama retries all but an offset out of range by itself.
func (r *reader) fault(err error) {
	switch {
	case errors.Is(err, sarama.ErrOffsetOutOfRange):
		r.end(lane.ErrOffsetGone)
	case errors.Is(err, sarama.ErrMessageTooLarge):
		// sarama goes on behind a record that it could not read; we must not.
		r.end(fmt.Errorf("a record does not fit into a fetch: %w", err))
	default:
		r.metrics.fetchErrors.Inc()
		r.mu.Lock()
		first := !r.faulty
		r.faulty = true
		r.mu.Unlock()
		if first {
			r.log.Warn("fetch failed, trying again", "error", err)
		}
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
		out, err := r.take(dst)
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

// take moves what fits from the queue to dst, and lets sarama fetch again when there is room.
func (r *reader) take(dst []record.Record) ([]record.Record, error) {
	r.mu.Lock()
	n := min(len(r.queue), cap(dst)-len(dst))
	if n == 0 {
		err := r.err
		r.mu.Unlock()
		return dst, err
	}
	batch := r.queue[:n:n]
	var bytes int64
	for _, m := range batch {
		bytes += size(m)
	}
	if r.queue = r.queue[n:]; len(r.queue) == 0 {
		r.queue = nil // an idle reader holds nothing
	}
	r.bytes -= bytes
	r.budget.held.Add(-bytes)
	if r.paused && r.budget.low(r.bytes, len(r.queue)) {
		r.paused = false
		r.pc.Resume()
	}
	r.mu.Unlock()
	dst = convert(dst, batch)
	clear(batch)
	r.next.Store(dst[len(dst)-1].Offset + 1)
	return dst, nil
}

// convert appends the messages as records. The headers of a batch share one allocation.
func convert(dst []record.Record, batch []*sarama.ConsumerMessage) []record.Record {
	total := 0
	for _, m := range batch {
		total += len(m.Headers)
	}
	headers := make([]record.Header, 0, total)
	for _, m := range batch {
		first := len(headers)
		for _, h := range m.Headers {
			headers = append(headers, record.Header{Key: h.Key, Value: h.Value})
		}
		micros := m.Timestamp.UnixMicro()
		if micros < 0 {
			micros = -1 // Kafka's "no timestamp", which sarama turns into the zero time
		}
		dst = append(dst, record.Record{
			Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, TimestampMicros: micros,
			Key: m.Key, Value: m.Value, Headers: headers[first:len(headers):len(headers)],
		})
	}
	return dst
}

// Backlog implements lane.Reader.
func (r *reader) Backlog() int64 { return max(0, r.pc.HighWaterMarkOffset()-r.next.Load()) }

// Close implements lane.Reader. It returns at once; done is closed when sarama has let go, which takes up to one long poll.
func (r *reader) Close() {
	r.once.Do(func() {
		r.pc.AsyncClose()
		r.mu.Lock()
		r.budget.held.Add(-r.bytes)
		r.queue, r.bytes = nil, 0
		if r.err == nil {
			r.err = errReaderClosed
		}
		r.mu.Unlock()
	})
}
