package ingest

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/lane"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/writers"
)

// roster runs a lane for each claim and knows those that run.
type roster struct {
	group     string
	config    lane.Config
	fleet     *writers.Fleet // set before the first claim, as contracts
	contracts *contract.Set  // set before the first claim
	budget    *lane.Budget
	metrics   *lane.Metrics
	unknowns  *contract.Unknowns
	log       *slog.Logger

	mu    sync.Mutex
	lanes map[*lane.Lane]struct{}
}

func newRoster(c *Config, env Env) *roster {
	budget := lane.NewBudget(c.laneBudget())
	return &roster{
		group: c.Kafka.Group, config: c.lane(), log: env.Log,
		budget: budget, metrics: lane.NewMetrics(env.Registry, budget), unknowns: contract.NewUnknowns(env.Registry),
		lanes: make(map[*lane.Lane]struct{}),
	}
}

// carry is the source's handler: the life of one lane.
func (r *roster) carry(ctx context.Context, p lane.Partition) {
	l := &lane.Lane{
		Partition: p, Writers: r.fleet.Conn(), Placer: r.fleet,
		Contracts: &contracts{shared: r.contracts.Topic(p.Topic()), unknowns: r.unknowns.Topic(p.Topic()), counted: -1},
		Group:     r.group, Config: r.config, Budget: r.budget, Metrics: r.metrics, Log: r.log,
	}
	r.mu.Lock()
	r.lanes[l] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.lanes, l)
		r.mu.Unlock()
	}()
	l.Run(ctx)
}

// statuses are the lanes as they are now.
func (r *roster) statuses() []lane.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]lane.Status, 0, len(r.lanes))
	for l := range r.lanes {
		out = append(out, l.Status())
	}
	return out
}

// status lists the lanes by topic and partition, for the admin server.
func (r *roster) status() any {
	out := r.statuses()
	slices.SortFunc(out, func(a, b lane.Status) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

// contracts lets a lane use the contracts of its topic.
type contracts struct {
	// shared is that of all lanes, topic the lane's own for the call of the moment.
	shared, topic *contract.Topic
	// last is what Match said about the record that AppendRow gets, match the same for the lane, version that of both.
	last    *contract.Match
	match   lane.Match
	version uint64
	// unknowns counts records that no contract takes, each once: counted is the last, which comes again when its row outgrows a batch.
	unknowns *contract.UnknownTypes
	counted  int64
}

func (c *contracts) Renew() { c.topic, c.version = c.shared.Fork(), 0 }

func (c *contracts) Prepare(ctx context.Context, records []record.Record, waits func(what string)) (grown bool, err error) {
	return c.topic.Prepare(ctx, records, waits)
}

func (c *contracts) Routes() []*lanev1.Route { return c.topic.Routes }
func (c *contracts) Fingerprint() uint64     { return c.topic.Fingerprint }

func (c *contracts) Match(r *record.Record) lane.Match {
	c.last = c.topic.Match(r)
	if c.last.Unmatched && c.counted != r.Offset {
		c.counted = r.Offset
		c.unknowns.Count(c.last.ItemType())
	}
	if v := c.last.Version(); v != 0 && v == c.version {
		return c.match
	}
	m := lane.Match{Route: c.last.Route, Reason: c.last.Reason}
	switch c.last.Action {
	case contract.Row:
		m.Action = lane.Row
	case contract.Ignore:
		m.Action = lane.Ignore
	default:
		m.Action = lane.Unknown
	}
	if c.last.Contract != nil {
		m.Contract = c.last.Contract.Name()
	}
	c.match, c.version = m, c.last.Version()
	return m
}

func (c *contracts) AppendRow(dst []byte, r *record.Record, nowMicros int64) ([]byte, error) {
	return c.last.Contract.AppendRow(dst, r, c.last, nowMicros)
}
