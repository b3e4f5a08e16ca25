// Package model is the lane protocol as a state machine small enough to be explored to its end: every interleaving of
// two owners, every crash, every lost response, within bounds. It shares no code with the services; docs/protocol.md is
// what both are written from.
//
// # What there is
//
// Kafka (kafka.go): a log of a few records, each routed to table A or B, some of them bad; the committed pair of
// position and checkpoint; the generation of the group. BigQuery (bigquery.go): write streams that take rows at an
// exact offset until they are finalized, and appends that arrive late over lost connections. Owners (state.go): a call
// of the lane protocol, of two halves. Ingest (ingest.go) opens, batches, drops, dead-letters, commits. The writer
// (writer.go, queue.go) fences or adopts, raises barriers, appends, resends, settles.
//
// The group goes on to other generations while the partition stays with its owner, or while that one drains and nobody
// else has it; the owner learns of it later (generation.go). A commit may be in doubt: then its member waits for the
// next generation.
//
// A new owner may open at any time: in a new generation while the old owner still lives (a zombie), in the same one
// after its call broke, or in an old one (a stale ingest that does not know). Either half may die at any step. Steps
// are in the order of the protocol, and each is as small as anybody else could tell: what happens inside one process
// between two messages is one step, and a message inside a call arrives with the step that sends it. No behaviour is
// lost by that: what a late message would do late, the steps after it may do late, and what a lost message would leave
// undone is left undone by breaking the call.
//
// # What is assumed
//
// Of Kafka: a commit that was accepted is seen by whoever owns the partition in a later generation; no commit of an
// older generation is accepted after that; commits of one member are applied in the order in which they were sent, so
// that none outlives its connection and lands after a newer one (the last case of Mutants shows what else would
// happen). Of BigQuery: the rules in World.take, and that FinalizeWriteStream returns the rows of the stream. Of both
// services: that a process does what its code says; that is what the tests of the services are for.
//
// Not in the model: time, so neither back-off nor that all this ends, only that an undisturbed owner is never without a
// next step; routing changes, expired streams and retention, which stop a lane; partial lists of row errors; windows of
// more than two batches.
//
// # What holds
//
// law.go says what must be true in every state; search.go visits them all, breadth first, so that a counterexample is a
// shortest one. mutants.go takes one protection away at a time: the law must break, and the trace says how.
package model
