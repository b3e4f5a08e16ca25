// Package lane carries the rows of one Kafka partition from a gRPC call into BigQuery write streams, exactly once.
//
// A Service takes calls of lane.v1.LaneService; each call is one lane. Tables is lane.v1.TableService, which only
// compares.
//
// A lane is one owner goroutine, which alone touches the lane's state, and one receiving goroutine, which reads one
// message whenever the owner lets it. The handler of the call waits for the owner, and for whoever ends the lane (cut):
// then it returns, which ends the owner's Send as well. Whatever blocks (a table to be made, a stream to be created or
// fenced) runs in a goroutine that the owner starts and awaits; its outcome, and what BigQuery says of each append,
// comes back to the owner as an event. A panic of any of them ends the lane and no other (guard). Whatever way a lane
// ends, release gives back what it holds.
//
// The law of the package: nothing is appended that the committed checkpoint does not explain. Three numbers a table
// keep it:
//
//	settled  rows in the table's stream at the position: in every checkpoint
//	drop     rows after the position that are in the table already: in every checkpoint, until the position has passed
//	         them
//	version  the state of the lane that a checkpoint must show before the table's stream takes a row
//
// Every change that a later append relies on (a new stream, a left-out offset, the end of a rest) takes the next
// version. A batch is appended once the version it needs is durable, and the barrier (Checkpoint, for which Durable
// comes back) makes the newest version durable, however many changes that covers. Batches are appended in order; what
// waits is held, and what was appended before stays in flight.
//
// A table whose route says at least once has none of the three: its rows go to the table's default stream as soon as
// their batch may go, and come again after a crash. A lane may have tables of both kinds. Left-out records and refused
// rows raise the barrier only where a table is counted, because only counting depends on them; so a lane with no such
// table never raises one. What an exactly-once owner has left behind, a stream to fence and rows to drop, is dealt with
// all the same.
//
// Rows count only while they are our own: a stream in which an append meets rows of a stranger is marked in the
// checkpoint, and the lane refused (foreign.go).
//
// What lanes hold together is bounded by the Budget, exactly, and what connections have read beside that by as much
// again (relief.go).
//
// A lane that has been idle for a while rests: it makes a checkpoint durable that is flagged clean, so that a crash
// during the idle time costs the next owner nothing, and raises the barrier again before its next append. A lane that
// adopts clean streams begins at rest.
package lane
