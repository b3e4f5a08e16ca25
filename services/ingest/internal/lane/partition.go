package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// ErrFenced says that another member owns the partition now, or will: the group coordinator refused our generation.
// It ends the lane quietly.
var ErrFenced = errors.New("fenced by the group coordinator")

// ErrOffsetGone says that the offset asked for is not in the partition: retention removed it, the log is shorter or
// another one than what was read, or the topic is another one.
var ErrOffsetGone = errors.New("offset is not in the partition")

// ErrUnreadable says that the partition holds bytes that cannot be read: damaged ones, or more than the memory of the
// process. The text says where they are, and what to do.
var ErrUnreadable = errors.New("cannot read")

// OtherTopicError says that what is committed is a position of another topic: it was deleted, and another was made
// with its name.
type OtherTopicError struct {
	// Position is the committed one.
	Position int64
	// Was and Is are the ids of both, as Kafka's own tools write them.
	Was, Is string
}

func (e *OtherTopicError) Error() string {
	return fmt.Sprintf("the committed position %d belongs to the topic with id %s, which was deleted; "+
		"the topic of this name has id %s",
		e.Position, e.Was, e.Is)
}

// CutError says that the log was cut back behind what was read of it: the records from End on that were read are not
// there any more, whatever may be at their offsets now. An unclean election of a leader does that, or a partition
// that was restored from elsewhere.
type CutError struct {
	// Position is behind what was read: the committed one, or behind the records whose rows are in tables already. End
	// is the first offset that is not what was read.
	Position, End int64
}

func (e *CutError) Error() string {
	return fmt.Sprintf("the records at offsets %d to %d, which were read, "+
		"are not in the partition any more",
		e.End, e.Position-1)
}

// Pair is what is committed of a partition: a position, and the checkpoint that explains the tables at it; always
// together. Pairs are cumulative: a newer one explains all that an older one does. So the newest is always the one to
// commit, and the only danger is that an older one reaches the broker after it.
type Pair struct {
	Position   int64
	Checkpoint string
}

// Partition is what a lane needs of its claim. Its methods are safe for one lane at a time, from several goroutines
// of that lane.
type Partition interface {
	// Topic and Number name the partition.
	Topic() string
	Number() int32
	// Cluster is Kafka's cluster id, empty when the brokers report none.
	Cluster() string
	// Committed reads what the group has committed: Position -1 when nothing is. An *OtherTopicError or a *CutError
	// says why it cannot be gone on from; after the first one, what is read and committed is the new topic's.
	Committed(ctx context.Context) (Pair, error)
	// Commit commits and returns when the broker has confirmed this very partition. It retries transient faults until
	// ctx ends. errors.Is(err, ErrFenced) when the generation is over.
	Commit(ctx context.Context, p Pair) error
	// CommitLater hands over the newest settled pair; it is committed with those of other lanes on the next tick.
	// A fenced commit ends the claim. Commit and CommitLater keep the order of their calls: what was handed over
	// before a Commit is superseded by it and must never reach the broker after it.
	CommitLater(p Pair)
	// Range returns the first offset in the partition and the next one to be written (the last stable offset's view
	// is the reader's), as the leader says that is one: none that was deposed.
	Range(ctx context.Context) (oldest, newest int64, err error)
	// Read starts reading at exactly this offset. errors.Is(err, ErrOffsetGone) from Read or Next when it is not there.
	Read(ctx context.Context, from int64) (Reader, error)
	// DeadLetter produces to the dead-letter topic and returns when every letter is acknowledged by all in-sync
	// replicas. It retries all faults until ctx ends; waits is called with what keeps it from going on, and an empty
	// string when it goes on.
	DeadLetter(ctx context.Context, letters []DeadLetter, waits func(what string)) error
	// Behind is how many offsets lie between a settled position and the end of the partition, as far as anybody has
	// said; -1 while nobody has. Offsets behind the last record that hold none, such as markers of transactions, do not
	// count once they have been read. It asks nobody and never waits.
	Behind(position int64) int64
	// Trouble is why records cannot be read at the moment, the topic and the cause;
	// empty when they can. It never waits.
	Trouble() string
}

// Reader yields the records of one partition in order.
type Reader interface {
	// Next appends to dst the records at hand, at most cap(dst)-len(dst). It waits for the first one until the
	// deadline (zero: for ever) and returns dst unchanged when none came. errors.Is(err, ErrUnreadable) when the next
	// one cannot be read. Records are the caller's to keep: their memory is used again once record.Places has released
	// of all that lie in it, and only then.
	Next(ctx context.Context, dst []record.Record, deadline time.Time) ([]record.Record, error)
	// Ready receives when Next may have something: after a Next that returned nothing it does so for all that comes
	// later, and it may do so for nothing. Not while a Next is under way.
	Ready() <-chan struct{}
	// Backlog is how many records the partition holds beyond the last one returned, as of the last fetch; what is not
	// fetched yet counts by offsets.
	Backlog() int64
	// Close stops reading and frees what was prefetched.
	Close()
}

// DeadLetter is a record that will not become a row, and why.
type DeadLetter struct {
	Record *record.Record
	// Reason is a stable word: undecodable, unknown_type, refused, skipped.
	Reason string
	// Contract is the contract's name, empty when none matched.
	Contract string
	// Err says what was wrong, naming the field or byte.
	Err string
	// Field is the path of the value at fault, empty when no single one is.
	Field string
	// Byte is where in the record's value the fault is, as decode.Error counts; -1 when it is not in the value.
	Byte int
}
