package avro

import (
	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// hintOf is the column that the schema of a source stands for, by the name that Kafka Connect's AvroConverter leaves in
// `connect.name`; nil for none. A logical type says more. It has no say where it is a decimal of as many digits as
// Connect writes for "any number of them", which no column has.
func hintOf(t *typ, n *avro.SchemaNode) *decode.Column {
	name, _ := n.Props["connect.name"].(string)
	column := decode.HintOf(name)
	switch {
	case column == nil:
		return nil
	case t.logical == logicalDecimal:
		if column.Type == decode.BigNumeric && t.precision-t.scale > decode.BigNumericWhole {
			return column
		}
		return nil
	case t.kind == kindRecord && name == variableName:
		return column
	case t.logical != logicalNone || column.Type == decode.BigNumeric:
		return nil
	}
	return column
}
