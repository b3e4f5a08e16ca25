package json

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// scalarColumns are the protobuf type of each kind without parts, and what that does not say.
var scalarColumns = map[kind]struct {
	wire   descriptorpb.FieldDescriptorProto_Type
	column columnv1.ColumnType
}{
	kindBool:      {descriptorpb.FieldDescriptorProto_TYPE_BOOL, 0},
	kindInt32:     {descriptorpb.FieldDescriptorProto_TYPE_INT32, 0},
	kindInt64:     {descriptorpb.FieldDescriptorProto_TYPE_INT64, 0},
	kindFloat:     {descriptorpb.FieldDescriptorProto_TYPE_FLOAT, 0},
	kindDouble:    {descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, 0},
	kindString:    {descriptorpb.FieldDescriptorProto_TYPE_STRING, 0},
	kindEnum:      {descriptorpb.FieldDescriptorProto_TYPE_STRING, 0},
	kindBytes:     {descriptorpb.FieldDescriptorProto_TYPE_BYTES, 0},
	kindTimestamp: {descriptorpb.FieldDescriptorProto_TYPE_INT64, columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP},
	kindDate:      {descriptorpb.FieldDescriptorProto_TYPE_INT32, columnv1.ColumnType_COLUMN_TYPE_DATE},
	kindTime:      {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_TIME},
	kindDateTime:  {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_DATETIME},
	kindDecimal:   {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_NUMERIC},
	kindGeography: {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_GEOGRAPHY},
	kindInterval:  {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_INTERVAL},
	kindJSON:      {descriptorpb.FieldDescriptorProto_TYPE_STRING, columnv1.ColumnType_COLUMN_TYPE_JSON},
}

// scalarColumn sets the protobuf type of a column without parts, and returns what that does not say.
func scalarColumn(f *descriptorpb.FieldDescriptorProto, t *typ, path string) (*columnv1.Column, error) {
	s, ok := scalarColumns[t.kind]
	if !ok {
		return nil, decode.Misfit(path, "a "+t.kind.String()+" is no column")
	}
	f.Type = s.wire.Enum()
	c := &columnv1.Column{Type: s.column}
	if t.kind == kindDecimal {
		whole := t.precision - t.scale
		switch {
		case t.scale > decode.BigNumericScale || whole > decode.BigNumericWhole:
			return nil, decode.Misfit(path, fmt.Sprintf("decimal(%d, %d) is beyond BIGNUMERIC: at most %d digits before the point and %d behind it",
				t.precision, t.scale, decode.BigNumericWhole, decode.BigNumericScale))
		case t.big || t.scale > decode.NumericScale || whole > decode.NumericWhole:
			c.Type = columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC
		}
		if !t.unbounded {
			c.Precision, c.Scale = int32(t.precision), int32(t.scale)
		}
	}
	return c, nil
}

// describable cuts a description to what BigQuery takes.
func describable(doc string) string {
	if text := []rune(doc); len(text) > decode.MaxDescription {
		return string(text[:decode.MaxDescription])
	}
	return doc
}

// shortName is the name without its namespace.
func (t *typ) shortName() string { return t.name[strings.LastIndexByte(t.name, '.')+1:] }
