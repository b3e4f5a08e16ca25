package avro

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// faulty are schemas with something invalid that no reader needs, as other tools write and take them.
var faulty = []struct{ what, fields, datum string }{
	{
		"a decimal without precision, or whose scale is above it or negative",
		`{"name":"x","type":{"type":"bytes","logicalType":"decimal","scale":2}}`, avroText("\x30\x39"),
	},
	{
		"precision and scale in quotes",
		`{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":"4","scale":"2"}}`, avroText("\x7b"),
	},
	{
		"a logical type beside its type", `{"name":"x","type":"long","logicalType":"timestamp-millis"}`, "\x02",
	},
	{"a default of another type", `{"name":"x","type":"int","default":"0"}`, "\x02"},
	{
		"an enum's default that is none of its symbols",
		`{"name":"x","type":{"type":"enum","name":"E","symbols":["A"],"default":"B"}}`, "\x00",
	},
	{
		"a symbol, namespace or field that is no name",
		`{"name":"x","type":{"type":"enum","name":"E","symbols":["A-B"]}}`, "\x00",
	},
	{
		"a symbol twice", `{"name":"x","type":{"type":"enum","name":"E","symbols":["A","B","A"]}}`, "\x04",
	},
	{"a field twice", `{"name":"a","type":"int"},{"name":"x","type":"int"},{"name":"a","type":"string"}`, "\x02\x04\x02b"},
	{"a type defined twice", `{"name":"x","type":` + recordOfName("S", "y") + `},{"name":"z","type":` +
		recordOfName("S", "q") + `}`, "\x02\x04"},
	{
		"a type by its alias",
		`{"name":"a","type":{"type":"enum","name":"E","aliases":["F"],"symbols":["A","B"]}},{"name":"x","type":"F"}`,
		"\x00\x02",
	},
	{"a union with a branch twice", `{"name":"x","type":["null","string","string"]}`, "\x04" + avroText("a")},
	{"a union without branches", `{"name":"x","type":"int"},{"name":"in","type":["null",{"type":"record","name":"S",` +
		`"fields":[{"name":"y","type":[]},{"name":"z","type":"int"}]}]}`, "\x02\x00"},
	{"a union in a union", `{"name":"x","type":["null",["int","string"]]}`, "\x02\x00\x02"},
	{"a null without quotes", `{"name":"x","type":["null","string"],"default":null},{"name":"n","type":null}`, "\x02\x02a"},
	{"keys that a type has not got", `{"name":"x","type":{"type":"array","name":"xs","items":"int"}}`, "\x02\x02\x00"},
	{"aliases that are none, or in the way", `{"name":"x","type":"int","aliases":["x"]}`, "\x02"},
	{"an order that is none", `{"name":"x","type":"int","order":"up"}`, "\x02"},
}

func recordOfName(name, field string) string {
	return `{"type":"record","name":"` + name + `","fields":[{"name":"` + field + `","type":"int"}]}`
}

// writeFaults writes the part of the page about schemas with faults.
func writeFaults(t *testing.T, out *bytes.Buffer) {
	t.Helper()
	out.WriteString(`
What is invalid in a schema and not needed to read its payloads costs a warning of ` + "`ingest check`" + ` and
` + "`ingest contracts test`" + `, and not the schema:

| the schema has | column ` + "`x`" + ` | a value | warning |
|---|---|---|---|
`)
	for _, f := range faulty {
		p, err := Compile([]byte(recordOf(f.fields)), decode.Options{Contract: "c", Payload: "p"})
		if err != nil {
			t.Errorf("%s: %v", f.fields, err)
			continue
		}
		if len(p.Warnings()) == 0 {
			t.Errorf("%s: no warning", f.fields)
		}
		column, value, refusal := outcome(t, p, f.datum)
		if refusal != "" {
			t.Errorf("%s: %s", f.fields, refusal)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", f.what, cell(column, false), cell(value, true),
			cell(strings.Join(p.Warnings(), "; "), false))
	}
	out.WriteString(`
Comments and a byte order mark are passed over without a word. What a payload cannot be read past refuses the schema:
a type that is not defined, a field without a type, a record without fields, an enum without symbols, a fixed without
a size, an array without items, a map without values.

`)
}

// What a payload cannot be read past refuses a schema.
func TestFaultsThatRefuseASchema(t *testing.T) {
	for typ, reason := range map[string]string{
		`"type":"gone"`:                        `unknown type "gone"`,
		`"type":{"type":"fixed","name":"F"}`:   "fixed is missing size",
		`"type":{"type":"array"}`:              "array is missing items",
		`"type":{"type":"map"}`:                "map is missing values",
		`"type":{"type":"enum","name":"E"}`:    "enum is missing symbols",
		`"type":{"type":"record","name":"S"}`:  "record is missing fields",
		`"doc":"none"`:                         "not a primitive, complex, nor union",
		`"type":{"type":"record","fields":{}}`: `"fields" must be a JSON array`,
	} {
		if _, err := Parse(recordOf(`{"name":"x",` + typ + `}`)); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %s", typ, err, reason)
		}
	}
}
