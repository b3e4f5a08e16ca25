package lane

import (
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/waybill-data/waybill/pkg/lanewire"
)

// transit is the rows of a batch in the hands of gRPC, as the pool that their segments go back to: once the last of
// them is written to the connection, what they hold of the budget is given back. Until the batch is settled its records
// alone count, which is half of it.
type transit struct {
	budget   *Account
	segments atomic.Int64
	charge   atomic.Int64
}

var _ mem.BufferPool = (*transit)(nil)

// hold notes what the rows hold of the budget. All segments are counted, and none is in other hands yet.
func (t *transit) hold(charge int64) { t.charge.Store(charge) }

// settle gives back what is still held. It is called when the batch ends, too: gRPC promises no Put for what it could
// not send.
func (t *transit) settle() { t.budget.Release(t.charge.Swap(0)) }

// Get implements mem.BufferPool.
func (t *transit) Get(length int) *[]byte { return lanewire.Buffers.Get(length) }

// Put implements mem.BufferPool.
func (t *transit) Put(s *[]byte) {
	lanewire.Buffers.Put(s)
	if t.segments.Add(-1) == 0 {
		t.settle()
	}
}

// The sizes of segments: a small batch of an idle lane takes little, a large one few.
const (
	smallestSegment = 4 << 10
	largestSegment  = 256 << 10
)

// grown is the size of the next segment of a block that holds so many bytes: no more than that, so that hundreds of
// lanes with small batches do not hold several times what is in them. It is one of those that lanewire.Buffers keeps.
func grown(bytes int) int {
	size := smallestSegment
	for size < largestSegment && 4*size <= bytes {
		size *= 4
	}
	return size
}
