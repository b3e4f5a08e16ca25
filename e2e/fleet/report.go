package fleet

import (
	"fmt"
	"io"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// Row is what one event did.
type Row struct {
	What  string
	Class class
	// Even is the time until the lanes were even, Silence the longest time in which nothing of a lane settled, and Kept
	// that of the lanes whose ingest stayed the same.
	Even, Silence, Kept time.Duration
	// Moved are lanes that came to another writer, as often as they did, and Needed those that had to. Stopped are
	// lanes whose ingest stayed the same and that stopped nevertheless.
	Moved, Needed, Stopped int
	// Created and Finalized are write streams.
	Created, Finalized int64
	// Updates says how writers took each other's place.
	Updates update
	// Restarts says that an ingest came back to its lanes.
	Restarts bool
	// Busy is the share of the time in which something on the machine waited for a processor.
	Busy float64
}

const header = "event                                   even s  silence s  kept s  moved  created  finalized  busy"

func (r Row) String() string {
	return fmt.Sprintf("%-38s  %6.1f  %9.2f  %6.2f  %5d  %7d  %9d  %3.0f%%", r.What, r.Even.Seconds(),
		r.Silence.Seconds(), r.Kept.Seconds(), r.Moved, r.Created, r.Finalized, 100*r.Busy)
}

// Report is what came of a run.
type Report struct {
	Lanes int
	Rows  []Row
	// Relieved is how long it took until a slow writer had no lanes.
	Relieved time.Duration
	Produced int64
	Verified verify.Report
}

// spread, silence and finalized are the worst of the graceful events.
func (r *Report) spread() time.Duration {
	return r.most(graceful, func(w *Row) time.Duration { return w.Even })
}

func (r *Report) silence() time.Duration {
	return r.most(graceful, func(w *Row) time.Duration { return w.Silence })
}

func (r *Report) finalized() (n int64) {
	for _, row := range r.Rows {
		if row.Class == graceful || row.Class == shared {
			n += row.Finalized
		}
	}
	return n
}

func (r *Report) most(c class, of func(*Row) time.Duration) (d time.Duration) {
	for i := range r.Rows {
		if r.Rows[i].Class == c {
			d = max(d, of(&r.Rows[i]))
		}
	}
	return d
}

// OK says that every goal is met that says something on any machine, and with strict those of time as well, unless
// something else kept the machine busy.
func (r *Report) OK(strict bool) bool {
	for _, g := range r.Goals() {
		if !g.OK && (!g.Timed || strict && !g.Busy) {
			return false
		}
	}
	return true
}

// Line is the report in a line.
func (r *Report) Line() string {
	return fmt.Sprintf("fleet: spread %.1f s, silence %.2f s (graceful), finalized %d (graceful), lost %d, "+
		"duplicates %d",
		r.spread().Seconds(), r.silence().Seconds(), r.finalized(), r.lost(), r.duplicates())
}

func (r *Report) lost() int64 { return r.Verified.Missing + max(0, r.Produced-r.Verified.Events) }

func (r *Report) duplicates() int64 {
	return stack.Duplicates(r.Verified.Totals)
}

// offences writes what is off, if anything is.
func (r *Report) offences(out io.Writer) {
	if !r.Verified.OK() {
		fmt.Fprint(out, stack.Text(r.Verified))
	}
}

// Print writes what the table of events does not say; Line is its last line.
func (r *Report) Print(out io.Writer) error {
	fmt.Fprintf(out, "\n%-66s  %10s  %10s  ok\n", "goal", "wanted", "seen")
	for _, g := range r.Goals() {
		fmt.Fprintf(out, "%-66s  %10s  %10s  %s\n", g.What, g.Wanted, g.Seen, g.outcome())
	}
	fmt.Fprintln(out)
	r.offences(out)
	fmt.Fprintf(out, "%d events produced, %d compared\n", r.Produced, r.Verified.Events)
	_, err := fmt.Fprintln(out, r.Line())
	return err
}
