package lane

import (
	"errors"
	"fmt"
	"math"
	"slices"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// replay is what Opened says of the records after the position: how many rows of each route are in its table already,
// and which records an earlier owner has left out.
type replay struct {
	remaining []uint64 // by route
	pending   uint64   // their sum
	leftOut   []int64  // ascending, those at or after the next offset
}

func newReplay(opened *lanev1.Opened, routes int, position int64) (replay, error) {
	r := replay{remaining: make([]uint64, routes), leftOut: opened.GetLeftOut()}
	for _, p := range opened.GetReplay() {
		if int(p.GetRoute()) >= routes {
			return r, violation("replay names route %d of %d", p.GetRoute(), routes)
		}
		r.remaining[p.GetRoute()] += p.GetRows()
		r.pending += p.GetRows()
	}
	if !slices.IsSorted(r.leftOut) {
		return r, violation("left-out offsets are not ascending")
	}
	if len(r.leftOut) > 0 && r.leftOut[0] < position {
		return r, violation("left-out offset %d lies before the position %d", r.leftOut[0], position)
	}
	return r, nil
}

// skips reports whether the record at an offset was left out. Offsets must ascend from call to call.
func (r *replay) skips(offset int64) bool {
	for len(r.leftOut) > 0 && r.leftOut[0] < offset {
		r.leftOut = r.leftOut[1:]
	}
	return len(r.leftOut) > 0 && r.leftOut[0] == offset
}

// drops reports whether the next row of a route is in its table already, and counts it.
func (r *replay) drops(route int) bool {
	if r.remaining[route] == 0 {
		return false
	}
	r.remaining[route]--
	r.pending--
	return true
}

// reach is where the partition must end at least: behind as many records as there are rows to drop and records left
// out.
func (r *replay) reach(position int64) int64 {
	end := uint64(position) + r.pending + uint64(len(r.leftOut))
	if end < r.pending || end > math.MaxInt64 {
		return math.MaxInt64
	}
	if n := len(r.leftOut); n > 0 {
		return max(int64(end), r.leftOut[n-1]+1)
	}
	return int64(end)
}

// describe lists what is still to be dropped, for an operator.
func (r *replay) describe(routes []*lanev1.Route) string {
	text := ""
	for i, n := range r.remaining {
		if n == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d of %s", n, routes[i].GetTable())
	}
	return text
}

// lostUnderReplay refuses the lane when records are gone that the replay would have to pass: with them missing,
// counting would drop the wrong rows. It is nil when they belong to a topic that is gone as well, with all that was
// to be dropped. why is what reading them failed with.
func (c *call) lostUnderReplay(why error) error {
	oldest, newest, err := c.lane.Partition.Range(c.ctx)
	switch next := c.builder.next; {
	case errors.Is(err, ErrOffsetGone):
		return nil
	case err != nil:
		return fmt.Errorf("read the offsets of the partition: %w", err)
	case oldest > next:
		return c.lane.goneUnderReplay(&c.builder.replay, next, oldest, newest)
	case newest < next:
		return c.lane.cutBack(&CutError{next, newest}, &c.builder.replay)
	default:
		return c.lane.regrown(why, &c.builder.replay, next, newest)
	}
}
