package lane

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// testPlacer has one writer, to which all places lead, and orders what the test orders.
type testPlacer struct {
	mu     sync.Mutex
	places []*testPlace
	// alone: there is no other writer.
	alone   bool
	refuses error
	stayed  int
}

type testPlace struct {
	placer *testPlacer
	order  Order
	wake   func()
	cancel context.CancelCauseFunc
	ended  bool
	err    error
}

func (p *testPlacer) Place(context.Context, string, int32, func(string)) (Place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &testPlace{placer: p, wake: func() {}}
	p.places = append(p.places, one)
	return one, nil
}

func (*testPlacer) Changed() <-chan struct{} { return nil }

func (o *testPlace) Bind(ctx context.Context, wake func()) context.Context {
	o.placer.mu.Lock()
	defer o.placer.mu.Unlock()
	bound, cancel := context.WithCancelCause(ctx)
	o.cancel, o.wake = func(err error) { cancel(err); wake() }, wake
	return bound
}

func (o *testPlace) Opened(*lanev1.Opened) error {
	o.placer.mu.Lock()
	defer o.placer.mu.Unlock()
	return o.placer.refuses
}

func (o *testPlace) Look(drains bool) (order Order, elsewhere bool) {
	o.placer.mu.Lock()
	defer o.placer.mu.Unlock()
	order, o.order = o.order, Order{}
	return order, drains && !o.placer.alone
}

func (o *testPlace) End(err error) {
	o.placer.mu.Lock()
	defer o.placer.mu.Unlock()
	if o.cancel != nil {
		o.cancel(nil)
	}
	if o.ended {
		panic("a place ended twice")
	}
	o.ended, o.err = true, err
}

// outcome is whether the lane has left the place, and why.
func (o *testPlace) outcome() (ended bool, err error) {
	o.placer.mu.Lock()
	defer o.placer.mu.Unlock()
	return o.ended, o.err
}

// last is the place of the moment, and how many there were before.
func (p *testPlacer) last() (*testPlace, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.places)
	if n == 0 {
		return nil, 0
	}
	return p.places[n-1], n - 1
}

// move orders the lane to go.
func (p *testPlacer) move() {
	if o, _ := p.last(); o != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		o.order = Order{Reason: "test", Stayed: func() { p.mu.Lock(); p.stayed++; p.mu.Unlock() }}
		o.wake()
	}
}

func (w *world) startPlaced(placer *testPlacer, adjust func(*process)) *process {
	return w.start(func(p *process) {
		p.lane.Placer = placer
		if adjust != nil {
			adjust(p)
		}
	})
}

// load produces rows until the test says stop, one every few milliseconds.
func (w *world) load() (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			w.log.produce("a", "row")
			select {
			case <-time.After(5 * time.Millisecond):
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-done }
}

// A lane that is to move settles what it has sent, ends the call in order, and goes on elsewhere: no stream is created
// or finalized, and it is silent for a moment only.
func TestAMoveCreatesAndFinalizesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.model.latency = 15 * time.Millisecond // more than the linger: something is under way all the time
		placer := &testPlacer{}
		p := w.startPlaced(placer, func(p *process) { p.lane.Config.Linger = 10 * time.Millisecond })
		stop := w.load()
		time.Sleep(time.Second)
		longest, was, moved := time.Duration(0), p.lane.Status().Position, time.Now()
		for i := range 600 {
			if i == 50 {
				placer.move()
			}
			time.Sleep(5 * time.Millisecond)
			if now := p.lane.Status().Position; now > was {
				longest, was, moved = max(longest, time.Since(moved)), now, time.Now()
			}
		}
		if _, before := placer.last(); before != 1 {
			t.Fatalf("%d calls before the last one", before)
		}
		if longest > time.Second {
			t.Errorf("the lane was silent for %v", longest)
		}
		stop()
		w.settle()
		if n := len(w.store.streams); n != 1 || w.store.streams[0].finalized {
			t.Errorf("%d streams, %+v", n, w.store.streams)
		}
		w.verify()
		p.end()
		checkBudget(t, p)
	})
}

// What does not settle in time is not moved, and the lane goes on where it is.
func TestAMoveThatDoesNotEndInTimeIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		placer := &testPlacer{}
		p := w.startPlaced(placer, nil)
		stop := w.load()
		time.Sleep(time.Second)
		w.model.mu.Lock()
		w.model.latency = 20 * time.Second
		w.model.mu.Unlock()
		time.Sleep(time.Second)
		placer.move()
		time.Sleep(moveWithin + time.Second)
		placer.mu.Lock()
		stayed := placer.stayed
		placer.mu.Unlock()
		if stayed != 1 {
			t.Errorf("the placer was shown %d times that the lane stays", stayed)
		}
		w.model.mu.Lock()
		w.model.latency = 10 * time.Millisecond
		w.model.mu.Unlock()
		time.Sleep(30 * time.Second)
		if s := p.lane.Status(); s.State != Open {
			t.Errorf("status %+v", s)
		}
		if _, before := placer.last(); before != 0 {
			t.Errorf("%d calls before the last one", before)
		}
		stop()
		w.settle()
		w.verify()
		p.end()
		checkBudget(t, p)
	})
}

// A lane whose writer drains sends on there while there is nowhere to go, and leaves in time to settle what it has
// sent.
func TestALaneKeepsItsWriterUntilThereIsAnother(t *testing.T) {
	for _, c := range []struct {
		name  string
		alone bool
		after time.Duration
	}{
		{"another writer is there", false, 0},
		{"no other writer is there", true, time.Duration(drainPart * float64(drainWithin))},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				placer := &testPlacer{alone: c.alone}
				p := w.startPlaced(placer, nil)
				stop := w.load()
				time.Sleep(time.Second)
				first, _ := placer.last()
				w.model.drainNow()
				began, position := time.Now(), p.lane.Status().Position
				for left := false; !left; time.Sleep(10 * time.Millisecond) {
					placer.mu.Lock()
					left = first.ended
					placer.mu.Unlock()
					if !left && time.Since(began) > 500*time.Millisecond && p.lane.Status().Position == position {
						t.Fatal("the lane is silent though its writer still takes rows")
					}
				}
				if took := time.Since(began); took < c.after || took > c.after+200*time.Millisecond {
					t.Errorf("left after %v, want %v", took, c.after)
				}
				if first.err != nil {
					t.Errorf("the call ended with %v", first.err)
				}
				stop()
				w.settle()
				w.verify()
			})
		})
	}
}

// When the placer gives a writer up, the call ends at once and another one is made.
func TestACallEndsWhenItsWriterIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		placer := &testPlacer{}
		p := w.startPlaced(placer, nil)
		stop := w.load()
		time.Sleep(time.Second)
		first, _ := placer.last()
		first.cancel(errors.New("the writer says nothing"))
		time.Sleep(time.Second)
		if _, err := first.outcome(); err == nil || !strings.Contains(err.Error(), "the writer says nothing") {
			t.Errorf("the call ended with %v", err)
		}
		if s := p.lane.Status(); s.State != Open {
			t.Errorf("status %+v", s)
		}
		stop()
		w.settle()
		w.verify()
	})
}

// A writer that the placer does not want, once it has said where it writes to, gets no rows and no commit.
func TestAWriterThatIsRefusedGetsNoRows(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		placer := &testPlacer{refuses: errors.New("it writes elsewhere")}
		p := w.startPlaced(placer, nil)
		w.produceRows("a", 3)
		time.Sleep(10 * time.Second)
		if s := p.lane.Status(); !strings.Contains(s.LastError, "it writes elsewhere") || s.Rows != 0 {
			t.Errorf("status %+v", s)
		}
		if n := len(w.store.rows("a")); n != 0 {
			t.Errorf("%d rows", n)
		}
		placer.mu.Lock()
		placer.refuses = nil
		placer.mu.Unlock()
		w.settle()
		w.verify()
	})
}

// noWriter is a server that is none.
type noWriter struct{ grpc.ClientConnInterface }

func (noWriter) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "unknown service lane.v1.LaneService")
}

// What is no writer is for the placer to avoid: the lane tries the next place soon. Without a placer an operator is
// needed.
func TestAPeerThatIsNoWriter(t *testing.T) {
	for name, placer := range map[string]Placer{"placed": &testPlacer{}, "not placed": nil} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				p := w.start(func(p *process) { p.lane.Writers, p.lane.Placer = noWriter{}, placer })
				time.Sleep(10 * time.Second)
				synctest.Wait()
				s := p.lane.Status()
				if placer == nil && s.State != Refused || placer != nil && s.State == Refused {
					t.Errorf("status %+v", s)
				}
				if one, ok := placer.(*testPlacer); ok {
					if o := one.places[0]; !errors.Is(o.err, ErrNoWriter) {
						t.Errorf("the placer got %v", o.err)
					}
				}
			})
		})
	}
}
