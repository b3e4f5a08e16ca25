package avro

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// variableName is Debezium's decimal with a scale in each value: a record of the scale and the bytes of a number
// (io.debezium.data.VariableScaleDecimal).
const variableName = "io.debezium.data.VariableScaleDecimal"

// isVariable says that a type is such a decimal.
func isVariable(t *typ) bool {
	return t.kind == kindRecord && t.name == variableName && len(t.fields) == 2 &&
		t.fields[0].name == "scale" && t.fields[0].typ.kind == kindInt &&
		t.fields[1].name == "value" && t.fields[1].typ.kind == kindBytes && t.fields[1].typ.logical == logicalNone
}

// variable compiles a decimal with a scale in each value; r is a number, or text.
func (c *compiler) variable(w *typ, r *shape.Node, number int32, path *decode.Path) {
	if !isVariable(w) {
		c.fail(c.origin+"'s "+w.String()+" cannot be read as the contract's "+variableName, path)
		return
	}
	c.emitTagged(op{code: opVariable, arg: c.cell(r.Override, r, number)}, number, r.Override.Wire(), path)
}
