package writers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// Seat is a lane's place at a writer, for one call. Its fields are the fleet's, under its lock.
type Seat struct {
	fleet *Fleet
	id    placement.LaneID
	peer  *peer
	// wake tells the lane to look, and cancel ends the context of its call, once there is one; cause says why the call
	// is given up.
	wake   func()
	cancel context.CancelCauseFunc
	cause  error
	// order is what the lane has not looked at yet.
	order lane.Order
	// drains: the lane's writer wants it to go. elsewhere: there is another one, and the lane was woken for it.
	drains, elsewhere bool
	// home is where the lane's rows go; empty before the call is open, and where the writer does not say.
	home string
}

var _ lane.Place = (*Seat)(nil)

// Place implements lane.Placer.
func (f *Fleet) Place(ctx context.Context, topic string, partition int32, waits func(what string)) (lane.Place, error) {
	id := placement.LaneID{Topic: topic, Partition: partition}
	waited := false
	for {
		f.mu.Lock()
		address, why, ok := f.core.Place(time.Now(), id)
		if p := f.peers[address]; ok && p != nil {
			s := &Seat{fleet: f, id: id, peer: p, wake: func() {}}
			f.seats[id] = s
			f.mu.Unlock()
			if waited {
				waits("")
			}
			f.log.Debug("lane is placed", "topic", topic, "partition", partition, "writer", address, "why", why)
			return s, nil
		}
		if f.lookedUp != "" {
			why += "; " + f.lookedUp
		}
		changed := f.changed
		f.mu.Unlock()
		waits("a writer: " + why)
		waited = true
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Changed implements lane.Placer.
func (f *Fleet) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Bind implements lane.Place.
func (s *Seat) Bind(ctx context.Context, wake func()) context.Context {
	bound, cancel := context.WithCancelCause(at(ctx, s.peer.address))
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	s.cancel, s.wake = cancel, wake
	if s.cause != nil {
		cancel(s.cause)
	}
	return bound
}

// giveUp ends the call. The fleet's lock is held.
func (s *Seat) giveUp(cause error) {
	if s.cause != nil {
		return
	}
	if s.cause = cause; s.cancel != nil {
		s.cancel(cause)
	}
	s.wake()
}

// Opened implements lane.Place.
func (s *Seat) Opened(opened *lanev1.Opened) error {
	f := s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	s.peer.name = opened.GetWriter()
	home := homeOf(opened)
	if home == "" {
		return nil // a writer that does not say it
	}
	if f.home != "" && f.home != home && f.lives(f.home, s) {
		s.peer.unfit, s.peer.unfitUntil = fmt.Sprintf("it writes to %s, and lanes are carried to %s", home, f.home),
			time.Now().Add(strange)
		f.observe(time.Now())
		return fmt.Errorf("writer %s is left out: %s", cmp.Or(s.peer.name, s.peer.address), s.peer.unfit)
	}
	f.home, s.home = home, home
	return nil
}

// lives says that other lanes are carried to a place.
func (f *Fleet) lives(home string, but *Seat) bool {
	for _, s := range f.seats {
		if s != but && s.home == home {
			return true
		}
	}
	return false
}

// Look implements lane.Place.
func (s *Seat) Look(drains bool) (order lane.Order, elsewhere bool) {
	f := s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if drains && !s.drains {
		s.drains = true
		if !s.peer.drains {
			s.peer.drains, f.drained = true, time.Now()
			f.observe(time.Now())
			select {
			case f.hasten <- struct{}{}:
			default: // it is on its way
			}
		}
	}
	order, s.order = s.order, lane.Order{}
	return order, s.elsewhere
}

// wakeElsewhere wakes a lane that may go because there is another writer. The fleet's lock is held.
func (s *Seat) wakeElsewhere() {
	if !s.drains || s.elsewhere || time.Since(s.fleet.drained) < aside {
		return
	}
	now, serving := time.Now(), false
	for _, p := range s.fleet.peers {
		state, _ := p.stateOf(now)
		serving = serving || p != s.peer && state == placement.Serving
		if p.awaited(now) {
			return // it is likely to be the one that takes the place of the lane's writer
		}
	}
	if serving {
		s.elsewhere = true
		s.wake()
	}
}

// End implements lane.Place.
func (s *Seat) End(err error) {
	f := s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seats[s.id] == s {
		delete(f.seats, s.id)
	}
	s.giveUp(context.Canceled)
	if errors.Is(err, lane.ErrNoWriter) {
		s.peer.unfit, s.peer.unfitUntil = err.Error(), time.Now().Add(strange)
		f.observe(time.Now())
	}
}

// homeOf is where a writer's rows go; empty when it does not say.
func homeOf(opened *lanev1.Opened) string {
	if opened.GetProject() == "" {
		return ""
	}
	return opened.GetProject() + "." + opened.GetDataset()
}
