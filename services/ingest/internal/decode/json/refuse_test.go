package json

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// Every field that cannot be a column is reported. What is wrong with the schema by itself goes before what its columns
// cannot be.
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
			schema: `{"properties":{"ok":{"type":"string"},"a":{"type":"strin"},` +
				`"b":{"properties":{"c":{"$ref":"#/$defs/gone"},"d":{"$ref":"#/$defs/bad"},"e":{"$ref":"#/$defs/bad"}}},
				"list":{"items":{"contentEncoding":"quoted"}}},"$defs":{"bad":{"$dynamicRef":"x"}}}`,
			language: JSONSchema, id: "gone", want: "payload.a payload.b.c payload.b.d payload.b.e payload.list[] " +
				"payload.gone",
		},
		"no columns": {
			schema: `{"properties":{"a-b":{"type":"string"},"in":{"properties":{"x y":{"type":"string"}}},` +
				`"same":{"type":"string"},"Same":{"type":"string"},"_extra":{"type":"string"},"list":{"items":{"type":"string"}}}}`,
			language: JSONSchema, settings: Settings{Unknown: Keep}, columns: decode.Columns{
				"list": {Type: decode.Range}, "nothing": {Type: decode.JSON},
			}, id: "list", time: "no",
			want: "payload.list payload.nothing payload.a-b payload.in.x y payload.Same payload._extra payload.no",
		},
		"unions of Avro": {
			schema: `{"type":"record","name":"R","fields":[{"name":"a","type":["int","long"]},{"name":"b","type":"int"},` +
				`{"name":"c","type":{"type":"map","values":["string","bytes"]}}]}`,
			want: "payload.a payload.c[].value",
		},
	} {
		_, err := Compile([]byte(c.schema), c.language, c.settings, decode.Options{
			Contract: "c", Payload: "payload", EventID: c.id, EventTime: c.time, Columns: c.columns,
		})
		if got := decodetest.Faults(t, err); got != c.want {
			t.Errorf("%s: at fault are %s: %v", name, got, err)
		}
	}
}

// A default that is no value of its field costs no contract: it is a warning, and the records that need it are refused.
func TestDefaultsOfAnotherType(t *testing.T) {
	for _, c := range []struct {
		schema   string
		language Language
		warned   int
	}{
		{
			`{"properties":{"a":{"type":"integer","default":"x"},"b":{"properties":{"c":{"type":"boolean","default":1}}},` +
				`"d":{"type":"integer","default":1}}}`, JSONSchema, 2,
		},
		{
			`{"type":"record","name":"R","fields":[{"name":"a","type":["null","string"],"default":"null"},{"name":"d",` +
				`"type":"int","default":1},
				{"name":"b","type":["null",{"type":"record","name":"B","fields":[{"name":"c","type":"boolean","default":1}]}],` +
				`"default":null}]}`, Avro, 2,
		},
	} {
		p, err := Compile([]byte(c.schema), c.language, Settings{}, decode.Options{Contract: "c", Payload: "payload"})
		if err != nil || len(p.Warnings()) != c.warned {
			t.Fatalf("%s: %v, warned of %q", c.schema, err, p.Warnings())
		}
		for payload, want := range map[string]string{
			`{}`:                "a at 1: the field is missing, and its default",
			`{"a":null}`:        "d:1",
			`{"a":null,"b":{}}`: "b.c at 15: the field is missing, and its default",
		} {
			if got := text(t, p, payload); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s: %s, want %s", c.schema, payload, got, want)
			}
		}
		p, err = Compile([]byte(c.schema), c.language, Settings{Lenient: true},
			decode.Options{Contract: "c", Payload: "payload"})
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, p, `{}`); got != "d:1" {
			t.Errorf("%s: lenient: %s", c.schema, got)
		}
	}
}
