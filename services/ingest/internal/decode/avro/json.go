package avro

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// What a contract makes a JSON column of is written while it is read past: the JSON that docs/types.md lists. A union's
// value stands by itself, and what text stands for best is in quotes: decimals, bytes (base64), dates and times.

// textType is that of the keys of maps.
var textType = &typ{kind: kindString}

// brackets are those around the parts of a type.
func brackets(k kind) (open, shut byte) {
	if k == kindArray {
		return '[', ']'
	}
	return '{', '}'
}

// open and close write what stands around the parts of a value, if it is written.
func (m *machine) open(s *skipped) (reason string) {
	if !s.write {
		return ""
	}
	bracket, _ := brackets(s.kind)
	return m.json.Open(bracket)
}

func (m *machine) close(s *skipped) {
	if s.write {
		_, bracket := brackets(s.kind)
		m.json.Close(bracket)
	}
}

// write writes a value without parts.
func (m *machine) write(t *typ, src []byte, p int) (next int, reason string) {
	w := &m.json
	if t.kind == kindNull {
		w.Null()
		return p, ""
	}
	if next, reason = passScalar(t, src, p); reason != "" {
		return p, reason
	}
	start := p
	if t.kind == kindString || t.kind == kindBytes {
		_, start = length(src, p)
	}
	value := src[start:next]
	switch {
	case t.kind == kindString:
		reason = w.String(src, start, next-start)
	case t.logical != logicalNone:
		reason = m.writeLogical(t, value)
	case t.kind == kindEnum:
		u, _ := decode.Varint(value, 0)
		w.Name(t.symbols[u>>1])
	case t.kind == kindBoolean:
		w.Bool(value[0] == 1)
	case t.kind == kindFloat:
		reason = w.Float(float64(math.Float32frombits(binary.LittleEndian.Uint32(value))), 32)
	case t.kind == kindDouble:
		reason = w.Float(math.Float64frombits(binary.LittleEndian.Uint64(value)), 64)
	case t.kind == kindInt, t.kind == kindLong:
		u, _ := decode.Varint(value, 0)
		w.Int(protowire.DecodeZigZag(u))
	default:
		w.Bytes(value)
	}
	if reason != "" {
		return p, reason
	}
	return next, ""
}

// writeLogical writes a value of a logical type but for texts: what its bytes or its number stand for, in quotes.
func (m *machine) writeLogical(t *typ, value []byte) (reason string) {
	w := &m.json
	switch moment := moments[t.logical]; {
	case moment.kind != 0:
		u, _ := decode.Varint(value, 0)
		return writeMoment(w, moment.kind, protowire.DecodeZigZag(u), moment.unit)
	case t.logical == logicalUUID && t.kind != kindFixed:
		w.Bytes(value)
		return ""
	}
	w.Quote()
	switch t.logical {
	case logicalDecimal:
		w.Text, reason = decode.AppendUnscaled(w.Text, value, t.precision, t.scale)
	case logicalBigDecimal:
		w.Text, reason = appendBigDecimal(w.Text, value)
	case logicalDuration:
		w.Text, reason = appendDuration(w.Text, value)
	default:
		w.Text = appendUUID(w.Text, value)
	}
	w.Unquote()
	return reason
}

// writeMoment writes a date or time, as RFC 3339 writes it.
func writeMoment(w *decode.JSONWriter, k shape.Kind, v int64, unit decode.Unit) (reason string) {
	column := decode.Column{Unit: unit}
	if k == shape.Date {
		column.Type = decode.Date
	}
	micros, ok, _ := column.OfNumber(v)
	switch {
	case k == shape.Time && (!ok || micros < 0 || micros >= decode.DayMicros):
		return decode.TimeReason
	case !ok:
		return decode.TimestampReason
	case k == shape.Timestamp:
		w.Moment(micros, "Z")
		return ""
	case k == shape.DateTime:
		w.Moment(micros, "")
		return ""
	}
	w.Quote()
	if k == shape.Time {
		w.Text = decode.AppendTime(w.Text, micros)
	} else {
		w.Text = decode.AppendDateTime(w.Text, micros)[:len(w.Text)+len("2006-01-02")]
	}
	w.Unquote()
	return ""
}
