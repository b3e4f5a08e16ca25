package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Odd records, each with the outcome that docs/contracts.md states: a row, a dead letter with its reason, or nothing.
// They stand in one partition among good ones, which all arrive.

const (
	oddTopic = "odd_events"
	// patterned is found by a topic_pattern, and so would its dead-letter topic be.
	patterned = "plain_events"
	unread    = "ignored_events"
	oddSchema = `{"type":"record","name":"Odd","fields":[
		{"name":"name","type":"string"},{"name":"ratio","type":"double"},
		{"name":"day","type":{"type":"int","logicalType":"date"}},
		{"name":"tags","type":{"type":"array","items":["null","string"]}}]}`
	largestRow = 20 << 20
)

const oddContracts = `
  - topic: odd_events
    format: avro
    schema: %s
    table: odd_avro
    types: [odd.Avro]
    tombstones: row
    unknown: table
    unknown_table: odd_unknown
  - topic: odd_events
    format: raw
    as: json
    table: odd_json
    types: [odd.Json]
    key: event_id
  - topic_pattern: plain_.*
    format: raw
    as: string
    table: plain
    types: ["*"]
    tombstones: dead_letter
  - topic: ignored_events
    format: raw
    table: ignored
    types: ["*"]
    tombstones: ignore
`

// oddDatum is a datum of oddSchema.
func oddDatum(name string, ratio float64, day int64, tags string) []byte {
	out := binary.AppendVarint(nil, int64(len(name)))
	out = append(out, name...)
	out = binary.LittleEndian.AppendUint64(out, math.Float64bits(ratio))
	out = binary.AppendVarint(out, day)
	return append(out, tags...)
}

// odd is one record and what becomes of it.
type odd struct {
	name    string
	topic   string
	value   []byte
	key     []byte
	headers []kgo.RecordHeader
	// table is where the row is, and has a part of it as JSON; letter is a part of the dead letter's error. Neither:
	// nothing becomes of it.
	table, has, letter string
}

func typeOf(name string) []kgo.RecordHeader {
	return []kgo.RecordHeader{{Key: "item_type_name", Value: []byte(name)}}
}

func oddRecords() []odd {
	const avro, raw, none = "odd.Avro", "odd.Json", "\x00"
	good := oddDatum("a", 1.5, 19782, none)
	nested := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	return []odd{
		{name: "good", value: good, headers: typeOf(avro), table: "odd_avro", has: `"2024-02-29"`},
		{
			name: "empty value of Avro", value: []byte{}, headers: typeOf(avro),
			letter: "payload.name at byte 0: the payload ends here",
		},
		{name: "empty value of JSON", value: []byte{}, headers: typeOf(raw), letter: "the JSON value ends here"},
		{name: "empty value as it is", topic: unread, value: []byte{}, table: "ignored", has: `"payload":""`},
		{name: "no type header", value: []byte("anything"), table: "odd_unknown", has: "YW55dGhpbmc="},
		{
			name: "null type header", value: []byte("anything"), headers: []kgo.RecordHeader{{Key: "item_type_name"}},
			table: "odd_unknown", has: "YW55dGhpbmc=",
		},
		{
			name: "unknown type", value: []byte("\xff"), headers: typeOf("odd.Other"), table: "odd_unknown",
			has: `"event_type":"Other"`,
		},
		{
			name: "NaN", value: oddDatum("nan", math.NaN(), 0, none), headers: typeOf(avro), table: "odd_avro",
			has: "NaN",
		},
		{
			name: "infinity", value: oddDatum("inf", math.Inf(-1), 0, none), headers: typeOf(avro), table: "odd_avro",
			has: "-Inf",
		},
		{
			name: "date out of range", value: oddDatum("late", 0, 1<<30, none), headers: typeOf(avro),
			letter: "payload.day at byte 13: the date 1073741824 is out of BigQuery's range, years 1 to 9999",
		},
		{
			name: "null in an array", value: oddDatum("tags", 0, 0, "\x04\x00\x02\x02b\x00"), headers: typeOf(avro),
			table: "odd_avro", has: `"b"`,
		},
		{
			name: "text that is not UTF-8", value: oddDatum("\xff", 0, 0, none), headers: typeOf(avro),
			letter: "payload.name at byte 0: text is not valid UTF-8",
		},
		{
			name: "type that is not UTF-8", value: good, headers: typeOf("odd.\xff"),
			letter: "item_type: the header is not valid UTF-8",
		},
		{
			name: "header that is not UTF-8", value: good, headers: append(typeOf(avro), kgo.RecordHeader{Key: "\xff"}),
			letter: "kafka_headers[1].key: the header's key is not valid UTF-8",
		},
		{
			name: "key that is not UTF-8", key: []byte("\xff"), value: good, headers: typeOf(avro), table: "odd_avro",
			has: `"kafka_key":"/w=="`,
		},
		{
			name: "identity that is not UTF-8", key: []byte("\xff"), value: []byte("1"), headers: typeOf(raw),
			letter: "event_id: the key is not valid UTF-8",
		},
		{
			name: "identity", key: []byte("k1"), value: []byte("1"), headers: typeOf(raw), table: "odd_json",
			has: `"event_id":"k1"`,
		},
		{name: "50 levels", value: nested(50), headers: typeOf(raw), table: "odd_json", has: "[[[["},
		{name: "501 levels", value: nested(501), headers: typeOf(raw), letter: "nests deeper than 500"},
		{
			name: "20 MB", value: oddDatum(strings.Repeat("x", largestRow), 0, 0, none), headers: typeOf(avro),
			letter: "it can never be appended",
		},
		{
			name: "tombstone as a row", key: []byte("gone"), headers: typeOf(avro), table: "odd_avro",
			has: `"event_id":"odd_events/0/`,
		},
		{
			name: "tombstone of an unknown type", headers: typeOf("odd.Other"), table: "odd_unknown",
			has: `"event_type":"Other"`,
		},
		{name: "tombstone to a dead letter", topic: patterned, letter: "the value is null"},
		{name: "tombstone ignored", topic: unread},
		{name: "text by a pattern", topic: patterned, value: []byte("text"), table: "plain", has: `"payload":"text"`},
		{name: "good at the end", value: good, headers: typeOf(avro), table: "odd_avro", has: `"2024-02-29"`},
	}
}

func TestOddRecords(t *testing.T) {
	t.Parallel()
	schema := filepath.Join(t.TempDir(), "odd.avsc")
	if err := os.WriteFile(schema, []byte(oddSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, stack.Config{KafkaYAML: soon, Contracts: fmt.Sprintf(oddContracts, schema)})
	client, err := kgo.NewClient(kgo.SeedBrokers(w.Seeds()...), kgo.ProducerBatchMaxBytes(2*largestRow),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	large := fmt.Sprint(2 * largestRow)
	// The dead-letter topic takes no such record: its letter comes without the value.
	created, err := kadm.NewClient(client).CreateTopics(w.ctx, 1, -1, map[string]*string{"max.message.bytes": &large},
		oddTopic, patterned, unread)
	if err == nil {
		err = created.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	records := oddRecords()
	offsets := make([]int64, len(records))
	letters := 0
	for i, o := range records {
		topic := o.topic
		if topic == "" {
			topic = oddTopic
		}
		records[i].topic = topic
		sent, err := client.ProduceSync(w.ctx, &kgo.Record{
			Topic: topic, Key: o.key, Value: o.value, Headers: o.headers,
		}).First()
		if err != nil {
			t.Fatalf("%s: %v", o.name, err)
		}
		offsets[i] = sent.Offset
		w.sent[topic]++
		if o.letter != "" {
			letters++
		}
	}
	w.settled()

	errs := map[string]map[string]string{}
	for _, topic := range []string{oddTopic, patterned} {
		if err := w.log.EachHeaders(w.ctx, topic+stack.DeadLetters, func(h map[string]string) error {
			errs[h["waybill-topic"]+"/"+h["waybill-offset"]] = h
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(errs) != letters {
		t.Errorf("%d dead letters, want %d", len(errs), letters)
	}
	for i, o := range records {
		letter := errs[fmt.Sprintf("%s/%d", o.topic, offsets[i])]
		switch {
		case o.letter == "" && letter != nil:
			t.Errorf("%s: became a dead letter: %s", o.name, letter["waybill-error"])
		case o.letter != "" && !strings.Contains(letter["waybill-error"], o.letter):
			t.Errorf("%s: the dead letter says %q, want %q", o.name, letter["waybill-error"], o.letter)
		}
		for _, table := range []string{"odd_avro", "odd_json", "odd_unknown", "plain", "ignored"} {
			row := w.row(table, o.topic, offsets[i])
			if (row != "") != (table == o.table) {
				t.Errorf("%s: in %s is %.200q", o.name, table, row)
			}
			if table == o.table && !strings.Contains(row, o.has) {
				t.Errorf("%s: the row has no %s: %.500s", o.name, o.has, row)
			}
			if table == o.table && o.value == nil && strings.Contains(row, `"payload":{`) {
				t.Errorf("%s: the payload is not null: %s", o.name, row)
			}
		}
	}
	found, err := w.Ingests[0].Metrics(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if found["waybill_ingest_unknown_type_records_total"] == nil {
		t.Error("records of unknown types are not counted")
	}
}

// row is the row of a record as JSON; empty if the table has none, or is none.
func (w *world) row(table, topic string, offset int64) string {
	w.t.Helper()
	query := url.Values{
		"table": {"waybill." + table}, "topic": {topic}, "partition": {"0"}, "offset": {fmt.Sprint(offset)},
	}
	address := "http://" + w.Endpoints.Admin + "/bigquery/row?" + query.Encode()
	r := request(w.ctx, w.t, http.MethodGet, address, "")
	if r.code == http.StatusNotFound {
		return ""
	}
	if r.code != http.StatusOK || !json.Valid([]byte(r.body)) {
		w.t.Fatalf("%s: %s: %.300s", address, r.status, r.body)
	}
	return r.body
}
