package sink

import (
	"slices"
	"strings"

	"cloud.google.com/go/bigquery"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

var partitionTypes = map[lanev1.PartitionUnit]bigquery.TimePartitioningType{
	lanev1.PartitionUnit_PARTITION_UNIT_UNSPECIFIED: bigquery.DayPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_HOUR:        bigquery.HourPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_DAY:         bigquery.DayPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_MONTH:       bigquery.MonthPartitioningType,
	lanev1.PartitionUnit_PARTITION_UNIT_YEAR:        bigquery.YearPartitioningType,
}

// lay puts a layout on a table that is to be made: on a column, by the time of ingestion (a unit and no column), or no partitions.
func lay(metadata *bigquery.TableMetadata, layout *lanev1.Layout) {
	field, unit := layout.GetPartitionField(), layout.GetPartitionUnit()
	if field != "" || unit != lanev1.PartitionUnit_PARTITION_UNIT_UNSPECIFIED {
		metadata.TimePartitioning = &bigquery.TimePartitioning{Field: field, Type: partitionTypes[unit]}
	}
	if fields := layout.GetClusterFields(); len(fields) > 0 {
		metadata.Clustering = &bigquery.Clustering{Fields: slices.Clone(fields)}
	}
}

// layoutOf says how an existing table is laid out, for people.
func layoutOf(metadata *bigquery.TableMetadata) string {
	text := "not partitioned"
	switch p, r := metadata.TimePartitioning, metadata.RangePartitioning; {
	case p != nil && p.Field == "":
		text = string(p.Type) + "(_PARTITIONTIME)"
	case p != nil:
		text = string(p.Type) + "(" + p.Field + ")"
	case r != nil:
		text = "RANGE(" + r.Field + ")"
	}
	if c := metadata.Clustering; c != nil && len(c.Fields) > 0 {
		text += ", clustered by " + strings.Join(c.Fields, ", ")
	}
	return text
}
