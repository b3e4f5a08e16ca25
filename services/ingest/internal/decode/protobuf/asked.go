package protobuf

import (
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

// cell is the column asked for.
func (m *machine) cell(f *field) decode.Cell {
	return decode.Cell{Column: f.column, Tag: f.out, Dates: m.dates, Item: f.bit < 0}
}

// appendText writes what a text becomes in the column asked for; at is where its field starts.
func (m *machine) appendText(f *field, at int, text []byte) (reason string) {
	m.edit(at)
	c := m.cell(f)
	m.out, reason = c.AppendText(m.out, text, &m.Taken)
	return reason
}

// wrapped writes the column that the value in a wrapper becomes; it has been read, and is empty for the zero.
func (m *machine) wrapped(f *field, at int, value []byte) bool {
	var reason string
	switch f.kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		text, _ := protowire.ConsumeBytes(value)
		reason = m.appendText(f, at, text)
	default:
		if len(value) == 0 {
			value = zeros[:]
		}
		v, _ := number(f.kind, value)
		m.edit(at)
		c := m.cell(f)
		m.out, reason = c.AppendNumber(m.out, v, &m.Taken)
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
	c := m.cell(f)
	m.out, reason = c.AppendNumber(m.out, v, &m.Taken)
	if reason != "" {
		return -1, reason
	}
	return next, ""
}

// absentColumn is what the row holds where a field whose column is asked for is absent: what its default becomes, nil
// for NULL. The empty text is no value of most columns, so it is NULL unless the schema states it.
func absentColumn(fd protoreflect.FieldDescriptor, f *field) (_ []byte, reason string) {
	c := decode.Cell{Column: f.column, Tag: f.out}
	if f.op != opColumnText {
		v, _ := number(f.kind, appendScalar(nil, f.kind, fd.Default()))
		return c.AppendNumber(nil, v, &decode.Taken{})
	}
	var value []byte
	if f.kind == protoreflect.StringKind {
		value = []byte(fd.Default().String())
	} else {
		value = fd.Default().Bytes()
	}
	if len(value) == 0 && f.column.Type != decode.String {
		return nil, ""
	}
	return c.AppendText(nil, value, &decode.Taken{})
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
