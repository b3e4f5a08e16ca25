package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/verify"
)

const (
	ordersTopic  = "orders_json"
	ordersSchema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
		"required":["id","placed"],"properties":{
		"id":{"type":"integer"},"placed":{"type":"string","format":"date-time"},"customer":{"$ref":"#/$defs/Customer"},
		"items":{"type":"array","items":{"type":"object","required":["sku"],
			"properties":{"sku":{"type":"string"},"price":{"type":"number"}}}},
		"labels":{"type":"object","additionalProperties":{"type":"string"}},"note":{}},
		"$defs":{"Customer":{"type":"object",
			"properties":{"name":{"type":["string","null"]},"vip":{"type":"boolean","default":false}}}}}`
	ordersContract = `  - topic: orders_json
    format: json
    schema: %s
    unknown_fields: keep
    table: orders
    payload: order
    types: ["*"]
    event_id: id
    event_time: {field: placed}
`
)

// A topic of JSON, by nothing but a schema: good records become rows, each bad one a dead letter that names field and
// byte; a writer and an ingest are killed on the way.
func TestJSON(t *testing.T) {
	t.Parallel()
	schema := filepath.Join(t.TempDir(), "order.json")
	if err := os.WriteFile(schema, []byte(ordersSchema), 0o600); err != nil {
		t.Fatal(err)
	}
	w := prepared(t, stack.Config{Contracts: fmt.Sprintf(ordersContract, schema)})
	w.upSandbox()
	w.create(ordersTopic)
	w.upServices()

	// Bad records, with a mark before the value at fault, and the field.
	faults := map[string]string{
		`{"id":^"7","placed":"2026-01-01T00:00:00Z"}`: "order.id",
		`{"id":7^}`:                       "order.placed",
		`{"id":7,"placed":^"2026-01-01"}`: "order.placed",
		`{"id":7,"placed":"2026-01-01T00:00:00Z","items":[{"sku":"a"},{"sku":^5}]}`:   "order.items[1].sku",
		`{"id":7,"placed":"2026-01-01T00:00:00Z","customer":{"name":"n"},^}`:          "order",
		`{"id":7,^"id":8,"placed":"2026-01-01T00:00:00Z"}`:                            "order.id",
		`{"id":7,"placed":"2026-01-01T00:00:00Z","note":{"a":[1,^01]}}`:               "order.note",
		"{\"id\":7,\"placed\":\"2026-01-01T00:00:00Z\",\"labels\":{\"k\":^\"\xff\"}}": "order.labels.k",
		"^\xef\xbb\xbf{\"id\":7,\"placed\":\"2026-01-01T00:00:00Z\"}":                 "order",
		`{"id":7,"placed":"2026-01-01T00:00:00Z"} ^{"id":8}`:                          "order",
	}
	const good = 10_000
	var bad []string
	for marked := range faults {
		bad = append(bad, strings.Replace(marked, "^", "", 1))
	}
	places := w.interrupted(verify.Topic{
		Name: ordersTopic, Tables: []string{"waybill.orders"}, Schema: `"null"`, Payload: "order",
	}, good, bad, func(i int) string {
		return fmt.Sprintf(`{"id": %d, "placed":"2026-01-02T03:04:05.%06dZ", "customer":{"name":"Zoë \u0001 %d","since":2020},
			"items":[{"sku":"a","price":%d.25},{"sku":"b","colour":"red"}], "labels":{"k":"v"}, "note":[%d, {"deep": null}]}`,
			i, i, i, i, i)
	})
	// Every value of every row, as the query engine reads it back.
	same := w.value(`SELECT COUNT(DISTINCT CAST(o.order.id AS STRING)) FROM waybill.orders AS o
		WHERE event_id = CAST(o.order.id AS STRING) AND event_time = o.order.placed AND EXTRACT(SECOND FROM event_time) = 5
		AND o.order.customer.name = CONCAT('Zoë \u0001 ', event_id) AND NOT o.order.customer.vip
		AND ARRAY_LENGTH(o.order.items) = 2
		AND o.order.items[OFFSET(0)].price = o.order.id + 0.25 AND o.order.items[OFFSET(1)].price IS NULL
		AND o.order.labels[OFFSET(0)].value = 'v'
		AND JSON_VALUE(o.order.note, '$[0]') = event_id AND JSON_VALUE(o.order._extra, '$.customer.since') = '2020'
		AND JSON_VALUE(o.order._extra, '$.items.1.colour') = 'red'`)
	if same != fmt.Sprint(good) {
		t.Errorf("%s of %d rows say what was sent", same, good)
	}
	for marked, field := range faults {
		if place := fmt.Sprintf("%s %d", field, strings.Index(marked, "^")); places[place] < 2 {
			t.Errorf("%q: no dead letters at %s; there are %v", marked, place, places)
		}
	}
}
