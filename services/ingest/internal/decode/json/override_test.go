package json

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Each line is a property's schema, the column asked of it, a value, and what becomes of the two.
func TestColumnsRequested(t *testing.T) {
	for _, c := range []struct {
		schema, path string
		column       decode.Column
		value        string
		columns, row string
	}{
		{`{"type":"number"}`, "x", decode.Column{Type: decode.Numeric}, `0.1`, `NUMERIC`, `x:"0.1"`},
		{
			`{"type":"number"}`, "x",
			decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2},
			`123.456`, `NUMERIC(5,2)`,
			`!does not fit`,
		},
		{
			`{"type":"string"}`, "x",
			decode.Column{Type: decode.BigNumeric},
			`"1e-38"`, `BIGNUMERIC`,
			`x:"0.00000000000000000000000000000000000001"`,
		},
		{`{"type":"integer"}`, "x", decode.Column{
			Type: decode.BigNumeric, Precision: 3,
		}, `123`, `BIGNUMERIC(3,0)`, `x:"123"`},
		{
			`{"type":"integer"}`, "x",
			decode.Column{Type: decode.Timestamp},
			`1800000000000`, `TIMESTAMP`, `x:1800000000000000`,
		},
		{
			`{"type":"integer"}`, "x",
			decode.Column{Type: decode.Timestamp, Unit: decode.Millis},
			`5`, `TIMESTAMP`,
			`x:5000`,
		},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Date}, `-1`, `DATE`, `x:-1`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Date, Unit: decode.Seconds}, `-1`, `DATE`, `x:-1`},
		{
			`{"type":"integer"}`, "x",
			decode.Column{Type: decode.DateTime, Unit: decode.Seconds},
			`1`, `DATETIME`,
			`x:"1970-01-01 00:00:01.000000"`,
		},
		{
			`{"type":"integer"}`, "x",
			decode.Column{Type: decode.Time, Unit: decode.Seconds},
			`61`, `TIME`,
			`x:"00:01:01.000000"`,
		},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.String}, `1.50`, `string`, `x:"1.50"`},
		{
			`{"type":"string"}`, "x",
			decode.Column{Type: decode.Timestamp},
			`"1970-01-01T00:00:01Z"`, `TIMESTAMP`,
			`x:1000000`,
		},
		{`{"format":"date-time"}`, "x", decode.Column{Type: decode.String}, `"soon"`, `string`, `x:"soon"`},
		{
			`{"type":"string"}`, "x",
			decode.Column{Type: decode.Geography},
			`"POINT(1 2)"`, `GEOGRAPHY`,
			`x:"POINT(1 2)"`,
		},
		{
			`{}`, "x",
			decode.Column{Type: decode.Geography},
			`{"type":"Point","coordinates":[1,2]}`, `GEOGRAPHY`,
			`x:"{\"type\":\"Point\",\"coordinates\":[1,2]}"`,
		},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Geography}, `"POINT"`, `GEOGRAPHY`, `!x at 5: `},
		{
			`{"type":"string"}`, "x",
			decode.Column{Type: decode.Interval},
			`"1-2 3 4:5:6"`, `INTERVAL`,
			`x:"1-2 3 4:5:6"`,
		},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Interval}, `"soon"`, `INTERVAL`, `!x at 5: `},
		{
			`{"properties":{"a":{"type":"string"}}}`, "x",
			decode.Column{Type: decode.JSON},
			`{"a":1, "b":[]}`, `JSON`,
			`x:"{\"a\":1, \"b\":[]}"`,
		},
		{
			`{"properties":{"a":{"type":"integer"},"b":{"type":"integer"}}}`, "x.b",
			decode.Column{Type: decode.Timestamp},
			`{"a":1,"b":1}`, `{a int64, b TIMESTAMP}`, `x:{a:1 b:1000000}`,
		},
		{
			`{"items":{"type":"number"}}`, "x",
			decode.Column{Type: decode.Numeric},
			`[0.1,2]`, `NUMERIC*`,
			`x:"0.1" x:"2"`,
		},
		{
			`{"items":{"type":["number","null"]}}`, "x.value",
			decode.Column{Type: decode.Numeric},
			`[0.1,null]`,
			`{value NUMERIC}*`, `x:{value:"0.1"} x:{}`,
		},
		{
			`{"additionalProperties":{"type":"number"}}`, "x.value",
			decode.Column{Type: decode.Numeric},
			`{"k":1}`,
			`{key string, value NUMERIC}*`, `x:{key:"k" value:"1"}`,
		},
		{
			`{"properties":{"start":{"format":"date"},"end":{"format":"date"}}}`, "x",
			decode.Column{Type: decode.Range},
			`{"start":"1970-01-02","end":null}`, `{start DATE, end DATE}`, `x:{start:1}`,
		},

		{
			`{"type":"boolean"}`, "x",
			decode.Column{Type: decode.Numeric},
			``,
			`!payload.x: columns: of type boolean, which does not become NUMERIC`, ``,
		},
		{
			`{"type":"string"}`, "x",
			decode.Column{Type: decode.Timestamp, Unit: decode.Millis},
			``,
			`!only a number has a unit`, ``,
		},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Time}, ``, `!needs a unit`, ``},
		{`{"type":"string"}`, "y", decode.Column{Type: decode.JSON}, ``, `!no field y`, ``},
		{`{"type":"string"}`, "x.y", decode.Column{Type: decode.JSON}, ``, `!there is no y in a string`, ``},
		{
			`{"additionalProperties":{"type":"number"}}`, "x.k",
			decode.Column{Type: decode.Numeric},
			``, `!name its values`, ``,
		},
		{`{"format":"date"}`, "x", decode.Column{Type: decode.Timestamp}, ``, `!does not become TIMESTAMP`, ``},
		{
			`{"properties":{"start":{"format":"date"},"end":{"format":"date-time"}}}`, "x",
			decode.Column{Type: decode.Range},
			``, `!a RANGE is`, ``,
		},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Range}, ``, `!a RANGE is`, ``},
	} {
		p, err := Compile([]byte(`{"properties":{"x":`+c.schema+`}}`), JSONSchema, Settings{}, decode.Options{
			Contract: "c", Payload: "payload", Columns: decode.Columns{c.path: c.column},
		})
		if want, failing := strings.CutPrefix(c.columns, "!"); failing {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %v: %v, want %s", c.schema, c.column, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %v: %v", c.schema, c.column, err)
			continue
		}
		if got := columns(t, p); got != "{x "+c.columns+"}" {
			t.Errorf("%s %v: %s, want %s", c.schema, c.column, got, c.columns)
		}
		got := text(t, p, `{"x":`+c.value+`}`)
		if want, failing := strings.CutPrefix(c.row, "!"); got != c.row && (!failing || !strings.Contains(got, want)) {
			t.Errorf("%s %v: %s: %s, want %s", c.schema, c.column, c.value, got, c.row)
		}
	}
	// A branch of a union may not become what another one is.
	_, err := Compile([]byte(one(`["string","long"]`)), Avro, Settings{}, decode.Options{
		Contract: "c", Payload: "payload", Columns: decode.Columns{
			"x.long_value": {Type: decode.String}, "x.string_value": {Type: decode.Numeric},
		},
	})
	if err == nil || !strings.Contains(err.Error(), "apart any more") {
		t.Error(err)
	}
}

// A range starts before it ends: nothing else becomes a RANGE, wherever it stands.
func TestRanges(t *testing.T) {
	const span = `{"properties":{"end":{"format":"date"},"start":{"format":"date"}},"required":["start"]}`
	const moments = `{"properties":{"start":{"format":"date-time"},"end":{"format":"date-time"}}}`
	compiled := func(schema string, columns decode.Columns) *Plan {
		t.Helper()
		p, err := Compile([]byte(schema), JSONSchema, Settings{}, decode.Options{
			Contract: "c", Payload: "payload", Columns: columns,
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := compiled(`{"properties":{"d":`+span+`,"many":{"items":`+span+`},"map":{"additionalProperties":`+moments+
		`},"civil":`+moments+`}}`, decode.Columns{
		"d": {Type: decode.Range}, "many": {Type: decode.Range}, "map.value": {Type: decode.Range},
		"civil": {Type: decode.Range}, "civil.start": {Type: decode.DateTime}, "civil.end": {Type: decode.DateTime},
	})
	const empty = "the range ends before it starts, or where it starts"
	for payload, want := range map[string]string{
		`{"d":{"start":"1970-01-02","end":"1970-01-03"}}`:  `d:{end:2 start:1}`,
		`{"d":{"end":"1970-01-03","start":"1969-12-31"}}`:  `d:{end:2 start:-1}`,
		`{"d":{"start":"1970-01-02","end":null}}`:          `d:{start:1}`,
		`{"d":{"start":"1970-01-02"}}`:                     `d:{start:1}`,
		`{"d":null}`:                                       ``,
		`{"d":{"start":"1970-01-02","end":"1970-01-02"}}`:  `d at 5: ` + empty,
		`{"d": {"end":"1970-01-01","start":"1970-01-02"}}`: `d at 6: ` + empty,
		`{"d":{"end":"1970-01-01"}}`:                       `d.start at 24: the field is missing, and the schema requires it`,
		`{"d":"[1970-01-01, UNBOUNDED)"}`:                  `d at 5: wants an object, has a string`,
		`{"many":[{"start":"1970-01-01","end":"1970-01-02"},{"start":"1970-01-02",` +
			`"end":"1970-01-01"}]}`: `many[1] at 51: ` + empty,
		`{"map":{"k":{"start":"1970-01-01T01:00:00+01:00",` +
			`"end":"1970-01-01T00:00:00Z"}}}`: `map.k at 12: ` + empty,
		`{"map":{"k":{"end":"1970-01-01T00:00:00Z"}}}`: `map:{key:"k" value:{end:0}}`,
		`{"civil":{"start":"1970-01-01T00:00:00.1","end":"1970-01-01 ` +
			`00:00:00.100001"}}`: `civil:{start:"1970-01-01 00:00:00.100000" end:"1970-01-01 00:00:00.100001"}`,
		`{"civil":{"start":"1970-01-01T00:00:00.1000009","end":"1970-01-01 ` +
			`00:00:00.1"}}`: `civil at 9: ` + empty,
		`{"civil":{"start":"0999-12-31T23:59:59","end":"1000-01-01T00:00:00"},"d":{"start":"0001-01-01",` +
			`"end":"9999-12-31"}}`: `d:{end:2932896 start:-719162} civil:{start:"0999-12-31 23:59:59.000000" end:"1000-01-01 ` +
			`00:00:00.000000"}`,
	} {
		if got := text(t, p, payload); got != want {
			t.Errorf("%s: %s, want %s", payload, got, want)
		}
	}
	// A default is checked when the schema is read, and missed when it is needed.
	p, err := Compile([]byte(`{"properties":{"d":{"default":{"start":"1970-01-02","end":"1970-01-01"},`+span[1:]+`}}`),
		JSONSchema, Settings{}, decode.Options{
			Contract: "c", Payload: "payload", Columns: decode.Columns{"d": {Type: decode.Range}},
		})
	if err != nil || len(p.Warnings()) != 1 || !strings.Contains(p.Warnings()[0],
		"payload.d: its default is no value of its type: "+empty) {
		t.Fatal(err, p.Warnings())
	}
	if got := text(t, p, `{}`); !strings.HasPrefix(got, "d at 1: the field is missing, and its default is no value") {
		t.Error(got)
	}
}
