package avro_test

import (
	"bytes"
	"fmt"
	"strings"
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
			`"connect.parameters":{"scale":"2"}}`,
		"base64 of the digits, as it is: its scale is in the schema alone, and may change. Have the converter write " +
			"numbers",
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
			`"value":{"type":"string","connect.type":"bytes"}}}`,
		"base64 of the digits; a scale of 0 to 38. `columns:` makes NUMERIC, STRING or FLOAT of it, RECORD keeps it",
	},
	{
		"Debezium Point, Geometry, Geography",
		`{"type":"object","title":"io.debezium.data.geometry.Point","properties":{"wkb":{"type":"string",` +
			`"connect.type":"bytes"},"srid":{"type":"integer"}}}`,
		"as they are; `columns: {x: {type: GEOGRAPHY}}` makes one of `wkb`, base64, where `srid` is 4326 or none",
	},
	{"a schema of no type, or of several", `{"title":"any"}`, ""},
}

// common are protobuf's and Google's common types that are not in docs/protobuf.md with their limits.
var common = []struct{ name, file, note string }{
	{
		"google.protobuf.Timestamp", "google/protobuf/timestamp.proto",
		"an INTEGER counts `unit`, microseconds without one; DATE, TIME and DATETIME are those of UTC, STRING is " +
			"RFC 3339",
	},
	{
		"google.protobuf.Duration", "google/protobuf/duration.proto",
		"an INTEGER counts `unit`, microseconds without one; a FLOAT counts seconds; a TIME is within a day",
	},
	{"google.protobuf.Int64Value", "google/protobuf/wrappers.proto", "as all wrappers: the column of what they wrap"},
	{"google.protobuf.StringValue", "google/protobuf/wrappers.proto", "likewise: an empty text is no NUMERIC or DATE"},
	{"google.protobuf.Struct", "google/protobuf/struct.proto", "as Value and ListValue"},
	{"google.protobuf.Any", "google/protobuf/any.proto", "not unpacked"},
	{"google.protobuf.FieldMask", "google/protobuf/field_mask.proto", ""},
	{"google.protobuf.Empty", "google/protobuf/empty.proto", "TRUE where it is there"},
	{
		"google.type.Date", "google/type/date.proto",
		"one without year, month or day is a dead letter; `columns: {x: {type: RECORD}}` keeps it",
	},
	{
		"google.type.TimeOfDay", "google/type/timeofday.proto",
		"24:00:00 and leap seconds are dead letters; `{type: RECORD}` keeps them",
	},
	{
		"google.type.DateTime", "google/type/datetime.proto",
		"a TIMESTAMP heeds its offset, and is UTC without one; named zones are dead letters. A DATETIME has neither",
	},
	{"google.type.Decimal", "google/type/decimal.proto", "of 38 digits before the point and 38 behind it; none are 0"},
	{"google.type.Money", "google/type/money.proto", "as it is: an amount is none without its currency"},
	{"google.type.LatLng", "google/type/latlng.proto", "a GEOGRAPHY is a POINT, longitude first"},
	{"google.type.Interval", "google/type/interval.proto", ""},
	{"google.type.DayOfWeek", "google/type/dayofweek.proto", "the name, as all enums"},
	{"google.type.PhoneNumber", "google/type/phone_number.proto", ""},
	{
		"confluent.type.Decimal", "confluent/type/decimal.proto",
		"Kafka Connect's Decimal in protobuf; a scale of 0 to 38",
	},
}

func otherHints(t *testing.T, out *bytes.Buffer, columnX func(*testing.T, decode.Plan) string) {
	t.Helper()
	out.WriteString("\n| JSON Schema, by `title` | column | without hints | |\n|---|---|---|---|\n")
	for _, h := range titled {
		var columns [2]string
		for i := range columns {
			o := decode.Options{Contract: "c", Payload: "p", IgnoreHints: i == 1}
			p, err := json.Compile([]byte(`{"type":"object","properties":{"x":`+h.schema+`}}`), json.JSONSchema,
				json.Settings{}, o)
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
	out.WriteString("\nProtobuf's own messages and those of `google.type` are hints by their names, and " +
		"`columns: {x: {type: ...}}` makes other columns of them. A message of one of these names with other fields " +
		"is any message.\n\n| protobuf | column | without hints | by `columns:` | |\n|---|---|---|---|---|\n")
	for _, c := range common {
		text := `syntax = "proto3"; package t; import "` + c.file + `"; message M { ` + c.name + ` x = 1; }`
		compiled := func(o decode.Options) (*protobuf.Plan, error) {
			file, err := protobuf.ParseSource(map[string]string{"m.proto": text}, "m.proto")
			if err != nil {
				t.Fatal(err)
			}
			schema, err := protobuf.NewSchema(file, "t.M")
			if err != nil {
				t.Fatal(err)
			}
			o.Contract, o.Payload = "c", "p"
			return schema.Compile(protobuf.Drop, o)
		}
		var columns [2]string
		for i := range columns {
			p, err := compiled(decode.Options{IgnoreHints: i == 1})
			if err != nil {
				t.Fatal(err)
			}
			columns[i] = columnX(t, p)
		}
		if columns[1] == columns[0] {
			columns[1] = "the same"
		}
		var others []string
		for _, name := range decode.TargetNames() {
			p, err := compiled(decode.Options{Columns: decode.Columns{"x": {Type: decode.TargetOf(name)}}})
			if err == nil && columnX(t, p) != columns[0] {
				others = append(others, name)
			}
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s | %s |\n", c.name, columns[0], columns[1], strings.Join(others, ", "),
			c.note)
	}
}
