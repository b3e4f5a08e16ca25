package protobuf

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
)

const commonTypes = `syntax = "proto3"; import "google/protobuf/timestamp.proto";
	import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto"; import "google/type/date.proto"; import "google/type/timeofday.proto";
import "google/type/datetime.proto"; import "google/type/decimal.proto"; import "google/type/latlng.proto";
import "google/type/money.proto"; import "confluent/type/decimal.proto";
message M { `

// Messages that are one value become each column that they can, and what is no value of it is refused.
func TestKnownMessages(t *testing.T) {
	type column = decode.Column
	const moment, stamp, civil = "google.protobuf.Timestamp", `"2026-02-28T13:05:00.25Z"`, "google.type.DateTime"
	const day, point = "google.type.Date", "google.type.LatLng"
	for _, c := range []struct {
		field  string
		column column
		in     string
		want   string
	}{
		{moment, column{Type: decode.Integer}, stamp, `"1772283900250000"`},
		{moment, column{Type: decode.Integer, Unit: decode.Seconds}, stamp, `"1772283900"`},
		{moment, column{Type: decode.Integer, Unit: decode.Millis}, `"1969-12-31T23:59:59.9999Z"`, `"-1"`},
		{moment, column{Type: decode.Integer, Unit: decode.Nanos}, `"9999-01-01T00:00:00Z"`, "!so many nanoseconds"},
		{moment, column{Type: decode.String}, stamp, `"2026-02-28T13:05:00.250000Z"`},
		{moment, column{Type: decode.DateTime}, stamp, `"2026-02-28 13:05:00.250000"`},
		{moment, column{Type: decode.Date}, stamp, `20512`},
		{moment, column{Type: decode.Date}, `"1969-12-31T23:59:59Z"`, `-1`},
		{moment, column{Type: decode.Time}, `"1969-12-31T23:59:59Z"`, `"23:59:59.000000"`},
		{"repeated " + moment, column{Type: decode.Date}, `["1970-01-02T00:00:00Z",` + stamp + `]`, `[1,20512]`},
		{"google.protobuf.Duration", column{Type: decode.Integer}, `"-1.5s"`, `"-1500000"`},
		{"google.protobuf.Duration", column{Type: decode.Float}, `"1.5s"`, `1.5`},
		{"google.protobuf.Duration", column{Type: decode.String}, `"61s"`, `"0-0 0 0:1:1"`},
		{"google.protobuf.Duration", column{Type: decode.Time}, `"61s"`, `"00:01:01.000000"`},
		{"google.protobuf.Duration", column{Type: decode.Time}, `"86400s"`, "!within a day"},
		{"google.protobuf.StringValue", column{Type: decode.Numeric}, `"1.50"`, `"1.5"`},
		{"google.protobuf.StringValue", column{Type: decode.Numeric}, `""`, "!no decimal number"},
		{"google.protobuf.StringValue", column{Type: decode.JSON}, `"{\"a\":1}"`, `"{\"a\":1}"`},
		{"google.protobuf.StringValue", column{Type: decode.JSON}, `"{"`, "!the name of a field belongs here"},
		{"google.protobuf.StringValue", column{Type: decode.Timestamp}, stamp, `"1772283900250000"`},
		{"google.protobuf.BytesValue", column{Type: decode.String}, `"YQ=="`, `"a"`},
		{"google.protobuf.Int64Value", column{Type: decode.Timestamp, Unit: decode.Millis}, `"7"`, `"7000"`},
		{"google.protobuf.Int64Value", column{Type: decode.Timestamp, Unit: decode.Millis}, `"0"`, `"0"`},
		{"google.protobuf.Int32Value", column{Type: decode.Date}, `5`, `5`},
		{"google.protobuf.UInt32Value", column{Type: decode.String}, `4000000000`, `"4000000000"`},
		{"google.protobuf.Int64Value", column{Type: decode.String}, `null`, ``},
		{day, column{}, `{"year":2024,"month":2,"day":29}`, `19782`},
		{
			day,
			column{},
			`{"year":2023,"month":2,"day":29}`,
			"!the Date 2023-02-29 is no day of the years 1 to 9999; columns: " +
				"{type: RECORD} keeps such values",
		},
		{day, column{}, `{"month":2,"day":29}`, "!the Date 0000-02-29 is no day"},
		{day, column{Type: decode.Record}, `{"month":2,"day":29}`, `{"year":0,"month":2,"day":29}`},
		{day, column{Type: decode.String}, `{"year":24,"month":2,"day":29}`, `"0024-02-29"`},
		{day, column{Type: decode.Timestamp}, `{"year":1970,"month":1,"day":2}`, `"86400000000"`},
		{"map<string, " + day + ">", column{}, `{"k":{"year":1970,"month":1,"day":2}}`, `[{"key":"k","value":1}]`},
		{"google.type.TimeOfDay", column{}, `{"hours":13,"minutes":5,"nanos":250000999}`, `"13:05:00.250000"`},
		{"google.type.TimeOfDay", column{}, `{"hours":24}`, "!the TimeOfDay 24:00:00 is not within a day"},
		{
			civil,
			column{Type: decode.DateTime},
			`{"year":2026,"month":2,"day":28,"hours":13}`,
			`"2026-02-28 13:00:00.000000"`,
		},
		{
			civil,
			column{Type: decode.DateTime},
			`{"year":2026,"month":2,"day":28,"utcOffset":"3600s"}`,
			"!has an offset",
		},
		{
			civil,
			column{Type: decode.Timestamp},
			`{"year":1970,"month":1,"day":1,"hours":1,"utcOffset":"-3600s"}`,
			`"7200000000"`,
		},
		{
			civil,
			column{Type: decode.Timestamp},
			`{"year":1970,"month":1,"day":1,"timeZone":{"id":"UTC"}}`,
			"!named zone",
		},
		{"google.type.Decimal", column{}, `{"value":"-012.50"}`, `"-12.5"`},
		{"google.type.Decimal", column{}, `{}`, `"0"`},
		{
			"google.type.Decimal",
			column{Type: decode.Numeric, Precision: 3, Scale: 1},
			`{"value":"12.55"}`,
			"!does not fit",
		},
		{"google.type.Decimal", column{Type: decode.Float}, `{"value":"1e3"}`, `1000`},
		{
			"google.type.Money",
			column{},
			`{"currencyCode":"EUR","units":"1"}`,
			`{"currency_code":"EUR","units":"1","nanos":0}`,
		},
		{point, column{Type: decode.Geography}, `{"latitude":52.5,"longitude":13.25}`, `"POINT(13.25 52.5)"`},
		{point, column{Type: decode.Geography}, `{"latitude":91}`, "!within 90 degrees"},
		{point, column{}, `{"latitude":52.5}`, `{"latitude":52.5,"longitude":0}`},
		{"confluent.type.Decimal", column{Type: decode.Numeric}, `{"value":"/4Y=","scale":2}`, `"-1.22"`},
		{"confluent.type.Decimal", column{Type: decode.Numeric}, `{"value":"AQ==","scale":-2}`, "!the scale -2"},
	} {
		columns := decode.Columns{}
		if c.column != (column{}) {
			columns["x"] = c.column
		}
		p, err := compiled(t, commonTypes+c.field+" x = 1; }", columns, nil)
		if err != nil {
			t.Errorf("%s as %s: %v", c.field, c.column.Type, err)
			continue
		}
		m := dynamicpb.NewMessage(parse(t, commonTypes+c.field+" x = 1; }").Messages().ByName("M"))
		if err := protojson.Unmarshal([]byte(`{"x":`+c.in+`}`), m); err != nil {
			t.Fatal(err)
		}
		payload, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := shown(t, p, payload)
		if reason, refused := strings.CutPrefix(c.want, "!"); refused {
			if !strings.HasPrefix(got, "refused: x at byte 0: ") || !strings.Contains(got, reason) {
				t.Errorf("%s as %s: %s is %s, want %s", c.field, c.column.Type, c.in, got, reason)
			}
			continue
		}
		want := `{"x":` + c.want + `}`
		if c.want == "" {
			want = "{}"
		}
		if got != want {
			t.Errorf("%s as %s: %s is %s, want %s", c.field, c.column.Type, c.in, got, want)
		}
	}
}

// What a map's entry leaves out is the zero where that is a value of the column; else the record is refused.
func TestKnownMessagesThatAreLeftOut(t *testing.T) {
	for field, want := range map[string]string{
		day + "":              "refused: x[0].value at byte 2: the field is required, and missing",
		"google.type.Decimal": `{"x":[{"key":"k","value":"0"}]}`, "google.type.TimeOfDay": `{"x":[{"key":"k","value":` +
			`"00:00:00.000000"}]}`,
	} {
		p, err := compiled(t, commonTypes+"map<string, "+field+"> x = 1; }", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(t, p, nested(1, nested(1, 'k')...)); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
}

const day = "google.type.Date"

// A contract that names a part of such a message has its RECORD, and so has one that heeds no hints.
func TestPartsOfKnownMessages(t *testing.T) {
	text := commonTypes + "google.type.Decimal x = 1; google.protobuf.Timestamp at = 2; }"
	for _, c := range []struct {
		columns decode.Columns
		change  func(*decode.Options)
		want    string
	}{
		{decode.Columns{"x.value": {Type: decode.Numeric}}, nil, `{"x":{"value":"1.5"}}`},
		{decode.Columns{"x.value": {Name: "digits"}}, nil, `{"x":{"digits":"1.5"}}`},
		{nil, func(o *decode.Options) { o.IgnoreHints = true }, `{"x":{"value":"1.5"}}`},
		{nil, nil, `{"x":"1.5"}`},
	} {
		p, err := compiled(t, text, c.columns, c.change)
		if err != nil {
			t.Fatal(err)
		}
		if got := shown(t, p, nested(1, nested(1, []byte("1.5")...)...)); got != c.want {
			t.Errorf("%v: %s, want %s", c.columns, got, c.want)
		}
	}
	civil := commonTypes + "google.type.DateTime at = 2; }"
	for _, c := range []struct {
		text   string
		target decode.Target
		body   []byte
	}{
		{text, decode.Integer, varintField(1, 7)},
		{text, decode.Date, varintField(1, 7)},
		{text, decode.String, varintField(1, 7)},
		{civil, decode.Timestamp, join(varintField(1, 1970), varintField(2, 1), varintField(3, 1), varintField(6, 7))},
	} {
		p, err := compiled(t, c.text, decode.Columns{"at": {Type: c.target}},
			func(o *decode.Options) { o.EventTime = "at" })
		if err != nil {
			t.Fatal(err)
		}
		d := p.NewDecoder()
		if _, err := d.Append(nil, nested(2, c.body...)); err != nil {
			t.Fatal(err)
		}
		if micros, ok := d.EventTime(); micros != 7_000_000 || !ok {
			t.Errorf("%s: the event's time is %d, %v", c.target, micros, ok)
		}
	}
}

// Nothing is allocated for them.
func TestKnownMessagesAllocateNothing(t *testing.T) {
	p, err := compiled(t, commonTypes+"google.type.Date a = 1; google.type.Decimal b = 2; google.protobuf.Timestamp c "+
		"= 3; google.type.LatLng d = 4; confluent.type.Decimal e = 5; google.type.TimeOfDay f = 6; }", decode.Columns{
		"c": {Type: decode.String}, "d": {Type: decode.Geography}, "e": {Type: decode.Numeric},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload := join(nested(1, join(varintField(1, 2026), varintField(2, 2), varintField(3, 28))...), nested(2,
		nested(1, '7')...), nested(3, varintField(1, 9)...), nested(4), nested(5, nested(1, 7)...), nested(6))
	d := p.NewDecoder()
	var row []byte
	if n := testing.AllocsPerRun(100, func() { row, err = d.Append(row[:0], payload) }); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
}

// Days that stand for none are null where the contract says so.
func TestKnownMessagesFarAway(t *testing.T) {
	dates := &decode.Dates{From: 0, To: decode.MaxMicros, Beyond: decode.NullFar}
	p, err := compiled(t, commonTypes+"google.type.Date x = 1; google.protobuf.Timestamp y = 2; }",
		decode.Columns{"y": {Type: decode.Integer}}, func(o *decode.Options) { o.Dates = dates })
	if err != nil {
		t.Fatal(err)
	}
	payload := join(nested(1, join(varintField(1, 1), varintField(2, 1), varintField(3, 1))...),
		nested(2, varintField(1, 1<<50)...))
	if got := shown(t, p, payload); got != "{}" {
		t.Fatalf("%s, want nulls", got)
	}
}
