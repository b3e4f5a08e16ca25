package avro

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	columnv1 "github.com/waybill-data/waybill/proto/column/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

func compileWith(t testing.TB, avsc string, columns decode.Columns) *Plan {
	t.Helper()
	p, err := Compile([]byte(avsc), decode.Options{Contract: "test", Payload: "p", Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// text is what a plan makes of a datum, or why it refuses it. It watches that a good one takes no allocation and is
// canonical.
func text(t testing.TB, p *Plan, datum string) string {
	t.Helper()
	d, payload := p.NewDecoder(), []byte(datum)
	row, err := d.Append(nil, payload)
	if err != nil {
		return "refused: " + err.Error()
	}
	m := dynamicpb.NewMessage(decodetest.Payload(t, p))
	if err := proto.Unmarshal(row, m); err != nil {
		t.Fatal(err)
	}
	if canonical, err := (proto.MarshalOptions{Deterministic: true}).Marshal(m); err != nil ||
		!bytes.Equal(canonical, row) {
		t.Errorf("%q: not the bytes of proto.Marshal", datum)
	}
	room := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(20, func() { _, _ = d.Append(room, payload) }); n != 0 {
		t.Errorf("%q: %v allocations a row", datum, n)
	}
	return strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(m)), " ")
}

// columnOf is the option of the column at a path of field names.
func columnOf(t testing.TB, p *Plan, path string) *columnv1.Column {
	t.Helper()
	m := decodetest.Payload(t, p)
	var f protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		if f != nil {
			m = f.Message()
		}
		if f = m.Fields().ByName(protoreflect.Name(name)); f == nil {
			t.Fatalf("no column %s of %s", name, path)
		}
	}
	return proto.GetExtension(f.Options(), columnv1.E_Column).(*columnv1.Column)
}

func avroText(s string) string { return string(appendZigzag(nil, int64(len(s)))) + s }

func long(v int64) string { return string(appendZigzag(nil, v)) }

func TestColumns(t *testing.T) {
	const str, num, raw = `"string"`, `"long"`, `"bytes"`
	for _, c := range []struct {
		schema string
		column decode.Column
		datum  string
		want   string // refused: followed by a part of the reason
		option columnv1.ColumnType
	}{
		{
			str,
			decode.Column{Type: decode.JSON},
			avroText(`{"a":1}`), `x:"{\"a\":1}"`,
			columnv1.ColumnType_COLUMN_TYPE_JSON,
		},
		{
			str,
			decode.Column{Type: decode.JSON},
			avroText(`{"a":}`),
			`refused: test: p.x at byte 0: no JSON value starts here, but '}', at byte 5`,
			columnv1.ColumnType_COLUMN_TYPE_JSON,
		},
		{raw, decode.Column{Type: decode.JSON}, avroText(`[]`), `x:"[]"`, columnv1.ColumnType_COLUMN_TYPE_JSON},
		{raw, decode.Column{Type: decode.String}, avroText("é"), `x:"é"`, 0},
		{
			raw,
			decode.Column{Type: decode.String},
			avroText("\xff"), `refused: test: p.x at byte 0: text is not valid UTF-8`,
			0,
		},
		{
			str,
			decode.Column{Type: decode.Geography},
			avroText("POINT(1 2)"), `x:"POINT(1 2)"`,
			columnv1.ColumnType_COLUMN_TYPE_GEOGRAPHY,
		},
		{
			str,
			decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2},
			avroText("0123.40"), `x:"123.4"`,
			columnv1.ColumnType_COLUMN_TYPE_NUMERIC,
		},
		{
			str,
			decode.Column{Type: decode.BigNumeric},
			avroText("1e-38"), `x:"0.00000000000000000000000000000000000001"`,
			columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC,
		},
		{
			str,
			decode.Column{Type: decode.Numeric},
			avroText("x"), `refused: test: p.x at byte 0: "x" is no decimal`,
			columnv1.ColumnType_COLUMN_TYPE_NUMERIC,
		},
		{
			str,
			decode.Column{Type: decode.DateTime},
			avroText("2026-02-28T01:02:03"), `x:"2026-02-28 01:02:03.000000"`,
			columnv1.ColumnType_COLUMN_TYPE_DATETIME,
		},
		{str, decode.Column{Type: decode.Date}, avroText("1969-12-31"), `x:-1`, columnv1.ColumnType_COLUMN_TYPE_DATE},
		{
			str,
			decode.Column{Type: decode.Date},
			avroText("1969-12-32"),
			`refused: test: p.x at byte 0: "1969-12-32" is no date`, columnv1.ColumnType_COLUMN_TYPE_DATE,
		},
		{
			str,
			decode.Column{Type: decode.Time},
			avroText("1:02:03.5"), `x:"01:02:03.500000"`,
			columnv1.ColumnType_COLUMN_TYPE_TIME,
		},
		{
			str,
			decode.Column{Type: decode.Timestamp},
			avroText("1970-01-01T01:00:00+01:00"), `x:0`,
			columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP,
		},
		{
			str,
			decode.Column{Type: decode.Interval},
			avroText("1-2 3 4:5:6"), `x:"1-2 3 4:5:6"`,
			columnv1.ColumnType_COLUMN_TYPE_INTERVAL,
		},
		{
			num,
			decode.Column{Type: decode.Timestamp, Unit: decode.Seconds},
			long(-1), `x:-1000000`,
			columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP,
		},
		{
			num,
			decode.Column{Type: decode.Timestamp, Unit: decode.Seconds},
			long(1 << 50),
			`refused: test: p.x at byte 0: the timestamp is out`, columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP,
		},
		{`"int"`, decode.Column{Type: decode.Date}, long(19782), `x:19782`, columnv1.ColumnType_COLUMN_TYPE_DATE},
		{
			`"int"`,
			decode.Column{Type: decode.Date},
			long(1 << 40),
			`refused: test: p.x at byte 0: the number does not fit an int`, columnv1.ColumnType_COLUMN_TYPE_DATE,
		},
		{
			num,
			decode.Column{Type: decode.DateTime, Unit: decode.Millis},
			long(1500), `x:"1970-01-01 00:00:01.500000"`,
			columnv1.ColumnType_COLUMN_TYPE_DATETIME,
		},
		{
			num,
			decode.Column{Type: decode.Time, Unit: decode.Millis},
			long(1500), `x:"00:00:01.500000"`,
			columnv1.ColumnType_COLUMN_TYPE_TIME,
		},
		{num, decode.Column{Type: decode.Numeric}, long(-12), `x:"-12"`, columnv1.ColumnType_COLUMN_TYPE_NUMERIC},
		{num, decode.Column{Type: decode.String}, long(-12), `x:"-12"`, 0},
		{`["null","string"]`, decode.Column{Type: decode.JSON}, "\x00", ``, columnv1.ColumnType_COLUMN_TYPE_JSON},
		{
			`["null","string"]`,
			decode.Column{Type: decode.JSON},
			"\x02" + avroText("1"), `x:"1"`,
			columnv1.ColumnType_COLUMN_TYPE_JSON,
		},
		{
			`{"type":"array","items":"string"}`,
			decode.Column{Type: decode.Numeric},
			"\x04" + avroText("1.0") + avroText("2") + "\x00", `x:"1" x:"2"`, columnv1.ColumnType_COLUMN_TYPE_NUMERIC,
		},
		{
			`{"type":"array","items":"string"}`,
			decode.Column{Type: decode.Numeric},
			"\x04" + avroText("1.0") + avroText("b") + "\x00", `refused: test: p.x[1] at byte 5`,
			columnv1.ColumnType_COLUMN_TYPE_NUMERIC,
		},
	} {
		p := compileWith(t, one(c.schema), decode.Columns{"x": c.column})
		got := text(t, p, c.datum)
		if got != c.want && !(strings.HasPrefix(c.want, "refused") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s as %v: %s\nwant %s", c.schema, c.column.Type, got, c.want)
		}
		if o := columnOf(t, p, "x"); o.GetType() != c.option || o.GetPrecision() != int32(c.column.Precision) ||
			o.GetScale() != int32(c.column.Scale) {
			t.Errorf("%s as %v: column %v", c.schema, c.column.Type, o)
		}
	}
}

// A column is asked for at one place of a type that stands in several: the others stay as they are.
func TestColumnsByPath(t *testing.T) {
	schema := recordOf(`{"name":"a","type":{"type":"record","name":"Money","fields":[{"name":"amount","type":"string"},` +
		`{"name":"at","type":["null","long"]}]}},
		{"name":"b","type":["null","Money"]},
		{"name":"lines","type":{"type":"array","items":"Money"}},
		{"name":"grid","type":{"type":"array","items":{"type":"array","items":["null","string"]}}},
		{"name":"rates","type":{"type":"map","values":"string"}},
		{"name":"either","type":["null","string","double"]}`)
	p := compileWith(t, schema, decode.Columns{
		"a.amount": {Type: decode.Numeric}, "a.at": {Type: decode.Timestamp, Unit: decode.Seconds},
		"lines.amount": {Type: decode.BigNumeric}, "grid.items.value": {Type: decode.Date},
		"rates.value":         {Type: decode.Numeric},
		"either.string_value": {Type: decode.JSON},
	})
	money := func(amount string) string { return avroText(amount) + "\x02" + long(1) }
	got := text(t, p, money("1.50")+"\x02"+money("one")+"\x02"+money("2.0")+"\x00"+
		"\x02"+"\x04"+"\x00"+"\x02"+avroText("1970-01-02")+"\x00\x00"+"\x02"+avroText("k")+avroText("3.0")+"\x00"+
		"\x02"+
		avroText("[4]"))
	want := `a:{amount:"1.5" at:1000000} b:{amount:"one" at:1} lines:{amount:"2" at:1} grid:{items:{} items:{value:1}} ` +
		`rates:{key:"k" value:"3"} either:{string_value:"[4]"}`
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for path, want := range map[string]columnv1.ColumnType{
		"a.amount": columnv1.ColumnType_COLUMN_TYPE_NUMERIC, "b.amount": 0,
		"lines.amount": columnv1.ColumnType_COLUMN_TYPE_BIGNUMERIC, "a.at": columnv1.ColumnType_COLUMN_TYPE_TIMESTAMP,
		"b.at":             0,
		"grid.items.value": columnv1.ColumnType_COLUMN_TYPE_DATE,
	} {
		if got := columnOf(t, p, path).GetType(); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	// A file written with a schema of its own is read into the same columns.
	written := strings.Replace(schema, `{"name":"a",`, `{"name":"more","type":"int"},{"name":"a",`, 1)
	datum := "\x02" + money("1.50") + "\x00\x00\x00\x00\x00"
	if got, want := text(t, p, money("1.50")+"\x00\x00\x00\x00\x00"), `a:{amount:"1.5" at:1000000}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	row, err := p.NewDecoder().Append(nil, file(t, written, nil, []byte(datum)))
	bare, bareErr := p.NewDecoder().Append(nil, []byte(datum[1:]))
	if err != nil || bareErr != nil || !bytes.Equal(row, bare) {
		t.Errorf("%x, %v, want %x, %v", row, err, bare, bareErr)
	}
}

func TestRanges(t *testing.T) {
	bounds := func(typ string) string {
		return one(`{"type":"record","name":"Span","fields":[{"name":"end","type":["null",` + typ +
			`]},{"name":"start","type":["null",` + typ + `]}]}`)
	}
	span := func(end, start string) string {
		out := ""
		for _, bound := range []string{end, start} {
			if bound == "" {
				out += "\x00"
			} else {
				out += "\x02" + bound
			}
		}
		return out
	}
	requested := decode.Columns{"x": {Type: decode.Range}}
	dates := compileWith(t, bounds(`{"type":"int","logicalType":"date"}`), requested)
	local := compileWith(t, bounds(`{"type":"long","logicalType":"local-timestamp-millis"}`), requested)
	texts := compileWith(t, bounds(`"string"`), decode.Columns{
		"x": {Type: decode.Range}, "x.start": {Type: decode.Timestamp}, "x.end": {Type: decode.Timestamp},
	})
	const empty = "refused: test: p.x at byte"
	for _, c := range []struct {
		plan        *Plan
		datum, want string
	}{
		{dates, span(long(2), long(-1)), `x:{end:2 start:-1}`},
		{dates, span(long(2), ""), `x:{end:2}`},
		{dates, span("", long(2)), `x:{start:2}`},
		{dates, span("", ""), `x:{}`},
		{dates, span(long(2), long(2)), empty},
		{dates, span(long(-2), long(1)), empty},
		{local, span(long(1), long(0)), `x:{end:"1970-01-01 00:00:00.001000" start:"1970-01-01 00:00:00.000000"}`},
		{local, span(long(0), long(1)), empty},
		{texts, span(avroText("1970-01-02"), avroText("1970-01-01")), `x:{end:86400000000 start:0}`},
		{texts, span(avroText("1970-01-01"), avroText("1970-01-02")), empty},
	} {
		got := text(t, c.plan, c.datum)
		if got != c.want && !(c.want == empty && strings.HasPrefix(got, empty) && strings.HasSuffix(got,
			"the range ends before it starts, or where it starts")) {
			t.Errorf("%q: %s, want %s", c.datum, got, c.want)
		}
		if columnOf(t, c.plan, "x").GetType() != columnv1.ColumnType_COLUMN_TYPE_RANGE {
			t.Error("no RANGE")
		}
	}
}

// BigQuery's export says in sqlType what a column was.
func TestExportedSchema(t *testing.T) {
	p := compile(t, recordOf(`{"name":"g","type":["null",{"type":"string","sqlType":"GEOGRAPHY"}]},{"name":"j",`+
		`"type":{"type":"string","sqlType":"JSON"}},
		{"name":"d","type":{"type":"string","logicalType":"datetime","sqlType":"DATETIME"}},{"name":"i",`+
		`"type":{"type":"string","sqlType":"INTERVAL"}},
		{"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":1,"sqlType":"NUMERIC"}},`+
		`{"name":"s","type":{"type":"string","sqlType":"STRING"}},
		{"name":"o","type":{"type":"string","sqlType":"NOTHING"}},
		{"name":"r","type":{"type":"record","name":"S","sqlType":"RANGE","fields":[{"name":"start","type":["null",`+
		`{"type":"int","logicalType":"date"}]},{"name":"end","type":["null",{"type":"int","logicalType":"date"}]}]}}`))
	for path, want := range map[string]columnv1.ColumnType{
		"g": columnv1.ColumnType_COLUMN_TYPE_GEOGRAPHY, "j": columnv1.ColumnType_COLUMN_TYPE_JSON,
		"d": columnv1.ColumnType_COLUMN_TYPE_DATETIME, "i": columnv1.ColumnType_COLUMN_TYPE_INTERVAL,
		"n": columnv1.ColumnType_COLUMN_TYPE_NUMERIC, "s": 0, "o": 0,
		"r": columnv1.ColumnType_COLUMN_TYPE_RANGE,
	} {
		if got := columnOf(t, p, path).GetType(); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}
