package sink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// script drives a queue by hand. Commands:
//
//	open rows=N [limit=BYTES] [default]
//	                                 a queue for a stream that holds N rows, or for a default one; rows are 10 bytes
//	append id=I rows=N [size=BYTES]  one Append, of rows that take so many bytes each
//	run                              do what the queue asks for until it waits, connecting at once
//	ok [at=N]                        the oldest request is written, at the offset it was sent for or at another; -1 is
//	                                 none
//	reject KIND [args]               the oldest request is rejected, the connection stays
//	lose KIND [args]                 the connection ends; [shared]: one that other queues had requests on
//	resume                           go on after refused rows
//	sleep D                          time passes
//
// KIND is a kind of fault; args are uncertain, expected=N, received=N, limit=N, rows=(I,J).
type script struct {
	queue *queue
	now   time.Time
	out   strings.Builder
}

func TestQueueScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/queue", func(t *testing.T, path string) {
		s := &script{now: time.Unix(0, 0)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			s.command(t, d)
			s.results()
			if s.out.Len() == 0 {
				return "ok\n"
			}
			return s.out.String()
		})
	})
}

func (s *script) command(t *testing.T, d *datadriven.TestData) {
	q := s.queue
	switch d.Cmd {
	case "open":
		var rows int64
		limit := 1000
		d.ScanArgs(t, "rows", &rows)
		d.MaybeScanArgs(t, "limit", &limit)
		s.queue = newQueue(rows, limit, 0, func() float64 { return 0 })
		s.queue.repeats = d.HasArg("default")
	case "append":
		var id uint64
		var rows int
		d.ScanArgs(t, "id", &id)
		d.ScanArgs(t, "rows", &rows)
		size := 10
		d.MaybeScanArgs(t, "size", &size)
		block := make([][]byte, rows)
		for i := range block {
			block[i] = []byte(fmt.Sprintf("%03d.%0*d", id, size-6, i)) // and two bytes of framing
		}
		q.append(id, rows, frame(block...))
	case "run":
		s.run()
	case "ok":
		offset := q.end
		if q.repeats {
			offset = -1
		}
		d.MaybeScanArgs(t, "at", &offset)
		if p := q.reply(&reply{offset: offset}, s.now); p != nil {
			fmt.Fprintf(&s.out, "written %d rows, end %d\n", p.rows, q.end)
		}
	case "reject":
		if p := q.reply(&reply{offset: -1, fault: scanFault(t, d)}, s.now); p != nil {
			fmt.Fprintf(&s.out, "written %d rows, end %d\n", p.rows, q.end)
		}
	case "lose":
		q.down(scanFault(t, d), s.now)
	case "resume":
		q.resume()
	case "sleep":
		step, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(step)
	default:
		t.Fatalf("unknown command %s", d.Cmd)
	}
}

func (s *script) run() {
	for {
		step := s.queue.next(s.now)
		s.results()
		switch step.do {
		case doSend:
			fmt.Fprintf(&s.out, "send %d rows of %d at %d\n", step.piece.rows, step.piece.batch.id, step.offset)
		case doConnect:
			fmt.Fprintln(&s.out, "connect")
			s.queue.up()
		case doStop:
			fmt.Fprintln(&s.out, "stop")
			return
		default:
			if !step.until.IsZero() {
				fmt.Fprintf(&s.out, "wait %s\n", step.until.Sub(s.now))
			}
			return
		}
	}
}

func (s *script) results() {
	for _, r := range s.queue.results {
		switch {
		case r.Err != nil:
			known := ""
			if errors.Is(r.Err, lane.ErrFinalized) || errors.Is(r.Err, lane.ErrStreamGone) ||
				errors.Is(r.Err, errInDoubt) {
				known = "known, "
			}
			fmt.Fprintf(&s.out, "result %d: %serror: %v\n", r.ID, known, r.Err)
		case len(r.Refused) > 0:
			fmt.Fprintf(&s.out, "result %d: written %d, refused", r.ID, r.Written)
			for _, row := range r.Refused {
				fmt.Fprintf(&s.out, " %d", row.Row)
			}
			fmt.Fprintln(&s.out)
		default:
			fmt.Fprintf(&s.out, "result %d: written %d\n", r.ID, r.Written)
		}
	}
	s.queue.results = nil
}

func scanFault(t *testing.T, d *datadriven.TestData) *fault {
	f := &fault{kind: -1, code: "CODE", text: "text", expected: -1, received: -1}
	for k, name := range kindNames {
		if strings.ReplaceAll(name, " ", "-") == d.CmdArgs[0].Key {
			f.kind = kind(k)
		}
	}
	if f.kind < 0 {
		t.Fatalf("unknown kind %s", d.CmdArgs[0].Key)
	}
	f.uncertain, f.shared = d.HasArg("uncertain"), d.HasArg("shared")
	d.MaybeScanArgs(t, "expected", &f.expected)
	d.MaybeScanArgs(t, "received", &f.received)
	d.MaybeScanArgs(t, "limit", &f.limit)
	for _, arg := range d.CmdArgs {
		if arg.Key == "rows" {
			for i := range arg.Vals {
				var row int
				arg.Scan(t, i, &row)
				f.rows = append(f.rows, lane.RefusedRow{Row: row})
			}
		}
	}
	return f
}
