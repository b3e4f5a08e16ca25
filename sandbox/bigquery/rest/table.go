package rest

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

func etag() string { return rand.Text() }

func (a *api) table(r *http.Request) (*store.Table, error) {
	return a.Store.Table(r.PathValue("project"), r.PathValue("dataset"), r.PathValue("table"))
}

func (a *api) insertTable(r *http.Request) (any, error) {
	var def bq.Table
	if err := decode(r, &def); err != nil {
		return nil, err
	}
	if def.TableReference == nil || def.TableReference.TableId == "" {
		return nil, badRequest("Required parameter is missing: tableReference.tableId")
	}
	if def.MaterializedView != nil || def.ExternalDataConfiguration != nil {
		return nil, badRequest("The sandbox keeps tables and views, no materialized views and no external tables")
	}
	if def.View != nil {
		return a.insertView(r, &def)
	}
	ref := def.TableReference
	ref.ProjectId, ref.DatasetId = r.PathValue("project"), r.PathValue("dataset")
	if err := layout(&def); err != nil {
		return nil, err
	}
	now := time.Now()
	def.Kind, def.Id, def.Type = "bigquery#table", ref.ProjectId+":"+ref.DatasetId+"."+ref.TableId, "TABLE"
	def.CreationTime, def.LastModifiedTime, def.Etag, def.Location = now.UnixMilli(), uint64(now.UnixMilli()), etag(), a.Location
	if _, err := a.Store.CreateTable(&def); err != nil {
		return nil, err
	}
	return &def, nil
}

// layout checks partitioning and clustering against the schema.
func layout(def *bq.Table) error {
	columns, err := row.Columns(def.Schema)
	if err != nil {
		return badRequest(err.Error())
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
				return badRequest("The field specified for time partitioning can only be of type TIMESTAMP, DATE or DATETIME: " + p.Field)
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
		if c == nil || c.Repeated || c.Type == row.Struct || c.Type == row.Float || c.Type == row.JSON || c.Type == row.Range || c.Type == row.Interval {
			return badRequest("The field specified for clustering cannot be used, or is not in the schema: " + name)
		}
	}
	return nil
}

func (a *api) getTable(r *http.Request) (any, error) {
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
	out := &bq.TableList{Kind: "bigquery#tableList", TotalItems: int64(len(tables)), ForceSendFields: []string{"TotalItems"}}
	for _, t := range tables {
		d := t.Definition()
		out.Tables = append(out.Tables, &bq.TableListTables{
			Kind: d.Kind, Id: d.Id, TableReference: d.TableReference, Type: d.Type,
			FriendlyName: d.FriendlyName, Labels: d.Labels, CreationTime: d.CreationTime, Clustering: d.Clustering, TimePartitioning: d.TimePartitioning,
		})
	}
	return out, nil
}

func (a *api) deleteTable(r *http.Request) (any, error) {
	return nil, a.Store.DeleteTable(r.PathValue("project"), r.PathValue("dataset"), r.PathValue("table"))
}

func (a *api) patchTable(r *http.Request) (any, error) { return a.changeTable(r, true) }

func (a *api) updateTable(r *http.Request) (any, error) { return a.changeTable(r, false) }

// fixed are what a client cannot change of a table.
var fixed = []string{"kind", "id", "etag", "selfLink", "tableReference", "type", "creationTime", "lastModifiedTime", "location", "numRows", "numBytes"}

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
	for _, key := range fixed {
		delete(change, key)
	}
	_, err = t.Update(a.Faults.SchemaDelay(t.ID()), func(old *bq.Table) (*bq.Table, error) {
		if match := r.Header.Get("If-Match"); match != "" && match != "*" && strings.Trim(match, `"`) != old.Etag {
			return nil, &httpError{http.StatusPreconditionFailed, "conditionNotMet", "Precondition check failed."}
		}
		def, err := changed(old, change, patch)
		if err != nil {
			return nil, err
		}
		if !sameLayout(old, def) {
			return nil, badRequest("Cannot change partitioning/clustering spec for a partitioned/clustered table.")
		}
		def.Etag, def.LastModifiedTime = etag(), uint64(time.Now().UnixMilli())
		return def, layout(def)
	})
	if err != nil {
		return nil, err
	}
	return described(t), nil
}

// sameLayout says whether a table is partitioned as it was. Clustering may change.
func sameLayout(old, def *bq.Table) bool {
	a, b := old.TimePartitioning, def.TimePartitioning
	return (a == nil) == (b == nil) && (a == nil || a.Type == b.Type && a.Field == b.Field)
}

func changed(old *bq.Table, change map[string]any, patch bool) (*bq.Table, error) {
	b, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	if !patch {
		kept := map[string]any{}
		for _, key := range fixed {
			if v, ok := fields[key]; ok {
				kept[key] = v
			}
		}
		if _, given := change["schema"]; !given {
			kept["schema"] = fields["schema"]
		}
		fields = kept
	}
	for key, v := range change {
		switch v := v.(type) {
		case nil:
			delete(fields, key)
		case map[string]any:
			if before, ok := fields[key].(map[string]any); ok && key == "labels" {
				v = labels(before, v)
			}
			fields[key] = v
		default:
			fields[key] = v
		}
	}
	if b, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	var def bq.Table
	if err := json.Unmarshal(b, &def); err != nil {
		return nil, badRequest("Invalid table: " + err.Error())
	}
	return &def, nil
}

// labels patches labels one by one; null removes one.
func labels(old, change map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, old)
	for k, v := range change {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// tablePermissions answers testIamPermissions: the sandbox lets everybody do everything.
func (a *api) tablePermissions(r *http.Request) (any, error) {
	table, method, _ := strings.Cut(r.PathValue("table"), ":")
	if method != "testIamPermissions" {
		return nil, &httpError{http.StatusNotImplemented, "notImplemented", "The sandbox has no access control: " + method}
	}
	if _, err := a.Store.Table(r.PathValue("project"), r.PathValue("dataset"), table); err != nil {
		return nil, err
	}
	var asked bq.TestIamPermissionsRequest
	if err := decode(r, &asked); err != nil {
		return nil, err
	}
	return &bq.TestIamPermissionsResponse{Permissions: asked.Permissions}, nil
}
