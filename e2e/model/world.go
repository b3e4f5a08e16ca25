package model

import (
	"fmt"
	"strings"
)

// World is what is explored: the log, the bounds, and what is taken away.
type World struct {
	// Log are the records of the partition, at most maxRecords.
	Log []Record
	// Batch is the most records in a batch, Window the most batches sent and not settled, at most maxWindow.
	Batch, Window int8
	// Opens bounds how often an owner opens, and so how often one breaks; Generations how often the partition changes
	// hands.
	Opens, Generations int8
	// Losses bounds lost connections to BigQuery and lost responses of Kafka; Rests how often an idle lane rests.
	Losses, Rests int8
	// Stays bounds how often the group goes on to another generation while the partition stays with its owner, or is
	// withheld while that one drains. With any, a commit may be in doubt.
	Stays int8
	// Late is what becomes of a commit under way when its call ends.
	Late Late
	// Without are the protections taken away.
	Without Mutant
	// Outcome checks only what is in the tables and what the position has passed, not whether the checkpoint explains
	// it.
	Outcome bool

	refused records
	out     func(s *State)
	words   *string
}

// Late says how late a commit may be applied whose call is over.
type Late int8

// How late a commit may be.
const (
	// Never: it is applied before the call is over, or not at all.
	Never Late = iota
	// UntilNext: until the same member commits again, also after the next call has read the committed pair. This is
	// what ingest sees to by sending one request at a time.
	UntilNext
	// AnyTime: a lost connection may deliver it after newer commits of the same member. Kafka checks nothing but the
	// generation, so the protocol assumes that this does not happen.
	AnyTime
)

// Parse reads a log: a letter A or B is a good record of that table, `-` after it an undecodable one, `!` one that
// BigQuery refuses.
func Parse(text string) []Record {
	var log []Record
	for _, r := range text {
		switch r {
		case 'A', 'B':
			log = append(log, Record{Table: int8(r - 'A')})
		case '-':
			log[len(log)-1].Kind = Undecodable
		case '!':
			log[len(log)-1].Kind = Refused
		default:
			panic("no record: " + string(r))
		}
	}
	if len(log) > maxRecords {
		panic("too many records: " + text)
	}
	return log
}

func (w *World) without(m Mutant) bool { return w.Without&m != 0 }

// initial is where every exploration begins: nothing committed but position 0, no streams, no owners.
func (w *World) initial() State {
	w.refused = 0
	for o, r := range w.Log {
		if r.Kind == Refused {
			w.refused |= 1 << o
		}
	}
	return State{Generation: 1}
}

// steps calls out with every state that one step leads to, in a fixed order. The state is good only during the call.
func (w *World) steps(s *State, out func(*State)) {
	w.out = out
	w.open(s)
	w.kafkaSteps(s)
	w.generationSteps(s)
	w.bigquerySteps(s)
	for i := range s.Calls {
		w.ingestSteps(s, i)
		w.writerSteps(s, i)
	}
}

// emit is one step taken. The words are made only when somebody reads them.
func (w *World) emit(n *State, format string, args ...any) {
	if w.words != nil {
		*w.words = fmt.Sprintf(format, args...)
	}
	w.out(n)
}

// name lists records by offset.
func name(r records) string {
	if r == 0 {
		return "none"
	}
	var list []string
	for o := range int8(maxRecords) {
		if r.has(o) {
			list = append(list, fmt.Sprint(o))
		}
	}
	return strings.Join(list, ",")
}

// stream names a stream as traces do.
func (w *World) stream(s *State, id int8) string {
	if id == 0 {
		return "no stream"
	}
	st := &s.Streams[id-1]
	return fmt.Sprintf("S%d(%c)", st.Name, 'A'+st.Table-1)
}

// show prints a pair: (position; streams with rows; rows to drop; left out).
type show struct {
	w *World
	s *State
	p Pair
}

func (v show) String() string {
	parts := []string{fmt.Sprintf("position %d", v.p.Position)}
	if v.p.Clean {
		parts = append(parts, "clean")
	}
	for t, e := range v.p.Table {
		if e.Stream != 0 {
			parts = append(parts, fmt.Sprintf("%s at %d", v.w.stream(v.s, e.Stream), e.Rows))
		}
		if e.Drop != 0 {
			parts = append(parts, fmt.Sprintf("drop %d of %c", e.Drop, 'A'+t))
		}
	}
	if v.p.Left != 0 {
		parts = append(parts, "left out "+name(v.p.Left))
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
