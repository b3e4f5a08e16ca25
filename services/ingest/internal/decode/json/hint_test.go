package json

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// What Kafka Connect's JsonSchemaConverter leaves in titles makes the columns that it means, unless hints have no say.
func TestHintsOfConnect(t *testing.T) {
	for _, tt := range []struct{ schema, value, want, ignored string }{
		{
			`"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"`, "19782", "19782",
			"19782",
		},
		{
			`"type":"integer","title":"io.debezium.time.MicroTime","connect.type":"int64"`, "47100250000",
			"13:05:00.250000", "47100250000",
		},
		{
			`"type":"integer","title":"io.debezium.time.Timestamp","connect.type":"int64"`, "1772283900250",
			"2026-02-28 13:05:00.250000", "1772283900250",
		},
		{
			`"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"`,
			"1772283900250", "1772283900250000", "1772283900250",
		},
		{
			`"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.type":"int32"`, "47100250",
			"13:05:00.250000", "47100250",
		},
		{`"type":"integer","title":"io.debezium.time.Date","connect.type":"int32"`, "19782", "19782", "19782"},
		{
			`"type":"integer","title":"io.debezium.time.Time","connect.type":"int32"`, "47100250", "13:05:00.250000",
			"47100250",
		},
		{
			`"type":"integer","title":"io.debezium.time.NanoTime","connect.type":"int64"`, "47100250000999",
			"13:05:00.250000", "47100250000999",
		},
		{
			`"type":"integer","title":"io.debezium.time.MicroTimestamp","connect.type":"int64"`, "1772283900250000",
			"2026-02-28 13:05:00.250000", "1772283900250000",
		},
		{
			`"type":"integer","title":"io.debezium.time.NanoTimestamp","connect.type":"int64"`, "1772283900250000999",
			"2026-02-28 13:05:00.250000", "1772283900250000999",
		},
		{`"type":"integer","title":"io.debezium.time.Year","connect.type":"int32"`, "2026", "2026", "2026"},
		{
			`"type":"integer","title":"io.debezium.time.MicroDuration","connect.type":"int64"`, "7", "7", "7",
		},
		{`"type":"string","title":"io.debezium.time.ZonedTime"`, `"13:05+01:00"`, "13:05+01:00", "13:05+01:00"},
		{`"type":"string","title":"io.debezium.time.Interval"`, `"P1Y"`, "P1Y", "P1Y"},
		{
			`"type":"string","title":"io.debezium.time.ZonedTimestamp"`, `"2026-02-28T13:05:00.25Z"`,
			"1772283900250000", "2026-02-28T13:05:00.25Z",
		},
		{
			`"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes",` +
				`"connect.parameters":{"scale":"2"}`, "123.45", "123.45", "123.45",
		},
		{
			`"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes",` +
				`"connect.parameters":{"scale":"2"}`, `"MDk="`, "MDk=", "MDk=",
		},
		{`"type":"string","title":"io.debezium.data.Json"`, `"{\"a\":1}"`, `{"a":1}`, `{"a":1}`},
		{`"type":"string","title":"a person's title"`, `"x"`, "x", "x"},
	} {
		for _, optional := range []bool{false, true} {
			x := `{` + tt.schema + `}`
			if optional {
				x = `{"oneOf":[{"type":"null"},` + x + `]}`
			}
			for ignore, want := range map[bool]string{false: tt.want, true: tt.ignored} {
				p, err := Compile([]byte(`{"type":"object","properties":{"x":`+x+`}}`), JSONSchema, Settings{},
					decode.Options{
						Contract: "c", Payload: "p", IgnoreHints: ignore,
					})
				if err != nil {
					t.Fatalf("%s: %v", tt.schema, err)
				}
				row, err := p.NewDecoder().Append(nil, []byte(`{"x":`+tt.value+`}`))
				if err != nil {
					t.Errorf("%s: %v", tt.schema, err)
					continue
				}
				m := dynamicpb.NewMessage(decodetest.Payload(t, p))
				if err := proto.Unmarshal(row, m); err != nil {
					t.Fatal(err)
				}
				if got := m.Get(m.Descriptor().Fields().ByName("x")).String(); got != want &&
					!strings.HasPrefix(got, want) {
					t.Errorf("%s, hints ignored %t: %s, want %s", tt.schema, ignore, got, want)
				}
			}
		}
	}
}
