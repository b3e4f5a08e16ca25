package protobuf

import (
	"encoding/binary"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// taking is what the envelope takes of a field.
type taking uint8

const (
	takeNothing taking = 0
	takeID      taking = 1 << iota
	takeTime
)

func (c *compiler) taking(path *decode.Path) taking {
	take := takeNothing
	if path.Is(c.options.EventIDPath()) {
		take |= takeID
	}
	if path.Is(c.options.EventTimePath()) {
		take |= takeTime
	}
	return take
}

// take takes the value src[p:end], which has been read and checked. The reason is about a time that is far away.
func (m *machine) take(f *field, p, end int) (reason string) {
	value, inner := m.src[p:end], f
	switch f.op {
	case opTimestamp:
		return "" // taken where it was read
	case opWrapper:
		body, _ := protowire.ConsumeBytes(value)
		value, inner = lastValue(body), f.inner
		if value == nil {
			value = []byte{0, 0, 0, 0, 0, 0, 0, 0} // the zero of every kind
		}
	}
	t := &m.Taken
	if inner.kind == protoreflect.StringKind || inner.kind == protoreflect.BytesKind {
		text, _ := protowire.ConsumeBytes(value)
		there := len(text) > 0 || !f.implicit
		if f.take&takeID != 0 {
			t.ID, t.HasID = text, there
		}
		if f.take&takeTime != 0 && there {
			micros, ok, before, _ := f.column.OfText(text) // it has been read before, and was good
			var null bool
			t.Micros, null, _ = t.Far(m.dates, micros, ok, before)
			t.HasTime = !null
		}
		return ""
	}
	v, unsigned := number(inner.kind, value)
	return m.takeWhole(f, v, unsigned)
}

// takeNumber takes a varint that has been read.
func (m *machine) takeNumber(f *field, v uint64) (reason string) {
	whole, unsigned := fromVarint(f.kind, v)
	return m.takeWhole(f, whole, unsigned)
}

func (m *machine) takeWhole(f *field, v int64, unsigned bool) (reason string) {
	t := &m.Taken
	if f.take&takeID != 0 {
		switch {
		case f.op == opEnum:
			t.Text = f.enum.text(t.Text[:0], int32(v))
			t.ID = t.Text[1:]
			if len(t.ID) > 0x7f {
				t.ID = t.Text[2:]
			}
		case unsigned:
			t.Text = strconv.AppendUint(t.Text[:0], uint64(v), 10)
			t.ID = t.Text
		default:
			t.Text = strconv.AppendInt(t.Text[:0], v, 10)
			t.ID = t.Text
		}
		t.HasID = v != 0 || !f.implicit
	}
	if f.take&takeTime != 0 && (v != 0 || !f.implicit) {
		micros, ok := decode.ToMicros(v, m.unit)
		var null bool
		t.Micros, null, reason = t.Far(m.dates, micros, ok, v < 0)
		t.HasTime = reason == "" && !null
	}
	return reason
}

// lastValue is the last value of field 1 in a wrapper's body, which has been checked; nil if there is none.
func lastValue(body []byte) (value []byte) {
	for len(body) > 0 {
		number, wire, size := protowire.ConsumeTag(body)
		body = body[size:]
		size = protowire.ConsumeFieldValue(number, wire, body)
		if number == 1 {
			value = body[:size]
		}
		body = body[size:]
	}
	return value
}

// number reads a whole number, or an enum's.
func number(k protoreflect.Kind, value []byte) (v int64, unsigned bool) {
	switch k {
	case protoreflect.Fixed32Kind:
		return int64(binary.LittleEndian.Uint32(value)), true
	case protoreflect.Sfixed32Kind:
		return int64(int32(binary.LittleEndian.Uint32(value))), false
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return int64(binary.LittleEndian.Uint64(value)), false
	}
	u, _ := varint(value, 0)
	return fromVarint(k, u)
}

// fromVarint is the number that a varint stands for.
func fromVarint(k protoreflect.Kind, u uint64) (v int64, unsigned bool) {
	switch k {
	case protoreflect.Uint32Kind:
		return int64(uint32(u)), true
	case protoreflect.Int32Kind, protoreflect.EnumKind:
		return int64(int32(u)), false
	case protoreflect.Sint32Kind:
		return protowire.DecodeZigZag(u & 0xffffffff), false
	case protoreflect.Sint64Kind:
		return protowire.DecodeZigZag(u), false
	}
	return int64(u), false
}
