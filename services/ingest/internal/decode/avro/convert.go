package avro

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// durationBytes is the size of a duration: months, days and milliseconds, each 32 bits, little-endian (Avro
// specification, "Duration").
const durationBytes = 12

// columnOp picks the instruction for a column that the contract asks for. A writer that has a text where the reader has
// a number, or the other way round, is read by what it has, if that becomes such a column as well.
func columnOp(w, r *typ, column *decode.Column) (code opcode, ok bool) {
	switch text := r.kind == kindString || r.kind == kindBytes; w.kind {
	case kindString, kindBytes:
		return opText, text && (w.kind == kindString || w.logical == logicalNone) || w.becomes(column)
	case kindInt, kindLong:
		return opNumber, !text && (w.kind == kindInt || r.kind == kindLong) || w.becomes(column)
	}
	return opNumber, false
}

// becomes reports whether values of a text or a whole number become a column, whatever the type that they had before.
func (t *typ) becomes(column *decode.Column) bool {
	switch {
	case t.kind == kindString, t.kind == kindBytes && t.logical == logicalNone:
		return column.Check(decode.FromText) == ""
	case (t.kind == kindInt || t.kind == kindLong) && t.logical == logicalNone:
		return column.Check(decode.FromNumber) == ""
	}
	return false
}

// both are the columns that values of two types become, of a union each branch.
func both(have, want *shape.Node) (targets []decode.Target) {
	types := []*typ{typeOf(have), typeOf(want)}
	if want.Kind == shape.Union {
		types = types[:1]
		for _, b := range want.Parts {
			types = append(types, typeOf(b))
		}
	}
	for _, target := range decode.Targets() {
		c := &decode.Column{Type: target}
		if !slices.ContainsFunc(types, func(t *typ) bool { return t == nil || t.kind != kindNull && !t.becomes(c) }) {
			targets = append(targets, target)
		}
	}
	return targets
}

// cell keeps a column for an instruction that writes field number of r.
func (c *compiler) cell(column *decode.Column, r *shape.Node, number int32) int32 {
	c.cells = append(c.cells, &decode.Cell{
		Column: column, Tag: protowire.AppendTag(nil, protowire.Number(number), column.Wire()),
		Dates: c.options.Dates, Item: r == c.bare,
	})
	return int32(len(c.cells) - 1)
}

// convert runs the instructions about columns that the contract asks for, and those of the logical types that take more
// than a few lines. What they write is in row, or a text.
func (m *machine) convert(prog *program, in *op, out []byte, o int, src []byte, p int) (_ []byte, _, next int,
	reason string,
) {
	var value []byte
	row, text := out[:o], m.scratch[:0]
	switch next = p; in.code {
	case opRange:
		reason = prog.ranges[in.arg].Check(out[m.messages[m.nm-1].start:o])

	case opText:
		if value, next, reason = sized(src, p); reason == "" {
			row, reason = prog.cells[in.arg].AppendText(row, value, &m.Taken)
		}

	case opNumber:
		var v uint64
		switch v, next = decode.Varint(src, p); {
		case next < 0:
			reason = varintReason(next)
		case in.jump != 0 && v > math.MaxUint32:
			reason = intReason
		default:
			row, reason = prog.cells[in.arg].AppendNumber(row, protowire.DecodeZigZag(v), &m.Taken)
		}

	case opDecimal:
		d := &prog.decimals[in.arg]
		if d.size < 0 {
			value, next, reason = sized(src, p)
		} else if next = p + d.size; next > len(src) {
			reason = endReason
		} else {
			value = src[p:next]
		}
		if reason == "" {
			text, reason = decode.AppendUnscaled(text, value, d.precision, d.scale)
		}
		if reason == "" && d.cell != nil {
			row, reason = d.cell.AppendText(row, text, &m.Taken)
			text = text[:0]
		}

	case opBigDecimal:
		if value, next, reason = sized(src, p); reason == "" {
			text, reason = appendBigDecimal(text, value)
		}

	case opVariable: // the scale comes first
		var scale uint64
		if scale, next = decode.Varint(src, p); next < 0 {
			reason = varintReason(next)
		} else if value, next, reason = sized(src, next); reason == "" {
			row, reason = prog.cells[in.arg].AppendScaled(row, value, protowire.DecodeZigZag(scale), &m.Taken)
		}

	case opGeometry:
		g := &prog.geometries[in.arg]
		var srid int64
		if value, srid, next, reason = m.readGeometry(g, src, p); reason == "" {
			row, reason = g.cell.AppendShape(row, value, srid)
		}

	case opDuration:
		if next = p + durationBytes; next > len(src) {
			reason = endReason
		} else {
			text, reason = appendDuration(text, src[p:next])
		}

	case opJSON:
		m.json.Reset()
		if next, reason = m.pass(prog.skipped[in.arg], src, p, 0); reason == "" {
			row = in.appendText(row, m.json.Text)
			m.json.Trim()
		}
	}
	if m.scratch = text; len(text) > 0 && reason == "" {
		row = in.appendText(row, text)
	}
	return row[:cap(row)], len(row), next, reason
}

// appendText appends a tag and a text.
func (in *op) appendText(row, text []byte) []byte {
	var tag [4]byte
	binary.LittleEndian.PutUint32(tag[:], in.tag)
	return protowire.AppendBytes(append(row, tag[:in.tagLen]...), text)
}

// appendBigDecimal appends the text of a big-decimal: the bytes of a number, and its scale (Avro specification,
// "Decimal with scale in each value").
func appendBigDecimal(dst, value []byte) (_ []byte, reason string) {
	const malformed = "the big-decimal is not a length, the bytes of a number, and a scale"
	n, start := length(value, 0)
	if start < 0 {
		return dst, malformed
	}
	u, end := decode.Varint(value, start+n)
	if end != len(value) {
		return dst, malformed
	}
	return decode.AppendScaled(dst, value[start:start+n], protowire.DecodeZigZag(u))
}
