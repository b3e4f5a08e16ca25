package fleet

import (
	"fmt"
	"time"
)

// Goal is something that is promised, and what was seen of it.
type Goal struct {
	What, Wanted, Seen string
	OK                 bool
	// Timed says that it is one of time, and Busy that something waited for a processor too often, in the event that
	// missed it, for that to mean anything.
	Timed, Busy bool
}

func (g *Goal) outcome() string {
	switch {
	case g.OK:
		return "yes"
	case g.Busy:
		return "no, the machine was busy"
	}
	return "no"
}

// The promises, on two quiet cores. manyWithin is that for 500 lanes and more.
const (
	evenGoal, manyWithin = 10 * time.Second, 30 * time.Second
	silenceGoal          = time.Second
	keptGoal             = 500 * time.Millisecond
	killGoal, hangGoal   = 2 * time.Second, 6 * time.Second
	backGoal             = time.Second
	relieveGoal          = 20 * time.Second
	many                 = 500
	// Of the moves that have to be, so many may be made when writers join or leave, when they are updated one by one,
	// and when all are at once: which of them leaves next nobody can know, so a lane may go to one that leaves too.
	movesGoal, updateGoal, atOnceGoal = 1.1, 1.25, 2
)

// update is how writers take each other's place.
type update int

const (
	noUpdate update = iota
	inTurn
	atOnce
)

// Goals are the promises that this run has seen something of.
func (r *Report) Goals() []Goal {
	even := evenGoal
	if r.Lanes >= many {
		even = manyWithin
	}
	var goals []Goal
	timed := func(c class, what string, wanted time.Duration, of func(*Row) time.Duration) {
		g := Goal{What: what, Wanted: seconds(wanted), OK: true, Timed: true}
		seen, worst := false, time.Duration(0)
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Class != c {
				continue
			}
			seen = true
			worst = max(worst, of(row))
			if of(row) > wanted {
				g.Busy = row.Busy >= busy && (g.OK || g.Busy) // of all that missed it
				g.OK = false
			}
		}
		if g.Seen = seconds(worst); seen {
			goals = append(goals, g)
		}
	}
	silence := func(w *Row) time.Duration { return w.Silence }
	spread := func(w *Row) time.Duration { return w.Even }
	timed(graceful, "writers come and go in order: even within", even, spread)
	timed(graceful, "  the longest silence of a lane", silenceGoal, silence)
	timed(killed, "SIGKILL of a writer: the longest silence of a lane", killGoal, silence)
	timed(hung, "SIGSTOP of a writer: the longest silence of a lane", hangGoal, silence)
	timed(away, "the only writer is back: lanes open within", backGoal, spread)
	timed(slow, "BigQuery is late for one writer: its lanes have left within", relieveGoal, spread)
	timed(shared, "ingests come and go in order: even within", even, spread)
	timed(shared, "  the longest silence of a lane that goes to another ingest", silenceGoal,
		func(w *Row) time.Duration {
			if w.Restarts {
				return 0 // its lanes wait for it, that is what it is for
			}
			return w.Silence
		})
	timed(shared, "  the longest silence of a lane whose ingest stays", keptGoal,
		func(w *Row) time.Duration { return w.Kept })

	count := func(what string, wanted, seen int64) *Goal {
		goals = append(goals, Goal{What: what, Wanted: fmt.Sprint(wanted), Seen: fmt.Sprint(seen), OK: seen <= wanted})
		return &goals[len(goals)-1]
	}
	strained := false // calls may break for it, and their lanes open anew
	for i := range r.Rows {
		strained = strained || r.Rows[i].Busy >= busy
	}
	if stopped, ok := r.sum(func(w *Row) int { return w.Stopped }, shared, deserted); ok {
		g := count("  lanes whose ingest stays and that stop", 0, int64(stopped))
		g.Timed, g.Busy = true, strained
	}
	r.moves(&goals)
	created := int64(0)
	for _, row := range r.Rows {
		if row.Class == graceful || row.Class == shared {
			created += row.Created
		}
	}
	count("write streams finalized in order", 0, r.finalized())
	g := count("write streams created in order", 0, created)
	g.Timed, g.Busy = true, strained
	count("events lost", 0, r.lost())
	count("events twice, or of no record", 0, r.duplicates())
	return goals
}

// moves judges how many lanes moved for what had to.
func (r *Report) moves(goals *[]Goal) {
	for _, k := range []struct {
		what  string
		limit float64
		is    func(*Row) bool
	}{
		{
			"writers join or leave: lanes that move, of those that must", movesGoal,
			func(w *Row) bool { return w.Updates == noUpdate },
		},
		{
			"writers are updated: lanes that move, of those that must", updateGoal,
			func(w *Row) bool { return w.Updates == inTurn },
		},
		{
			"all writers updated at once: lanes that move, of those that must", atOnceGoal,
			func(w *Row) bool { return w.Updates == atOnce },
		},
	} {
		worst, seen, late := 0.0, false, false
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Class != graceful || row.Needed == 0 || !k.is(row) {
				continue
			}
			seen = true
			// One more is no disorder of a few.
			ratio := float64(row.Moved) / max(float64(row.Needed), 1)
			if float64(row.Moved) > float64(row.Needed)*k.limit+1 {
				late = late || row.Busy >= busy
			} else {
				ratio = min(ratio, k.limit)
			}
			worst = max(worst, ratio)
		}
		if seen {
			*goals = append(*goals, Goal{
				What: k.what, Wanted: fmt.Sprintf("%.2f", k.limit), Seen: fmt.Sprintf("%.2f", worst),
				OK: worst <= k.limit,
				// Reports that come late make lanes of a busy machine look slow.
				Timed: true, Busy: late,
			})
		}
	}
}

// sum adds up something of the events of some classes. ok: there are any.
func (r *Report) sum(of func(*Row) int, classes ...class) (n int, ok bool) {
	for i := range r.Rows {
		for _, c := range classes {
			if r.Rows[i].Class == c {
				n, ok = n+of(&r.Rows[i]), true
			}
		}
	}
	return n, ok
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
