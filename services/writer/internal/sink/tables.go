package sink

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

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
	// stand makes the table if it is missing.
	stand func(context.Context) error
}

// Name implements lane.Table.
func (t *table) Name() string { return t.name }

// Open implements lane.Table.
func (t *table) Open(stream string, rows int64, results func(lane.Result)) lane.Appender {
	return t.sink.open(preamble{stream: stream, schema: t.schema, trace: t.sink.trace}, rows, results)
}

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

// tableKey tells tables apart by their row messages as well: two contracts may write to one table.
func tableKey(id tableID, route *lanev1.Route) (string, error) {
	row := "message " + route.GetMessage()
	if d := route.GetDescriptor_(); d != nil {
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
		if err != nil {
			return "", fmt.Errorf("row descriptor of %s: %w", id, err)
		}
		row = fmt.Sprintf("descriptor %x", sha256.Sum256(encoded))
	}
	return id.String() + " " + row, nil
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
	stand := func(ctx context.Context) error { return s.settle(ctx, id, row, route.GetLayout()) }
	if err := stand(ctx); err != nil {
		return nil, err
	}
	t := &table{sink: s, name: id.resource(), key: key, schema: schema, stand: stand}
	s.mu.Lock()
	s.tables[key] = t
	s.mu.Unlock()
	return t, nil
}

// rowType reads the row message of a route.
func (s *Sink) rowType(route *lanev1.Route) (*rowType, error) {
	d := route.GetDescriptor_()
	if d == nil {
		var err error
		if d, err = s.builtin(route.GetMessage()); err != nil {
			return nil, err
		}
	}
	return newRowType(d)
}

// settle makes the table stand and able to take the rows, or says why it is not.
func (s *Sink) settle(ctx context.Context, id tableID, row *rowType, layout *lanev1.Layout) error {
	for attempt := 0; ; attempt++ {
		// The client tries again on its own for as long as its context lets it, and says nothing meanwhile.
		once, cancel := context.WithTimeout(ctx, s.callTimeout)
		err := s.look(once, id, row, layout)
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
		if httpStatus(err) != http.StatusConflict {
			s.metrics.faults.WithLabelValues(fmt.Sprintf("HTTP_%d", httpStatus(err))).Inc()
			s.log.Warn("BigQuery is not available, trying again", "table", id.String(), "error", err)
		}
		if err := sleep(ctx, backoff(attempt, rand.Float64())); err != nil {
			return err
		}
	}
}

// look compares the table with the rows, or creates it.
func (s *Sink) look(ctx context.Context, id tableID, row *rowType, layout *lanev1.Layout) error {
	handle := s.rest.DatasetInProject(id.project, id.dataset).Table(id.table)
	metadata, err := handle.Metadata(ctx, bigquery.WithMetadataView(bigquery.BasicMetadataView))
	switch {
	case httpStatus(err) == http.StatusNotFound:
		return s.createTable(ctx, handle, id, row, layout)
	case err != nil:
		return err
	}
	if found := mismatches(row.columns, metadata.Schema, ""); len(found) > 0 {
		return fmt.Errorf("%w: %s; add or change the columns (bq update), and the lane goes on by itself", errUnfit, strings.Join(found, "; "))
	}
	return nil
}

// createTable makes the table, and its dataset where that is allowed.
func (s *Sink) createTable(ctx context.Context, handle *bigquery.Table, id tableID, row *rowType, layout *lanev1.Layout) error {
	metadata := &bigquery.TableMetadata{Schema: row.columns}
	if field := layout.GetPartitionField(); field != "" {
		metadata.TimePartitioning = &bigquery.TimePartitioning{Field: field, Type: partitionTypes[layout.GetPartitionUnit()]}
	}
	if fields := layout.GetClusterFields(); len(fields) > 0 {
		metadata.Clustering = &bigquery.Clustering{Fields: slices.Clone(fields)}
	}
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
	s.log.Info("table created", "table", id.String(), "columns", len(row.columns), "partitioned_on", layout.GetPartitionField(),
		"clustered_by", layout.GetClusterFields())
	return nil
}

var (
	// errNoDataset marks a dataset that only an operator can make.
	errNoDataset = errors.New("no such dataset")
	// errUnfit marks a table that only an operator can change.
	errUnfit = errors.New("the table cannot take the rows")
)

var partitionTypes = map[lanev1.PartitionUnit]bigquery.TimePartitioningType{
	lanev1.PartitionUnit_PARTITION_UNIT_UNSPECIFIED: bigquery.DayPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_HOUR:        bigquery.HourPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_DAY:         bigquery.DayPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_MONTH:       bigquery.MonthPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_YEAR:        bigquery.YearPartitioningType,
}

// httpStatus is the HTTP status of a REST call: 0 when it got no answer or did not fail.
func httpStatus(err error) int {
	if e := (*googleapi.Error)(nil); errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// transient says whether a REST call that failed may work later. No answer at all is one of those.
func transient(err error) bool {
	if errors.Is(err, errNoDataset) {
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
	// A conflict is a creation that another writer won: the next look finds its table.
	return e.Code == http.StatusConflict || e.Code == http.StatusTooManyRequests || e.Code == http.StatusRequestTimeout || e.Code >= 500
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
