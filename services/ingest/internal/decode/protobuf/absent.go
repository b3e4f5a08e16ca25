package protobuf

import (
	"fmt"
	"math"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// absent is what the row holds for a singular field that the payload leaves out, tag included; nil for NULL. A field
// without presence has its default, so has one whose schema states a default, and so have both fields of a map's entry.
// The reason is why a stated default is no value of the column that is asked for.
func absent(fd protoreflect.FieldDescriptor, f *field) (_ []byte, reason string) {
	entry := fd.ContainingMessage().IsMapEntry()
	if fd.HasPresence() && !entry && !fd.HasDefault() {
		return nil, ""
	}
	if f.column != nil && f.op < opColumnText {
		out, _ := f.zero()
		return out, ""
	}
	if f.column != nil {
		out, reason := absentColumn(fd, f)
		if reason != "" {
			return nil, fmt.Sprintf("columns: its default does not become %s: %s", f.column.Type, reason)
		}
		return out, ""
	}
	return filling(fd, f), ""
}

// emptyRange reports whether an absent field would be a RANGE that is none: the value of a map's entry, whose bounds
// are both their zero.
func (f *field) emptyRange(fd protoreflect.FieldDescriptor) bool {
	return fd.ContainingMessage().IsMapEntry() && f.node != nil && f.node.bounds != nil &&
		f.node.bounds.Check(filled(f.node)) != ""
}

// zero is what a message without fields becomes in the column asked for; ok says that it becomes one.
func (f *field) zero() (out []byte, ok bool) {
	var m machine
	ok = m.well(f, 0, 0, 0)
	return m.out, ok
}

// noZero reports whether an absent field would be a value of a column that there is not: that of a map's entry.
func (f *field) noZero(fd protoreflect.FieldDescriptor) bool {
	if !fd.ContainingMessage().IsMapEntry() || f.column == nil || f.op >= opColumnText {
		return false
	}
	_, ok := f.zero()
	return !ok
}

// filling is what an absent field becomes that has a default, by the type map.
func filling(fd protoreflect.FieldDescriptor, f *field) []byte {
	if isText(optionOf(fd).GetType()) && !fd.HasDefault() {
		return nil // the empty string is no NUMERIC, JSON or the like
	}
	out := slices.Clone(f.out)
	switch f.op {
	case opMessage:
		return protowire.AppendBytes(out, filled(f.node))
	case opEnum:
		return append(out, f.enum.text(nil, int32(fd.Default().Enum()))...)
	case opTimestamp:
		return append(out, 0)
	case opEmpty:
		return append(out, 1)
	case opDuration:
		return protowire.AppendString(out, "0-0 0 0:0:0")
	case opJSON:
		return protowire.AppendBytes(out, f.json.absent())
	case opWrapper:
		return appendScalar(out, f.kind, scalarOf(fd, cellWrapper).Default())
	}
	return appendScalar(out, f.kind, fd.Default())
}

// filled is a message that holds nothing but what is written for absent fields.
func filled(n *node) []byte {
	var out []byte
	for w, mask := range n.fill {
		for ; mask != 0; mask &= mask - 1 {
			out = append(out, n.values[w*64+bits.TrailingZeros64(mask)]...)
		}
	}
	return out
}

// appendScalar appends a value without its tag.
func appendScalar(out []byte, k protoreflect.Kind, v protoreflect.Value) []byte {
	switch k {
	case protoreflect.BoolKind:
		return protowire.AppendVarint(out, protowire.EncodeBool(v.Bool()))
	case protoreflect.Int32Kind, protoreflect.Int64Kind:
		return protowire.AppendVarint(out, uint64(v.Int()))
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return protowire.AppendVarint(out, protowire.EncodeZigZag(v.Int()))
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return protowire.AppendVarint(out, v.Uint())
	case protoreflect.Sfixed32Kind:
		return protowire.AppendFixed32(out, uint32(v.Int()))
	case protoreflect.Fixed32Kind:
		return protowire.AppendFixed32(out, uint32(v.Uint()))
	case protoreflect.FloatKind:
		return protowire.AppendFixed32(out, math.Float32bits(float32(v.Float())))
	case protoreflect.Sfixed64Kind:
		return protowire.AppendFixed64(out, uint64(v.Int()))
	case protoreflect.Fixed64Kind:
		return protowire.AppendFixed64(out, v.Uint())
	case protoreflect.DoubleKind:
		return protowire.AppendFixed64(out, math.Float64bits(v.Float()))
	case protoreflect.StringKind:
		return protowire.AppendString(out, v.String())
	}
	return protowire.AppendBytes(out, v.Bytes())
}
