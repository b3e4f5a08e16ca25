package json

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// Each line is a property's schema, the column asked of it, a value, and what becomes of the two.
func TestColumnsAsked(t *testing.T) {
	for _, c := range []struct {
		schema, path string
		column       decode.Column
		value        string
		columns, row string
	}{
		{`{"type":"number"}`, "x", decode.Column{Type: decode.Numeric}, `0.1`, `NUMERIC`, `x:"0.1"`},
		{`{"type":"number"}`, "x", decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2}, `123.456`, `NUMERIC(5,2)`, `!does not fit`},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.BigNumeric}, `"1e-38"`, `BIGNUMERIC`, `x:"0.00000000000000000000000000000000000001"`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.BigNumeric, Precision: 3}, `123`, `BIGNUMERIC(3,0)`, `x:"123"`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Timestamp}, `1800000000000`, `TIMESTAMP`, `x:1800000000000000`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Timestamp, Unit: decode.Millis}, `5`, `TIMESTAMP`, `x:5000`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Date}, `-1`, `DATE`, `x:-1`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Date, Unit: decode.Seconds}, `-1`, `DATE`, `x:-1`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.DateTime, Unit: decode.Seconds}, `1`, `DATETIME`, `x:"1970-01-01 00:00:01.000000"`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Time, Unit: decode.Seconds}, `61`, `TIME`, `x:"00:01:01.000000"`},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.String}, `1.50`, `string`, `x:"1.50"`},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Timestamp}, `"1970-01-01T00:00:01Z"`, `TIMESTAMP`, `x:1000000`},
		{`{"format":"date-time"}`, "x", decode.Column{Type: decode.String}, `"soon"`, `string`, `x:"soon"`},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Geography}, `"POINT(1 2)"`, `GEOGRAPHY`, `x:"POINT(1 2)"`},
		{`{}`, "x", decode.Column{Type: decode.Geography}, `{"type":"Point","coordinates":[1,2]}`, `GEOGRAPHY`, `x:"{\"type\":\"Point\",\"coordinates\":[1,2]}"`},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Geography}, `"POINT"`, `GEOGRAPHY`, `!x at 5: `},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Interval}, `"1-2 3 4:5:6"`, `INTERVAL`, `x:"1-2 3 4:5:6"`},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Interval}, `"soon"`, `INTERVAL`, `!x at 5: `},
		{`{"properties":{"a":{"type":"string"}}}`, "x", decode.Column{Type: decode.JSON}, `{"a":1, "b":[]}`, `JSON`, `x:"{\"a\":1, \"b\":[]}"`},
		{`{"properties":{"a":{"type":"integer"},"b":{"type":"integer"}}}`, "x.b", decode.Column{Type: decode.Timestamp}, `{"a":1,"b":1}`, `{a int64, b TIMESTAMP}`, `x:{a:1 b:1000000}`},
		{`{"items":{"type":"number"}}`, "x", decode.Column{Type: decode.Numeric}, `[0.1,2]`, `NUMERIC*`, `x:"0.1" x:"2"`},
		{`{"items":{"type":["number","null"]}}`, "x.value", decode.Column{Type: decode.Numeric}, `[0.1,null]`, `{value NUMERIC}*`, `x:{value:"0.1"} x:{}`},
		{`{"additionalProperties":{"type":"number"}}`, "x.value", decode.Column{Type: decode.Numeric}, `{"k":1}`, `{key string, value NUMERIC}*`, `x:{key:"k" value:"1"}`},
		{`{"properties":{"start":{"format":"date"},"end":{"format":"date"}}}`, "x", decode.Column{Type: decode.Range}, `{"start":"1970-01-02","end":null}`, `{start DATE, end DATE}`, `x:{start:1}`},

		{`{"type":"boolean"}`, "x", decode.Column{Type: decode.Numeric}, ``, `!payload.x: columns: of type boolean, which does not become NUMERIC`, ``},
		{`{"type":"string"}`, "x", decode.Column{Type: decode.Timestamp, Unit: decode.Millis}, ``, `!only a number has a unit`, ``},
		{`{"type":"integer"}`, "x", decode.Column{Type: decode.Time}, ``, `!needs a unit`, ``},
		{`{"type":"string"}`, "y", decode.Column{Type: decode.JSON}, ``, `!no field y`, ``},
		{`{"type":"string"}`, "x.y", decode.Column{Type: decode.JSON}, ``, `!there is no y in a string`, ``},
		{`{"additionalProperties":{"type":"number"}}`, "x.k", decode.Column{Type: decode.Numeric}, ``, `!name its values`, ``},
		{`{"format":"date"}`, "x", decode.Column{Type: decode.Timestamp}, ``, `!does not become TIMESTAMP`, ``},
		{`{"properties":{"start":{"format":"date"},"end":{"format":"date-time"}}}`, "x", decode.Column{Type: decode.Range}, ``, `!a RANGE is`, ``},
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
		Contract: "c", Payload: "payload", Columns: decode.Columns{"x.long_value": {Type: decode.String}, "x.string_value": {Type: decode.Numeric}},
	})
	if err == nil || !strings.Contains(err.Error(), "apart any more") {
		t.Error(err)
	}
}
