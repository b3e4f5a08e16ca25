package json

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/shape"
)

// A reference to another document leads to the one that is registered under its name, or under the URI that it resolves
// to.
func TestReferences(t *testing.T) {
	const money = `{"type":"object","properties":{"units":{"type":"integer"},"currency":{"$ref":"#/$defs/Currency"}},` +
		`"$defs":{"Currency":{"enum":["EUR","USD"]}}}`
	for name, c := range map[string]struct {
		schema     string
		references []Reference
		want       string
	}{
		"by name": {
			`{"properties":{"sum":{"$ref":"money.json"}}}`,
			[]Reference{{"money.json", money}},
			"{sum {units int64, currency string}}",
		},
		"a place in it": {
			`{"properties":{"c":{"$ref":"money.json#/$defs/Currency"}}}`,
			[]Reference{{"money.json", money}},
			"{c string}",
		},
		"twice": {
			`{"properties":{"a":{"$ref":"money.json#/$defs/Currency"},"b":{"$ref":"money.json"}}}`,
			[]Reference{{"money.json", money}},
			"{a string, b {units int64, currency string}}",
		},
		"relative to the root's id": {
			`{"$id":"https://x.example/s/bill.json","properties":{"sum":{"$ref":"money.json"}}}`,
			[]Reference{{"https://x.example/s/money.json", money}},
			"{sum {units int64, currency string}}",
		},
		"a name relative to it": {
			`{"$id":"https://x.example/s/bill.json","properties":{"sum":{"$ref":"https://x.example/s/money.json"}}}`,
			[]Reference{{"money.json", money}},
			"{sum {units int64, currency string}}",
		},
		"by its own id": {
			`{"properties":{"sum":{"$ref":"https://x.example/money"}}}`, []Reference{
				{"m", `{"$id":"https://x.example/money",` + money[1:]},
			}, "{sum {units int64, currency string}}",
		},
		"one refers to another": {
			`{"properties":{"line":{"$ref":"line.json"}}}`, []Reference{
				{"money.json", money}, {"line.json", `{"properties":{"price":{"$ref":"money.json"}}}`},
			}, "{line {price {units int64, currency string}}}",
		},
		"relative to a reference": {
			`{"properties":{"line":{"$ref":"https://x.example/a/line"}}}`, []Reference{
				{"https://x.example/a/money", money},
				{"https://x.example/a/line", `{"properties":{"price":{"$ref":"money"}}}`},
			}, "{line {price {units int64, currency string}}}",
		},
		"back to the root": {
			`{"$id":"bill","properties":{"a":{"$ref":"m"},"b":{"$ref":"#/$defs/B"}},"$defs":{"B":{"type":"boolean"}}}`,
			[]Reference{{"m", `{"properties":{"b":{"$ref":"bill#/$defs/B"}}}`}},
			"{a {b bool}, b bool}",
		},
		"same place in both": {
			`{"properties":{"a":{"$ref":"m"},"b":{"$ref":"#/$defs/B"}},"$defs":{"B":{"type":"boolean"}}}`, []Reference{
				{"m", `{"properties":{"b":{"$ref":"#/$defs/B"}},"$defs":{"B":{"type":"string"}}}`},
			}, "{a {b string}, b bool}",
		},
		"a name that is no URI": {
			`{"properties":{"sum":{"$ref":"%zz money"}}}`,
			[]Reference{{"%zz money", money}},
			"{sum {units int64, currency string}}",
		},
		"not there": {
			`{"properties":{"sum":{"$ref":"money.json"}}}`,
			[]Reference{{"mony.json", money}},
			`!payload.sum: $ref "money.json": it leads out of the document`,
		},
		"not a place in it": {
			`{"properties":{"sum":{"$ref":"money.json#/nothing"}}}`,
			[]Reference{{"money.json", money}},
			`!payload.sum: $ref "money.json#/nothing": there is no such place`,
		},
		"around in a circle": {
			`{"properties":{"a":{"$ref":"a"}}}`, []Reference{
				{"a", `{"properties":{"b":{"$ref":"b"}}}`}, {"b", `{"properties":{"a":{"$ref":"a"}}}`},
			}, `!"a" contains itself`,
		},
		"the root as its own part": {
			`{"$id":"bill","properties":{"a":{"$ref":"m"}}}`,
			[]Reference{{"m", `{"properties":{"b":{"$ref":"bill"}}}`}},
			`!"bill" contains itself`,
		},
		"an anchor": {
			`{"properties":{"a":{"$ref":"#M"},"b":{"$ref":"m#C"},"c":{"$ref":"#I"},"d":{"$ref":"#D"}},"$defs":{` +
				`"A":{"$anchor":"M","type":"integer"},"B":[{"$id":"#I","type":"boolean"}],` +
				`"C":{"$dynamicAnchor":"D","type":"number"}}}`,
			[]Reference{{"m", `{"$defs":{"Currency":{"$anchor":"C","enum":["EUR","USD"]}}}`}},
			"{a int64, b string, c bool, d double}",
		},
		"an anchor that is not there": {
			`{"properties":{"a":{"$ref":"#M"}},"$defs":{"M":{"type":"integer"}}}`, nil,
			`!payload.a: $ref "#M": no $anchor of the document is called so, and it is no path, such as #/$defs/Address`,
		},
		"an anchor around itself": {
			`{"$anchor":"M","properties":{"a":{"$ref":"#M"}}}`, nil, `!payload.a.a: "#M" contains itself`,
		},
		"alternatives behind it": {
			`{"$ref":"#/$defs/E","$defs":{"E":{"oneOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/B"}]},` +
				`"A":{"properties":{"a":{"type":"integer"},"e":{"$ref":"#/$defs/F"}}},` +
				`"B":{"properties":{"b":{"type":"string"}}},"F":{"oneOf":[{"$ref":"#/$defs/A2"},{"$ref":"#/$defs/B"}]},` +
				`"A2":{"properties":{"a":{"type":"integer"}}}}}`,
			nil, "{a int64, e JSON, b string}",
		},
		"alternatives that allOf joins": {
			`{"$ref":"#/$defs/E","$defs":{"E":{"allOf":[{"oneOf":[{"$ref":"#/$defs/A"},{"$ref":"#/$defs/B"}]},` +
				`{"anyOf":[{"$ref":"#/$defs/C"},{"properties":{"d":{"type":"number"}}}]}]},` +
				`"A":{"properties":{"a":{"type":"integer"}},"required":["a"]},` +
				`"B":{"properties":{"b":{"type":"string"}}},"C":{"properties":{"c":{"type":"boolean"}}}}}`,
			nil, "{a int64, b string, c bool, d double}",
		},
		"alternatives in one of them are JSON, as elsewhere": {
			`{"$ref":"#/$defs/E","$defs":{"E":{"oneOf":[{"properties":{"a":{"$ref":"#/$defs/E"}}},` +
				`{"properties":{"b":{"type":"string"}}}]}}}`, nil, "{a JSON, b string}",
		},
		"a document that is no JSON": {
			`{"properties":{"a":{"$ref":"m"}}}`, []Reference{{"m", `{`}}, `!schema m, which the schema refers to: `,
		},
		"too long": {
			`{}`, []Reference{{"m", strings.Repeat(" ", decode.MaxSchema)}}, `!schema: it and what it refers to have `,
		},
	} {
		s, err := Parse([]byte(c.schema), JSONSchema, c.references...)
		got := ""
		if err == nil {
			var p *Plan
			if p, err = s.Compile(Settings{}, decode.Options{Contract: "c", Payload: "payload"}); err == nil {
				got = columns(t, p)
			}
		}
		if want, bad := strings.CutPrefix(c.want, "!"); bad != (err != nil) || bad &&
			!strings.Contains(err.Error(), want) ||
			!bad && got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
}

// What a schema refers to is one of the documents beside it, or an error: an address in a schema is a name, and nobody
// calls there.
func TestReferencesAreNotFetched(t *testing.T) {
	var calls atomic.Int32
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		_, _ = w.Write([]byte(`{"type":"string"}`)) // a caller that is gone does not matter
	}))
	t.Cleanup(there.Close)
	for _, schema := range []string{
		`{"properties":{"p":{"$ref":"%s/s.json"}}}`, `{"$id":"%s/a.json","properties":{"p":{"$ref":"s.json"}}}`,
		`{"$schema":"%s/s.json","properties":{"p":{"$ref":"#/$defs/none"}}}`,
	} {
		s, err := Parse([]byte(strings.Replace(schema, "%s", there.URL, 1)), JSONSchema)
		if err == nil {
			_, err = s.Compile(Settings{}, decode.Options{Contract: "c", Payload: "payload"})
		}
		if err == nil || calls.Load() != 0 {
			t.Errorf("%s: %v, %d calls", schema, err, calls.Load())
		}
	}
}

// FuzzReferences: no documents, however they refer to each other, make the reading of them panic or run on.
func FuzzReferences(f *testing.F) {
	f.Add(`{"$id":"http://x/a","properties":{"p":{"$ref":"b#/$defs/B"}}}`, "b",
		`{"$defs":{"B":{"$ref":"a#/properties/p"}}}`)
	f.Add(`{"properties":{"p":{"$ref":"b"},"q":{"$ref":"b#/properties/r"}}}`, "b",
		`{"properties":{"r":{"type":"string"}}}`)
	f.Fuzz(func(t *testing.T, schema, name, text string) {
		s, err := Parse([]byte(schema), JSONSchema, Reference{name, text}, Reference{"other", text})
		if err != nil {
			return
		}
		// What is wrong with the payload itself is reported when it is to become columns.
		if _, err := s.Compile(Settings{}, decode.Options{Contract: "c", Payload: "payload"}); err == nil &&
			s.root.Kind != shape.Record {
			t.Fatal("columns of a payload that is no object")
		}
	})
}
