package sink

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// What is held back can be brought forward, and not put off.
func TestHurry(t *testing.T) {
	q := newQueue(0, 1000, 0, func() float64 { return 0 })
	now := time.Unix(0, 0)
	q.hold = now.Add(time.Minute)
	q.hurry(now.Add(time.Hour))
	if q.hold != now.Add(time.Minute) {
		t.Errorf("held until %v", q.hold)
	}
	q.hurry(now.Add(time.Second))
	if q.hold != now.Add(time.Second) {
		t.Errorf("held until %v", q.hold)
	}
}

// The first error is the one that counts, and is reported once.
func TestTheFirstErrorCounts(t *testing.T) {
	q := newQueue(0, 1000, 0, func() float64 { return 0 })
	q.append(1, 1, numbered(0, 1))
	first := errors.New("first")
	q.fail(first)
	q.fail(errors.New("second"))
	q.append(2, 1, numbered(1, 1))
	if !errors.Is(q.err, first) || len(q.results) != 1 || q.results[0].ID != 1 || !errors.Is(q.results[0].Err, first) {
		t.Errorf("%v, results %+v", q.err, q.results)
	}
	q.results = nil
	q.close()
	if s := q.next(time.Unix(0, 0)); s.do != doStop || len(q.pieces) != 0 || q.bytes != 0 {
		t.Errorf("after close: %+v", s)
	}
	// What comes after is given back, and says nothing.
	pool := &countingPool{}
	pool.out.Add(1)
	buffer := make([]byte, 4096)
	q.append(3, 2048, mem.BufferSlice{mem.NewBuffer(&buffer, pool)})
	if pool.out.Load() != 0 || len(q.results) != 0 {
		t.Errorf("%d buffers are out, results %+v", pool.out.Load(), q.results)
	}
}

// Rows that are above the limit, as it is known or as BigQuery says it, are refused however many there are: it is the
// rows. A row below it that BigQuery calls too large is hard to believe, so that has a bound.
func TestRowsTooLargeForAnyRequest(t *testing.T) {
	const size, overhead, rows = 6, 5, 3 * maxDoubts // of one row, framed; and what a request adds to it
	for _, c := range []struct {
		known, says int
		goesOn      bool
	}{
		{size - 1, 0, true},
		{size, 0, false},
		{1000, 0, false},
		{1000, size + overhead - 1, true},
		{1000, size + overhead, false},
		{1000, 999, false},
		{size - 1, 999, true},
	} {
		q := newQueue(0, c.known, overhead, func() float64 { return 0 })
		now := time.Unix(0, 0)
		refusals := 0
		for i := range rows {
			q.append(uint64(i), 1, numbered(0, 1))
			for s := q.next(now); s.do == doConnect; s = q.next(now) {
				q.up()
			}
			q.reply(&reply{
				offset: -1, fault: &fault{kind: tooLarge, code: "INVALID_ARGUMENT", text: "too large", limit: c.says},
			}, now)
			q.resume()
			q.next(now)
			for _, r := range q.results {
				refusals += len(r.Refused)
			}
			q.results = nil
		}
		want := maxDoubts
		if c.goesOn {
			want = rows
		}
		if refusals != want || (q.err == nil) != c.goesOn {
			t.Errorf("limit %d, BigQuery says %d: %d of %d rows refused, want %d: %v", c.known, c.says, refusals, rows,
				want, q.err)
		}
	}
}

// A block that is not what it says ends the queue where it would have to be cut.
func TestABlockThatCannotBeCut(t *testing.T) {
	for _, f := range []*fault{{kind: suspect}, {kind: refused, rows: []lane.RefusedRow{{Row: 0}}}} {
		q := newQueue(0, 1000, 0, func() float64 { return 0 })
		now := time.Unix(0, 0)
		q.append(1, 2, mem.BufferSlice{mem.SliceBuffer([]byte{0x0a, 200, 1})})
		q.next(now)
		q.up()
		q.next(now)
		q.reply(&reply{offset: -1, fault: f}, now)
		if q.err == nil || errors.Is(q.err, errInDoubt) || len(q.results) != 1 || q.results[0].Err == nil {
			t.Errorf("%v: %v, results %+v", f.kind, q.err, q.results)
		}
		q.close()
	}
}
