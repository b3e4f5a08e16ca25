package sink

import (
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/mutant"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

const (
	// maxNoResults is how often in a row a response may say nothing before the lane is opened again, which counts the
	// rows.
	maxNoResults = 3
	// maxUnknown bounds the back-off from what BigQuery does not know yet, or does not allow yet: each try is one small
	// request.
	maxUnknown = 2 * time.Second
	// deniedGrace is how long BigQuery may deny a table that stands: a permission just given takes a while to be known.
	deniedGrace = 30 * time.Second
	// carefulFor is how long requests to a table go one at a time after bad rows have ended a connection, and its good
	// rows with it.
	carefulFor = 10 * time.Minute
	// codeRowTooLarge is the code of a row that no request can hold.
	codeRowTooLarge = "ROW_TOO_LARGE"
	roleRemedy      = "give the writer's account roles/bigquery.dataEditor on the dataset"
)

// ours decides whether rows that exist at the piece's offset are the piece itself, written by a request whose response
// was lost.
func (q *queue) ours(p *piece, offset int64, f *fault) error {
	end := offset + int64(p.rows)
	if mutant.AlreadyExists { // whoever wrote them, and however many
		return nil
	}
	switch {
	case p.fate == fresh:
		return fmt.Errorf("%w: rows [%d, %d) sent for the first time are there already: %w", lane.ErrForeignRows,
			offset, end, f)
	case f.expected > offset && f.expected < end: // a request is written whole or not at all
		return fmt.Errorf("%w: rows [%d, %d) sent again are there in part: %w", lane.ErrForeignRows, offset, end, f)
	case f.expected < end:
		return fmt.Errorf("rows [%d, %d) sent again are there in part, or BigQuery does not say how many: %w", offset,
			end, f)
	case f.expected > q.high:
		return fmt.Errorf("%w: only rows up to %d were ever sent: %w", lane.ErrForeignRows, q.high, f)
	}
	return nil
}

// rewind goes back to the first piece not known to be written.
func (q *queue) rewind() { q.sent, q.at = 0, q.end }

// reject acts on a fault of the first piece. Nothing is under way any more but what is draining.
func (q *queue) reject(f *fault, now time.Time) {
	p := q.pieces[0]
	switch f.kind {
	case again, renew:
		if f.code == codeNoResult && q.attempts >= maxNoResults {
			q.fail(f)
			return
		}
		q.retry(now, maxBackoff)
		q.renew = f.kind == renew
		if f.uncertain {
			q.doubt()
		}
	case refused:
		q.refuse(f.rows, f)
	case suspect:
		switch {
		case p.fate != fresh:
			q.fail(fmt.Errorf("%w: %w", errInDoubt, f)) // It would end with a refused row.
		case p.rows > 1:
			p.tried = false
			q.split(0, p.rows/2)
		default:
			q.single(f.code, f)
		}
	case tooLarge:
		if p.rows > 1 {
			q.learn(f, p.data.Len(), now)
			p.tried = p.fate != fresh
			q.split(0, min(p.rows/2, fitting(p, q.limit.at(now))))
			return
		}
		if size := p.data.Len(); size > q.limit.at(now) || f.limit > 0 && size+q.overhead > f.limit {
			q.refuse([]lane.RefusedRow{{Code: codeRowTooLarge, Message: f.text}}, f)
			return
		}
		q.single(codeRowTooLarge, f) // Which is hard to believe of a row of that size.
	case beyond:
		if q.repeats {
			q.fail(loud(f))
			return
		}
		if f.expected >= q.end {
			q.retry(now, maxBackoff)
			return
		}
		q.fail(fmt.Errorf("the stream has lost rows: %d were confirmed: %w", q.end, f))
	case finalized:
		q.fail(fmt.Errorf("%w: %w", lane.ErrFinalized, f))
	case gone:
		if q.waits(f, now) {
			q.retry(now, maxUnknown)
			q.renew = true
			return
		}
		q.fail(fmt.Errorf("%w: %w", lane.ErrStreamGone, f))
	case denied:
		if q.waits(f, now) {
			if q.barred.IsZero() {
				q.barred = now
			}
			q.retry(now, maxUnknown)
			q.renew = true
			return
		}
		q.fail(loud(f))
	default:
		q.fail(loud(f))
	}
}

// waits reports whether a fault that is not transient may pass all the same, because BigQuery does not know yet what it
// should.
func (q *queue) waits(f *fault, now time.Time) bool {
	switch f.kind {
	case gone:
		return q.end == 0 && now.Before(q.started.Add(q.grace()))
	case denied:
		return q.barred.IsZero() || now.Before(q.barred.Add(deniedGrace))
	default:
		return false
	}
}

// loud is the error of a fault that neither time nor another owner heals: it stops the lane, and tells an operator.
func loud(f *fault) error {
	if f.kind == denied {
		return &halt{codes.PermissionDenied, f.Error() + "; " + roleRemedy + ", or see whether the table was deleted"}
	}
	return &halt{codes.FailedPrecondition, f.Error()}
}

// halt is an error that stops a lane loudly. To gRPC it is a status.
type halt struct {
	code codes.Code
	text string
}

func (h *halt) Error() string { return h.text }

// GRPCStatus is what package status looks for.
func (h *halt) GRPCStatus() *status.Status { return status.New(h.code, h.text) }

// retry holds everything back for a while, at most for the time given.
func (q *queue) retry(now time.Time, most time.Duration) {
	pause := min(most, backoff(q.attempts, q.jitter()))
	q.attempts++
	q.hold = now.Add(pause)
	// the first goes again behind those that were under way with it, as a client that retries each on its own sends it
	if mutant.RewindOrder {
		n := 0
		for n < len(q.pieces) && q.pieces[n].tried {
			n++
		}
		if n > 1 {
			first := q.pieces[0]
			copy(q.pieces, q.pieces[1:n])
			q.pieces[n-1] = first
		}
	}
}

// down reports that the connection ended, or could not be made, with a fault.
func (q *queue) down(f *fault, now time.Time) {
	if q.err != nil {
		return
	}
	out, draining := q.sent, q.draining
	q.rewind()
	q.connected, q.renew, q.draining, q.behind = false, false, 0, nil
	if q.shifted && !q.repeats {
		q.fail(fmt.Errorf("%w: %w", errInDoubt, f))
		return
	}
	if len(q.pieces) == 0 {
		// Idle streams are closed by BigQuery after ten minutes. The next Append connects.
		return
	}
	switch {
	case f.kind == exists && draining == 0 && !q.repeats:
		q.existed(f, out, now)
	case f.kind == finalized || f.kind == gone || f.kind == denied:
		q.reject(f, now) // Whose fault it is does not matter.
	case f.shared:
		q.private = !f.transient()
		q.retry(now, maxBackoff)
	case f.kind == fatal || out == 1:
		// It does not matter either, or it can only be that of the one request under way.
		q.reject(f, now)
	default:
		if f.kind == tooLarge {
			q.learn(f, q.largest(out), now)
		}
		if q.solo = !f.transient(); q.solo {
			q.careful = now.Add(carefulFor)
		}
		q.retry(now, maxBackoff)
	}
	if q.attempts == 0 {
		q.retry(now, maxBackoff)
	}
	for _, p := range q.pieces {
		if p.tried && (out > 0 || draining > 0) && !q.repeats {
			p.fate = inDoubt
		}
	}
}

// doubt notes that what was sent may be in the stream. On a default stream that bears on nothing.
func (q *queue) doubt() {
	if q.repeats {
		return
	}
	for _, p := range q.pieces {
		if p.tried {
			p.fate = max(p.fate, uncertain)
		}
	}
}

// dispel undoes doubt: the stream ended where the first piece was written just now, so nothing behind it was in it.
// What is in doubt may still come.
func (q *queue) dispel() {
	for _, p := range q.pieces[1:] {
		if p.fate == uncertain {
			p.fate = fresh
		}
	}
}

// existed acts on an ALREADY_EXISTS that ended the connection while the first `out` pieces were under way.
func (q *queue) existed(f *fault, out int, now time.Time) {
	at := q.end
	for i, p := range q.pieces[:out] {
		if at == f.received {
			if err := q.ours(p, at, f); err != nil {
				q.fail(err)
			} else if i == 0 {
				q.sent = 1
				q.accept(now)
				q.rewind()
			} else {
				q.solo = true
			}
			return
		}
		at += int64(p.rows)
	}
	q.fail(fmt.Errorf("rows are in the stream already, and BigQuery does not say which: %w", f))
}
