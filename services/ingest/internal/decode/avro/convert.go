package avro

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// durationBytes is the size of a duration: months, days and milliseconds, each 32 bits, little-endian (Avro specification, "Duration").
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

// rangeBounds says where the bounds of a RANGE are in its message.
type rangeBounds struct{ start, end protowire.Number }

// bounds compiles the check of a RANGE, within its message.
func (c *compiler) bounds(r *typ, path string) {
	number := func(name string) protowire.Number {
		return protowire.Number(slices.IndexFunc(r.fields, func(f field) bool { return f.name == name }) + 1)
	}
	c.ranges = append(c.ranges, rangeBounds{number("start"), number("end")})
	c.emit(op{code: opRange, arg: int32(len(c.ranges) - 1)}, path)
}

// convert runs the instructions about columns that the contract asks for, and those of the logical types that take more than a few lines.
func (m *machine) convert(prog *program, in *op, out []byte, o int, src []byte, p int) (_ []byte, _, _ int, reason string) {
	text, next := m.taken.scratch[:0], p
	switch in.code {
	case opRange:
		return out, o, p, prog.ranges[in.arg].check(out[m.messages[m.nm-1].start:o])

	case opText:
		n, start := length(src, p)
		if start < 0 {
			return out, o, p, lengthReason(n, start)
		}
		column, value := &prog.columns[in.arg], src[start:start+n]
		switch {
		case column.IsNumber():
			v, reason := column.Number(value)
			if reason != "" {
				return out, o, p, reason
			}
			return out, putVarint(out, putTag(out, o, in), uint64(v)), start + n, ""
		case column.IsVerbatim():
			if reason := column.CheckText(value); reason != "" {
				return out, o, p, reason
			}
			out, o = putText(out, o, in, n)
			return out, o + copy(out[o:], value), start + n, ""
		}
		text, reason = column.AppendText(text, value)
		next = start + n

	case opNumber:
		v, after := readVarint(src, p)
		switch {
		case after < 0:
			return out, o, p, varintReason(after)
		case in.jump == 1 && v > math.MaxUint32:
			return out, o, p, intReason
		}
		column := &prog.columns[in.arg]
		if column.IsNumber() {
			v, reason := column.NumberOf(unzigzag(v))
			if reason != "" {
				return out, o, p, reason
			}
			return out, putVarint(out, putTag(out, o, in), uint64(v)), after, ""
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
	m.taken.scratch = text
	out, o = putText(out, o, in, len(text))
	return out, o + copy(out[o:], text), next, ""
}

// appendBigDecimal appends the text of a big-decimal: the bytes of a number, and its scale (Avro specification, "Decimal with scale in each
// value").
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
	return appendDecimal(dst, value[start:start+n], decimalType{decode.BigNumericWhole + int(scale), int(scale)})
}

// check checks that a range starts before it ends, as BigQuery asks (GoogleSQL, "Range type"). body is the message of the range: its bounds are
// numbers, or texts that sort as the moments they stand for.
func (r rangeBounds) check(body []byte) (reason string) {
	const empty = "the range ends before it starts, or where it starts"
	var numbers [2]int64
	var texts [2][]byte
	found := 0
	for len(body) > 0 {
		number, wire, n := protowire.ConsumeTag(body)
		body = body[max(n, 0):]
		at := 0
		if number == r.end {
			at = 1
		}
		if wire == protowire.BytesType {
			texts[at], n = protowire.ConsumeBytes(body)
		} else {
			var v uint64
			v, n = protowire.ConsumeVarint(body)
			numbers[at] = int64(v)
		}
		if n < 0 {
			return empty
		}
		body = body[n:]
		found++
	}
	if found < 2 || numbers[0] < numbers[1] || string(texts[0]) < string(texts[1]) {
		return "" // a bound that is missing is none
	}
	return empty
}
