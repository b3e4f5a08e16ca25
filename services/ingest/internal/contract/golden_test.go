package contract_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	envelopev1 "github.com/waybill-data/waybill/proto/envelope/v1"
	stockv1 "github.com/waybill-data/waybill/proto/stock/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

const (
	deliveryTopic = "delivery_events_v6_topic"
	stockTopic    = "sms_physical_stock_updated_topic"
)

// vector is a golden payload; decode's tests compare all that it says, these the envelope.
type vector struct {
	Type string `json:"item_type_name"`
	Avro []byte `json:"avro_base64"`
	JSON struct {
		ID        string
		Timestamp int64
	} `json:"json"`
}

func vectors(t testing.TB, name string) []vector {
	t.Helper()
	return decodetest.Read[vector](t, "../decode/avro/testdata/"+name)
}

func load(t testing.TB, configs ...contract.Config) *contract.Set {
	t.Helper()
	set, err := contract.Load(t.Context(), configs, "testdata", contract.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func recordOf(topic string, v vector, offset int64) record.Record {
	return record.Record{
		Topic: topic, Partition: 3, Offset: offset, TimestampMicros: 1_800_000_000_123_000, Key: []byte("k"),
		Value:   v.Avro,
		Headers: []record.Header{{Key: []byte("trace")}, {Key: []byte("item_type_name"), Value: []byte(v.Type)}},
	}
}

const now = 1_800_000_001_000_001

// appendRow turns a record into a framed row and takes the frame off.
func appendRow(t testing.TB, topic *contract.Topic, r *record.Record) []byte {
	t.Helper()
	m := topic.Match(r)
	if m.Action != contract.Row {
		t.Fatalf("%v: %s", m.Action, m.Reason)
	}
	framed, err := m.Contract.AppendRow([]byte("before"), r, m, now)
	if err != nil {
		t.Fatal(err)
	}
	framed, ok := bytes.CutPrefix(framed, []byte("before\x0a"))
	n, size := binary.Uvarint(framed)
	if !ok || size <= 0 || int(n) != len(framed)-size {
		t.Fatalf("framed as %d bytes, has %d", n, len(framed)-size)
	}
	return framed[size:]
}

func TestGoldenRows(t *testing.T) {
	set := load(t)
	for _, c := range []struct {
		topic, file string
		row         func() proto.Message
	}{
		{deliveryTopic, "delivery_event_v6.jsonl.gz", func() proto.Message { return &deliveryv6.DeliveryEvent{} }},
		{stockTopic, "physical_stock_updated.jsonl.gz", func() proto.Message { return &stockv1.PhysicalStockEvent{} }},
	} {
		topic := set.Topic(c.topic).Fork()
		for i, v := range vectors(t, c.file) {
			r := recordOf(c.topic, v, int64(i))
			encoded := appendRow(t, topic, &r)
			row := c.row()
			if err := proto.Unmarshal(encoded, row); err != nil {
				t.Fatal(err)
			}
			canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(row)
			if err != nil || !bytes.Equal(encoded, canonical) {
				t.Errorf("%s %d: not the bytes of proto.Marshal (%v)", c.file, i, err)
			}
			want := envelope(c.topic, v, int64(i))
			switch row := row.(type) {
			case *deliveryv6.DeliveryEvent:
				if row.Delivery.GetId() != v.JSON.ID {
					t.Errorf("payload of %q, want %q", row.Delivery.GetId(), v.JSON.ID)
				}
				row.Delivery = nil
				if diff := cmp.Diff(want, row, protocmp.Transform()); diff != "" {
					t.Error(diff)
				}
			case *stockv1.PhysicalStockEvent:
				if row.PhysicalStock.GetTimestamp() != v.JSON.Timestamp {
					t.Errorf("payload of %d, want %d", row.PhysicalStock.GetTimestamp(), v.JSON.Timestamp)
				}
				if want := []string{
					"sms_physical_stock_updated_topic/3/0",
					"sms_physical_stock_updated_topic/3/1",
				}; i < 2 &&
					row.GetEventId() != want[i] {
					t.Errorf("event_id %q, want %q", row.GetEventId(), want[i])
				}
				if row.TopicVersion != nil {
					t.Errorf("topic_version %q of a topic that has none", row.GetTopicVersion())
				}
			}
		}
	}
}

// envelope is the row of a delivery event, its payload left out.
func envelope(topic string, v vector, offset int64) *deliveryv6.DeliveryEvent {
	return &deliveryv6.DeliveryEvent{
		EventId: &v.JSON.ID, EventType: proto.String(v.Type[strings.LastIndexByte(v.Type, '.')+1:]), ItemType: &v.Type,
		EventTime: proto.Int64(v.JSON.Timestamp / 1000), IngestTime: proto.Int64(now), TopicVersion: proto.String("v6"),
		KafkaTopic: &topic, KafkaPartition: proto.Int32(3), KafkaOffset: &offset,
		KafkaTimestamp: proto.Int64(1_800_000_000_123_000),
		KafkaKey:       []byte("k"),
		KafkaHeaders: []*envelopev1.Header{
			{Key: proto.String("trace")}, {Key: proto.String("item_type_name"), Value: []byte(v.Type)},
		},
	}
}

// Whatever repeats from record to record and whatever does not: laying a row down allocates nothing.
func TestNoAllocations(t *testing.T) {
	for name, c := range map[string]struct {
		topic, file string
		trace       bool // a header whose value is another in each record
	}{
		"delivery": {deliveryTopic, "delivery_event_v6.jsonl.gz", false}, "stock": {
			stockTopic, "physical_stock_updated.jsonl.gz", false,
		},
		"stock, traced": {stockTopic, "physical_stock_updated.jsonl.gz", true},
	} {
		t.Run(name, func(t *testing.T) {
			all := vectors(t, c.file)
			topic := load(t).Topic(c.topic).Fork()
			records := make([]record.Record, len(all))
			for i := range all {
				records[i] = recordOf(c.topic, all[i], int64(i))
				if c.trace {
					records[i].Headers = append(records[i].Headers,
						record.Header{Key: []byte("trace"), Value: fmt.Append(nil, i)})
				}
			}
			var block []byte
			i := 0
			one := func() {
				r := &records[i%len(records)]
				m := topic.Match(r)
				var err error
				if block, err = m.Contract.AppendRow(block[:0], r, m, now); err != nil {
					t.Fatal(err)
				}
				i++
			}
			for range records {
				one() // grows what is kept
			}
			if n := testing.AllocsPerRun(500, one); n != 0 {
				t.Errorf("%v allocations a row", n)
			}
		})
	}
}

func BenchmarkAppendRow(b *testing.B) {
	for _, c := range []struct{ name, topic, file string }{
		{"delivery", deliveryTopic, "delivery_event_v6.jsonl.gz"},
		{"stock", stockTopic, "physical_stock_updated.jsonl.gz"},
	} {
		b.Run(c.name, func(b *testing.B) {
			all := vectors(b, c.file)
			topic := load(b).Topic(c.topic).Fork()
			records := make([]record.Record, len(all))
			total := 0
			for i := range all {
				records[i] = recordOf(c.topic, all[i], int64(i))
				total += len(all[i].Avro)
			}
			b.SetBytes(int64(total / len(all)))
			b.ReportAllocs()
			var block []byte
			i := 0
			for b.Loop() {
				r := &records[i]
				m := topic.Match(r)
				var err error
				if block, err = m.Contract.AppendRow(block[:0], r, m, now); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(records) {
					i = 0
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/row")
		})
	}
}
