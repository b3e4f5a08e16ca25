package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"

	"cloud.google.com/go/bigquery"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Tables are read and made as REST has them. The client library's own types leave out what they do not know of, and its
// calls try again on their own with a back-off that nobody learns of and that no probe of the weather can cut short.

// compare reads a table and says what is different between it and the rows; fills says that default values take the
// place of missing ones. table is nil when there is none.
func (s *Sink) compare(ctx context.Context, id tableID, row *rowType, fills bool) (
	table *bq.Table, found []difference, err error,
) {
	if table, err = s.read(ctx, id); err != nil || table == nil {
		return nil, nil, err
	}
	return table, differences(row.columns, schemaFrom(table.Schema), "", fills), nil
}

// read reads a table; nil when there is none.
func (s *Sink) read(ctx context.Context, id tableID) (*bq.Table, error) {
	table, err := s.raw.Tables.Get(id.project, id.dataset, id.table).View("BASIC").Context(ctx).Do()
	if httpStatus(err) == http.StatusNotFound {
		return nil, nil
	}
	return table, err
}

// schemaFrom is a schema of REST as far as rows have to do with it.
func schemaFrom(schema *bq.TableSchema) bigquery.Schema {
	if schema == nil {
		return nil
	}
	return columnsFrom(schema.Fields)
}

func columnsFrom(fields []*bq.TableFieldSchema) bigquery.Schema {
	columns := make(bigquery.Schema, 0, len(fields))
	for _, f := range fields {
		column := &bigquery.FieldSchema{
			Name: f.Name, Type: bigquery.FieldType(f.Type), Repeated: f.Mode == "REPEATED",
			Required:  f.Mode == "REQUIRED",
			MaxLength: f.MaxLength, Precision: f.Precision, Scale: f.Scale, Schema: columnsFrom(f.Fields),
			DefaultValueExpression: f.DefaultValueExpression,
		}
		if f.RangeElementType != nil {
			column.RangeElementType = &bigquery.RangeElementType{Type: bigquery.FieldType(f.RangeElementType.Type)}
		}
		columns = append(columns, column)
	}
	return columns
}

// fieldsOf are columns as REST has them.
func fieldsOf(columns bigquery.Schema) ([]*bq.TableFieldSchema, error) {
	encoded, err := columns.ToJSONFields()
	if err != nil {
		return nil, fmt.Errorf("encode %d columns: %w", len(columns), err)
	}
	var fields []*bq.TableFieldSchema
	if err := json.Unmarshal(encoded, &fields); err != nil {
		// Not wrapped: it is no response of BigQuery's.
		return nil, fmt.Errorf("encode %d columns: %s", len(columns), err.Error())
	}
	return fields, nil
}

// createTable makes the table, and its dataset where that is allowed.
func (s *Sink) createTable(ctx context.Context, id tableID, row *rowType, layout *lanev1.Layout) error {
	fields, err := fieldsOf(row.columns)
	if err != nil {
		return err
	}
	table := &bq.Table{
		TableReference: &bq.TableReference{ProjectId: id.project, DatasetId: id.dataset, TableId: id.table},
		Schema:         &bq.TableSchema{Fields: fields},
	}
	lay(table, layout)
	create := func() error {
		_, err := s.raw.Tables.Insert(id.project, id.dataset, table).Context(ctx).Do()
		return err
	}
	err = create()
	if httpStatus(err) == http.StatusNotFound {
		if !s.config.CreateDataset {
			return fmt.Errorf("dataset %s.%s does not exist; create it (bq mk --dataset %s:%s) or set "+
				"create_dataset: true: %w",
				id.project, id.dataset, id.project, id.dataset, errNoDataset)
		}
		dataset := &bq.Dataset{
			DatasetReference: &bq.DatasetReference{ProjectId: id.project, DatasetId: id.dataset},
			Location:         s.config.Location,
		}
		if _, err := s.raw.Datasets.Insert(id.project, dataset).Context(ctx).Do(); err != nil &&
			httpStatus(err) != http.StatusConflict {
			return err
		}
		s.log.Info("dataset created", "dataset", id.project+"."+id.dataset, "location", s.config.Location)
		err = create()
	}
	if err != nil {
		return err
	}
	s.metrics.tables.Inc()
	s.log.Info("table created", "table", id.String(), "columns", len(row.columns), "layout", layoutOf(table))
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

// responseOf is BigQuery's response to a REST call that failed; nil when there is none. An error page of a proxy is
// none.
func responseOf(err error) *googleapi.Error {
	e := (*googleapi.Error)(nil)
	if !errors.As(err, &e) || e.Message == "" && len(e.Errors) == 0 {
		return nil
	}
	return e
}

// httpStatus is the HTTP status of a REST call: 0 when it got no response or did not fail.
func httpStatus(err error) int {
	if e := responseOf(err); e != nil {
		return e.Code
	}
	return 0
}

// limited reports whether a REST call was turned away for want of quota.
func limited(err error) bool {
	e := responseOf(err)
	return e != nil && (e.Code == http.StatusTooManyRequests ||
		e.Code == http.StatusForbidden && slices.ContainsFunc(e.Errors, func(item googleapi.ErrorItem) bool {
			return item.Reason == "rateLimitExceeded" || item.Reason == "quotaExceeded"
		}))
}

// transient reports whether a REST call that failed may work later. No response at all is one of those, and so is one
// that cannot be read; what fails before it is sent, such as encoding a request, fails again.
func transient(err error) bool {
	switch e := responseOf(err); {
	case errors.Is(err, errNoDataset):
		return false
	case e != nil:
		// A conflict is a creation or a change that another writer won: the next look finds what it did.
		return limited(err) || conflict(err) || e.Code == http.StatusRequestTimeout || e.Code >= 500
	case errors.As(err, new(*json.MarshalerError)):
		return false
	}
	return conflict(err) || errors.As(err, new(*googleapi.Error)) || errors.As(err, new(*url.Error)) ||
		errors.As(err, new(net.Error)) ||
		errors.As(err, new(*json.SyntaxError)) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded)
}

// restFault is a REST error that will be tried again.
func restFault(err error) *fault {
	f := &fault{
		kind: again, code: fmt.Sprintf("HTTP_%d", httpStatus(err)), text: oneLine(err), status: codes.Unavailable,
		expected: -1, received: -1,
	}
	if limited(err) {
		f.status = codes.ResourceExhausted
	}
	return f
}

// remedy is what to do about a REST error that stays.
func remedy(err error) string {
	switch httpStatus(err) {
	case http.StatusUnauthorized:
		return "; check the credentials of the writer"
	case http.StatusForbidden:
		return "; " + roleRemedy
	default:
		return ""
	}
}
