package writers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// A list that is empty for a while is no news: lanes stay where they work, and the plan says why.
func TestANameThatResolvesToNothingMovesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(2, 2)
		seats := w.places(2)
		w.names.set(nil)
		time.Sleep(5 * time.Minute)
		for _, s := range seats {
			if o, _ := s.Look(false); o.Stayed != nil {
				t.Errorf("told to move: %s", o.Reason)
			}
		}
		if p := w.fleet.Picture(); p.Problem == "" || w.serving() != 2 {
			t.Errorf("%s", describe(p))
		}
		w.names.set(nil, all...)
		w.await("the problem is over", 10*time.Second, func() bool { return w.fleet.Picture().Problem == "" })
	})
}

// A look-up that fails is tried again soon, though gRPC's resolver would be deaf for minutes.
func TestALookUpThatFailsIsTriedAgainSoon(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.names.set(errors.New("the server misbehaves"))
		time.Sleep(10 * time.Minute)
		if p := w.fleet.Picture(); !strings.Contains(p.Problem, "misbehaves") {
			t.Errorf("%s", describe(p))
		}
		w.start(addresses(1)[0], true)
		w.names.set(nil, addresses(1)...)
		w.await("it serves", time.Second, func() bool { return w.serving() == 1 })
		w.names.mu.Lock()
		made := w.names.made
		w.names.mu.Unlock()
		if most := int(10*time.Minute/hurry) + 10; made > most {
			t.Errorf("made %d resolvers in ten minutes", made)
		}
	})
}

// A writer that the list lacks for longer than lists flap keeps its lanes until there is another, and then they go.
func TestLanesLeaveAWriterThatIsNoLongerListed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := addresses(2)
		for _, a := range all {
			w.start(a, true)
		}
		w.names.set(nil, all[0])
		w.awaitServing(1)
		seat, _ := w.place(0)
		time.Sleep(time.Minute)
		w.names.set(nil, all[1])
		began := time.Now()
		woken := wakes(t, seat)
		select {
		case <-woken:
			o, _ := seat.Look(false)
			if took := time.Since(began); took < delisted-5*time.Second { // it counts from when it was last seen there
				t.Errorf("told to move after %v: lists flap", took)
			}
			if !strings.Contains(o.Reason, "leaving") {
				t.Errorf("reason %q", o.Reason)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("never told to move: %s", describe(w.fleet.Picture()))
		}
	})
}

// 200 addresses, some twice, of which half are dead: lanes go to the others, evenly, and the dead ones cost little.
func TestHalfOfTwoHundredAddressesAreDead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := addresses(200)
		for i, a := range all {
			if i%2 == 0 {
				w.start(a, true)
			}
		}
		w.names.set(nil, append(all, all[:50]...)...)
		w.await("a hundred writers serve", 10*time.Second, func() bool { return w.serving() == 100 })
		w.places(100)
		for i, a := range all {
			if p := w.writer(a); i%2 == 1 && (p.State != placement.Away ||
				!strings.Contains(p.Why, "connection refused")) {
				t.Errorf("the picture says of a dead address: %+v", p)
			}
		}
		w.mu.Lock()
		hosts := slices.Collect(maps.Values(w.hosts))
		w.mu.Unlock()
		for _, h := range hosts {
			if n := h.calls.Load(); n != 1 {
				t.Errorf("%s has %d of 100 lanes on 100 writers", h.address, n)
			}
		}
		w.mu.Lock()
		clear(w.dials)
		w.mu.Unlock()
		w.names.mu.Lock()
		requested := w.names.requested
		w.names.mu.Unlock()
		time.Sleep(time.Minute)
		w.mu.Lock()
		dials := 0
		for _, n := range w.dials {
			dials += n
		}
		w.mu.Unlock()
		if dials > 2*100*60 {
			t.Errorf("the dead addresses were dialled %d times in a minute", dials)
		}
		w.names.mu.Lock()
		defer w.names.mu.Unlock()
		if n := w.names.requested - requested; n > 70 {
			t.Errorf("the name was looked up %d times in a minute", n)
		}
	})
}

// A peer that does not know the lane protocol is left alone, and the plan says why.
func TestAHostThatIsNoWriterIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := addresses(2)
		w.start(all[0], false) // neither the lane protocol nor a health service: only a call can tell
		w.start(all[1], true)
		w.names.set(nil, all...)
		w.awaitServing(2)
		for i := range int32(8) {
			p, err := w.fleet.Place(t.Context(), "t", i, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if p.(*Seat).peer.address == all[0] {
				p.End(fmt.Errorf("%w: unknown service lane.v1.LaneService", lane.ErrNoWriter))
			}
		}
		time.Sleep(time.Second)
		if p := w.writer(all[0]); p.State != placement.Unfit || !strings.Contains(p.Why, "no writer") || p.Lanes > 0 {
			t.Errorf("the picture says %+v", p)
		}
	})
}

// While nobody else serves, a lane that cannot go on at its writer comes back to it.
func TestTheOnlyWriterIsUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.startFirst(1, 1)[0]
		seat, stream := w.place(0)
		w.kill(a)
		if _, err := stream.Recv(); err == nil {
			t.Fatal("the call goes on at a dead writer")
		}
		seat.End(errors.New("broken"))
		time.Sleep(20 * time.Second)
		w.start(a, true)
		began := time.Now()
		w.place(0)
		if took := time.Since(began); took > time.Second {
			t.Errorf("placed %v after the writer was back", took)
		}
	})
}

// The plan says what is going to move as soon as there is somewhere to go, and the picture alone does not look ahead.
func TestThePlanLooksAhead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(1, 2)
		w.places(4)
		if p := w.fleet.Plan(); len(p.Ahead) > 0 {
			t.Errorf("with one writer: %+v", p.Ahead)
		}
		w.start(all[1], true)
		w.names.set(nil, all...)
		w.await("it is seen", time.Minute, func() bool {
			return len(w.fleet.Plan().Ahead) > 0 ||
				w.fleet.core.Moving()
		})
		p := w.fleet.Plan()
		for _, n := range p.Ahead {
			if n.From == n.To || n.Reason == "" {
				t.Errorf("%+v", n)
			}
		}
		if w.fleet.Picture().Ahead != nil {
			t.Error("the picture looks ahead")
		}
	})
}

// A lane whose writer drains waits for one that is new and being connected to, though others serve: it is the one that
// takes its writer's place.
func TestALaneWaitsForTheSuccessorOfItsWriter(t *testing.T) {
	for _, c := range []struct {
		name      string
		comes     bool
		successor time.Duration
		least     time.Duration
		most      time.Duration
	}{
		{"it comes", true, 3 * time.Second, 3 * time.Second, 3500 * time.Millisecond},
		{"it never responds", false, 0, fresh, fresh + time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				all := w.startFirst(2, 3)
				seat := w.places(2)[0] // one at each
				leaves := seat.peer.address
				w.silence(all[2])
				w.names.set(nil, all...)
				woken := wakes(t, seat)
				began := time.Now()
				seat.Look(true)
				if c.comes {
					time.AfterFunc(c.successor, func() { w.start(all[2], true) })
				}
				<-woken
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("told to go after %v", took)
				}
				seat.End(nil)
				if next, _ := w.place(0); c.comes && next.peer.address != all[2] || next.peer.address == leaves {
					t.Errorf("placed at %s", next.peer.address)
				}
			})
		})
	}
}

// addresses are those of n hosts.
func addresses(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("10.0.0.%d:7070", i+1)
	}
	return all
}

// wakes receives whenever the lane of a seat is woken.
func wakes(t *testing.T, seat *Seat) <-chan struct{} {
	woken := make(chan struct{}, 100)
	seat.Bind(t.Context(), func() { woken <- struct{}{} })
	return woken
}
