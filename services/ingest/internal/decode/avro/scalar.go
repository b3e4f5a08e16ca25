package avro

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// scalarOp picks the instruction that turns a value of type w into a column of type r; ok is false where Avro's
// resolution has no rule. A logical type comes from the reader, its unit from the writer if both have one.
func scalarOp(w *typ, column *shape.Node) (code opcode, ok bool) {
	r := typeOf(column)
	if column.Override != nil && r.logical != logicalDecimal {
		return columnOp(w, r, column.Override)
	}
	switch r.kind {
	case kindBoolean:
		return opBoolean, w.kind == kindBoolean
	case kindInt, kindLong:
		code = opNumber
		switch {
		case r.logical != logicalNone:
		case w.kind == kindInt:
			code = opInt
		default:
			code = opLong
		}
		return code, w.kind == r.kind || w.kind == kindInt
	case kindFloat:
		if w.kind == kindInt || w.kind == kindLong {
			return opIntToFloat, true
		}
		return opFloat, w.kind == kindFloat
	case kindDouble:
		switch w.kind {
		case kindInt, kindLong:
			return opIntToDouble, true
		case kindFloat:
			return opFloatToDouble, true
		}
		return opDouble, w.kind == kindDouble
	case kindString:
		return opString, w.kind == kindString || w.kind == kindBytes
	case kindBytes:
		switch r.logical {
		case logicalDecimal:
			return opDecimal, w.kind == kindBytes && sameDecimal(w, r)
		case logicalBigDecimal:
			return opBigDecimal, w.kind == kindBytes && w.logical == logicalBigDecimal
		}
		return opBytes, w.kind == kindBytes || w.kind == kindString
	case kindFixed:
		ok = w.kind == kindFixed && w.size == r.size
		switch r.logical {
		case logicalDecimal:
			return opDecimal, ok && sameDecimal(w, r)
		case logicalUUID:
			return opUUID, ok
		case logicalDuration:
			return opDuration, ok
		}
		return opFixed, ok
	case kindEnum:
		return opEnum, w.kind == kindEnum
	}
	return opFail, false
}

// sameDecimal reports whether w's digits mean what r's do: the point is not in the bytes.
func sameDecimal(w, r *typ) bool {
	return w.logical != logicalBigDecimal && (w.logical != logicalDecimal || w.scale == r.scale)
}

// scalar compiles one value that has no parts.
func (c *compiler) scalar(w *typ, r *shape.Node, number int32, path *decode.Path) error {
	code, ok := scalarOp(w, r)
	takes := c.options.Takes(path)
	if !ok || code == opText && r.Override.Type != decode.Timestamp && takes&decode.TakeTime != 0 {
		c.fail(c.incompatible(w, r), path)
		return nil
	}
	column := r.Override
	if code == opNumber && column == nil {
		column = moment(w, r)
	}
	c.take(takes, w, r, column, path)
	in := op{code: code}
	switch code {
	case opText, opNumber:
		in.arg = c.cell(column, r, number)
		c.cells[in.arg].Take = column.Type == decode.Timestamp && takes&decode.TakeTime != 0
		if w.kind == kindInt {
			in.jump = 1
		}
	case opFixed:
		in.arg = int32(w.size)
	case opDecimal:
		t := typeOf(r)
		d := decimalType{precision: t.precision, scale: t.scale, size: -1}
		if w.kind == kindFixed {
			d.size = w.size
		}
		if column != nil {
			d.cell = c.cells[c.cell(column, r, number)]
		}
		in.arg = int32(len(c.decimals))
		c.decimals = append(c.decimals, d)
	case opEnum:
		in.arg = c.enum(w, r)
	}
	c.emitTagged(in, number, r.Kind.Wire(), path)
	return nil
}

// moment is the column of a logical type that counts time, as a contract would ask for it.
func moment(w *typ, r *shape.Node) *decode.Column {
	column := r.AsOverride()
	if m := moments[w.logical]; m.kind == r.Kind {
		column.Unit = m.unit
	}
	return column
}

// enums are a writer's enum and the reader's.
type enums struct {
	writer *typ
	reader *shape.Node
}

// enum is what each symbol of w becomes: itself, or r's default where r does not know it.
func (c *compiler) enum(w *typ, r *shape.Node) int32 {
	if known, ok := c.tables[enums{w, r}]; ok {
		return known
	}
	has := map[string]bool{}
	for _, symbol := range r.Symbols {
		has[symbol] = true
	}
	table := symbols{names: w.symbols, known: make([]uint64, (len(w.symbols)+63)/64), fallback: r.Fallback}
	for i, symbol := range w.symbols {
		if has[symbol] {
			table.known[i/64] |= 1 << (i % 64)
		}
	}
	c.enums = append(c.enums, table)
	at := int32(len(c.enums) - 1)
	c.tables[enums{w, r}] = at
	return at
}

// take compiles the copy of a value that the envelope needs, if this is one. A TIMESTAMP takes the event's time itself.
func (c *compiler) take(takes decode.Take, w *typ, r *shape.Node, column *decode.Column, path *decode.Path) {
	if takes&decode.TakeID != 0 {
		in := op{code: opTakeID, jump: int32(w.kind)}
		if w.kind == kindEnum {
			in.arg = c.enum(w, r)
		}
		c.emit(in, path)
	}
	if takes&decode.TakeTime == 0 || column != nil && column.Type == decode.Timestamp {
		return
	}
	unit := c.options.EventTimeUnit
	if m := moments[w.logical]; m.kind == shape.Timestamp {
		unit = m.unit
	}
	in := op{code: opTakeTime}
	in.arg = c.cell(&decode.Column{Type: decode.Timestamp, Unit: unit}, r, r.Number)
	if column != nil && column.IsMoment() {
		in.jump = 1
	}
	c.emit(in, path)
}
