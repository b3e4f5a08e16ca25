package avro_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/json"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
)

func init() { avro.OtherHints = otherHints }

// titled are types as Kafka Connect's JsonSchemaConverter writes them.
var titled = []struct{ what, schema, note string }{
	{
		"Connect Date, Debezium Date",
		`{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}`, "days",
	},
	{
		"Connect Time; Debezium Time, MicroTime, NanoTime",
		`{"type":"integer","title":"io.debezium.time.MicroTime","connect.type":"int64"}`, "in their units",
	},
	{
		"Connect Timestamp", `{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}`,
		"milliseconds",
	},
	{
		"Debezium Timestamp, MicroTimestamp, NanoTimestamp",
		`{"type":"integer","title":"io.debezium.time.Timestamp","connect.type":"int64"}`, "in their units, of no zone",
	},
	{"Debezium ZonedTimestamp", `{"type":"string","title":"io.debezium.time.ZonedTimestamp"}`, "RFC 3339"},
	{
		"Connect Decimal as a number",
		`{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes",` +
			`"connect.parameters":{"scale":"2"}}`, "`decimal.format: NUMERIC` of the converter",
	},
	{
		"Connect Decimal as text",
		`{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes",` +
			`"connect.parameters":{"scale":"2"}}`, "base64 of the digits, as it is: have the converter write numbers",
	},
	{
		"Connect bytes", `{"type":"string","connect.type":"bytes"}`,
		"base64, as it is; `contentEncoding: base64` in the schema makes BYTES of it",
	},
	{
		"Debezium Json", `{"type":"string","title":"io.debezium.data.Json"}`,
		"as it is: in a JSON column the text would be in quotes",
	},
	{
		"Debezium VariableScaleDecimal",
		`{"type":"object","title":"io.debezium.data.VariableScaleDecimal","properties":{"scale":{"type":"integer"},` +
			`"value":{"type":"string","connect.type":"bytes"}}}`, "as it is: `columns: {x: {type: JSON}}` keeps it together",
	},
	{"a schema of no type, or of several", `{"title":"any"}`, ""},
}

// common are protobuf's and Google's common types that are not in docs/protobuf.md with their limits.
var common = []struct{ name, file, note string }{
	{"google.protobuf.Timestamp", "google/protobuf/timestamp.proto", ""},
	{"google.protobuf.Duration", "google/protobuf/duration.proto", ""},
	{"google.protobuf.Int64Value", "google/protobuf/wrappers.proto", "as all wrappers: the column of what they wrap"},
	{"google.protobuf.Struct", "google/protobuf/struct.proto", "as Value and ListValue"},
	{"google.protobuf.Any", "google/protobuf/any.proto", "not unpacked"},
	{"google.protobuf.FieldMask", "google/protobuf/field_mask.proto", ""},
	{"google.protobuf.Empty", "google/protobuf/empty.proto", "TRUE where it is there"},
	{"google.type.Date", "google/type/date.proto", "as it is, for a Date may be a year or a day of the year alone"},
	{"google.type.TimeOfDay", "google/type/timeofday.proto", "as it is, for 24:00:00 and leap seconds are some"},
	{"google.type.DateTime", "google/type/datetime.proto", "as it is: of a zone, an offset or neither"},
	{"google.type.Decimal", "google/type/decimal.proto", "`columns: {x.value: {type: BIGNUMERIC}}` makes a number of it"},
	{"google.type.Money", "google/type/money.proto", ""},
	{"google.type.LatLng", "google/type/latlng.proto", ""},
	{"google.type.Interval", "google/type/interval.proto", ""},
	{"google.type.DayOfWeek", "google/type/dayofweek.proto", "the name, as all enums"},
	{"google.type.PhoneNumber", "google/type/phone_number.proto", ""},
	{"confluent.type.Decimal", "confluent/type/decimal.proto", "as it is; Kafka Connect's Decimal in protobuf"},
}

func otherHints(t *testing.T, out *bytes.Buffer, columnX func(*testing.T, decode.Plan) string) {
	t.Helper()
	out.WriteString("\n| JSON Schema, by `title` | column | without hints | |\n|---|---|---|---|\n")
	for _, h := range titled {
		var columns [2]string
		for i := range columns {
			o := decode.Options{Contract: "c", Payload: "p", IgnoreHints: i == 1}
			p, err := json.Compile([]byte(`{"type":"object","properties":{"x":`+h.schema+`}}`), json.JSONSchema, json.Settings{},
				o)
			if err != nil {
				t.Fatal(err)
			}
			columns[i] = columnX(t, p)
		}
		if columns[1] == columns[0] {
			columns[1] = "the same"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", h.what, columns[0], columns[1], h.note)
	}
	out.WriteString("\nProtobuf's own messages and those of `google.type` are what their names say that they are, and " +
		"nothing is to be hinted at:\n\n| protobuf | column | |\n|---|---|---|\n")
	for _, c := range common {
		text := `syntax = "proto3"; package t; import "` + c.file + `"; message M { ` + c.name + ` x = 1; }`
		file, err := protobuf.ParseSource(map[string]string{"m.proto": text}, "m.proto")
		if err != nil {
			t.Fatal(err)
		}
		schema, err := protobuf.NewSchema(file, "t.M")
		if err != nil {
			t.Fatal(err)
		}
		p, err := schema.Compile(protobuf.Drop, decode.Options{Contract: "c", Payload: "p"})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", c.name, columnX(t, p), c.note)
	}
}
