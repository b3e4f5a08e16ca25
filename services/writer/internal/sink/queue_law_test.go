package sink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// model is BigQuery as the laws of the queue see it: offset rules, row errors, and connections whose requests may still
// arrive after the client has given them up.
type model struct {
	rows []uint32
	// bad rows are refused; listed says whether their refusal lists them.
	bad    map[uint32]bool
	listed bool
	limit  int
	// wire are the requests of the present connection; orphans those of lost ones, which arrive in order within each.
	wire    []sent
	orphans [][]sent
	// done are requests of the present connection that BigQuery has acted on and not yet confirmed.
	responses []*reply
}

type sent struct {
	offset int64
	rows   []uint32
	size   int
}

// act does what BigQuery does with a request. A lenient frontend takes rows that the others refuse: it knows of a
// relaxed column already.
func (m *model) act(s sent, lenient bool) *reply {
	end := int64(len(m.rows))
	switch {
	case s.size > m.limit:
		return &reply{fault: &fault{kind: tooLarge, code: "INVALID_ARGUMENT", text: "request too large"}}
	case s.offset < end:
		return &reply{fault: &fault{kind: exists, expected: end, received: s.offset}}
	case s.offset > end:
		return &reply{fault: &fault{kind: beyond, expected: end, received: s.offset}}
	}
	var refusals []lane.RefusedRow
	for i, row := range s.rows {
		if m.bad[row] && !lenient {
			refusals = append(refusals, lane.RefusedRow{Row: i})
		}
	}
	switch {
	case len(refusals) > 0 && m.listed:
		return &reply{fault: &fault{kind: refused, rows: refusals[:1+len(refusals)/2]}}
	case len(refusals) > 0:
		return &reply{fault: &fault{kind: suspect}}
	}
	m.rows = append(m.rows, s.rows...)
	return &reply{offset: s.offset}
}

func numbered(first uint32, n int) mem.BufferSlice {
	var rows [][]byte
	for i := range n {
		rows = append(rows, binary.BigEndian.AppendUint32(nil, first+uint32(i)))
	}
	return frame(rows...)
}

func numbers(data mem.BufferSlice) []uint32 {
	var rows []uint32
	for b := data.Materialize(); len(b) > 0; {
		_, _, n := protowire.ConsumeTag(b)
		row, m := protowire.ConsumeBytes(b[n:])
		rows = append(rows, binary.BigEndian.Uint32(row))
		b = b[n+m:]
	}
	return rows
}

// Whatever is lost, delayed, refused or cut: rows are in the stream once, in order, results come in order and tell the
// truth. The queue may end by itself only where rows would have had to move while their copies were inDoubt.
func TestQueueKeepsOrderAndLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			bad: map[uint32]bool{}, listed: rapid.Bool().Draw(t, "listed"),
			limit: rapid.IntRange(6, 60).Draw(t, "limit"),
		}
		q := newQueue(0, rapid.IntRange(6, 60).Draw(t, "believed limit"), 0, func() float64 { return 0 })
		now := time.Unix(0, 0)
		var next uint32
		var appended []int
		refusedRows := map[uint32]bool{}
		firsts := []uint32{}
		var settled uint64
		paused := false
		take := func() {
			for _, r := range q.results {
				if r.ID != settled {
					t.Fatalf("result for %d, want %d", r.ID, settled)
				}
				if r.Err != nil {
					continue
				}
				for _, row := range r.Refused {
					n := firsts[r.ID] + uint32(row.Row)
					if !m.bad[n] || refusedRows[n] {
						t.Fatalf("row %d refused: bad %v, refused before %v", n, m.bad[n], refusedRows[n])
					}
					if slices.ContainsFunc(m.rows, func(have uint32) bool { return have > n }) {
						t.Fatalf("rows behind refused row %d are written: %v", n, m.rows)
					}
					refusedRows[n] = true
					paused = true
				}
				if len(r.Refused) == 0 {
					want := 0
					for i := range appended[r.ID] {
						if !refusedRows[firsts[r.ID]+uint32(i)] {
							want++
						}
					}
					if r.Written != want {
						t.Fatalf("result %d: written %d, want %d", r.ID, r.Written, want)
					}
					settled++
				}
			}
			q.results = nil
		}
		step := func() {
			switch s := q.next(now); s.do {
			case doSend:
				m.wire = append(m.wire, sent{s.offset, numbers(s.piece.data), s.piece.data.Len()})
			case doConnect:
				if len(m.wire) > 0 {
					m.orphans = append(m.orphans, m.wire)
				}
				m.wire, m.responses = nil, nil
				q.up()
			default:
				now = s.until
			}
			take()
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				if len(appended)-int(settled) > 5 {
					return
				}
				n := rapid.IntRange(1, 6).Draw(t, "rows")
				for i := range n {
					m.bad[next+uint32(i)] = rapid.IntRange(0, 9).Draw(t, "bad") == 0
				}
				q.append(uint64(len(appended)), n, numbered(next, n))
				appended, firsts = append(appended, n), append(firsts, next)
				next += uint32(n)
				take()
			},
			"step": func(*rapid.T) { step() },
			"act": func(*rapid.T) {
				if len(m.wire) > 0 {
					m.responses, m.wire = append(m.responses, m.act(m.wire[0], false)), m.wire[1:]
				}
			},
			"reply": func(t *rapid.T) {
				if len(m.responses) == 0 || !q.connected {
					return
				}
				r := m.responses[0]
				m.responses = m.responses[1:]
				if rapid.IntRange(0, 9).Draw(t, "unclear") == 0 {
					r = &reply{fault: &fault{kind: again, uncertain: true, expected: -1, received: -1}}
				}
				q.reply(r, now)
				take()
			},
			"lose": func(*rapid.T) {
				if !q.connected {
					return
				}
				if len(m.wire) > 0 {
					m.orphans = append(m.orphans, m.wire)
				}
				m.wire, m.responses = nil, nil
				q.down(&fault{kind: renew, uncertain: true}, now)
				take()
			},
			"end": func(*rapid.T) {
				// The response ends the connection; what is behind it on the wire is given up by BigQuery as well.
				if !q.connected || len(m.responses) == 0 || m.responses[len(m.responses)-1].fault == nil {
					return
				}
				last := m.responses[len(m.responses)-1]
				for _, r := range m.responses[:len(m.responses)-1] {
					q.reply(r, now)
					take()
				}
				m.wire, m.responses = nil, nil
				if q.connected {
					q.down(last.fault, now)
					take()
				}
			},
			"orphan": func(t *rapid.T) {
				if len(m.orphans) == 0 {
					return
				}
				i := rapid.IntRange(0, len(m.orphans)-1).Draw(t, "connection")
				m.act(m.orphans[i][0], rapid.Bool().Draw(t, "lenient"))
				if m.orphans[i] = m.orphans[i][1:]; len(m.orphans[i]) == 0 {
					m.orphans = slices.Delete(m.orphans, i, i+1)
				}
			},
			"resume": func(*rapid.T) {
				if paused {
					paused = false
					q.resume()
				}
			},
			"": func(t *rapid.T) {
				// The stream is what was appended, in order, without refused rows, up to some row.
				want := uint32(0)
				for _, row := range m.rows {
					for refusedRows[want] {
						want++
					}
					if row != want { // refused rows are not in it either
						t.Fatalf("stream holds %v, want row %d (refused: %v)", m.rows, want, refusedRows)
					}
					want++
				}
				if int64(len(m.rows)) < q.end {
					t.Fatalf("%d rows confirmed, %d written", q.end, len(m.rows))
				}
				size := 0
				for _, p := range q.pieces {
					size += p.data.Len()
				}
				if size != q.bytes {
					t.Fatalf("%d bytes counted, %d queued", q.bytes, size)
				}
			},
		})
		// Left alone with a BigQuery that works, it finishes.
		for i := 0; q.err == nil && len(q.pieces) > 0; i++ {
			if i > 5000 {
				t.Fatalf("does not finish: %s", describe(q))
			}
			if paused {
				paused = false
				q.resume()
			}
			step()
			for len(m.wire) > 0 {
				m.responses, m.wire = append(m.responses, m.act(m.wire[0], false)), m.wire[1:]
			}
			for len(m.responses) > 0 && q.connected && q.err == nil {
				r := m.responses[0]
				m.responses = m.responses[1:]
				q.reply(r, now)
				take()
			}
		}
		if q.err == nil && settled != uint64(len(appended)) {
			t.Fatalf("%d of %d settled", settled, len(appended))
		}
		if q.err != nil && !errors.Is(q.err, errInDoubt) {
			t.Fatalf("ended: %v", q.err)
		}
	})
}

func describe(q *queue) string {
	return fmt.Sprintf("end %d, %d pieces, %d sent, %d draining, paused %v, connected %v", q.end, len(q.pieces), q.sent,
		q.draining, q.paused, q.connected)
}
