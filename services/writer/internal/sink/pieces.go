package sink

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// errInDoubt ends a queue that would have to refuse rows, or to move rows to other offsets, while older copies of them
// may be in the stream or may still reach it over a lost connection. What one of BigQuery's frontends refuses another
// may take. Opening the lane again fences the stream, which settles the question.
var errInDoubt = errors.New("rows were refused while earlier appends of them are in doubt; open the lane again")

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

// fitting is how many of the piece's rows to put in a request of at most limit bytes, judged by their mean size; at
// least 1 and not all.
func fitting(p *piece, limit int) int {
	parts := (p.data.Len() + limit - 1) / limit
	return max(1, min(p.rows-1, p.rows/parts))
}

// learn lowers the request limit so far that what was rejected, of the given size, is split.
func (q *queue) learn(f *fault, size int, now time.Time) {
	limit := f.limit - q.overhead
	if limit <= 0 || limit >= size {
		limit = size * 3 / 4
	}
	q.limit.learn(limit, now)
}

// largest is the size of the largest of the first n pieces.
func (q *queue) largest(n int) int {
	size := 0
	for _, p := range q.pieces[:n] {
		size = max(size, p.data.Len())
	}
	return size
}

// maxDoubts is how many rows in a row are refused one by one without a row taken between them, and the least of a batch
// that its share is counted from; doubtShare is that share, one in so many.
const (
	maxDoubts  = 10
	doubtShare = 10
)

// single refuses the only row of the first piece, for a fault that names no row. Once that goes on for row
// after row, or for too large a share of a batch, for one and the same reason, it is BigQuery or the schema that is
// wrong and not the rows: the lane stops.
func (q *queue) single(code string, f *fault) {
	b := q.pieces[0].batch
	if reason := f.code + withoutDigits(f.text); reason != q.reason {
		q.reason, q.doubts, b.doubts = reason, 0, 0
	}
	if q.doubts >= maxDoubts || b.doubts >= max(maxDoubts, b.rows/doubtShare) {
		q.fail(&halt{
			codes.FailedPrecondition,
			fmt.Sprintf("BigQuery refused %d rows one by one for the same reason, which names no row (%v). Then it "+
				"is not the rows that are wrong: compare the table with the rows, and see whether BigQuery has an "+
				"incident. The rows refused so far are dead letters; the lane goes on by itself once BigQuery takes "+
				"rows", max(q.doubts, b.doubts), f),
		})
		return
	}
	q.doubts++
	b.doubts++
	q.refuse([]lane.RefusedRow{{Code: code, Message: f.text}}, f)
}

// withoutDigits makes two messages of one reason equal that name different offsets or values.
func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// refuse takes the rows, by index in the first piece, out of it, reports them, and waits for Resume. None of the piece
// is written, so nothing behind it is either.
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
	if p.fate != fresh {
		q.fail(fmt.Errorf("%w: %w", errInDoubt, f))
		return
	}
	for _, behind := range q.pieces[1:] {
		if behind.fate == inDoubt {
			q.fail(fmt.Errorf("%w: %w", errInDoubt, f))
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
