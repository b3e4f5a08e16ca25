package avro

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// What a contract makes a JSON column of is written to the machine's scratch while it is read past: the JSON that
// docs/types.md lists. A union's value stands by itself, and what text stands for best is in quotes: decimals, bytes
// (base64), dates and times.

// keys are those of a map.
var keys = &skipped{kind: kindString, code: opSkipBytes, write: &typ{kind: kindString}}

// between is what comes before a field.
func between(i int) byte {
	if i == 0 {
		return '{'
	}
	return ','
}

// open and close write what stands around the items of an array, or the entries of a map.
func (m *machine) open(s *skipped, index int) {
	c := between(index)
	if index == 0 && s.kind == kindArray {
		c = '['
	}
	m.scratch = append(m.scratch, c)
}

func (m *machine) close(s *skipped, index int) {
	if index == 0 {
		m.open(s, 0)
	}
	c := byte('}')
	if s.kind == kindArray {
		c = ']'
	}
	m.scratch = append(m.scratch, c)
}

// write writes a value without parts.
func (m *machine) write(s *skipped, src []byte, p int) (next int, reason string) {
	if s.kind == kindNull {
		m.scratch = append(m.scratch, "null"...)
		return p, ""
	}
	if s.kind == kindBoolean {
		if p >= len(src) || src[p] > 1 {
			return p, booleanReason
		}
		m.scratch = strconv.AppendBool(m.scratch, src[p] == 1)
		return p + 1, ""
	}
	if next, reason = passScalar(s.code, s.arg, src, p); reason != "" {
		return p, reason
	}
	t, value, quote := s.write, src[p:next], len(m.scratch)
	if s.code == opSkipBytes {
		_, start := length(src, p)
		value = src[start:next]
	}
	v, _ := readVarint(value, 0)
	switch {
	case t.logical != logicalNone:
	case t.kind == kindEnum:
		m.scratch = decode.AppendQuoted(m.scratch, t.symbols[v>>1])
		return next, ""
	case t.kind != kindString && t.kind != kindBytes && t.kind != kindFixed:
		if m.scratch, reason = appendNumber(m.scratch, t.kind, value); reason != "" {
			return p, reason
		}
		return next, ""
	}
	if t.kind == kindString {
		if !decode.ValidText(value, 0, len(value)) {
			return p, decode.InvalidUTF8
		}
		m.scratch = decode.AppendQuoted(m.scratch, value)
		return next, ""
	}
	m.scratch = append(m.scratch, '"')
	out := m.scratch
	switch {
	case t.logical == logicalDecimal:
		out, reason = appendDecimal(out, value, &decimalType{precision: t.precision, scale: t.scale})
	case t.logical == logicalBigDecimal:
		out, reason = appendBigDecimal(out, value)
	case t.logical == logicalDuration:
		part := func(at int) int64 { return int64(binary.LittleEndian.Uint32(value[at:])) }
		out, reason = decode.AppendInterval(out, part(0), part(4), part(8)*1000)
	case t.logical == logicalUUID && t.kind == kindFixed:
		out = appendUUID(out, value)
	case moments[t.logical].kind != 0:
		out, reason = appendMoment(out, t.logical, unzigzag(v))
	default:
		out = base64.StdEncoding.AppendEncode(out, value)
	}
	if reason != "" {
		m.scratch = m.scratch[:quote]
		return p, reason
	}
	out = append(out, '"')
	m.scratch = out
	return next, ""
}

// appendNumber appends a number that has no logical type.
func appendNumber(dst []byte, k kind, value []byte) (_ []byte, reason string) {
	var v float64
	bits := 64
	switch k {
	case kindFloat:
		v, bits = float64(math.Float32frombits(binary.LittleEndian.Uint32(value))), 32
	case kindDouble:
		v = math.Float64frombits(binary.LittleEndian.Uint64(value))
	default:
		u, _ := readVarint(value, 0)
		return strconv.AppendInt(dst, unzigzag(u), 10), ""
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return dst, "the number is NaN or infinite, which JSON does not have"
	}
	return decode.AppendNumber(dst, v, bits), ""
}

// appendMoment appends the text of a date or time, as RFC 3339 writes it.
func appendMoment(dst []byte, l logical, v int64) (_ []byte, reason string) {
	from, zone := len(dst), ""
	switch {
	case l == logicalDate && v >= decode.MinDays && v <= decode.MaxDays:
		return decode.AppendDateTime(dst, v*decode.DayMicros)[:from+len("2006-01-02")], ""
	case l == logicalTimeMillis || l == logicalTimeMicros:
		unit := int64(1)
		if l == logicalTimeMillis {
			unit = 1000
		}
		if v < 0 || v >= decode.DayMicros/unit {
			return dst, "the time is not within a day"
		}
		return decode.AppendTime(dst, v*unit), ""
	case l <= logicalTimestampNanos:
		zone = "Z"
	}
	v, ok := decode.ToMicros(v, moments[l].unit)
	if !ok || l == logicalDate {
		return dst, decode.TimestampReason
	}
	dst = append(decode.AppendDateTime(dst, v), zone...)
	dst[from+len("2006-01-02")] = 'T'
	return dst, ""
}
