package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-data/waybill/pkg/config"
	"github.com/waybill-data/waybill/pkg/service"
	"github.com/waybill-data/waybill/pkg/steering"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/deadletter"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/replay"
	"github.com/waybill-data/waybill/services/ingest/internal/source"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// Mark is where a replay begins or ends in each partition: at an offset, or at the first record with a Kafka timestamp
// at or after a moment. The zero value is the beginning, or the end, of the partition.
type Mark struct {
	Offset *int64
	Time   time.Time
}

// String is the mark in entries.
func (m Mark) String() string {
	switch {
	case m.Offset != nil:
		return fmt.Sprintf("offset %d", *m.Offset)
	case !m.Time.IsZero():
		return m.Time.UTC().Format(time.RFC3339)
	}
	return ""
}

// Replay reads a part of a topic once more, into other tables, each record exactly once, beside the group that carries
// the topic. What it has done is kept in Kafka under its name: with the same name it goes on where it was.
type Replay struct {
	// Name tells it from other replays of the group: letters, digits, dots, dashes and underscores.
	Name  string
	Topic string
	// Partitions are those to replay; none: all.
	Partitions []int32
	// From and To are where it begins and ends, both zero for a replay that is to go on. To is not replayed itself.
	From, To Mark
	// Into is where rows go: the other table of each table that the topic feeds. Of a topic with one table the key may
	// be empty. Suffix makes the name of the tables that are not in Into.
	Into   map[string]string
	Suffix string
	// Rate bounds what is read, in bytes a second; 0 is no bound.
	Rate int64
	// Letters has records that become no row written to the dead-letter topic. Without, they are counted alone.
	Letters bool
}

// Replayed is how far a replay is.
type Replayed struct {
	// Offsets of Total are settled; offsets that hold no record count as well.
	Offsets int64 `json:"offsets"`
	Total   int64 `json:"total"`
	// Rows and Bytes were sent by this process.
	Rows  uint64 `json:"rows"`
	Bytes uint64 `json:"bytes"`
	// BadRecords became no row, in this process, by reason; First is one of each.
	BadRecords map[string]int    `json:"bad_records"`
	First      map[string]string `json:"first"`
	// Left is how long it goes on at the rate of the last half minute; 0 while that is not known.
	Left time.Duration `json:"-"`
	// Waits is what a lane waits for; empty when none does.
	Waits string `json:"waits,omitempty"`
	// Done: all of it is settled.
	Done bool `json:"done"`
}

// Plan is what a replay does.
type Plan struct {
	// Group is the consumer group that it reads as.
	Group string
	// Tables are where rows go, by the tables of the contracts.
	Tables map[string]string
	// Ranges are what is read of each partition.
	Ranges map[int32]replay.Range
	// Remarks are what is otherwise than it was asked for.
	Remarks []string
	// Begun is when it was begun; zero for one that is new. Settled are the partitions of which all is settled.
	Begun   time.Time
	Settled map[int32]time.Time
}

// Done reports whether all of it is settled.
func (p *Plan) Done() bool { return len(p.Settled) == len(p.Ranges) }

// Total is how many offsets there are.
func (p *Plan) Total() int64 {
	var n int64
	for _, r := range p.Ranges {
		n += r.To - r.From
	}
	return n
}

// Replayer runs one replay. Close it.
type Replayer struct {
	Plan

	config  Config
	replay  Replay
	env     service.Env
	schemas schemas
	set     *contract.Set
	entries *source.Entries
}

var replayNames = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// NewReplayer finds out what a replay does, and refuses what cannot be, with all that is wrong: it asks the brokers for
// offsets and for what is kept of it, and a writer whether the tables fit. It changes nothing.
func NewReplayer(ctx context.Context, c Config, r Replay, env service.Env) (*Replayer, error) {
	env.Fill()
	if !replayNames.MatchString(r.Name) {
		return nil, fmt.Errorf("--name: %q is no name: letters, digits, dots, dashes and underscores, 64 at most",
			r.Name)
	}
	found, err := OpenContracts(ctx, c)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	topic := found.set.Topic(r.Topic)
	if topic == nil {
		return nil, fmt.Errorf("--topic: %w", steering.NotFound("topic with a contract", r.Topic, found.set.Topics()))
	}
	p := &Replayer{config: c, replay: r, env: env}
	p.Settled = map[int32]time.Time{}
	p.Group = c.Kafka.Group + replayInfix + r.Name
	if p.Tables, err = r.tables(topic.Tables(), found.set); err != nil {
		return nil, err
	}
	p.entries = source.NewPlan(c.source(), p.Group+planSuffix)
	// The members of the replay's group have no names: two replays must not be taken for one.
	p.config.Kafka.Group, p.config.Kafka.InstanceID = p.Group, ""
	// Whoever goes on after a process that was killed waits for as long as the group does.
	p.config.Kafka.SessionTimeout = min(p.config.Kafka.SessionTimeout, replaySession)
	p.config.Kafka.Reset = string(lane.None) // records that are gone are no reason to go on elsewhere
	if err := p.prepare(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// replaySession is the longest session of a replay's members: brokers take 6 s to 30 min unless that was changed.
const replaySession = config.Duration(10 * time.Second)

// Close ends its connections.
func (p *Replayer) Close() {
	p.entries.Close()
	p.schemas.close()
}

// prepare compiles the contracts for the other tables, compares those, and makes or reads the plan.
func (p *Replayer) prepare(ctx context.Context) (err error) {
	if p.schemas, err = p.config.schemas(p.env); err != nil {
		return err
	}
	p.schemas.env.Retable = func(table string) string {
		if other, ok := p.Tables[table]; ok {
			return other
		}
		return table
	}
	if p.set, err = p.config.contracts(ctx, p.schemas.env); err != nil {
		return fmt.Errorf("contracts: %w", err)
	}
	if err := p.plan(ctx); err != nil {
		return err
	}
	return p.fits(ctx)
}

// tables are where rows go.
func (r *Replay) tables(feeds []string, all *contract.Set) (map[string]string, error) {
	into := maps.Clone(r.Into)
	if other, ok := into[""]; ok {
		if len(feeds) != 1 {
			return nil, fmt.Errorf("--into: topic %s feeds %s: write --into OLD=NEW for each, or --suffix", r.Topic,
				strings.Join(feeds, ", "))
		}
		delete(into, "")
		into[feeds[0]] = other
	}
	out := map[string]string{}
	for _, table := range feeds {
		other, ok := into[table]
		delete(into, table)
		switch {
		case ok:
		case r.Suffix != "":
			other = table + r.Suffix
		default:
			return nil, fmt.Errorf("--into: where do the rows of %s go? Write --into %s=OTHER, or --suffix _replay",
				table, table)
		}
		out[table] = other
	}
	for table := range into {
		return nil, fmt.Errorf("--into: %w", steering.NotFound("table of topic "+r.Topic, table, feeds))
	}
	for table, other := range out {
		for _, e := range slices.Concat(all.Entries(), all.Unknown()) {
			if sameTable(e.Route.GetTable(), other) {
				return nil, fmt.Errorf("--into: the rows of %s would be twice in %s, which contract %s feeds: "+
					"replay into a table of its own", table, other, e.Name)
			}
		}
	}
	return out, nil
}

// sameTable compares names of which one may be longer: project.dataset.table.
func sameTable(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	return strings.EqualFold(a, b) || len(a) > len(b) && strings.EqualFold(a[len(a)-len(b)-1:], "."+b)
}

// fits refuses tables that do not take the rows, with all differences.
func (p *Replayer) fits(ctx context.Context) error {
	conn, err := p.config.Writer.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	topic := p.set.Topic(p.replay.Topic)
	var entries []Contract
	for _, e := range slices.Concat(p.set.Entries(), p.set.Unknown()) {
		if slices.Contains(topic.Tables(), e.Route.GetTable()) {
			entries = append(entries, e)
		}
	}
	diffs, err := diffEntries(ctx, tableClient(conn), entries)
	if err != nil {
		return away(err)
	}
	var mismatches []string
	for i := range diffs {
		mismatches = append(mismatches, diffs[i].Mismatches()...)
	}
	if len(mismatches) > 0 {
		return fmt.Errorf("the rows would be refused:\n    %s\nReplay into another table, or change this one",
			strings.Join(mismatches, "\n    "))
	}
	return nil
}

const (
	// keepEvery is how often the plan is written again, and reportEvery how often progress is reported.
	keepEvery, reportEvery = time.Hour, time.Second
	// followEvery is how often it is read what other processes have settled.
	followEvery = 5 * time.Second
)

// Run replays until all is settled, or ctx ends: then it can go on later. progress is called about once a second with
// how far it is. The error is that a lane is refused, which needs an operator; or of configuration.
func (p *Replayer) Run(ctx context.Context, progress func(*Replayed)) (*Replayed, error) {
	if p.Done() {
		return &Replayed{Offsets: p.Total(), Total: p.Total(), Done: true}, nil
	}
	if p.Begun.IsZero() {
		p.Begun = time.Now()
	}
	// Before anything is read: what is appended must be known to be of this plan.
	if err := p.keep(ctx, slices.Collect(maps.Keys(p.Ranges)), p.Settled); err != nil {
		return nil, err
	}
	run, err := p.start()
	if err != nil {
		return nil, err
	}
	defer run.close()
	work, stop := context.WithCancel(ctx)
	defer stop()
	var sides sync.WaitGroup
	sides.Go(func() { run.fleet.Run(work) })
	var failed error
	sides.Go(func() { failed = run.watch(work, stop, progress) })
	err = run.source.Run(work, source.Topics{Names: []string{p.replay.Topic}}, run.carry)
	stop()
	sides.Wait()
	last := run.look()
	return last, errors.Join(err, failed, run.publish(context.WithoutCancel(ctx)))
}

// start makes what a replay needs to run.
func (p *Replayer) start() (*replaying, error) {
	lanes := newRoster(&p.config, p.env)
	lanes.load(p.set)
	fleet, err := p.config.Writer.fleet(writers.Config{
		Ingest: identity(&p.config), Lanes: lanes.carried, Log: p.env.Log, Metrics: writers.NewMetrics(p.env.Registry),
	}, nil)
	if err != nil {
		return nil, err
	}
	lanes.fleet = fleet
	letters := deadletter.NewWriter(p.config.DeadLetter, &p.config.Kafka, p.env.Log, p.env.Registry)
	src := source.New(p.config.source(), p.env.Log, p.env.Registry)
	src.Letters = letters
	return &replaying{
		Replayer: p, lanes: lanes, fleet: fleet, letters: letters, source: src, pace: replay.NewPace(p.replay.Rate),
		at: map[int32]*carried{}, settled: maps.Clone(p.Settled), bad: map[string]int{}, first: map[string]string{},
	}, nil
}
