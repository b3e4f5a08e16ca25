package json

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const (
	debeziumPoint = `{"type":"object","title":"io.debezium.data.geometry.Point","properties":{` +
		`"x":{"type":"number","connect.index":0,"connect.type":"float64"},` +
		`"y":{"type":"number","connect.index":1,"connect.type":"float64"},` +
		`"wkb":{"oneOf":[{"type":"null"},{"type":"string","connect.type":"bytes"}],"connect.index":2},` +
		`"srid":{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int32"}],"connect.index":3}}}`
	debeziumVariable = `{"type":"object","title":"io.debezium.data.VariableScaleDecimal","connect.version":1,` +
		`"properties":{"scale":{"type":"integer","connect.index":0,"connect.type":"int32"},` +
		`"value":{"type":"string","connect.index":1,"connect.type":"bytes"}}}`
	avroGeometry = `{"type":"record","name":"Geometry","namespace":"io.debezium.data.geometry","fields":[` +
		`{"name":"wkb","type":"bytes"},{"name":"srid","type":["null","int"],"default":null}]}`
	avroVariable = `{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data",` +
		`"connect.name":"io.debezium.data.VariableScaleDecimal","fields":[{"name":"scale","type":"int"},` +
		`{"name":"value","type":"bytes"}]}`
)

// What Debezium writes as an object and is one value becomes one column: shapes where the contract says so, decimals
// with a scale of their own by themselves.
func TestComposed(t *testing.T) {
	const point = `"wkb":"AQEAAAAAAAAAAIAqQAAAAAAAQEpA"` // 13.25 52.5
	shape := decode.Columns{"x": {Type: decode.Geography}}
	list := `{"type":"array","items":` + debeziumPoint + `}`
	for _, c := range []struct {
		schema  string
		columns decode.Columns
		value   string
		want    string
	}{
		{debeziumPoint, shape, `{"x":13.25,"y":52.5,` + point + `,"srid":4326}`, `x:"POINT(13.25 52.5)"`},
		{debeziumPoint, shape, `{ "srid" : 0 , ` + point + ` }`, `x:"POINT(13.25 52.5)"`},
		{debeziumPoint, shape, `{"wkb":"AQEAAAAAAAAAAIAqQAAAAAAAQEpA","srid":null}`, `x:"POINT(13.25 52.5)"`},
		{debeziumPoint, shape, `{"w\u006bb":"AQEA\u0041AAAAAAAAIAqQAAAAAAAQEpA"}`, `x:"POINT(13.25 52.5)"`},
		{debeziumPoint, shape, `{` + point + `,"srid":3857}`, `!x at 5: the reference system 3857 is not WGS 84`},
		{debeziumPoint, shape, `{"wkb":"AQI="}`, `!x at 5: the shape's bytes end too early`},
		{debeziumPoint, shape, `{"wkb":"AQI"}`, `!x.wkb at 12: the string is not base64`},
		{debeziumPoint, shape, `{"wkb":"AQMAAAABAAAAAAAAAA=="}`, `!x at 5: a part of the shape is empty`},
		{debeziumPoint, shape, `{` + point + `,` + point + `}`, `!x.wkb at 43: the field is there twice`},
		{debeziumPoint, shape, `{` + point + `,"srid":1.5}`, `!x.srid`},
		{debeziumPoint, shape, `{` + point + ` "srid":1}`, `!a comma or } belongs here`},
		{debeziumPoint, shape, `{"x":nul}`, `!x at`},
		{debeziumPoint, shape, `"POINT(1 2)"`, `!x at 5: wants an object, has a string`},
		{debeziumPoint, shape, `{"wkb":null,"srid":4326}`, ``},
		{debeziumPoint, shape, `{}`, ``},
		{debeziumPoint, shape, `null`, ``},
		{list, shape, `[{` + point + `},{` + point + `}]`, `x:"POINT(13.25 52.5)" x:"POINT(13.25 52.5)"`},
		{list, shape, `[{` + point + `},{"wkb":null}]`, `!x[1] at 45: a shape without wkb among the items`},
		{debeziumPoint, nil, `{` + point + `,"srid":4326}`, `x:{wkb:"AQEAAAAAAAAAAIAqQAAAAAAAQEpA" srid:4326}`},
		{debeziumPoint, decode.Columns{"x": {Type: decode.JSON}}, `{"srid":1}`, `x:"{\"srid\":1}"`},
		{`{"oneOf":[{"type":"null"},` + debeziumPoint + `]}`, shape, `{` + point + `}`, `x:"POINT(13.25 52.5)"`},

		{debeziumVariable, nil, `{"scale":2,"value":"MDk="}`, `x:"123.45"`},
		{debeziumVariable, nil, `{"value":"z8c=","scale":2}`, `x:"-123.45"`},
		{debeziumVariable, nil, `{"value":"","scale":0}`, `x:"0"`},
		{debeziumVariable, nil, `{"scale":39,"value":"MDk="}`, `!x at 5: the scale 39 of the decimal is not within`},
		{debeziumVariable, nil, `{"scale":2}`, `!x at 5: a decimal has both its value and its scale`},
		{debeziumVariable, nil, `{"value":"MDk=","scale":null}`, `!a decimal has both its value and its scale`},
		{debeziumVariable, nil, `null`, ``},
		{
			debeziumVariable,
			decode.Columns{"x": {Type: decode.Numeric, Precision: 5, Scale: 1}},
			`{"scale":2,"value":"MDk="}`, `!x at 5: "123.45" does not fit`,
		},
		{debeziumVariable, decode.Columns{"x": {Type: decode.Float}}, `{"scale":2,"value":"MDk="}`, `x:123.45`},
		{debeziumVariable, decode.Columns{"x": {Type: decode.String}}, `{"scale":2,"value":"MDk="}`, `x:"123.45"`},
		{
			debeziumVariable,
			decode.Columns{"x": {Type: decode.Record}},
			`{"scale":2,"value":"MDk="}`,
			`x:{scale:2 value:"MDk="}`,
		},
		{
			`{"type":"array","items":` + debeziumVariable + `}`, nil,
			`[{"scale":0,"value":"AQ=="},{"scale":1,"value":"AQ=="}]`, `x:"1" x:"0.1"`,
		},
		{debeziumVariable, shape, ``, `?a decimal does not become GEOGRAPHY`},
		{
			debeziumPoint,
			decode.Columns{"x": {Type: decode.Numeric}},
			``,
			`?a place becomes one of [GEOGRAPHY], and not NUMERIC`,
		},
		{avroGeometry, shape, `{` + point + `,"srid":4326}`, `x:"POINT(13.25 52.5)"`},
		{
			`["string",` + avroGeometry + `]`,
			decode.Columns{"x.Geometry_value": {Type: decode.Geography}},
			`{` + point + `}`, `x:{Geometry_value:"POINT(13.25 52.5)"}`,
		},
		{avroVariable, nil, `{"scale":2,"value":"MDk="}`, `x:"123.45"`},
	} {
		language, schema := JSONSchema, `{"properties":{"x":`+c.schema+`}}`
		if c.schema[0] == '[' || c.schema == avroGeometry || c.schema == avroVariable {
			language, schema = Avro, one(c.schema)
		}
		p, err := Compile([]byte(schema), language, Settings{}, decode.Options{
			Contract: "c", Payload: "payload", Columns: c.columns,
		})
		if want, refused := strings.CutPrefix(c.want, "?"); refused {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", c.schema, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		got := text(t, p, `{"x":`+c.value+`}`)
		want, refused := strings.CutPrefix(c.want, "!")
		if got != c.want && (!refused || !strings.Contains(got, want)) {
			t.Errorf("%s: %s, want %s", c.value, got, c.want)
		}
	}
}

// An event's identity may be such a decimal where its column is text.
func TestComposedAsIdentity(t *testing.T) {
	p, err := Compile([]byte(`{"properties":{"x":`+debeziumVariable+`}}`), JSONSchema, Settings{}, decode.Options{
		Contract: "c", Payload: "payload", EventID: "x", Columns: decode.Columns{"x": {Type: decode.String}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := p.decoder()
	if _, err := d.Append(nil, []byte(`{"x":{"scale":2,"value":"MDk="}}`)); err != nil || string(d.ID) != "123.45" {
		t.Errorf("%q, %v", d.ID, err)
	}
}

// A record or list that is one column has its default all the same.
func TestDefaultsOfOneColumn(t *testing.T) {
	const geometry = `"\u0001\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u00f0?` +
		`\u0000\u0000\u0000\u0000\u0000\u0000\u0000@"`
	for _, c := range []struct {
		avsc, value string
		column      decode.Column
		want        string
	}{
		{avroGeometry, `{"wkb":` + geometry + `,"srid":null}`, decode.Column{Type: decode.Geography}, `x:"POINT(1 2)"`},
		{avroGeometry, `{"wkb":"\u0001"}`, decode.Column{Type: decode.Geography}, `x at 1: the field is missing, and ` +
			`its default is no value of its type: the shape's bytes end too early`},
		{avroGeometry, `{"wkb":"\u0001"}`, decode.Column{Type: decode.JSON}, `x:"{\"wkb\":\"AQ==\"}"`},
		{avroVariable, `{"scale":1,"value":"\u0001"}`, decode.Column{Type: decode.Numeric}, `x:"0.1"`},
		{`{"type":"array","items":"int"}`, `[1,2]`, decode.Column{Type: decode.JSON, Whole: true}, `x:"[1,2]"`},
		{`{"type":"map","values":"int"}`, `{"a":1}`, decode.Column{Type: decode.JSON}, `x:"{\"a\":1}"`},
	} {
		schema := `{"type":"record","name":"R","fields":[{"name":"x","type":` + c.avsc + `,"default":` + c.value + `}]}`
		p, err := Compile([]byte(schema), Avro, Settings{}, decode.Options{
			Contract: "c", Payload: "payload", Columns: decode.Columns{"x": c.column},
		})
		if err != nil {
			t.Errorf("%s: %v", c.avsc, err)
			continue
		}
		if got := text(t, p, `{}`); got != c.want {
			t.Errorf("%s: %s, want %s", c.avsc, got, c.want)
		}
	}
}
