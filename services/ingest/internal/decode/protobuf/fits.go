package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// fits checks that messages of the writer's type, read as the reader's, have the values that the writer meant. Fields
// meet by number, whatever their names. A field that only the writer has is an unknown one; one that only the reader
// has is absent. The reader's message has been checked not to contain itself, so the walk ends, whatever the writer's
// is.
func fits(reader *shape.Node, writer protoreflect.MessageDescriptor, path *decode.Path) error {
	for _, n := range reader.Parts {
		at := path.Field(n.Name)
		if n.Skip {
			continue
		}
		if n.Kind == shape.Array {
			n = n.Parts[0]
		}
		r := n.Source.(protoreflect.FieldDescriptor)
		w := writer.Fields().ByNumber(r.Number())
		if w == nil {
			if r.Cardinality() == protoreflect.Required {
				return decode.FaultAt(at.String(), "it is required, and the writer's schema does not have it")
			}
			continue
		}
		if w.Cardinality() == protoreflect.Repeated && r.Cardinality() != protoreflect.Repeated {
			return decode.FaultAt(at.String(), "the writer's schema has a list, the contract one value")
		}
		what, its := codeOf(r), codeOf(w)
		switch {
		case r.IsMap() != w.IsMap():
			return decode.FaultAt(at.String(), "only one of the two schemas has a map")
		case what == opEmpty && (its == opEmpty || its == opMessage):
		case what == opMessage && n.Kind < shape.Record && (its == opEmpty || its == opMessage):
			if !alike(r.Message(), w.Message(), map[protoreflect.FullName]bool{}) {
				return decode.FaultAt(at.String(), "the writer's schema has fields there of other types than the "+
					"contract's")
			}
		case what == opMessage && (its == opEmpty || its == opMessage):
			if err := fits(n, w.Message(), at); err != nil {
				return err
			}
		case what == opEnum && its == opEnum:
		case what == opScalar && (its == opScalar || its == opEnum):
			if w.Kind() != r.Kind() && !widens[[2]protoreflect.Kind{w.Kind(), r.Kind()}] {
				return decode.FaultAt(at.String(), fmt.Sprintf("the writer's schema has %s, the contract %s", w.Kind(),
					r.Kind()))
			}
		case what != opScalar && what == its && r.Message().FullName() == w.Message().FullName():
		default:
			return decode.FaultAt(at.String(), fmt.Sprintf("the writer's schema has %s, the contract %s", spell(w),
				spell(r)))
		}
	}
	return nil
}

// alike reports whether what the writer puts into a message is what the reader's schema reads there. Messages may
// contain themselves.
func alike(reader, writer protoreflect.MessageDescriptor, met map[protoreflect.FullName]bool) bool {
	if met[reader.FullName()] {
		return true
	}
	met[reader.FullName()] = true
	for i := range reader.Fields().Len() {
		r := reader.Fields().Get(i)
		w := writer.Fields().ByNumber(r.Number())
		switch {
		case w == nil:
		case r.IsMap() != w.IsMap(), w.Cardinality() == protoreflect.Repeated &&
			r.Cardinality() != protoreflect.Repeated, w.Kind() != r.Kind() &&
			!widens[[2]protoreflect.Kind{w.Kind(), r.Kind()}],
			r.Message() != nil && !alike(r.Message(), w.Message(), met):
			return false
		}
	}
	return true
}

// widens are the pairs of kinds, the writer's first, whose bytes mean the same for every value of the first (Protocol
// Buffers, "Updating a message type"). Text is checked to be UTF-8 value by value.
var widens = map[[2]protoreflect.Kind]bool{
	{protoreflect.BoolKind, protoreflect.Int32Kind}:    true,
	{protoreflect.BoolKind, protoreflect.Int64Kind}:    true,
	{protoreflect.BoolKind, protoreflect.Uint32Kind}:   true,
	{protoreflect.BoolKind, protoreflect.Uint64Kind}:   true,
	{protoreflect.EnumKind, protoreflect.Int32Kind}:    true,
	{protoreflect.EnumKind, protoreflect.Int64Kind}:    true,
	{protoreflect.Int32Kind, protoreflect.Int64Kind}:   true,
	{protoreflect.Uint32Kind, protoreflect.Int64Kind}:  true,
	{protoreflect.Uint32Kind, protoreflect.Uint64Kind}: true,
	{protoreflect.Sint32Kind, protoreflect.Sint64Kind}: true,
	{protoreflect.StringKind, protoreflect.BytesKind}:  true,
	{protoreflect.BytesKind, protoreflect.StringKind}:  true,
}

// spell is a field's type for people.
func spell(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return string(f.Message().FullName())
	case f.Enum() != nil:
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}
