package fleet

import (
	"strings"
	"testing"
	"time"
)

// met is a run in which every goal is met.
func met() *Report {
	r := &Report{Lanes: 32, Rows: []Row{
		{Class: graceful, Even: 4 * time.Second, Silence: 300 * time.Millisecond, Moved: 24, Needed: 24},
		{Class: graceful, Even: time.Second, Updates: inTurn, Moved: 38, Needed: 32},
		{Class: killed, Silence: time.Second, Created: 8, Finalized: 8},
		{Class: hung, Silence: 5 * time.Second},
		{Class: away, Even: 400 * time.Millisecond},
		{Class: slow, Even: 15 * time.Second},
		{Class: shared, Even: 2 * time.Second, Silence: 800 * time.Millisecond, Kept: 200 * time.Millisecond},
		{Class: shared, Restarts: true, Silence: 3 * time.Second, Kept: 200 * time.Millisecond},
		{Class: deserted, Silence: 12 * time.Second},
		{Class: graceful, Even: time.Second, Updates: atOnce, Moved: 60, Needed: 32},
	}}
	r.Produced, r.Verified.Events = 1000, 1000
	return r
}

func TestAllGoalsMet(t *testing.T) {
	r := met()
	for _, g := range r.Goals() {
		if !g.OK {
			t.Errorf("%+v", g)
		}
	}
	if !r.OK(true) {
		t.Error("not OK")
	}
	const want = "fleet: spread 4.0 s, silence 0.30 s (graceful), finalized 0 (graceful), lost 0, duplicates 0"
	if r.Line() != want {
		t.Errorf("%s", r.Line())
	}
}

// Each promise is missed by what breaks it, and by nothing else; those of time count where they are judged alone, and
// not on a busy machine.
func TestGoalsAreMissedByWhatBreaksThem(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Report)
		goal  string
		timed bool
	}{
		{"late", func(r *Report) { r.Rows[0].Even = 11 * time.Second }, "writers come and go in order", true},
		{"silent", func(r *Report) { r.Rows[1].Silence = 2 * time.Second }, "the longest silence of a lane", true},
		{"killed", func(r *Report) { r.Rows[2].Silence = 3 * time.Second }, "SIGKILL", true},
		{"hung", func(r *Report) { r.Rows[3].Silence = 7 * time.Second }, "SIGSTOP", true},
		{"away", func(r *Report) { r.Rows[4].Even = 2 * time.Second }, "the only writer is back", true},
		{"slow", func(r *Report) { r.Rows[5].Even = 25 * time.Second }, "BigQuery is late", true},
		{"kept", func(r *Report) { r.Rows[6].Kept = time.Second }, "a lane whose ingest stays", true},
		{"handed over", func(r *Report) { r.Rows[6].Silence = 2 * time.Second }, "goes to another ingest", true},
		{"moves", func(r *Report) { r.Rows[0].Moved = 30 }, "writers join or leave", true},
		{"moves of an update", func(r *Report) { r.Rows[1].Moved = 60 }, "writers are updated", true},
		{"moves of an update at once", func(r *Report) { r.Rows[9].Moved = 66 }, "updated at once", true},
		{"stopped", func(r *Report) { r.Rows[8].Stopped = 1 }, "that stop", true},
		{"finalized", func(r *Report) { r.Rows[0].Finalized = 1 }, "finalized in order", false},
		{"created", func(r *Report) { r.Rows[6].Created = 1 }, "created in order", true},
		{"lost", func(r *Report) { r.Verified.Events-- }, "lost", false},
		{"missing", func(r *Report) { r.Verified.Missing = 1 }, "lost", false},
		{"twice", func(r *Report) { r.Verified.Duplicates = 1 }, "twice", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := met()
			c.spoil(r)
			var missed []Goal
			for _, g := range r.Goals() {
				if !g.OK {
					missed = append(missed, g)
				}
			}
			if len(missed) != 1 || !strings.Contains(missed[0].What, c.goal) || missed[0].Timed != c.timed {
				t.Errorf("missed: %+v", missed)
			}
			if r.OK(true) || r.OK(false) != c.timed {
				t.Errorf("strict %v, else %v", r.OK(true), r.OK(false))
			}
			for i := range r.Rows {
				r.Rows[i].Busy = 0.9
			}
			if r.OK(true) != c.timed {
				t.Errorf("on a busy machine: %v", r.OK(true))
			}
		})
	}
}

// So many lanes have more time.
func TestManyLanesHaveMoreTime(t *testing.T) {
	r := met()
	r.Lanes, r.Rows[0].Even = many, 25*time.Second
	if !r.OK(true) {
		t.Errorf("%+v", r.Goals())
	}
}
