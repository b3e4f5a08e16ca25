package model

import "fmt"

// Fault is something that a half found wrong with itself.
type Fault int8

// The faults.
const (
	NoFault Fault = iota
	RowsMissing
	DropMismatch
	TooManyRows
	TooManyStreams
	TooManyInDoubt
)

func (f Fault) String() string {
	return [...]string{
		"", "a fenced stream holds fewer rows than the checkpoint counts (N < R)",
		"rows are dropped that are not to be dropped", "a table holds too many rows",
		"the model has too few streams for these bounds",
		"the model has too few lost requests for these bounds",
	}[f]
}

// check says how the law is broken in a state, or nothing. In every state, whoever lives and whatever is under way:
//
//   - a table holds each of its good records at most once, in the order of the partition, and nothing else;
//   - what the committed position K has passed is done: a good record is in its table, a bad one is dead-lettered;
//   - the committed checkpoint explains the tables. Let N be the rows in the stream that it names for a table, R the
//     rows it counts there, D what it says is to be dropped, and Y the table's records from K on that it does not leave
//     out. Then N >= R, N = R if it is clean, and the rows of the table from K on are exactly the first D + N - R of Y.
//     So whoever opens from it loses and repeats nothing: this is "nothing is appended that the committed checkpoint
//     does not explain".
//
// Once the position has passed the log, the first two say: every good record exactly once, every bad one dead-lettered,
// in order.
func (w *World) check(s *State) string {
	if s.Fault != NoFault {
		return s.Fault.String()
	}
	var held records
	for t := range int8(tables) {
		last := int8(0)
		for _, row := range s.Rows[t] {
			if row == 0 {
				break
			}
			r := w.Log[row-1]
			switch {
			case row == last || held.has(row-1):
				return fmt.Sprintf("record %d is in table %c twice", row-1, 'A'+t)
			case row < last:
				return fmt.Sprintf("record %d is in table %c after record %d", row-1, 'A'+t, last-1)
			case r.Table != t || r.Kind != Good:
				return fmt.Sprintf("record %d must not be in table %c", row-1, 'A'+t)
			}
			held |= 1 << (row - 1)
			last = row
		}
	}
	k := s.Committed.Position
	for o := range k {
		switch {
		case w.Log[o].Kind == Good && !held.has(o):
			return fmt.Sprintf("the committed position has passed record %d, which is in no table", o)
		case w.Log[o].Kind != Good && !s.Dead.has(o):
			return fmt.Sprintf("the committed position has passed bad record %d, which has no dead letter", o)
		}
	}
	if w.Outcome {
		return ""
	}
	for t := range int8(tables) {
		e := s.Committed.Table[t]
		explained := e.Drop
		if e.Stream != 0 {
			n := s.Streams[e.Stream-1].Rows
			switch {
			case n < e.Rows:
				return fmt.Sprintf("table %c: the stream holds %d rows, the committed checkpoint counts %d (N < R)",
					'A'+t, n, e.Rows)
			case n > e.Rows && s.Committed.Clean:
				return fmt.Sprintf("table %c: the committed checkpoint is clean at %d rows, the stream holds %d", 'A'+t,
					e.Rows, n)
			}
			explained += n - e.Rows
		}
		for o := k; int(o) < len(w.Log); o++ {
			if w.Log[o].Table != t {
				continue
			}
			counted := explained > 0 && !s.Committed.Left.has(o)
			if counted {
				explained--
			}
			switch {
			case held.has(o) && !counted:
				return fmt.Sprintf("record %d is in table %c, and the committed checkpoint does not explain it: the "+
					"next owner would append it again", o, 'A'+t)
			case counted && !held.has(o):
				return fmt.Sprintf("record %d is not in table %c, and the committed checkpoint counts "+
					"it: the next owner would drop it", o, 'A'+t)
			}
		}
		if explained > 0 {
			return fmt.Sprintf("table %c: the committed checkpoint counts %d rows more than there are records", 'A'+t,
				explained)
		}
	}
	return ""
}

// finished says that the committed position has passed the log.
func (w *World) finished(s *State) bool { return int(s.Committed.Position) == len(w.Log) }

// stuck says whether a state without a next step should have one: an owner that nobody disturbs always gets on.
func (w *World) stuck(s *State) bool {
	for i := range s.Calls {
		if s.Calls[i].Ingest.Phase != IngestGone {
			return true
		}
	}
	return s.Opens < w.Opens
}
