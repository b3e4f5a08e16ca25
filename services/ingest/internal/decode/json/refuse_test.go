package json

import (
	"errors"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Every field that cannot be a column is told. What is wrong with the schema by itself goes before what its columns
// cannot be, and that before defaults that do not fit.
func TestAllThatIsWrongWithASchema(t *testing.T) {
	for name, c := range map[string]struct {
		schema   string
		language Language
		settings Settings
		columns  decode.Columns
		id, time string
		want     string
	}{
		"unreadable": {
			schema: `{"properties":{"ok":{"type":"string"},"a":{"type":"strin"},"b":{"properties":{"c":{"$ref":"#/$defs/gone"},"d":{"$ref":"#/$defs/bad"},"e":{"$ref":"#/$defs/bad"}}},
				"list":{"items":{"contentEncoding":"quoted"}}},"$defs":{"bad":{"$dynamicRef":"x"}}}`,
			language: JSONSchema, id: "gone", want: "payload.a payload.b.c payload.b.d payload.b.e payload.list[] payload.gone",
		},
		"no columns": {
			schema:   `{"properties":{"a-b":{"type":"string"},"in":{"properties":{"x y":{"type":"string"}}},"same":{"type":"string"},"Same":{"type":"string"},"_extra":{"type":"string"},"list":{"items":{"type":"string"}}}}`,
			language: JSONSchema, settings: Settings{Unknown: Keep}, columns: decode.Columns{"list": {Type: decode.Range}, "nothing": {Type: decode.JSON}}, id: "list", time: "no",
			want: "payload.list payload.nothing payload.a-b payload.in.x y payload.Same payload._extra payload.no",
		},
		"defaults": {
			schema:   `{"properties":{"a":{"type":"integer","default":"x"},"b":{"properties":{"c":{"type":"boolean","default":1}}},"d":{"type":"integer","default":1}}}`,
			language: JSONSchema, want: "payload.a payload.b.c",
		},
		"unions of Avro": {
			schema: `{"type":"record","name":"R","fields":[{"name":"a","type":["int","long"]},{"name":"b","type":"int"},{"name":"c","type":{"type":"map","values":["string","bytes"]}}]}`,
			want:   "payload.a payload.c[].value",
		},
	} {
		_, err := Compile([]byte(c.schema), c.language, c.settings, decode.Options{Contract: "c", Payload: "payload", EventID: c.id, EventTime: c.time, Columns: c.columns})
		var all decode.SchemaErrors
		if !errors.As(err, &all) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var fields []string
		for _, e := range all {
			fields = append(fields, e.Field)
		}
		if got := strings.Join(fields, " "); got != c.want {
			t.Errorf("%s: told are %s: %v", name, got, err)
		}
	}
}
