package sink

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/protobuf/proto"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// table is one BigQuery table as the rows of one row message see it.
type table struct {
	sink *Sink
	id   tableID
	// name is projects/P/datasets/D/tables/T.
	name string
	// key is the cache's: table and row message.
	key string
	// schema is the encoded writer schema, a ProtoSchema.
	schema []byte
	// fills says that default values take the place of missing ones.
	fills bool
	// additive says that the table follows the rows, looked when it was last seen to.
	additive bool
	looked   time.Time
	// stand makes the table if it is missing.
	stand func(context.Context) error
	// weather is that of the table, whatever the rows; calls are the shared calls of these rows.
	weather *weather
	calls   calls
	// careful is until when requests go one at a time, in nanoseconds since the epoch.
	careful atomic.Int64
}

// Name implements lane.Table.
func (t *table) Name() string { return t.name }

// Trouble implements lane.Troubled.
func (t *table) Trouble() lane.Trouble { return t.weather.trouble() }

// carefulUntil is until when the requests of an appender go one at a time, see queue.careful.
func (t *table) carefulUntil() time.Time { return time.Unix(0, t.careful.Load()) }

// beCareful keeps that for appenders to come.
func (t *table) beCareful(until time.Time) {
	if until.After(t.carefulUntil()) {
		t.careful.Store(until.UnixNano())
	}
}

// Open implements lane.Table.
func (t *table) Open(stream string, rows int64, results func(lane.Result)) lane.Appender {
	return t.sink.open(t, preamble{stream: stream, schema: t.schema, trace: t.sink.trace, fills: t.fills}, rows,
		results)
}

// Default implements lane.Table.
func (t *table) Default(results func(lane.Result)) lane.Appender {
	return t.sink.open(t, preamble{
		stream: t.name + defaultStream, schema: t.schema, trace: t.sink.trace, fills: t.fills, repeats: true,
	}, 0, results)
}

// defaultStream follows the name of a table in that of its default stream.
const defaultStream = "/streams/_default"

// Table implements lane.Sink. Lanes that ask for the same table at once share one look and one creation.
func (s *Sink) Table(ctx context.Context, route *lanev1.Route) (lane.Table, error) {
	id, err := s.config.locate(route.GetTable())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", lane.ErrRoute, err)
	}
	key, err := tableKey(id, route)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", lane.ErrRoute, err)
	}
	s.mu.Lock()
	t := s.tables[key]
	s.mu.Unlock()
	if t != nil {
		return t, nil
	}
	// The shared look must not end with the lane that happened to ask first: it runs in the sink's scope.
	result := s.flight.DoChan(key, func() (any, error) { return s.prepare(s.ctx, id, key, route) })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*table), nil
	}
}

// forget makes the next lane look at the table again.
func (s *Sink) forget(t *table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables[t.key] == t { // and not what another lane has found since
		delete(s.tables, t.key)
	}
}

// tableID names a table.
type tableID struct{ project, dataset, table string }

func (t tableID) String() string { return t.project + "." + t.dataset + "." + t.table }

func (t tableID) resource() string {
	return "projects/" + t.project + "/datasets/" + t.dataset + "/tables/" + t.table
}

// locate completes `table`, `dataset.table` or `project.dataset.table`. A domain-scoped project has dots of its own.
func (c *Config) locate(name string) (tableID, error) {
	parts := strings.Split(name, ".")
	id := tableID{project: c.Project, dataset: c.Dataset, table: parts[len(parts)-1]}
	if len(parts) > 1 {
		id.dataset = parts[len(parts)-2]
	}
	if len(parts) > 2 {
		id.project = strings.Join(parts[:len(parts)-2], ".")
	}
	switch {
	case id.project == "" || id.dataset == "" || id.table == "" || strings.Contains(name, "/"):
		return tableID{}, fmt.Errorf("%q is not a table: write table, dataset.table or project.dataset.table", name)
	case !datasetName.MatchString(id.dataset) || len(id.dataset) > maxIDBytes:
		return tableID{}, fmt.Errorf("%q is not a dataset id: use letters, digits and underscores, at most %d",
			id.dataset, maxIDBytes)
	case !tableName.MatchString(id.table) || len(id.table) > maxIDBytes:
		return tableID{}, fmt.Errorf("%q is not a table id: use letters, digits, underscores, dashes and spaces, at "+
			"most %d bytes", id.table, maxIDBytes)
	}
	if !c.allows(id) {
		return tableID{}, fmt.Errorf("table %s is in no dataset of bigquery.allow: add %s.%s there, or route elsewhere",
			id, id.project, id.dataset)
	}
	return id, nil
}

// allows tells whether this writer may touch a table.
func (c *Config) allows(id tableID) bool {
	return len(c.Allow) == 0 || slices.ContainsFunc(c.Allow, func(a string) bool {
		return a == id.project || a == id.project+"."+id.dataset
	})
}

// maxIDBytes bounds the id of a dataset and of a table (BigQuery, "Dataset naming" and "Table naming").
const maxIDBytes = 1024

// tableName has the categories that BigQuery takes: letters, marks, numbers, connectors, dashes and spaces.
var tableName = regexp.MustCompile(`^[\pL\pM\pN\p{Pc}\p{Pd}\p{Zs}]+$`)

// tableKey tells tables apart by their row messages as well, and by what may be changed for them: two contracts may
// write to one table.
func tableKey(id tableID, route *lanev1.Route) (string, error) {
	row := "message " + route.GetMessage()
	if d := route.GetDescriptor_(); d != nil {
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
		if err != nil {
			return "", fmt.Errorf("row descriptor of %s: %w", id, err)
		}
		row = fmt.Sprintf("descriptor %x", sha256.Sum256(encoded))
	}
	return id.String() + " " + row + " " + route.GetEvolution().String() + fmt.Sprint(" fills ", fills(route)), nil
}

// fills says that the default values of columns take the place of missing ones.
func fills(route *lanev1.Route) bool {
	return route.GetMissingValues() == lanev1.MissingValues_MISSING_VALUES_DEFAULT
}

// prepare finds or makes the table.
func (s *Sink) prepare(ctx context.Context, id tableID, key string, route *lanev1.Route) (*table, error) {
	row, err := s.rowType(route)
	if err != nil {
		return nil, fmt.Errorf("%w: table %s: %w", lane.ErrRoute, id, err)
	}
	schema, err := proto.Marshal(&storagepb.ProtoSchema{ProtoDescriptor: row.descriptor})
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", id, err)
	}
	stand := func(ctx context.Context) error { return s.settle(ctx, id, row, route) }
	if err := stand(ctx); err != nil {
		return nil, err
	}
	t := &table{
		sink: s, id: id, name: id.resource(), key: key, schema: schema, stand: stand,
		fills:    fills(route),
		additive: route.GetEvolution() == lanev1.Evolution_EVOLUTION_ADDITIVE, looked: time.Now(),
		weather: s.weatherOf(id.resource()),
	}
	s.mu.Lock()
	s.tables[key] = t
	s.mu.Unlock()
	return t, nil
}

// rowType reads the row message of a route.
func (s *Sink) rowType(route *lanev1.Route) (*rowType, error) {
	if d := route.GetDescriptor_(); d != nil {
		return newRowType(d)
	}
	if known, ok := s.builtins.Load(route.GetMessage()); ok {
		return known.(*rowType), nil
	}
	d, err := s.builtin(route.GetMessage())
	if err != nil {
		return nil, err
	}
	row, err := newRowType(d)
	if err == nil {
		s.builtins.Store(route.GetMessage(), row)
	}
	return row, err
}

// settle makes the table stand and able to take the rows, or says why it is not.
func (s *Sink) settle(ctx context.Context, id tableID, row *rowType, route *lanev1.Route) error {
	traveller := s.weatherOf(id.resource()).traveller(wayTable)
	defer func() { traveller.leave(time.Now()) }()
	for attempt := 0; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, callTimeout)
		err := s.look(once, id, row, route)
		cancel()
		switch {
		case err == nil:
			traveller.success(time.Now())
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !transient(err):
			err = fmt.Errorf("table %s: %w%s", id, err, remedy(err))
			traveller.rejected(time.Now())
			traveller.weather.refuse(wayTable, err.Error(), time.Now())
			return err
		}
		if !conflict(err) {
			f := restFault(err)
			s.metrics.faults.WithLabelValues(f.code).Inc()
			traveller.fault(f, time.Now())
		}
		if err := traveller.sleep(ctx, backoff(attempt, rand.Float64())); err != nil {
			return err
		}
	}
}

// look compares the table with the rows and changes what it may, or creates it. After a change it looks again.
func (s *Sink) look(ctx context.Context, id tableID, row *rowType, route *lanev1.Route) error {
	for {
		table, found, err := s.compare(ctx, id, row, fills(route))
		switch {
		case err != nil:
			return err
		case table == nil:
			return s.createTable(ctx, id, row, route.GetLayout())
		}
		if is := obstacle(table); is != "" {
			return fmt.Errorf("%w: %s; the lane goes on by itself", errUnfit, is)
		}
		if err := unfit(found, route.GetEvolution()); err != nil {
			return err
		}
		additive := route.GetEvolution() == lanev1.Evolution_EVOLUTION_ADDITIVE
		if !additive || !slices.ContainsFunc(found, func(d difference) bool { return d.evolves() }) {
			return nil
		}
		if err := s.evolve(ctx, id, found); err != nil {
			return err
		}
	}
}

// Diff implements lane.Comparer.
func (s *Sink) Diff(ctx context.Context, route *lanev1.Route) (*lanev1.TableDiff, error) {
	id, err := s.config.locate(route.GetTable())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", lane.ErrRoute, err)
	}
	row, err := s.rowType(route)
	if err != nil {
		return nil, fmt.Errorf("%w: table %s: %w", lane.ErrRoute, id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	table, found, err := s.compare(ctx, id, row, fills(route))
	if err != nil {
		return nil, fmt.Errorf("table %s: %w%s", id, err, remedy(err))
	}
	diff := &lanev1.TableDiff{Table: id.String(), Exists: table != nil}
	if table != nil {
		diff.Layout, diff.Obstacle = layoutOf(table), obstacle(table)
		diff.Remarks = remarks(table, route)
	}
	if diff.Exists && diff.Obstacle == "" {
		diff.Remarks = append(diff.Remarks, s.policies(ctx, id)...)
	}
	for i := range found {
		if diff.Obstacle != "" {
			break // its columns are not the reason
		}
		diff.Differences = append(diff.Differences, found[i].proto())
	}
	return diff, nil
}
