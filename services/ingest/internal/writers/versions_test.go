package writers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// All lanes of an ingest go to one dataset of one project: that of the writers which carry them. A writer of another
// one is left out, unless no lane is anywhere else.
func TestAWriterOfAnotherDatasetIsLeftOut(t *testing.T) {
	for name, of := range map[string][2]*lanev1.Opened{
		"another dataset": {
			{Writer: "w", Project: "p", Dataset: "blue"},
			{Writer: "w", Project: "p", Dataset: "green"},
		},
		"another project": {{Writer: "w", Project: "p", Dataset: "d"}, {Writer: "w", Project: "q", Dataset: "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) { leavesOut(t, w, of) })
		})
	}
}

func leavesOut(t *testing.T, w *world, of [2]*lanev1.Opened) {
	all := w.startFirst(2, 2)
	opened := map[string]*lanev1.Opened{all[0]: of[0], all[1]: of[1]}
	var home string
	carried := map[string][]*Seat{}
	for i := range int32(6) {
		s, _ := w.place(i)
		to := homeOf(opened[s.peer.address])
		err := s.Opened(opened[s.peer.address])
		if home == "" {
			home = to
		}
		if (err == nil) != (to == home) {
			t.Errorf("lane %d at a writer of %s, while lanes go to %s: %v", i, to, home, err)
		}
		if err != nil {
			s.End(err)
			continue
		}
		carried[to] = append(carried[to], s)
	}
	if p := w.fleet.Picture(); p.Home != home {
		t.Errorf("home is %q, want %q", p.Home, home)
	}
	for address, o := range opened {
		if p := w.writer(address); homeOf(o) != home && (p.State != placement.Unfit ||
			!strings.Contains(p.Why, fmt.Sprintf("it writes to %s, and lanes are carried to %s", homeOf(o), home))) {
			t.Errorf("the picture says %+v", p)
		}
	}
	// Everything is moved to the other one: the first lane that opens there finds no other.
	for _, s := range carried[home] {
		s.End(nil)
	}
	for address, o := range opened {
		if homeOf(o) == home {
			w.kill(address)
		}
	}
	time.Sleep(2 * strange)
	s, _ := w.place(0)
	if err := s.Opened(opened[s.peer.address]); err != nil {
		t.Errorf("the only one that is left: %v", err)
	}
}

// A writer of an older version, which does not say where it writes, carries lanes beside those that do: both are there
// while writers are upgraded.
func TestAWriterThatDoesNotSayWhereItWritesCarriesLanes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := w.startFirst(2, 2)
		for i := range int32(4) {
			s, _ := w.place(i)
			opened := &lanev1.Opened{Writer: "new", Project: "p", Dataset: "d"}
			if s.peer.address == all[0] {
				opened = &lanev1.Opened{Writer: "old"}
			}
			if err := s.Opened(opened); err != nil {
				t.Errorf("lane %d: %v", i, err)
			}
		}
		for _, a := range all {
			if p := w.writer(a); p.State != placement.Serving || p.Lanes != 2 {
				t.Errorf("%+v", p)
			}
		}
	})
}

// A writer of a newer version that speaks another protocol alone gets no lane, and the plan says why; lanes stay where
// they work. Once it speaks ours as well it has its share.
func TestAWriterOfANewerProtocolIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		all := addresses(2)
		w.start(all[0], true)
		w.serve(all[1], func(h *host) { h.isWell("lane.v2.LaneService") })
		w.names.set(nil, all...)
		w.awaitServing(1)
		seats := w.places(4)
		time.Sleep(5 * time.Minute)
		for _, s := range seats {
			if o, _ := s.Look(false); s.peer.address != all[0] || o.Stayed != nil {
				t.Errorf("at %s, told to move: %s", s.peer.address, o.Reason)
			}
		}
		const why = "it does not know lane.v1.LaneService: it is no writer, or one of another version"
		if p := w.writer(all[1]); p.State != placement.Away || p.Why != why {
			t.Errorf("the picture says %+v", p)
		}
		w.kill(all[1])
		w.start(all[1], true)
		w.awaitServing(2)
		moves := 0
		w.await("two lanes are told to move", time.Minute, func() bool {
			for _, s := range seats {
				if o, _ := s.Look(false); o.Stayed != nil {
					moves++
				}
			}
			return moves == 2
		})
	})
}
