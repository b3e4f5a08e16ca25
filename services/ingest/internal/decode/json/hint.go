package json

import (
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// hintOf is the column that a JSON Schema of a source stands for, by the name that Kafka Connect's JsonSchemaConverter
// leaves in `title`; nil for none. A format says more. A Decimal is a number only where the converter writes numbers;
// as text it is base64 of the digits. Text that is JSON stays text: a JSON column would hold it in quotes.
func hintOf(n *node, found *shape.Node) *decode.Column {
	column := decode.HintOf(n.get("title").text())
	switch {
	case found.Source == variable:
		return column
	case column == nil || n.get("format") != nil || column.Type == decode.JSON:
		return nil
	case column.Type == decode.BigNumeric && found.Kind != shape.Double && !found.Kind.IsWhole():
		return nil
	case column.Unit != decode.Auto && !found.Kind.IsWhole():
		return nil
	}
	return column
}
