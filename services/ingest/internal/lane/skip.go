package lane

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// mostSkips is how many orders to skip a record a lane keeps.
const mostSkips = 100

// ErrSettled says that a record is settled: nothing can be changed about it any more.
var ErrSettled = errors.New("it is settled already")

// skip is an order to skip one record.
type skip struct {
	// why is said in the dead letter.
	why string
	// became is what the record became; BecameUnseen while the lane has not met it.
	became Became
}

// Became is what became of a record that was to be skipped.
type Became string

// What becomes of such a record.
const (
	// BecameLetter: it was left out; its dead letter says why.
	BecameLetter Became = "letter"
	// BecameRow: its row was in the table before the order could reach it.
	BecameRow Became = "row"
	// BecameNothing: its contracts ignore it.
	BecameNothing Became = "nothing"
	// BecameUnseen: the lane has passed the offset without meeting the record. It was settled before the order reached
	// it, it was left out before, or there is no record at this offset.
	BecameUnseen Became = ""
)

// Skip orders that the record at an offset becomes a dead letter in place of a row; why is said there. The lane settles
// what it has sent, and opens anew with the order. It holds until the lane opens behind the record, or the claim ends:
// a call that breaks before its position is committed is followed by one that meets the record again. ErrSettled when
// the record is settled. Safe for concurrent use.
func (l *Lane) Skip(offset int64, why string) error {
	o := &l.orders
	o.mu.Lock()
	defer o.mu.Unlock()
	switch position := l.board.positionNow(); {
	case position > offset:
		return ErrSettled
	case o.skips[offset] != nil:
		return nil
	case len(o.skips) >= mostSkips:
		return fmt.Errorf("%d records of the lane are to be skipped already, which is the most: reset the group to "+
			"the first offset that is good instead", mostSkips)
	}
	skips := make(map[int64]*skip, len(o.skips)+1) // the reader may hold the last one
	maps.Copy(skips, o.skips)
	skips[offset] = &skip{why: why}
	o.skips = skips
	o.opensAgain("an operator skips a record")
	return nil
}

// Skipped is what became of a record that was to be skipped, once it is settled; settled is false until then. What the
// group has not committed may still be undone: where this process dies, whoever opens the lane next has no such order.
func (l *Lane) Skipped(offset int64) (became Became, settled bool) {
	o := &l.orders
	o.mu.Lock()
	defer o.mu.Unlock()
	if l.board.positionNow() <= offset {
		return "", false
	}
	if s := o.skips[offset]; s != nil {
		became = s.became
	}
	return became, true
}

// toSkip are the orders of now, for a call that opens at a committed position: those before it are done with, and
// forgotten. The map is never changed.
func (o *orders) toSkip(from int64) map[int64]*skip {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := maps.Clone(o.skips)
	maps.DeleteFunc(left, func(at int64, _ *skip) bool { return at < from })
	o.skips = left
	return left
}

// becomes says what has become of a record that was to be skipped.
func (o *orders) becomes(s *skip, became Became) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.became = became
}

// positionNow is the next offset not yet settled; -1 before it is known.
func (b *board) positionNow() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status.Position
}

// prepare has contracts made ready for records, but for one that is to be skipped: what is wrong with it may be what
// its contract waits for. skips is nil while rows are to be dropped: what counts as a row, Prepare may have to learn.
func (r *reading) prepare(ctx context.Context, records []record.Record, waits func(string)) (grown bool, err error) {
	from := 0
	for i := range records {
		if len(r.skips) == 0 {
			break
		}
		if r.skips[records[i].Offset] == nil {
			continue
		}
		if grown, err = r.lane.Contracts.Prepare(ctx, records[from:i], waits); grown || err != nil {
			return grown, err
		}
		from = i + 1
	}
	return r.lane.Contracts.Prepare(ctx, records[from:], waits)
}
