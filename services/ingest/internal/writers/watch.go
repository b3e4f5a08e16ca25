package writers

import (
	"cmp"
	"fmt"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/placement"
)

// peer is what is at an address.
type peer struct {
	address, name string
	ready         bool
	// why says why it is not ready.
	why string
	// since is when it was first seen, and failed that it could not be connected to since.
	since  time.Time
	failed bool
	// leaving says that the list has lacked it for longer than lists flap.
	leaving bool
	// drained says that an operator wants it to have no lanes, as it reports.
	drained bool
	// drains says that it asked a lane to go; it does not come back on the same connection.
	drains bool
	// unfit says why it may carry no lane, until strange is over or its connection is another one.
	unfit      string
	unfitUntil time.Time
	load       placement.Load
	// responding is how much of the time that batches take there is BigQuery's.
	responding float64
	// quiet is how long it has said nothing; speaks, that it reports at all.
	quiet   time.Duration
	speaks  bool
	latency latency
	state   placement.State // as logged last
}

// listed takes the addresses that there are, and how long which of them have been missing from the list.
func (f *Fleet) listed(endpoints []resolver.Endpoint, missing map[string]time.Duration, problem string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookedUp = problem
	there := make(map[string]bool, len(endpoints))
	for _, e := range endpoints {
		address := e.Addresses[0].Addr
		there[address] = true
		p := f.peers[address]
		if p == nil {
			p = &peer{address: address, why: "not connected yet", since: time.Now()}
			f.peers[address] = p
		}
		p.leaving = missing[address] >= delisted
	}
	for address := range f.peers {
		if !there[address] {
			f.config.Metrics.state(f.peers[address].state, "")
			delete(f.peers, address)
		}
	}
}

// ofUse reports whether a writer that the list lacks is kept: while it works, for a while, and longer while lanes are
// there.
func (f *Fleet) ofUse(address string, missing time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[address]
	if p == nil || !p.ready {
		return false
	}
	if missing < delisted {
		return true
	}
	for _, s := range f.seats {
		if s.peer == p {
			return true
		}
	}
	return false
}

// problem says what is wrong with looking writers up.
func (f *Fleet) problem(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookedUp = what
}

// linked takes the state of the connections.
func (f *Fleet) linked(links map[string]link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for address, p := range f.peers {
		l, ok := links[address]
		ready := ok && l.state == connectivity.Ready
		if ready && !p.ready {
			p.quiet, p.speaks, p.drains, p.drained, p.unfit, p.load = 0, false, false, false, "", placement.Load{}
		}
		p.ready = ready
		p.failed = !ready && (p.failed || l.err != nil)
		switch {
		case ready:
			p.why = ""
		case l.err != nil:
			p.why = l.why()
		case p.why == "":
			p.why = "connecting"
		}
	}
	f.observe(time.Now())
}

// reported takes a report of load.
func (f *Fleet) reported(address string, r *v3orcapb.OrcaLoadReport) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[address]
	if p == nil {
		return
	}
	p.quiet, p.speaks = 0, true
	p.responding = r.GetUtilization()["answers"]
	p.drained = r.GetNamedMetrics()["drained"] > 0
	p.load = placement.Load{
		Known: true, Lanes: r.GetNamedMetrics()["lanes"], BytesPerSecond: r.GetNamedMetrics()["bytes_per_second"],
		Processor: r.GetCpuUtilization(), Budget: r.GetMemUtilization(),
	}
}

// Responding is how much of the time that batches of this ingest's lanes take is BigQuery's, 0 to 1, as their writers
// report.
func (f *Fleet) Responding() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seats) == 0 {
		return 0
	}
	var sum float64
	for _, s := range f.seats {
		sum += s.peer.responding
	}
	return sum / float64(len(f.seats))
}

// awaited says that a peer may be about to serve: it is new, and nothing is known against it.
func (p *peer) awaited(now time.Time) bool { return !p.ready && !p.failed && now.Sub(p.since) < fresh }

// stateOf is the state of a peer for placement.
func (p *peer) stateOf(now time.Time) (placement.State, string) {
	switch {
	case !p.ready:
		return placement.Away, p.why
	case p.drains:
		return placement.Draining, "it asked lanes to go"
	case p.unfit != "" && now.Before(p.unfitUntil):
		return placement.Unfit, p.unfit
	case p.speaks && p.quiet >= silence:
		return placement.Silent, fmt.Sprintf("it has said nothing for %v", p.quiet.Round(100*time.Millisecond))
	case p.leaving:
		return placement.Leaving, "the list of writers lacks it"
	case p.drained:
		return placement.Leaving, "an operator drains it"
	}
	return placement.Serving, ""
}

// observe gives placement what is known of the writers, with the lanes as of the last look, and wakes whoever waits for
// one. f.mu is held.
func (f *Fleet) observe(now time.Time) {
	served := f.core.Serving()
	f.core.Watch(now, f.writers(now))
	if f.core.Serving() > served {
		f.wake()
	}
	for _, s := range f.seats {
		s.wakeElsewhere()
	}
}

func (f *Fleet) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Fleet) writers(now time.Time) []placement.Writer {
	list := make([]placement.Writer, 0, len(f.peers))
	for _, p := range f.peers {
		state, why := p.stateOf(now)
		if state != p.state {
			f.config.Metrics.state(p.state, state)
			if p.state != "" || state == placement.Serving {
				f.log.Info("writer changes", "writer", cmp.Or(p.name, p.address), "address", p.address, "state",
					string(state), "why", why)
			}
			p.state = state
		}
		list = append(list, placement.Writer{
			Address: p.address, Name: p.name, State: state, Why: why, Load: p.load, Latency: p.latency.value(),
		})
	}
	return list
}

// look observes the writers, and the lanes when it is time, and gives orders. It reports whether any writer takes
// lanes, and whether lanes are about to leave one that drains.
func (f *Fleet) look(now time.Time) (served, drains bool) {
	f.mu.Lock()
	due := f.core.Moving() || now.Sub(f.lanesAt) >= lookLanes
	f.mu.Unlock()
	if due {
		f.carried = f.config.Lanes(f.carried[:0])
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listen(since(now, f.lookedAt))
	f.lookedAt = now
	if due {
		was := f.core.Serving()
		f.core.Observe(now, f.writers(now), f.measure(now, since(now, f.lanesAt), f.carried))
		f.lanesAt = now
		if f.core.Serving() > was {
			f.wake()
		}
		for _, m := range f.core.Plan(now) {
			f.order(m)
		}
	} else {
		f.observe(now)
	}
	for _, s := range f.seats {
		s.wakeElsewhere()
	}
	return f.core.Serving() > 0, now.Sub(f.drained) < aside
}

func since(now, then time.Time) time.Duration {
	if then.IsZero() {
		return 0
	}
	return now.Sub(then)
}

// listen counts how long writers have been quiet, in time that this process was awake for, and gives up those that hang
// while another one serves. When all are quiet it is more likely that the fault is here.
func (f *Fleet) listen(elapsed time.Duration) {
	reporting := 0
	for _, p := range f.peers {
		if p.ready && p.speaks {
			if p.quiet += min(elapsed, 2*look); p.quiet < silence {
				reporting++
			}
		}
	}
	if reporting == 0 {
		return
	}
	for _, s := range f.seats {
		if p := s.peer; p.ready && p.speaks && p.quiet >= silence {
			s.giveUp(fmt.Errorf("writer %s has said nothing for %v", cmp.Or(p.name, p.address),
				p.quiet.Round(100*time.Millisecond)))
		}
	}
}

// order tells a lane to move. f.mu is held.
func (f *Fleet) order(m placement.Move) {
	s := f.seats[m.Lane]
	if s == nil || s.peer.address != m.From {
		f.core.Stayed(f.lookedAt, m.Lane)
		return
	}
	f.config.Metrics.moves.Inc()
	f.log.Info("lane is to move", "topic", m.Lane.Topic, "partition", m.Lane.Partition, "from", m.From, "to", m.To,
		"reason", m.Reason)
	s.order = lane.Order{Reason: m.Reason, Stayed: func() { f.stayed(s) }}
	s.wake()
}

func (f *Fleet) stayed(s *Seat) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seats[s.id] == s {
		f.core.Stayed(time.Now(), s.id)
	}
}
