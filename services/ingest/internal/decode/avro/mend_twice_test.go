package avro

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// What a schema has twice, or has where Avro has nothing, costs a warning; the payloads are read as they were written.
func TestTwiceAndForeign(t *testing.T) {
	for _, c := range []struct{ fields, warning, datum, want string }{
		{
			`{"name":"x","type":{"type":"enum","name":"E","symbols":["A","B","A","A_2"]}},{"name":"y","type":"E"}`,
			`E: the symbol "A" is there twice`, "\x04\x06", `x:"A" y:"A_2"`,
		},
		{
			`{"name":"x","type":{"type":"enum","name":"E","symbols":["A",1,true,null]}}`,
			"E: the symbol 1 is no text", "\x02", `x:"1"`,
		},
		{
			`{"name":"x","type":"int"},{"name":"x_2","type":"int"},{"name":"x","type":"string"},{"name":"x","type":"int"}`,
			`R: the field "x" is there twice; this one is read as x_3`, "\x02\x04\x02a\x06", `x:1 x_2:2 x_3:"a" x_4:3`,
		},
		{
			`{"name":"x","type":["null",["int","string"]]}`, "R.x: a union stands in a union",
			"\x02\x02\x02a", `x:{value:{string_value:"a"}}`,
		},
		{
			`{"name":"a","type":` + recordOfName("Union", "y") + `},{"name":"x","type":["null",["int"]]}`,
			"read as the field value of a record Union_2", "\x02\x02\x00\x02", `a:{y:1} x:{value:1}`,
		},
		{`{"name":"x","type":[["null","int"]]}`, "R.x: a union stands in a union", "\x00\x02\x02", `x:{value:1}`},
		{`{"name":"x","type":["null","null"]},{"name":"y","type":"int"}`, "branch null twice", "\x02\x02", `y:1`},
		{`{"name":"x","type":"int","type":"string"}`, "", "\x02a", `x:"a"`}, // as JSON parsers read it
		{`{"name":"x","type":["int",null]}`, `R.x: a type is a null without quotes`, "\x02", ``},
		{`{"name":"x","type":null},{"name":"y","type":"int"}`, `R.x: a type is a null`, "\x02", `y:1`},
		{
			`{"name":"x","type":"E"},{"name":"y","type":{"type":"record","name":"E","fields":[{"name":"a","type":"int"}]}}`,
			"", "\x02\x04", `x:{a:1} y:{a:2}`,
		},
		{
			`{"name":"x","type":{"type":"record","name":"string","fields":[{"name":"a","type":"string"}]}}`,
			"string: the type is called as one of Avro's own; this one is read as string_2", "\x02b", `x:{a:"b"}`,
		},
		{
			`{"name":"x","type":{"type":"array","name":"xs","items":"int"}}`, "R.x: a type array has no name",
			"\x02\x02\x00", `x:1`,
		},
		{
			`{"name":"x","type":["null",{"type":"string","name":"R"},"int"]}`, "R.x: a type string has no name",
			"\x02\x02a", `x:{string_value:"a"}`,
		},
		{
			`{"name":"x","type":{"type":"record","name":"S","items":"int","fields":[{"name":"a","type":"int"}]}}`,
			"R.x: a type record has no items", "\x02", `x:{a:1}`,
		},
		{
			`{"name":"x","type":"array","items":"int","symbols":["A"]}`, "a type array has no symbols", "\x02\x02\x00",
			`x:1`,
		},
		{
			`{"name":"x","type":{"type":"fixed","name":"F","namespace":7,"size":1,"items":"int"}}`,
			"F: the namespace 7 is no text", "b", `x:"b"`,
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
}

// What no value can be has no column, and refuses only a record that is to have one.
func TestUnionsWithoutBranches(t *testing.T) {
	p := compile(t, recordOf(`{"name":"x","type":"int"},{"name":"in","type":["null",{"type":"record","name":"S",`+
		`"fields":[{"name":"a","type":"int"},{"name":"none","type":[]}]}]}`))
	if got := strings.Join(p.Warnings(), "\n"); got !=
		"S.none: the union has no branches, so that nothing can be of it: it has no column" {
		t.Error(got)
	}
	for datum, want := range map[string]string{
		"\x02\x00":         `x:1`,
		"\x02\x02\x04\x00": "refused: test: p.in.none at byte 3: the union has no such branch",
	} {
		if got := text(t, p, datum); got != want {
			t.Errorf("%x: %s, want %s", datum, got, want)
		}
	}
	// A version that has the type, and one that has not: by a registry both ways.
	reader := parsed(t, recordOf(`{"name":"x","type":"int"},{"name":"none","type":[]}`))
	for _, c := range []struct{ writer, datum, want string }{
		{`{"name":"x","type":"int"}`, "\x02", `x:1`},
		{
			`{"name":"x","type":"int"},{"name":"none","type":"int"}`, "\x02\x02",
			"refused: test: p.none at byte 1: schema 7's int cannot be read as the contract's []",
		},
	} {
		plan, err := reader.CompileFor(parsed(t, recordOf(c.writer)), decode.Options{Contract: "test", Payload: "p"},
			Resolution{Origin: "schema 7"})
		if err != nil {
			t.Fatalf("%s: %v", c.writer, err)
		}
		if got := text(t, plan, c.datum); got != c.want {
			t.Errorf("%s: %s, want %s", c.writer, got, c.want)
		}
	}
	grown, changes := reader.With(parsed(t, recordOf(`{"name":"x","type":"int"},{"name":"none","type":"int"}`)), "p")
	if _, err := grown.Compile(rowOptions); err != nil || len(changes.Added) != 1 {
		t.Errorf("%+v, %v", changes, err)
	}
}

// A default that is none belongs to the type it stands in, where another has its name.
func TestDefaultsOfTypesThatAreThereTwice(t *testing.T) {
	of := func(value string) string {
		return `{"type":"record","name":"S","fields":[{"name":"i","type":"int","default":` + value + `}]}`
	}
	s := parsed(t, recordOf(`{"name":"a","type":`+of(`1`)+`},{"name":"b","type":`+of(`"1"`)+`}`))
	first, second := s.root.fields[0].typ.fields[0], s.root.fields[1].typ.fields[0]
	if first.noDefault != "" || !first.source.HasDefault || second.noDefault == "" {
		t.Errorf("%q, %q", first.noDefault, second.noDefault)
	}
}

// JSON data has a field once, whatever an Avro schema says.
func TestFieldsTwiceOfJSON(t *testing.T) {
	root := parsed(t, recordOf(`{"name":"x","type":"int"},{"name":"x","type":"string"}`)).Shape(true)
	if len(root.Parts) != 1 || root.Parts[0].Type != "int" {
		t.Errorf("%+v", root.Parts)
	}
}
