package avro

import (
	"errors"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

func TestMisplacedColumns(t *testing.T) {
	schema := recordOf(`{"name":"s","type":"string"},{"name":"n","type":"long"},{"name":"d","type":"double"},` +
		`{"name":"m","type":{"type":"map","values":"string"}},
		{"name":"u","type":["null","string","long"]},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
		{"name":"r","type":{"type":"record","name":"I","fields":[{"name":"start","type":"string"}]}}`)
	for _, c := range []struct {
		path   string
		column decode.Column
		reason string
	}{
		{"no", decode.Column{Type: decode.JSON}, "no field no"},
		{"s.x", decode.Column{Type: decode.JSON}, "no x in a string"},
		{"n", decode.Column{Type: decode.JSON}, "does not become JSON"},
		{"d", decode.Column{Type: decode.Numeric}, "of type double"},
		{"at", decode.Column{Type: decode.DateTime}, "of type long (timestamp-millis)"},
		{"m", decode.Column{Type: decode.String}, ".value behind it"},
		{"m.key", decode.Column{Type: decode.JSON}, ".value behind it"},
		{"u", decode.Column{Type: decode.String}, "no branch of this name"},
		{"u.double_value", decode.Column{Type: decode.JSON}, "no branch of this name"},
		{"s", decode.Column{Type: decode.Timestamp, Unit: decode.Millis}, "only a whole number has a unit"},
		{"s", decode.Column{Type: decode.Numeric, Precision: 60, Scale: 2}, "digits before"},
		{"r", decode.Column{Type: decode.String}, "becomes nothing else"},
		{"r", decode.Column{Type: decode.Range}, "of start and end alone"},
		{"s", decode.Column{Type: decode.Range}, "only a record"},
	} {
		_, err := Compile([]byte(schema), decode.Options{
			Contract: "c", Payload: "p", Columns: decode.Columns{c.path: c.column},
		})
		var e *decode.SchemaError
		if !errors.As(err, &e) || e.Field != "p."+c.path || !strings.HasPrefix(e.Reason, "columns: ") ||
			!strings.Contains(e.Reason, c.reason) {
			t.Errorf("%s as %v: %v, want …%s…", c.path, c.column.Type, err, c.reason)
		}
	}
}
