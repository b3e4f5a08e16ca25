package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/waybill-data/waybill/e2e/stack"
)

// Topics of which nobody has written a contract: what `contracts infer` writes takes each of their records, those that
// follow included, and whatever a field holds is in the table.
func TestInferredContractsCarryTheirTopics(t *testing.T) {
	t.Parallel()
	w := prepared(t, stack.Config{})
	w.upSandbox()
	client := w.client()
	registry, err := sr.NewClient(sr.URLs("http://" + w.Endpoints.Registry))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kadm.NewClient(client).CreateTopics(w.ctx, 3, 1, nil, "carts", "fares"); err != nil {
		t.Fatal(err)
	}
	send := func(topic, itemType string, value []byte) {
		r := &kgo.Record{Topic: topic, Value: value}
		if itemType != "" {
			r.Headers = []kgo.RecordHeader{{Key: "ce_type", Value: []byte(itemType)}}
		}
		client.Produce(w.ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
		w.sent[topic]++
	}
	fare, err := registry.CreateSchema(w.ctx, "fares-value",
		sr.Schema{Schema: `{"type":"record","name":"Fare","fields":[
		{"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}`})
	if err != nil {
		t.Fatal(err)
	}
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(fare.ID))
	produce := func(n int) {
		for i := range n {
			odd := []string{"null", `"text"`, `{"deep": [1, "x"]}`}[i%3]
			send("carts", "shop.CartFilled", fmt.Appendf(nil,
				`{"id": "c%d", "at": "2026-01-02T03:04:05Z", "odd": %s, "lines": [{"n": %d}]}`, i, odd, i))
			send("carts", "shop.CartLeft", fmt.Appendf(nil, `{"id": %d}`, i))
			send("fares", "", append(framed[:5:5], byte(i%50*2), 0))
		}
		if err := client.Flush(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	produce(300)

	config, err := os.ReadFile(w.Ingests[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.Ingests[0].Config, append(config, "contracts_dir: contracts.d\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	out := w.ingestSays(0, "contracts", "infer", "carts")
	for _, want := range []string{
		"shop.CartFilled", "shop.CartLeft", "CLASH: 100 object, 100 text", "600 rows, 0 dead letters",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out := w.ingestSays(0, "contracts", "infer", "fares"); !strings.Contains(out, "subject fares-value") {
		t.Errorf("got\n%s", out)
	}
	out = w.ingestSays(0, "contracts", "test", "--topic", "carts", "--limit", "100")
	if !strings.Contains(out, "100 records of about 600") ||
		!strings.Contains(out, "100 rows, 0 dead letters, 0 ignored, 0 tombstones") {
		t.Errorf("got\n%s", out)
	}

	if err := w.UpServices(w.ctx); err != nil {
		t.Fatal(err)
	}
	produce(300)
	w.settled()
	for table, want := range map[string]float64{"carts_cart_filled": 600, "carts_cart_left": 600, "fares": 600} {
		rows := w.sql("SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS ids FROM " + table)
		if rows[0]["n"] != want || rows[0]["ids"] != want {
			t.Errorf("%s: %v", table, rows)
		}
	}
	rows := w.sql(`SELECT payload.odd AS odd, COUNT(*) AS n FROM carts_cart_filled GROUP BY odd ORDER BY n, odd`)
	if len(rows) != 3 || rows[0]["n"] != 200.0 {
		t.Errorf("got %v", rows)
	}
	for _, topic := range []string{"carts", "fares"} {
		if letters, err := w.log.Produced(w.ctx, topic+stack.DeadLetters); err != nil || letters != 0 {
			t.Errorf("%s: %d dead letters, %v", topic, letters, err)
		}
	}
}
