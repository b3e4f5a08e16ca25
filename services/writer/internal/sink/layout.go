package sink

import (
	"slices"
	"strings"

	bq "google.golang.org/api/bigquery/v2"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

var partitionTypes = map[lanev1.PartitionUnit]string{
	lanev1.PartitionUnit_PARTITION_UNIT_UNSPECIFIED: "DAY",
	lanev1.PartitionUnit_PARTITION_UNIT_HOUR:        "HOUR",
	lanev1.PartitionUnit_PARTITION_UNIT_DAY:         "DAY",
	lanev1.PartitionUnit_PARTITION_UNIT_MONTH:       "MONTH",
	lanev1.PartitionUnit_PARTITION_UNIT_YEAR:        "YEAR",
}

// lay puts a layout on a table that is to be made: on a column, by the time of ingestion (a unit and no column), or no
// partitions.
func lay(table *bq.Table, layout *lanev1.Layout) {
	field, unit := layout.GetPartitionField(), layout.GetPartitionUnit()
	if field != "" || unit != lanev1.PartitionUnit_PARTITION_UNIT_UNSPECIFIED {
		table.TimePartitioning = &bq.TimePartitioning{Field: field, Type: partitionTypes[unit]}
	}
	if fields := layout.GetClusterFields(); len(fields) > 0 {
		table.Clustering = &bq.Clustering{Fields: slices.Clone(fields)}
	}
}

// layoutOf says how an existing table is laid out, for people.
func layoutOf(table *bq.Table) string {
	text := "not partitioned"
	switch p, r := table.TimePartitioning, table.RangePartitioning; {
	case p != nil && p.Field == "":
		text = p.Type + "(_PARTITIONTIME)"
	case p != nil:
		text = p.Type + "(" + p.Field + ")"
	case r != nil:
		text = "RANGE(" + r.Field + ")"
	}
	if c := table.Clustering; c != nil && len(c.Fields) > 0 {
		text += ", clustered by " + strings.Join(c.Fields, ", ")
	}
	return text
}
