package overview

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/causes"
	"github.com/waybill-data/waybill/services/ingest/internal/freshness"
)

const (
	// cellTime is the length of a cell of a table's history, cells how many there are: a day, in 864 bytes a table.
	cellTime = 5 * time.Minute
	cells    = 24 * 12
)

// history is the states of a table. Of several states in the time of a cell it holds the worst.
type history struct {
	ring   [cells]cell
	newest int64 // number of the newest cell, counted from the epoch; 0: there is none
}

// cell is the worst state of five minutes. The zero value says that nobody looked.
type cell struct {
	seen  bool
	state freshness.State
	cause causes.Cause
}

// severity orders states: not to know, or to be paused, is worse than to be fresh, and better than to be late.
func severity(s freshness.State) int {
	return [...]int{
		freshness.Fresh: 0, freshness.Recovered: 1, freshness.Paused: 2, freshness.Unknown: 3, freshness.Late: 4,
		freshness.Stale: 5,
	}[s]
}

// note takes a look at the table.
func (h *history) note(now time.Time, state freshness.State, cause causes.Cause) {
	number := now.UnixNano() / int64(cellTime)
	if number < h.newest {
		return // the clock goes back
	}
	for skipped := max(h.newest+1, number-cells+1); h.newest > 0 && skipped <= number; skipped++ {
		h.ring[skipped%cells] = cell{}
	}
	h.newest = number
	if c := &h.ring[number%cells]; !c.seen || severity(state) >= severity(c.state) {
		*c = cell{true, state, cause}
	}
}

// intervals are the cells, those alike in one, the oldest first. Cells that nobody looked at are left out.
func (h *history) intervals() []*adminv1.StateInterval {
	var out []*adminv1.StateInterval
	var last cell
	for number := max(1, h.newest-cells+1); number <= h.newest; number++ {
		c := h.ring[number%cells]
		if c.state == freshness.Fresh || c.state == freshness.Recovered {
			c.cause = causes.Idle // what a fresh table's lanes do matters to nobody
		}
		from := time.Unix(0, number*int64(cellTime))
		switch {
		case !c.seen:
		case last == c:
			out[len(out)-1].Until = timestamppb.New(from.Add(cellTime))
		default:
			s := &adminv1.StateInterval{
				From: timestamppb.New(from), Until: timestamppb.New(from.Add(cellTime)), State: states[c.state],
			}
			if c.cause != causes.Idle {
				s.Cause = c.cause.String()
			}
			out = append(out, s)
		}
		last = c
	}
	return out
}
