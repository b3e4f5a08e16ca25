package lane

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// quietCall is an open call without goroutines, for what its owner decides.
func quietCall(t *testing.T) *call {
	t.Helper()
	budget := NewBudget(1 << 30)
	log := slog.New(slog.DiscardHandler)
	l := &Lane{
		Config: testConfig(), Contracts: &keyContracts{}, Budget: budget,
		Metrics: NewMetrics(prometheus.NewRegistry(), budget), Weather: NewWeather("", log), Log: log,
	}
	l.metrics = l.Metrics.lane("orders")
	limits := newLimits(l.Config, &lanev1.Limits{BlockBytes: 1 << 20, WindowBytes: 4 << 20, WindowBatches: 64})
	c := &call{
		lane: l, limits: limits, first: -1, stopReading: func() {},
		committed: make(chan error, 1), lettered: make(chan error, 1), panicked: make(chan error, 3),
		chunks: make(chan chunk), messages: make(chan any),
		builder: builder{
			contracts: l.Contracts, budget: budget.Account("orders"), limits: limits, routes: 2,
			replay: replay{remaining: make([]uint64, 2)},
		},
	}
	c.ctx, c.cancel = context.WithCancel(t.Context())
	c.timer = time.NewTimer(time.Hour)
	return c
}

// taken puts records of these kinds, from the next offset on, into the batch.
func (c *call) taken(t *testing.T, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		r := &record.Record{
			Topic: "orders", Offset: c.builder.next, TimestampMicros: 1000 + c.builder.next, Key: []byte(kind),
			Value: []byte("v"),
		}
		c.builder.budget.add(cost(c.builder.budget, r)) // which is the reader's to pay
		if taken, err := c.builder.take(r, time.Now()); !taken || err != nil {
			t.Fatal(taken, err)
		}
	}
	c.builder.balance()
}

// sends flushes the batch, and says that it is on its way.
func (c *call) sends(t *testing.T, kinds ...string) *batch {
	t.Helper()
	c.taken(t, kinds...)
	c.flush()
	for !c.batches.empty() {
		c.batches.pop()
	}
	return c.window.at(c.window.count - 1)
}

func says(m any) received {
	r := &lanev1.LaneResponse{}
	switch m := m.(type) {
	case *lanev1.Opened:
		r.Message = &lanev1.LaneResponse_Opened{Opened: m}
	case *lanev1.Settled:
		r.Message = &lanev1.LaneResponse_Settled{Settled: m}
	case *lanev1.Checkpoint:
		r.Message = &lanev1.LaneResponse_Checkpoint{Checkpoint: m}
	case *lanev1.Refused:
		r.Message = &lanev1.LaneResponse_Refused{Refused: m}
	case *lanev1.Closed:
		r.Message = &lanev1.LaneResponse_Closed{Closed: m}
	}
	return received{response: r}
}

func rows(pairs ...uint32) (out []*lanev1.RefusedRow) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, &lanev1.RefusedRow{Route: pairs[i], Row: pairs[i+1], Code: "C", Message: "no"})
	}
	return out
}

// refused is a call that has learned that the first row of a route is refused.
func refused(route uint32) func(*call) {
	return func(c *call) { _ = c.refused(&lanev1.Refused{Sequence: 1, Rows: rows(route, 0)}) }
}

// The end of the call has its kind, and is no response of the writer.
func TestCallEnds(t *testing.T) {
	c := quietCall(t)
	if _, err := c.handle(received{err: io.EOF}); !errors.Is(err, errEarlyEnd) {
		t.Errorf("an end without Closed: %v", err)
	}
	if _, err := c.handle(received{err: status.Error(codes.Aborted, "again")}); status.Code(err) != codes.Aborted ||
		errors.Is(err, errEarlyEnd) {
		t.Errorf("a broken call: %v", err)
	}
	if _, err := c.handle(received{err: status.Error(codes.FailedPrecondition, "stop")}); outcomeOf(
		err) != outcomeFatal {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := c.handle(received{err: status.Error(codes.Unimplemented, "what")}); outcomeOf(err) != outcomeFatal {
		t.Errorf("no writer: %v", err)
	}
	if outcomeOf(nil) != outcomeClosed || outcomeOf(ErrFenced) != outcomeFenced || outcomeOf(errGone) != outcomeGone ||
		outcomeOf(io.EOF) != outcomeBroken {
		t.Error("outcomes")
	}
}

// What no honest writer says ends the call, with a text that says what it was; what is just within bounds does not.
func TestWordsOutOfPlace(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(c *call)
		word    any
		want    string
	}{
		"settled":           {nil, &lanev1.Settled{Sequence: 1, Position: 2}, ""},
		"settled, the next": {nil, &lanev1.Settled{Sequence: 2, Position: 4}, "Settled 2 where 1 is next"},
		"settled elsewhere": {nil, &lanev1.Settled{Sequence: 1, Position: 3}, "Settled 1 at position 3, sent as 2"},
		"settled at a barrier": {
			func(c *call) { c.ledger.newest.Position = 2 }, &lanev1.Settled{Sequence: 1, Position: 2}, "",
		},
		"settled behind a barrier": {
			func(c *call) { c.ledger.newest.Position = 3 }, &lanev1.Settled{Sequence: 1, Position: 2},
			"a barrier was at 3 already",
		},
		"settled before LeftOut": {
			func(c *call) { c.window.front().refusals = 1 }, &lanev1.Settled{Sequence: 1, Position: 2},
			"before its refusal was confirmed",
		},
		"settled nothing": {
			func(c *call) { c.window.pop(); c.window.pop() }, &lanev1.Settled{Sequence: 1},
			"Settled 1 with an empty window",
		},
		"barrier": {nil, &lanev1.Checkpoint{Barrier: 1, Position: 4}, ""},
		"barrier at the position": {
			func(c *call) { c.ledger.newest.Position = 2 }, &lanev1.Checkpoint{Barrier: 1, Position: 2}, "",
		},
		"barrier behind": {
			func(c *call) { c.ledger.newest.Position = 2 }, &lanev1.Checkpoint{Barrier: 1, Position: 1},
			"outside of 2 to 4",
		},
		"barrier beyond": {nil, &lanev1.Checkpoint{Barrier: 1, Position: 5}, "outside of 0 to 4"},
		"barrier twice": {
			func(c *call) { c.ledger.barrier = 1 }, &lanev1.Checkpoint{Barrier: 1, Position: 4},
			"barrier 1 where 2 is next",
		},
		"refused": {nil, &lanev1.Refused{Sequence: 2, Rows: rows(1, 0)}, ""},
		"refused, not sent": {
			nil, &lanev1.Refused{Sequence: 3, Rows: rows(0, 0)}, "Refused 3, which is not in the window",
		},
		"refused no rows": {nil, &lanev1.Refused{Sequence: 1}, "Refused 1 without rows"},
		"refused another row": {
			nil, &lanev1.Refused{Sequence: 1, Rows: rows(0, 1)}, "names row 1 of route 0, which was not sent",
		},
		"refused another route": {
			nil, &lanev1.Refused{Sequence: 1, Rows: rows(5, 0)}, "names row 0 of route 5, which was not sent",
		},
		"refused twice in a message": {
			nil, &lanev1.Refused{Sequence: 1, Rows: rows(0, 0, 0, 0)}, "names row 0 of route 0 again",
		},
		"refused in two messages": {refused(1), &lanev1.Refused{Sequence: 1, Rows: rows(0, 0)}, ""},
		"refused again": {
			refused(0), &lanev1.Refused{Sequence: 1, Rows: rows(1, 0, 0, 0)}, "names row 0 of route 0 again",
		},
		"closed":         {func(c *call) { c.closing = true }, &lanev1.Closed{Position: 4}, ""},
		"closed unasked": {nil, &lanev1.Closed{Position: 4}, "without a half-close"},
		"closed elsewhere": {
			func(c *call) { c.closing = true }, &lanev1.Closed{Position: 3}, "everything sent ends at 4",
		},
		"nothing": {nil, nil, "of a kind that this version does not know"},
		"opened":  {nil, &lanev1.Opened{}, "Opened is out of place"},
	} {
		t.Run(name, func(t *testing.T) {
			c := quietCall(t)
			c.sends(t, "a", "b")
			c.sends(t, "a", "b")
			if test.prepare != nil {
				test.prepare(c)
			}
			closed, err := c.handle(says(test.word))
			if test.want == "" && (err != nil || closed != (name == "closed")) ||
				test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("closed %v, %v; want %q", closed, err, test.want)
			}
		})
	}
}

// The first record not settled is the oldest of what is at hand, wherever it is.
func TestFirstUnsettled(t *testing.T) {
	c := quietCall(t)
	want := func(micros int64) {
		t.Helper()
		if got := c.firstUnsettled(); got != micros {
			t.Errorf("%d, want %d", got, micros)
		}
	}
	want(-1)
	c.part.records = []record.Record{{TimestampMicros: 1}, {TimestampMicros: 9}}
	want(1)
	c.next = 1
	want(9)
	c.builder.batch = &batch{first: 8}
	want(8)
	c.held = &batch{first: 7}
	want(7)
	c.window.push(&batch{first: 6, sequence: 1})
	c.window.push(&batch{first: 66})
	want(6)
	c.part, c.next, c.builder.batch, c.held = chunk{}, 0, nil, nil
	want(6)
	c.window.pop()
	c.window.pop()
	want(-1)
}

// Barriers are confirmed one by one once their checkpoint is committed, and after the half-close not any more.
func TestBarriersAreConfirmed(t *testing.T) {
	for _, closing := range []bool{false, true} {
		c := quietCall(t)
		c.sends(t, "a")
		for n := range uint64(3) {
			if _, err := c.handle(says(&lanev1.Checkpoint{Barrier: n + 1, Position: 1})); err != nil {
				t.Fatal(err)
			}
		}
		c.ledger.await()
		c.closing = closing
		if err := c.barrierCommitted(nil); err != nil {
			t.Fatal(err)
		}
		var responded []uint64
		for !c.control.empty() {
			responded = append(responded, c.control.pop().(*lanev1.LaneRequest).GetDurable().GetBarrier())
		}
		want := []uint64{1, 2, 3}
		if closing {
			want = nil
		}
		if diff := cmp.Diff(want, responded); diff != "" {
			t.Errorf("closing %v (-want +got):\n%s", closing, diff)
		}
	}
	c := quietCall(t)
	c.ledger.inFlight, c.ledger.covered = true, 1
	if err := c.barrierCommitted(io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) || !c.control.empty() {
		t.Errorf("a failed commit: %v; confirmed %v", err, !c.control.empty())
	}
}

// After the production of dead letters its batch goes on, or its refusal is confirmed; while the call drains, a batch
// that waited for them is given up, and nothing is said of it.
func TestLettersAreProduced(t *testing.T) {
	canceled := errors.Join(errors.New("abandoned"), context.Canceled)
	for name, test := range map[string]struct {
		draining, refused bool
		err               error
		want              error
		held, sent        bool
		leftOut           []int64
		letters           uint64
	}{
		"held":                        {sent: true, letters: 1},
		"held, failed":                {err: io.ErrNoProgress, want: io.ErrNoProgress, held: true},
		"held, draining":              {draining: true},
		"held, draining, abandoned":   {draining: true, err: canceled},
		"held, draining, failed":      {draining: true, err: io.ErrNoProgress, want: io.ErrNoProgress},
		"refused":                     {refused: true, leftOut: []int64{0, 1}, letters: 2},
		"refused, draining":           {refused: true, draining: true, leftOut: []int64{0, 1}, letters: 2},
		"refused, draining, canceled": {refused: true, draining: true, err: canceled, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			c := quietCall(t)
			if test.refused {
				b := c.sends(t, "a", "b")
				if _, err := c.handle(says(&lanev1.Refused{Sequence: 1, Rows: rows(1, 0, 0, 0)})); err != nil ||
					b.refusals != 1 {
					t.Fatal(err, b.refusals)
				}
			} else {
				c.taken(t, "nobody", "a")
				c.flush()
			}
			c.lettering, c.abandonLetters, c.draining = true, func() {}, test.draining
			err := c.lettersProduced(test.err)
			if !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if c.lettering || len(c.letters) != 0 || (c.held != nil) != test.held {
				t.Errorf("lettering %v, %d to produce, held %v", c.lettering, len(c.letters), c.held != nil)
			}
			if (!c.batches.empty()) != test.sent {
				t.Errorf("sent %v", !c.batches.empty())
			}
			var offsets []int64
			for !c.control.empty() {
				offsets = append(offsets, c.control.pop().(*lanev1.LaneRequest).GetLeftOut().GetOffsets()...)
			}
			if diff := cmp.Diff(test.leftOut, offsets); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			if n := c.lane.board.snapshot().DeadLetters; n != test.letters {
				t.Errorf("%d dead letters", n)
			}
			if test.draining && !test.refused && c.lane.Budget.Used() != 0 {
				t.Errorf("%d bytes are not given back", c.lane.Budget.Used())
			}
		})
	}
}

// A notice is on the board with the time that the writer gives, or that of its coming, and counts once for the weather
// while its cause stays.
func TestNotice(t *testing.T) {
	c := quietCall(t)
	l := c.lane
	storms := func() (lanes int) {
		for _, s := range l.Weather.storms {
			lanes += s.total
		}
		return lanes
	}
	since := time.Now().Add(-time.Hour)
	l.notice(&lanev1.Notice{Cause: "quota", Since: timestamppb.New(since)})
	if s := l.board.snapshot(); s.WaitingFor != "quota" || !s.WaitingSince.Equal(since) || storms() != 1 {
		t.Errorf("%q since %v, %d", s.WaitingFor, s.WaitingSince, storms())
	}
	l.notice(&lanev1.Notice{Cause: "quota", Text: "still"})
	if s := l.board.snapshot(); s.WaitingFor != "quota: still" || time.Since(s.WaitingSince) > time.Minute ||
		storms() != 1 {
		t.Errorf("%q since %v, %d", s.WaitingFor, s.WaitingSince, storms())
	}
	l.notice(&lanev1.Notice{Cause: "outage"})
	if s := l.board.snapshot(); s.WaitingFor != "outage" || len(l.Weather.storms) != 1 ||
		l.Weather.storms["outage"] == nil {
		t.Errorf("%q, storms %v", s.WaitingFor, l.Weather.storms)
	}
	for _, over := range []*lanev1.Notice{nil, {Text: "rows are taken again"}, nil} {
		l.notice(over)
		if s := l.board.snapshot(); s.WaitingFor != "" || len(l.Weather.storms) != 0 {
			t.Errorf("%q, storms %v", s.WaitingFor, l.Weather.storms)
		}
	}
}
