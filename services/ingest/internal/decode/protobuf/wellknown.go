package protobuf

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
)

// well are protobuf's own messages that become one value. Any is a RECORD of type_url and value, FieldMask one of
// paths.
var well = map[protoreflect.FullName]code{
	"google.protobuf.Timestamp":   opTimestamp,
	"google.protobuf.Duration":    opDuration,
	"google.protobuf.Struct":      opJSON,
	"google.protobuf.Value":       opJSON,
	"google.protobuf.ListValue":   opJSON,
	"google.protobuf.DoubleValue": opWrapper,
	"google.protobuf.FloatValue":  opWrapper,
	"google.protobuf.Int64Value":  opWrapper,
	"google.protobuf.UInt64Value": opWrapper,
	"google.protobuf.Int32Value":  opWrapper,
	"google.protobuf.UInt32Value": opWrapper,
	"google.protobuf.BoolValue":   opWrapper,
	"google.protobuf.StringValue": opWrapper,
	"google.protobuf.BytesValue":  opWrapper,
}

// codeOf is how a field's values are read by the type map.
func codeOf(f protoreflect.FieldDescriptor) code {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return opEnum
	case protoreflect.MessageKind:
		if c, ok := well[f.Message().FullName()]; ok {
			return c
		}
		if f.Message().Fields().Len() == 0 {
			return opEmpty
		}
		return opMessage
	}
	return opScalar
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
