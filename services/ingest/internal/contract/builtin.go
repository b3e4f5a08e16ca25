package contract

import (
	_ "embed"
	"maps"
	"slices"
)

var (
	//go:embed schemas/delivery_event_v6.avsc
	deliverySchema []byte
	//go:embed schemas/physical_stock_updated.avsc
	stockSchema []byte
)

// builtin is a contract whose row message is in the .proto files.
type builtin struct {
	// message is the row message; the one built from the schema at run time has the same columns, which a test pins.
	message string
	schema  []byte

	topic, table, payload, eventID string
	types                          []string
}

var builtins = map[string]builtin{
	"delivery.v6": {
		message: "delivery.v6.DeliveryEvent", schema: deliverySchema,
		topic: "delivery_events_v6_topic", table: "delivery_events", payload: "delivery", eventID: "id",
		types: []string{"contracts.delivery.delivery_events_v6.*"},
	},
	"stock.v1": {
		message: "stock.v1.PhysicalStockEvent", schema: stockSchema,
		topic: "sms_physical_stock_updated_topic", table: "physical_stock_events", payload: "physical_stock",
		types: []string{"contracts.sms.sms_physical_stock_updated_events.*"},
	},
}

func builtinNames() []string { return slices.Sorted(maps.Keys(builtins)) }

// defaultConfigs are the contracts of a configuration that names none: every built-in one.
func defaultConfigs() []Config {
	var configs []Config
	for _, name := range builtinNames() {
		configs = append(configs, Config{Builtin: name})
	}
	return configs
}
