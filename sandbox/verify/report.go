package verify

import (
	"fmt"
	"io"
	"strings"

	"github.com/waybill-data/waybill/sandbox/internal/table"
)

// keptOffences is how many offences of a kind a topic's report keeps.
const keptOffences = 5

// Kind of offence.
type Kind string

// Kinds of offence.
const (
	Missing    Kind = "missing"      // a record that became nothing
	Duplicate  Kind = "duplicate"    // a record with more than one row
	Both       Kind = "both"         // a record with a row and a dead letter
	Phantom    Kind = "phantom"      // a row or dead letter without a record
	OutOfOrder Kind = "out of order" // a row behind a later record's in the same write stream
	Different  Kind = "different"    // a row that says something else than its record
	Stray      Kind = "stray"        // a dead letter that does not name its origin, or is not its copy
)

// Offence is one record, row or dead letter that is off.
type Offence struct {
	Kind      Kind   `json:"kind"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Detail    string `json:"detail"`
}

func (o Offence) String() string {
	return fmt.Sprintf("%s: %s/%d offset %d: %s", o.Kind, o.Topic, o.Partition, o.Offset, o.Detail)
}

// Totals are numbers of records, rows and offences. Replayed are the events that are there again, Repeated the
// further rows of records whose delivery is at least once. Expired rows are those of records that retention removed.
type Totals struct {
	Events      int64 `json:"events"`
	Rows        int64 `json:"rows"`
	Ignored     int64 `json:"ignored"`
	DeadLetters int64 `json:"dead_letters"`
	Expired     int64 `json:"expired"`
	Sampled     int64 `json:"sampled"`
	Replayed    int64 `json:"replayed"`
	Repeated    int64 `json:"repeated"`

	Missing    int64 `json:"missing"`
	Duplicates int64 `json:"duplicates"`
	Both       int64 `json:"both"`
	Phantom    int64 `json:"phantom"`
	OutOfOrder int64 `json:"out_of_order"`
	Different  int64 `json:"different"`
	Stray      int64 `json:"stray"`
}

func (t *Totals) add(o Totals) {
	t.Events += o.Events
	t.Rows += o.Rows
	t.Ignored += o.Ignored
	t.DeadLetters += o.DeadLetters
	t.Expired += o.Expired
	t.Sampled += o.Sampled
	t.Replayed += o.Replayed
	t.Repeated += o.Repeated
	t.Missing += o.Missing
	t.Duplicates += o.Duplicates
	t.Both += o.Both
	t.Phantom += o.Phantom
	t.OutOfOrder += o.OutOfOrder
	t.Different += o.Different
	t.Stray += o.Stray
}

// OK says whether nothing is off.
func (t Totals) OK() bool {
	return t.Missing+t.Duplicates+t.Both+t.Phantom+t.OutOfOrder+t.Different+t.Stray == 0
}

// TopicReport is about one topic.
type TopicReport struct {
	Topic string `json:"topic"`
	Totals
	// Offences are the first few of each kind.
	Offences []Offence `json:"-"`
}

// Report is the outcome of a comparison.
type Report struct {
	Totals
	Topics   []TopicReport `json:"topics"`
	Offences []Offence     `json:"offences"`
}

// Print writes the table, the first few offences, and Line last. Topics stand side by side, so that it fits a narrow
// screen.
func (r Report) Print(w io.Writer) error {
	t := table.Table{Header: []string{"topic"}, Right: []bool{false}}
	for _, name := range []string{
		"events", "rows", "repeated", "ignored", "dead letters",
		"missing", "duplicates", "both", "phantom", "out of order", "stray", "content checked", "different",
	} {
		t.Rows = append(t.Rows, []string{name})
	}
	add := func(name string, n Totals) {
		t.Header, t.Right = append(t.Header, name), append(t.Right, true)
		for i, count := range []int64{
			n.Events, n.Rows, n.Repeated, n.Ignored, n.DeadLetters,
			n.Missing, n.Duplicates, n.Both, n.Phantom, n.OutOfOrder, n.Stray, n.Sampled, n.Different,
		} {
			t.Rows[i] = append(t.Rows[i], table.Count(count))
		}
	}
	for _, topic := range r.Topics {
		add(topic.Topic, topic.Totals)
	}
	if len(r.Topics) != 1 {
		add("total", r.Totals)
	}
	if err := t.Print(w); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteByte('\n')
	if r.Expired > 0 {
		fmt.Fprintf(&b, "%s rows are older than what Kafka still holds: not compared\n", table.Count(r.Expired))
	}
	for _, offence := range r.Offences {
		fmt.Fprintln(&b, offence)
	}
	fmt.Fprintln(&b, r.Line())
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// Line is the report in one line. It starts with "verified:" only when nothing is off.
func (r Report) Line() string {
	if !r.OK() {
		return fmt.Sprintf("NOT verified: events %d, rows %d, missing %d, duplicates %d, dead "+
			"letters %d, both %d, phantom %d, "+
			"out of order %d, stray %d, different %d", r.Events, r.Rows, r.Missing, r.Duplicates, r.DeadLetters, r.Both,
			r.Phantom, r.OutOfOrder, r.Stray, r.Different)
	}
	line := fmt.Sprintf("verified: events %d, rows %d, missing %d, duplicates %d, dead letters %d",
		r.Events, r.Rows, r.Missing, r.Duplicates, r.DeadLetters)
	if r.Replayed > 0 {
		line += fmt.Sprintf(", replayed %d", r.Replayed)
	}
	if r.Repeated > 0 {
		line += fmt.Sprintf(", repeated %d (at least once)", r.Repeated)
	}
	return line
}
