package lane

import (
	"maps"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

var laneSeconds = prometheus.NewDesc("waybill_ingest_lane_seconds_total",
	"Time of lanes by its cause: each lane has exactly one at any moment. The rate by topic, over the number of its "+
		"lanes, is the share of each cause.", []string{"topic", "cause"}, nil)

// account puts the time from now on down to what keeps the lane. The caller holds mu.
func (b *board) account(now time.Time) {
	if b.time != nil {
		b.time.Enter(now, b.cause())
	}
}

// cause is what the lane's time goes to: what it is at, then what it waits for, then what its call does. mu is held.
func (b *board) cause() causes.Cause {
	if b.fenced {
		return causes.Fenced
	}
	switch b.status.State {
	case Open, Draining:
	case Refused:
		return causes.Refused
	case Paused:
		return causes.Paused
	default:
		if b.waits[forCommit].what != "" {
			return causes.Barrier
		}
		return causes.Opening
	}
	for w, at := range b.waits {
		if at.what == "" {
			continue
		}
		switch wait(w) {
		case forWriter:
			return causes.Opening
		case forBigQuery:
			if strings.HasPrefix(at.what, "schema") {
				return causes.Schema
			}
			return causes.Quota
		case forLetters:
			return causes.Letters
		case forRecords:
			return causes.Fetch
		case forSchema:
			return causes.Registry
		}
	}
	return b.call
}

// fence notes that another member owns the partition: whatever the lane still does, and after it nothing follows, its
// time goes to that.
func (b *board) fence() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fenced = true
	b.account(time.Now())
}

// does notes what the owner of the call does or waits for.
func (b *board) does(cause causes.Cause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.call = cause
	b.account(time.Now())
}

// does notes what the owner does from now on, unless it did that already.
func (c *call) does(cause causes.Cause) {
	if c.cause != cause || !c.accounted {
		c.cause, c.accounted = cause, true
		c.lane.board.does(cause)
	}
}

// awaits is what the owner waits for when it has done all that can be done.
func (c *call) awaits() causes.Cause {
	full := c.full || len(c.part.records) > 0 // what is at hand no batch takes, or it has no room
	switch {
	case c.held != nil || c.lettering && c.window.count == 0:
		return causes.Letters
	case c.ledger.inFlight && (full || c.draining || c.window.count > 0 && c.window.front().refusals > 0):
		return causes.Barrier
	case (full || c.draining) && c.window.count > 0:
		return causes.Append
	case c.draining:
		return causes.Opening // the writer's last response, and the next writer
	case c.starved:
		return causes.Budget
	case c.backlog > 0 && c.newRecords == nil:
		return causes.Fetch
	}
	return causes.Idle
}

// times is how long the lanes of each topic spent on each cause, those that have ended included.
func (m *Metrics) times(now time.Time) map[string]causes.Totals {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := make(map[string]causes.Totals, len(m.ended))
	maps.Copy(sums, m.ended)
	for l := range m.lanes {
		topic := l.Partition.Topic()
		sums[topic] = sums[topic].Plus(l.board.time.Totals(now))
	}
	return sums
}
