package protobuf

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// columnText reads a text that becomes the column of an override. An empty one of a field without presence is an absent
// one, and that is NULL: a producer cannot leave it out in any other way.
func (m *machine) columnText(f *field, at, p, end int) int {
	size, body := length(m.src[:end], p)
	if body < 0 {
		return m.failed(at, varintFault(body))
	}
	next := body + size
	text, reason := m.src[body:next], ""
	switch {
	case size == 0 && f.implicit && f.cell.Type != decode.String:
		m.edit(at)
	case f.cell.IsVerbatim():
		if reason = f.cell.CheckText(text); reason == "" {
			return next
		}
	default:
		reason = m.appendText(f, at, text)
	}
	if reason != "" {
		return m.failed(at, reason)
	}
	m.run = next
	return next
}

// appendText writes what a text becomes in the column of an override; at is where its field starts.
func (m *machine) appendText(f *field, at int, text []byte) (reason string) {
	m.edit(at)
	m.out, reason = f.cell.AppendText(m.out, text, &m.Taken)
	return reason
}

// wrapped writes the column that the value in a wrapper becomes; it has been read.
func (m *machine) wrapped(f *field, at int, value []byte) bool {
	var reason string
	if f.inner.wire == protowire.BytesType {
		text, _ := protowire.ConsumeBytes(value)
		reason = m.appendText(f, at, text)
	} else {
		bits, _ := f.inner.bits(value, 0)
		m.edit(at)
		m.out, reason = f.cell.AppendNumber(m.out, f.inner.number(bits), &m.Taken)
	}
	return reason == "" || m.fail(at, reason)
}

// absentColumn is what the row holds where a field with an override is absent: what its default becomes, nil for NULL.
// The empty text is no value of most columns, so it is NULL unless the schema states it.
func absentColumn(fd protoreflect.FieldDescriptor, f *field) (_ []byte, reason string) {
	c, value := f.dateless().cell, f.append(nil, fd.Default())
	if f.op != opColumnText {
		bits, _ := f.bits(value, 0)
		return c.AppendNumber(nil, f.number(bits), &decode.Taken{})
	}
	text, _ := protowire.ConsumeBytes(value)
	if len(text) == 0 && c.Type != decode.String {
		return nil, ""
	}
	return c.AppendText(nil, text, &decode.Taken{})
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
