package decode

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
)

// Bounds of BigQuery's decimal types: digits behind the point, and before it (GoogleSQL, "Parameterized decimal type").
const (
	numericScale, numericWhole       = 9, 29
	bigNumericScale, bigNumericWhole = 38, 38
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
	switch t.logical {
	case logicalDecimal:
		whole := t.precision - t.scale
		c := columnv1.ColumnType_COLUMN_TYPE_NUMERIC
		switch {
		case t.scale > bigNumericScale || whole > bigNumericWhole:
			return nil, &SchemaError{path, fmt.Sprintf("decimal(%d, %d) is beyond BIGNUMERIC: at most %d digits before the point and %d behind it",
				t.precision, t.scale, bigNumericWhole, bigNumericScale)}
		case t.scale > numericScale || whole > numericWhole:
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

// columnOptions wraps what a column says beyond its protobuf type; nil if nothing.
func columnOptions(c *columnv1.Column) *descriptorpb.FieldOptions {
	if c == nil || proto.Size(c) == 0 {
		return nil
	}
	options := &descriptorpb.FieldOptions{}
	proto.SetExtension(options, columnv1.E_Column, c)
	return options
}

// maxDescription is BigQuery's limit on a column's description, in characters (quotas of BigQuery, "Table schema").
const maxDescription = 1024

// describeColumn sets a column's description, cut to what BigQuery takes.
func describeColumn(f *descriptorpb.FieldDescriptorProto, doc string) {
	c := &columnv1.Column{}
	if f.Options != nil {
		c = proto.CloneOf(proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column))
	}
	if text := []rune(doc); len(text) > maxDescription {
		doc = string(text[:maxDescription])
	}
	c.Description = doc
	f.Options = columnOptions(c)
}
