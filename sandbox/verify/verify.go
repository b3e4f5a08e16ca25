// Package verify compares what Kafka holds with what the tables of the sandbox hold, offset by offset. It shares no
// code with the services: records are counted by Kafka's own offsets, and their content is decoded by another Avro
// library.
//
//	report, err := verify.Run(ctx, verify.Config{Seeds: seeds, Admin: "http://127.0.0.1:19059"})
//	report.Print(os.Stdout)
//
// Every record of a topic must be in one of its tables, once, or in its dead-letter topic, or be one that the
// contract ignores. Where a topic's delivery is at least once, more rows of one record are counted, and are no
// offence. A record that was replayed from a dead letter is a record of its own: there is one for each marked letter,
// and no other. The tables are read first and Kafka's end after them, so on a running pipeline the records on their
// way count as missing, and nothing else is off. A record costs three bits of memory.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/twmb/avro"

	"github.com/waybill-data/waybill/sandbox/events"
	"github.com/waybill-data/waybill/sandbox/events/schemas"
	"github.com/waybill-data/waybill/sandbox/kafka"
)

// Config of one comparison.
type Config struct {
	// Seeds are Kafka's addresses, host:port.
	Seeds []string
	// Admin is the base URL of the sandbox's admin port, which gives the rows.
	Admin string
	// Topics to compare; empty takes Builtin.
	Topics []Topic
	// Sample is how many records of each topic have their content compared, spread over the topic: default 200,
	// negative for none.
	Sample int
	// Seed chooses the sample.
	Seed uint64
}

// Topic says what must become of a topic's records.
type Topic struct {
	Name string
	// Builtin is the built-in contract of the topic, if it has one.
	Builtin string
	// Tables take the rows, as dataset.table.
	Tables []string
	// Types says which of several Tables takes a type; "" is for types that are not named. Nil: each record may be in
	// any of them.
	Types map[string]string
	// AtLeastOnce: a record may have several rows.
	AtLeastOnce bool
	// Schema is the Avro schema of the records. Without it, and without Decode, what comes from Kafka alone is
	// compared: places, times, keys, headers and types.
	Schema string
	// Decode, if set, decodes records instead: an object is a map, other values are of the types that Avro's decoder
	// gives.
	Decode func(itemType string, value []byte) (any, error)
	// Payload is the column with the payload.
	Payload string
	// ID is the payload's field that becomes event_id; empty when topic/partition/offset does.
	ID string
	// EventTime says where the payload has what becomes event_time.
	EventTime EventTime
	// Version is what topic_version holds; empty for null.
	Version string
	// Ignored are the values of item_type_name whose records need no row.
	Ignored []string
	// IgnoreTombstones: records without a value need no row.
	IgnoreTombstones bool
}

// Builtin are the topics of the built-in contracts, with their tables in the given dataset.
func Builtin(dataset string) []Topic {
	return []Topic{
		{
			Name: events.DeliveryTopic, Builtin: "delivery.v6", Tables: []string{dataset + ".delivery_events"},
			Schema: schemas.DeliveryEventV6, Payload: "delivery", ID: "id", Version: "v6",
		},
		{
			Name: events.StockTopic, Builtin: "stock.v1", Tables: []string{dataset + ".physical_stock_events"},
			Schema: schemas.PhysicalStockUpdated, Payload: "physical_stock",
		},
	}
}

const defaultSample = 200

// Run compares. The error is about not being able to: Kafka or the sandbox away, a topic that does not exist. What is
// off is in the report.
func Run(ctx context.Context, config Config) (Report, error) {
	if len(config.Topics) == 0 {
		config.Topics = Builtin("waybill")
	}
	if config.Sample == 0 {
		config.Sample = defaultSample
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	tables := &tables{base: config.Admin, client: &http.Client{Transport: transport}}
	log, err := dial(config.Seeds)
	if err != nil {
		return Report{}, err
	}
	defer log.client.Close()

	var report Report
	for _, topic := range config.Topics {
		one, err := compare(ctx, config, topic, tables, log)
		if err != nil {
			return Report{}, fmt.Errorf("verify %s: %w", topic.Name, err)
		}
		report.Topics = append(report.Topics, one)
		report.Totals.add(one.Totals)
		report.Offences = append(report.Offences, one.Offences...)
	}
	return report, nil
}

// compare does one topic: the rows, the dead letters, the records, and then the content of the sample.
func compare(ctx context.Context, config Config, topic Topic, tables *tables, log *log) (TopicReport, error) {
	if err := topic.EventTime.valid(); err != nil {
		return TopicReport{}, err
	}
	decode := topic.Decode
	if decode == nil && topic.Schema != "" {
		schema, err := avro.Parse(topic.Schema)
		if err != nil {
			return TopicReport{}, fmt.Errorf("schema: %w", err)
		}
		decode = func(_ string, value []byte) (any, error) { return decodeAvro(schema, value) }
	}
	c := &comparison{
		topic: topic, decode: decode, report: TopicReport{Topic: topic.Name},
		partitions: map[int32]*partition{}, streams: map[string]int64{},
	}
	for _, name := range topic.Tables {
		if err := tables.each(ctx, name, func(row tableRow) { c.row(name, row) }); err != nil {
			return TopicReport{}, err
		}
	}
	if err := log.each(ctx, topic.Name+kafka.DeadLetter, nil, c.deadLetter); err != nil && !errors.Is(err, errNoTopic) {
		return TopicReport{}, err
	}
	choose := func(spans []span) { c.chooseSample(spans, config.Sample, config.Seed) }
	if err := log.each(ctx, topic.Name, choose, c.record); err != nil {
		return TopicReport{}, err
	}
	c.phantoms()
	c.replays()
	if err := c.content(ctx, tables); err != nil {
		return TopicReport{}, err
	}
	slices.SortFunc(c.report.Offences, func(a, b Offence) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Partition, b.Partition),
			cmp.Compare(a.Offset, b.Offset))
	})
	return c.report, nil
}
