package avro

import (
	"errors"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// A field that can be no column as it is has another name, another type, or none: the rest of the schema is as it was.
func TestNamedSkippedAndRetyped(t *testing.T) {
	const recursive = `{"name":"id","type":"int"},{"name":"next","type":["null","R"]}`
	list := `{"name":"id","type":"int"},{"name":"next","type":{"type":"array","items":"R"}}`
	decimal := `{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":64,"scale":2}},{"name":"y",` +
		`"type":"int"}`
	big := avroText("\x70" + strings.Repeat("\x00", 24))
	requested := func(c decode.Column) decode.Columns { return decode.Columns{"x": c} }
	for _, c := range []struct {
		fields  string
		columns decode.Columns
		datum   string
		want    string
	}{
		{
			`{"name":"Id","type":"int"},{"name":"id","type":"int"}`,
			decode.Columns{"id": {Name: "id_2"}},
			"\x02\x04",
			"Id:1 id_2:2",
		},
		{
			`{"name":"Id","type":"int"},{"name":"id","type":"int"}`,
			decode.Columns{"Id": {Skip: true}},
			"\x02\x04",
			"id:2",
		},
		{
			`{"name":"id","type":"string"},{"name":"at","type":"string"}`,
			decode.Columns{"at": {Name: "day", Type: decode.Date}},
			avroText("a") + avroText("1970-01-02"), `id:"a" day:1`,
		},
		{decimal, requested(decode.Column{
			Type: decode.Numeric, Precision: 10, Scale: 1,
		}), "\x06\x01\x86\xa0\x02", `x:"1000" y:1`},
		{
			decimal, requested(decode.Column{Type: decode.Numeric, Precision: 10, Scale: 1}), "\x06\x01\x86\xa1\x02",
			`refused: test: p.x at byte 0: "1000.01" does not fit 9 digits before the point and 1 behind it`,
		},
		{decimal, requested(decode.Column{Type: decode.Numeric}), "\x06\x01\x86\xa1\x02", `x:"1000.01" y:1`},
		{decimal, requested(decode.Column{Type: decode.BigNumeric}), big + "\x02", `refused: test: p.x at byte 0: "7`},
		{decimal, requested(decode.Column{Type: decode.String}), "\x06\x01\x86\xa0\x02", `x:"1000.00" y:1`},
		{decimal, requested(decode.Column{Type: decode.Float}), "\x06\x01\x86\xa1\x02", `x:1000.01 y:1`},
		{decimal, requested(decode.Column{Skip: true}), "\x06\x01\x86\xa1\x02", `y:1`},
		{`{"name":"x","type":"string"}`, requested(decode.Column{Type: decode.Float}), avroText("1.5"), `x:1.5`},
		{
			`{"name":"x","type":"string"}`, requested(decode.Column{Type: decode.Float}), avroText("1.5 "),
			`refused: test: p.x at byte 0: "1.5 " is no`,
		},
		{`{"name":"x","type":"long"}`, requested(decode.Column{Type: decode.Float}), "\x05", `x:-3`},
		{
			recursive,
			decode.Columns{"next": {Type: decode.JSON}},
			"\x02\x02\x04\x02\x06\x00",
			`id:1 next:"{\"id\":2,\"next\":{\"id\":3,\"next\":null}}"`,
		},
		{recursive, decode.Columns{"next": {Type: decode.JSON}}, "\x02\x00", `id:1`},
		{recursive, decode.Columns{"next": {Skip: true}}, "\x02\x02\x04\x02\x06\x00", `id:1`},
		{
			recursive,
			decode.Columns{"next": {Type: decode.JSON}},
			"\x02\x02\x04\x02\x06",
			`refused: test: p.next.next.next at byte 5: the payload ends here`,
		},
		{
			list,
			decode.Columns{"next": {Type: decode.JSON, Name: "below"}},
			"\x02\x02\x04\x00\x00",
			`id:1 below:"{\"id\":2,\"next\":[]}"`,
		},
		{
			`{"name":"e","type":{"type":"record","name":"E","fields":[]}},{"name":"i","type":"int"}`,
			decode.Columns{"e": {Type: decode.JSON}},
			"\x02", `e:"{}" i:1`,
		},
		{
			`{"name":"e","type":{"type":"record","name":"E","fields":[]}},{"name":"i","type":"int"}`,
			decode.Columns{"e": {Skip: true}},
			"\x02", `i:1`,
		},
		{
			`{"name":"u","type":["null","int","string"]}`,
			decode.Columns{"u": {Type: decode.JSON}},
			"\x04" + avroText("a\"\u00e9"), `u:"\"a\\\"é\""`,
		},
		{`{"name":"u","type":["null","int","string"]}`, decode.Columns{"u.int_value": {Skip: true}}, "\x02\x02", ``},
		{
			`{"name":"u","type":["null","int","string"]}`,
			decode.Columns{"u.int_value": {Name: "n"}},
			"\x02\x02",
			`u:{n:1}`,
		},
		{
			`{"name":"m","type":{"type":"map","values":"int"}}`,
			decode.Columns{"m": {Type: decode.JSON}},
			"\x02\x02a\x02\x00",
			`m:"{\"a\":1}"`,
		},
		{
			`{"name":"m","type":{"type":"map","values":"int"}}`,
			decode.Columns{"m.key": {Name: "k"}},
			"\x02\x02a\x02\x00",
			`m:{k:"a" value:1}`,
		},
		{
			`{"name":"a","type":{"type":"array","items":["null","int"]}}`,
			decode.Columns{"a.value": {Name: "v"}},
			"\x02\x02\x02\x00", `a:{v:1}`,
		},
	} {
		if got := text(t, compileWith(t, recordOf(c.fields), c.columns), c.datum); got != c.want &&
			!strings.HasPrefix(got, "refused") ||
			!strings.HasPrefix(got, c.want) {
			t.Errorf("%v of %s: %s, want %s", c.columns, c.fields, got, c.want)
		}
	}
}

// A JSON column of a record holds every type that Avro has, and refuses what JSON has no value for.
func TestRecordsAsJSON(t *testing.T) {
	for _, c := range []struct{ typ, datum, want string }{
		{`"null"`, "", `null`},
		{`"boolean"`, "\x01", `true`},
		{`"long"`, "\x05", `-3`},
		{`"float"`, "\xcd\xcc\xcc\x3d", `0.1`},
		{`"double"`, "\x00\x00\x00\x00\x00\x00\xf0\x7f", `!JSON does not have`},
		{`"string"`, avroText("\xff"), `!not valid UTF-8`},
		{`"bytes"`, avroText("ab"), `"YWI="`},
		{`{"type":"enum","name":"E","symbols":["A","B"]}`, "\x02", `"B"`},
		{`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, avroText("\x04\xd2"), `"12.34"`},
		{
			`{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}`, "0123456789abcdef",
			`"30313233-3435-3637-3839-616263646566"`,
		},
		{`{"type":"int","logicalType":"date"}`, "\x02", `"1970-01-02"`},
		{`{"type":"int","logicalType":"time-millis"}`, "\x04", `"00:00:00.002000"`},
		{`{"type":"long","logicalType":"timestamp-millis"}`, "\x04", `"1970-01-01T00:00:00.002000Z"`},
		{`{"type":"long","logicalType":"local-timestamp-micros"}`, "\x04", `"1970-01-01T00:00:00.000002"`},
		{`{"type":"long","logicalType":"timestamp-millis"}`, long(1 << 60), `!out of BigQuery's range`},
		{`{"type":"array","items":"null"}`, "", ``},
		{`{"type":"map","values":["null","string"]}`, "\x04\x02a\x00\x02b\x02\x02c\x00", `{"a":null,"b":"c"}`},
	} {
		if c.want == "" {
			continue
		}
		avsc := one(`{"type":"record","name":"S","fields":[{"name":"y","type":` + c.typ + `}]}`)
		got := text(t, compileWith(t, avsc, decode.Columns{"x": {Type: decode.JSON}}), c.datum)
		want, refused := strings.CutPrefix(c.want, "!")
		if refused {
			if !strings.HasPrefix(got, "refused: test: p.x.y at byte 0: ") || !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", c.typ, got, want)
			}
			continue
		}
		if want = `x:"{\"y\":` + strings.ReplaceAll(want, `"`, `\"`) + `}"`; got != want {
			t.Errorf("%s: %s, want %s", c.typ, got, want)
		}
	}
}

// What is wrong with a field says which other column would mend it.
func TestFaultsNameTheWayOut(t *testing.T) {
	for fields, want := range map[string]string{
		`{"name":"id","type":"int"},{"name":"next","type":["null",` +
			`"R"]}`: `columns: {"next": {type: JSON}, or {skip: true}}`,
		`{"name":"e","type":{"type":"array","items":{"type":"record","name":"E",` +
			`"fields":[]}}}`: `columns: {"e": {type: JSON}, or {skip: true}}`,
		`{"name":"Id","type":"int"},{"name":"id","type":"int"}`: `columns: {"id": {name: id_2}, or {skip: true}}`,
		`{"name":"_file_x","type":"int"}`:                       `columns: {"_file_x": {name: file_x}, or {skip: true}}`,
		`{"name":"r","type":{"type":"record","name":"S","fields":[{"name":"d","type":{"type":"bytes",` +
			`"logicalType":"decimal","precision":99}}]}}`: `columns: {"r.d": {type: STRING}, or {skip: true}}`,
	} {
		_, err := Compile([]byte(recordOf(fields)), decode.Options{Payload: "p"})
		var e *decode.SchemaError
		if !errors.As(err, &e) || !strings.Contains(e.Reason, want) {
			t.Errorf("%s: %v, want %s", fields, err, want)
		}
	}
}
