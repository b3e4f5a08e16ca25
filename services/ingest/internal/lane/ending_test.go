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

// What the end of a call asks for: a state, a line in the log, and a pause before the next call, which is none where
// the next one is another place, or something has gone well.
func TestAfterACall(t *testing.T) {
	refusal := fatalf("an operator is needed")
	panicked := recovered("the lane", "a fault")
	noWriter := fmt.Errorf("%w: unknown service", ErrNoWriter)
	for name, test := range map[string]struct {
		progress, placed bool
		err              error
		state            State
		outcome          outcome
		says, not        string
		least, most      time.Duration
	}{
		"drained":              {progress: true, state: Open, outcome: outcomeClosed, says: "lane drained"},
		"drained, by a placer": {placed: true, state: Open, outcome: outcomeClosed, says: "lane drained"},
		"drained, again at once": {
			state: Waiting, outcome: outcomeClosed, says: "lane drained", least: brokenMin / 2, most: brokenMin,
		},
		"refused": {
			err: refusal, state: Refused, outcome: outcomeFatal, says: "needs an operator", not: "stack=",
			least: fatalMin / 2, most: fatalMin,
		},
		"refused, with a placer": {
			placed: true, err: refusal, state: Refused, outcome: outcomeFatal, says: "needs an operator",
			least: fatalMin / 2, most: fatalMin,
		},
		"panicked": {
			err: panicked, state: Refused, outcome: outcomeFatal, says: "stack=", least: fatalMin / 2, most: fatalMin,
		},
		"no writer": {
			err: noWriter, state: Refused, outcome: outcomeFatal, not: "stack=", least: fatalMin / 2, most: fatalMin,
		},
		"no writer at a place": {
			placed: true, err: noWriter, state: Waiting, outcome: outcomeFatal, says: "lane broke",
			least: brokenMin / 2, most: brokenMin,
		},
		"moved": {err: errGone, state: Open, outcome: outcomeGone},
		"broken": {
			err: io.EOF, state: Waiting, outcome: outcomeBroken, says: "lane broke", least: brokenMin / 2,
			most: brokenMin,
		},
		"away": {err: errAway, state: Waiting, outcome: outcomeBroken, not: "level=WARN"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, log := laneAt(&spot{}, nil)
				if test.placed {
					l.Placer = &placeOnce{}
				}
				l.board.enter(Open)
				began := time.Now()
				l.afterCall(t.Context(), t.Context(), test.progress, test.err)
				if took := time.Since(began); took < test.least || took > test.most {
					t.Errorf("the next call comes after %v", took)
				}
				s := l.board.snapshot()
				if s.State != test.state || test.err != nil && s.LastError != test.err.Error() {
					t.Errorf("%s, %q", s.State, s.LastError)
				}
				if n := testutil.ToFloat64(l.Metrics.opens.WithLabelValues("orders", string(test.outcome))); n != 1 {
					t.Errorf("%v calls ended so", n)
				}
				logged := log.Take()
				if !strings.Contains(logged, test.says) || test.not != "" && strings.Contains(logged, test.not) {
					t.Errorf("log: %s", logged)
				}
			})
		})
	}
}

// A claim that ends ends its lane at once, and tells of a call that did not end in order; that its own I/O was
// cancelled is in order. A claim that another member has by now ends its lane as fenced.
func TestAfterTheClaim(t *testing.T) {
	for name, test := range map[string]struct {
		err     error
		unclean bool
		ends    error
	}{
		"in order":            {nil, false, nil},
		"cancelled":           {fmt.Errorf("commit: %w", context.Canceled), false, nil},
		"cancelled by gRPC":   {status.Error(codes.Canceled, "context canceled"), false, nil},
		"not settled in time": {errors.New("not settled within the drain timeout"), true, nil},
		"fenced": {
			fmt.Errorf("commit: %w", ErrFenced), true, fmt.Errorf("%w: generation 3 follows 1", ErrFenced),
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, log := laneAt(&spot{}, nil)
			ctx, end := context.WithCancelCause(t.Context())
			end(test.ends)
			l.afterCall(ctx, ctx, false, test.err)
			outcome, state := outcomeStopped, State("")
			if test.ends != nil {
				outcome, state = outcomeFenced, Fenced
			}
			if n := testutil.ToFloat64(l.Metrics.opens.WithLabelValues("orders", string(outcome))); n != 1 {
				t.Errorf("%s: %v calls were %s", name, n, outcome)
			}
			if got := l.Status().State; got != state {
				t.Errorf("%s: the lane is %s", name, got)
			}
			logged := log.Take()
			if unclean := strings.Contains(logged, "without a clean end"); unclean != test.unclean {
				t.Errorf("%s: %s", name, logged)
			}
			if !strings.Contains(logged, "lane stopped") {
				t.Errorf("%s: %s", name, logged)
			}
		})
	}
}

// Calls that break one after the other are made ever more seldom, until one gets somewhere.
func TestBackoffStartsAnewAfterProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := laneAt(&spot{}, nil)
		pause := func(progress bool) time.Duration {
			began := time.Now()
			l.afterCall(t.Context(), t.Context(), progress, io.EOF)
			return time.Since(began)
		}
		for range 10 {
			pause(false)
		}
		if d := pause(false); d < brokenMax/2 {
			t.Errorf("a pause of %v after many broken calls", d)
		}
		if d := pause(true); d > brokenMin {
			t.Errorf("a pause of %v after one that got somewhere", d)
		}
	})
}

// A lane that backs off goes on when the placer has a writer.
func TestBackoffEndsWhenAWriterComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := laneAt(&spot{}, nil)
		l.Placer = &placeOnce{changed: make(chan struct{})}
		l.broken.next = brokenMax
		close(l.Placer.(*placeOnce).changed)
		began := time.Now()
		if l.afterCall(t.Context(), t.Context(), false, io.EOF); time.Since(began) != 0 {
			t.Errorf("the next call comes after %v", time.Since(began))
		}
	})
}

// While it waits for a writer a lane is not at its opening, and it is once there is one.
func TestStateWhileNoWriterServes(t *testing.T) {
	l, _ := laneAt(&spot{}, nil)
	for _, test := range []struct {
		what string
		want State
	}{{"no writer serves", Waiting}, {"", Opening}} {
		if l.waitsForWriter(test.what, time.Time{}); l.board.snapshot().State != test.want {
			t.Errorf("%q: %s", test.what, l.board.snapshot().State)
		}
	}
}

// A lane whose records are gone tells of it by the end of its call: that it moved, or why it may not.
func TestLostPositionEndsTheCall(t *testing.T) {
	for reset, want := range map[Reset]outcome{Earliest: outcomeGone, None: outcomeFatal} {
		t.Run(string(reset), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				settled(w)
				w.produceRows("a", 5)
				w.log.truncate(12)
				p := w.start(func(p *process) { p.lane.Config.Reset = reset })
				time.Sleep(5 * time.Second)
				for _, o := range []outcome{outcomeGone, outcomeFatal, outcomeClosed, outcomeBroken} {
					n := testutil.ToFloat64(p.lane.Metrics.opens.WithLabelValues("orders", string(o)))
					if n != map[bool]float64{true: 1}[o == want] {
						t.Errorf("%v calls ended as %s", n, o)
					}
				}
				if reset == None {
					mustRefuse(t, p, "auto_offset_reset is none")
				}
			})
		})
	}
}
