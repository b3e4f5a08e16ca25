package model

const (
	tables     = 2
	maxRecords = 4
	maxRows    = maxRecords + 2 // a table that holds more has broken the law long before
	maxWindow  = 2
	maxCalls   = 2 // alive at a time
	maxStreams = 8
	maxInDoubt = 4
)

// Kind is what becomes of a record.
type Kind int8

// The kinds of records.
const (
	Good        Kind = iota
	Undecodable      // ingest finds out, unless it drops the record by its header
	Refused          // BigQuery finds out
)

// Record is one record of the partition. Its offset is its index in the log, from 0.
type Record struct {
	Table int8
	Kind  Kind
}

// records is a set of offsets: bit o stands for offset o.
type records uint8

func (r records) has(o int8) bool { return r&(1<<o) != 0 }

func (r records) count() int8 {
	n := int8(0)
	for ; r != 0; r &= r - 1 {
		n++
	}
	return n
}

// State is all there is at one moment. It is a value: a step copies it.
type State struct {
	// Kafka: the committed pair, the generation, the dead letters, and a commit under way whose call is over.
	Committed  Pair
	Generation int8
	// Doubted is the generation in which a commit is in doubt; 0 is none.
	Doubted int8
	Dead    records
	Late    Commit

	// BigQuery: the write streams, and each table's rows as offset+1, in the order in which they got there.
	Streams [maxStreams]Stream
	Rows    [tables][maxRows]int8

	// Calls are the owners, the oldest first; those that are gone are zero and last.
	Calls [maxCalls]Call

	// What is used up of the bounds.
	Opens, Losses, Rests, Stays int8
	// Created numbers streams for traces alone.
	Created int8

	// Fault names a fault inside a half, for example a count below zero; none may ever be found.
	Fault Fault
}

// Pair is what is committed: a position and the checkpoint that explains the tables at it.
type Pair struct {
	Position int8
	Checkpoint
}

// Checkpoint is the writer's token.
type Checkpoint struct {
	// Clean: nothing was in flight, the streams may be adopted.
	Clean bool
	// Left are the records left out.
	Left  records
	Table [tables]Entry
}

// Entry is what a checkpoint says of one table: Rows rows in the stream at the position, Drop rows after the position
// in streams that are fenced and forgotten.
type Entry struct {
	Stream int8 // 1 + index in State.Streams; 0 is none
	Rows   int8
	Drop   int8
}

// Stream is a write stream.
type Stream struct {
	Table     int8 // 1 + table; 0 is no stream
	Rows      int8
	Finalized bool
	// InDoubt are appends whose connection is lost. Each may arrive at any time, or never.
	InDoubt [maxInDoubt]Request
	// Name is for traces alone: the search does not tell streams apart by it.
	Name int8
}

// Request is one append under way.
type Request struct {
	Offset int8
	Rows   records
	Result Result
	// Expected is the rows in the stream when the response was given.
	Expected int8
}

// Result is what BigQuery says of an append.
type Result int8

// BigQuery's responses.
const (
	None Result = iota
	Written
	AlreadyExists
	OutOfRange
	RowErrors
	Finalized
)

func (a Result) String() string {
	return [...]string{"no response", "written", "ALREADY_EXISTS", "OUT_OF_RANGE", "row errors", "STREAM_FINALIZED"}[a]
}

// Commit is a commit under way.
type Commit struct {
	Stage      Stage
	Generation int8
	Pair       Pair
}

// Stage is how far a commit is.
type Stage int8

// The stages of a commit.
const (
	Idle    Stage = iota
	Sent          // Kafka has not seen it
	Applied       // Kafka has applied it; ingest does not know
)

// Call is one owner: a call of the lane protocol. The two halves end one by one.
type Call struct {
	Ingest
	Writer
	// Window is the batches sent and not settled, which both halves keep.
	Window [maxWindow]Batch
	Sent   int8
	// Name is for traces alone.
	Name int8
}

// Ingest is ingest's half.
type Ingest struct {
	Phase IngestPhase
	// Generation is the newest that it has learned of, Assigned the newest in which the partition is its own.
	Generation, Assigned int8
	// Next is the next record to take. Drop and Skip are Opened's replay and left-out records.
	Next int8
	Drop [tables]int8
	Skip records
	// Newest is the pair to commit; Held: it is not committed. Barrier: the writer waits for it.
	Newest        Pair
	Held, Barrier bool
	Commit        Commit
}

// IngestPhase is how far ingest's half is.
type IngestPhase int8

// The phases of ingest's half.
const (
	IngestGone   IngestPhase = iota
	AwaitsOpened             // Open is sent
	Confirming               // the checkpoint of Opened is to be committed
	Streaming
	Closing // Closed has come, its checkpoint is to be committed
)

// Writer is the writer's half.
type Writer struct {
	Phase WriterPhase
	// Position is the next record to settle, Left the records left out after it.
	Position int8
	Left     records
	Table    [tables]Lane
	Launched int8 // batches of the window that are not held
	// Versions: an append waits until the version that it needs is durable. They count from Durable, which is therefore
	// always 0.
	Version, Floor, Wanted, Awaited int8
	Awaiting                        bool
	Resting                         bool
}

// WriterPhase is how far the writer's half is.
type WriterPhase int8

// The phases of the writer's half.
const (
	WriterGone WriterPhase = iota
	Opening
	AwaitsDurable
	Carrying
)

// Lane is one table of a call, with the ordered resend queue of its stream.
type Lane struct {
	Entry        // what the next checkpoint says
	ToFence bool // the opening has not fenced the stream yet
	Wants   bool // rows wait for a stream
	ToDrop  int8 // rows of Drop that are after what ingest has sent
	Version int8 // must be durable before the stream takes a row

	// End is how many rows the stream is known to hold; High the end of what was ever sent.
	End, High int8
	// Flight is what is under way on this connection, in order: Draining rejected requests to ignore, then InFlight
	// pieces.
	Flight             [maxWindow]Request
	Draining, InFlight int8
	Shifted, Paused    bool
	Swapped            bool // see ResendOrder
}

// Batch is one Append: the records up to End.
type Batch struct {
	End   int8
	Needs int8
	Block [tables]Block
}

// Block is the rows of a batch for one table.
type Block struct {
	Rows    records
	Dropped int8
	Open    bool // not written yet
	// Tried: it was sent at its present offset. InDoubt: a copy may still arrive over a lost connection.
	Tried, InDoubt bool
	// Refused are rows that BigQuery will never take, until a durable checkpoint leaves them out: LeftAt is its
	// version, 0 while ingest has not responded.
	Refused records
	LeftAt  int8
}
