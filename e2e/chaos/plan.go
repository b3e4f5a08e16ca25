package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is what a disturbance does.
type Kind string

// Kinds of disturbance.
const (
	KillWriter     Kind = "kill writer"            // SIGKILL, back after For
	KillIngest     Kind = "kill ingest"            // SIGKILL, back after For
	StopWriter     Kind = "stop writer"            // SIGTERM, back after For
	StopIngest     Kind = "stop ingest"            // SIGTERM, back after For
	PauseWriter    Kind = "pause writer"           // SIGSTOP, SIGCONT after For
	PauseIngest    Kind = "pause ingest"           // SIGSTOP beyond the session timeout, SIGCONT after For
	ScaleWriters   Kind = "scale writers"          // one more, gone again after For
	ScaleIngests   Kind = "scale ingests"          // two more, one a static member; both leave after For
	RollWriters    Kind = "roll writers"           // SIGTERM and start, one after the other
	RollIngests    Kind = "roll ingests"           // SIGTERM and start, one after the other
	MoveLeaders    Kind = "move leaders"           // each partition to the next broker
	Coordinators   Kind = "rehash coordinators"    // groups to other brokers
	KafkaErrors    Kind = "kafka errors"           // Times requests of kind Key get Error
	Restart        Kind = "restart sandbox"        // Kafka and BigQuery go together
	LostReplies    Kind = "lost append replies"    // the rows are there, the response is not
	Aborted        Kind = "aborted"                // ABORTED inside and outside of the response
	QuotaStorm     Kind = "quota storm"            // RESOURCE_EXHAUSTED from appends and creations
	SlowAppends    Kind = "slow bigquery"          // appends get late responses
	LateForOne     Kind = "bigquery late for one"  // what BigQuery says to one writer comes late
	SlowFinalize   Kind = "slow finalize"          // fences take effect late
	HalfOpenLanes  Kind = "half-open to writer"    // bytes between ingest and a writer vanish
	HalfOpenSink   Kind = "half-open to bigquery"  // bytes between writers and BigQuery vanish
	ChangeNames    Kind = "change names"           // the list of writers is Naming for a while
	ClockJump      Kind = "clock jump of BigQuery" // by Jump; streams that nobody uses expire
	RegistryErrors Kind = "registry errors"        // Times requests get 503
	// The refused ones; SIGKILL after For, and again until one replay ends.
	ReplayLetters Kind = "replay dead letters"
	ReplayTopic   Kind = "replay a topic"   // into a shadow table at full speed; SIGKILL after For
	PauseLanes    Kind = "pause lanes"      // an operator pauses a topic for For
	MoveLane      Kind = "move a lane"      // an operator sends one to a writer
	Reload        Kind = "reload contracts" // an operator has all ingests read their files again
	SkipRecord    Kind = "skip a record"    // an operator has one become a dead letter
	ChangeSchema  Kind = "change schema"    // one more column, once a run; ingests restart one after the other
)

// Kinds are all of them.
var Kinds = append(slices.Clone(stormKinds), SkipRecord, ChangeSchema)

// stormKinds are those that come again and again.
var stormKinds = []Kind{
	KillWriter, KillIngest, StopWriter, StopIngest, PauseWriter, PauseIngest, ScaleWriters, ScaleIngests, RollWriters,
	RollIngests, MoveLeaders, Coordinators, KafkaErrors, Restart, LostReplies, Aborted, QuotaStorm, SlowAppends,
	LateForOne, SlowFinalize, HalfOpenLanes, HalfOpenSink, ChangeNames, ClockJump, RegistryErrors, ReplayLetters,
	ReplayTopic, PauseLanes, MoveLane, Reload,
}

// Disturbance is one step of a plan.
type Disturbance struct {
	// At is when, since the load began; For how long it lasts.
	At, For time.Duration
	Kind    Kind
	// Target is which writer or ingest, from 0.
	Target int
	// Calm says that nothing else is disturbed while this is: its recovery is held against the promise.
	Calm bool
	// Probability is how many of the calls fail, for BigQuery's faults.
	Probability float64
	// Key, Error and Times are for KafkaErrors, Times for RegistryErrors too.
	Key, Error string
	Times      int
	// Naming is for ChangeNames: what the list of writers is.
	Naming string
	// Jump is for ClockJump, Delay for the slow ones.
	Jump, Delay time.Duration
}

func (d Disturbance) String() string {
	s := string(d.Kind)
	switch d.Kind {
	case KillWriter, StopWriter, PauseWriter, HalfOpenLanes:
		s += fmt.Sprintf(" %d for %v", d.Target+1, d.For)
	case KillIngest, StopIngest, PauseIngest:
		s += fmt.Sprintf(" %d for %v", d.Target+1, d.For)
	case KafkaErrors:
		s += fmt.Sprintf(" %s %s x%d", d.Key, d.Error, d.Times)
	case RegistryErrors:
		s += fmt.Sprintf(" x%d", d.Times)
	case LostReplies, Aborted, QuotaStorm:
		s += fmt.Sprintf(" p=%.2f for %v", d.Probability, d.For)
	case SlowAppends, SlowFinalize:
		s += fmt.Sprintf(" +%v for %v", d.Delay, d.For)
	case LateForOne:
		s += fmt.Sprintf(": writer %d +%v for %v", d.Target+1, d.Delay, d.For)
	case ChangeNames:
		s += fmt.Sprintf(": it %s for %v", d.Naming, d.For)
	case ClockJump:
		s += fmt.Sprintf(" +%v", d.Jump)
	case ScaleWriters, ScaleIngests, HalfOpenSink, Restart, ReplayLetters:
		s += fmt.Sprintf(" for %v", d.For)
	case ReplayTopic, PauseLanes:
		s += fmt.Sprintf(" for %v", d.For)
	case RollWriters, RollIngests, MoveLeaders, Coordinators, MoveLane, Reload, SkipRecord, ChangeSchema:
	}
	if d.Calm {
		s += ", measured"
	}
	return s
}

// The shape of a run: storms, in which anything happens at once, and after each a calm in which single deaths are
// measured.
const (
	writers, ingests = 3, 2 // that are always there
	// guests are the ingests that come and go, together; of writers one does.
	guests         = 2
	sessionTimeout = 6 * time.Second
	firstStorm     = 3 * time.Second
	stormLength    = 22 * time.Second
	afterStorm     = 14 * time.Second // until what the storm left behind is over
)

// probes are measured, each with the time it is given.
var probes = []struct {
	kind Kind
	took time.Duration
}{
	{KillWriter, 8 * time.Second},
	{StopWriter, 6 * time.Second},
	{StopIngest, 6 * time.Second},
	{KillIngest, 15 * time.Second},
}

var kafkaErrors = []struct{ key, err string }{
	{"OffsetCommit", "NOT_COORDINATOR"},
	{"OffsetCommit", "COORDINATOR_LOAD_IN_PROGRESS"},
	{"OffsetCommit", "REQUEST_TIMED_OUT"},
	{"OffsetCommit", "REBALANCE_IN_PROGRESS"},
	{"OffsetFetch", "NOT_COORDINATOR"},
	{"Heartbeat", "NOT_COORDINATOR"},
	{"Heartbeat", "REBALANCE_IN_PROGRESS"},
	{"Heartbeat", "UNKNOWN_MEMBER_ID"},
	{"JoinGroup", "COORDINATOR_NOT_AVAILABLE"},
	{"SyncGroup", "REBALANCE_IN_PROGRESS"},
	{"FindCoordinator", "COORDINATOR_NOT_AVAILABLE"},
	{"Fetch", "NOT_LEADER_FOR_PARTITION"},
	{"OffsetCommit", "ILLEGAL_GENERATION"},
}

// Plan says what happens in a run of a length: a pure function, so that the same seed disturbs in the same way at the
// same times.
func Plan(seed uint64, length time.Duration) []Disturbance {
	p := &planner{r: rand.New(rand.NewPCG(seed, 0x77617962696c6c)), seed: seed}
	at := firstStorm
	for at < length {
		end := min(at+stormLength, length)
		if change := max(at, min(length/2, end-changeTakes)); !p.changed && p.closest(at, length) {
			p.storm(at, change, end)
			p.change(change)
			p.storm(change, end, end)
		} else {
			p.storm(at, end, end)
		}
		p.operators(at, end)
		at = end + afterStorm
		for _, i := range p.r.Perm(len(probes)) {
			probe := probes[i]
			if at+probe.took > length {
				break
			}
			d := Disturbance{At: at, Kind: probe.kind, For: p.between(3*time.Second, 4*time.Second), Calm: true}
			if d.Target = p.r.IntN(writers); d.Kind == KillIngest || d.Kind == StopIngest {
				d.Target = p.r.IntN(ingests)
			}
			if d.Kind == KillIngest {
				d.For = 12 * time.Second // gone for good, as far as the group is concerned
			}
			p.plan = append(p.plan, d)
			at += probe.took
		}
	}
	slices.SortStableFunc(p.plan, func(a, b Disturbance) int { return cmp.Compare(a.At, b.At) })
	return p.plan
}

type planner struct {
	r *rand.Rand
	// acts is the die of operators, which comes of the seed as well.
	acts *rand.Rand
	seed uint64
	plan []Disturbance
	deck []Kind
	// Until when each is taken; the last of each is the one that comes and goes.
	writers [writers + 1]time.Duration
	ingests [ingests + 1]time.Duration
	late    [writers]time.Duration
	sandbox time.Duration
	changed bool // the change of schema is planned
}

// changeTakes is the time that the change of schema is given.
const changeTakes = 8 * time.Second

// closest says whether no later storm begins closer to the middle of the run.
func (p *planner) closest(at, length time.Duration) bool {
	next := at + stormLength + afterStorm
	for _, probe := range probes {
		next += probe.took
	}
	return next >= length || next-length/2 > length/2-at
}

// change plans the change of schema. It waits for ingests that are down, and disturbs all others itself.
func (p *planner) change(at time.Duration) {
	p.changed = true
	p.plan = append(p.plan, Disturbance{At: at, Kind: ChangeSchema, For: changeTakes})
	for i := range p.ingests {
		p.ingests[i] = max(p.ingests[i], at+changeTakes)
	}
}

func (p *planner) between(low, high time.Duration) time.Duration {
	return (low + time.Duration(p.r.Int64N(int64(high-low)))).Round(10 * time.Millisecond)
}

// storm fills the time up to until with disturbances that overlap; none lasts longer than two seconds beyond the end.
func (p *planner) storm(at, until, end time.Duration) {
	for at += p.between(0, time.Second); at < until; at += p.between(300*time.Millisecond, 2500*time.Millisecond) {
		if len(p.deck) == 0 {
			// deaths twice, of replays too
			p.deck = append(slices.Clone(stormKinds), KillWriter, KillIngest, PauseIngest, ReplayLetters)
			p.r.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
		}
		// What does not fit now keeps its place.
		for i, kind := range p.deck {
			if d, ok := p.draw(kind, at, end); ok {
				p.deck = slices.Delete(p.deck, i, i+1)
				p.plan = append(p.plan, d)
				break
			}
		}
	}
}

// draw makes a disturbance of a kind, if it can happen now.
func (p *planner) draw(kind Kind, at, end time.Duration) (Disturbance, bool) {
	d := Disturbance{At: at, Kind: kind, For: min(p.between(2*time.Second, 8*time.Second), end-at+2*time.Second)}
	ok := true
	switch kind {
	case KillWriter, StopWriter:
		d.For = p.between(200*time.Millisecond, 3*time.Second)
		d.Target, ok = p.take(p.writers[:writers], at, d.For)
	case KillIngest, StopIngest:
		d.For = p.between(200*time.Millisecond, 3*time.Second)
		d.Target, ok = p.take(p.ingests[:ingests], at, d.For)
	case PauseWriter:
		d.For = p.between(2*time.Second, 10*time.Second)
		d.Target, ok = p.take(p.writers[:writers], at, d.For)
	case PauseIngest:
		d.For = sessionTimeout + p.between(1500*time.Millisecond, 4*time.Second)
		d.Target, ok = p.take(p.ingests[:ingests], at, d.For)
	case ScaleWriters:
		_, ok = p.take(p.writers[writers:], at, d.For)
	case ScaleIngests:
		_, ok = p.take(p.ingests[ingests:], at, d.For)
	case RollWriters:
		ok = p.takeAll(p.writers[:writers], at)
	case RollIngests:
		ok = p.takeAll(p.ingests[:ingests], at)
	case Restart:
		d.For = p.between(100*time.Millisecond, 2*time.Second)
		// It comes not right behind another one, and not where its end would reach into the calm.
		if ok = p.sandbox <= at && at+5*time.Second < end; ok {
			p.sandbox = at + 30*time.Second
		}
	case KafkaErrors:
		e := kafkaErrors[p.r.IntN(len(kafkaErrors))]
		d.Key, d.Error, d.Times, d.For = e.key, e.err, 1+p.r.IntN(6), 0
	case RegistryErrors:
		d.Times, d.For = 1+p.r.IntN(6), 0
	case ReplayLetters:
		// Time to read what is there and to be in a transaction: some replays end before it, some have hardly begun.
		d.For = p.between(20*time.Millisecond, 120*time.Millisecond)
	case LostReplies, Aborted, QuotaStorm:
		d.Probability = 0.02 + 0.28*p.r.Float64()
	case SlowAppends:
		d.Delay = p.between(100*time.Millisecond, 1500*time.Millisecond)
	case LateForOne:
		// Long enough for its lanes to leave, and within what a writer waits for a response.
		d.Delay = p.between(1500*time.Millisecond, 4*time.Second)
		d.For = min(p.between(10*time.Second, 18*time.Second), end-at+2*time.Second)
		d.Target, ok = p.take(p.late[:], at, d.For)
	case SlowFinalize:
		d.Delay = p.between(200*time.Millisecond, 2500*time.Millisecond)
	case HalfOpenLanes:
		d.Target, d.For = p.r.IntN(writers), p.between(2*time.Second, 10*time.Second)
	case HalfOpenSink:
		d.For = p.between(2*time.Second, 10*time.Second)
	case ChangeNames:
		d.Naming, d.Target = namings[p.r.IntN(len(namings))], p.r.IntN(writers)
	case ClockJump:
		// An unclean stream that expires is refused for good, by design. Three days are the limit, so no three jumps
		// may reach it.
		d.Jump, d.For = p.between(time.Hour, 20*time.Hour).Round(time.Minute), 0
	case PauseLanes:
		d.Target = p.r.IntN(len(topics))
	case MoveLane:
		d.Target, d.Times, d.For = p.r.IntN(len(topics)), p.r.IntN(100), 0
	case MoveLeaders, Coordinators, Reload, SkipRecord, ChangeSchema:
		d.For = 0
	}
	return d, ok
}

// take finds a free one of several and takes it, as long as another stays free.
func (p *planner) take(until []time.Duration, at, length time.Duration) (int, bool) {
	var free []int
	for i, u := range until {
		if u <= at {
			free = append(free, i)
		}
	}
	if len(free) == 0 || len(free) == 1 && len(until) > 1 {
		return 0, false
	}
	i := free[p.r.IntN(len(free))]
	until[i] = at + length + 2*time.Second
	return i, true
}

func (p *planner) takeAll(until []time.Duration, at time.Duration) bool {
	for _, u := range until {
		if u > at {
			return false
		}
	}
	for i := range until {
		until[i] = at + 10*time.Second
	}
	return true
}
