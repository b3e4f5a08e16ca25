package source

import "sync/atomic"

// prefetch is the byte budget that the readers of one generation share. Nothing is reserved: an idle reader holds nothing, and what one
// reader may hold depends on how much all of them do.
//
// With n claims and a budget of B bytes a fetch asks for at most B/4n a partition (within the configured bounds), and a reader stops
// fetching at B/4n when the budget is half used, else at B/4. What is held is then at most about B, plus what decompression adds to the
// fetches under way.
type prefetch struct {
	total   int64
	floor   int64
	records int
	held    atomic.Int64
}

// minFetch keeps fetches useful however many claims there are. A broker returns one whole batch even if it is larger.
const minFetch = 32 << 10

func newPrefetch(total, fetch int64, records, claims int) (*prefetch, int32) {
	share := total / int64(4*max(claims, 1))
	size := max(min(share, fetch), minFetch)
	return &prefetch{total: total, floor: max(share, minFetch), records: records}, int32(size)
}

// full says that a reader holding this much should stop fetching.
func (p *prefetch) full(bytes int64, records int) bool {
	return records >= p.records || bytes >= p.high()
}

// low says that a reader holding this much should fetch again. The gap between full and low keeps pauses rare, and is kept small because
// a paused client takes a moment to fetch again.
func (p *prefetch) low(bytes int64, records int) bool {
	return records <= p.records*3/4 && bytes <= p.high()*3/4
}

func (p *prefetch) high() int64 {
	if p.held.Load() >= p.total/2 {
		return p.floor
	}
	return max(p.total/4, p.floor)
}
