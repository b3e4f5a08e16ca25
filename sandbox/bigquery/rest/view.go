package rest

import (
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/query"
	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// createView runs CREATE VIEW.
func (a *api) createView(v *query.View, request query.Request) error {
	ref, err := referenceOf(v.Name, request)
	if err != nil {
		return err
	}
	def := &bq.Table{TableReference: ref, View: &bq.ViewDefinition{Query: v.Query}}
	if err := a.prepareView(def); err != nil {
		return err
	}
	if existing, err := a.Store.Table(ref.ProjectId, ref.DatasetId, ref.TableId); err == nil {
		switch {
		case v.IfMissing:
			return nil
		case v.Replace && existing.Definition().View == nil:
			return badRequest("CREATE OR REPLACE VIEW: " + v.Name + " is a table and no view")
		case v.Replace:
			if err := a.Store.DeleteTable(ref.ProjectId, ref.DatasetId, ref.TableId); err != nil {
				return err
			}
		}
	}
	_, err = a.Store.CreateTable(def)
	return err
}

// referenceOf is the table of a path in a statement, completed by what the request says.
func referenceOf(path string, request query.Request) (*bq.TableReference, error) {
	ref := &bq.TableReference{ProjectId: request.Project, DatasetId: request.Dataset}
	parts := strings.Split(path, ".")
	ref.TableId = parts[len(parts)-1]
	if len(parts) > 1 {
		ref.DatasetId = parts[len(parts)-2]
	}
	if len(parts) > 2 {
		ref.ProjectId = strings.Join(parts[:len(parts)-2], ".")
	}
	if ref.DatasetId == "" {
		return nil, badRequest("Table name \"" + path +
			"\" missing dataset while no default dataset is set in the request.")
	}
	return ref, nil
}

// prepareView checks the query of a view or a materialized view, which the sandbox computes whenever it is read, and
// fills in the columns that follow from it.
func (a *api) prepareView(def *bq.Table) error {
	kind := "VIEW"
	if def.View == nil {
		kind = "MATERIALIZED_VIEW"
	} else if def.View.UseLegacySql {
		return badRequest("The sandbox does not support legacy SQL")
	}
	ref := def.TableReference
	statement, err := a.Engine.Prepare(query.Request{
		SQL: store.ViewQuery(def), Project: ref.ProjectId, Dataset: ref.DatasetId,
	})
	if err != nil {
		return err
	}
	def.Schema = row.Schema(statement.Columns)
	stamp(def, kind)
	return nil
}

// prepareExternal checks the definition of an external table, and completes it. Nothing reads what it is about.
func (*api) prepareExternal(def *bq.Table) error {
	if def.Schema == nil {
		def.Schema = def.ExternalDataConfiguration.Schema
	}
	if def.Schema == nil {
		return badRequest("The sandbox reads no external data: give the external table a schema")
	}
	stamp(def, "EXTERNAL")
	return nil
}
