package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-data/waybill/e2e/stack"
)

// changeSchema is the envelope of a change as Debezium's connectors write it.
const changeSchema = `{"type":"record","name":"Envelope","fields":[
	{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"long"},
		{"name":"day","type":{"type":"int","connect.version":1,"connect.name":"io.debezium.time.Date"}}]}],"default":null},
	{"name":"after","type":["null","Value"],"default":null},
	{"name":"source","type":{"type":"record","name":"Source","fields":[{"name":"db","type":"string"}]}},
	{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}]}`

// The changes of a database by an existing table: the row after each change with the operation beside it, a delete as a
// row without one, exactly once over the kill of both services; and CloudEvents by their headers.
func TestChangesAndEventsOfOthers(t *testing.T) {
	t.Parallel()
	schema := filepath.Join(t.TempDir(), "change.avsc")
	if err := os.WriteFile(schema, []byte(changeSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	w := prepared(t, stack.Config{Contracts: fmt.Sprintf(`  - topic: changes
    format: avro
    schema: %s
    table: changes
    types: ["*"]
    payload_path: after
    operation: op
    event_time: {field: ts_ms, unit: ms}
  - {topic: cloud, format: raw, as: json, cloudevents: binary, table: cloud, types: [shop.*]}
`, schema)})
	w.upSandbox()
	client := w.client()
	if _, err := kadm.NewClient(client).CreateTopics(w.ctx, 2, 1, nil, "changes", "cloud"); err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		for i := range n {
			row := "\x02" + avroLong(int64(i)) + avroLong(19782)
			after, op := row, "u"
			if i%3 == 0 {
				after, op = "\x00", "d"
			}
			change := row + after + avroText("db") + avroText(op) + "\x02" + avroLong(1772283900250)
			event := &kgo.Record{Topic: "cloud", Value: []byte("{}"), Headers: []kgo.RecordHeader{
				{Key: "ce_type", Value: []byte("shop.Paid")},
				{Key: "ce_id", Value: fmt.Appendf(nil, "e-%d", i)},
				{Key: "ce_time", Value: []byte("2026-02-28T13:05:00.25Z")},
			}}
			for _, r := range []*kgo.Record{
				{Topic: "changes", Key: fmt.Append(nil, i), Value: []byte(change)},
				{Topic: "changes", Key: fmt.Append(nil, i)},
				event,
			} {
				client.Produce(w.ctx, r, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Error(err)
					}
				})
				w.sent[r.Topic]++
			}
		}
		if err := client.Flush(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	send(3000)
	if err := w.UpServices(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.committed("changes", 1000)
	w.Writers[0].Kill()
	w.Ingests[0].Kill()
	send(3000)
	w.restart(w.Writers[0])
	w.restart(w.Ingests[0])
	w.settled()
	for query, want := range map[string]float64{
		"SELECT COUNT(*) AS n FROM changes":                                                           6000,
		"SELECT COUNT(*) AS n FROM changes WHERE operation = 'd' AND payload IS NULL":                 2000,
		"SELECT COUNT(*) AS n FROM changes WHERE operation = 'u' AND payload.day = DATE '2024-02-29'": 4000,
		"SELECT COUNT(DISTINCT event_id) AS n FROM changes":                                           6000,
		"SELECT COUNT(*) AS n FROM changes WHERE event_time = TIMESTAMP '2026-02-28 13:05:00.25+00'":  6000,
		"SELECT COUNT(*) AS n FROM cloud WHERE event_type = 'Paid' AND event_id LIKE 'e-%'":           6000,
		"SELECT COUNT(DISTINCT event_id) AS n FROM cloud":                                             3000,
		"SELECT COUNT(*) AS n FROM cloud WHERE event_time = TIMESTAMP '2026-02-28 13:05:00.25+00'":    6000,
	} {
		if rows := w.sql(query); rows[0]["n"] != want {
			t.Errorf("%s: %v, want %v", query, rows[0]["n"], want)
		}
	}
}
