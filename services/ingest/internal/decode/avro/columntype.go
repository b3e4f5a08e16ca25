package avro

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// scalarColumn sets the protobuf type of a column without parts, and returns what that does not say.
func scalarColumn(f *descriptorpb.FieldDescriptorProto, t *typ, path string) (*columnv1.Column, error) {
	set := func(p descriptorpb.FieldDescriptorProto_Type, c columnv1.ColumnType) *columnv1.Column {
		f.Type = p.Enum()
		return &columnv1.Column{Type: c}
	}
	const (
		typeString = descriptorpb.FieldDescriptorProto_TYPE_STRING
		none       = columnv1.ColumnType_COLUMN_TYPE_UNSPECIFIED
	)
	if t.asked != nil {
		t.asked.Describe(f)
		return proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column), nil
	}
	switch t.logical {
	case logicalBigDecimal:
		return set(typeString, columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC), nil
	case logicalDuration:
		return set(typeString, columnv1.ColumnType_COLUMN_TYPE_INTERVAL), nil
	case logicalDecimal:
		whole := t.precision - t.scale
		c := columnv1.ColumnType_COLUMN_TYPE_NUMERIC
		switch {
		case t.scale > decode.BigNumericScale || whole > decode.BigNumericWhole:
			return nil, decode.Misfit(path, fmt.Sprintf("decimal(%d, %d) is beyond BIGNUMERIC: at most %d digits before the point and %d behind it",
				t.precision, t.scale, decode.BigNumericWhole, decode.BigNumericScale))
		case t.scale > decode.NumericScale || whole > decode.NumericWhole:
			c = columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC
		}
		column := set(typeString, c)
		column.Precision, column.Scale = int32(t.precision), int32(t.scale)
		return column, nil
	case logicalUUID:
		return set(typeString, none), nil
	case logicalDate:
		return set(descriptorpb.FieldDescriptorProto_TYPE_INT32, columnv1.ColumnType_COLUMN_TYPE_DATE), nil
	case logicalTimeMillis, logicalTimeMicros:
		return set(typeString, columnv1.ColumnType_COLUMN_TYPE_TIME), nil
	case logicalTimestampMillis, logicalTimestampMicros, logicalTimestampNanos:
		return set(descriptorpb.FieldDescriptorProto_TYPE_INT64, columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP), nil
	case logicalLocalMillis, logicalLocalMicros, logicalLocalNanos:
		return set(typeString, columnv1.ColumnType_COLUMN_TYPE_DATETIME), nil
	}
	return set(scalarTypes[t.kind], none), nil
}

var scalarTypes = map[kind]descriptorpb.FieldDescriptorProto_Type{
	kindBoolean: descriptorpb.FieldDescriptorProto_TYPE_BOOL,
	kindInt:     descriptorpb.FieldDescriptorProto_TYPE_INT32,
	kindLong:    descriptorpb.FieldDescriptorProto_TYPE_INT64,
	kindFloat:   descriptorpb.FieldDescriptorProto_TYPE_FLOAT,
	kindDouble:  descriptorpb.FieldDescriptorProto_TYPE_DOUBLE,
	kindBytes:   descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	kindFixed:   descriptorpb.FieldDescriptorProto_TYPE_BYTES,
	kindString:  descriptorpb.FieldDescriptorProto_TYPE_STRING,
	kindEnum:    descriptorpb.FieldDescriptorProto_TYPE_STRING,
}
