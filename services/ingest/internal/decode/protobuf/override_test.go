package protobuf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

// compiled compiles the message M with columns.
func compiled(t testing.TB, text string, columns decode.Columns, change func(*decode.Options)) (*Plan, error) {
	t.Helper()
	o := options
	o.Columns = columns
	if change != nil {
		change(&o)
	}
	return compileMessage(parse(t, text).Messages().ByName("M"), Drop, o)
}

// shown is a payload's row as JSON, or the error.
func shown(t testing.TB, p *Plan, payload []byte) string {
	t.Helper()
	row, err := p.NewDecoder().Append(nil, payload)
	if err != nil {
		return "refused: " + strings.TrimPrefix(err.Error(), "test: payload.")
	}
	m := dynamicpb.NewMessage(rowType(t, p))
	if err := proto.Unmarshal(row, m); err != nil {
		t.Fatal(err)
	}
	if len(m.GetUnknown()) > 0 {
		t.Fatalf("%x has fields that the row has not", row)
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		t.Fatal(err)
	}
	return compact.String()
}

// columnsOf are the types of the columns of all messages, by message and name.
func columnsOf(t testing.TB, p *Plan) map[string]string {
	t.Helper()
	row := &descriptorpb.DescriptorProto{Name: proto.String("Row")}
	if err := p.AddPayload(row, "payload", 16); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range row.NestedType {
		for _, f := range m.Field {
			name := strings.ToLower(strings.TrimPrefix(f.GetType().String(), "TYPE_"))
			if f.Options != nil {
				if c := proto.GetExtension(f.Options, columnv1.E_Column).(*columnv1.Column).GetType(); c != 0 {
					name = strings.TrimPrefix(c.String(), "COLUMN_TYPE_")
				}
			}
			found[m.GetName()+"."+f.GetName()] = name
		}
	}
	return found
}

// Each field becomes each column that it can: what comes is converted or refused, with the byte of its field.
func TestColumns(t *testing.T) {
	const day, moment = "2026-02-28", "2026-02-28T13:05:00.25Z"
	type column = decode.Column
	text := func(s string) []byte { return nested(1, []byte(s)...) }
	number := func(v int64) []byte { return varintField(1, uint64(v)) }
	for _, c := range []struct {
		field   string
		column  column
		payload []byte
		want    string
	}{
		{"string", column{Type: decode.JSON}, text(`{"a":[1]}`), `{"x":"{\"a\":[1]}"}`},
		{
			"string",
			column{Type: decode.JSON},
			text(`{"a":}`),
			`refused: x at byte 0: no JSON value starts here, but '}', at byte 5 of the text`,
		},
		{"string", column{Type: decode.JSON}, text(""), `{}`},
		{"optional string", column{Type: decode.JSON}, text(""), `refused: x at byte 0: the JSON value ends here`},
		{"repeated string", column{Type: decode.JSON}, join(text("1"), text("2")), `{"x":["1","2"]}`},
		{"bytes", column{Type: decode.JSON}, text("[]"), `{"x":"[]"}`},
		{"bytes", column{Type: decode.String}, text("é"), `{"x":"é"}`},
		{"bytes", column{Type: decode.String}, text("\xff"), `refused: x at byte 0: text is not valid UTF-8`},
		{"bytes", column{Type: decode.String}, nil, `{"x":""}`},
		{"string", column{Type: decode.Geography}, text("POINT(1 2)"), `{"x":"POINT(1 2)"}`},
		{"string", column{Type: decode.Geography}, text("POINT(1)"), `refused: x at byte 0: `},
		{"string", column{Type: decode.Numeric, Precision: 4, Scale: 2}, text("12.30"), `{"x":"12.3"}`},
		{"string", column{Type: decode.Numeric, Precision: 4, Scale: 2}, text("123.4"), `refused: x at byte 0: `},
		{"string", column{Type: decode.BigNumeric}, text("1e3"), `{"x":"1000"}`},
		{"string", column{Type: decode.DateTime}, text("2026-02-28 13:05:00.25"), `{"x":"2026-02-28 13:05:00.250000"}`},
		{"string", column{Type: decode.Date}, text(day), `{"x":20512}`},
		{"string", column{Type: decode.Date}, text("2026-02-30"), `refused: x at byte 0: "2026-02-30" is no date`},
		{"string", column{Type: decode.Time}, text("13:05:00.25"), `{"x":"13:05:00.250000"}`},
		{"string", column{Type: decode.Timestamp}, text(moment), `{"x":"1772283900250000"}`},
		{"optional string", column{Type: decode.Timestamp}, nil, `{}`},
		{"int64", column{Type: decode.Timestamp, Unit: decode.Millis}, number(-1), `{"x":"-1000"}`},
		{"int64", column{Type: decode.Timestamp, Unit: decode.Seconds}, nil, `{"x":"0"}`},
		{
			"int64",
			column{Type: decode.Timestamp, Unit: decode.Seconds},
			number(1 << 40),
			`refused: x at byte 0: the timestamp is out of BigQuery's range`,
		},
		{
			"repeated int64",
			column{Type: decode.Timestamp, Unit: decode.Millis},
			join(number(1), nested(1, 2, 3)),
			`{"x":["1000","2000","3000"]}`,
		},
		{
			"repeated int64",
			column{Type: decode.Timestamp, Unit: decode.Seconds},
			nested(1, 2, 0xff, 0xff, 0xff, 0xff, 0xff,
				0x7f), `refused: x[1] at byte 3: the timestamp is out of BigQuery's range`,
		},
		{
			"repeated fixed32",
			column{Type: decode.Numeric},
			nested(1, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff),
			`{"x":["2","4294967295"]}`,
		},
		{
			"repeated fixed32",
			column{Type: decode.Numeric},
			nested(1, 2, 0, 0),
			`refused: x[0] at byte 2: the value ends behind its message`,
		},
		{"int32", column{Type: decode.Date}, number(-3), `{"x":-3}`},
		{
			"int32",
			column{Type: decode.Date},
			number(1 << 30),
			`refused: x at byte 0: the date 1073741824 is out of BigQuery's range`,
		},
		{"sint64", column{Type: decode.Numeric}, varintField(1, 5), `{"x":"-3"}`},
		{"sint64", column{Type: decode.Numeric}, nil, `{"x":"0"}`},
		{"uint64", column{Type: decode.Numeric}, number(-1), `refused: x at byte 0: the number is beyond ` +
			`9223372036854775807`},
		{
			"sfixed64",
			column{Type: decode.DateTime, Unit: decode.Seconds},
			append([]byte{1<<3 | 1}, make([]byte, 8)...),
			`{"x":"1970-01-01 00:00:00.000000"}`,
		},
		{
			"sfixed64",
			column{Type: decode.DateTime, Unit: decode.Seconds},
			[]byte{1<<3 | 1, 0},
			`refused: x at byte 0: the value ends behind its message`,
		},
		{"uint32", column{Type: decode.Time, Unit: decode.Seconds}, number(3661), `{"x":"01:01:01.000000"}`},
		{"int64", column{Type: decode.String}, number(-7), `{"x":"-7"}`},
		{
			"int64",
			column{Type: decode.String},
			[]byte{1 << 3, 0x80},
			`refused: x at byte 0: the value ends behind its message`,
		},
		{
			"string",
			column{Type: decode.JSON},
			[]byte{1<<3 | 2, 5, 'a'},
			`refused: x at byte 0: the value ends behind its message`,
		},
		// A value that is there twice counts once, as protobuf merges it.
		{"int64", column{Type: decode.Timestamp, Unit: decode.Millis}, join(number(1), number(2)), `{"x":"2000"}`},
	} {
		p, err := compiled(t, `syntax = "proto3"; message M { `+c.field+` x = 1; }`, decode.Columns{"x": c.column}, nil)
		if err != nil {
			t.Errorf("%s to %s: %v", c.field, c.column.Type, err)
			continue
		}
		got := shown(t, p, c.payload)
		if refused := strings.HasPrefix(c.want, "refused"); refused && !strings.HasPrefix(got, c.want) ||
			!refused && got != c.want {
			t.Errorf("%s to %s, %x: %s, want %s", c.field, c.column.Type, c.payload, got, c.want)
		}
		if kind := columnsOf(t, p)["M.x"]; c.column.Type != decode.String && kind != c.column.Type.String() {
			t.Errorf("%s to %s: the column is %s", c.field, c.column.Type, kind)
		}
		d, row := p.NewDecoder(), make([]byte, 0, 256)
		if n := testing.AllocsPerRun(100, func() { _, _ = d.Append(row, c.payload) }); n != 0 &&
			!strings.HasPrefix(c.want, "refused") && !strings.HasPrefix(c.want, `{"x":"2000"`) {
			t.Errorf("%s to %s: %v allocations", c.field, c.column.Type, n)
		}
	}
}

// A column is asked for at one place of a message that stands in several; the others stay as they are. So it is with
// maps.
func TestColumnsByPlace(t *testing.T) {
	p, err := compiled(t, `syntax = "proto3"; message M { A a = 1; A b = 2; repeated A list = 3; map<string, string> `+
		`texts = 4; map<string, A> map = 5; } message A { string x = 1; int64 y = 2; }`,
		decode.Columns{
			"b.x": {Type: decode.JSON}, "list.y": {Type: decode.Timestamp, Unit: decode.Seconds},
			"texts.value": {Type: decode.Numeric}, "map.value.x": {Type: decode.Date},
		}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := nested(1, '1')
	got := shown(t, p, join(nested(1, a...), nested(2, a...), nested(3, varintField(2, 1)...),
		nested(4, join(nested(1, 'k'), nested(2, '7'))...),
		nested(5, join(nested(1, 'k'), nested(2, nested(1, []byte("1970-01-02")...)...))...)))
	const want = `{"a":{"x":"1","y":"0"},"b":{"x":"1","y":"0"},"list":[{"x":"","y":"1000000"}],"texts":[{"key":"k",` +
		`"value":"7"}],"map":[{"key":"k","value":{"x":1,"y":"0"}}]}`
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	kinds := map[string]int{}
	for name, kind := range columnsOf(t, p) {
		if strings.HasSuffix(name, ".x") || strings.HasSuffix(name, ".y") {
			kinds[name[len(name)-1:]+" "+kind]++
		}
	}
	if fmt.Sprint(kinds) != "map[x DATE:1 x JSON:1 x string:2 y TIMESTAMP:1 y int64:3]" {
		t.Errorf("columns %v", kinds)
	}
}

func TestRanges(t *testing.T) {
	const text = `syntax = "proto3"; import "google/protobuf/timestamp.proto"; message M { R r = 1; S s = 2; }
		message R { optional string start = 1; optional string end = 2; } message S { google.protobuf.Timestamp start = 4;` +
		` google.protobuf.Timestamp end = 3; }`
	p, err := compiled(t, text, decode.Columns{
		"r": {Type: decode.Range}, "r.start": {Type: decode.Date}, "r.end": {Type: decode.Date},
		"s": {Type: decode.Range},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := columnsOf(t, p); got["M.r"] != "RANGE" || got["M.s"] != "RANGE" {
		t.Errorf("columns %v", got)
	}
	dates := func(start, end string) []byte {
		return nested(1, join(nested(1, []byte(start)...), nested(2, []byte(end)...))...)
	}
	at := func(start, end uint64) []byte {
		return nested(2, join(nested(4, varintField(1, start)...), nested(3, varintField(1, end)...))...)
	}
	for _, c := range []struct {
		payload []byte
		want    string
	}{
		{dates("1970-01-02", "1970-01-05"), `{"r":{"start":1,"end":4}}`},
		{dates("1970-01-05", "1970-01-05"), "refused: r at byte 0: the range ends before it starts, or where it " +
			"starts"},
		{nested(1, nested(2, []byte("1970-01-05")...)...), `{"r":{"end":4}}`},
		{at(1, 2), `{"s":{"start":"1000000","end":"2000000"}}`},
		{join(varintField(9, 1), at(2, 1)), "refused: s at byte 2: the range ends"},
		// The two halves of a message that is there twice are one range.
		{
			join(nested(1, nested(1, []byte("1970-01-02")...)...), nested(1, nested(2, []byte("1970-01-03")...)...)),
			`{"r":{"start":1,"end":2}}`,
		},
	} {
		if got := shown(t, p, c.payload); got != c.want &&
			!(strings.HasPrefix(c.want, "refused") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%x: %s, want %s", c.payload, got, c.want)
		}
	}
}

// The value of a map's entry that is left out has the bounds' zeros, which is no range when neither bound can be
// absent.
func TestRangesThatAreLeftOut(t *testing.T) {
	const text = `syntax = "proto3"; message M { map<string, R> m = 1; map<string, O> o = 2; } message R { int32 start ` +
		`= 1; int32 end = 2; } message O { optional int32 start = 1; int32 end = 2; }`
	columns := decode.Columns{}
	for _, name := range []string{"m", "o"} {
		columns[name+".value"] = decode.Column{Type: decode.Range}
		columns[name+".value.start"], columns[name+".value.end"] = decode.Column{Type: decode.Date},
			decode.Column{Type: decode.Date}
	}
	p, err := compiled(t, text, columns, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		payload []byte
		want    string
	}{
		{
			nested(1, join(nested(1, 'k'), nested(2, varintField(2, 3)...))...),
			`{"m":[{"key":"k","value":{"start":0,"end":3}}]}`,
		},
		{
			nested(1, join(nested(1, 'k'), nested(2))...),
			"refused: m[0].value at byte 5: the range ends before it starts",
		},
		{nested(1, nested(1, 'k')...), "refused: m[0].value at byte 2: the field is required, and missing"},
		{nested(2, nested(1, 'k')...), `{"o":[{"key":"k","value":{"end":0}}]}`},
	} {
		if got := shown(t, p, c.payload); got != c.want &&
			!(strings.HasPrefix(c.want, "refused") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%x: %s, want %s", c.payload, got, c.want)
		}
	}
}

// What cannot be had is a problem of the configuration, with the path.
func TestColumnsThatCannotBe(t *testing.T) {
	const text = `syntax = "proto2"; import "google/protobuf/wrappers.proto"; import "column/v1/column.proto"; enum E ` +
		`{ A = 0; }
		message M { optional string s = 1 [default = "x"]; optional double d = 2; optional E e = 3; optional ` +
		`google.protobuf.StringValue w = 4; map<string, int64> m = 5;
			optional R r = 6; optional int64 n = 7; optional int64 o = 8 [(column.v1.column) = {type: ` +
		`COLUMN_TYPE_TIMESTAMP}]; } message R { optional int64 start = 1; optional int64 stop = 2; }`
	for path, c := range map[string]struct {
		column decode.Column
		want   string
	}{
		"s":    {decode.Column{Type: decode.Numeric}, "its default does not become NUMERIC"},
		"d":    {decode.Column{Type: decode.Numeric}, "of type double, which becomes nothing but"},
		"e":    {decode.Column{Type: decode.JSON}, "of type E, which"},
		"w":    {decode.Column{Type: decode.Integer}, "it does not become INTEGER"},
		"m":    {decode.Column{Type: decode.String}, "a map: name its keys or values"},
		"r":    {decode.Column{Type: decode.Range}, "a RANGE is a record of start and end alone"},
		"n":    {decode.Column{Type: decode.JSON}, "a whole number does not become JSON"},
		"s.a":  {decode.Column{Type: decode.JSON}, "there is no a in a string"},
		"o":    {decode.Column{Type: decode.Date}, "the schema's option makes it"},
		"z":    {decode.Column{Type: decode.Date}, "the schema has no field z there"},
		"r.z":  {decode.Column{Type: decode.Date}, "the schema has no field z there"},
		"n.at": {decode.Column{Type: decode.Date}, "there is no at in a long"},
	} {
		_, err := compiled(t, text, decode.Columns{path: c.column}, nil)
		if err == nil || !strings.HasPrefix(err.Error(),
			"payload."+strings.ReplaceAll(path, "m", "m[]")+": columns: "+c.want) && !strings.HasPrefix(
			err.Error(), "payload."+path+": columns: "+c.want) {
			t.Errorf("%s: %v, want %s", path, err, c.want)
		}
	}
}

// The envelope takes the time from a column that is asked for.
func TestColumnsAndTheEnvelope(t *testing.T) {
	const text = `syntax = "proto3"; message M { string s = 1; int64 n = 2; }`
	for _, c := range []struct {
		path    string
		column  decode.Column
		payload []byte
		micros  int64
	}{
		{"s", decode.Column{Type: decode.Timestamp}, nested(1, []byte("1970-01-01T00:00:01Z")...), 1_000_000},
		{"n", decode.Column{Type: decode.Timestamp, Unit: decode.Millis}, varintField(2, 7), 7000},
	} {
		p, err := compiled(t, text, decode.Columns{c.path: c.column}, func(o *decode.Options) { o.EventTime = c.path })
		if err != nil {
			t.Fatal(err)
		}
		d := p.NewDecoder()
		if _, err := d.Append(nil, c.payload); err != nil {
			t.Fatal(err)
		}
		if micros, ok := d.EventTime(); !ok || micros != c.micros {
			t.Errorf("%s: %d, %v, want %d", c.path, micros, ok, c.micros)
		}
		if _, err := d.Append(nil, nil); err != nil {
			t.Fatal(err)
		}
		if _, ok := d.EventTime(); ok {
			t.Errorf("%s: an absent field has a time", c.path)
		}
		if _, err := compiled(t, text, decode.Columns{c.path: c.column}, func(o *decode.Options) {
			o.EventTime, o.EventTimeUnit = c.path, decode.Micros
		}); err == nil {
			t.Errorf("%s: a unit in two places is no problem", c.path)
		}
	}
}
