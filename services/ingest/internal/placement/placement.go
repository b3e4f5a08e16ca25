// Package placement decides at which writer each lane of an ingest runs. It is free of I/O and has no clock of its own:
// whoever uses it tells it the time, the writers and the lanes, and asks.
//
//	core := placement.New("ingest-7")
//	core.Observe(now, writers, lanes)            // as often as something is known: several times a second
//	writer, why, ok := core.Place(now, lane)     // a lane opens
//	for _, move := range core.Plan(now) { ... }  // lanes that are to go elsewhere
//
// # What is even
//
// A lane weighs half by its bytes a second and half by being one: a lane without traffic costs a call, a stream and a
// connection all the same. A writer's fair share is its capacity over that of all. Writers are even when none carries
// more than its share by more than a lane.
//
// # What a move is worth
//
// A move costs the lane a hand-over, so nothing moves for noise:
//
//   - A lane's weight follows its traffic only when that has changed by half, or within minutes.
//   - While nothing happens, differences below a quarter of a fair share are left alone, and larger
//     ones until they have lasted for a while. When a writer joins, or one becomes slow, lanes move until they are even
//     within a lane.
//   - A move must leave less than half of the difference that it removes, a lane moves once a minute at
//     most, and few are under way at a time.
//   - When a writer leaves, its lanes alone find new places.
//
// # Many ingests
//
// Each ingest spreads its own lanes and knows nothing of the others. What does not divide evenly, the odd lanes, goes
// to the less loaded of two writers that a hash of the ingest draws: reports of load are seconds old, and if every
// ingest followed them alone, all would choose the same writer.
package placement

import (
	"cmp"
	"fmt"
	"time"
)

// LaneID names a lane.
type LaneID struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// String is topic/partition.
func (l LaneID) String() string { return fmt.Sprintf("%s/%d", l.Topic, l.Partition) }

func (l LaneID) compare(o LaneID) int {
	return cmp.Or(cmp.Compare(l.Topic, o.Topic), cmp.Compare(l.Partition, o.Partition))
}

// State is what a writer is good for.
type State string

// The states of a writer.
const (
	// Serving takes lanes.
	Serving State = "serving"
	// Draining says that it does not serve. Its lanes stay until it asks them to go.
	Draining State = "draining"
	// Leaving serves and is no longer where writers are looked up. Its lanes move as soon as there is another writer.
	Leaving State = "leaving"
	// Away has no connection.
	Away State = "away"
	// Silent has a connection and says nothing on it.
	Silent State = "silent"
	// Unfit is no writer, or one that writes to another place than the others.
	Unfit State = "unfit"
)

// Writer is what is known of one.
type Writer struct {
	// Address is where it is reached, and unique. Name is how it calls itself, for people; empty: not known.
	Address, Name string
	State         State
	// Why says why it does not take lanes.
	Why string
	// Load is what the writer reports of itself.
	Load Load
	// Latency is from sending a batch to its settlement, as this ingest's lanes measure it there; 0: none was measured.
	Latency time.Duration
}

// Load is what a writer reports of all lanes that it carries, whoever's they are.
type Load struct {
	// Known says that there is a report.
	Known bool `json:"known"`
	// Lanes and BytesPerSecond of rows are those it carries.
	Lanes          float64 `json:"lanes"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	// Processor and Budget are shares in use, 0 to 1.
	Processor float64 `json:"processor"`
	Budget    float64 `json:"budget"`
}

// Lane is what is known of one.
type Lane struct {
	LaneID
	// Writer is the address of the writer that its call is at, or is to be opened at; empty: none.
	Writer string
	// Open says that the lane carries records. Others are not moved, and their rate says nothing.
	Open bool
	// Rate is bytes of rows a second since the last observation.
	Rate float64
}

// Move is a lane that is to go elsewhere.
type Move struct {
	Lane LaneID
	// From and To are addresses.
	From, To string
	// Reason is for people.
	Reason string
}

// The measures of a move.
const (
	// gain: a lane moves when it weighs at most this part of the difference between two writers. 1 would be any gain,
	// at 0.5 they are equal after it. clearGain is what at least one lane must offer before anything moves while
	// nothing happens: what just missed gain does not reach it by noise.
	gain, clearGain = 0.75, 0.5
	// likeness is the factor within which lanes count as alike when one is picked.
	likeness = 2
	// uneven is the part of a fair share that a difference must exceed to be looked at while nothing happens, and
	// patience how long it must last.
	uneven   = 0.25
	patience = 5 * time.Second
	// hold is how long a writer that joins waits for lanes of others: in a rolling update the one that it takes the
	// place of drains first, and all of that one's lanes come to it; were some there already, as many would move twice.
	hold = 2 * time.Second
	// rest is how long a lane stays where it moved to.
	rest = time.Minute
	// giveUp is how long a move may be under way before it is taken for lost.
	giveUp = 30 * time.Second
	// oddEvery is how often one odd lane may be moved for what writers report.
	oddEvery = 30 * time.Second
)

// atOnce is how many of so many lanes may be on the move.
func atOnce(lanes int) int { return 4 + lanes/32 }
