package rest

import (
	"net/http"

	bq "google.golang.org/api/bigquery/v2"

	"github.com/waybill-data/waybill/sandbox/bigquery/row"
	"github.com/waybill-data/waybill/sandbox/bigquery/store"
)

// partitionsSummary ends the name of the meta-table that lists a table's partitions: Python's list_partitions reads it.
const partitionsSummary = "$__PARTITIONS_SUMMARY__"

var partitionColumns = []*row.Column{
	{Name: "project_id", Type: row.String},
	{Name: "dataset_id", Type: row.String},
	{Name: "table_id", Type: row.String},
	{Name: "partition_id", Type: row.String},
	{Name: "creation_time", Type: row.Integer},
	{Name: "last_modified_time", Type: row.Integer},
}

func (a *api) getPartitionsSummary(r *http.Request, table string) (any, error) {
	t, err := a.Store.Table(r.PathValue("project"), r.PathValue("dataset"), table)
	if err != nil {
		return nil, err
	}
	def := t.Definition()
	ref := *def.TableReference
	ref.TableId += partitionsSummary
	return &bq.Table{
		Kind: def.Kind, Id: def.Id + partitionsSummary, Type: "TABLE", TableReference: &ref,
		Schema: row.Schema(partitionColumns), CreationTime: def.CreationTime, LastModifiedTime: def.LastModifiedTime,
		Location: def.Location,
	}, nil
}

func (a *api) listPartitions(r *http.Request, table string, p page) (any, error) {
	t, err := a.Store.Table(r.PathValue("project"), r.PathValue("dataset"), table)
	if err != nil {
		return nil, err
	}
	partitions, err := t.Partitions(r.Context())
	if err != nil {
		return nil, err
	}
	if partitions == nil {
		return nil, badRequest("Table " + t.ID() + " is not partitioned: it has no " + partitionsSummary)
	}
	ref := t.Definition().TableReference
	left := partitions[min(p.start, int64(len(partitions))):]
	return p.list(r, partitionColumns, int64(len(partitions)), func() (row.Record, error) {
		if len(left) == 0 {
			return nil, nil
		}
		var one *store.Partition
		one, left = left[0], left[1:]
		return row.Record{
			ref.ProjectId, ref.DatasetId, ref.TableId, one.ID, one.First.UnixMilli(),
			one.Last.UnixMilli(),
		}, nil
	})
}
