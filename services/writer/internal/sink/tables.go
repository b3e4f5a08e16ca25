package sink

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/api/googleapi"
	"google.golang.org/protobuf/proto"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// table is one BigQuery table as the rows of one row message see it.
type table struct {
	sink *Sink
	// name is projects/P/datasets/D/tables/T.
	name string
	// key is the cache's: table and row message.
	key string
	// schema is the encoded writer schema, a ProtoSchema.
	schema []byte
	// additive says that the table follows the rows, looked when it was last seen to.
	additive bool
	looked   time.Time
	// stand makes the table if it is missing.
	stand func(context.Context) error
}

// Name implements lane.Table.
func (t *table) Name() string { return t.name }

// Open implements lane.Table.
func (t *table) Open(stream string, rows int64, results func(lane.Result)) lane.Appender {
	return t.sink.open(t, preamble{stream: stream, schema: t.schema, trace: t.sink.trace}, rows, results)
}

// Default implements lane.Table.
func (t *table) Default(results func(lane.Result)) lane.Appender {
	return t.sink.open(t, preamble{stream: t.name + defaultStream, schema: t.schema, trace: t.sink.trace, repeats: true}, 0, results)
}

// defaultStream follows the name of a table in that of its default stream.
const defaultStream = "/streams/_default"

// Table implements lane.Sink. Lanes that ask for the same table at once share one look and one creation.
func (s *Sink) Table(ctx context.Context, route *lanev1.Route) (lane.Table, error) {
	id, err := s.config.locate(route.GetTable())
	if err != nil {
		return nil, err
	}
	key, err := tableKey(id, route)
	if err != nil {
		return nil, err
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
	delete(s.tables, t.key)
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
	if id.project == "" || id.dataset == "" || id.table == "" || strings.Contains(name, "/") {
		return tableID{}, fmt.Errorf("%q is not a table: write table, dataset.table or project.dataset.table", name)
	}
	return id, nil
}

// tableKey tells tables apart by their row messages as well, and by what may be changed for them: two contracts may write to one table.
func tableKey(id tableID, route *lanev1.Route) (string, error) {
	row := "message " + route.GetMessage()
	if d := route.GetDescriptor_(); d != nil {
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
		if err != nil {
			return "", fmt.Errorf("row descriptor of %s: %w", id, err)
		}
		row = fmt.Sprintf("descriptor %x", sha256.Sum256(encoded))
	}
	return id.String() + " " + row + " " + route.GetEvolution().String(), nil
}

// prepare finds or makes the table.
func (s *Sink) prepare(ctx context.Context, id tableID, key string, route *lanev1.Route) (*table, error) {
	row, err := s.rowType(route)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", id, err)
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
		sink: s, name: id.resource(), key: key, schema: schema, stand: stand,
		additive: route.GetEvolution() == lanev1.Evolution_EVOLUTION_ADDITIVE, looked: time.Now(),
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
	for attempt := 0; ; attempt++ {
		// The client tries again on its own for as long as its context lets it, and says nothing meanwhile.
		once, cancel := context.WithTimeout(ctx, s.callTimeout)
		err := s.look(once, id, row, route)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errUnfit):
			return fmt.Errorf("table %s: %w", id, err)
		case !transient(err):
			return fmt.Errorf("table %s: %w%s", id, err, remedy(err))
		}
		if !conflict(err) {
			s.metrics.faults.WithLabelValues(fmt.Sprintf("HTTP_%d", httpStatus(err))).Inc()
			s.log.Warn("BigQuery is not available, trying again", "table", id.String(), "error", err)
		}
		if err := sleep(ctx, backoff(attempt, rand.Float64())); err != nil {
			return err
		}
	}
}

// look compares the table with the rows and changes what it may, or creates it. After a change it looks again.
func (s *Sink) look(ctx context.Context, id tableID, row *rowType, route *lanev1.Route) error {
	for {
		metadata, found, err := s.compare(ctx, id, row)
		switch {
		case err != nil:
			return err
		case metadata == nil:
			return s.createTable(ctx, id, row, route.GetLayout())
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
	ctx, cancel := context.WithTimeout(ctx, s.callTimeout)
	defer cancel()
	metadata, found, err := s.compare(ctx, id, row)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w%s", id, err, remedy(err))
	}
	diff := &lanev1.TableDiff{Table: id.String(), Exists: metadata != nil}
	if metadata != nil {
		diff.Layout = layoutOf(metadata)
	}
	for i := range found {
		diff.Differences = append(diff.Differences, found[i].proto())
	}
	return diff, nil
}

// compare reads a table and says what is different between it and the rows. metadata is nil when there is no table.
func (s *Sink) compare(ctx context.Context, id tableID, row *rowType) (metadata *bigquery.TableMetadata, found []difference, err error) {
	handle := s.rest.DatasetInProject(id.project, id.dataset).Table(id.table)
	metadata, err = handle.Metadata(ctx, bigquery.WithMetadataView(bigquery.BasicMetadataView))
	switch {
	case httpStatus(err) == http.StatusNotFound:
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	return metadata, differences(row.columns, metadata.Schema, ""), nil
}

// createTable makes the table, and its dataset where that is allowed.
func (s *Sink) createTable(ctx context.Context, id tableID, row *rowType, layout *lanev1.Layout) error {
	handle := s.rest.DatasetInProject(id.project, id.dataset).Table(id.table)
	metadata := &bigquery.TableMetadata{Schema: row.columns}
	lay(metadata, layout)
	err := handle.Create(ctx, metadata)
	if httpStatus(err) == http.StatusNotFound {
		if !s.config.CreateDataset {
			return fmt.Errorf("dataset %s.%s does not exist; create it (bq mk --dataset %s:%s) or set create_dataset: true: %w",
				id.project, id.dataset, id.project, id.dataset, errNoDataset)
		}
		dataset := s.rest.DatasetInProject(id.project, id.dataset)
		if err := dataset.Create(ctx, &bigquery.DatasetMetadata{Location: s.config.Location}); err != nil && httpStatus(err) != http.StatusConflict {
			return err
		}
		s.log.Info("dataset created", "dataset", id.project+"."+id.dataset, "location", s.config.Location)
		err = handle.Create(ctx, metadata)
	}
	if err != nil {
		return err
	}
	s.metrics.tables.Inc()
	s.log.Info("table created", "table", id.String(), "columns", len(row.columns), "layout", layoutOf(metadata))
	return nil
}

var (
	// errNoDataset marks a dataset that only an operator can make.
	errNoDataset = errors.New("no such dataset")
	// errMoved marks a table that somebody else changed while we were about to.
	errMoved = errors.New("the table has changed meanwhile")
	// errUnfit marks a table that only an operator can change.
	errUnfit = errors.New("the table cannot take the rows")
)

// httpStatus is the HTTP status of a REST call: 0 when it got no answer or did not fail.
func httpStatus(err error) int {
	if e := (*googleapi.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// transient says whether a REST call that failed may work later. No answer at all is one of those.
func transient(err error) bool {
	if errors.Is(err, errNoDataset) || unencodable(err) {
		return false
	}
	e := (*googleapi.Error)(nil)
	if !errors.As(err, &e) {
		return true
	}
	if e.Code == http.StatusForbidden {
		return slices.ContainsFunc(e.Errors, func(item googleapi.ErrorItem) bool {
			return item.Reason == "rateLimitExceeded" || item.Reason == "quotaExceeded"
		})
	}
	// A conflict is a creation or a change that another writer won: the next look finds what it did.
	return conflict(err) || e.Code == http.StatusTooManyRequests || e.Code == http.StatusRequestTimeout || e.Code >= 500
}

// unencodable says whether a request could not be put into JSON: nothing was asked of BigQuery, and no time heals it.
func unencodable(err error) bool {
	var value *json.UnsupportedValueError
	var kind *json.UnsupportedTypeError
	var marshaler *json.MarshalerError
	return errors.As(err, &value) || errors.As(err, &kind) || errors.As(err, &marshaler)
}

// remedy is what to do about a REST error that stays.
func remedy(err error) string {
	switch httpStatus(err) {
	case http.StatusUnauthorized:
		return "; check the credentials of the writer"
	case http.StatusForbidden:
		return "; give the writer's account roles/bigquery.dataEditor on the dataset"
	default:
		return ""
	}
}
