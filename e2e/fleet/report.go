package fleet

import (
	"fmt"
	"io"
	"time"

	"github.com/waybill-data/waybill/sandbox/verify"
)

// Row is what one event did.
type Row struct {
	What  string
	Class class
	// Even is the time until the lanes were even, Silence the longest time in which nothing of a lane settled.
	Even, Silence time.Duration
	// Moved are lanes that came to another writer, as often as they did; Created and Finalized are write streams.
	Moved              int
	Created, Finalized int64
	// Asked is how often DNS was asked.
	Asked int
}

const header = "event                                   even s  silence s  moved  created  finalized"

func (r Row) String() string {
	return fmt.Sprintf("%-38s  %6.1f  %9.2f  %5d  %7d  %9d",
		r.What, r.Even.Seconds(), r.Silence.Seconds(), r.Moved, r.Created, r.Finalized)
}

// Report is what came of a run.
type Report struct {
	Rows []Row
	// Relieved is how long it took until a slow writer had no lanes.
	Relieved time.Duration
	Produced int64
	Verified verify.Report
}

// goals are the longest silences that are promised.
var goals = map[class]time.Duration{graceful: time.Second, killed: 2 * time.Second, hung: 6 * time.Second}

// spreadGoal is how soon lanes are even after a change, and openGoal how soon they are open again once the only writer
// serves.
const spreadGoal, openGoal = 10 * time.Second, time.Second

// spread, silence and finalized are the worst of the graceful events.
func (r *Report) spread() (d time.Duration) {
	for _, row := range r.Rows {
		if row.Class == graceful {
			d = max(d, row.Even)
		}
	}
	return d
}

func (r *Report) silence() (d time.Duration) {
	for _, row := range r.Rows {
		if row.Class == graceful {
			d = max(d, row.Silence)
		}
	}
	return d
}

func (r *Report) finalized() (n int64) {
	for _, row := range r.Rows {
		if row.Class == graceful {
			n += row.Finalized
		}
	}
	return n
}

// OK says that every event is in its table once, and that graceful changes finalized nothing. How long things take is
// for people: machines differ.
func (r *Report) OK() bool {
	return r.Verified.OK() && r.Verified.Events == r.Produced && r.finalized() == 0
}

// Missed are the goals that were not met, for people.
func (r *Report) Missed() []string {
	var missed []string
	for _, row := range r.Rows {
		if goal, ok := goals[row.Class]; ok && row.Silence > goal {
			missed = append(missed, fmt.Sprintf("%s: a lane was silent for %.2f s, the goal is %v",
				row.What, row.Silence.Seconds(), goal))
		}
		if row.Class == away && row.Even > openGoal {
			missed = append(missed, fmt.Sprintf("%s: open again after %.1f s, the goal is %v",
				row.What, row.Even.Seconds(), openGoal))
		}
		if row.Class == graceful && row.Even > spreadGoal {
			missed = append(missed, fmt.Sprintf("%s: even after %.1f s, the goal is %v",
				row.What, row.Even.Seconds(), spreadGoal))
		}
	}
	return missed
}

// Line is the report in a line.
func (r *Report) Line() string {
	return fmt.Sprintf("fleet: spread %.1f s, silence %.2f s (graceful), finalized %d (graceful), lost %d, duplicates %d",
		r.spread().Seconds(), r.silence().Seconds(), r.finalized(), r.Verified.Missing,
		r.Verified.Duplicates+r.Verified.Both+r.Verified.Phantom)
}

// Print writes what the table does not say; Line is its last line.
func (r *Report) Print(out io.Writer) error {
	fmt.Fprintln(out)
	for _, m := range r.Missed() {
		fmt.Fprintf(out, "not met: %s\n", m)
	}
	if !r.Verified.OK() {
		if err := r.Verified.Print(out); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d events produced, %d compared\n", r.Produced, r.Verified.Events)
	_, err := fmt.Fprintln(out, r.Line())
	return err
}
