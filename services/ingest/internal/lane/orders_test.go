package lane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A pause says until when it lasts, who wanted it, and why, where somebody has said why.
func TestPauseInWords(t *testing.T) {
	p := Pause{Until: time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600)), By: "alice"}
	const want = "paused until 2026-03-01T11:00:00Z by alice"
	if got := p.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.Reason = "maintenance"
	if got := p.String(); got != want+": maintenance" {
		t.Errorf("%q", got)
	}
}

// Whoever says what the lane knows already wakes nobody; all else does: a first pause, one that differs, and the end of
// one.
func TestWhatIsNewWakes(t *testing.T) {
	at := time.Now().Add(time.Hour)
	hour := &Pause{Until: at, By: "alice", Reason: "maintenance"}
	same := *hour
	longer := same
	longer.Until = at.Add(time.Hour)
	for name, test := range map[string]struct {
		was, is *Pause
		news    bool
	}{
		"no pause, and still none": {nil, nil, false},
		"a pause":                  {nil, hour, true},
		"the same pause":           {hour, &same, false},
		"a longer one":             {hour, &longer, true},
		"its end":                  {hour, nil, true},
	} {
		l := &Lane{}
		l.Pause(test.was)
		_, changed := l.orders.paused(time.Now())
		_, again := l.orders.paused(time.Now()) // whoever asks takes it from nobody
		woken := 0
		l.orders.wakes(func() { woken++ })
		woken = 0
		l.Pause(test.is)
		for _, c := range []<-chan struct{}{changed, again} {
			select {
			case <-c:
				if !test.news {
					t.Errorf("%s: it is reported as news", name)
				}
			default:
				if test.news {
					t.Errorf("%s: it is not reported", name)
				}
			}
		}
		if woken != map[bool]int{true: 1}[test.news] {
			t.Errorf("%s: the owner was woken %d times", name, woken)
		}
		if p, _ := l.orders.paused(time.Now()); (p == nil) != (test.is == nil) || p != nil && *p != *test.is {
			t.Errorf("%s: %v holds", name, p)
		}
	}
}

// Who comes to own a call is woken at once for an order that came before, and for none else.
func TestAnOrderFromBeforeWakes(t *testing.T) {
	for name, order := range map[string]func(*Lane){
		"":      func(*Lane) {},
		"pause": func(l *Lane) { l.Pause(pauseForAnHour()) },
		"again": func(l *Lane) { l.Again("contracts were loaded again") },
	} {
		l := &Lane{}
		order(l)
		l.orders.wakes(nil) // nobody owns one
		woken := 0
		l.orders.wakes(func() { woken++ })
		if woken != map[bool]int{true: 1}[name != ""] {
			t.Errorf("%q: woken %d times", name, woken)
		}
	}
}

// A lane that rests logs it once, however often its pause is moved, and that it goes on, unless its claim has ended.
// One that is not paused logs nothing.
func TestARestIsLoggedOnce(t *testing.T) {
	for name, test := range map[string]struct {
		paused  bool
		ends    bool // the claim, before the pause does
		lines   [2]int
		goesOn  bool
		resting time.Duration
	}{
		"no pause":                {lines: [2]int{0, 0}, goesOn: true},
		"a pause":                 {paused: true, lines: [2]int{1, 1}, goesOn: true, resting: 3 * time.Hour},
		"a pause, and no claim":   {paused: true, ends: true, lines: [2]int{1, 0}, resting: 2 * time.Hour},
		"no pause, and no claim ": {ends: true, lines: [2]int{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, log := laneAt(&spot{}, nil)
				log.Take()
				ctx, end := context.WithCancel(t.Context())
				defer end()
				switch {
				case test.paused:
					l.Pause(pauseForAnHour())
					time.AfterFunc(time.Minute, func() {
						p := pauseForAnHour()
						p.Until = p.Until.Add(2*time.Hour - time.Minute)
						l.Pause(p)
					})
					if test.ends {
						time.AfterFunc(2*time.Hour, end)
					}
				case test.ends:
					end()
				}
				began := time.Now()
				goesOn := l.rest(ctx)
				if rested := time.Since(began); goesOn != test.goesOn || rested != test.resting {
					t.Errorf("goes on %v, after %v", goesOn, rested)
				}
				lines := [2]int{log.Count("lane paused"), log.Count("lane goes on after a pause")}
				if lines != test.lines {
					t.Errorf("%v lines, want %v: %s", lines, test.lines, log.String())
				}
			})
		})
	}
}

// A lane that begins with a pause says where it stands; one that knows already does not ask, and what the group does
// not tell leaves it unknown.
func TestWhereaboutsOfALaneThatRests(t *testing.T) {
	for name, test := range map[string]struct {
		known, committed int64
		failed           error
		want             int64
	}{
		"not known":                 {-1, 7, nil, 7},
		"known":                     {3, 7, nil, 3},
		"known to be the first":     {0, 7, nil, 0},
		"nothing is committed":      {-1, -1, nil, -1},
		"the first one":             {-1, 0, nil, 0},
		"the group says nothing":    {-1, 7, io.ErrNoProgress, -1},
		"known, and it would fail ": {0, 7, io.ErrNoProgress, 0},
	} {
		l, _ := laneAt(&failing{position: test.committed, committed: test.failed}, nil)
		l.board.moved(test.known, -1)
		l.whereabouts(t.Context())
		if got := l.board.snapshot().Position; got != test.want {
			t.Errorf("%s: at %d, want %d", name, got, test.want)
		}
	}
}

// What an order interrupts before the call is open is no fault: nothing is logged, and the next turn comes at once.
// What breaks by itself is, whatever was ordered meanwhile, and so is I/O that was cancelled without an order.
func TestAfterATurn(t *testing.T) {
	for name, test := range map[string]struct {
		ordered bool
		err     error
		fault   bool
	}{
		"paused":                        {true, fmt.Errorf("await a writer: %w", errPaused), false},
		"again":                         {true, fmt.Errorf("await a writer: %w", errAgain), false},
		"cancelled":                     {true, fmt.Errorf("commit: %w", context.Canceled), false},
		"cancelled by gRPC":             {true, status.Error(codes.Canceled, "context canceled"), false},
		"broken as well":                {true, io.ErrUnexpectedEOF, true},
		"cancelled without an order":    {false, fmt.Errorf("commit: %w", context.Canceled), true},
		"cancelled by gRPC without one": {false, status.Error(codes.Canceled, "context canceled"), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, log := laneAt(&spot{}, nil)
				l.board.enter(Opening)
				turn, over := l.orders.turn(t.Context())
				defer over()
				if test.ordered {
					l.Again("contracts were loaded again")
				}
				log.Take()
				l.afterCall(t.Context(), turn, false, test.err)
				ended, state := outcomeStopped, Opening
				if test.fault {
					ended, state = outcomeBroken, Waiting
				}
				if n := testutil.ToFloat64(l.Metrics.opens.WithLabelValues("orders", string(ended))); n != 1 {
					t.Errorf("%v calls ended as %s", n, ended)
				}
				if got := l.board.snapshot().State; got != state {
					t.Errorf("the lane is %s", got)
				}
				logged := log.Take()
				if strings.Contains(logged, "lane broke") != test.fault || !test.fault && logged != "" {
					t.Errorf("log: %s", logged)
				}
			})
		})
	}
}

// A call that was given up ends with the reason for that, and so does what was under way then; all else is told as it
// is.
func TestWhyACallEnds(t *testing.T) {
	cancelled := fmt.Errorf("commit: %w", context.Canceled)
	byGRPC := status.Error(codes.Canceled, "context canceled")
	for name, test := range map[string]struct {
		given bool
		err   error
		want  error
	}{
		"given up":                      {true, cancelled, errGiven},
		"given up, as gRPC has it":      {true, byGRPC, errGiven},
		"broken, and given up":          {true, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		"ended in order":                {true, nil, nil},
		"cancelled, not given up":       {false, cancelled, cancelled},
		"cancelled by gRPC, not by us ": {false, byGRPC, byGRPC},
	} {
		c := quietCall(t)
		ctx, give := context.WithCancelCause(t.Context())
		if c.ctx = ctx; test.given {
			give(errGiven)
		}
		if err := c.why(test.err); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err := c.lookAround(); errors.Is(err, errGiven) != test.given || err != nil && !test.given {
			t.Errorf("%s: who looks around is told %v", name, err)
		}
		give(nil)
	}
}
