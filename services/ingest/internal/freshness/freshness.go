// Package freshness judges how fresh a table is, from what its lanes have settled. It is a core without a clock.
//
// A table is complete through a moment when every record of its lanes with a Kafka timestamp up to it is settled: a
// row, a dead letter, or ignored. Its age is the time since then. A lane at the end of its partition is complete
// through now.
package freshness

import (
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/causes"
)

// State is what a table's age means.
type State uint8

// The states.
const (
	// Unknown: a lane has not said yet what it has settled.
	Unknown State = iota
	// Fresh: the age is within the goal.
	Fresh
	// Late: older than the goal.
	Late
	// Stale: older than the contract tolerates.
	Stale
	// Recovered: fresh again after being stale, for less than recoveredFor.
	Recovered
	// Paused: an operator has paused lanes of it, and the others are neither late nor stale.
	Paused
)

// String is the state's name on pages and in metrics.
func (s State) String() string {
	return [...]string{"unknown", "fresh", "late", "stale", "recovered", "paused"}[s]
}

// recoveredFor is how long a table that was stale is called recovered instead of fresh.
const recoveredFor = 15 * time.Minute

// Goal is what a contract says of freshness. The zero value has no goal: such a table is fresh whatever its age.
type Goal struct {
	// Goal is the age up to which a table is fresh, Stale the one beyond which it is stale. Goal is at most Stale.
	Goal, Stale time.Duration
}

// Lane is what one lane has settled.
type Lane struct {
	// Known is false before the lane knows its position and the end of its partition.
	Known bool
	// Paused: an operator said so.
	Paused bool
	// CaughtUp: nothing is unsettled.
	CaughtUp bool
	// Through is the Kafka timestamp of the newest settled record, or the moment the lane last was caught up, whichever
	// is later. Without meaning when CaughtUp.
	Through time.Time
	// Behind is how many records are not settled.
	Behind int64
	// Minute and Quarter are where the lane's time went.
	Minute, Quarter causes.Shares
}

// Verdict is what is said of a table.
type Verdict struct {
	State State
	// Through is the moment that the table is complete through; zero when unknown.
	Through time.Time
	// Age is the time since then, never negative.
	Age time.Duration
	// Worst is the index of the lane that holds the table back, -1 when none does.
	Worst int
	// Minute and Quarter are the lanes' shares, weighted by the records that each is behind; by one each when none is.
	Minute, Quarter causes.Shares
	// Behind is the sum over the lanes.
	Behind int64
}

// Table judges one table over time. The zero value is ready.
type Table struct {
	Goal Goal
	// stale is true since the table was stale, recovered is when it ceased to be.
	stale     bool
	recovered time.Time
}

// Judge looks at the lanes of the table, all of them.
func (t *Table) Judge(now time.Time, lanes []Lane) Verdict {
	v := Verdict{Through: now, Worst: -1}
	known, paused, moving := len(lanes) > 0, false, now // moving is Through of those that are not paused
	for i := range lanes {
		l := &lanes[i]
		known = known && (l.Known || l.Paused)
		v.Behind += l.Behind
		if l.Paused {
			paused = true
		} else if l.Known && !l.CaughtUp && l.Through.Before(moving) {
			moving = l.Through
		}
		if l.Known && !l.CaughtUp && l.Through.Before(v.Through) {
			v.Through, v.Worst = l.Through, i
		}
	}
	v.Minute, v.Quarter = weighted(lanes)
	if !known {
		v.State, v.Through = Unknown, time.Time{}
		return v
	}
	v.Age = now.Sub(v.Through)
	if !paused {
		v.State = t.state(now, v.Age)
	} else if v.State = t.state(now, now.Sub(moving)); v.State != Late && v.State != Stale {
		v.State = Paused
	}
	return v
}

// state is what the age means, and what the ages before it were.
func (t *Table) state(now time.Time, age time.Duration) State {
	switch {
	case t.Goal.Stale > 0 && age > t.Goal.Stale:
		t.stale = true
		return Stale
	case t.Goal.Goal > 0 && age > t.Goal.Goal:
		return Late
	case t.stale:
		t.stale, t.recovered = false, now
		return Recovered
	case !t.recovered.IsZero() && now.Sub(t.recovered) < recoveredFor:
		return Recovered
	}
	t.recovered = time.Time{}
	return Fresh
}

// weighted adds the lanes' shares up, so that they add to one again.
func weighted(lanes []Lane) (minute, quarter causes.Shares) {
	var all float64
	for i := range lanes {
		all += float64(max(lanes[i].Behind, 0))
	}
	for i := range lanes {
		weight := float64(max(lanes[i].Behind, 0)) / max(all, 1)
		if all == 0 {
			weight = 1 / float64(len(lanes))
		}
		for c := range minute {
			minute[c] += weight * lanes[i].Minute[c]
			quarter[c] += weight * lanes[i].Quarter[c]
		}
	}
	return minute, quarter
}
