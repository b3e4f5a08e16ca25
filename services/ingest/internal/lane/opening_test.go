package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/pkg/logging/logtest"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// wideContracts are those of a topic whose tables take more to describe than a writer takes.
type wideContracts struct{ *keyContracts }

func (w wideContracts) Routes() []*lanev1.Route {
	routes := w.keyContracts.Routes()
	routes[0].Table = strings.Repeat("t", lanewire.MaxControl)
	return routes
}

// A lane whose tables take more to describe than a writer takes is refused before a writer is asked, with what to do.
func TestOpeningOfTooManyTables(t *testing.T) {
	conn := opens()
	l, _ := laneAt(&spot{position: 3, newest: 9}, conn)
	l.Contracts = wideContracts{l.Contracts.(*keyContracts)}
	c, err := l.open(t.Context())
	var fatal *fatalError
	if c != nil || !errors.As(err, &fatal) ||
		!strings.Contains(err.Error(), "give some of its types a topic of their own") {
		t.Errorf("%v, %v", c, err)
	}
	if conn.ctx != nil {
		t.Error("a writer was asked")
	}
}

// What takes exactly as much as a writer takes is sent.
func TestOpeningOfAsManyTablesAsFit(t *testing.T) {
	for over := range 2 {
		conn := opens()
		var request *lanev1.LaneRequest
		conn.message = func(m any) { request, _ = m.(*lanev1.LaneRequest) }
		l, _ := laneAt(&spot{position: 3, newest: 9}, conn)
		if _, _, err := l.openCall(t.Context(), Pair{Position: 3, Checkpoint: "c"}); err != nil {
			t.Fatal(err)
		}
		free := lanewire.MaxControl - proto.Size(request)
		// A longer length takes more bytes itself: of the checkpoint's, and of the message's around it.
		for checkpoint := free - 8; ; checkpoint++ {
			request.GetOpen().Checkpoint = strings.Repeat("c", checkpoint)
			if proto.Size(request) == lanewire.MaxControl+over {
				break
			}
			if proto.Size(request) > lanewire.MaxControl+over {
				t.Fatalf("no checkpoint makes the message %d bytes long", lanewire.MaxControl+over)
			}
		}
		_, _, err := l.openCall(t.Context(), Pair{Position: 3, Checkpoint: request.GetOpen().GetCheckpoint()})
		if refused := errors.As(err, new(*fatalError)); refused != (over > 0) {
			t.Errorf("%d bytes too many: %v", over, err)
		}
	}
}

// An opening that comes to nothing says why, leaves its place, and leaves no call behind; a lane is open only when the
// writer has learned that its checkpoint is durable.
func TestOpeningComesToNothing(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *spot, c *fakeConn, p *placeOnce, l *Lane)
		want   error
		says   string
		called bool // there is a call, which must have ended
	}{
		"no place": {func(_ *spot, _ *fakeConn, p *placeOnce, _ *Lane) { p.err = errGiven }, errGiven, "", false},
		"no offsets": {
			func(s *spot, _ *fakeConn, _ *placeOnce, _ *Lane) { s.bounds = io.ErrNoProgress }, io.ErrNoProgress, "",
			false,
		},
		"open not sent": {
			func(_ *spot, c *fakeConn, _ *placeOnce, _ *Lane) { c.send = failAt(0, io.ErrClosedPipe) },
			io.ErrClosedPipe, "", true,
		},
		"not committed": {
			func(s *spot, _ *fakeConn, _ *placeOnce, _ *Lane) { s.commit = io.ErrNoProgress }, io.ErrNoProgress,
			"commit the opening", true,
		},
		"not durable": {
			func(_ *spot, c *fakeConn, _ *placeOnce, _ *Lane) { c.send = failAt(1, io.ErrClosedPipe) },
			io.ErrClosedPipe, "", true,
		},
		"ended meanwhile": {func(_ *spot, c *fakeConn, _ *placeOnce, _ *Lane) {
			c.send, c.end = failAt(1, io.EOF), status.Error(codes.Aborted, "fenced")
		}, nil, "fenced", true},
		"given up": {func(_ *spot, _ *fakeConn, p *placeOnce, _ *Lane) {
			p.bound = func(context.Context) error { return errGiven }
		}, errGiven, "the call was given up", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, conn, p := &spot{position: 3, newest: 9}, opens(), &placeOnce{}
				l, _ := laneAt(s, conn)
				l.Placer = p
				test.change(s, conn, p, l)
				c, err := l.open(t.Context())
				if c != nil || err == nil || test.want != nil && !errors.Is(err, test.want) ||
					!strings.Contains(err.Error(), test.says) {
					t.Errorf("%v, %v", c, err)
				}
				if ended := len(p.ended); name == "no place" && ended != 0 ||
					name != "no place" && (ended != 1 || !errors.Is(p.ended[0], err)) {
					t.Errorf("the place ended with %v", p.ended)
				}
				if name == "no place" && len(s.commits) > 0 {
					t.Error("something was committed without a place")
				}
				if (conn.ctx != nil) != test.called || test.called && conn.ctx.Err() == nil {
					t.Errorf("there was a call: %v", conn.ctx)
				}
				if state := l.board.snapshot().State; state == Open {
					t.Error("the lane is open")
				}
			})
		})
	}
}

// failAt fails one message of a call.
func failAt(n int, err error) func(int) error {
	return func(i int) error {
		if i == n {
			return err
		}
		return nil
	}
}

// A panic in an opening leaves the place and the call as an error does.
func TestOpeningPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, p := opens(), &placeOnce{}
		l, _ := laneAt(&spot{position: 3, newest: 9, committing: func() { panic("a fault") }}, conn)
		l.Placer = p
		if _, err := l.carry(t.Context(), t.Context()); err == nil || outcomeOf(err) != outcomeFatal {
			t.Errorf("%v", err)
		}
		if len(p.ended) != 1 || conn.ctx.Err() == nil || p.base.Err() == nil {
			t.Errorf("the place ended %d times, the call: %v", len(p.ended), conn.ctx.Err())
		}
	})
}

// A claim that ends while its lane opens cancels the call, whatever it was at; what went wrong before is told all the
// same.
func TestClaimEndsInAnOpening(t *testing.T) {
	for name, test := range map[string]struct {
		commit error
		late   bool // the claim ends when the lane is open already
		bound  bool // the claim ends while the writer has not opened the lane
		want   error
	}{
		"in the handshake":             {bound: true, want: context.Canceled},
		"in a commit":                  {want: context.Canceled},
		"in a commit that fails":       {commit: io.ErrNoProgress, want: io.ErrNoProgress},
		"when all is done, as it were": {late: true, want: context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancel(t.Context())
				defer end()
				conn, p, s := opens(), &placeOnce{}, &spot{position: 3, newest: 9, commit: test.commit}
				conn.send = func(n int) error {
					if n == 1 && !test.late {
						synctest.Wait()
						return conn.ctx.Err()
					}
					return nil
				}
				l, _ := laneAt(s, conn)
				l.Placer = p
				switch {
				case test.late:
					l.Log = slog.New(&hooked{new(logtest.Log).Logger().Handler(), "lane open", end})
				case test.bound:
					p.bound = func(context.Context) error { end(); synctest.Wait(); return nil }
					conn.responses, conn.end = nil, status.Error(codes.Canceled, "context canceled")
				default:
					s.committing = end
				}
				_, err := l.open(ctx)
				if !errors.Is(err, test.want) && status.Code(err) != codes.Canceled || err == nil ||
					strings.Contains(err.Error(), "given up") {
					t.Errorf("%v, want %v", err, test.want)
				}
				if test.commit != nil && !errors.Is(err, test.commit) {
					t.Errorf("%v, want %v", err, test.commit)
				}
				synctest.Wait()
				if len(p.ended) != 1 || conn.ctx.Err() == nil {
					t.Errorf("the place ended %d times, the call: %v", len(p.ended), conn.ctx.Err())
				}
			})
		})
	}
}

// Where retention has passed the position nothing is read: the call is opened, so that older owners are fenced, and
// drains at once.
func TestNothingIsReadWhereRecordsAreGone(t *testing.T) {
	for name, test := range map[string]struct {
		oldest int64
		gone   bool
	}{"the first record": {3, false}, "passed by one": {4, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &spot{position: 3, oldest: test.oldest, newest: 9}
				reads := 0
				s.reading = func() { reads++ }
				conn := opens()
				conn.end = status.Error(codes.Unavailable, "that is all")
				l, _ := laneAt(s, conn)
				c, err := l.open(t.Context())
				if err != nil || c.gone != test.gone {
					t.Fatalf("gone %v, %v", c.gone, err)
				}
				c.begin()
				synctest.Wait()
				if c.draining != test.gone || (reads == 0) != test.gone {
					t.Errorf("drains %v, %d reads", c.draining, reads)
				}
				c.cancel()
				c.stopReading()
				c.timer.Stop()
				c.goroutines.Wait()
			})
		})
	}
}

// Without a position of the topic at hand the lane starts by its policy, says why it may not, and counts it where one
// was lost.
func TestStart(t *testing.T) {
	other := &OtherTopicError{Position: 7, Was: "old", Is: "new"}
	for name, test := range map[string]struct {
		reset     Reset
		other     bool
		bounds    error
		want      int64
		says      string
		lost      float64
		committed int64
	}{
		"a position":         {reset: Earliest, committed: 5, want: 5},
		"none, from the end": {reset: Latest, committed: -1, want: 9},
		"none, and no policy": {
			reset: None, committed: -1, says: "group g has committed no position for orders/3 and auto_offset_reset " +
				"is none",
		},
		"no offsets":       {reset: Earliest, committed: -1, bounds: io.ErrNoProgress, says: "read the offsets"},
		"of another topic": {reset: Earliest, other: true, want: 2, lost: 1},
		"of none, no policy": {
			reset: None, other: true, says: "orders/3: the committed position 7 belongs to the topic with id old",
		},
	} {
		s := &spot{position: test.committed, oldest: 2, newest: 9, bounds: test.bounds}
		l, _ := laneAt(s, opens())
		l.Config.Reset = test.reset
		if test.other {
			l.Partition = &altered{Partition: s, committed: func() error { return other }}
		}
		at, err := l.start(t.Context())
		if test.says == "" && (err != nil || at.Position != test.want) ||
			test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %+v, %v", name, at, err)
		}
		if lost := testutil.ToFloat64(l.metrics.offsetResets); lost != test.lost {
			t.Errorf("%s: %v positions are lost", name, lost)
		}
	}
}

// A writer that is away is what the weather knows of, unless a placer knows who serves.
func TestAWriterThatIsAway(t *testing.T) {
	for _, placed := range []bool{false, true} {
		conn := opens()
		conn.responses, conn.end = nil, status.Error(codes.Unavailable, "going")
		l, _ := laneAt(&spot{}, conn)
		if placed {
			l.Placer = &placeOnce{}
		}
		_, _, err := l.openCall(t.Context(), Pair{})
		if status.Code(err) != codes.Unavailable || errors.Is(err, errAway) == placed ||
			(l.Weather.back() != nil) == placed {
			t.Errorf("placed %v: %v, away %v", placed, err, l.Weather.back() != nil)
		}
	}
}

// What an operator is told of a log that was cut back names rows to be dropped only where there are any.
func TestCutBackNamesWhatIsToBeDropped(t *testing.T) {
	l, _ := laneAt(&spot{}, nil)
	for _, test := range []struct {
		r     *replay
		named bool
	}{
		{nil, false},
		{&replay{remaining: []uint64{0, 0}}, false},
		{&replay{remaining: []uint64{0, 2}, pending: 2}, true},
	} {
		err := l.cutBack(&CutError{10, 7}, test.r)
		if got := strings.Contains(err.Error(), "are in the tables as well (2 of b)"); got != test.named ||
			strings.Contains(err.Error(), "as well ()") {
			t.Errorf("%+v: %v", test.r, err)
		}
	}
}

// A position that the partition holds stays; one that retention has passed moves by the policy, in a commit.
func TestResetPosition(t *testing.T) {
	for name, test := range map[string]struct {
		position int64
		reset    Reset
		commit   error
		want     []Pair
		err      error
		says     string
	}{
		"the first record":   {4, Earliest, nil, nil, ErrOffsetGone, "offsets 4 to 9 are in the partition"},
		"passed, to the top": {3, Earliest, nil, []Pair{{4, ""}}, nil, ""},
		"passed, to the end": {3, Latest, nil, []Pair{{9, ""}}, nil, ""},
		"passed, and no way": {3, None, nil, nil, nil, "auto_offset_reset is none"},
		"not committed": {
			3, Earliest, io.ErrNoProgress,
			[]Pair{{4, ""}},
			io.ErrNoProgress,
			"commit the reset position",
		},
	} {
		s := &spot{oldest: 4, newest: 9, commit: test.commit}
		l, _ := laneAt(s, nil)
		l.Config.Reset = test.reset
		err := l.resetPosition(t.Context(), test.position)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) ||
			test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %v", name, err)
		}
		if fmt.Sprint(s.commits) != fmt.Sprint(test.want) {
			t.Errorf("%s: committed %v", name, s.commits)
		}
	}
}

// Records that are gone under a replay refuse the lane: what is missing before the next one is a gap, what is missing
// behind it a cut. Where the topic is gone as well, so is what was to be dropped.
func TestRecordsGoneUnderReplay(t *testing.T) {
	for name, test := range map[string]struct {
		oldest, newest int64
		err            error
		says           string
	}{
		"a gap":             {6, 9, nil, "counting over the gap"},
		"no gap":            {5, 5, nil, "was cut back"},
		"a cut":             {0, 3, nil, "was cut back"},
		"the topic is gone": {0, 0, fmt.Errorf("%w: no such topic", ErrOffsetGone), ""},
	} {
		c := quietCall(t)
		c.lane.Partition = &spot{oldest: test.oldest, newest: test.newest, bounds: test.err}
		c.builder.next, c.builder.replay.pending, c.builder.replay.remaining[0] = 5, 2, 2
		err := c.receiveChunk(chunk{err: ErrOffsetGone})
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		if test.says == "" && (!c.gone || !c.draining) {
			t.Errorf("%s: gone %v, drains %v", name, c.gone, c.draining)
		}
	}
}
