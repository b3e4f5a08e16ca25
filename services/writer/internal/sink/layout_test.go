package sink

import (
	"encoding/json"
	"strings"
	"testing"

	"cloud.google.com/go/bigquery"
	"github.com/google/go-cmp/cmp"
	bq "google.golang.org/api/bigquery/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

func TestLayouts(t *testing.T) {
	for want, layout := range map[string]*lanev1.Layout{
		"DAY(at)": {PartitionField: "at"},
		"MONTH(at)": {
			PartitionField: "at", PartitionUnit: lanev1.PartitionUnit_PARTITION_UNIT_MONTH,
		},
		"HOUR(_PARTITIONTIME)": {PartitionUnit: lanev1.PartitionUnit_PARTITION_UNIT_HOUR},
		"DAY(_PARTITIONTIME), clustered by a, b": {
			PartitionUnit: lanev1.PartitionUnit_PARTITION_UNIT_DAY, ClusterFields: []string{"a", "b"},
		},
		"YEAR(_PARTITIONTIME)":            {PartitionUnit: lanev1.PartitionUnit_PARTITION_UNIT_YEAR},
		"not partitioned":                 nil,
		"not partitioned, clustered by a": {ClusterFields: []string{"a"}},
	} {
		metadata := &bq.Table{}
		if lay(metadata, layout); layoutOf(metadata) != want {
			t.Errorf("%v: %s, want %s", layout, layoutOf(metadata), want)
		}
	}
	if got := layoutOf(&bq.Table{RangePartitioning: &bq.RangePartitioning{Field: "n"}}); got != "RANGE(n)" {
		t.Errorf("got %s", got)
	}
}

// A table partitioned by the time of ingestion has a unit and no column.
func TestTableByTimeOfIngestion(t *testing.T) {
	fake, s := world(t)
	route := proto.CloneOf(stockRoute)
	route.Layout = &lanev1.Layout{PartitionUnit: lanev1.PartitionUnit_PARTITION_UNIT_HOUR}
	if _, err := s.Table(deadline(t), route); err != nil {
		t.Fatal(err)
	}
	var made struct{ TimePartitioning map[string]string }
	if err := json.Unmarshal(fake.tables["d/physical_stock_events"], &made); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"type": "HOUR"}, made.TimePartitioning); diff != "" {
		t.Error(diff)
	}
}

// ranged is a row with a RANGE column whose bounds have the types given.
func ranged(start, end columnv1.ColumnType, names ...string) *descriptorpb.DescriptorProto {
	kinds := map[columnv1.ColumnType]descriptorpb.FieldDescriptorProto_Type{
		columnv1.ColumnType_COLUMN_TYPE_DATE:        descriptorpb.FieldDescriptorProto_TYPE_INT32,
		columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP:   descriptorpb.FieldDescriptorProto_TYPE_INT64,
		columnv1.ColumnType_COLUMN_TYPE_DATETIME:    descriptorpb.FieldDescriptorProto_TYPE_STRING,
		columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED: descriptorpb.FieldDescriptorProto_TYPE_INT64,
	}
	option := func(c columnv1.ColumnType) *descriptorpb.FieldOptions {
		o := &descriptorpb.FieldOptions{}
		proto.SetExtension(o, columnv1.E_Column, &columnv1.Column{Type: c})
		return o
	}
	span := &descriptorpb.DescriptorProto{Name: proto.String("Span")}
	for i, c := range []columnv1.ColumnType{start, end} {
		span.Field = append(span.Field, &descriptorpb.FieldDescriptorProto{
			Name: &names[i], Number: proto.Int32(int32(i + 1)), Type: kinds[c].Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Options: option(c),
		})
	}
	return &descriptorpb.DescriptorProto{
		Name: proto.String("Row"), NestedType: []*descriptorpb.DescriptorProto{span},
		Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("valid"), Number: proto.Int32(1),
			Type:     descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(),
			TypeName: proto.String("Span"),
			Label:    descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(),
			Options:  option(columnv1.ColumnType_COLUMN_TYPE_RANGE),
		}},
	}
}

func TestRangeColumns(t *testing.T) {
	const (
		date, stamp, civil, none = columnv1.ColumnType_COLUMN_TYPE_DATE, columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP,
			columnv1.ColumnType_COLUMN_TYPE_DATETIME, columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED
	)
	for of, want := range map[columnv1.ColumnType]bigquery.FieldType{
		date: "DATE", stamp: "TIMESTAMP",
		civil: "DATETIME",
	} {
		row, err := newRowType(ranged(of, of, "start", "end"))
		if err != nil {
			t.Errorf("%v: %v", of, err)
			continue
		}
		columns := bigquery.Schema{{
			Name: "valid", Type: "RANGE", Repeated: true, RangeElementType: &bigquery.RangeElementType{Type: want},
		}}
		if diff := cmp.Diff(columns, row.columns); diff != "" {
			t.Error(diff)
		}
		fields := row.descriptor.GetNestedType()[0].GetField()
		if len(fields) != 2 || fields[0].GetName() != "start" || fields[0].GetOptions() != nil {
			t.Errorf("%v: what BigQuery gets: %v", of, row.descriptor)
		}
	}
	for says, d := range map[string]*descriptorpb.DescriptorProto{
		"has the fields start and end": ranged(date, date, "start", "until"),
		"starts with a DATE and ends":  ranged(date, stamp, "start", "end"),
		"not INTEGER":                  ranged(none, none, "start", "end"),
	} {
		if _, err := newRowType(d); err == nil || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), "valid") && !strings.Contains(err.Error(), "Span") {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}
