package avro

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

var rowOptions = decode.Options{Contract: "c", Payload: "payload"}

func parsed(t testing.TB, avsc string, references ...string) *Schema {
	t.Helper()
	s, err := Parse(avsc, references...)
	if err != nil {
		t.Fatalf("%s: %v", avsc, err)
	}
	return s
}

// ofBoth are the columns that texts become and whole numbers without a unit do.
var ofBoth = []decode.Target{
	decode.String, decode.Numeric, decode.BigNumeric, decode.Date, decode.DateTime, decode.Timestamp, decode.Float,
}

func TestWith(t *testing.T) {
	null := func(typ string) string { return `["null",` + typ + `]` }
	sub := func(fields string) string { return `{"type":"record","name":"S","fields":[` + fields + `]}` }
	const a, b = `{"name":"a","type":"int"}`, `{"name":"b","type":"string"}`
	for name, v := range map[string]struct {
		have, newer string // types of the field x
		changes     decode.Changes
	}{
		"same":            {`"int"`, `"int"`, decode.Changes{}},
		"nullable":        {`"int"`, null(`"int"`), decode.Changes{}},
		"promoted":        {`"double"`, `"int"`, decode.Changes{}},
		"int to long":     {null(`"int"`), `"long"`, decode.Changes{Widened: []string{"payload.x"}}},
		"float to double": {`"float"`, null(`"double"`), decode.Changes{Widened: []string{"payload.x"}}},
		"long to int":     {`"long"`, `"int"`, decode.Changes{}},
		"long to string": {
			`"long"`, null(`"string"`), decode.Changes{
				Conflicts: []decode.Conflict{{Path: "payload.x", Have: "long", Want: "string", By: ofBoth}},
			},
		},
		"date to timestamp": {
			`{"type":"int","logicalType":"date"}`, `{"type":"long","logicalType":"timestamp-millis"}`, decode.Changes{
				Conflicts: []decode.Conflict{{Path: "payload.x", Have: "int (date)", Want: "long (timestamp-millis)"}},
			},
		},
		"one to several": {
			null(`"long"`), `["null","long","string"]`, decode.Changes{
				Conflicts: []decode.Conflict{{
					Path: "payload.x", Have: "long", Want: "[null, long, string]", By: ofBoth,
				}},
			},
		},
		"another branch": {
			`["null","long","string"]`, `["null","long","boolean","string"]`,
			decode.Changes{Added: []string{"payload.x.boolean_value"}},
		},
		"a wider branch": {
			`["int","string"]`, `["long","string"]`, decode.Changes{Added: []string{"payload.x.long_value"}},
		},
		"another symbol": {
			`{"type":"enum","name":"E","symbols":["A"]}`, `{"type":"enum","name":"E","symbols":["B","A","C"]}`,
			decode.Changes{Widened: []string{"payload.x (B, C)"}},
		},
		"record": {sub(a), null(sub(b + "," + a)), decode.Changes{Added: []string{"payload.x.b"}}},
		"array of records": {
			`{"type":"array","items":` + sub(a) + `}`, `{"type":"array","items":` + sub(b) + `}`,
			decode.Changes{Added: []string{"payload.x[].b"}},
		},
		"map of records": {
			`{"type":"map","values":` + sub(a) + `}`, `{"type":"map","values":` + sub(b) + `}`,
			decode.Changes{Added: []string{"payload.x[].b"}},
		},
		"nullable items": {
			`{"type":"array","items":"int"}`, `{"type":"array","items":["null","long"]}`, decode.Changes{
				Widened: []string{"payload.x[]"}, Conflicts: []decode.Conflict{
					{Path: "payload.x[]", Have: "int", Want: "[null, long]"},
				},
			},
		},
		"plain items": {`{"type":"array","items":["null","long"]}`, `{"type":"array","items":"int"}`, decode.Changes{}},
		"array to map": {
			`{"type":"array","items":"int"}`, `{"type":"map","values":"int"}`, decode.Changes{
				Conflicts: []decode.Conflict{{Path: "payload.x", Have: "array", Want: "map"}},
			},
		},
		"null to int": {`"null"`, null(`"int"`), decode.Changes{Added: []string{"payload.x"}}},
		"fixed": {
			`{"type":"fixed","name":"F","size":2}`, `{"type":"fixed","name":"F","size":3}`, decode.Changes{
				Conflicts: []decode.Conflict{{Path: "payload.x", Have: "fixed of 2 bytes", Want: "fixed of 3 bytes"}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			field := func(typ string) string {
				return recordOf(`{"name":"x","type":` + typ +
					`},{"name":"y","type":"int"}`)
			}
			have := parsed(t, field(v.have))
			merged, changes := have.With(parsed(t, field(v.newer)), "payload")
			if diff := cmp.Diff(v.changes, changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if again, changes := merged.With(have, "payload"); changes.Grown() {
				t.Errorf("%v again: %+v", again, changes)
			}
			if _, err := merged.Compile(rowOptions); err != nil {
				t.Error(err)
			}
		})
	}
}

// A named type that is used at two places gains a field at both, and a new field of a known type shares it.
func TestWithSharedTypes(t *testing.T) {
	address := `{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}`
	longer := `{"type":"record","name":"Address","fields":[{"name":"zip","type":"string"},{"name":"city",` +
		`"type":"string"}]}`
	have := parsed(t, recordOf(`{"name":"from","type":`+address+`},{"name":"to","type":"Address"}`))
	merged, changes := have.With(parsed(t, recordOf(`{"name":"via","type":`+longer+
		`},{"name":"to","type":"Address"},{"name":"from","type":"Address"}`)), "payload")
	if !changes.Grown() || len(changes.Conflicts) > 0 {
		t.Errorf("%+v", changes)
	}
	plan, err := merged.Compile(rowOptions)
	if err != nil {
		t.Fatal(err)
	}
	m := decodetest.Payload(t, plan)
	for _, name := range []protoreflect.Name{"from", "to", "via"} {
		fields := m.Fields().ByName(name).Message().Fields()
		if fields.Len() != 2 || fields.ByName("city").Number() != 1 || fields.ByName("zip").Number() != 2 {
			t.Errorf("%s: %v", name, fields)
		}
	}
	if n := m.Fields().ByName("via").Number(); n != 3 {
		t.Errorf("via has number %d", n)
	}
}

// A lenient reader makes null of what the writer's schema lacks, another one its default or an error.
func TestCompileFor(t *testing.T) {
	have := parsed(t, recordOf(`{"name":"a","type":"int"},{"name":"d","type":"float","default":1.5}`))
	newer := parsed(t, recordOf(`{"name":"b","type":"string"},{"name":"d","type":"double"}`))
	if _, err := have.CompileFor(newer, rowOptions, Resolution{Origin: "schema 9"}); err == nil ||
		!strings.Contains(err.Error(), "payload.a: schema 9 lacks the field") {
		t.Errorf("strict: %v", err)
	}
	merged, changes := have.With(newer, "payload")
	if diff := cmp.Diff(decode.Changes{
		Added: []string{"payload.b"}, Widened: []string{"payload.d"},
	}, changes); diff != "" {
		t.Error(diff)
	}
	read := func(writer *Schema, datum string) string {
		plan, err := merged.CompileFor(writer, rowOptions, Resolution{Origin: "schema 9", Lenient: true})
		if err != nil {
			t.Fatal(err)
		}
		row, err := plan.NewDecoder().Append(nil, []byte(datum))
		if err != nil {
			return err.Error()
		}
		m := dynamicpb.NewMessage(decodetest.Payload(t, plan))
		if err := proto.Unmarshal(row, m); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(fmt.Sprint(m)), " ")
	}
	if got := read(newer, "\x04hi\x00\x00\x00\x00\x00\x00\x04\x40"); got != `d:2.5 b:"hi"` {
		t.Errorf("newer: %s", got)
	}
	if got := read(parsed(t, recordOf(`{"name":"a","type":"int"}`)), "\x08"); got != "a:4" {
		t.Errorf("older: %s", got)
	}
	if got := read(parsed(t, recordOf(`{"name":"a","type":["null","string"]}`)),
		"\x02\x02x"); got != "c: payload.a at byte 1: schema 9's string cannot be read as the contract's int" {
		t.Errorf("another type: %s", got)
	}
	if got := read(parsed(t, recordOf(`{"name":"a","type":["null","string"]}`)), "\x00"); got != "" {
		t.Errorf("null of another type: %s", got)
	}
	list := func(items string) *Schema {
		return parsed(t, recordOf(`{"name":"l","type":{"type":"array","items":`+items+`}}`))
	}
	merged, _ = list(`"int"`).With(list(`["null","int"]`), "payload")
	if got := read(list(`["null","int"]`),
		"\x04\x02\x0a\x00\x00"); got != "c: payload.l[1] at byte 4: null where the contract wants int" {
		t.Errorf("a null item has no place: %s", got)
	}
	merged, _ = list(`["null","int"]`).With(list(`"int"`), "payload")
	if got := read(list(`"int"`), "\x04\x0a\x0c\x00"); got != "l:{value:5} l:{value:6}" {
		t.Errorf("an item in a RECORD: %s", got)
	}
	merged, _ = have.With(newer, "payload")
	// Behind a schema id there are no files, whatever the first bytes are.
	if got := read(parsed(t, recordOf(
		`{"name":"x","type":"int"},{"name":"a","type":"int"},{"name":"y","type":"int"},{"name":"z","type":"int"}`)),
		"Obj\x01"); !strings.HasPrefix(got, "a:49") {
		t.Errorf("the bytes of a file: %s", got)
	}
}

func TestParseReferences(t *testing.T) {
	money := `{"type":"record","name":"shop.Money","fields":[{"name":"units","type":"long"}]}`
	line := `{"type":"record","name":"shop.Line","fields":[{"name":"price","type":"Money"}]}`
	order := `{"type":"record","name":"shop.Order","fields":[{"name":"line","type":"shop.Line"},{"name":"sum",` +
		`"type":"shop.Money"}]}`
	s := parsed(t, order, money, line)
	if s.Name() != "Order" {
		t.Errorf("name %s", s.Name())
	}
	plan, err := s.Compile(rowOptions)
	if err != nil {
		t.Fatal(err)
	}
	if row, err := plan.NewDecoder().Append(nil, []byte{2, 4}); err != nil ||
		string(row) != "\x0a\x04\x0a\x02\x08\x01\x12\x02\x08\x02" {
		t.Errorf("%x, %v", row, err)
	}
	for name, references := range map[string][]string{
		"missing": {money}, "broken": {"{"}, "too large": {money, line, strings.Repeat(" ", decode.MaxSchema)},
	} {
		if _, err := Parse(order, references...); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
}
