package avro

import (
	"bytes"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// What is invalid in a schema and not used is read past with a warning.
func TestInvalidButUnused(t *testing.T) {
	for _, c := range []struct{ fields, warning, datum, want string }{
		{
			`{"name":"x","type":{"type":"bytes","logicalType":"decimal","scale":2}}`,
			"R.x: a decimal without precision", "\x04a\xff", `x:"a\xff"`,
		},
		{
			`{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":5}}`,
			"precision 4 and scale 5", "\x04ab", `x:"ab"`,
		},
		{
			`{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":-2}}`, "scale -2",
			"\x04ab", `x:"ab"`,
		},
		{
			`{"name":"x","type":"bytes","logicalType":"decimal","precision":0}`,
			"R.x: logicalType decimal is beside the type", "\x04ab", `x:"ab"`,
		},
		{
			`{"name":"x","type":["null","long"],"logicalType":"timestamp-millis"}`,
			"R.x: logicalType timestamp-millis is beside the type", "\x02\x02", `x:1`,
		},
		{
			`{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":0}}`, "R.x: a decimal of precision 0",
			"\x04ab", `x:"ab"`,
		},
		{
			`{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":"4","scale":"2"}}`,
			`R.x: the scale "2" is in quotes`, "\x02\x7b", `x:"1.23"`,
		},
		{
			`{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":"four"}}`,
			"R.x: a decimal without precision", "\x02\x7b", `x:"{"`,
		},
		{
			`{"name":"x","type":{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":9}}`,
			"F: a decimal of precision 9, which 2 bytes do not hold", "ab", `x:"ab"`,
		},
		{
			`{"name":"x","type":{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":9}}`, "",
			"\x00\x00\x00\x07", `x:"7"`,
		},
		{`{"name":"x","type":"int","default":"0"}`, `R.x: its default "0" is no value of its type`, "\x02", `x:1`},
		{`{"name":"x","type":["null","string"],"default":"null"}`, `R.x: its default "null" is no`, "\x00", ``},
		{`{"name":"x","type":["null","string"],"default":"none"}`, "", "\x00", ``},
		{`{"name":"x","type":{"type":{"type":"string"}}}`, "", "\x02a", `x:"a"`},
		{`{"name":"x","type":{"type":{"type":"long","logicalType":"timestamp-millis"}}}`, "", "\x02", `x:1000`},
		{`{"name":"x","type":{"type":["null","long"]}}`, "", "\x02\x02", `x:1`},
		{
			`{"name":"x","type":{"type":"enum","name":"E","namespace":"a-b.c","symbols":["A-B","C"]}}`,
			`E: the symbol "A-B" is no name`, "\x00", `x:"A-B"`,
		},
		{
			`{"name":"x","type":{"type":"enum","name":"E","symbols":["A"],"default":"B"}}`,
			"E: the default B is none of the symbols", "\x00", `x:"A"`,
		},
		{`{"name":"x","type":"int","aliases":"old"}`, "R.x: its aliases are no list", "\x02", `x:1`},
		{`{"name":"x","type":"int","aliases":[7]}`, "R.x: not all of its aliases", "\x02", `x:1`},
		{`{"name":"x","type":"int","aliases":null}`, "R.x: not all of its aliases", "\x02", `x:1`},
		{`{"name":"x","type":"int","aliases":["x","y"]}`, `R.x: the alias "x" is the name`, "\x02", `x:1`},
		{
			`{"name":"x","type":{"type":"enum","name":"E","aliases":"F","symbols":["A"]}}`,
			"E: its aliases are no list", "\x00", `x:"A"`,
		},
		{
			`{"name":"x","type":["null","string","string"]}`, "R.x: the union has the branch string twice", "\x04\x02a",
			`x:"a"`,
		},
		{`{"name":"x","type":["null","string","string"]}`, "the branch string twice", "\x02\x02a", `x:"a"`},
		{`{"name":"x","type":["null","null","string"]}`, "R.x: the union has the branch null twice", "\x02", ``},
		{
			`{"name":"x","type":[{"type":"string","avro.java.string":"String"},"string","long"]}`,
			"branch string twice", "\x02\x02a", `x:{string_value:"a"}`,
		},
		{
			`{"name":"x","type":["null",{"type":"array","items":"int"},{"type":"array","items":"int"}]}`,
			"twice", "\x04\x02\x06\x00", `x:3`,
		},
		{
			`{"name":"a","type":{"type":"record","name":"P","namespace":null,"doc":null,"fields":[` +
				`{"name":"y","type":"int"}]}},{"name":"x","type":["null","P"],"doc":null}`,
			"", "\x02\x02\x04", `a:{y:1} x:{y:2}`,
		},
		{
			`{"name":"a","type":{"type":"enum","name":"E","namespace":"n","aliases":["F","o.G"],"symbols":["A","B"]}},` +
				`{"name":"x","type":["null","n.F"]},{"name":"y","type":{"type":"array","items":"o.G"}},` +
				`{"name":"z","type":{"type":"n.F"}}`,
			`R.x: "n.F" is an alias of the type n.E`, "\x00\x02\x02\x02\x00\x00\x02", `a:"A" x:"B" y:"A" z:"B"`,
		},
		{
			`{"name":"a","type":{"type":"enum","name":"E","aliases":["F"],"symbols":["A"]}},` +
				`{"name":"b","type":{"type":"fixed","name":"F","size":1}},{"name":"x","type":"F"}`,
			"", "\x00bx", `a:"A" b:"b" x:"x"`,
		},
		{`{"name":"x","type":"int","order":"up"}`, "R.x: there is no order up", "\x02", `x:1`},
		{
			`{"name":"x","type":{"type":"record","name":"S","fields":[{"name":"y","type":"int","default":""}]},"default":{}}`,
			`S.y: its default "" is no`, "\x02", `x:{y:1}`,
		},
	} {
		p := compile(t, recordOf(c.fields))
		warnings := strings.Join(p.Warnings(), "\n")
		if (warnings == "") != (c.warning == "") || !strings.Contains(warnings, c.warning) {
			t.Errorf("%s: warned of %q, want %q", c.fields, warnings, c.warning)
		}
		if got := text(t, p, c.datum); got != c.want {
			t.Errorf("%s: %s, want %s", c.fields, got, c.want)
		}
	}
	// A name that is none of Avro's may be that of a field: the column gets another.
	hyphen := recordOf(`{"name":"a-b","type":"int"}`)
	p := compileWith(t, hyphen, decode.Columns{"a-b": {Name: "a_b"}})
	if got := text(t, p, "\x02"); got != "a_b:1" || len(p.Warnings()) != 1 {
		t.Error(got, p.Warnings())
	}
}

// A record that needs a default which is no value of its field is refused; the others are not.
func TestDefaultThatIsMissed(t *testing.T) {
	p := compile(t, recordOf(`{"name":"a","type":"int"},{"name":"t","type":["null","string"],"default":"null"}`))
	older := file(t, recordOf(`{"name":"a","type":"int"}`), nil, []byte("\x02"))
	got := text(t, p, string(older))
	if want := "refused: test: p.t at byte "; !strings.HasPrefix(got, want) ||
		!strings.Contains(got, `the file lacks the field, and its default "null" is no value`) {
		t.Error(got)
	}
	if got := text(t, p, "\x02\x00"); got != "a:1" {
		t.Error(got)
	}
	// By a schema registry all columns may be null.
	reader := parsed(t, recordOf(`{"name":"a","type":"int"},{"name":"t","type":"int","default":"0"}`))
	plan, err := reader.CompileFor(parsed(t, recordOf(`{"name":"a","type":"int"}`)),
		decode.Options{Contract: "test", Payload: "p"}, Resolution{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, plan, "\x02"); got != "a:1" {
		t.Error(got)
	}
}

// Defaults that Avro's parser takes stay what they are, and no other costs a schema.
func TestDefaultsAsAvroTakesThem(t *testing.T) {
	types := []string{
		`"null"`, `"boolean"`, `"int"`, `"long"`, `"float"`, `"double"`, `"bytes"`, `"string"`,
		`{"type":"fixed","name":"F","size":2}`, `{"type":"enum","name":"E","symbols":["A","B"]}`,
		`{"type":"array","items":"int"}`, `{"type":"map","values":["null","float"]}`, `["null","int"]`,
		`["int","string"]`,
		`{"type":"record","name":"S","namespace":"n","fields":[{"name":"y","type":"int"},` +
			`{"name":"z","type":["null","S"],"default":null}]}`,
	}
	values := []string{
		`null`, `true`, `0`, `-1`, `1.0`, `1.5`, `1e3`, `3000000000`, `1e300`, `9223372036854775808`, `"A"`, `"AB"`,
		`"C"`, `"1.5"`, `"NaN"`, `"\u00ff\u0000"`, `"\u0100a"`, `[]`, `[1]`, `["a"]`, `{}`, `{"a":null}`, `{"a":1.5}`,
		`{"y":1}`, `{"y":"1"}`, `{"y":1,"z":{"y":2}}`,
	}
	for _, typ := range types {
		for _, value := range values {
			field := `{"name":"x","type":` + typ + `,"default":` + value + `}`
			schema := recordOf(field)
			_, err := avro.Parse(schema)
			s, mine := parseSchema(recordOf(field + `,{"name":"good","type":"int","default":1}`))
			if mine != nil {
				t.Errorf("%s: %v", schema, mine)
				continue
			}
			if taken := s.root.fields[0].noDefault == ""; taken != (err == nil) {
				t.Errorf("%s: Avro says %v, taken %v: %v", schema, err, taken, s.Warnings())
			}
			if s.root.fields[1].noDefault != "" {
				t.Errorf("%s: another default is lost: %v", schema, s.Warnings())
			}
		}
	}
}

// Only a schema that needs mending is written anew, and of what is written anew the payloads are the same.
func TestReferencesAreMendedToo(t *testing.T) {
	s := parsed(t, recordOf(`{"name":"x","type":"n.E","default":"A-B"},{"name":"d","type":"n.D"}`),
		`{"type":"enum","name":"n.E","symbols":["A-B"]}`,
		`{"type":"record","name":"n.D","fields":[{"name":"i","type":"int","default":"1"}]}`)
	if !s.root.fields[0].source.HasDefault || s.root.fields[1].typ.fields[0].noDefault == "" || len(s.Warnings()) != 2 {
		t.Errorf("%+v, %q", s.root.fields, s.Warnings())
	}
	if !bytes.Contains([]byte(s.Warnings()[1]), []byte("n.D.i")) {
		t.Error(s.Warnings())
	}
}

// A type without a namespace and one of the same name within one are two branches: the first is meant as long as there
// is no other.
func TestBranchesOfTwoNamespaces(t *testing.T) {
	of := func(space string) string {
		return `{"type":"record","name":"P","namespace":"` + space + `","fields":[{"name":"y","type":"int"}]}`
	}
	p := compileWith(t, `{"type":"record","name":"R","namespace":"shop","fields":[{"name":"a","type":`+of("")+`},`+
		`{"name":"x","type":["P",`+of("shop")+`]}]}`, decode.Columns{"x": {Type: decode.JSON}})
	if got, warnings := text(t, p, "\x02\x02\x04"), p.Warnings(); got != `a:{y:1} x:"{\"y\":2}"` || len(warnings) > 0 {
		t.Error(got, warnings)
	}
}
