package json

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// A field that can be no column as it is has another name, another type, or none; the payload is read by its own names.
func TestNamedSkippedAndRetyped(t *testing.T) {
	const cyclic = `{"properties":{"id":{"type":"integer"},"next":{"$ref":"#"}}}`
	for _, c := range []struct {
		schema, path string
		column       decode.Column
		payload      string
		columns, row string
	}{
		{
			`{"properties":{"@timestamp":{"format":"date-time"}}}`, "@timestamp",
			decode.Column{Name: "at"},
			`{"@timestamp":"1970-01-01T00:00:01Z"}`, `{at TIMESTAMP}`, `at:1000000`,
		},
		{
			`{"properties":{"order-id":{"type":"integer"}}}`, "order-id",
			decode.Column{Name: "order_id", Type: decode.String},
			`{"order-id":1}`, `{order_id string}`, `order_id:"1"`,
		},
		{
			`{"properties":{"a.b":{"properties":{"c.d":{"type":"integer"}}}}}`, "a.b.c.d",
			decode.Column{Name: "d"},
			`{"a.b":{"c.d":1}}`, ``, ``,
		},
		{
			`{"properties":{"a":{"properties":{"c.d":{"type":"integer"}}}}}`, "a.c.d",
			decode.Column{Name: "d"},
			`{"a":{"c.d":1}}`, `{a {d int64}}`, `a:{d:1}`,
		},
		{
			`{"properties":{"":{"type":"integer"}}}`, "",
			decode.Column{Name: "empty"},
			`{"":1}`, `{empty int64}`,
			`empty:1`,
		},
		{
			`{"properties":{"1a":{"properties":{"b":{"type":"integer"}}}}}`, "1a",
			decode.Column{Name: "a"},
			`{"1a":{"b":1}}`,
			`{a {b int64}}`, `a:{b:1}`,
		},
		{
			`{"properties":{"id":{"type":"integer"},"ID":{"type":"integer"}},"required":["ID"]}`, "ID",
			decode.Column{Skip: true},
			`{"id":1,"ID":"no"}`, `{id int64}`, `id:1`,
		},
		{
			`{"properties":{"id":{"type":"integer"},"ID":{"type":"integer"}},"required":["ID"]}`, "ID",
			decode.Column{Skip: true},
			`{"id":1}`, `{id int64}`, `id:1`,
		},
		{
			`{"properties":{"id":{"type":"integer"},"ID":{"type":"integer"}}}`, "ID",
			decode.Column{Skip: true},
			`{"id":1,"ID":{]}`, `{id int64}`, `!ID at 14`,
		},
		{
			`{"properties":{"id":{"type":"integer"},"ID":{"type":"integer"}}}`, "ID",
			decode.Column{Skip: true},
			`{"id":1,"ID":null}`, `{id int64}`, `id:1`,
		},
		{
			cyclic, "next",
			decode.Column{Type: decode.JSON},
			`{"id":1,"next":{"id":2}}`, `{id int64, next JSON}`,
			`id:1 next:"{\"id\":2}"`,
		},
		{cyclic, "next", decode.Column{Skip: true}, `{"id":1,"next":{"id":2}}`, `{id int64}`, `id:1`},
		{
			`{"properties":{"h":{"type":"string","contentEncoding":"hex"}}}`, "h",
			decode.Column{Type: decode.String},
			`{"h":"ff"}`, `{h string}`, `h:"ff"`,
		},
		{
			`{"properties":{"n":{"type":"integer"}}}`, "n",
			decode.Column{Type: decode.Float},
			`{"n":1}`, `{n double}`,
			`n:1`,
		},
		{
			`{"properties":{"_EXTRA":{"type":"integer"}}}`, "_EXTRA",
			decode.Column{Name: "extra"},
			`{"_EXTRA":1,"b":2}`,
			`{extra int64, _extra JSON}`, `extra:1 _extra:"{\"b\":2}"`,
		},
		{
			`{"properties":{"_EXTRA":{"type":"integer"}}}`, "_extra",
			decode.Column{Name: "rest"},
			`{"_EXTRA":1,"b":2}`,
			`{_EXTRA int64, rest JSON}`, `_EXTRA:1 rest:"{\"b\":2}"`,
		},
		{
			`{"properties":{"a":{"type":"integer"}}}`, "_extra",
			decode.Column{Skip: true},
			`{"a":1,"b":2}`, `{a int64}`,
			`a:1`,
		},
		{
			`{"properties":{"m":{"additionalProperties":{"type":"integer"}}}}`, "m.value",
			decode.Column{Name: "v"},
			`{"m":{"k":1}}`, `{m {key string, v int64}*}`, `m:{key:"k" v:1}`,
		},
	} {
		settings := Settings{}
		if strings.Contains(c.schema, "_EXTRA") || c.path == "_extra" {
			settings.Unknown = Keep
		}
		p, err := Compile([]byte(c.schema), JSONSchema, settings, decode.Options{
			Contract: "c", Payload: "payload", Columns: decode.Columns{c.path: c.column},
		})
		if c.columns == "" {
			if err == nil || !strings.Contains(err.Error(), `"a.b" cannot name a column`) {
				t.Errorf("%s: %v", c.schema, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %v: %v", c.schema, c.column, err)
			continue
		}
		if got := strings.ReplaceAll(columns(t, p),
			" 'Fields that the schema does not know, by their place in the payload.'",
			""); got != c.columns {
			t.Errorf("%s %v: %s, want %s", c.schema, c.column, got, c.columns)
		}
		got := text(t, p, c.payload)
		if want, failing := strings.CutPrefix(c.row, "!"); got != c.row && (!failing || !strings.HasPrefix(got, want)) {
			t.Errorf("%s %v: %s, want %s", c.schema, c.column, got, c.row)
		}
	}
}

// A branch of a union may be left out: its values are null.
func TestSkippedBranch(t *testing.T) {
	p, err := Compile([]byte(one(`["string","long"]`)), Avro, Settings{}, decode.Options{
		Contract: "c", Payload: "payload", Columns: decode.Columns{"x.long_value": {Skip: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{`{"x":"a"}`: `x:{string_value:"a"}`, `{"x":1}`: ``} {
		if got := text(t, p, payload); got != want {
			t.Errorf("%s: %s, want %s", payload, got, want)
		}
	}
}
