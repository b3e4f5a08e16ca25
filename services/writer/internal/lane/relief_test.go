package lane

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/buffers"
)

// relieved is a service with lanes of which nothing but what they hold is known, and says which of them were cut.
func relieved(boards map[string]*board) (s *Service, cut func() map[string]codes.Code) {
	s = &Service{Sink: &odd{}, Budget: NewBudget(1)}
	s.init()
	names := make(map[*lane]string)
	for name, b := range boards {
		l := &lane{service: s, killed: make(chan struct{})}
		l.status.held, l.status.outside, l.status.waits, l.status.unopened, l.status.now = b.held, b.outside, b.waits,
			b.unopened, b.now
		s.lanes[l] = struct{}{}
		names[l] = name
	}
	return s, func() map[string]codes.Code {
		out := make(map[string]codes.Code)
		for l, name := range names {
			select {
			case <-l.killed:
				out[name] = status.Code(l.why)
				s.mu.Lock()
				delete(s.lanes, l)
				s.mu.Unlock()
				delete(names, l)
			default:
			}
		}
		return out
	}
}

// Room in the budget is made by the lane that holds most among those that have long waited for their ingest, and by no
// other.
func TestWhoMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
		for range 20 { // in whatever order they are looked at
			s, cut := relieved(map[string]*board{
				"waits for BigQuery":   {held: 1000},
				"waits for a moment":   {held: 900, waits: ago(patience - 1)},
				"waits and holds most": {held: 800, waits: ago(patience)},
				"waits and holds less": {held: 700, waits: ago(time.Hour)},
				"waits, holds nothing": {waits: ago(time.Hour)},
			})
			for _, want := range []string{"waits and holds most", "waits and holds less", "", ""} {
				s.relieve()
				got := cut()
				if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[want] != codes.Aborted) {
					t.Errorf("cut %v, want %q", got, want)
				}
			}
		}
	})
}

// Memory is given back by calls without an Open first, then by who has most outside, then by who holds most.
func TestWhoGivesMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		since := Status{Since: time.Now()}
		s, cut := relieved(map[string]*board{
			"silent":  {unopened: true, now: since},
			"silent2": {unopened: true, now: since},
			"outside": {outside: 5},
			"larger":  {outside: 6, held: 1},
			"holds":   {held: 100},
			"less":    {held: 99},
		})
		time.Sleep(opensWithin - 1)
		for _, want := range [][]string{{"larger"}, {"silent", "silent2"}, {"outside"}, {"holds"}, {"less"}} {
			if !s.shed() {
				t.Error("nobody gives anything back")
			}
			got := cut()
			for _, name := range want {
				if got[name] != codes.Unavailable || len(got) != len(want) {
					t.Errorf("cut %v, want %v", got, want)
				}
			}
			time.Sleep(time.Nanosecond)
		}
		if s.shed() {
			t.Error("nobody is left")
		}
	})
}

// As long as too much memory is out, and no longer, somebody has to give some back.
func TestMemoryIsRequestedWhileItIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, cut := relieved(map[string]*board{"a": {outside: 3}, "b": {outside: 2}, "c": {outside: 1}})
		received := buffers.NewCounted(10<<10, 4<<10)
		s.Received = received
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); s.Relieve(ctx) }()
		var out []*[]byte
		for range 2 {
			out = append(out, received.Get(1))
		}
		time.Sleep(time.Second)
		if got := cut(); len(got) != 0 {
			t.Fatalf("cut %v", got)
		}
		out = append(out, received.Get(1))
		synctest.Wait()
		time.Sleep(relievesEvery / 2)
		if got := cut(); len(got) != 1 || got["a"] != codes.Unavailable {
			t.Errorf("cut %v", got)
		}
		received.Put(out[0])
		time.Sleep(time.Second)
		if got := cut(); len(got) != 0 {
			t.Errorf("cut %v", got)
		}
		received.Put(out[1])
		received.Put(out[2])
		cancel()
		<-over
	})
}

// One after the other gives memory back until it is enough, each with some time to have done so. With nobody to do it
// the next buffer is waited for.
func TestMemoryIsGivenBackUntilItIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, cut := relieved(map[string]*board{"a": {outside: 3}, "b": {outside: 2}})
		s.Received = buffers.NewCounted(1<<10, 4<<10)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); s.Relieve(ctx) }()
		out := s.Received.Get(1)
		for _, name := range []string{"a", "b"} {
			time.Sleep(relievesEvery - 1)
			if got := cut(); len(got) != 1 || got[name] != codes.Unavailable {
				t.Errorf("cut %v, want %s", got, name)
			}
			time.Sleep(time.Nanosecond)
		}
		time.Sleep(time.Second)
		late := &lane{service: s, killed: make(chan struct{})}
		s.mu.Lock()
		s.lanes[late] = struct{}{}
		s.mu.Unlock()
		time.Sleep(time.Second)
		select {
		case <-late.killed:
			t.Error("a lane was cut for memory that it has not taken")
		default:
		}
		s.Received.Put(out)
		cancel()
		<-over
	})
}

// What calls without an Open have begun to send is at most the budget, also while the budget holds nothing: the memory
// that it may come to hold is not theirs. Lanes keep what they have, and so do calls while memory is not short.
func TestCallsWithoutOpenHaveNoMoreThanTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget = 64 << 10
		received := buffers.NewCounted(2*budget, 16<<10)
		s := &Service{Sink: &odd{}, Received: received, Budget: NewBudget(budget)}
		s.init()
		call := func(unopened bool) *lane {
			l := &lane{service: s, killed: make(chan struct{})}
			l.status.unopened, l.status.now.Since = unopened, time.Now()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lanes[l] = struct{}{}
			return l
		}
		cut := func(l *lane) bool {
			synctest.Wait()
			select {
			case <-l.killed:
				return true
			default:
				return false
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); s.Relieve(ctx) }()
		open, silent := call(false), call(true)
		var out []*[]byte
		get := func(n int) {
			for range n {
				out = append(out, received.Get(16<<10))
			}
		}

		get(4)
		if time.Sleep(time.Second); cut(silent) || cut(open) {
			t.Fatal("a call ended though memory is not short")
		}
		s.Budget.charge(budget/2, open) // of what is out
		get(2)
		if time.Sleep(time.Second); cut(silent) || cut(open) {
			t.Fatal("a call ended though what was let in is the budget's")
		}
		get(1)
		if time.Sleep(relievesEvery); !cut(silent) || cut(open) {
			t.Fatalf("silent ended: %v, open ended: %v", cut(silent), cut(open))
		}
		s.mu.Lock()
		delete(s.lanes, silent)
		s.mu.Unlock()

		late := call(true)
		time.Sleep(opensWithin - time.Millisecond)
		if cut(late) {
			t.Error("a call ended that has just begun")
		}
		time.Sleep(2 * relievesEvery)
		if !cut(late) || cut(open) {
			t.Errorf("late ended: %v, open ended: %v", cut(late), cut(open))
		}
		for _, b := range out {
			received.Put(b)
		}
		s.Budget.release(budget / 2)
		if received.Early() {
			t.Error("memory is short though nothing is out")
		}
		cancel()
		<-over
	})
}

// Calls without an Open that want memory again and again, as often as they are ended, have it collected once a second:
// what stops every lane for a moment is not theirs to ask for.
func TestCallsWithoutOpenDoNotHaveMemoryCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const budget = 64 << 10
		received := buffers.NewCounted(2*budget, 16<<10)
		s := &Service{Sink: &odd{}, Received: received, Budget: NewBudget(budget)}
		s.init()
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); s.Relieve(ctx) }()
		collections := func() uint32 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.NumForcedGC
		}
		before := collections()
		ended := 0
		var out []*[]byte
		for range 5 {
			out = append(out, received.Get(16<<10))
		}
		const calls = 40
		for range calls {
			l := &lane{service: s, killed: make(chan struct{})}
			l.status.unopened, l.status.now.Since = true, time.Now()
			s.mu.Lock()
			s.lanes[l] = struct{}{}
			s.mu.Unlock()
			received.Put(received.Get(16 << 10)) // says again that it is early
			time.Sleep(opensWithin + relievesEvery)
			synctest.Wait()
			select {
			case <-l.killed:
				ended++
			default:
			}
			s.mu.Lock()
			delete(s.lanes, l)
			s.mu.Unlock()
		}
		took := calls * (opensWithin + relievesEvery)
		if n := collections() - before; n == 0 || time.Duration(n) > took/collectsEvery+1 {
			t.Errorf("collected %d times in %v", n, took)
		}
		if ended != calls {
			t.Errorf("%d of %d calls ended", ended, calls)
		}
		for _, b := range out {
			received.Put(b)
		}
		cancel()
		<-over
	})
}

// A lane has some memory of its own from its opening to its end, beside the limit.
func TestLanesRaiseTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := buffers.NewCounted(10, 1<<10)
		w := startWriter(t, &Service{Sink: &odd{}, Received: received})
		defer w.stop()
		b := received.Get(1)
		if !received.Over() {
			t.Fatal("no lane is open, and the limit is not what it was")
		}
		if _, err := w.client.Lane(t.Context()); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); !received.Over() {
			t.Fatal("a call without Open raised the limit")
		}
		c, _ := openLane(t, w, atLeastOnce)
		if synctest.Wait(); received.Over() {
			t.Fatal("the limit was not raised")
		}
		if err := c.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if synctest.Wait(); !received.Over() {
			t.Fatal("the limit was not lowered")
		}
		received.Put(b)
	})
}
