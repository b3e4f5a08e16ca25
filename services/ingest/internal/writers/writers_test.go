package writers

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

func TestCallsGoToTheWriterThatIsPlaced(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(3, 3)
		w.places(6)
		for _, a := range all {
			if n := w.host(a).calls.Load(); n != 2 {
				t.Errorf("%s has %d of 6 calls", a, n)
			}
		}
	})
}

// A lane that finds no writer says for what it waits, and is woken when one serves, whatever was waited for before.
func TestALaneIsWokenWhenAWriterServes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.names.set(nil, addresses(1)...)
		waits := make(chan string, 10)
		placed := make(chan lane.Place, 1)
		go func() {
			p, err := w.fleet.Place(t.Context(), "t", 0, func(what string) { waits <- what })
			if err != nil {
				t.Error(err)
			}
			placed <- p
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if what := <-waits; !strings.HasPrefix(what, "a writer: ") {
			t.Errorf("waits for %q", what)
		}
		began := time.Now()
		w.start(addresses(1)[0], true)
		<-placed
		if took := time.Since(began); took > time.Second {
			t.Errorf("placed %v after the writer served", took)
		}
	})
}

// The lanes follow a writer that is new where writers are looked up, in the time that is promised.
func TestLanesAreOrderedToANewWriter(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(1, 2)
		seats := w.places(4)
		time.Sleep(time.Minute)
		w.start(all[1], true)
		w.names.set(nil, all...)
		moved := 0
		for deadline := time.Now().Add(9 * time.Second); time.Now().Before(deadline); time.Sleep(
			100 * time.Millisecond) {
			for _, s := range seats {
				if o, _ := s.Look(false); o.Stayed != nil {
					if !strings.Contains(o.Reason, "carries 100 %, 50 % is fair") &&
						!strings.Contains(o.Reason, "carries 75 %, 50 % is fair") {
						t.Errorf("reason %q", o.Reason)
					}
					moved++
					s.End(nil)
					to, _ := w.place(s.id.Partition)
					if to.peer.address != all[1] {
						t.Errorf("moved to %s", to.peer.address)
					}
				}
			}
		}
		if moved != 2 {
			t.Errorf("%d of 4 lanes were told to move", moved)
		}
	})
}

// A lane whose writer drains may go once another one is there, and a little later: the writer's successor is looked for
// at once.
func TestALaneMayLeaveADrainingWriterOnceThereIsAnother(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(1, 2)
		seat, _ := w.place(0)
		w.host(all[0]).health.SetServingStatus(lanev1.LaneService_ServiceDesc.ServiceName,
			healthv1.HealthCheckResponse_NOT_SERVING)
		woken := wakes(t, seat)
		seat.Look(true)
		select {
		case <-woken:
			t.Fatal("there is nowhere to go")
		case <-time.After(20 * time.Second):
		}
		const why = "it responds and takes no lanes any more: it is about to end"
		if p := w.writer(all[0]); p.State != placement.Away || p.Why != why {
			t.Errorf("the picture says %+v", p)
		}
		began := time.Now()
		w.start(all[1], true)
		w.names.set(nil, all[1])
		<-woken
		if _, elsewhere := seat.Look(true); !elsewhere {
			t.Error("woken for nothing")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("reported %v after there was another writer", took)
		}
		seat.End(nil)
		if next, _ := w.place(0); next.peer.address != all[1] {
			t.Errorf("placed at %s", next.peer.address)
		}
	})
}

// A process that hangs keeps its connection and its health. Its lanes are given up, and those of others are not.
func TestAWriterThatSaysNothingIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(2, 2)
		seats := map[string]*Seat{}
		contexts := map[string]context.Context{}
		for _, s := range w.places(2) {
			seats[s.peer.address], contexts[s.peer.address] = s, s.Bind(t.Context(), func() {})
		}
		time.Sleep(10 * time.Second)
		w.host(all[0]).mute.Store(true)
		began := time.Now()
		<-contexts[all[0]].Done()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("given up after %v", took)
		}
		if cause := context.Cause(contexts[all[0]]); !strings.Contains(cause.Error(), "has said nothing for") {
			t.Errorf("cause %v", cause)
		}
		if err := contexts[all[1]].Err(); err != nil {
			t.Errorf("the other writer's lane: %v", err)
		}
		seats[all[0]].End(context.Cause(contexts[all[0]]))
		if next, _ := w.place(seats[all[0]].id.Partition); next.peer.address != all[1] {
			t.Errorf("placed at %s", next.peer.address)
		}
		if p := w.writer(all[0]); p.State != placement.Silent {
			t.Errorf("the picture says %s (%s)", p.State, p.Why)
		}
		w.host(all[0]).mute.Store(false)
		w.awaitServing(2)
	})
}

// When all writers are quiet, the fault is likely to be here, and nothing is gained by giving up.
func TestNobodyIsGivenUpWhenAllAreQuiet(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(3, 3)
		seats := w.places(3)
		for _, a := range all {
			w.host(a).mute.Store(true)
		}
		bound := seats[0].Bind(t.Context(), func() {})
		time.Sleep(time.Minute)
		if err := bound.Err(); err != nil {
			t.Errorf("given up: %v", context.Cause(bound))
		}
	})
}

// How much of the time that batches take is BigQuery's, this ingest knows by its writers, each as it counts for its
// lanes: that part of its waiting is no saturation.
func TestWhatIsBigQuerysIsKnownByTheWriters(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		if got := w.fleet.Responding(); got != 0 {
			t.Errorf("%v without a lane", got)
		}
		all := w.startFirst(2, 2)
		w.host(all[0]).responses.Store(90)
		w.host(all[1]).responses.Store(30)
		w.places(2) // one at each
		time.Sleep(3 * reportEvery)
		if got := w.fleet.Responding(); got < 0.59 || got > 0.61 {
			t.Errorf("%v of two writers with 0.9 and 0.3", got)
		}
	})
}
