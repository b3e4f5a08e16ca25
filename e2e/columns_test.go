package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Every type of column that a contract can have is a column of BigQuery's, and its values arrive.

const (
	typesTopic = "typed_events"
	// soon finds topics that are made while ingest runs.
	soon = "  topic_refresh: 1s\n"
)

// typed is a field of the schema, what the contract asks of its column, a value of it as Avro's bytes, and the row's as
// JSON.
type typed struct{ name, schema, column, datum, want string }

func avroText(s string) string { return string(binary.AppendVarint(nil, int64(len(s)))) + s }

func avroLong(v int64) string { return string(binary.AppendVarint(nil, v)) }

func typedFields() []typed {
	const text = `"string"`
	span := `{"type":"record","name":"Span%d","fields":[
		{"name":"start","type":["null",%s]},{"name":"end","type":["null",%s]}]}`
	date, long := `{"type":"int","logicalType":"date"}`, `{"type":"long","logicalType":"timestamp-millis"}`
	return []typed{
		{"json", text, "{type: JSON}", avroText(`{"a":[1,2]}`), `"{\"a\":[1,2]}"`},
		{"geography", text, "{type: GEOGRAPHY}", avroText("POINT(13.4 52.5)"), `"POINT(13.4 52.5)"`},
		{"numeric", text, "{type: NUMERIC, precision: 5, scale: 2}", avroText("0123.40"), `"123.4"`},
		{"bignumeric", text, "{type: BIGNUMERIC}", avroText("1e-38"), `"0.00000000000000000000000000000000000001"`},
		{"date", text, "{type: DATE}", avroText("2026-02-28"), `"2026-02-28"`},
		{"time", text, "{type: TIME}", avroText("13:05:00.25"), `"13:05:00.250000"`},
		{"datetime", text, "{type: DATETIME}", avroText("2026-02-28T13:05:00"), `"2026-02-28T13:05:00"`},
		{
			"timestamp", text, "{type: TIMESTAMP}", avroText("2026-02-28T13:05:00+01:00"),
			`"2026-02-28T12:05:00.000000Z"`,
		},
		{"interval", text, "{type: INTERVAL}", avroText("1-2 3 4:5:6"), `"1-2 3 4:5:6"`},
		{"bytes_text", `"bytes"`, "{type: STRING}", avroText("é"), `"é"`},
		{"seconds", `"long"`, "{type: TIMESTAMP, unit: s}", avroLong(1772283900), `"2026-02-28T13:05:00.000000Z"`},
		{"millis", `"long"`, "{type: DATETIME, unit: ms}", avroLong(1772283900250), `"2026-02-28T13:05:00.250000"`},
		{"days", `"int"`, "{type: DATE}", avroLong(19782), `"2024-02-29"`},
		{"daytime", `"long"`, "{type: TIME, unit: s}", avroLong(47100), `"13:05:00"`},
		{"count", `"long"`, "{type: NUMERIC}", avroLong(-12), `"-12"`},
		{
			"dates", fmt.Sprintf(span, 1, date, date), "{type: RANGE}", "\x02" + avroLong(1) + "\x00",
			`"[1970-01-02, UNBOUNDED)"`,
		},
		{
			"times", fmt.Sprintf(span, 2, long, long), "{type: RANGE}", "\x02" + avroLong(1000) + "\x02" +
				avroLong(2000),
			`"[1970-01-01T00:00:01.000000Z, 1970-01-01T00:00:02.000000Z)"`,
		},
		{
			"duration", `{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`, "",
			"\x0e\x00\x00\x00\x03\x00\x00\x00\xb5\xef\xd8\x00", `"1-2 3 3:56:57.141000"`,
		},
		{
			"big", `{"type":"bytes","logicalType":"big-decimal"}`, "", avroText(avroText("\x30\x39") + avroLong(2)),
			`"123.45"`,
		},
		{
			"grid", `{"type":"array","items":{"type":"array","items":["null","int"]}}`, "",
			"\x04\x04\x02\x02\x00\x00\x00\x00", `[{"items":[{"value":1},{"value":null}]},{"items":[]}]`,
		},
		{"rates", `{"type":"map","values":{"type":"map","values":"double"}}`, "", "\x00", `[]`},
		{"either", `["null","string","long"]`, "", "\x04" + avroLong(7), `{"string_value":null,"long_value":7}`},
	}
}

func TestEveryColumn(t *testing.T) {
	t.Parallel()
	fields := typedFields()
	schema, columns, datum := "", "", ""
	for i, f := range fields {
		if i > 0 {
			schema += ","
		}
		schema += fmt.Sprintf(`{"name":%q,"type":%s}`, f.name, f.schema)
		if f.column != "" {
			columns += fmt.Sprintf("      %s: %s\n", f.name, f.column)
		}
		datum += f.datum
	}
	path := filepath.Join(t.TempDir(), "typed.avsc")
	if err := os.WriteFile(path, []byte(`{"type":"record","name":"Typed","fields":[`+schema+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, stack.Config{KafkaYAML: soon, Contracts: fmt.Sprintf(`
  - topic: %s
    format: avro
    schema: %s
    table: typed
    types: ["*"]
    payload: p
    event_time: {field: timestamp}
    columns:
%s`, typesTopic, path, columns)})
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Seeds()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(w.ctx, 1, -1, nil, typesTopic); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(w.ctx, &kgo.Record{Topic: typesTopic, Value: []byte(datum)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.sent[typesTopic] = 1
	w.settled()
	var row struct {
		P map[string]json.RawMessage `json:"p"`
	}
	text := w.row("typed", typesTopic, 0)
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, f := range fields {
		if got := string(row.P[f.name]); got != f.want {
			t.Errorf("%s is %s, want %s", f.name, got, f.want)
		}
	}
}
