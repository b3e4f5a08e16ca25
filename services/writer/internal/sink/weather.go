package sink

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

const (
	// stormAfter is how long everything of one way to a table must have failed before that is said.
	stormAfter = 2 * time.Second
	// calmAfter is how long it must have worked again before that is said: a success now and then does not end a storm.
	calmAfter = 5 * time.Second
	// aloneAfter is how long one stream must have failed on its own, while others of its table work, before that is
	// said.
	aloneAfter = 10 * time.Second
	// refusedFor is how long a refusal counts that nobody meets again. Lanes that are refused try again well within it.
	refusedFor = 15 * time.Minute
	// probeEvery is the time between two tries of the one traveller that probes. What fails for long is found to work
	// again that fast.
	probeEvery = time.Second
	// wakeWithin is the time over which those that waited go on when the probe came through, so that they do not all
	// come at once.
	wakeWithin = 500 * time.Millisecond
)

// way is what may work while another does not: an append may have no quota while streams are created.
type way int

const (
	wayAppend way = iota
	wayCreate
	wayFence
	wayTable
	ways
)

// How trouble ends.
const (
	worksAgain  = "it works again"
	nobodyTries = "nobody tries any more"
)

// The states of a table that does not take what it should.
const (
	stateQuota       = "quota"
	stateUnavailable = "unavailable"
	stateSchema      = "schema"
	stateRefused     = "refused"
)

// stateOf names what a fault means for a table.
func stateOf(f *fault) string {
	switch {
	case f.code == codeExtraFields || f.code == codeNotRelaxed:
		return stateSchema
	case f.status == codes.ResourceExhausted:
		return stateQuota
	case f.kind == gone || f.kind == denied:
		return stateRefused
	default:
		return stateUnavailable
	}
}

// weather is what all that goes to one table meets. While one way fails for everybody, one traveller on it probes, and
// the others wait for it instead of for their own back-off; it is said once when that begins and once when it ends. It
// also holds why a table refuses what nobody will try again.
type weather struct {
	table   string
	log     *slog.Logger
	metrics *metrics
	// rough says that something has failed and not worked since: in fair weather a success costs nothing but a look at
	// it.
	rough atomic.Bool

	mu     sync.Mutex
	fronts [ways]front
	// logged is the storm in the log; its State is empty when there is none.
	logged lane.Trouble
	// calm logs its end; nil while the storm goes on.
	calm *time.Timer
	// refused are the reasons why rows, or the table, are refused for good; empty where they are not.
	refused [ways]lane.Trouble
	// fades take them back when nobody has met them for a while: what is no longer tried is no trouble.
	fades [ways]*time.Timer
}

// front is one way.
type front struct {
	// first is when the first try failed since one worked; zero when none has. storm says that this is long ago.
	first time.Time
	storm bool
	// faults are those since first.
	faults int64
	// failing are the travellers whose last try failed; prober is the one that probes.
	failing int
	prober  *traveller
	// cleared counts storms that are over. changed is closed and replaced when one is, or when somebody else has to
	// probe.
	cleared int
	changed chan struct{}
}

// traveller is one appender, or one call with its repetitions.
type traveller struct {
	weather *weather
	way     way
	// failing says that its last try failed, at `last`; seen is the front's `cleared` it knows of. All are guarded by
	// the weather's mu, but only the traveller sets failing, and only one goroutine at a time acts for it.
	failing bool
	last    time.Time
	seen    int
	// name is what to say of a traveller that fails on its own: a write stream's. since is when it began to; logged,
	// that this is logged.
	name   string
	since  time.Time
	logged bool
}

// weatherOf is the weather at a table, by its resource name.
func (s *Sink) weatherOf(table string) *weather {
	s.skies.Lock()
	defer s.skies.Unlock()
	w := s.weathers[table]
	if w == nil {
		w = &weather{table: table, log: s.log.With("table", table), metrics: s.metrics}
		for i := range w.fronts {
			w.fronts[i].changed = make(chan struct{})
		}
		s.weathers[table] = w
	}
	return w
}

func (w *weather) traveller(way way) *traveller { return &traveller{weather: w, way: way} }

// fault notes a fault that will be tried again.
func (t *traveller) fault(f *fault, now time.Time) {
	w := t.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	fr := &w.fronts[t.way]
	w.rough.Store(true)
	if !t.failing {
		t.failing, t.seen, t.since = true, fr.cleared, now
		fr.failing++
	}
	t.last = now
	if fr.first.IsZero() {
		fr.first, fr.faults = now, 0
	}
	fr.faults++
	if now.Sub(fr.first) >= stormAfter {
		fr.storm = true
		w.begin(fr, f)
	}
	switch {
	case w.logged.State != "":
		w.logged.Reason = f.Error()
		w.logged.Faults++
	case !t.logged && t.name != "" && now.Sub(t.since) >= aloneAfter:
		t.logged = true
		w.log.Warn("BigQuery takes nothing for this stream while it does for others, trying again until it does",
			"stream", t.name, "error", f.Error())
	}
}

// begin says that a storm has begun, unless that is said already. The caller holds mu.
func (w *weather) begin(fr *front, f *fault) {
	if w.calm != nil {
		w.calm.Stop()
		w.calm = nil
	}
	if w.logged.State != "" {
		return
	}
	w.logged = lane.Trouble{State: stateOf(f), Since: fr.first, Faults: -1} // This one is counted by the caller.
	for i := range w.fronts {
		if other := &w.fronts[i]; !other.first.IsZero() {
			w.logged.Faults += other.faults
		}
	}
	w.metrics.troubles.WithLabelValues(w.logged.State).Inc()
	w.log.Warn("BigQuery takes nothing for this table, trying again until it does", "state", w.logged.State, "since",
		fr.first, "faults", w.logged.Faults+1, "error", f.Error())
}

// success notes that something worked.
func (t *traveller) success(now time.Time) { t.arrive(now, true) }

// rejected notes that BigQuery has said no for good: it is there, which ends a storm, but it has not taken anything.
func (t *traveller) rejected(now time.Time) { t.arrive(now, false) }

func (t *traveller) arrive(now time.Time, taken bool) {
	w := t.weather
	if !w.rough.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if taken {
		w.accept(t.way, worksAgain)
	}
	fr := &w.fronts[t.way]
	fr.first, fr.prober = time.Time{}, nil
	if t.recover(fr); t.logged {
		t.logged = false
		w.log.Info("BigQuery takes what goes to this stream again", "stream", t.name, "lasted",
			now.Sub(t.since).Round(time.Millisecond))
	}
	if fr.storm {
		fr.storm = false
		fr.cleared++
		fr.broadcast()
		w.clear(now, worksAgain)
	}
	w.settle()
}

// leave ends a traveller that has not come through.
func (t *traveller) leave(now time.Time) {
	w := t.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	fr := &w.fronts[t.way]
	t.recover(fr)
	if fr.prober == t {
		fr.prober = nil
		fr.broadcast() // Somebody else has to probe.
	}
	if fr.failing == 0 {
		fr.first, fr.storm = time.Time{}, false
		w.clear(now, nobodyTries)
	}
	w.settle()
}

func (t *traveller) recover(fr *front) {
	if t.failing {
		t.failing = false
		fr.failing--
	}
}

func (f *front) broadcast() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// clear ends a storm on one way. The last one lets the end be said, a little later. The caller holds mu.
func (w *weather) clear(now time.Time, how string) {
	for i := range w.fronts {
		if w.fronts[i].storm {
			return
		}
	}
	if w.logged.State == "" || w.calm != nil {
		return
	}
	w.calm = time.AfterFunc(calmAfter, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.calm == nil {
			return // It has begun again.
		}
		w.log.Info("BigQuery takes what goes to this table again", "state", w.logged.State, "how", how, "faults",
			w.logged.Faults,
			"lasted", now.Sub(w.logged.Since).Round(time.Millisecond), "last_error", w.logged.Reason)
		w.metrics.troubles.WithLabelValues(w.logged.State).Dec()
		w.logged, w.calm = lane.Trouble{}, nil
	})
}

// settle notes whether the weather is fair. The caller holds mu.
func (w *weather) settle() {
	fair := true
	for i := range w.fronts {
		fair = fair && w.fronts[i].failing == 0 && w.fronts[i].first.IsZero() && w.refused[i].State == ""
	}
	w.rough.Store(!fair)
}

// wait says until when a traveller whose back-off ends at hold has to wait, and what may bring that forward. The prober
// waits for its next probe at the longest; the others go on soon after it came through.
func (t *traveller) wait(hold, now time.Time) (until time.Time, changed <-chan struct{}) {
	w := t.weather
	w.mu.Lock()
	defer w.mu.Unlock()
	fr := &w.fronts[t.way]
	if !t.failing {
		return hold, nil
	}
	if t.seen != fr.cleared {
		t.seen = fr.cleared
		return sooner(hold, now.Add(rand.N(wakeWithin))), fr.changed
	}
	if fr.prober == nil {
		fr.prober = t
	}
	if fr.prober == t {
		return sooner(hold, t.last.Add(probeEvery)), fr.changed
	}
	return hold, fr.changed
}

// sleep waits as the weather says, for d at the longest, or returns the error of ctx.
func (t *traveller) sleep(ctx context.Context, d time.Duration) error {
	for hold := time.Now().Add(d); ; {
		until, changed := t.wait(hold, time.Now())
		hold = until
		timer := time.NewTimer(time.Until(until))
		select {
		case <-timer.C:
			return nil
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// refuse notes why rows, or the table, are refused until somebody does something about it, and says so once.
func (w *weather) refuse(way way, reason string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rough.Store(true)
	r := &w.refused[way]
	if r.State == "" {
		*r = lane.Trouble{State: stateRefused, Since: now}
		w.metrics.troubles.WithLabelValues(stateRefused).Inc()
		w.log.Warn("the table refuses what goes to it", "error", reason)
		w.fades[way] = time.AfterFunc(refusedFor, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.accept(way, nobodyTries)
			w.settle()
		})
	}
	w.fades[way].Reset(refusedFor)
	r.Faults++
	r.Reason = reason
}

// accept takes a refusal back. The caller holds mu.
func (w *weather) accept(way way, how string) {
	if w.refused[way].State != "" {
		w.fades[way].Stop()
		w.refused[way] = lane.Trouble{}
		w.metrics.troubles.WithLabelValues(stateRefused).Dec()
		w.log.Info("the table refuses nothing any more", "how", how)
	}
}
