package query

import (
	"fmt"
	"slices"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// informationViews are the views of INFORMATION_SCHEMA that a dataset has here, by name
// (https://cloud.google.com/bigquery/docs/information-schema-intro).
var informationViews = map[string]struct {
	columns []*row.Column
	rows    func(*store.Table) []row.Record
}{
	"TABLES": {
		texts("table_catalog", "table_schema", "table_name", "table_type", "is_insertable_into", "is_typed",
			"creation_time:TIMESTAMP"),
		tableRows,
	},
	"COLUMNS": {
		texts("table_catalog", "table_schema", "table_name", "column_name", "ordinal_position:INTEGER", "is_nullable",
			"data_type", "is_generated", "is_hidden", "is_system_defined", "is_partitioning_column",
			"clustering_ordinal_position:INTEGER", "collation_name", "column_default"),
		columnRows,
	},
	"COLUMN_FIELD_PATHS": {
		texts("table_catalog", "table_schema", "table_name", "column_name", "field_path", "data_type", "description",
			"collation_name"),
		fieldRows,
	},
}

// texts are columns by their names: STRING unless a type is behind a colon.
func texts(names ...string) (out []*row.Column) {
	for _, name := range names {
		c := &row.Column{Name: name, Type: row.String}
		if before, kind, ok := strings.Cut(name, ":"); ok {
			c.Name, c.Type = before, row.Type(kind)
		}
		out = append(out, c)
	}
	return out
}

// information translates a source in INFORMATION_SCHEMA: SQLite reads its rows from JSON.
func (t *translator) information(s *source, b *bound) (string, *bound, error) {
	at := slices.IndexFunc(s.path, func(p string) bool { return strings.EqualFold(p, "INFORMATION_SCHEMA") })
	name := strings.ToUpper(strings.Join(s.path[at+1:], "."))
	view, known := informationViews[name]
	if !known {
		return "", nil, refuse(s.at,
			"The sandbox has the views TABLES, COLUMNS and COLUMN_FIELD_PATHS of INFORMATION_SCHEMA, not %s", name)
	}
	project, dataset := t.project, t.dataset
	if at > 0 {
		dataset = s.path[at-1]
	}
	if at > 1 {
		project = strings.Join(s.path[:at-1], ".")
	}
	if dataset == "" || strings.HasPrefix(strings.ToLower(dataset), "region-") {
		return "", nil, refuse(s.at, "The sandbox has INFORMATION_SCHEMA a dataset, not a region or a project: "+
			"write DATASET.INFORMATION_SCHEMA.%s", name)
	}
	if project == "" {
		project = t.store.ProjectOf(dataset)
	}
	tables, err := t.store.Tables(project, dataset)
	if err != nil {
		return "", nil, err
	}
	list := row.List{}
	for _, table := range tables {
		for _, record := range view.rows(table) {
			list = append(list, record)
		}
	}
	b.columns = view.columns
	all := row.AppendValue(nil, &row.Column{Type: row.Struct, Repeated: true, Fields: view.columns}, list, row.Query)
	var columns []string
	for _, c := range view.columns {
		columns = append(columns, fmt.Sprintf("json_extract(value, '$.%s') AS %s", c.Name, quote(c.Name)))
	}
	return fmt.Sprintf("(SELECT %s FROM json_each(%s)) AS %s", strings.Join(columns, ", "), literal(string(all)),
		b.sql), b, nil
}

func tableRows(t *store.Table) []row.Record {
	def := t.Definition()
	kind, insertable := "BASE TABLE", "YES"
	switch {
	case def.View != nil:
		kind, insertable = "VIEW", "NO"
	case def.MaterializedView != nil:
		kind, insertable = "MATERIALIZED VIEW", "NO"
	case def.ExternalDataConfiguration != nil:
		kind, insertable = "EXTERNAL", "NO"
	}
	ref := def.TableReference
	return []row.Record{{ref.ProjectId, ref.DatasetId, ref.TableId, kind, insertable, "NO", def.CreationTime * 1000}}
}

func columnRows(t *store.Table) (out []row.Record) {
	def := t.Definition()
	ref := def.TableReference
	for i, c := range t.Columns() {
		nullable, expression, partitioning := "YES", "NULL", "NO"
		if c.Required || c.Repeated {
			nullable = "NO"
		}
		if c.Default != "" {
			expression = c.Default
		}
		if partitionedBy(def, c.Name) {
			partitioning = "YES"
		}
		var clustering any
		if def.Clustering != nil {
			if n := slices.IndexFunc(def.Clustering.Fields,
				func(f string) bool { return strings.EqualFold(f, c.Name) }); n >= 0 {
				clustering = int64(n + 1)
			}
		}
		out = append(out, row.Record{
			ref.ProjectId, ref.DatasetId, ref.TableId, c.Name, int64(i + 1), nullable, c.SQL(),
			"NEVER", "NO", "NO", partitioning, clustering, "NULL", expression,
		})
	}
	return out
}

func partitionedBy(def *bq.Table, column string) bool {
	return def.TimePartitioning != nil && strings.EqualFold(def.TimePartitioning.Field, column) ||
		def.RangePartitioning != nil && strings.EqualFold(def.RangePartitioning.Field, column)
}

func fieldRows(t *store.Table) (out []row.Record) {
	def := t.Definition()
	ref := def.TableReference
	var walk func(column, under string, fields []*row.Column, described []*bq.TableFieldSchema)
	walk = func(column, under string, fields []*row.Column, described []*bq.TableFieldSchema) {
		for i, c := range fields {
			first := column
			if first == "" {
				first = c.Name
			}
			var description any
			if text := described[i].Description; text != "" {
				description = text
			}
			out = append(out, row.Record{
				ref.ProjectId, ref.DatasetId, ref.TableId, first, under + c.Name, c.SQL(), description, "NULL",
			})
			walk(first, under+c.Name+".", c.Fields, described[i].Fields)
		}
	}
	if def.Schema != nil {
		walk("", "", t.Columns(), def.Schema.Fields)
	}
	return out
}
