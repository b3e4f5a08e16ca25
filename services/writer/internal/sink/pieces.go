package sink

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// errAdrift ends a queue that would have to move rows to other offsets while older copies of them may still reach BigQuery over a
// lost connection. Opening the lane again fences the stream, which settles the question.
var errAdrift = errors.New("rows were refused while appends over a lost connection may still arrive; open the lane again")

// split cuts piece i behind its first n rows. The rows stay at their offsets.
func (q *queue) split(i, n int) {
	p := q.pieces[i]
	first, rest, err := lanewire.SplitRows(p.data, n)
	if err != nil {
		q.fail(fmt.Errorf("split a batch: %w", err))
		return
	}
	front, back := *p, *p
	front.data, front.rows = first, n
	back.data, back.rows, back.start = rest, p.rows-n, p.start+n
	if p.index != nil {
		front.index, back.index = p.index[:n], p.index[n:]
	}
	p.batch.left++
	p.data.Free()
	q.pieces = append(q.pieces, nil)
	copy(q.pieces[i+2:], q.pieces[i+1:])
	q.pieces[i], q.pieces[i+1] = &front, &back
}

// fitting is how many of the piece's rows to put in a request, judged by their mean size; at least 1 and not all.
func (q *queue) fitting(p *piece) int {
	parts := (p.data.Len() + q.limit - 1) / q.limit
	return max(1, min(p.rows-1, p.rows/parts))
}

// learn lowers the request limit so far that what was rejected, of the given size, is split.
func (q *queue) learn(f *fault, size int) {
	if size == 0 {
		return
	}
	limit := f.limit - q.overhead
	if limit <= 0 || limit >= size {
		limit = size * 3 / 4
	}
	q.limit = max(1, min(q.limit, limit))
}

// largest is the size of the largest of the first n pieces.
func (q *queue) largest(n int) int {
	size := 0
	for _, p := range q.pieces[:n] {
		size = max(size, p.data.Len())
	}
	return size
}

// refuse takes the rows, by index in the first piece, out of it, reports them, and waits for Resume. None of the piece is written,
// so nothing behind it is either.
func (q *queue) refuse(rows []lane.RefusedRow, f *fault) {
	p := q.pieces[0]
	drop := make([]int, 0, len(rows))
	listed := make([]lane.RefusedRow, 0, len(rows))
	last := -1
	for _, row := range sorted(rows) {
		if row.Row <= last || row.Row >= p.rows {
			continue
		}
		last = row.Row
		drop = append(drop, row.Row)
		row.Row = p.position(row.Row)
		listed = append(listed, row)
	}
	if len(drop) == 0 {
		q.fail(fmt.Errorf("BigQuery refused rows that were not sent: %w", f))
		return
	}
	for _, behind := range q.pieces[1:] {
		if behind.fate == adrift {
			q.fail(fmt.Errorf("%w: %w", errAdrift, f))
			return
		}
		behind.fate, behind.tried = fresh, false
	}
	rest, err := lanewire.DropRows(p.data, drop)
	if err != nil {
		q.fail(fmt.Errorf("take refused rows out of a batch: %w", err))
		return
	}
	kept := make([]int, 0, p.rows-len(drop))
	for i, next := 0, drop; i < p.rows; i++ {
		if len(next) > 0 && next[0] == i {
			next = next[1:]
			continue
		}
		kept = append(kept, p.position(i))
	}
	q.bytes -= p.data.Len() - rest.Len()
	p.data.Free()
	p.data, p.rows, p.index, p.fate, p.tried = rest, len(kept), kept, fresh, false
	q.paused, q.shifted = true, q.draining > 0
	q.attempts = 0
	q.results = append(q.results, lane.Result{ID: p.batch.id, Refused: listed, Written: p.batch.written})
}

// position is the index in its batch of a row of the piece.
func (p *piece) position(row int) int {
	if p.index != nil {
		return p.index[row]
	}
	return p.start + row
}

// sorted orders rows by index; BigQuery promises no order.
func sorted(rows []lane.RefusedRow) []lane.RefusedRow {
	slices.SortStableFunc(rows, func(a, b lane.RefusedRow) int { return cmp.Compare(a.Row, b.Row) })
	return rows
}
