package protobuf

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// askedCode is how a field is read whose column the contract asks for.
func askedCode(k protoreflect.Kind) code {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return opColumnText
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return opColumnFixed64
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return opColumnFixed32
	}
	return opColumnVarint
}

// columnText reads a text that becomes the column asked for. An empty one of a field without presence is an absent one,
// and that is NULL: a producer cannot leave it out in any other way.
func (m *machine) columnText(f *field, at, p, end int) int {
	size, body := length(m.src[:end], p)
	if body < 0 {
		m.fail(at, varintFault(body))
		return -1
	}
	next := body + size
	text, reason := m.src[body:next], ""
	switch {
	case size == 0 && f.implicit && f.column.Type != decode.String:
		m.edit(at)
	case m.dates != nil && f.column.IsMoment():
		m.edit(at)
		micros, ok, before, wrong := f.column.OfText(text)
		if reason = wrong; wrong == "" {
			m.out, reason = m.far(f, m.out, micros, ok, before)
		}
	case f.column.IsVerbatim():
		if reason = f.column.CheckText(text); reason == "" {
			return next
		}
	default:
		reason = m.appendText(f, at, text)
	}
	if reason != "" {
		m.fail(at, reason)
		return -1
	}
	m.run = next
	return next
}

// appendText writes what a text becomes in the column asked for; at is where its field starts.
func (m *machine) appendText(f *field, at int, text []byte) (reason string) {
	switch {
	case f.column.Type == decode.Float:
		v, reason := f.column.Float(text)
		if reason != "" {
			return reason
		}
		m.edit(at)
		m.out = protowire.AppendFixed64(append(m.out, f.out...), math.Float64bits(v))
	case f.column.IsNumber():
		v, reason := f.column.Number(text)
		if reason != "" {
			return reason
		}
		m.edit(at)
		m.out = binary.AppendUvarint(append(m.out, f.out...), uint64(v))
	default:
		written, reason := f.column.AppendText(m.json.Text[:0], text)
		if reason != "" {
			return reason
		}
		m.json.Text = written
		m.edit(at)
		m.out = protowire.AppendBytes(append(m.out, f.out...), written)
	}
	return ""
}

// wrapped writes the column that the value in a wrapper becomes; it has been read, and is empty for the zero.
func (m *machine) wrapped(f *field, at int, value []byte) bool {
	reason := ""
	switch f.kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		text, _ := protowire.ConsumeBytes(value)
		if m.dates == nil || !f.column.IsMoment() {
			reason = m.appendText(f, at, text)
			break
		}
		micros, ok, before, wrong := f.column.OfText(text)
		if reason = wrong; wrong == "" {
			m.edit(at)
			m.out, reason = m.far(f, m.out, micros, ok, before)
		}
	default:
		if len(value) == 0 {
			value = zeros[:]
		}
		v, _ := number(f.kind, value)
		m.edit(at)
		if m.dates != nil && f.column.IsMoment() {
			micros, ok, before := f.column.OfNumber(v)
			m.out, reason = m.far(f, m.out, micros, ok, before)
		} else {
			m.out, reason = f.appendColumn(m.out, v)
		}
	}
	return reason == "" || m.fail(at, reason)
}

// zeros are the zero of every number.
var zeros [8]byte

// columnNumber reads a whole number at src[p:] and writes what the column asked for makes of it, tag included. The
// caller has made the edit.
func (m *machine) columnNumber(f *field, src []byte, p int) (next int, reason string) {
	switch f.op {
	case opColumnFixed64, opColumnFixed32:
		if next = p + widths[f.op]; next > len(src) {
			return -1, endReason
		}
	default:
		if _, next = varint(src, p); next < 0 {
			return -1, varintFault(next)
		}
	}
	v, _ := number(f.kind, src[p:next])
	if v < 0 && (f.kind == protoreflect.Uint64Kind || f.kind == protoreflect.Fixed64Kind) {
		return -1, unsignedReason
	}
	if m.dates != nil && f.column.IsMoment() {
		micros, ok, before := f.column.OfNumber(v)
		m.out, reason = m.far(f, m.out, micros, ok, before)
	} else {
		m.out, reason = f.appendColumn(m.out, v)
	}
	if reason != "" {
		return -1, reason
	}
	return next, ""
}

// far appends a date or time that may be far away, with its tag, unless it is null.
func (m *machine) far(f *field, out []byte, micros int64, ok, before bool) (_ []byte, reason string) {
	micros, null, reason := m.Far(m.dates, micros, ok, before)
	switch {
	case reason != "":
		return out, reason
	case null && f.bit < 0:
		return out, decode.FarItemReason
	case null:
		return out, ""
	}
	return f.column.AppendMoment(append(out, f.out...), micros), ""
}

// appendColumn appends the column that a whole number becomes, with its tag.
func (f *field) appendColumn(out []byte, v int64) (_ []byte, reason string) {
	var room [80]byte
	switch {
	case f.column.Type == decode.Float:
		return protowire.AppendFixed64(append(out, f.out...), math.Float64bits(float64(v))), ""
	case f.column.IsNumber():
		v, reason = f.column.NumberOf(v)
		return binary.AppendUvarint(append(out, f.out...), uint64(v)), reason
	}
	text, reason := f.column.AppendNumber(room[:0], v)
	return protowire.AppendBytes(append(out, f.out...), text), reason
}

// absentColumn is what the row holds where a field whose column is asked for is absent: what its default becomes, nil
// for NULL. The empty text is no value of most columns, so it is NULL unless the schema states it.
func absentColumn(fd protoreflect.FieldDescriptor, f *field) (_ []byte, reason string) {
	if f.op != opColumnText {
		v, _ := number(f.kind, appendScalar(nil, f.kind, fd.Default()))
		return f.appendColumn(nil, v)
	}
	var value []byte
	if f.kind == protoreflect.StringKind {
		value = []byte(fd.Default().String())
	} else {
		value = fd.Default().Bytes()
	}
	switch {
	case len(value) == 0 && f.column.Type != decode.String:
		return nil, ""
	case f.column.Type == decode.Float:
		v, reason := f.column.Float(value)
		return protowire.AppendFixed64(slices.Clone(f.out), math.Float64bits(v)), reason
	case f.column.IsNumber():
		v, reason := f.column.Number(value)
		return binary.AppendUvarint(slices.Clone(f.out), uint64(v)), reason
	}
	written, reason := f.column.AppendText(nil, value)
	return protowire.AppendBytes(slices.Clone(f.out), written), reason
}

// bounds checks the RANGE that ends at src[end]: its message is the innermost one.
func (m *machine) bounds(n *node, at, end int) bool {
	if m.twice {
		return true // it is read again, once
	}
	m.edit(end)
	if reason := n.bounds.Check(m.out[m.frames[m.depth-1].start:]); reason != "" {
		return m.fail(at, reason)
	}
	return true
}
