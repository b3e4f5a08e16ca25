package statuspage

import (
	"context"
	"net/url"
)

// causeEntry is what docs/messages.md says of one cause of the time of a lane.
type causeEntry struct {
	// Cause is its name, Means what the lane does or waits for.
	Cause, Means string
	// Look says where to look; empty for idle lanes and those that another member has taken, which need nothing.
	Look string
}

// causeEntries are all causes, in the order of the page of messages.
var causeEntries = []causeEntry{
	{"idle", "The lane has nothing to read.", ""},
	{
		"fetch", "The lane waits for Kafka's records though the partition has more.",
		"brokers, network, READ on the topic; the lane's page says why.",
	},
	{"registry", "The lane waits for a schema.", "the schema registry: does it respond, has it the id."},
	{
		"decode", "The lane takes records into batches: the processor's share.",
		"the fleet and its plan: more processors, more ingests.",
	},
	{"budget", "The lane waits for memory.", "memory.budget of ingest."},
	{"barrier", "The lane waits for an offset commit before it appends on.", "the group's coordinator."},
	{
		"opening", "The lane has no writer yet, or moves to another.",
		"the fleet and its plan: writers that serve; a writer's log.",
	},
	{
		"append", "The lane has a full window: BigQuery's responses are awaited.",
		"how long the table takes to settle; more partitions, a larger window; BigQuery's latency.",
	},
	{
		"quota", "The lane waits for BigQuery, which is out of quota or unavailable.",
		"quotas of the project, and BigQuery's status.",
	},
	{
		"schema", "The lane waits for BigQuery to know a new column.",
		"minutes are usual; then the table, and the right to change it.",
	},
	{
		"letters", "The lane waits for the dead-letter topic.",
		"that the dead-letter topic exists, and WRITE on it.",
	},
	{"refused", "The lane needs an operator.", "what the lane says: how to go on is at its end."},
	{"paused", "The lane was paused by an operator.", "the event, which says who, why and until when."},
	{"fenced", "The lane lost its partition to another member.", ""},
}

// advice is where to look, by cause; causes that need nothing have none.
var advice = func() map[string]string {
	all := make(map[string]string, len(causeEntries))
	for _, c := range causeEntries {
		if c.Look != "" {
			all[c.Cause] = c.Look
		}
	}
	return all
}()

// runbook is the page of the causes, for people who do not have the documentation at hand.
func runbook(context.Context, *page, url.Values) (any, error) { return causeEntries, nil }
