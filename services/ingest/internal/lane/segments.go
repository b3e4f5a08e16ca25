package lane

import (
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

// lent is the rows of a batch in the hands of gRPC, as the pool that their segments go back to: once the last of them is written to the
// connection, what they hold of the budget is given back. Until the batch is settled its records alone count, which is half of it.
type lent struct {
	budget   *Budget
	segments atomic.Int64
	charge   atomic.Int64
}

var _ mem.BufferPool = (*lent)(nil)

// lend notes what the rows hold of the budget. All segments are counted.
func (l *lent) lend(charge int64) {
	l.charge.Store(charge)
	if l.segments.Load() == 0 {
		l.settle()
	}
}

// settle gives back what is still held. It is called when the batch ends, too: gRPC promises no Put for what it could not send.
func (l *lent) settle() { l.budget.Release(l.charge.Swap(0)) }

// Get implements mem.BufferPool.
func (l *lent) Get(length int) *[]byte { return segments.Get(length) }

// Put implements mem.BufferPool.
func (l *lent) Put(s *[]byte) {
	segments.Put(s)
	if l.segments.Add(-1) == 0 {
		l.settle()
	}
}

// segmentSizes are the sizes of pooled segments: a small batch of an idle lane takes little, a large one few.
var segmentSizes = [...]int{4 << 10, 16 << 10, 64 << 10, 256 << 10}

// grown is the size of the next segment of a block that holds so many bytes: no more than that, so that hundreds of lanes with small
// batches do not hold several times what is in them.
func grown(bytes int) int {
	size := segmentSizes[0]
	for _, s := range segmentSizes[1:] {
		if s <= bytes {
			size = s
		}
	}
	return size
}

// segments is the pool of all lanes. gRPC gives the buffers back when they are written to the connection.
var segments segmentPool

type segmentPool [len(segmentSizes)]sync.Pool

// Get implements mem.BufferPool. Unlike gRPC's own pools it does not clear: rows are only ever appended.
func (p *segmentPool) Get(length int) *[]byte {
	size := length
	for i, s := range segmentSizes {
		if length > s {
			continue
		}
		if b, ok := p[i].Get().(*[]byte); ok {
			*b = (*b)[:length]
			return b
		}
		size = s
		break
	}
	b := make([]byte, length, size)
	return &b
}

// Put implements mem.BufferPool. A segment that a row outgrew is left to the garbage collector.
func (p *segmentPool) Put(s *[]byte) {
	if i := slices.Index(segmentSizes[:], cap(*s)); i >= 0 {
		p[i].Put(s)
	}
}
