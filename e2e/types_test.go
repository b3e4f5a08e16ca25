package e2e

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// columnCase is a column of each type that a row message can name, with a value that BigQuery takes and one that it
// refuses.
type columnCase struct {
	name      string
	column    columnv1.Column
	good, bad any // string, int64, or [2]int64 for a RANGE
	// shows is a condition on the good value, as SQL has it.
	shows string
}

var columnCases = []*columnCase{
	{
		"json",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_JSON},
		`{"a": 1}`, `{"a": `,
		`JSON_VALUE(json, '$.a') = '1'`,
	},
	{
		"exact",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_NUMERIC, Precision: 5, Scale: 2},
		"123.4", "1234.5",
		`CAST(exact AS STRING) = '123.4'`,
	},
	{
		"huge",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC},
		"1e38", "1e39",
		`CAST(huge AS STRING) LIKE '1000%'`,
	},
	{
		"civil",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_DATETIME},
		"2024-02-29 01:02:03.5",
		"2023-02-29 00:00:00", `CAST(civil AS STRING) LIKE '2024-02-29%'`,
	},
	{
		"tod",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_TIME},
		"23:59:59", "24:00:00",
		`CAST(tod AS STRING) = '23:59:59'`,
	},
	{
		"place",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_GEOGRAPHY},
		"POINT(1 2)", "POINT(1 200)",
		`place IS NOT NULL`,
	},
	{
		"gap",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_INTERVAL},
		"0-1 2 3:4:5", "one day",
		`gap IS NOT NULL`,
	},
	{
		"day",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_DATE},
		int64(1), int64(3000000),
		`CAST(day AS STRING) = '1970-01-02'`,
	},
	{
		"at",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP},
		int64(1), int64(1 << 60),
		`UNIX_MICROS(at) = 1`,
	},
	{
		"days",
		columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_RANGE},
		[2]int64{1, 3},
		[2]int64{3, 1},
		`CAST(days AS STRING) = '[1970-01-02, 1970-01-04)'`,
	},
}

// typedRow is the row message of all of them, after the place of the record.
func typedRow() *descriptorpb.DescriptorProto {
	d := grownRow(0)
	d.NestedType, d.Field = nil, d.GetField()[:3]
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type,
		column *columnv1.Column,
	) *descriptorpb.FieldDescriptorProto {
		options := &descriptorpb.FieldOptions{}
		proto.SetExtension(options, columnv1.E_Column, column)
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: kind.Enum(),
			Label:   descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			Options: options,
		}
	}
	for i, c := range columnCases {
		number := int32(i + 4)
		switch c.good.(type) {
		case string:
			d.Field = append(d.Field, field(c.name, number, descriptorpb.FieldDescriptorProto_TYPE_STRING, &c.column))
		case int64:
			kind := descriptorpb.FieldDescriptorProto_TYPE_INT64
			if c.column.GetType() == columnv1.ColumnType_COLUMN_TYPE_DATE {
				kind = descriptorpb.FieldDescriptorProto_TYPE_INT32
			}
			d.Field = append(d.Field, field(c.name, number, kind, &c.column))
		default:
			date := &columnv1.Column{Type: columnv1.ColumnType_COLUMN_TYPE_DATE}
			d.NestedType = append(d.NestedType, &descriptorpb.DescriptorProto{
				Name: proto.String("Days"),
				Field: []*descriptorpb.FieldDescriptorProto{
					field("start", 1, descriptorpb.FieldDescriptorProto_TYPE_INT32, date),
					field("end", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32, date),
				},
			})
			f := field(c.name, number, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, &c.column)
			f.TypeName = proto.String("Days")
			d.Field = append(d.Field, f)
		}
	}
	return d
}

// encodeTyped makes rows of which each has one bad value, in the column that its offset names; those beyond the columns
// are good.
func encodeTyped(offset int64) []byte {
	number := func(b []byte, field protowire.Number, n int64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
	}
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "types")
	b = number(number(b, 2, 0), 3, offset)
	for i, c := range columnCases {
		value, field := c.good, protowire.Number(i+4)
		if offset%20 == int64(i) {
			value = c.bad
		}
		switch v := value.(type) {
		case string:
			b = protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
		case int64:
			b = number(b, field, v)
		case [2]int64:
			b = protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType),
				number(number(nil, 1, v[0]), 2, v[1]))
		}
	}
	return b
}

// A value of every type that a row message can name goes to its column and comes back; a bad one costs its own row and
// no other, on either kind of stream.
func TestEveryColumnType(t *testing.T) {
	w, conns := writersAlone(t, 1)
	for name, delivery := range map[string]lanev1.Delivery{
		"once": lanev1.Delivery_DELIVERY_EXACTLY_ONCE, "repeats": lanev1.Delivery_DELIVERY_AT_LEAST_ONCE,
	} {
		h := &hand{topic: name, encode: encodeTyped, refused: map[int64]string{}, route: &lanev1.Route{
			Table: "types_" + name, Row: &lanev1.Route_Descriptor_{Descriptor_: typedRow()}, Delivery: delivery,
			Layout: &lanev1.Layout{PartitionUnit: lanev1.PartitionUnit_PARTITION_UNIT_HOUR},
		}}
		const records = 200
		if err := h.carry(w.ctx, conns[0], records, -1); err != nil {
			t.Fatal(err)
		}
		times := w.offsets("types_" + name)
		conditions := make([]string, 0, len(columnCases))
		for offset := range int64(records) {
			bad := offset%20 < int64(len(columnCases))
			if n := times[[2]int64{0, offset}]; bad == (n == 1) || n > 1 {
				t.Errorf("%s: offset %d is in the table %d times", name, offset, n)
			}
			said := h.refused[offset]
			if bad && !strings.Contains(said, "Field "+columnCases[offset%20].name) || !bad && said != "" {
				t.Errorf("%s: offset %d: BigQuery says %q", name, offset, said)
			}
		}
		for _, c := range columnCases {
			conditions = append(conditions, c.shows)
		}
		sql := "SELECT COUNT(*) FROM waybill.types_" + name + " WHERE _PARTITIONTIME IS NOT NULL AND " +
			strings.Join(conditions, " AND ")
		if got := w.value(sql); got != "100" {
			for _, c := range columnCases {
				t.Logf("%s: %s", c.shows, w.value("SELECT COUNT(*) FROM waybill.types_"+name+" WHERE "+c.shows))
			}
			t.Errorf("%s: %s rows are as they were sent, want 100", name, got)
		}
	}
}
