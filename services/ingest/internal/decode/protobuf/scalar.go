package protobuf

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// form is what the bits of a value mean.
type form uint8

const (
	formSigned form = iota
	formUnsigned
	formZigzag
	formBool
	formEnum
	formNull
	formFloat
	formText // from here on a length comes first
	formBytes
	formMessage
)

// scalar is how values of a kind are written, and what they become by the type map.
type scalar struct {
	wire protowire.Type
	form form
	// wide: the number has 64 bits.
	wide   bool
	column shape.Kind
	op     code
}

var scalars = map[protoreflect.Kind]scalar{
	protoreflect.BoolKind:     {protowire.VarintType, formBool, true, shape.Bool, opVarint},
	protoreflect.EnumKind:     {protowire.VarintType, formEnum, false, shape.Enum, opEnum},
	protoreflect.Int32Kind:    {protowire.VarintType, formSigned, false, shape.Int64, opVarint},
	protoreflect.Int64Kind:    {protowire.VarintType, formSigned, true, shape.Int64, opVarint},
	protoreflect.Uint32Kind:   {protowire.VarintType, formUnsigned, false, shape.Int64, opVarint},
	protoreflect.Uint64Kind:   {protowire.VarintType, formUnsigned, true, shape.Int64, opUnsigned},
	protoreflect.Sint32Kind:   {protowire.VarintType, formZigzag, false, shape.Int64, opVarint},
	protoreflect.Sint64Kind:   {protowire.VarintType, formZigzag, true, shape.Int64, opVarint},
	protoreflect.Fixed32Kind:  {protowire.Fixed32Type, formUnsigned, false, shape.Int64, opFixed32},
	protoreflect.Sfixed32Kind: {protowire.Fixed32Type, formSigned, false, shape.Int64, opFixed32},
	protoreflect.FloatKind:    {protowire.Fixed32Type, formFloat, false, shape.Float, opFixed32},
	protoreflect.Fixed64Kind:  {protowire.Fixed64Type, formUnsigned, true, shape.Int64, opUnsigned},
	protoreflect.Sfixed64Kind: {protowire.Fixed64Type, formSigned, true, shape.Int64, opFixed64},
	protoreflect.DoubleKind:   {protowire.Fixed64Type, formFloat, true, shape.Double, opFixed64},
	protoreflect.StringKind:   {protowire.BytesType, formText, false, shape.String, opText},
	protoreflect.BytesKind:    {protowire.BytesType, formBytes, false, shape.Bytes, opBytes},
	protoreflect.MessageKind:  {protowire.BytesType, formMessage, false, shape.Record, opMessage},
	protoreflect.GroupKind:    {protowire.BytesType, formMessage, false, shape.Int64, opMessage},
}

// scalarType is the type that carries a scalar in the row, of the same bytes. BigQuery has no unsigned numbers of 64
// bits: the row calls them signed, and those beyond are refused.
func scalarType(k protoreflect.Kind) descriptorpb.FieldDescriptorProto_Type {
	switch k {
	case protoreflect.Uint64Kind:
		return descriptorpb.FieldDescriptorProto_TYPE_INT64
	case protoreflect.Fixed64Kind:
		return descriptorpb.FieldDescriptorProto_TYPE_SFIXED64
	}
	return descriptorpb.FieldDescriptorProto_Type(k)
}

// bits reads a number at src[p:]; next is negative if there is none.
func (s *scalar) bits(src []byte, p int) (v uint64, next int) {
	switch {
	case s.wire == protowire.VarintType:
		return decode.Varint(src, p)
	case s.wire == protowire.Fixed32Type && len(src)-p >= 4:
		return uint64(binary.LittleEndian.Uint32(src[p:])), p + 4
	case s.wire == protowire.Fixed64Type && len(src)-p >= 8:
		return binary.LittleEndian.Uint64(src[p:]), p + 8
	}
	return 0, decode.VarintEnds
}

// number is the whole number that bits stand for. Unsigned ones beyond an int64 are negative.
func (s *scalar) number(bits uint64) int64 {
	switch {
	case s.form == formZigzag && s.wide:
		return protowire.DecodeZigZag(bits)
	case s.form == formZigzag:
		return protowire.DecodeZigZag(bits & math.MaxUint32)
	case s.wide:
		return int64(bits)
	case s.form == formUnsigned:
		return int64(uint32(bits))
	}
	return int64(int32(bits))
}

// zero is the zero as it is written.
func (s *scalar) zero() []byte {
	switch s.wire {
	case protowire.Fixed32Type:
		return zeros[:4]
	case protowire.Fixed64Type:
		return zeros[:8]
	}
	return zeros[:1]
}

var zeros [8]byte

// append appends a value without its tag.
func (s *scalar) append(out []byte, v protoreflect.Value) []byte {
	var bits uint64
	switch s.form {
	case formText:
		return protowire.AppendString(out, v.String())
	case formBytes:
		return protowire.AppendBytes(out, v.Bytes())
	case formBool:
		bits = protowire.EncodeBool(v.Bool())
	case formUnsigned:
		bits = v.Uint()
	case formZigzag:
		bits = protowire.EncodeZigZag(v.Int())
	case formFloat:
		if bits = math.Float64bits(v.Float()); !s.wide {
			bits = uint64(math.Float32bits(float32(v.Float())))
		}
	default:
		bits = uint64(v.Int())
	}
	switch s.wire {
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(out, uint32(bits))
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(out, bits)
	}
	return protowire.AppendVarint(out, bits)
}
