package source

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/waybill-data/waybill/services/ingest/internal/kafkawire"
)

// prefetch is the byte budget that the readers of this process share. An idle reader holds nothing, and what one
// reader may hold depends on how much all of them do.
//
// With n claims and a budget of B bytes a fetch asks for at most B/4n a partition (within the configured bounds), and
// a reader stops fetching at B/4n when the budget is half used, else at B/4. What is held is then at most about B.
//
// Compressed batches are held as they came. Each reader inflates one at a time, when its lane takes records, and only
// with budget for it: all that is inflated and not yet taken is at most B. That counts as held as well, so fetching
// stops behind it. A batch that inflates to more than B waits until it is alone, and may have four times as much,
// which is the memory of the process.
type prefetch struct {
	total   int64
	most    int64 // of one fetch
	floor   atomic.Int64
	fetch   atomic.Int32
	records int
	held    atomic.Int64

	inflating *semaphore.Weighted
	inflated  atomic.Int64
}

// share is which part of the memory of the process a prefetch is.
const share = 4

// minFetch keeps fetches useful however many claims there are. A broker returns one whole batch even if it is larger.
const minFetch = 32 << 10

func newPrefetch(total, fetch int64, records, claims int) (*prefetch, int32) {
	p := &prefetch{total: total, most: fetch, records: records, inflating: semaphore.NewWeighted(max(total, 1))}
	size := p.divide(claims)
	return p, size
}

// divide shares the budget among so many claims, and returns the size of a fetch.
func (p *prefetch) divide(claims int) int32 {
	part := p.total / int64(4*max(claims, 1))
	fetch := int32(max(min(part, p.most), minFetch))
	p.floor.Store(max(part, minFetch))
	p.fetch.Store(fetch)
	return fetch
}

// full says that a reader holding this much should stop fetching.
func (p *prefetch) full(bytes int64, records int) bool {
	return records >= p.records || bytes >= p.high()
}

// low says that a reader holding this much should fetch again. The gap between full and low keeps pauses rare, and is
// kept small because a paused client takes a moment to fetch again.
func (p *prefetch) low(bytes int64, records int) bool {
	return records <= p.records*3/4 && bytes <= p.high()*3/4
}

func (p *prefetch) high() int64 {
	if p.size() >= p.total/2 {
		return p.floor.Load()
	}
	return max(p.total/4, p.floor.Load())
}

// size is how many bytes are held, inflated ones among them.
func (p *prefetch) size() int64 { return p.held.Load() + p.inflated.Load() }

// inflate inflates a queued batch when there is budget for it; await takes budget where it is to be waited for, in
// the order of asking. What the batch says of its size is only a first guess.
func (p *prefetch) inflate(tp topicPartition, k *queuedBatch, await func(bytes int64) error) (queuedBatch, error) {
	most := min(share*max(p.total, 1), kafkawire.MaxBatch)
	for size := min(int64(k.packed.InflatedSize()), most); ; size = min(4*size, most) {
		taken := min(size, max(p.total, 1))
		if !p.inflating.TryAcquire(taken) {
			if err := await(taken); err != nil {
				return queuedBatch{}, err
			}
		}
		open, err := k.inflate(tp, int(size))
		if err == nil {
			// As long as the records are here they keep all of it in memory.
			open.inflated = min(int64(len(open.batch.Raw)), taken)
			p.inflating.Release(taken - open.inflated)
			p.inflated.Add(open.inflated)
			return open, nil
		}
		p.inflating.Release(taken)
		if !errors.Is(err, kafkawire.ErrInflates) {
			return queuedBatch{}, err
		}
		if size == most {
			return queuedBatch{}, fmt.Errorf("%w: more than %d bytes, which is memory.budget, "+
				"or %d MiB where that is less; raise it, or have producers send smaller batches", err, most,
				kafkawire.MaxBatch>>20)
		}
	}
}

// deflate gives back what a queued batch has taken of the budget.
func (p *prefetch) deflate(k *queuedBatch) {
	if k.inflated > 0 {
		p.inflated.Add(-k.inflated)
		p.inflating.Release(k.inflated)
		k.inflated = 0
	}
}
