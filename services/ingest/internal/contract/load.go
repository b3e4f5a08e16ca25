package contract

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// Set is the contracts of a process. It is immutable and safe for concurrent use; each lane works with a Fork of its topic.
type Set struct{ topics []*Topic }

// Topic is the contracts of one topic. Not safe for concurrent use: Fork it for each lane.
type Topic struct {
	Name string
	// Routes are the topic's tables. Their order is the same for every lane of the process; their columns are those of the fork.
	Routes []*lanev1.Route
	// Fingerprint is that of the routing. Rows can be dropped on replay only under the fingerprint they were appended under.
	Fingerprint uint64

	routing   *routing
	contracts []*Contract // by route
}

// Load compiles the entries; without any, the built-in contracts. Schema files are looked for in dir, the configuration file's folder. The
// error is config.Problems: all of them, with keys below `contracts`.
//
// Entries whose schema is a subject are checked and left out of the set: LoadWith asks the registry for them.
func Load(configs []Config, dir string) (*Set, error) {
	return LoadWith(context.Background(), configs, dir, Env{})
}

// Env is what contracts need whose records name their schema. The zero value has no registry.
type Env struct {
	// Schemas is the schema registry.
	Schemas Schemas
	// Log hears of new versions; nil discards. Registerer gets their metrics.
	Log        *slog.Logger
	Registerer prometheus.Registerer

	metrics *metrics
}

// LoadWith is Load with a schema registry. It waits while the registry is away; the error is config.Problems, or that of ctx.
func LoadWith(ctx context.Context, configs []Config, dir string, env Env) (*Set, error) {
	if len(configs) == 0 {
		configs = defaultConfigs()
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	env.metrics = newMetrics(env.Registerer)
	l := loader{ctx: ctx, env: env, dir: dir, byTopic: map[string][]entry{}}
	for i := range configs {
		l.add(i, configs[i])
	}
	set := &Set{}
	for _, name := range l.order {
		if t := l.topic(name, l.byTopic[name]); t != nil {
			set.topics = append(set.topics, t)
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(l.problems) > 0:
		return nil, l.problems
	}
	return set, nil
}

// Topics lists the topics' names, in the order of the configuration.
func (s *Set) Topics() []string {
	names := make([]string, len(s.topics))
	for i, t := range s.topics {
		names[i] = t.Name
	}
	return names
}

// Topic returns the contracts of a topic, nil if there are none. Fork them for a lane.
func (s *Set) Topic(name string) *Topic {
	for _, t := range s.topics {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Fork returns a copy that shares no state, at the newest version of each contract: one lane's own, for one call.
func (t *Topic) Fork() *Topic {
	fork := *t
	fork.contracts, fork.Routes = make([]*Contract, len(t.contracts)), slices.Clone(t.Routes)
	for i, c := range t.contracts {
		fork.contracts[i] = c.fork()
		if at := fork.contracts[i].at; at != nil {
			fork.Routes[i] = at.route
		}
	}
	return &fork
}

// Match says what becomes of a record, by its headers and whether its value is null. It decodes nothing and allocates for the Reason of Unknown
// only. The Match holds for as long as the record's bytes.
func (t *Topic) Match(r *record.Record) Match {
	if r.Value == nil {
		if t.routing.deadLetterTombstones {
			return Match{Action: Unknown, Reason: "the value is null"}
		}
		return Match{Action: Ignore}
	}
	itemType := t.routing.itemType(r)
	target, ok := t.routing.target(itemType)
	switch {
	case ok && target == toIgnore:
		return Match{Action: Ignore}
	case ok:
		return Match{Action: Row, Route: target, Contract: t.contracts[target], itemType: itemType}
	case itemType == nil:
		return Match{Action: Unknown, Reason: fmt.Sprintf("header %s is missing", t.routing.header)}
	}
	return Match{Action: Unknown, Reason: fmt.Sprintf("header %s is %.200q, which no contract of the topic takes", t.routing.header, itemType)}
}

// entry is an entry of the configuration with its defaults, and what it compiled to.
type entry struct {
	Config
	key      string
	contract *Contract
	route    *lanev1.Route
}

type loader struct {
	ctx      context.Context // of LoadWith, which the loader does not outlive
	env      Env
	dir      string
	problems config.Problems
	order    []string
	byTopic  map[string][]entry
}

func (l *loader) report(key, message, remedy string) {
	l.problems = append(l.problems, config.Problem{Key: key, Message: message, Remedy: remedy})
}

// add checks and compiles one entry.
func (l *loader) add(i int, c Config) {
	key := fmt.Sprintf("contracts[%d]", i)
	before := len(l.problems)
	c.Check(func(sub, message, remedy string) { l.report(key+"."+sub, message, remedy) })
	if len(l.problems) > before {
		return
	}
	c = c.withDefaults()
	e := entry{Config: c, key: key}
	if c.Subject != "" && l.env.Schemas == nil {
		return
	}
	schema, name, message := l.schema(&e)
	if schema == nil {
		return
	}
	o := decode.Options{
		Contract: name, Payload: c.Payload, EventID: c.EventID, EventTime: c.EventTime.Field, EventTimeUnit: units[c.EventTime.Unit],
	}
	var err error
	if c.Framing == framingConfluent {
		e.contract, e.route, err = l.framed(&c, schema, message, o)
	} else {
		e.contract, e.route, err = l.plain(&c, schema, message, o)
	}
	if err != nil {
		l.reportCompile(&e, err)
		return
	}
	if l.byTopic[c.Topic] == nil {
		l.order = append(l.order, c.Topic)
	}
	l.byTopic[c.Topic] = append(l.byTopic[c.Topic], e)
}

// plain compiles a contract whose payloads have one schema.
func (l *loader) plain(c *Config, s *registry.Schema, message string, o decode.Options) (*Contract, *lanev1.Route, error) {
	plan, err := l.columns(c, s, o)
	if err != nil {
		return nil, nil, err
	}
	r, err := route(c, plan, message)
	return newContract(o.Contract, c.TopicVersion, plan), r, err
}

func (*loader) columns(c *Config, s *registry.Schema, o decode.Options) (decode.Plan, error) {
	if c.Subject == "" {
		return formats[c.Format].compile([]byte(s.Text), c, o)
	}
	reader, err := parseSchema(s)
	if err != nil {
		return nil, err
	}
	return reader.compile(o)
}

// reportCompile reports an error of the schema under the key that can mend it.
func (l *loader) reportCompile(e *entry, err error) {
	key, place := e.key, "schema"
	if e.Subject != "" {
		place = "subject"
	}
	remedy := "change the schema; the table's columns follow from it"
	if field, ok := errors.AsType[*decode.SchemaError](err); ok {
		for _, option := range []string{"event_id", "event_time"} {
			if strings.HasPrefix(field.Reason, option+": ") {
				l.report(key+"."+option, field.Error(), "name a field of the schema by its path through records, for example order.id")
				return
			}
		}
	}
	l.report(key+"."+place, err.Error(), remedy)
}

// topic joins the entries of one topic; nil if there was a problem.
func (l *loader) topic(name string, entries []entry) *Topic {
	before := len(l.problems)
	first := &entries[0]
	t := &Topic{Name: name}
	var rules []rule
	for i := range entries {
		e := &entries[i]
		if e.TypeHeader != first.TypeHeader {
			l.report(e.key+".type_header", fmt.Sprintf("%s reads %s, %s reads %s", e.key, e.TypeHeader, first.key, first.TypeHeader), "use one header for all contracts of the topic")
		}
		if e.Tombstones != first.Tombstones {
			l.report(e.key+".tombstones", fmt.Sprintf("%s says %s, %s says %s", e.key, e.Tombstones, first.key, first.Tombstones), "use one policy for all contracts of the topic")
		}
		if at := slices.IndexFunc(t.Routes, func(r *lanev1.Route) bool { return r.Table == e.Table }); at >= 0 {
			l.report(e.key+".table", fmt.Sprintf("%s sends rows of the same topic to %s already", entries[at].key, e.Table), "join the two entries, or use another table")
		}
		t.Routes = append(t.Routes, e.route)
		t.contracts = append(t.contracts, e.contract)
		rules = l.rules(rules, e, "types", e.Types, i)
		rules = l.rules(rules, e, "ignore", e.Ignore, toIgnore)
	}
	if len(l.problems) > before {
		return nil
	}
	t.routing = newRouting(first.TypeHeader, first.Tombstones == tombstonesDeadLetter, rules)
	t.Fingerprint = fingerprint(first.TypeHeader, first.Tombstones, rules, func(target int) string { return entries[target].Table })
	return t
}

// rules adds the rules of one list. A type ignored by two entries is ignored; one that has two places to go is a problem.
func (l *loader) rules(rules []rule, e *entry, key string, types []string, target int) []rule {
	for _, name := range types {
		p, err := parsePattern(name)
		if err != nil {
			continue // Check has reported it
		}
		at := slices.IndexFunc(rules, func(r rule) bool { return r.pattern == p })
		switch {
		case at < 0:
			rules = append(rules, rule{p, target})
		case rules[at].target != target || target != toIgnore:
			l.report(e.key+"."+key, fmt.Sprintf("type %s of topic %s has a place to go already", name, e.Topic), "name it once")
		}
	}
	return rules
}
