package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-data/waybill/pkg/service"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/overview"
	"github.com/waybill-data/waybill/services/ingest/internal/pauses"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/tap"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// roster runs a lane for each claim and knows those that run.
type roster struct {
	group  string
	config lane.Config
	fleet  *writers.Fleet // set before the first claim
	// known are the contracts; set before the first claim, and replaced when they are loaded again.
	known    atomic.Pointer[contract.Set]
	budget   *lane.Budget
	metrics  *lane.Metrics
	weather  *lane.Weather
	traces   lane.Traces
	unknowns *contract.Unknowns
	taps     *tap.Taps
	letters  *overview.Letters
	// pauses are what operators have said; set before the first claim.
	pauses *pauses.Follower
	log    *slog.Logger

	// live is kept at the number of lanes.
	live *atomic.Int64

	mu sync.Mutex
	// lanes are those that run, each with its contracts.
	lanes map[*lane.Lane]*contracts
}

func newRoster(c *Config, env service.Env) *roster {
	budget := lane.NewBudget(c.laneBudget())
	return &roster{
		group: c.Kafka.Group, config: c.lane(), log: env.Log,
		budget: budget, metrics: lane.NewMetrics(env.Registry, budget), unknowns: contract.NewUnknowns(env.Registry),
		weather: lane.NewWeather(c.Writer.name(), env.Log),
		lanes:   make(map[*lane.Lane]*contracts), live: env.Lanes, taps: new(tap.Taps),
		letters: new(overview.Letters),
	}
}

// load takes the contracts.
func (r *roster) load(set *contract.Set) {
	r.letters.TypeHeaders = set.TypeHeaders()
	r.known.Store(set)
}

// loaded are the contracts; nil while they are not loaded.
func (r *roster) loaded() *contract.Set { return r.known.Load() }

// carry is the source's handler: the life of one lane. Thousands of lanes rest below it, so it does little itself.
func (r *roster) carry() source.Handler {
	return func(ctx context.Context, p lane.Partition) {
		l := r.enter(p)
		defer r.leave(l)
		r.heed(ctx, l)
		l.Run(ctx)
	}
}

// enter makes the lane of a partition.
func (r *roster) enter(p lane.Partition) *lane.Lane {
	c := &contracts{
		known: &r.known, name: p.Topic(), unknowns: r.unknowns.Topic(p.Topic()), counted: -1,
	}
	l := &lane.Lane{
		Partition: p, Writers: r.fleet.Conn(), Placer: r.fleet, Contracts: c,
		Group: r.group, Config: r.config, Budget: r.budget, Metrics: r.metrics, Weather: r.weather, Log: r.log,
		Taps: r.taps, Letters: r.letters,
		Traces: r.traces,
	}
	l.Announce()
	r.mu.Lock()
	r.lanes[l] = c
	r.mu.Unlock()
	r.live.Add(1)
	return l
}

// leave forgets it.
func (r *roster) leave(l *lane.Lane) {
	r.mu.Lock()
	delete(r.lanes, l)
	r.mu.Unlock()
	r.live.Add(-1)
}

// heedWithin is how long a lane that begins waits to learn whether it is paused. Then what is known counts.
const heedWithin = 5 * time.Second

// heed tells a lane that begins whether it is paused. It asks anew: the pause may be as young as the claim.
func (r *roster) heed(ctx context.Context, l *lane.Lane) {
	ctx, cancel := context.WithTimeout(ctx, heedWithin)
	defer cancel()
	_, _ = r.pauses.Fresh(ctx) // the follower says what is wrong
	r.mu.Lock()
	defer r.mu.Unlock()
	pause(l, r.pauses.Entries(), time.Now())
}

// pause tells the lanes at hand which of them are paused.
func (r *roster) pause(*pauses.Entries) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries, now := r.pauses.Entries(), time.Now() // the newest, whoever comes first
	for l := range r.lanes {
		pause(l, entries, now)
	}
}

func pause(l *lane.Lane, entries *pauses.Entries, now time.Time) {
	entry, paused := entries.Of(pauses.Lane{Topic: l.Partition.Topic(), Partition: l.Partition.Number()}, now)
	if !paused {
		l.Pause(nil)
		return
	}
	l.Pause(&lane.Pause{Until: entry.Until, By: entry.By, Reason: entry.Reason})
}

// lookEvery is how often the lanes are looked at for what they lag behind and wait for, whether or not anybody asks.
const lookEvery = 3 * time.Second

// look looks at the lanes until ctx ends.
func (r *roster) look(ctx context.Context, seen *overview.Overview) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, l := range r.list() {
			l.Look()
		}
		seen.Look(time.Now())
	}
}

// seen is the lanes at hand for an overview.
func (r *roster) seen() []overview.Lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]overview.Lane, 0, len(r.lanes))
	for l := range r.lanes {
		all = append(all, l)
	}
	return all
}

func (r *roster) list() []*lane.Lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.lanes))
}

// stuck counts the lanes by what keeps them from work; none when one of them works, which the first lane tells as a
// rule.
func (r *roster) stuck() (reasons map[string]int, lanes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reasons = map[string]int{}
	for l := range r.lanes {
		why := l.Stuck()
		if why == "" {
			return nil, 0
		}
		reasons[why]++
	}
	return reasons, len(r.lanes)
}

// mostReasons is how many different reasons ready lists.
const mostReasons = 5

// ready says why no partition moves: every lane is refused or stuck. It is nil while one works, or there is none.
func (r *roster) ready() error {
	reasons, lanes := r.stuck()
	if lanes == 0 {
		return nil
	}
	errs := []error{fmt.Errorf("none of the %d partitions of this member moves", lanes)}
	for i, why := range slices.Sorted(maps.Keys(reasons)) {
		if i == mostReasons {
			errs = append(errs, fmt.Errorf("and %d other reasons, see /lanes", len(reasons)-i))
			break
		}
		errs = append(errs, fmt.Errorf("%d of them: %s", reasons[why], why))
	}
	return errors.Join(errs...)
}

// carried appends what the lanes carry, for those who place them.
func (r *roster) carried(into []lane.Carried) []lane.Carried {
	r.mu.Lock()
	defer r.mu.Unlock()
	for l := range r.lanes {
		into = append(into, l.Carried())
	}
	return into
}

// status lists the lanes by topic and partition, for the admin server.
func (r *roster) status() any {
	lanes := r.list()
	out := make([]lane.Status, 0, len(lanes))
	for _, l := range lanes {
		out = append(out, l.Status())
	}
	slices.SortFunc(out, func(a, b lane.Status) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

// contracts lets a lane use the contracts of its topic.
type contracts struct {
	// known are those of the process, of which the lane has those of the topic with this name.
	known *atomic.Pointer[contract.Set]
	name  string
	// from is the set that shared is of, the same for all lanes; topic is the one for the call of the moment. own is
	// the lane's own: where no contract grows it is made for the first record, since thousands of lanes may never see
	// one.
	from               atomic.Pointer[contract.Set]
	shared, topic, own *contract.Topic
	// last is what becomes of the record that AppendRow gets.
	last *contract.Match
	// unknowns counts records that no contract takes, each once: counted is the last, which comes again when its row
	// outgrows a batch.
	unknowns *contract.UnknownTypes
	counted  int64
}

func (c *contracts) Renew() {
	if set := c.known.Load(); set != c.from.Load() {
		c.shared, c.own = set.Topic(c.name), nil
		c.from.Store(set)
	}
	if !c.shared.Grows() {
		c.topic = c.shared
		return
	}
	c.own = c.shared.Fork()
	c.topic = c.own
}

func (c *contracts) Prepare(
	ctx context.Context, records []record.Record, waits func(what string),
) (grown bool, err error) {
	return c.topic.Prepare(ctx, records, waits)
}

func (c *contracts) Routes() []*lanev1.Route { return c.topic.Routes }
func (c *contracts) Fingerprint() uint64     { return c.topic.Fingerprint }

func (c *contracts) Match(r *record.Record) *record.Match {
	if c.own == nil {
		c.own = c.shared.Fork()
	}
	c.last = c.own.Match(r)
	if c.last.Unmatched && c.counted != r.Offset {
		c.counted = r.Offset
		c.unknowns.Count(c.last.ItemType())
	}
	return &c.last.Match
}

func (c *contracts) AppendRow(dst []byte, r *record.Record, nowMicros int64) ([]byte, error) {
	return c.last.Contract.AppendRow(dst, r, c.last, nowMicros)
}
