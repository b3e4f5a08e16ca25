package contract

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/raw"
)

// Env is what contracts need whose records name their schema. The zero value has no registry.
type Env struct {
	// Schemas is the schema registry.
	Schemas Schemas
	// Log learns of new versions; nil discards. Registerer gets their metrics.
	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Retable gives rows another table than their entry does; nil leaves them.
	Retable func(table string) string

	metrics *metrics
}

// Shared is an Env whose metrics all sets that are loaded with it share; without, each has metrics of its own, and a
// registerer takes those of one.
func (e Env) Shared() Env {
	e.metrics = newMetrics(e.Registerer)
	return e
}

// Load compiles the entries; without any, the built-in contracts. Schema files are looked for in the folder of the file
// that the entry stands in; of an entry from elsewhere in dir. Entries whose schema is a subject ask the registry, and
// wait while it is away; without one they are checked and left out of the set. The error is config.Problems: all of
// them, with keys below `contracts`, or in the entry's file; or that of ctx.
func Load(ctx context.Context, configs []Config, dir string, env Env) (*Set, error) {
	if len(configs) == 0 {
		configs = defaultConfigs()
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.metrics == nil {
		env.metrics = newMetrics(env.Registerer)
	}
	l := loader{ctx: ctx, env: env, dir: dir, groups: map[group][]entry{}}
	entries := make([]entry, len(configs))
	for i := range configs {
		entries[i] = entry{Config: configs[i].withDefaults(), index: i}
		if env.Retable != nil {
			entries[i].retable(env.Retable)
		}
	}
	l.name(entries)
	for i := range configs {
		l.add(&configs[i], entries[i])
	}
	set := &Set{}
	for _, g := range l.order {
		t := l.topic(g, l.groups[g])
		switch {
		case t == nil:
		case g.pattern:
			re, err := wholeName(g.name)
			if err != nil {
				return nil, err // Check has reported it
			}
			set.patterns = append(set.patterns, pattern{re, t})
		default:
			set.named = append(set.named, t)
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

// LoadDir reads the entries of every *.yaml file in a folder, in the order of their names. Each file is an entry or a
// list of them. The error is config.Problems.
func LoadDir(dir string) ([]Config, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", dir)
	}
	if err != nil {
		return nil, config.Problems{
			{Key: "contracts_dir", Message: err.Error(), Remedy: "name a folder, relative to the configuration file"},
		}
	}
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, config.Problems{
			{
				Key: "contracts_dir", Message: dir + " holds no *.yaml file",
				Remedy: "put contracts there, or remove contracts_dir",
			},
		}
	}
	var all []Config
	var errs []error
	for _, file := range files {
		entries, err := config.LoadEntries[Config](file)
		all = append(all, entries...)
		errs = append(errs, err)
	}
	return all, config.Merge(dir, errs...)
}

// escapeGlob makes a pattern that only a path itself matches.
func escapeGlob(path string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(path)
}

// group is what entries have in common whose records share a routing: a topic, or a pattern of topics.
type group struct {
	pattern bool
	name    string
}

// entry is an entry of the configuration with its defaults, and what it compiled to.
type entry struct {
	Config
	index    int
	contract *Contract
	route    *lanev1.Route
}

// key names an entry for people, file included where it has one of its own.
func (e *entry) key() string {
	switch {
	case e.place.File() == "":
		return fmt.Sprintf("contracts[%d]", e.index)
	case strings.HasPrefix(e.place.Key(), "contracts"):
		return e.place.Key()
	}
	return strings.TrimSpace(filepath.Base(e.place.File()) + " " + e.place.Key())
}

// retable gives the rows of an entry other tables.
func (e *entry) retable(other func(string) string) {
	if e.Table != "" {
		e.Table = other(e.Table)
	}
	if e.UnknownTable != "" {
		e.UnknownTable = other(e.UnknownTable)
	}
}

type loader struct {
	ctx      context.Context // of Load, which the loader does not outlive
	env      Env
	dir      string
	problems config.Problems
	order    []group
	groups   map[group][]entry
}

// report reports a problem at a key of an entry.
func (l *loader) report(e *entry, key, message, remedy string) {
	if e.place.File() != "" {
		l.problems = append(l.problems, e.place.Problem(key, message, remedy))
		return
	}
	l.problems = append(l.problems, config.Problem{Key: e.key() + "." + key, Message: message, Remedy: remedy})
}

// add checks one entry as it is written, and compiles it with its defaults and its name.
func (l *loader) add(c *Config, e entry) {
	before, shaped := len(l.problems), true
	c.Check(func(key, message, remedy string) {
		first, _, _ := strings.Cut(key, ".")
		shaped = shaped && !slices.Contains(shapeKeys, first)
		l.report(&e, key, message, remedy)
	})
	if !shaped {
		return // what the compiler would say may follow from that
	}
	if e.Subject != "" && l.env.Schemas == nil {
		return
	}
	schema, message, ok := l.schema(&e)
	if !ok {
		return
	}
	o := decode.Options{
		Contract: e.Name, Payload: e.Payload, EventID: e.EventID, EventTime: e.EventTime.Field,
		EventTimeUnit: units[e.EventTime.Unit], Columns: e.columns(), Dates: e.Dates.decoded(),
		IgnoreHints: e.Hints == hintsIgnore,
		Only:        e.only(),
	}
	compile := l.plain
	if e.Framing == framingConfluent {
		compile = l.framed
	}
	var err error
	if e.contract, e.route, err = compile(&e.Config, schema, message, o); err != nil {
		l.reportCompile(&e, err)
	}
	if len(l.problems) > before {
		return
	}
	if schema != nil {
		e.contract.source = sha256.Sum256([]byte(schema.Text))
	}
	if o.Dates != nil {
		e.contract.far = l.env.metrics.far.WithLabelValues(cmp.Or(e.Topic, e.TopicPattern), e.Name)
	}
	g := group{e.TopicPattern != "", cmp.Or(e.TopicPattern, e.Topic)}
	if l.groups[g] == nil {
		l.order = append(l.order, g)
	}
	l.groups[g] = append(l.groups[g], e)
}

// shapeKeys are what the columns of an entry come of.
var shapeKeys = []string{
	"builtin", "format", "framing", "schema", "subject", "subject_version", "message", "unknown_fields", "mode", "as",
	"columns", "hints", "payload", "payload_path", "operation", "event_id", "event_time", "dates",
}

// reportCompile reports the errors of the schema, each under the key that can mend it.
func (l *loader) reportCompile(e *entry, err error) {
	if all, ok := errors.AsType[decode.SchemaErrors](err); ok {
		for _, one := range all {
			l.reportCompile(e, one)
		}
		return
	}
	if field, ok := errors.AsType[*decode.SchemaError](err); ok {
		if reason, ok := strings.CutPrefix(field.Reason, "message: "); ok {
			l.report(e, "message", reason, "name a message of the descriptor set in full, for example shop.v1.Order")
			return
		}
		for _, option := range []string{"event_id", "event_time", "columns", "payload_path", "operation"} {
			if strings.HasPrefix(field.Reason, option+": ") {
				said := field.Field + strings.TrimPrefix(field.Reason, option)
				if option == "columns" || option == "payload_path" || option == "operation" {
					l.report(e, option, said, "docs/types.md lists which type becomes which column")
					return
				}
				l.report(e, option, said, "name a field of the schema by its path through records, for example "+
					"order.id")
				return
			}
		}
	}
	key := "schema"
	if e.Subject != "" {
		key = "subject"
	}
	l.report(e, key, err.Error(),
		"change the schema, from which the columns follow, or give them other names or types by columns")
}

// topic joins the entries of one topic, or of a pattern; nil if there was a problem.
func (l *loader) topic(g group, entries []entry) *Topic {
	before := len(l.problems)
	t := &Topic{Name: g.name}
	var rules []rule
	for i := range entries {
		e := &entries[i]
		if at := slices.IndexFunc(t.Routes, func(r *lanev1.Route) bool { return r.Table == e.Table }); at >= 0 {
			l.report(e, "table", fmt.Sprintf("%s sends rows of the same topic to %s already", entries[at].key(),
				e.Table), "join the two entries, or use another table")
		}
		t.Routes = append(t.Routes, e.route)
		t.contracts = append(t.contracts, e.contract)
		rules = l.rules(rules, e, "types", e.Types, i)
		rules = l.rules(rules, e, "ignore", e.Ignore, toIgnore)
	}
	header, _ := l.agreed(entries, "type_header", defaultTypeHeader, func(c *Config) string { return c.TypeHeader })
	tombstones, _ := l.agreed(entries, "tombstones", toNothing, func(c *Config) string { return c.Tombstones })
	policy, says := l.agreed(entries, "unknown", toDeadLetter, func(c *Config) string { return c.Unknown })
	t.typing = l.typing(entries)
	unknown := toRefuse
	switch policy {
	case toNothing:
		unknown = toIgnore
	case toTable:
		unknown = len(entries)
		l.agreed(entries, "unknown_table", "", func(c *Config) string { return c.UnknownTable })
		l.catchAll(t, entries, says, rules)
	}
	if len(l.problems) > before {
		return nil
	}
	if !g.pattern {
		t.version(g.name)
	}
	for i := range entries {
		e := Entry{
			Config: entries[i].Config, Name: entries[i].contract.name, Route: entries[i].route,
			contract: entries[i].contract, typing: t.typing,
		}
		e.Warnings = slices.Concat(e.contract.warnings, decode.Warnings(e.contract.plan))
		for _, w := range e.Warnings {
			l.env.Log.Warn("something is wrong with a schema that does not matter", "contract", e.Name, "what", w)
		}
		e.TypeHeader, e.Tombstones, e.Unknown = header, tombstones, policy
		t.entries = append(t.entries, e)
	}
	t.routing = newRouting(header, tombstones, unknown, rules)
	t.Fingerprint = fingerprint(header, tombstones, t.typing != nil, unknown, rules,
		func(target int) string { return t.Routes[target].Table })
	return t
}

// agreed is what the entries say about their topic: those that say something must say the same. says is the first of
// them, nil if none does.
func (l *loader) agreed(entries []entry, key, otherwise string, get func(*Config) string) (value string, says *entry) {
	for i := range entries {
		e := &entries[i]
		switch theirs := get(&e.Config); {
		case theirs == "":
		case says == nil:
			value, says = theirs, e
		case theirs != value:
			l.report(e, key, fmt.Sprintf("%s says %s, %s says %s", e.key(), theirs, says.key(), value),
				"say the same in all contracts of the topic, or say it in one")
		}
	}
	return cmp.Or(value, otherwise), says
}

// unknownContract is the name of the contract of records whose type no other takes.
const unknownContract = "unknown"

// catchAll adds the table of records whose type no entry takes.
func (l *loader) catchAll(t *Topic, entries []entry, says *entry, rules []rule) {
	if at := slices.IndexFunc(entries, func(e entry) bool { return e.Table == says.UnknownTable }); at >= 0 {
		l.report(says, "unknown_table", fmt.Sprintf("%s sends rows of its own there", entries[at].key()),
			"use another table")
		return
	}
	if slices.ContainsFunc(rules, func(r rule) bool { return r.prefix && r.text == "" }) {
		l.report(says, "unknown", "types of the topic takes \"*\": there is no unknown type",
			"remove unknown and unknown_table, or list the types")
		return
	}
	// Of such a payload nothing is known, so the table is laid out by when it came.
	c := Config{
		Table: says.UnknownTable, Payload: defaultPayload, PartitionBy: "ingest_time", PartitionUnit: "day",
		ClusterBy: []string{"event_type"}, Delivery: says.Delivery, Evolution: says.Evolution,
		MissingValues: says.MissingValues,
	}
	plan, err := raw.Compile(raw.Bytes, decode.Options{Contract: unknownContract, Payload: c.Payload})
	if err == nil {
		var r *lanev1.Route
		if r, err = route(&c, plan, ""); err == nil {
			t.Routes = append(t.Routes, r)
			t.contracts = append(t.contracts, newContract(unknownContract, says.TopicVersion, says.Key, plan))
			return
		}
	}
	l.report(says, "unknown_table", err.Error(), "use another policy for unknown types")
}

// rules adds the rules of one list. A type ignored by two entries is ignored; one that has two places to go is a
// problem.
func (l *loader) rules(rules []rule, e *entry, key string, types []string, target int) []rule {
	for _, name := range types {
		p, err := parseTypes(name)
		if err != nil {
			continue // Check has reported it
		}
		at := slices.IndexFunc(rules, func(r rule) bool { return r.types == p })
		switch {
		case at < 0:
			rules = append(rules, rule{p, target})
		case rules[at].target != target || target != toIgnore:
			l.report(e, key, fmt.Sprintf("type %s of the topic has a place to go already", name), "name it once")
		}
	}
	return rules
}
