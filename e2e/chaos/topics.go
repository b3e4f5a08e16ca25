package chaos

import (
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/waybill-data/waybill/e2e/stack"
	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/verify"
)

// topic is one of those that are stormed.
type topic struct {
	name       string
	partitions int
	// share of the rate of delivery events.
	share float64
	// event makes the records, nil for those of the built-in contracts; grown ones have the column that is added during
	// the run.
	event func(seed, index uint64, grown bool, dst []byte) events.Event
	// grows says that the schema has one more column from the middle of the run on.
	grows bool
	// framed records name their schema: they have the column as soon as the registry has the schema.
	framed bool
	// want is what must become of the records.
	want verify.Topic
}

const (
	ordersTopic    = "shop_orders_topic"
	clicksTopic    = "shop_clicks_topic"
	movementsTopic = "shop_movements_topic"
)

// topics are all formats, both deliveries, and several tables of one topic. The new ones have small records, and few
// partitions: lanes of all kinds meet in each process.
var topics = func() []topic {
	builtin := verify.Builtin("waybill")
	return []topic{
		{name: stack.DeliveryTopic, partitions: 16, share: 1, want: builtin[0]},
		{name: stack.StockTopic, partitions: 16, share: 2. / 3, want: builtin[1]},
		{name: ordersTopic, partitions: 4, share: .25, event: orderOf(ordersTopic), grows: true, want: verify.Topic{
			Name: ordersTopic, Tables: []string{"waybill.orders"}, Decode: decodeOrder, ID: "number",
			Payload: "payload",
		}},
		{name: clicksTopic, partitions: 4, share: .25, event: orderOf(clicksTopic), grows: true, want: verify.Topic{
			Name: clicksTopic, Tables: []string{"waybill.clicks"}, Decode: decodeOrder, ID: "number",
			Payload:     "payload",
			AtLeastOnce: true,
		}},
		{name: movementsTopic, partitions: 4, share: .25, event: movement, want: verify.Topic{
			Name: movementsTopic, Tables: []string{"waybill.arrivals", "waybill.departures", "waybill.movements_else"},
			Types: map[string]string{
				arrived: "waybill.arrivals", departed: "waybill.departures",
				"": "waybill.movements_else",
			},
			Decode: decodeMovement, Payload: "payload",
		}},
		{name: scansTopic, partitions: 4, share: .25, event: scan, grows: true, framed: true, want: verify.Topic{
			Name: scansTopic, Tables: []string{"waybill.scans"}, Decode: decodeScan, ID: "number", Payload: "payload",
		}},
	}
}()

// partitions are those of all topics.
func partitions() int {
	n := 0
	for _, t := range topics {
		n += t.partitions
	}
	return n
}

func names() []string {
	var all []string
	for _, t := range topics {
		all = append(all, t.name)
	}
	return all
}

// contracts are the contracts of the topics. Schemas are files beside its configuration.
const contracts = `  - builtin: delivery.v6
  - builtin: stock.v1
  - topic: ` + ordersTopic + `
    format: json
    schema: ` + orderSchema + `
    table: orders
    types: [` + orderType + `]
    event_id: number
    event_time: {field: timestamp, unit: ns}
    evolution: additive
  - topic: ` + clicksTopic + `
    format: json
    schema: ` + orderSchema + `
    table: clicks
    types: [` + orderType + `]
    event_id: number
    event_time: {field: timestamp, unit: ns}
    evolution: additive
    delivery: at_least_once
  - topic: ` + movementsTopic + `
    format: protobuf
    schema: ` + movementSchema + `
    message: shop.v1.Movement
    table: arrivals
    types: [` + arrived + `]
    event_time: {field: timestamp, unit: ns}
    unknown: table
    unknown_table: movements_else
  - topic: ` + movementsTopic + `
    format: protobuf
    schema: ` + movementSchema + `
    message: shop.v1.Movement
    table: departures
    types: [` + departed + `]
    event_time: {field: timestamp, unit: ns}
  - topic: ` + scansTopic + `
    format: avro
    framing: confluent
    subject: ` + scansSubject + `
    table: scans
    types: [` + scanned + `]
    event_id: number
    event_time: {field: timestamp, unit: ns}
    evolution: additive
`

const (
	orderSchema    = "order.json"
	movementSchema = "movement.binpb"
)

// column is the name of the one that is added.
const column = "channel"

// writeSchemas writes the schema files, the orders' with or without the new column. A process that starts meanwhile
// reads one or the other.
func writeSchemas(dir string, grown bool) error {
	more := ""
	if grown {
		more = `, "` + column + `": {"type": ["string", "null"]}`
	}
	order := fmt.Sprintf(`{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
  "required": ["number", "timestamp"], "properties": {
  "number": {"type": "integer"}, "timestamp": {"type": "integer"}, "customer": {"type": ["string", "null"]},
  "total": {"type": "number"},
  "lines": {"type": "array", "items": {"type": "object",
    "properties": {"sku": {"type": "string"}, "pieces": {"type": "integer"}}}}%s}}
`, more)
	movement, err := proto.Marshal(
		&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{movementFile}})
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{orderSchema: []byte(order), movementSchema: movement} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}
