package rest

import (
	"context"
	"crypto/rand"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/defaults"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

func etag() string { return rand.Text() }

func (a *api) table(r *http.Request) (*store.Table, error) {
	id := r.PathValue("table")
	if _, decorator, decorated := strings.Cut(id, "$"); decorated {
		return nil, badRequest("The sandbox does not support partition decorators: $" + decorator)
	}
	return a.Store.Table(r.PathValue("project"), r.PathValue("dataset"), id)
}

func (a *api) insertTable(r *http.Request) (any, error) {
	var def bq.Table
	if err := decode(r, &def); err != nil {
		return nil, err
	}
	if def.TableReference == nil || def.TableReference.TableId == "" {
		return nil, badRequest("Required parameter is missing: tableReference.tableId")
	}
	def.TableReference.ProjectId, def.TableReference.DatasetId = r.PathValue("project"), r.PathValue("dataset")
	var err error
	switch {
	case def.ExternalDataConfiguration != nil:
		err = a.prepareExternal(&def)
	case store.ViewQuery(&def) != "":
		err = a.prepareView(&def)
	default:
		err = a.prepareTable(r.Context(), &def)
	}
	if err == nil {
		_, err = a.Store.CreateTable(&def)
	}
	return &def, err
}

// prepareTable checks the definition of a table, and completes it.
func (a *api) prepareTable(ctx context.Context, def *bq.Table) error {
	stamp(def, "TABLE")
	return a.layout(ctx, def)
}

// stamp fills in what the service says of a new table or view.
func stamp(def *bq.Table, kind string) {
	now, ref := time.Now().UnixMilli(), def.TableReference
	def.Kind, def.Id, def.Type = "bigquery#table", ref.ProjectId+":"+ref.DatasetId+"."+ref.TableId, kind
	def.CreationTime, def.LastModifiedTime, def.Etag, def.Location = now, uint64(now), etag(), location
}

// layout checks partitioning, clustering and default values against the schema.
func (a *api) layout(ctx context.Context, def *bq.Table) error {
	columns, err := row.Columns(def.Schema)
	if err == nil {
		err = defaults.Check(ctx, a.Engine, columns)
	}
	if err != nil {
		return badRequest(err.Error())
	}
	if err := rangeLayout(def, columns); err != nil {
		return err
	}
	if p := def.TimePartitioning; p != nil {
		switch p.Type {
		case "HOUR", "DAY", "MONTH", "YEAR":
		default:
			return badRequest("Invalid time partitioning type: " + p.Type)
		}
		if p.Field != "" {
			_, c := row.Field(columns, p.Field)
			if c == nil {
				return badRequest("The field specified for partitioning cannot be found in the schema: " + p.Field)
			}
			if c.Repeated || c.Type != row.Timestamp && c.Type != row.Date && c.Type != row.DateTime {
				return badRequest("The field specified for time partitioning can only be of type TIMESTAMP, DATE or " +
					"DATETIME: " +
					p.Field)
			}
		}
	}
	if def.Clustering == nil {
		return nil
	}
	if n := len(def.Clustering.Fields); n == 0 || n > 4 {
		return badRequest("Clustering takes one to four fields")
	}
	for _, name := range def.Clustering.Fields {
		_, c := row.Field(columns, name)
		if c == nil || c.Repeated || c.Type == row.Struct || c.Type == row.Float || c.Type == row.JSON ||
			c.Type == row.Range || c.Type == row.Interval {
			return badRequest("The field specified for clustering cannot be used, or is not in the schema: " + name)
		}
	}
	return nil
}

// rangeLayout checks partitioning by ranges of a whole number.
func rangeLayout(def *bq.Table, columns []*row.Column) error {
	p := def.RangePartitioning
	if p == nil {
		return nil
	}
	_, c := row.Field(columns, p.Field)
	switch {
	case def.TimePartitioning != nil:
		return badRequest("A table is partitioned by time or by ranges, not by both")
	case c == nil:
		return badRequest("The field specified for partitioning cannot be found in the schema: " + p.Field)
	case c.Repeated || c.Type != row.Integer:
		return badRequest("The field specified for range partitioning can only be of type INTEGER: " + p.Field)
	case p.Range == nil || p.Range.Interval <= 0 || p.Range.End <= p.Range.Start:
		return badRequest("Range partitioning takes a start, a later end, and an interval above 0")
	}
	return nil
}

func (a *api) getTable(r *http.Request) (any, error) {
	if table, summary := strings.CutSuffix(r.PathValue("table"), partitionsSummary); summary {
		return a.getPartitionsSummary(r, table)
	}
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	return described(t), nil
}

// described is a table's definition with what changes as rows come in.
func described(t *store.Table) *bq.Table {
	def := *t.Definition()
	rows, bytes := t.RowCount()
	def.NumRows, def.NumBytes = uint64(rows), bytes
	def.ForceSendFields = []string{"NumRows", "NumBytes"}
	return &def
}

func (a *api) listTables(r *http.Request) (any, error) {
	tables, err := a.Store.Tables(r.PathValue("project"), r.PathValue("dataset"))
	if err != nil {
		return nil, err
	}
	some, next, err := part(r, "maxResults", tables)
	if err != nil {
		return nil, err
	}
	out := &bq.TableList{
		Kind: "bigquery#tableList", NextPageToken: next, TotalItems: int64(len(tables)),
		ForceSendFields: []string{"TotalItems"},
	}
	for _, t := range some {
		d := t.Definition()
		out.Tables = append(out.Tables, &bq.TableListTables{
			Kind: d.Kind, Id: d.Id, TableReference: d.TableReference, Type: d.Type,
			FriendlyName: d.FriendlyName, Labels: d.Labels, CreationTime: d.CreationTime, Clustering: d.Clustering,
			TimePartitioning: d.TimePartitioning, RangePartitioning: d.RangePartitioning,
		})
	}
	return out, nil
}

func (a *api) deleteTable(r *http.Request) (any, error) {
	return nil, a.Store.DeleteTable(r.PathValue("project"), r.PathValue("dataset"), r.PathValue("table"))
}

func (a *api) patchTable(r *http.Request) (any, error) { return a.changeTable(r, true) }

func (a *api) updateTable(r *http.Request) (any, error) { return a.changeTable(r, false) }

// fixedOfTable are what a client cannot change of a table.
var fixedOfTable = []string{
	"kind", "id", "etag", "selfLink", "tableReference", "type", "creationTime", "lastModifiedTime", "location",
	"numRows", "numBytes",
}

// changeTable patches a definition, or replaces what a client may set of it.
func (a *api) changeTable(r *http.Request, patch bool) (any, error) {
	t, err := a.table(r)
	if err != nil {
		return nil, err
	}
	var change map[string]any
	if err := decode(r, &change); err != nil {
		return nil, err
	}
	fixed := fixedOfTable
	if _, given := change["schema"]; !given {
		fixed = append(slices.Clip(fixed), "schema")
	}
	_, err = t.Update(a.Faults.SchemaDelay(t.ID()), func(old *bq.Table) (*bq.Table, error) {
		if err := matches(r, old.Etag); err != nil {
			return nil, err
		}
		def, err := changed(old, change, fixed, patch)
		if err != nil {
			return nil, err
		}
		if !sameLayout(old, def) {
			return nil, badRequest("Cannot change partitioning/clustering spec for a partitioned/clustered table.")
		}
		def.Etag, def.LastModifiedTime = etag(), uint64(time.Now().UnixMilli())
		return def, a.layout(r.Context(), def)
	})
	if err != nil {
		return nil, err
	}
	return described(t), nil
}

// sameLayout says whether a table is partitioned as it was. Clustering may change.
func sameLayout(old, def *bq.Table) bool {
	a, b := old.TimePartitioning, def.TimePartitioning
	c, d := old.RangePartitioning, def.RangePartitioning
	return (a == nil) == (b == nil) && (a == nil || a.Type == b.Type && a.Field == b.Field) &&
		(c == nil) == (d == nil) && (c == nil || c.Field == d.Field && reflect.DeepEqual(c.Range, d.Range))
}

// tablePermissions serves testIamPermissions: the sandbox lets everybody do everything.
func (a *api) tablePermissions(r *http.Request) (any, error) {
	table, method, _ := strings.Cut(r.PathValue("table"), ":")
	if method != "testIamPermissions" {
		return nil, &httpError{http.StatusNotImplemented, "notImplemented", "The sandbox has no access control: " +
			method}
	}
	if _, err := a.Store.Table(r.PathValue("project"), r.PathValue("dataset"), table); err != nil {
		return nil, err
	}
	var request bq.TestIamPermissionsRequest
	if err := decode(r, &request); err != nil {
		return nil, err
	}
	return &bq.TestIamPermissionsResponse{Permissions: request.Permissions}, nil
}
