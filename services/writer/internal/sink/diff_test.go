package sink

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

func TestDiff(t *testing.T) {
	fake, s := world(t)
	fake.tables["d/grows"] = json.RawMessage(`{"timePartitioning": {"type": "DAY", "field": "at"},
		"clustering": {"fields": ["id", "extra"]}, "schema": {"fields": [
		{"name": "id", "type": "STRING", "mode": "REQUIRED"},
		{"name": "count", "type": "NUMERIC", "precision": "10", "scale": "2"}, {"name": "extra", "type": "INTEGER"},
		{"name": "must", "type": "DATE", "mode": "REQUIRED"},
		{"name": "sub", "type": "RECORD", "fields": [
			{"name": "old", "type": "RANGE", "rangeElementType": {"type": "DATE"}}]}]}}`)
	before := string(fake.tables["d/grows"])
	got, err := s.Diff(deadline(t), grown(additive, "id", "count", text("Sub", "new")))
	if err != nil {
		t.Fatal(err)
	}
	want := &lanev1.TableDiff{
		Table: "test-project.d.grows", Exists: true, Layout: "DAY(at), clustered by id, extra",
		Remarks: []string{
			"it is laid out otherwise than the contract says, not partitioned: an existing table stays as it is",
		},
		Differences: []*lanev1.Difference{
			{
				Column: "id", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED, Have: "REQUIRED STRING",
				Want: "STRING",
			},
			{Column: "count", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_TYPE, Have: "NUMERIC(10, 2)", Want: "STRING"},
			{Column: "sub.new", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_MISSING, Want: "STRING"},
			{Column: "sub.old", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA, Have: "RANGE<DATE>"},
			{Column: "extra", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_EXTRA, Have: "INTEGER"},
			{Column: "must", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_REQUIRED, Have: "REQUIRED DATE"},
		},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if string(fake.tables["d/grows"]) != before {
		t.Error("the table was changed")
	}
	if got, err = s.Diff(deadline(t), stockRoute); err != nil || got.GetExists() ||
		got.GetTable() != "test-project.d.physical_stock_events" || len(fake.tables) != 1 {
		t.Errorf("missing table: %v, %v", got, err)
	}
	for _, wrong := range []*lanev1.Route{
		{Table: "a/b", Row: stockRoute.GetRow()}, {Table: "t", Row: &lanev1.Route_Message{Message: "no.Such"}},
	} {
		if _, err := s.Diff(deadline(t), wrong); !errors.Is(err, lane.ErrRoute) {
			t.Errorf("%v: got %v", wrong, err)
		}
	}
	forbidden := proto.CloneOf(stockRoute)
	forbidden.Table = "forbidden.t"
	if _, err := s.Diff(deadline(t), forbidden); err == nil || errors.Is(err, lane.ErrRoute) ||
		!strings.Contains(err.Error(), "roles/bigquery.dataEditor") {
		t.Errorf("got %v", err)
	}
}

// decimals are rows of one column that is a decimal of at most so many digits.
func decimals(columnType columnv1.ColumnType, precision, scale int32) *lanev1.Route {
	route := grown(additive, "total")
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, columnv1.E_Column,
		&columnv1.Column{Type: columnType, Precision: precision, Scale: scale})
	route.GetDescriptor_().GetField()[0].Options = options
	return route
}

// BigQuery rounds the digits behind the point away that a column has no room for, so rows with more of them than the
// table's column never go there.
func TestTableWithFewerDigits(t *testing.T) {
	const numeric, bigNumeric = columnv1.ColumnType_COLUMN_TYPE_NUMERIC, columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC
	fake, s := world(t)
	for _, c := range []struct {
		table            string
		column           columnv1.ColumnType
		precision, scale int32
		have, want, says string // nothing for a table that takes the rows
	}{
		{`"type": "NUMERIC", "precision": "10", "scale": "2"`, numeric, 10, 2, "", "", ""},
		{`"type": "DECIMAL", "precision": "12", "scale": "4"`, numeric, 10, 2, "", "", ""},
		{`"type": "NUMERIC"`, numeric, 0, 0, "", "", ""},
		{`"type": "NUMERIC"`, numeric, 38, 9, "", "", ""},
		{`"type": "NUMERIC", "precision": "38", "scale": "9"`, numeric, 0, 0, "", "", ""},
		{`"type": "BIGNUMERIC"`, bigNumeric, 76, 38, "", "", ""},
		{`"type": "BIGNUMERIC", "precision": "76", "scale": "38"`, bigNumeric, 0, 0, "", "", ""},
		{
			`"type": "NUMERIC", "precision": "10", "scale": "2"`, numeric, 11, 2, "NUMERIC(10, 2)", "NUMERIC(11, 2)",
			"column total is NUMERIC(10, 2) and holds 8 digits before the point and 2 behind it, the rows have " +
				"NUMERIC(11, 2), up to 9 and 2",
		},
		// wider before the point, narrower behind it
		{
			`"type": "NUMERIC", "precision": "12", "scale": "2"`, numeric, 12, 4, "NUMERIC(12, 2)", "NUMERIC(12, 4)",
			"up to 8 and 4",
		},
		{
			`"type": "NUMERIC", "precision": "10"`, numeric, 0, 0, "NUMERIC(10)", "NUMERIC",
			"holds 10 digits before the point and 0 behind it, the rows have NUMERIC, up to 29 and 9",
		},
		{
			`"type": "BIGDECIMAL", "precision": "40", "scale": "10"`, bigNumeric, 0, 0, "BIGDECIMAL(40, 10)",
			"BIGNUMERIC", "up to 38 and 38",
		},
	} {
		fake.tables["d/grows"] = json.RawMessage(`{"schema": {"fields": [{"name": "total", ` + c.table + `}]}}`)
		route := decimals(c.column, c.precision, c.scale)
		want := &lanev1.TableDiff{Table: "test-project.d.grows", Exists: true, Layout: "not partitioned"}
		if c.says != "" {
			want.Differences = []*lanev1.Difference{{
				Column: "total", Kind: lanev1.DifferenceKind_DIFFERENCE_KIND_NARROWER, Have: c.have, Want: c.want,
			}}
		}
		got, err := s.Diff(deadline(t), route)
		if diff := cmp.Diff(want, got, protocmp.Transform()); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.table, err, diff)
		}
		_, err = s.Table(deadline(t), route)
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, errUnfit) ||
			!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "widen the columns")) {
			t.Errorf("%s: %v", c.table, err)
		}
		clear(s.tables)
	}
}
