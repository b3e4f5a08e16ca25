package chaos

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// recovery is how long the lanes of a process took to settle elsewhere.
type recovery struct {
	kind  Kind
	calm  bool
	took  time.Duration
	ok    bool // false: not within the time that was watched
	lanes int
}

// results are what was done and seen during a run.
type results struct {
	mu         sync.Mutex
	kinds      map[Kind]int
	kills      int
	recoveries []recovery
	// finalized are the streams finalized around graceful stops in a calm, which could all have been adopted.
	finalized int64
	drained   time.Duration
	// replays are the runs of dead-letters replay, replayKills those that were killed.
	replays, replayKills int
	// acts are those of operators, actsDone those that were done. shadows are the runs of the replay of a topic,
	// shadowKills those that were killed or could not be.
	acts, actsDone, shadows, shadowKills int
	skips                                skips
}

func (r *results) disturbed(k Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds == nil {
		r.kinds = map[Kind]int{}
	}
	r.kinds[k]++
}

func (r *results) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kills++
}

func (r *results) deaths() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kills
}

func (r *results) recovery(one recovery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recoveries = append(r.recoveries, one)
}

func (r *results) wasted(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finalized += n
}

// Report is what came of a run.
type Report struct {
	Seed uint64
	// Produced is what Kafka confirmed.
	Produced int64
	Verified verify.Report
	// Letters are by topic.
	Letters []letters
	Growth  growth
	// Shadow is what the replay of a topic has come to.
	Shadow shadowed
	// Skips is what the records have come to that operators had skipped.
	Skips   skipping
	Results *results
	// Opens are lanes opened, by outcome; Created and Finalized are write streams.
	Opens              map[string]int64
	Created, Finalized int64
}

// OK says whether every event became what it had to.
func (r *Report) OK() bool {
	wrong := func(l letters) bool { return !l.ok() }
	return r.Verified.OK() && r.Shadow.ok() && r.Skips.ok() && !slices.ContainsFunc(r.Letters, wrong) &&
		r.Verified.Events == r.Produced+r.Verified.Replayed
}

// Kills is how many processes were killed.
func (r *Report) Kills() int { return r.Results.deaths() }

// promises are the longest recoveries that are promised, when nothing else is wrong.
var promises = []struct {
	kind  Kind
	limit time.Duration
	what  string
}{
	{KillWriter, 5 * time.Second, "after SIGKILL of a writer its lanes settle again within 5s"},
	{
		KillIngest, sessionTimeout + 5*time.Second,
		"after SIGKILL of an ingest its lanes settle again within the session timeout + 5s",
	},
	{StopWriter, 2 * time.Second, "a writer that stops hands over within 2s"},
	{StopIngest, 2 * time.Second, "an ingest that stops hands over within 2s"},
}

// times are the recoveries of a kind, shortest first.
func (r *results) times(kind Kind, calm bool) []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t []time.Duration
	for _, one := range r.recoveries {
		if one.kind == kind && one.calm == calm {
			t = append(t, one.took)
		}
	}
	slices.Sort(t)
	return t
}

// Line is the report in a line.
func (r *Report) Line() string {
	line := fmt.Sprintf("chaos: events %d, lost %d, duplicates %d, out of order %d, kills %d, seed %d",
		r.Verified.Events, r.Verified.Missing,
		stack.Duplicates(r.Verified.Totals), r.Verified.OutOfOrder, r.Kills(), r.Seed)
	for _, t := range topics {
		if t.want.AtLeastOnce {
			return fmt.Sprintf("%s, repeated %d (at least once)", line, r.Verified.Repeated)
		}
	}
	return line
}

// Print writes the report; Line is its last line.
func (r *Report) Print(out io.Writer) error {
	w := &printer{out: out}
	w.f("\nDisturbances\n")
	for _, k := range Kinds {
		w.f("  %-24s %3d\n", k, r.Results.kinds[k])
	}
	w.f("\nLanes opened: %d new, %d adopted, %d fenced, %d refused. Write streams: %d created, "+
		"%d finalized. Drained in %v.\n",
		r.Opens["new"], r.Opens["adopted"], r.Opens["fenced"], r.Opens["refused"], r.Created, r.Finalized,
		r.Results.drained.Round(10*time.Millisecond))
	w.f("(What a process counted in the quarter of a second before it died is not in there.)\n")
	w.f("\nRecovery: until every lane of the process has settled elsewhere, or has nothing to settle\n")
	w.f("  %-14s %-24s %5s %8s %8s\n", "after", "meanwhile", "times", "median", "worst")
	for _, p := range promises {
		for _, calm := range []bool{true, false} {
			if t := r.Results.times(p.kind, calm); len(t) > 0 {
				meanwhile := "other disturbances"
				if calm {
					meanwhile = "nothing else"
				}
				w.f("  %-14s %-24s %5d %7.2fs %7.2fs\n", p.kind, meanwhile, len(t), t[len(t)/2].Seconds(),
					t[len(t)-1].Seconds())
			}
		}
	}
	w.f("\n")
	for _, p := range promises {
		t := r.Results.times(p.kind, true)
		switch {
		case len(t) == 0:
			w.f("  not measured  %s\n", p.what)
		case t[len(t)-1] > p.limit:
			w.f("  MISSED        %s: %.2fs\n", p.what, t[len(t)-1].Seconds())
		default:
			w.f("  kept          %s\n", p.what)
		}
	}
	stops := len(r.Results.times(StopWriter, true)) + len(r.Results.times(StopIngest, true))
	switch {
	case stops == 0:
		w.f("  not measured  graceful stops finalize no stream\n")
	case r.Results.finalized > 0:
		w.f("  MISSED        graceful stops finalize no stream: %d in %d stops\n", r.Results.finalized, stops)
	default:
		w.f("  kept          graceful stops finalize no stream\n")
	}
	w.f("\nWhat Kafka holds against what the tables hold, offset by offset\n\n")
	r.topics(w)
	w.f("%s\n", r.Growth)
	w.f("dead letters: %d replays, %d of them killed; %d refused records were replayed, each once\n",
		r.Results.replays, r.Results.replayKills, r.Verified.Replayed)
	w.f("operators: %d acts, %d of them done\n", r.Results.acts, r.Results.actsDone)
	w.f("%s\n", r.Skips)
	w.f("%s; %d runs, %d of them killed\n", r.Shadow, r.Results.shadows, r.Results.shadowKills)
	if r.Verified.Events != r.Produced+r.Verified.Replayed {
		w.f("%d events were produced, %d replayed, and Kafka holds %d\n", r.Produced, r.Verified.Replayed,
			r.Verified.Events)
	}
	w.f("%s\n", r.Line())
	return w.err
}

// topics prints a line for each topic, and the first few offences.
func (r *Report) topics(w *printer) {
	w.f("  %-32s %8s %5s %10s %12s %9s %9s   %s\n",
		"topic", "events", "lost", "duplicates", "out of order", "repeated", "different", "dead letters")
	for i, t := range r.Verified.Topics {
		l := r.Letters[i]
		w.f("  %-32s %8d %5d %10d %12d %9d %9d   bad %d of %d, refused %d",
			t.Topic, t.Events, t.Missing, stack.Duplicates(t.Totals), t.OutOfOrder,
			t.Repeated, t.Different+t.Stray, l.Bad, l.Injected, l.Refused)
		if !l.ok() {
			w.f(", %d NOT to be refused, %d NOT refused", l.Extra, l.Missing)
		}
		w.f("\n")
	}
	w.f("\n")
	for _, o := range r.Verified.Offences {
		w.f("%s\n", o)
	}
	w.f("%s\n", r.Verified.Line())
}

// printer keeps the first error.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}
