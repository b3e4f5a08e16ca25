package sink

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// defaultModel is BigQuery's default stream: no offsets, so a rejected request does not stop those behind it.
type defaultModel struct {
	rows   []uint32
	bad    map[uint32]bool
	listed bool
	limit  int
	wire   []sent
	lost   [][]sent
	// responses are of the present connection.
	responses []*reply
}

func (m *defaultModel) act(s sent, busy bool) *reply {
	var refusals []lane.RefusedRow
	for i, row := range s.rows {
		if m.bad[row] {
			refusals = append(refusals, lane.RefusedRow{Row: i})
		}
	}
	switch {
	case busy:
		return &reply{offset: -1, fault: &fault{kind: again, expected: -1, received: -1}}
	case s.size > m.limit:
		return &reply{offset: -1, fault: &fault{kind: tooLarge, code: "INVALID_ARGUMENT", text: "request too large"}}
	case len(refusals) > 0 && m.listed:
		return &reply{offset: -1, fault: &fault{kind: refused, rows: refusals[:1+len(refusals)/2]}}
	case len(refusals) > 0:
		return &reply{offset: -1, fault: &fault{kind: suspect}}
	}
	m.rows = append(m.rows, s.rows...)
	return &reply{offset: -1}
}

// Whatever is lost, refused or cut: a batch is settled once all its rows are written or refused, results come in order,
// and only rows that were unanswered when a connection was lost are written twice.
func TestDefaultQueueLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &defaultModel{
			bad: map[uint32]bool{}, listed: rapid.Bool().Draw(t, "listed"),
			limit: rapid.IntRange(6, 60).Draw(t, "limit"),
		}
		q := newQueue(0, rapid.IntRange(6, 60).Draw(t, "believed limit"), 0, func() float64 { return 0 })
		q.repeats = true
		now := time.Unix(0, 0)
		var next uint32
		var firsts []uint32
		var counts []int
		settled := 0
		refusedRows, mayRepeat := map[uint32]bool{}, map[uint32]bool{}
		paused := false
		take := func() {
			for _, r := range q.results {
				if int(r.ID) != settled || r.Err != nil {
					t.Fatalf("result %+v, want one for %d", r, settled)
				}
				for _, row := range r.Refused {
					n := firsts[r.ID] + uint32(row.Row)
					if !m.bad[n] || refusedRows[n] {
						t.Fatalf("row %d refused: bad %v, refused before %v", n, m.bad[n], refusedRows[n])
					}
					refusedRows[n], paused = true, true
				}
				if len(r.Refused) > 0 {
					continue
				}
				written := 0
				for i := range counts[r.ID] {
					n := firsts[r.ID] + uint32(i)
					have := slices.Contains(m.rows, n)
					if have == refusedRows[n] {
						t.Fatalf("batch %d is settled: row %d written %v, refused %v", r.ID, n, have, refusedRows[n])
					}
					if have {
						written++
					}
				}
				if r.Written != written {
					t.Fatalf("batch %d: says %d written, %d are", r.ID, r.Written, written)
				}
				settled++
			}
			q.results = nil
		}
		lose := func() {
			for _, s := range m.wire {
				for _, row := range s.rows {
					mayRepeat[row] = true
				}
			}
			if len(m.wire) > 0 {
				m.lost = append(m.lost, m.wire)
			}
			m.wire, m.responses = nil, nil
		}
		once := func(t *rapid.T) {
			seen := map[uint32]bool{}
			for _, row := range m.rows {
				if seen[row] && !mayRepeat[row] {
					t.Fatalf("row %d is written twice though no connection was lost with it", row)
				}
				seen[row] = true
			}
		}
		// open are requests on this connection whose response the queue has not got.
		var open []sent
		step := func() {
			switch s := q.next(now); s.do {
			case doSend:
				r := sent{0, numbers(s.piece.data), s.piece.data.Len()}
				m.wire, open = append(m.wire, r), append(open, r)
			case doConnect:
				lose()
				open = nil
				q.up()
			default:
				now = s.until
			}
			take()
		}
		reply := func() {
			r := m.responses[0]
			m.responses, open = m.responses[1:], open[1:]
			q.reply(r, now)
			take()
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				if len(counts)-settled > 5 {
					return
				}
				n := rapid.IntRange(1, 6).Draw(t, "rows")
				for i := range n {
					m.bad[next+uint32(i)] = rapid.IntRange(0, 9).Draw(t, "bad") == 0
				}
				q.append(uint64(len(counts)), n, numbered(next, n))
				counts, firsts = append(counts, n), append(firsts, next)
				next += uint32(n)
				take()
			},
			"step": func(*rapid.T) { step() },
			"act": func(t *rapid.T) {
				if len(m.wire) > 0 {
					busy := rapid.IntRange(0, 5).Draw(t, "busy") == 0
					m.responses, m.wire = append(m.responses, m.act(m.wire[0], busy)), m.wire[1:]
				}
			},
			"reply": func(*rapid.T) {
				if len(m.responses) > 0 && q.connected {
					reply()
				}
			},
			"lose": func(*rapid.T) {
				if !q.connected {
					return
				}
				for _, s := range open {
					for _, row := range s.rows {
						mayRepeat[row] = true
					}
				}
				lose()
				open = nil
				q.down(&fault{kind: renew, uncertain: true}, now)
				take()
			},
			"late": func(*rapid.T) {
				if len(m.lost) > 0 {
					m.act(m.lost[0][0], false)
					if m.lost[0] = m.lost[0][1:]; len(m.lost[0]) == 0 {
						m.lost = m.lost[1:]
					}
				}
			},
			"resume": func(*rapid.T) {
				if paused {
					paused = false
					q.resume()
				}
			},
			"": func(t *rapid.T) {
				once(t)
				size := 0
				for _, p := range q.pieces {
					size += p.data.Len()
				}
				if size != q.bytes {
					t.Fatalf("%d bytes counted, %d queued", q.bytes, size)
				}
			},
		})
		for i := 0; len(q.pieces) > 0; i++ {
			if i > 5000 || q.err != nil {
				t.Fatalf("does not finish: %s, %v", describe(q), q.err)
			}
			if paused {
				paused = false
				q.resume()
			}
			for range 3 {
				step()
			}
			for n := 0; len(m.wire) > 0; n++ {
				m.responses, m.wire = append(m.responses, m.act(m.wire[0], n == 0 && i%2 == 0)), m.wire[1:]
			}
			for len(m.responses) > 0 && q.connected {
				reply()
			}
		}
		once(t)
		if settled != len(counts) {
			t.Fatalf("%d of %d settled", settled, len(counts))
		}
	})
}
