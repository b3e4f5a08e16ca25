// Package source is ingest's side of Kafka, of reading and committing. It turns the claims of a consumer group into
// lane.Partition values and runs one lane handler for each, for as long as the claim lives. Where dead letters go is
// package deadletter's (Letters); it alone imports sarama besides.
//
// # Three ways to the brokers
//
// Ownership comes from a sarama consumer group; its own fetcher is paused and never read. Data comes from fetches on
// connections of our own (kafkawire), at exactly the offset asked for, so that a lane can rewind without a rebalance
// and a slow partition holds up nobody: it is not asked for. Commits go to the group coordinator on a client of their
// own, because a sarama broker keeps its lock for a whole round trip.
//
// # The way of a fetch
//
//	follow.go     a reader finds the broker that serves its partition, and compares the log with what was read
//	metadata.go   who leads, in which epoch, in which topic: sarama's metadata
//	leader.go     what a leader is asked at once: the ends of a partition, the end of an epoch
//	fetcher.go    one request for all readers of a broker that have room, one after the other
//	fetched.go    a response for one partition: batches, transactions, legacy messages
//	reader.go     the queue, and Next, by which a lane takes records
//	prefetch.go   the budget of the queues, and of what is inflated
//	stamp.go      what is committed with a position: of which topic and log it is
//
// # Life of a claim
//
//	Source.Run            connects, waits for topics, joins the group, joins again after every rebalance
//	  membership          the claims of this member, across generations: the committer, the fetchers
//	  session             sarama's part of it: which generation there is, and what is assigned in it
//	    claim             one partition: implements lane.Partition, runs the handler
//	      reader          one pass over the partition from an exact offset
//	  fetchers            a fetcher a broker, with a connection of its own
//
// A revoked claim ends the handler's context. The partition keeps working until the handler returns or the drain
// deadline passes, so that the lane can settle its window and commit; after that every method returns lane.ErrFenced.
//
// # Which context rules what
//
// Run's context ends the membership: claims drain, then the member leaves the group. The handler's context ends with
// the claim. A context given to a method of the partition bounds that call and nothing else.
package source
