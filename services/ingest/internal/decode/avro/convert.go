package avro

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// durationBytes is the size of a duration: months, days and milliseconds, each 32 bits, little-endian (Avro
// specification, "Duration").
const durationBytes = 12

// columnOp picks the instruction for a column that the contract asks for.
func columnOp(w, r *typ) (code opcode, ok bool) {
	switch {
	case r.kind == kindString || r.kind == kindBytes:
		return opText, w.kind == kindString || w.kind == kindBytes && w.logical == logicalNone
	case r.kind == kindLong && w.kind == kindInt:
		return opNumber, true
	}
	return opNumber, w.kind == r.kind
}

// column keeps a column for an instruction.
func (c *compiler) column(column *decode.Column) int32 {
	c.columns = append(c.columns, *column)
	return int32(len(c.columns) - 1)
}

// convert runs the instructions about columns that the contract asks for, and those of the logical types that take more
// than a few lines.
func (m *machine) convert(prog *program, in *op, out []byte, o int, src []byte, p int) (_ []byte, _, _ int,
	reason string,
) {
	text, next := m.scratch[:0], p
	switch in.code {
	case opRange:
		return out, o, p, prog.ranges[in.arg].Check(out[m.messages[m.nm-1].start:o])

	case opText:
		n, start := length(src, p)
		if start < 0 {
			return out, o, p, lengthReason(n, start)
		}
		column := &prog.columns[in.arg]
		if prog.dates != nil && column.IsMoment() {
			micros, null, reason := m.farText(prog.dates, column, src[start:start+n])
			out, o, reason = m.far(in, column, out, o, micros, null, reason)
			return out, o, start + n, reason
		}
		out, o, reason = m.put(column, in, out, o, text, src[start:start+n])
		return out, o, start + n, reason

	case opDecimal:
		d := &prog.decimals[in.arg]
		n, start := d.size, p
		if n < 0 {
			if n, start = length(src, p); start < 0 {
				return out, o, p, lengthReason(n, start)
			}
		} else if len(src)-p < n {
			return out, o, p, endReason
		}
		next = start + n
		if text, reason = appendDecimal(text, src[start:next], d); reason == "" && d.column != nil {
			m.scratch = text
			out, o, reason = m.put(d.column, in, out, o, text, text)
			return out, o, next, reason
		}

	case opVariable:
		if text, next, reason = appendVariable(text, src, p); reason == "" {
			m.scratch = text
			out, o, reason = m.put(&prog.columns[in.arg], in, out, o, text, text)
			return out, o, next, reason
		}

	case opGeometry:
		var null bool
		if text, next, null, reason = m.appendGeometry(&prog.geometries[in.arg], text, src, p); null {
			return out, o, next, reason
		}

	case opJSON:
		m.json.Reset()
		if next, reason = m.pass(prog.skipped[in.arg], src, p, 0); reason != "" {
			return out, o, next, reason
		}
		out, o = putText(out, o, in, len(m.json.Text))
		o += copy(out[o:], m.json.Text)
		m.json.Trim()
		return out, o, next, ""

	case opNumber:
		v, after := readVarint(src, p)
		switch {
		case after < 0:
			return out, o, p, varintReason(after)
		case in.jump&is32 != 0 && v > math.MaxUint32:
			return out, o, p, intReason
		}
		column := &prog.columns[in.arg]
		switch {
		case prog.dates != nil && column.IsMoment():
			micros, ok, before := column.OfNumber(unzigzag(v))
			micros, null, reason := m.Far(prog.dates, micros, ok, before)
			out, o, reason = m.far(in, column, out, o, micros, null, reason)
			return out, o, after, reason
		case column.Type == decode.Float:
			o = putTag(out, o, in)
			binary.LittleEndian.PutUint64(out[o:], math.Float64bits(float64(unzigzag(v))))
			return out, o + 8, after, ""
		case column.IsNumber():
			v, reason := column.NumberOf(unzigzag(v))
			if reason != "" {
				return out, o, p, reason
			}
			return out, decode.PutVarint(out, putTag(out, o, in), uint64(v)), after, ""
		}
		text, reason = column.AppendNumber(text, unzigzag(v))
		next = after

	case opDuration:
		if len(src)-p < durationBytes {
			return out, o, p, endReason
		}
		part := func(at int) int64 { return int64(binary.LittleEndian.Uint32(src[p+at:])) }
		text, reason = decode.AppendInterval(text, part(0), part(4), part(8)*1000)
		next = p + durationBytes

	case opBigDecimal:
		n, start := length(src, p)
		if start < 0 {
			return out, o, p, lengthReason(n, start)
		}
		text, reason = appendBigDecimal(text, src[start:start+n])
		next = start + n
	}
	if reason != "" {
		return out, o, p, reason
	}
	m.scratch = text
	out, o = putText(out, o, in, len(text))
	return out, o + copy(out[o:], text), next, ""
}

// put writes what a text becomes in a column that the contract asks for. scratch is where texts are made, behind what
// is in it.
func (m *machine) put(
	column *decode.Column, in *op, out []byte, o int, scratch, value []byte,
) (_ []byte, _ int, reason string) {
	switch {
	case column.IsNumber():
		v, reason := column.Number(value)
		if reason != "" {
			return out, o, reason
		}
		return out, decode.PutVarint(out, putTag(out, o, in), uint64(v)), ""
	case column.Type == decode.Float:
		v, reason := column.Float(value)
		if reason != "" {
			return out, o, reason
		}
		o = putTag(out, o, in)
		binary.LittleEndian.PutUint64(out[o:], math.Float64bits(v))
		return out, o + 8, ""
	case column.IsVerbatim():
		reason = column.CheckText(value)
	default:
		var text []byte
		text, reason = column.AppendText(scratch, value)
		value = text[len(scratch):]
		m.scratch = text
	}
	if reason != "" {
		return out, o, reason
	}
	out, o = putText(out, o, in, len(value))
	return out, o + copy(out[o:], value), ""
}

// appendBigDecimal appends the text of a big-decimal: the bytes of a number, and its scale (Avro specification,
// "Decimal with scale in each value").
func appendBigDecimal(dst, value []byte) (_ []byte, reason string) {
	const malformed = "the big-decimal is not a length, the bytes of a number, and a scale"
	n, start := length(value, 0)
	if start < 0 {
		return dst, malformed
	}
	u, end := readVarint(value, start+n)
	if end != len(value) {
		return dst, malformed
	}
	// A scale outside of these could be made up for by zeros only, which writers have no reason to write.
	scale := unzigzag(u)
	if scale < 0 || scale > decode.BigNumericScale {
		return dst, fmt.Sprintf("the scale %d of the big-decimal is not within 0 and %d", scale, decode.BigNumericScale)
	}
	return appendDecimal(dst, value[start:start+n], &decimalType{
		precision: decode.BigNumericWhole + int(scale), scale: int(scale),
	})
}
