package json

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// A payload that is one of several objects, as registries have them for topics of several types, has the columns of
// all.
func TestAlternatives(t *testing.T) {
	const placed = `{"type":"object","title":"Placed","properties":{"id":{"type":"integer"},"at":{"type":"string",` +
		`"format":"date-time"},"who":{"type":"object","properties":{"name":{"type":"string"}}}},"required":["id","at"]}`
	const shipped = `{"type":"object","title":"Shipped","properties":{"id":{"type":"integer"},"to":{"type":"string"},` +
		`"who":{"type":"object","properties":{"mail":{"type":"string"}}},"parts":{"type":"array","items":{` +
		`"type":"object","properties":{"n":{"type":"integer"}}}}},"required":["id"]}`
	const weighed = `{"type":"object","properties":{"id":{"type":"string"},"parts":{"type":"array","items":{` +
		`"type":"object","properties":{"n":{"type":"string"}}}}}}`
	references := []Reference{{"http://example.com/placed", placed}, {"http://example.com/shipped", shipped}}
	asJSON := decode.Columns{"id": {Type: decode.JSON}, "parts.n": {Type: decode.JSON}}
	const columnsOfBoth = "{id int64, at TIMESTAMP, who {name string, mail string}, to string, parts {n int64}*}"
	for _, c := range []struct {
		schema  string
		columns decode.Columns
		want    string
	}{
		{`{"oneOf":[` + placed + `,` + shipped + `]}`, nil, columnsOfBoth},
		{`{"type":"object","anyOf":[{"type":"null"},` + placed + `,` + shipped + `]}`, nil, columnsOfBoth},
		{`{"oneOf":[{"anyOf":[` + placed + `]},` + shipped + `]}`, nil, columnsOfBoth},
		{
			`{"$id":"http://example.com/all","type":"object","additionalProperties":false,"title":"all","oneOf":[` +
				`{"$ref":"http://example.com/placed"},{"$ref":"http://example.com/shipped"}]}`, nil, columnsOfBoth,
		},
		{
			`{"oneOf":[{"$ref":"#/definitions/P"},{"$ref":"#/definitions/S"}],"definitions":{"P":` + placed + `,"S":` +
				shipped + `}}`, nil, columnsOfBoth,
		},
		{
			`{"properties":{"kind":{"type":"string"}},"required":["kind"],"oneOf":[` + placed + `,` + shipped + `]}`,
			nil, "{kind string, " + columnsOfBoth[1:],
		},
		{`{"oneOf":[` + placed + `,{"type":"null"}]}`, nil, "{id int64, at TIMESTAMP, who {name string}}"},
		{
			`{"oneOf":[` + shipped + `,` + weighed + `]}`, asJSON,
			"{id JSON, to string, who {mail string}, parts {n JSON}*}",
		},
		{
			`{"oneOf":[` + shipped + `,` + weighed + `]}`, nil,
			`!payload.id: alternatives of the schema have it with different types, long and string; write columns: ` +
				`{"id": {type: JSON}`,
		},
		{`{"oneOf":[` + shipped + `,` + weighed + `]}`, nil, `!write columns: {"parts.n": {type: JSON}`},
		{`{"oneOf":[` + placed + `,{"type":"string"}]}`, nil, `!oneOf[1] of the schema makes it a string`},
		{`{"oneOf":[` + placed + `,{"type":"object"}]}`, nil, `!oneOf[1] of the schema makes it a json`},
		{`{"oneOf":[` + placed + `,{"$ref":"#/nowhere"}]}`, nil, `!oneOf[1]: $ref "#/nowhere"`},
		{`{"oneOf":[{"type":"null"}]}`, nil, `!the schema makes it a null`},
	} {
		parsed, err := Parse([]byte(c.schema), JSONSchema, references...)
		if err != nil {
			t.Fatal(err)
		}
		p, err := parsed.Compile(Settings{}, decode.Options{Contract: "c", Payload: "payload", Columns: c.columns})
		if want, refused := strings.CutPrefix(c.want, "!"); refused || err != nil {
			if err == nil || !refused || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", c.schema, err, c.want)
			}
			continue
		}
		if got := columns(t, p); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.schema, got, c.want)
		}
	}
	// Required is what all of them require.
	p, err := Compile([]byte(`{"properties":{"kind":{"type":"string"}},"required":["kind"],"oneOf":[`+placed+`,`+
		shipped+`]}`), JSONSchema, Settings{}, decode.Options{Contract: "c", Payload: "payload"})
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{
		`{"kind":"p","id":1,"at":"1970-01-01T00:00:00Z"}`: `kind:"p" id:1 at:0`,
		`{"kind":"s","id":2,"to":"x","who":{"mail":"m"}}`: `kind:"s" id:2 who:{mail:"m"} to:"x"`,
		`{"kind":"s"}`:                  "id at 11: the field is missing, and the schema requires it",
		`{"id":1}`:                      "kind at 7: the field is missing, and the schema requires it",
		`{"kind":"s","id":1,"other":1}`: "other at 19: the schema does not know the field",
	} {
		if got := text(t, p, payload); got != want {
			t.Errorf("%s: %s, want %s", payload, got, want)
		}
	}
}
