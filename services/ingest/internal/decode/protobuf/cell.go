package protobuf

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
)

// cell is what one value of a field becomes in the row.
type cell uint8

const (
	cellScalar    cell = iota // itself
	cellMessage               // a RECORD
	cellEnum                  // the name of its symbol
	cellTimestamp             // microseconds
	cellDuration              // the text of an INTERVAL
	cellWrapper               // the value inside
	cellJSON                  // JSON text
	cellEmpty                 // true: a message without fields says that it is there, and no more
)

// well are protobuf's own messages that become one value. Any is a RECORD of type_url and value, FieldMask one of
// paths.
var well = map[protoreflect.FullName]cell{
	"google.protobuf.Timestamp":   cellTimestamp,
	"google.protobuf.Duration":    cellDuration,
	"google.protobuf.Struct":      cellJSON,
	"google.protobuf.Value":       cellJSON,
	"google.protobuf.ListValue":   cellJSON,
	"google.protobuf.DoubleValue": cellWrapper,
	"google.protobuf.FloatValue":  cellWrapper,
	"google.protobuf.Int64Value":  cellWrapper,
	"google.protobuf.UInt64Value": cellWrapper,
	"google.protobuf.Int32Value":  cellWrapper,
	"google.protobuf.UInt32Value": cellWrapper,
	"google.protobuf.BoolValue":   cellWrapper,
	"google.protobuf.StringValue": cellWrapper,
	"google.protobuf.BytesValue":  cellWrapper,
}

// cellOf is what a field's values become.
func cellOf(f protoreflect.FieldDescriptor) cell {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return cellEnum
	case protoreflect.MessageKind:
		if c, ok := well[f.Message().FullName()]; ok {
			return c
		}
		if f.Message().Fields().Len() == 0 {
			return cellEmpty
		}
		return cellMessage
	}
	return cellScalar
}

// scalarOf is the field that holds a cell's scalar: that in the wrapper, or the field itself.
func scalarOf(f protoreflect.FieldDescriptor, c cell) protoreflect.FieldDescriptor {
	if c == cellWrapper {
		return f.Message().Fields().ByNumber(1)
	}
	return f
}

// optionOf is the column option that the schema sets on a field, nil if none.
func optionOf(f protoreflect.FieldDescriptor) *columnv1.Column {
	if !proto.HasExtension(f.Options(), columnv1.E_Column) {
		return nil
	}
	return proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column)
}

// isText reports whether an option makes a string something that the empty string is no value of.
func isText(c columnv1.ColumnType) bool { return optionKinds[c].on == protoreflect.StringKind }
