// Package checkpoint is the writer's token in Kafka's offset-commit metadata: what the next owner of a lane must know
// so that every row is written exactly once. It is pure: no clock, no I/O.
//
// A checkpoint belongs to one position of one partition. For each table it says which write stream the lane appends to
// and how many rows that stream holds at the position (Rows), and how many rows after the position are in the table
// already (Drop). With the number of rows N that a fenced stream really holds, the next owner drops Drop + N - Rows
// rows on replay.
//
// Reading one: Decode, then Verify against what the new owner says it opens. Writing one: an Encoder, kept by the lane.
package checkpoint

import (
	"fmt"
	"math"
	"strconv"
)

// MaxBytes bounds an encoded checkpoint. Kafka's brokers take 4096 bytes of metadata by default
// (offset.metadata.max.bytes); the rest is slack for brokers that are set a little lower.
const MaxBytes = 4000

// MaxLeftOut bounds the offsets that one checkpoint may leave out, so that a few bytes of runs cannot ask for
// gigabytes, and so that all of them fit in one Opened: gRPC clients take messages of 4 MiB.
const MaxLeftOut = 1 << 18

// Checkpoint is the content of the token.
type Checkpoint struct {
	// Clean says that nothing was in flight: every stream holds exactly Rows rows and may be adopted instead of fenced.
	Clean bool
	// Cluster is Kafka's cluster id, empty when the brokers report none.
	Cluster string
	// Topic and Partition name the partition.
	Topic     string
	Partition int32
	// Position is the offset of the next record not yet settled, at least 0.
	Position int64
	// Routing is the fingerprint that the rows were routed under.
	Routing uint64
	// LeftOut are offsets at or after Position that are no rows: ascending, apart from each other.
	LeftOut []Range
	// Tables are sorted by name, each name once.
	Tables []Table
}

// Table is what the checkpoint says of one table. It has a stream, or rows to drop, or both.
type Table struct {
	// Name is projects/P/datasets/D/tables/T.
	Name string
	// Stream is the write stream that takes the rows after the dropped ones; empty when there is none yet.
	Stream string
	// Rows is how many rows the stream holds at the position.
	Rows int64
	// Drop is how many rows after the position are in the table already, in streams that are fenced and forgotten.
	Drop int64
	// Tainted says that the stream holds rows that no owner of the lane has appended, so that nothing can be told from
	// how many it holds: the lane is refused until an operator has acted. Such a checkpoint is not clean.
	Tainted bool
}

// Range is the offsets From <= o < To.
type Range struct{ From, To int64 }

// MismatchError says that a checkpoint belongs to something else than what is being opened.
type MismatchError struct {
	// Field is cluster, topic, partition or position.
	Field string
	// Checkpoint and Open are the two values.
	Checkpoint, Open string
}

func (m *MismatchError) Error() string {
	return fmt.Sprintf("checkpoint was written for %s %q, but the lane opens %s %q", m.Field, m.Checkpoint, m.Field,
		m.Open)
}

// Place is what a new owner says it opens.
type Place struct {
	Cluster, Topic string
	Partition      int32
	Position       int64
}

// Verify reports whether the checkpoint was written for exactly this place. The error is a *MismatchError that names
// both values.
func (c *Checkpoint) Verify(open Place) error {
	switch {
	case c.Cluster != open.Cluster:
		return &MismatchError{"cluster", c.Cluster, open.Cluster}
	case c.Topic != open.Topic:
		return &MismatchError{"topic", c.Topic, open.Topic}
	case c.Partition != open.Partition:
		return &MismatchError{"partition", strconv.Itoa(int(c.Partition)), strconv.Itoa(int(open.Partition))}
	case c.Position != open.Position:
		return &MismatchError{"position", strconv.FormatInt(c.Position, 10), strconv.FormatInt(open.Position, 10)}
	}
	return nil
}

// check reports whether the content can be encoded: the invariants of the fields above.
func (c *Checkpoint) check() error {
	if c.Partition < 0 || c.Position < 0 {
		return fmt.Errorf("partition %d and position %d must not be negative", c.Partition, c.Position)
	}
	end, total := c.Position, int64(0)
	for i, r := range c.LeftOut {
		if r.From < end || i > 0 && r.From == end || r.To <= r.From {
			return fmt.Errorf("left-out range %d..%d is empty, out of order or before position %d", r.From, r.To,
				c.Position)
		}
		end = r.To
		// Ranges are disjoint and below 2^63, so that the sum cannot overflow.
		total += r.To - r.From
	}
	if total > MaxLeftOut {
		return fmt.Errorf("%d offsets left out, at most %d", total, MaxLeftOut)
	}
	for i := range c.Tables {
		t := &c.Tables[i]
		switch {
		case t.Name == "":
			return fmt.Errorf("table %d has no name", i)
		case i > 0 && t.Name <= c.Tables[i-1].Name:
			return fmt.Errorf("table %q is out of order", t.Name)
		case t.Rows < 0 || t.Drop < 0 || t.Drop > math.MaxInt64/2 || t.Rows > math.MaxInt64/2:
			return fmt.Errorf("table %q has %d rows and %d to drop", t.Name, t.Rows, t.Drop)
		case t.Stream == "" && (t.Drop == 0 || t.Rows != 0):
			return fmt.Errorf("table %q has neither a stream nor rows to drop", t.Name)
		case t.Tainted && (t.Stream == "" || c.Clean):
			return fmt.Errorf("table %q has rows of a stranger in no stream, or in a clean one", t.Name)
		}
	}
	return nil
}

// Offsets lists the left-out offsets one by one.
func (c *Checkpoint) Offsets() []int64 {
	var list []int64
	for _, r := range c.LeftOut {
		for o := r.From; o < r.To; o++ {
			list = append(list, o)
		}
	}
	return list
}
