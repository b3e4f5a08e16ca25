package avro

import (
	"strings"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// hinted are types as Kafka Connect's AvroConverter writes them, with a value.
var hinted = []struct {
	what, schema, datum string
	column, value       string
	// ignored is the column where hints have no say.
	ignored string
	note    string
}{
	{
		"Connect Date", connect("int", "org.apache.kafka.connect.data.Date", ""), long(19782), "DATE", "2024-02-29",
		"INTEGER", "`logicalType: date` says the same",
	},
	{
		"Connect Time", connect("int", "org.apache.kafka.connect.data.Time", ""), long(47100250), "TIME",
		"13:05:00.250000", "INTEGER", "milliseconds; likewise",
	},
	{
		"Connect Timestamp", connect("long", "org.apache.kafka.connect.data.Timestamp", ""), long(1772283900250),
		"TIMESTAMP", "2026-02-28 13:05:00.250000 UTC", "INTEGER", "milliseconds; likewise",
	},
	{
		"Connect Decimal", connect("bytes", "org.apache.kafka.connect.data.Decimal",
			`,"logicalType":"decimal","precision":12,"scale":2`), avroText("\x30\x39"), "NUMERIC(12, 2)", "123.45",
		"NUMERIC(12, 2)", "by precision and scale",
	},
	{
		"Connect Decimal of any precision",
		connect("bytes", "org.apache.kafka.connect.data.Decimal", `,"logicalType":"decimal","precision":64,"scale":2`),
		avroText("\x30\x39"), "BIGNUMERIC", "123.45", "refused",
		"Connect writes a precision of 64 where the source has none; more than 38 digits before the point are a dead " +
			"letter",
	},
	{
		"Debezium Date", connect("int", "io.debezium.time.Date", ""), long(19782), "DATE", "2024-02-29", "INTEGER",
		"days",
	},
	{
		"Debezium Time", connect("int", "io.debezium.time.Time", ""), long(47100250), "TIME", "13:05:00.250000",
		"INTEGER", "milliseconds",
	},
	{
		"Debezium MicroTime", connect("long", "io.debezium.time.MicroTime", ""), long(47100250000), "TIME",
		"13:05:00.250000", "INTEGER", "microseconds",
	},
	{
		"Debezium NanoTime", connect("long", "io.debezium.time.NanoTime", ""), long(47100250000999), "TIME",
		"13:05:00.250000", "INTEGER", "nanoseconds, rounded down",
	},
	{
		"Debezium Timestamp", connect("long", "io.debezium.time.Timestamp", ""), long(1772283900250), "DATETIME",
		"2026-02-28 13:05:00.250000", "INTEGER", "milliseconds, of no zone",
	},
	{
		"Debezium MicroTimestamp", connect("long", "io.debezium.time.MicroTimestamp", ""), long(1772283900250000),
		"DATETIME", "2026-02-28 13:05:00.250000", "INTEGER", "microseconds, of no zone",
	},
	{
		"Debezium NanoTimestamp", connect("long", "io.debezium.time.NanoTimestamp", ""), long(1772283900250000999),
		"DATETIME", "2026-02-28 13:05:00.250000", "INTEGER", "nanoseconds, rounded down, of no zone",
	},
	{
		"Debezium ZonedTimestamp", connect("string", "io.debezium.time.ZonedTimestamp", ""),
		avroText("2026-02-28T13:05:00.25+01:00"), "TIMESTAMP", "2026-02-28 12:05:00.250000 UTC", "STRING", "RFC 3339",
	},
	{
		"Debezium ZonedTime", connect("string", "io.debezium.time.ZonedTime", ""), avroText("13:05:00+01:00"), "STRING",
		"13:05:00+01:00", "STRING", "BigQuery has no time of a zone",
	},
	{
		"Debezium MicroDuration, NanoDuration, Year", connect("long", "io.debezium.time.MicroDuration", ""), long(7),
		"INTEGER", "7", "INTEGER", "as they are",
	},
	{
		"Debezium Interval", connect("string", "io.debezium.time.Interval", ""), avroText("P1Y2M3DT4H5M6S"), "STRING",
		"P1Y2M3DT4H5M6S", "STRING", "ISO 8601, as it is",
	},
	{
		"Debezium Json", connect("string", "io.debezium.data.Json", ""), avroText(`{"a":1}`), "JSON", `{"a":1}`,
		"STRING", "a value that Debezium has not got must be JSON too: set `unavailable.value.placeholder` to " +
			"text in quotes, or ask for STRING",
	},
	{
		"Debezium Uuid, Xml, Enum, EnumSet, Ltree", connect("string", "io.debezium.data.Uuid", ""),
		avroText("6f1c6d0e"), "STRING", "6f1c6d0e", "STRING", "as they are",
	},
	{
		"Debezium Bits", connect("bytes", "io.debezium.data.Bits", ""), avroText("\x05"), "BYTES", `b"\x05"`, "BYTES",
		"as they are",
	},
	{
		"Debezium VariableScaleDecimal",
		`{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data","fields":[{"name":"scale",` +
			`"type":"int"},{"name":"value","type":"bytes"}],"connect.name":"io.debezium.data.VariableScaleDecimal"}`,
		long(2) + avroText("\x30\x39"), "BIGNUMERIC", "123.45", "RECORD(scale INTEGER, value BYTES)",
		"a scale of 0 to 38; what does not fit is a dead letter. `columns:` makes NUMERIC, STRING or FLOAT of it",
	},
	{
		"Debezium Point, Geometry, Geography",
		`{"type":"record","name":"G","fields":[{"name":"wkb","type":"bytes"},{"name":"srid","type":["null","int"]}],` +
			`"connect.name":"io.debezium.data.geometry.Geometry"}`,
		avroText("\x01") + "\x02" + long(4326), "RECORD(wkb BYTES, srid INTEGER)", `{wkb: b"\x01", srid: 4326}`,
		"RECORD(wkb BYTES, srid INTEGER)", "as they are; `columns: {x: {type: GEOGRAPHY}}` makes one of `wkb`, where " +
			"`srid` is 4326 or none",
	},
}

func connect(kind, name, more string) string {
	return `{"type":"` + kind + `","connect.version":1,"connect.name":"` + name + `"` + more + `}`
}

// What Kafka Connect and Debezium leave beside types makes the columns that they mean, unless hints have no say.
func TestHintsOfConnect(t *testing.T) {
	for _, h := range hinted {
		t.Run(h.what, func(t *testing.T) {
			for _, schema := range []string{h.schema, `["null",` + h.schema + `]`} {
				datum := h.datum
				if strings.HasPrefix(schema, "[") {
					datum = "\x02" + datum
				}
				p, err := Compile([]byte(one(schema)), decode.Options{Contract: "c", Payload: "p"})
				if err != nil {
					t.Fatal(err)
				}
				if column, value, refusal := outcome(t, p, datum); column != h.column || value != h.value {
					t.Errorf("%s of %s %s", column, value, refusal)
				}
			}
			p, err := Compile([]byte(one(h.schema)), decode.Options{Contract: "c", Payload: "p", IgnoreHints: true})
			switch {
			case h.ignored == "refused":
				if err == nil {
					t.Error("the schema compiles without the hint")
				}
			case err != nil:
				t.Fatal(err)
			default:
				if column, _, refusal := outcome(t, p, h.datum); column != h.ignored {
					t.Errorf("without hints: %s %s", column, refusal)
				}
			}
		})
	}
}

// A column that the contract asks for goes before a hint, and what the envelope takes stays as the schema has it.
func TestHintsGiveWay(t *testing.T) {
	schema := recordOf(`{"name":"x","type":` + connect("long", "io.debezium.time.MicroTimestamp", "") +
		`},{"name":"ts","type":` + connect("long", "io.debezium.time.Timestamp", "") + `}`)
	p, err := Compile([]byte(schema), decode.Options{
		Contract: "c", Payload: "p", EventTime: "ts", EventTimeUnit: decode.Millis, EventID: "ts",
		Columns: decode.Columns{"x": {Type: decode.Timestamp, Unit: decode.Micros}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if column, value, refusal := outcome(t, p, long(1772283900250000)+long(1772283900250)); column != "TIMESTAMP" ||
		value != "2026-02-28 13:05:00.250000 UTC" {
		t.Errorf("%s of %s %s", column, value, refusal)
	}
	f := decodetest.Payload(t, p).Fields().ByName("ts")
	if got := columnText(f); got != "INTEGER" {
		t.Errorf("the event's time is %s", got)
	}
}

// A decimal with its scale in each value becomes a number, digit for digit, or what the contract asks for; one that the
// column has no place for, and bytes that end too early, refuse the record.
func TestVariableScaleDecimal(t *testing.T) {
	const schema = `["null",{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data",` +
		`"fields":[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}],` +
		`"connect.name":"io.debezium.data.VariableScaleDecimal"}]`
	for _, c := range []struct {
		column decode.Column
		datum  string
		want   string
	}{
		{decode.Column{}, "\x02" + long(2) + avroText("\x30\x39"), "123.45"},
		{decode.Column{}, "\x02" + long(0) + avroText("\xff"), "-1"},
		{decode.Column{}, "\x02" + long(38) + avroText("\x01"), "0.00000000000000000000000000000000000001"},
		{decode.Column{}, "\x02" + long(1) + avroText(""), "0"},
		{decode.Column{}, "\x00", "null"},
		{decode.Column{}, "\x02" + long(39) + avroText("\x01"), "the scale 39 of the decimal is not within 0 and 38"},
		{decode.Column{}, "\x02" + long(-1) + avroText("\x01"), "the scale -1 of the decimal is not within 0 and 38"},
		{
			decode.Column{},
			"\x02" + long(0) + avroText(strings.Repeat("\x7f", 32)),
			"the decimal has more digits than its precision, or than 76",
		},
		{decode.Column{}, "\x02" + long(2) + "\x08\x30", "the length reaches past the end of the payload"},
		{decode.Column{}, "\x02", "the payload ends here"},
		{
			decode.Column{Type: decode.Numeric, Precision: 4, Scale: 2},
			"\x02" + long(2) + avroText("\x30\x39"),
			`"123.45" does not fit 2 digits before the point and 2 behind it`,
		},
		{
			decode.Column{Type: decode.Numeric, Precision: 5, Scale: 2},
			"\x02" + long(2) + avroText("\x30\x39"),
			"123.45",
		},
		{decode.Column{Type: decode.String}, "\x02" + long(3) + avroText("\x30\x39"), "12.345"},
		{decode.Column{Type: decode.Float}, "\x02" + long(2) + avroText("\x30\x39"), "123.45"},
		{decode.Column{Type: decode.JSON}, "\x02" + long(2) + avroText("\x30\x39"), `{"scale":2,"value":"MDk="}`},
	} {
		o := decode.Options{Contract: "c", Payload: "p"}
		if c.column.Type != decode.NoTarget {
			o.Columns = decode.Columns{"x": c.column}
		}
		p, err := Compile([]byte(one(schema)), o)
		if err != nil {
			t.Fatal(err)
		}
		if column, value, refusal := outcome(t, p, c.datum); value+refusal != c.want {
			t.Errorf("%s of %q: %s%s, want %s", column, c.datum, value, refusal, c.want)
		}
		decoder, out, datum := p.NewDecoder(), make([]byte, 0, 1<<10), []byte("\x02\x04\x04\x30\x39")
		if n := testing.AllocsPerRun(50, func() { out, _ = decoder.Append(out[:0], datum) }); n > 0 &&
			c.want == "123.45" {
			t.Errorf("%v allocations a row", n)
		}
	}
	// A writer whose type is another one by now is refused record by record.
	reader, err := Parse(one(schema))
	if err != nil {
		t.Fatal(err)
	}
	writer, err := Parse(one(`["null",{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data",` +
		`"fields":[{"name":"value","type":"bytes"},{"name":"scale","type":"int"}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := reader.CompileFor(writer, decode.Options{Contract: "c", Payload: "p"}, Resolution{Origin: "schema 4"})
	if err != nil {
		t.Fatal(err)
	}
	if _, value, refusal := outcome(t, p, "\x02"+avroText("\x30\x39")+long(2)); !strings.Contains(refusal,
		"schema 4's") {
		t.Errorf("%s%s", value, refusal)
	}
}
