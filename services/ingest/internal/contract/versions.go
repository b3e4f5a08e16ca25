package contract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/registry"
)

// Schemas is what contracts need of a schema registry; registry.Client has it. Its methods wait while the registry is
// away. An error is that of ctx, or says why there is no schema.
type Schemas interface {
	ByID(ctx context.Context, id int) (*registry.Schema, error)
	Version(ctx context.Context, subject string, version int) (*registry.Schema, error)
	Versions(ctx context.Context, subject string) ([]int, error)
	Belongs(ctx context.Context, id int, subject string) (bool, error)
}

// versions are those of a contract whose records name their schema: the columns it has now, and how the payloads behind
// each schema id become them. All lanes of the process share it; safe for concurrent use.
//
// A schema of the contract's subject that has more fields than the contract makes a new version, if it may grow. A
// version is immutable but for the schema ids it knows; a lane works with one version for as long as a call lasts.
type versions struct {
	config  Config
	name    string
	options decode.Options
	message string
	env     Env
	log     *slog.Logger

	current atomic.Pointer[version]
	// mu is held while a schema is compiled and a version made, never while the registry is asked.
	mu sync.Mutex
	// belongs is what the registry said: is the schema id a version of the subject? reported are the ids that had their
	// line of log.
	belongs, reported map[uint32]bool
}

// version is the columns of a contract at a time.
type version struct {
	number int
	reader schema
	plan   *confluent.Plan
	rows   decode.Plan // nil for plan: see Contract.rows
	route  *lanev1.Route
}

// newVersions makes the first version. The error is one of the schema.
func newVersions(c Config, name, message string, reader schema, o decode.Options, env Env) (*versions, error) {
	vs := &versions{
		config: c, name: name, options: o, message: message, env: env,
		log:     env.Log.With("contract", name, "topic", cmp.Or(c.Topic, c.TopicPattern)),
		belongs: map[uint32]bool{}, reported: map[uint32]bool{},
	}
	first, err := vs.make(1, reader)
	if err != nil {
		return nil, err
	}
	vs.publish(first)
	return vs, nil
}

// grows says whether the contract gains what its subject gains.
func (vs *versions) grows() bool {
	return vs.config.Evolution == evolutionAdditive && vs.config.Subject != "" && vs.config.SubjectVersion == latest
}

func (vs *versions) make(number int, reader schema) (*version, error) {
	columns, err := reader.compile(vs.options)
	if err != nil {
		return nil, err
	}
	plan := confluent.NewPlan(vs.name, vs.config.Payload, columns)
	rows, err := vs.config.rows(plan, &vs.options)
	if err != nil {
		return nil, err
	}
	r, err := route(&vs.config, either(rows, plan), vs.message)
	if err != nil {
		return nil, err
	}
	return &version{number: number, reader: reader, plan: plan, rows: rows, route: r}, nil
}

func (vs *versions) publish(v *version) {
	vs.current.Store(v)
	vs.count(v)
}

// count says in the metrics how many versions there have been.
func (vs *versions) count(v *version) {
	topic := cmp.Or(vs.config.Topic, vs.config.TopicPattern)
	vs.env.metrics.versions.WithLabelValues(topic, vs.name).Set(float64(v.number))
}

// learn asks the registry about a schema id and adds what it says to the current version, which may be a new one
// afterwards. A schema that does not fit the contract is a reason to refuse the records that name it, or to wait for
// the operator, where the contract says so and waits is given. The error is that of ctx.
func (vs *versions) learn(ctx context.Context, id uint32, waits func(what string)) error {
	for {
		done := waiting(waits, fmt.Sprintf("schema id %d of the schema registry", id))
		source, unfit, err := vs.lookUp(ctx, id)
		done()
		if err != nil {
			return err
		}
		if unfit == "" || waits == nil || vs.config.UnfitSchema != unfitWaits {
			vs.current.Load().plan.Learn(id, source)
			return nil
		}
		done = waiting(waits, fmt.Sprintf("the operator: schema id %d does not fit the contract %s: %s", id, vs.name,
			unfit))
		select {
		case <-time.After(unfitAgain): // the contract may have grown meanwhile
		case <-ctx.Done():
		}
		done()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// unfitAgain is how often a lane that waits for the operator looks again.
const unfitAgain = 30 * time.Second

// remedy is what to do about a schema that does not fit.
const remedy = "change the contract: columns gives a field another name or type, or skips it"

// lookUp gets what the registry says of a schema id; unfit, why it does not fit the contract. The error is that of ctx.
func (vs *versions) lookUp(ctx context.Context, id uint32) (source confluent.Source, unfit string, err error) {
	if vs.env.Schemas == nil {
		return confluent.Source{Reason: "no schema registry is configured"}, "", nil
	}
	s, err := vs.env.Schemas.ByID(ctx, int(id))
	if ctx.Err() != nil {
		return source, "", ctx.Err()
	}
	if err != nil {
		source.Reason = err.Error()
		if missing, ok := errors.AsType[*registry.MissingError](err); ok {
			source.Until = missing.Until
		}
		return source, "", nil
	}
	ours, err := vs.ours(ctx, id)
	if err != nil {
		return source, "", err
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if known, ok := vs.current.Load().plan.Find(id); ok && known.Until.IsZero() {
		return known, "", nil // by another lane, meanwhile
	}
	source, unfit, err = vs.source(id, s, ours)
	if err != nil {
		if unfit == "" {
			unfit = err.Error() + "; " + remedy
		}
		source = confluent.Source{Reason: fmt.Sprintf("schema id %d: %v", id, err)}
		vs.once(id, func() {
			vs.log.Warn("a schema does not fit the contract", "schema_id", id, "records", vs.unfit("refused"),
				"reason", unfit)
		})
	}
	vs.reported[id] = true
	return source, unfit, nil
}

// unfit is what becomes of records whose schema does not fit: they are refused, unless they wait.
func (vs *versions) unfit(refused string) string {
	if vs.config.UnfitSchema == unfitWaits {
		return "wait for the operator"
	}
	return refused
}

// ours says whether a schema is a version of the contract's subject; every schema is when the contract has none.
func (vs *versions) ours(ctx context.Context, id uint32) (bool, error) {
	if vs.config.Subject == "" {
		return true, nil
	}
	vs.mu.Lock()
	belongs, known := vs.belongs[id]
	vs.mu.Unlock()
	if known {
		return belongs, nil
	}
	belongs, err := vs.env.Schemas.Belongs(ctx, int(id), vs.config.Subject)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil && belongs { // a schema may become a version of the subject later
		vs.mu.Lock()
		vs.belongs[id] = true
		vs.mu.Unlock()
	}
	return belongs, nil
}

// source compiles what the registry has for a schema id; mu is held. It grows the contract first if it may and has to.
// unfit says which values of it are refused for another type.
func (vs *versions) source(id uint32, s *registry.Schema, ours bool) (source confluent.Source, unfit string,
	err error,
) {
	if s.Format != vs.config.Format {
		return source, "", fmt.Errorf("it is of format %s, the contract reads %s", s.Format, vs.config.Format)
	}
	writer, err := parseSchema(s, &vs.config)
	if err != nil {
		return source, "", err
	}
	v := vs.current.Load()
	switch {
	case ours:
	case writer.name() == "":
		return source, "", fmt.Errorf("it is no version of subject %s%s", vs.config.Subject, several)
	case writer.name() != v.reader.name():
		return source, "", fmt.Errorf("it is no version of subject %s, and is called %s instead of %s%s",
			vs.config.Subject, writer.name(), v.reader.name(), several)
	}
	merged, changes := v.reader.with(writer, vs.config.Payload)
	changes.Conflicts = slices.DeleteFunc(changes.Conflicts,
		func(c decode.Conflict) bool { return vs.options.Columns.Settles(&c) })
	vs.once(id, func() { vs.logChanges(id, changes) })
	if vs.grows() && ours && changes.Grown() {
		next, err := vs.make(v.number+1, merged)
		if err != nil {
			return source, "", fmt.Errorf("its fields cannot become columns: %w", err)
		}
		vs.publish(next)
		vs.log.Info("the contract has grown", "version", next.number, "schema_id", id, "added", changes.Added,
			"widened", changes.Widened)
		v = next
	}
	plan, err := v.reader.compileFor(writer, vs.options, fmt.Sprintf("schema %d", id), vs.grows())
	var conflicts []string
	for _, c := range changes.Conflicts {
		conflicts = append(conflicts, c.String()+"; change the contract: "+c.Remedy())
	}
	source.Plan = plan
	source.Types, source.Nulls = writer.types()
	return source, strings.Join(conflicts, "; "), err
}

// several is what to do where a topic has records of several types.
const several = "; of several types in a topic each has an entry of its own, with type_from: schema"

// logChanges logs what is new in a schema and stays without a column.
func (vs *versions) logChanges(id uint32, changes decode.Changes) {
	if len(changes.Added) > 0 && !vs.grows() {
		vs.env.metrics.extra.WithLabelValues(cmp.Or(vs.config.Topic, vs.config.TopicPattern), vs.name).Inc()
		vs.log.Warn("a schema has fields that the contract has not; they are left out of the rows", "schema_id", id,
			"fields", changes.Added)
	}
	for _, c := range changes.Conflicts {
		vs.log.Warn("a schema has another type than the contract", "schema_id", id,
			"records", vs.unfit("refused where their values do not fit"), "field", c.Path, "have", c.Have,
			"want", c.Want, "remedy", c.Remedy())
	}
}

// once runs f unless the schema id had its turn.
func (vs *versions) once(id uint32, f func()) {
	if !vs.reported[id] {
		f()
	}
}

// look learns the subject's latest version.
func (vs *versions) look(ctx context.Context) error {
	s, err := vs.env.Schemas.Version(ctx, vs.config.Subject, registry.Latest)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || vs.current.Load().plan.Known(uint32(s.ID)) {
		return nil //nolint:nilerr // a subject that was removed takes nothing away from the contract
	}
	source, unfit, err := vs.lookUp(ctx, uint32(s.ID))
	if err == nil && (unfit == "" || vs.config.UnfitSchema != unfitWaits) {
		vs.current.Load().plan.Learn(uint32(s.ID), source)
	}
	return err
}
