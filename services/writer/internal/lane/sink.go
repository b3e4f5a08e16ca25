package lane

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/mem"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// ErrFinalized says that a write stream takes no more rows: a newer owner has fenced it, or we are the stale one. The
// lane ends with ABORTED and ingest opens again from the committed checkpoint.
var ErrFinalized = errors.New("write stream is finalized")

// ErrStreamGone says that a write stream is unknown to BigQuery: it expired or its table was deleted.
var ErrStreamGone = errors.New("write stream does not exist")

// ErrForeignRows says that a write stream holds rows that its appender did not append, so that nothing can be known
// from how many it holds.
var ErrForeignRows = errors.New("somebody else wrote to the stream")

// Sink is what lanes need of BigQuery. All its methods back off and retry transient faults until ctx ends.
type Sink interface {
	// Table makes sure that the route's table exists and can take its rows, changing it as far as the route's evolution
	// allows, and returns it. Cached: cheap after the first call.
	Table(ctx context.Context, route *lanev1.Route) (Table, error)
	// Finalize fences a write stream and returns the rows in it. Calling it again returns the same number.
	// errors.Is(err, ErrStreamGone) when there is none.
	Finalize(ctx context.Context, stream string) (rows int64, err error)
}

// Trouble is why a table takes nothing now.
type Trouble struct {
	// State is quota, unavailable or schema while it is tried again until it works, and refused when an operator has to
	// do something. Empty: there is no trouble.
	State string `json:"state"`
	// Since is when it began, Faults how often BigQuery has said no since then, Reason what it said last.
	Since  time.Time `json:"since"`
	Faults int64     `json:"faults"`
	Reason string    `json:"reason"`
}

// Troubled is a Table or an Appender that tells what it meets. Safe from any goroutine.
type Troubled interface {
	// Trouble is cheap. Its State is empty while there is none.
	Trouble() Trouble
}

// Reporter is a Sink that tells which tables are in trouble, those of lanes that are not open included.
type Reporter interface {
	// Troubles are by the full resource names of tables.
	Troubles() map[string]Trouble
}

// Table is one BigQuery table with the row descriptor of a route.
type Table interface {
	// Name is the full resource name, projects/P/datasets/D/tables/T.
	Name() string
	// Create makes a COMMITTED write stream. Rate-limited.
	Create(ctx context.Context) (stream string, err error)
	// Open starts appending to a write stream that holds `rows` rows. Results go to the function given, one call at a
	// time, in the order of Append; it must not block. Open does no I/O itself and always returns.
	Open(stream string, rows int64, results func(Result)) Appender
	// Default starts appending to the table's default stream, at least once: nothing is created, no offset is kept, and
	// an append whose response is lost is repeated. Otherwise as Open.
	Default(results func(Result)) Appender
}

// Appender is the ordered queue of one write stream. It assigns offsets, resends after a lost connection, and keeps the
// order.
type Appender interface {
	// Append queues encoded rows (`rows = 1` entries) under an id of the caller's; it takes over one reference to data.
	// It never blocks: the lane's window bounds what is queued.
	Append(id uint64, rows int, data mem.BufferSlice)
	// Resume goes on after a result with refused rows, without those rows.
	Resume()
	// Close stops, frees what is queued, and returns when no result will be delivered any more. What was in flight may
	// or may not be in BigQuery: only Finalize tells.
	Close()
}

// Result is what became of one Append.
type Result struct {
	// ID is the id given to Append.
	ID uint64
	// Refused are rows that BigQuery will never take, by ascending index in the Append. While it is not empty the
	// Append is not done, and the appender waits for Resume. Nothing after the first refused row has been written to a
	// write stream that Open named; to a default stream Appends behind it may have been.
	Refused []RefusedRow
	// Written is how many rows of this Append are in the stream; final when Refused is empty and Err is nil.
	Written int
	// Unwritten says, beside Err, that no row given to the appender is in the stream or can still get there.
	Unwritten bool
	// Err ends the appender: ErrFinalized, ErrStreamGone, ErrForeignRows, or a fault that must not be guessed over. One
	// that wraps a gRPC status which says that opening again cannot help (InvalidArgument, PermissionDenied,
	// FailedPrecondition and their like) stops the lane loudly; after any other ingest opens again at once.
	Err error
}

// RefusedRow is a row that BigQuery will never take.
type RefusedRow struct {
	// Row is the index in the Append, from 0.
	Row int
	// Code and Message are BigQuery's.
	Code, Message string
}
