package json

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// columns lists the columns of a plan: name, type, * for REPEATED, and those of a RECORD in braces.
func columns(t decodetest.T, p decode.Plan) string {
	t.Helper()
	row := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	if err := p.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	messages := map[string]*descriptorpb.DescriptorProto{}
	for _, m := range row.NestedType {
		if messages[m.GetName()] != nil {
			t.Fatal("two messages " + m.GetName())
		}
		messages[m.GetName()] = m
	}
	var list func(m *descriptorpb.DescriptorProto) string
	list = func(m *descriptorpb.DescriptorProto) string {
		var parts []string
		for _, f := range m.Field {
			kind := strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
			if f.Options != nil {
				c := proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column)
				if c.Type != 0 {
					kind = strings.TrimPrefix(c.Type.String(), "COLUMN_TYPE_")
				}
				if c.Precision > 0 {
					kind += fmt.Sprintf("(%d,%d)", c.Precision, c.Scale)
				}
				if c.Description != "" {
					kind += " '" + c.Description + "'"
				}
			}
			if f.TypeName != nil {
				kind = list(messages[f.GetTypeName()])
			}
			if f.GetLabel() == descriptorpb.FieldDescriptorProto_LABEL_REPEATED {
				kind += "*"
			}
			parts = append(parts, f.GetName()+" "+kind)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return list(messages[row.Field[0].GetTypeName()])
}

// Each line is a property's schema and its column.
func TestJSONSchemaColumns(t *testing.T) {
	for _, c := range [][2]string{
		{`{"type":"string"}`, `string`},
		{`{"type":"integer","minimum":0,"format":"int32"}`, `int64`},
		{`{"type":"number"}`, `double`},
		{`{"type":"boolean","description":"Whether."}`, `bool 'Whether.'`},
		{`{"type":["null","string"]}`, `string`},
		{`{"type":["integer","number"]}`, `double`},
		{`{"type":["integer","string"]}`, `JSON`},
		{`{"type":"string","format":"date-time"}`, `TIMESTAMP`},
		{`{"type":"string","format":"date"}`, `DATE`},
		{`{"type":"string","format":"time"}`, `TIME`},
		{`{"type":"string","format":"uuid"}`, `string`},
		{`{"format":"date"}`, `DATE`},
		{`{"type":"string","contentEncoding":"base64"}`, `bytes`},
		{`{"enum":["a","b",null]}`, `string`},
		{`{"enum":[1,2]}`, `int64`},
		{`{"enum":[1,2.5]}`, `double`},
		{`{"enum":[1,"a"]}`, `JSON`},
		{`{"enum":["a","b","a"]}`, `string`},
		{`{"enum":[]}`, `JSON`},
		{`{"oneOf":[]}`, `JSON`},
		{`{"anyOf":[]}`, `JSON`},
		{`{"allOf":[]}`, `JSON`},
		{`{"type":"integer","allOf":[]}`, `int64`},
		{`{"type":[]}`, `JSON`},
		{`{"nullable":true,"oneOf":[{"type":"array","nullable":true,"items":{"type":"string"}},{"type":"string"}]}`, `JSON`},
		{`{"const":"a"}`, `string`},
		{`{"const":true}`, `bool`},
		{`{}`, `JSON`},
		{`true`, `JSON`},
		{`{"type":"object"}`, `JSON`},
		{`{"type":"object","additionalProperties":true}`, `JSON`},
		{`{"type":"object","additionalProperties":{"type":"integer"}}`, `{key string, value int64}*`},
		{`{"additionalProperties":{"type":"array","items":{"type":"string"}}}`, `{key string, value string*}*`},
		{`{"additionalProperties":{}}`, `JSON`},
		{`{"patternProperties":{"^x":{"type":"boolean"}},"additionalProperties":false}`, `{key string, value bool}*`},
		{`{"patternProperties":{"^x":{"type":"boolean"}}}`, `JSON`},
		{
			`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"object","properties":{"c":{"type":"date"}}}}}`,
			`!payload.x.b.c: there is no type date`,
		},
		{
			`{"properties":{"b":{"type":"string"},"a":{"properties":{"c":{"type":"integer"}}}}}`,
			`{b string, a {c int64}}`,
		},
		{`{"type":"array","items":{"type":"integer"}}`, `int64*`},
		{`{"type":"array"}`, `JSON`},
		{`{"type":"array","items":[{"type":"integer"}]}`, `JSON`},
		{`{"prefixItems":[{"type":"integer"}],"items":false}`, `JSON`},
		{`{"type":"array","items":{"type":["null","integer"]}}`, `{value int64}*`},
		{`{"type":"array","items":{"type":"array","items":{"type":"integer"}}}`, `{items int64*}*`},
		{`{"type":"array","items":{"type":"object"}}`, `JSON`},
		{`{"type":"array","items":{"properties":{"a":{"type":"string"}}}}`, `{a string}*`},
		{`{"oneOf":[{"type":"null"},{"type":"integer"}]}`, `int64`},
		{`{"anyOf":[{"type":"integer"},{"const":null}]}`, `int64`},
		{`{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `JSON`},
		{`{"$ref":"#/$defs/Money"}`, `{amount double, currency string}`},
		{`{"$ref":"#/definitions/Id","description":"Whose."}`, `string 'Whose.'`},
		{`{"anyOf":[{"$ref":"#/$defs/Money"},{"type":"null"}]}`, `{amount double, currency string}`},
		{`{"allOf":[{"$ref":"#/$defs/Money"}]}`, `{amount double, currency string}`},
		{
			`{"allOf":[{"$ref":"#/$defs/Money"},{"required":["amount"]},{"properties":{"at":{"type":"string",` +
				`"format":"date-time"}}}],"required":["at"]}`, `{amount double, currency string, at TIMESTAMP}`,
		},
		{
			`{"properties":{"a":{"type":"string"},"b":{"type":"string"}},"oneOf":[{"required":["a"]},{"required":["b"]}]}`,
			`{a string, b string}`,
		},
		{
			`{"properties":{"a":{"$ref":"#/$defs/Money"},"b":{"$ref":"#/$defs/Money"}}}`,
			`{a {amount double, currency string}, b {amount double, currency string}}`,
		},

		{
			`{"properties":{"a":{"type":"string"}},"oneOf":[{"properties":{"b":{"type":"string"}}}]}`,
			`!payload.x: oneOf beside properties`,
		},
		{
			`{"allOf":[{"$ref":"#/$defs/Money"},{"properties":{"amount":{"type":"string"}}}]}`,
			`!payload.x.amount: two parts of allOf`,
		},
		{`{"allOf":[{"type":"string"},{"type":"integer"}]}`, `!payload.x: allOf joins objects`},
		{`{"$ref":"#/$defs/Tree"}`, `!payload.x.children[]: "#/$defs/Tree" contains itself`},
		{`{"$ref":"#"}`, `!payload.x: "#" contains itself`},
		{`{"$ref":"#/$defs/None"}`, `!payload.x: $ref "#/$defs/None": there is no such place`},
		{`{"$ref":"other.json#/x"}`, `!leads out of the document`},
		{`{"$ref":"#/$defs/Money","type":"object"}`, `!type beside $ref`},
		{`{"$dynamicRef":"#x"}`, `!$dynamicRef is not supported`},
		{`{"type":"string","contentEncoding":"base32"}`, `!contentEncoding "base32"`},
		{`false`, `!takes no value`},
		{`5`, `!a schema is an object`},
		{`{"properties":{"a-b":{"type":"string"}}}`, `!payload.x.a-b: "a-b" cannot name a column`},
		{`{"properties":{"1a":{"type":"string"}}}`, `!payload.x.1a: "1a" cannot name a column`},
		{`{"properties":{"":{"type":"string"}}}`, `!cannot name a column`},
		{`{"properties":{"a":{"type":"string"},"A":{"type":"string"}}}`, `!but for its case`},
		{`{"properties":{"_table_a":{"type":"string"}}}`, `!keeps names`},
		{`{"properties":{"a":{"type":"integer","default":"x"}}}`, `{a int64}`},
	} {
		schema := `{"$id":"http://example.com/order","type":"object","properties":{"x":` + c[0] + `},"$defs":{
			"Money":{"type":"object","properties":{"amount":{"type":"number"},"currency":{"type":"string"}}},
			"Tree":{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#/$defs/Tree"}}}}},
			"definitions":{"Id":{"type":"string"}}}`
		p, err := Compile([]byte(schema), JSONSchema, Settings{}, decode.Options{Contract: "c", Payload: "payload"})
		var got string
		if err != nil {
			got = "!" + err.Error()
		} else {
			got = strings.TrimSuffix(strings.TrimPrefix(columns(t, p), "{x "), "}")
		}
		if want, failing := strings.CutPrefix(c[1], "!"); got != c[1] &&
			(!failing || !strings.HasPrefix(got, "!") || !strings.Contains(got, want)) {
			t.Errorf("%s:\n got %s\nwant %s", c[0], got, c[1])
		}
	}
}

func TestJSONSchemaDocuments(t *testing.T) {
	for schema, want := range map[string]string{
		``:                  "EOF",
		`{`:                 "EOF",
		`{} {}`:             "behind the schema",
		`{"type":"string"}`: "a payload is an object with properties; the schema makes it a string",
		`{"type":"object"}`: "a payload is an object with properties; the schema makes it a json",
		`{"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"a":{"type":"string"}}}}}`: "",
		strings.Repeat(`{"items":`, 300) + `{}` + strings.Repeat(`}`, 300):                          "nests deeper",
	} {
		_, err := Compile([]byte(schema), JSONSchema, Settings{}, decode.Options{Contract: "c", Payload: "payload"})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", schema, err, want)
		}
	}
}

// A name that an object of a schema has twice has the last of its values, in the place of the first, with a warning.
func TestNamesThatAreThereTwice(t *testing.T) {
	p, err := Compile([]byte(`{"type":"object","type":"object","properties":{"a":{"type":"integer"},`+
		`"b":{"type":"string","enum":["x","y","x"]},"a":{"type":"boolean"}},"$defs":{"n":{"c":1,"c":2}}}`), JSONSchema,
		Settings{}, decode.Options{Contract: "c", Payload: "payload"})
	if err != nil {
		t.Fatal(err)
	}
	want := `the schema: "type" is there twice; the last one is read
properties: "a" is there twice; the last one is read
n: "c" is there twice; the last one is read`
	if got := strings.Join(p.Warnings(), "\n"); got != want {
		t.Errorf("warned of %s", got)
	}
	if got := columns(t, p); got != "{a bool, b string}" {
		t.Error(got)
	}
	if got := text(t, p, `{"a":true,"b":"x"}`); got != `a:true b:"x"` {
		t.Error(got)
	}
}

// What JSON Schema requires, allows to be null, and has defaults for.
func TestPresence(t *testing.T) {
	const schema = `{"type":"object","required":["a","b"],"properties":{
		"a":{"type":"integer"},"b":{"type":["integer","null"]},"c":{"type":"integer"},"d":{"type":"integer","default":7},` +
		`"e":{"enum":["x","y"]},"f":{"type":"string","format":"date-time"},
		"g":{"items":{"type":"string"},"default":["p","q"]},"h":{}}}`
	strict, err := Compile([]byte(schema), JSONSchema, Settings{}, decode.Options{Contract: "c", Payload: "payload"})
	if err != nil {
		t.Fatal(err)
	}
	lenient, err := Compile([]byte(schema), JSONSchema, Settings{Lenient: true},
		decode.Options{Contract: "c", Payload: "payload"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		plan          *Plan
		payload, want string
	}{
		{
			strict, `{"a":1,"b":2,"c":3,"d":4,"e":"x","f":"1970-01-01T00:00:00Z","g":[],"h":[1, {"k": null}] }`,
			`a:1 b:2 c:3 d:4 e:"x" f:0 h:"[1, {\"k\": null}]"`,
		},
		{strict, `{"b":null,"a":1}`, `a:1 d:7 g:"p" g:"q"`},
		{strict, `{"a":1,"b":null,"c":null,"d":null,"h":null}`, `a:1 g:"p" g:"q"`},
		{strict, `{"b":null}`, `a at 9: the field is missing, and the schema requires it`},
		{strict, `{"a":null,"b":null}`, `a at 5: null, and the schema requires a value`},
		{strict, `{"a":1,"b":2,"e":"z"}`, `e at 17: the schema's enum has no such symbol`},
		{strict, `{"a":1,"b":2,"f":0}`, `f at 17: wants a timestamp, has a number`},
		{lenient, `{"a":null,"f":1800000000000,"e":"z"}`, `d:7 e:"z" f:1800000000000000 g:"p" g:"q"`},
	} {
		if got := text(t, c.plan, c.payload); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.payload, got, c.want)
		}
	}
}
