// Package lane is the ingest half of a lane: it carries the records of one Kafka partition to a writer as rows, exactly
// once.
//
// A Lane lives as long as its claim. Lane.Run opens calls of the lane protocol one after the other, each from the
// committed (position, checkpoint), until its context ends:
//
//	Committed -> Open -> Opened -> Commit -> Durable 0 ->
//	  { records -> batch -> Append -> Settled -> CommitLater } -> Closed -> Commit
//
// # The parts of a call
//
// Four goroutines serve a call. The owner (call.go) has all the state and never waits for I/O. The reader (read.go)
// takes records from Kafka and pays for them out of the Budget. The sender and the receiver (stream.go) do nothing but
// SendMsg and RecvMsg. An awaited commit and a production of dead letters run in a goroutine each while they last. So a
// slow commit holds up neither Settled nor batches, and flow control in one direction never blocks the other.
//
// What decides is free of I/O: builder.go lays records down as a batch, window.go holds what is not settled, replay.go
// counts what is to be dropped, ledger.go orders what is committed.
//
// # Invariants
//
//   - Pairs (position, checkpoint) are cumulative, and never is an older one committed after a newer one: while an
//     awaited commit runs, newer pairs wait for it (ledger.go), and Partition keeps the order of the calls.
//   - Durable is sent only after the broker has confirmed the checkpoint of that barrier or a later one.
//   - A record without a row has a durable dead letter before LeftOut names it, and LeftOut goes out before the Append
//     that passes it.
//   - Rows are dropped on replay by counting records that the routing sends to a table and that are not left out;
//     nothing is decoded, so a changed schema cannot shift the count.
//   - The records of a batch are kept until it is settled, since a refusal needs them; they count in the Budget.
//   - The call is half-closed only when the window is empty and every barrier and refusal has its Durable or LeftOut:
//     after it neither can be sent.
//
// # Contexts
//
// The context of Run ends the claim, not the call: when it ends, the call sends nothing more, waits for its window,
// half-closes and commits the clean checkpoint, all within Config.DrainTimeout. Only then are the contexts of its I/O
// cancelled.
package lane
