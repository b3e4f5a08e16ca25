package causes

// Cause is where a moment of a lane goes.
type Cause uint8

// The causes. Their order is that of the metric's labels, not of importance.
const (
	// Idle: there is nothing to read.
	Idle Cause = iota
	// Fetch: waits for Kafka's records though the partition has more.
	Fetch
	// Registry: waits for a schema of the registry.
	Registry
	// Decode: takes records into batches. The processor's share.
	Decode
	// Budget: waits for memory.
	Budget
	// Barrier: waits for the coordinator of the group: an offset commit, or what is committed.
	Barrier
	// Opening: has no writer yet, or moves to another one.
	Opening
	// Append: the window is full, BigQuery's responses are awaited.
	Append
	// Quota: BigQuery is out of quota or unavailable.
	Quota
	// Schema: BigQuery does not know a new column yet.
	Schema
	// Letters: waits for the dead-letter topic.
	Letters
	// Refused: needs an operator.
	Refused
	// Paused: an operator said so.
	Paused
	// Fenced: another member owns the partition.
	Fenced
	// Count is how many causes there are.
	Count
)

var names = [Count]string{
	"idle", "fetch", "registry", "decode", "budget", "barrier", "opening", "append", "quota", "schema", "letters",
	"refused", "paused", "fenced",
}

// String is the cause's label in metrics and on pages.
func (c Cause) String() string {
	if c >= Count {
		return "unknown"
	}
	return names[c]
}
