package statuspage

// advice says where to look when the time of a lane goes to a cause, as docs/messages.md does. Idle lanes, and those
// that another member has taken, need nothing.
var advice = map[string]string{
	"fetch":    "brokers, network, READ on the topic.",
	"registry": "the schema registry: does it answer, has it the id.",
	"decode":   "the fleet and its plan: more processors, more ingests.",
	"budget":   "memory.budget of ingest.",
	"barrier":  "the group's coordinator.",
	"opening":  "the fleet and its plan: writers that serve; a writer's log.",
	"append":   "how long the table takes to settle; more partitions, a larger window; BigQuery's latency.",
	"quota":    "quotas of the project, and BigQuery's status.",
	"schema":   "minutes are usual; then the table, and the right to change it.",
	"letters":  "that the dead-letter topic exists, and WRITE on it.",
	"refused":  "what the lane says: how to go on is at its end.",
	"paused":   "the event, which says who, why and until when.",
}
