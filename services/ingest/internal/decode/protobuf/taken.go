package protobuf

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// take takes the value src[p:end], which has been read and checked. The reason is about a time that is far away.
func (m *machine) take(f *field, p, end int) (reason string) {
	value, inner := m.src[p:end], f
	if f.op == opWrapper {
		body, _ := protowire.ConsumeBytes(value)
		if value, inner = lastValue(body), f.inner; value == nil {
			value = inner.zero()
		}
	}
	if inner.wire == protowire.BytesType {
		text, _ := protowire.ConsumeBytes(value)
		m.ID, m.HasID = text, len(text) > 0 || !f.implicit
		return ""
	}
	bits, _ := inner.bits(value, 0)
	return m.takeNumber(f, inner.number(bits))
}

// takeNumber takes a whole number, or an enum's.
func (m *machine) takeNumber(f *field, v int64) (reason string) {
	t := &m.Taken
	if f.take&decode.TakeID != 0 {
		if f.op == opEnum {
			t.Text = f.enum.text(t.Text[:0], int32(v))
			_, n := protowire.ConsumeVarint(t.Text)
			t.ID = t.Text[n:]
		} else {
			t.Text = strconv.AppendInt(t.Text[:0], v, 10)
			t.ID = t.Text
		}
		t.HasID = v != 0 || !f.implicit
	}
	if f.take&decode.TakeTime != 0 && (v != 0 || !f.implicit) {
		micros, ok := decode.ToMicros(v, m.unit)
		return t.TakeTime(m.dates, micros, ok, v < 0, f.cell != nil && f.cell.IsMoment())
	}
	return ""
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
