package sink

import (
	"fmt"
	"time"

	"github.com/waybill-data/waybill/pkg/mutant"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// ours decides whether rows that exist at the piece's offset are the piece itself, written by a request whose answer was lost.
func (q *queue) ours(p *piece, offset int64, f *fault) error {
	end := offset + int64(p.rows)
	if mutant.AlreadyExists { // whoever wrote them, and however many
		return nil
	}
	switch {
	case p.fate == fresh:
		return fmt.Errorf("%w: rows [%d, %d) sent for the first time are there already: %w", lane.ErrForeignRows, offset, end, f)
	case f.expected > offset && f.expected < end: // a request is written whole or not at all
		return fmt.Errorf("%w: rows [%d, %d) sent again are there in part: %w", lane.ErrForeignRows, offset, end, f)
	case f.expected < end:
		return fmt.Errorf("rows [%d, %d) sent again are there in part, or BigQuery does not say how many: %w", offset, end, f)
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
		q.retry(now)
		q.renew = q.renew || f.kind == renew
		if f.uncertain {
			for _, p := range q.pieces {
				if p.tried {
					p.fate = max(p.fate, uncertain)
				}
			}
		}
	case refused:
		q.refuse(f.rows, f)
	case suspect:
		if p.rows > 1 {
			p.fate, p.tried = fresh, false // An older copy would be rejected as well.
			q.split(0, p.rows/2)
			return
		}
		q.refuse([]lane.RefusedRow{{Code: f.code, Message: f.text}}, f)
	case tooLarge:
		if p.rows > 1 {
			q.learn(f, p.data.Len())
			return
		}
		q.refuse([]lane.RefusedRow{{Code: "ROW_TOO_LARGE", Message: f.text}}, f)
	case beyond:
		if q.repeats {
			q.fail(f)
			return
		}
		if f.expected >= q.end {
			q.retry(now)
			return
		}
		q.fail(fmt.Errorf("the stream has lost rows: %d were confirmed: %w", q.end, f))
	case finalized:
		q.fail(fmt.Errorf("%w: %w", lane.ErrFinalized, f))
	case gone:
		if q.end == 0 && !q.started.IsZero() && now.Before(q.started.Add(q.grace())) {
			q.retry(now)
			q.renew = true
			return
		}
		q.fail(fmt.Errorf("%w: %w", lane.ErrStreamGone, f))
	default:
		q.fail(f)
	}
}

// retry holds everything back for a while.
func (q *queue) retry(now time.Time) {
	pause := backoff(q.attempts, q.jitter())
	q.attempts++
	q.hold = now.Add(pause)
	if mutant.RewindOrder { // the first goes again behind those that were under way with it, as a client that retries each on its own sends it
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
	q.connected, q.opening, q.renew, q.draining, q.behind = false, false, false, 0, nil
	if draining > 0 && q.shifted && !q.repeats {
		q.fail(fmt.Errorf("%w: %w", errAdrift, f))
		return
	}
	if len(q.pieces) == 0 {
		// Idle streams are closed by BigQuery after ten minutes. The next Append connects.
		return
	}
	switch {
	case f.kind == exists && draining == 0 && !q.repeats:
		q.existed(f, out)
	case f.kind == finalized || f.kind == gone || f.kind == fatal || out == 1 && draining == 0:
		// Either whose fault it is does not matter, or it can only be that of the one request under way.
		q.reject(f, now)
	default:
		if f.kind == tooLarge {
			q.learn(f, q.largest(out))
		}
		q.solo = f.kind != again && f.kind != renew
		q.retry(now)
	}
	if q.err != nil {
		return
	}
	if q.attempts == 0 {
		q.retry(now)
	}
	for _, p := range q.pieces {
		if p.tried && (out > 0 || draining > 0) && !q.repeats {
			p.fate = adrift
		}
	}
}

// existed acts on an ALREADY_EXISTS that ended the connection while the first `out` pieces were under way.
func (q *queue) existed(f *fault, out int) {
	at := q.end
	for i, p := range q.pieces[:out] {
		if at == f.received {
			if err := q.ours(p, at, f); err != nil {
				q.fail(err)
			} else if i == 0 {
				q.sent = 1
				q.accept()
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
