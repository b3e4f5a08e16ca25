// Package source is ingest's side of Kafka, of reading and committing. It turns the claims of a consumer group into
// lane.Partition values and runs one lane handler for each, for as long as the claim lives. Where dead letters go is
// package deadletter's (Letters); it alone imports sarama besides.
//
// # Three ways to the brokers
//
// Ownership comes from a sarama consumer group; its own fetcher is paused before it fetches anything and is never read.
// Data comes from fetches of our own on a few clients, at exactly the offset asked for, so that a lane can rewind
// without a rebalance and a slow partition holds up nobody: it is not asked for. Their answers come in two parts:
// sarama decodes the heads, kafkawire the records. Commits go to the group coordinator on yet another client, because a
// sarama broker keeps its lock for a whole round trip and a commit would wait behind the long poll of a fetch.
//
// # Life of a claim
//
//	Source.Run            connects, waits for topics, joins the group, joins again after every rebalance
//	  session             one generation: its members' claims, the committer, the consumers for the data
//	    claim             one partition: implements lane.Partition, runs the handler
//	      reader          one pass over the partition from an exact offset; finds the broker that serves it
//	  fetchers            of one client and generation: a fetcher a broker, which asks for all its readers at once
//
// A revoked claim ends the handler's context. The partition keeps working until the handler returns or the drain
// deadline passes, so that the lane can settle its window and commit; after that every method answers lane.ErrFenced.
//
// # Which context rules what
//
// Run's context ends the membership: claims drain, then the member leaves the group. The handler's context ends with
// the claim. A context given to a method of the partition bounds that call and nothing else.
package source
