package contract_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/pkg/config"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

func order(change func(*contract.Config)) contract.Config {
	c := contract.Config{
		Topic: "orders", Format: "avro", Schema: "order.avsc", Table: "orders", Types: []string{"shop.Order"},
		EventID: "id", EventTime: contract.EventTime{Field: "placed"},
	}
	if change != nil {
		change(&c)
	}
	return c
}

// typed is a record with a type header; none without a type.
func typed(itemType string) *record.Record {
	r := &record.Record{Topic: "orders", Partition: 1, Offset: 2, TimestampMicros: -1, Value: []byte{}}
	if itemType != "" {
		r.Headers = []record.Header{{Key: []byte("item_type_name"), Value: []byte(itemType)}}
	}
	return r
}

func TestMatch(t *testing.T) {
	topic := load(t,
		order(func(c *contract.Config) {
			c.Types = []string{"shop.Order", "shop.*"}
			c.Ignore = []string{"shop.noise.*", "shop.Noise"}
		}),
		order(func(c *contract.Config) { c.Table = "returns"; c.Types = []string{"shop.returns.*"} }),
		order(func(c *contract.Config) {
			c.Table = "one"
			c.Types = []string{"shop.returns.One", `"shop.returns.One"`} // as a header of JSON has it
		}),
	).Topic("orders").Fork()
	for itemType, want := range map[string]string{
		"shop.Order": "row 0", "shop.Anything": "row 0", "shop.a.b": "row 0", "shop.returns.Two": "row 1",
		"shop.returns.One": "row 2", `"shop.returns.One"`: "row 2", `"shop.Order"`: "unknown 0",
		"shop.noise.x": "ignore 0", "shop.Noise": "ignore 0", "shop.Noisy": "row 0",
		"shop": "unknown 0", "shop.": "unknown 0", "Shop.Order": "unknown 0", "": "unknown 0",
	} {
		m := topic.Match(typed(itemType))
		if got := fmt.Sprintf("%v %d", m.Action, m.Route); got != want {
			t.Errorf("%q: %s, want %s", itemType, got, want)
		}
		if (m.Action == contract.Row) != (m.Contract != nil) || (m.Action == contract.Unknown) != (m.Reason != "") {
			t.Errorf("%q: %+v", itemType, m)
		}
	}
	if m := topic.Match(typed("other.Type")); m.Reason != `header item_type_name is "other.Type", which no contract of `+
		`the topic takes` {
		t.Error(m.Reason)
	}
	if m := topic.Match(typed("")); m.Reason != "header item_type_name is missing" {
		t.Error(m.Reason)
	}
	// The last header of the name counts; a null one is none.
	r := typed("shop.returns.One")
	r.Headers = append(r.Headers, record.Header{Key: []byte("item_type_name"), Value: []byte("shop.Order")},
		record.Header{Key: []byte("x")})
	if m := topic.Match(r); m.Route != 0 {
		t.Errorf("%+v", m)
	}
	r.Headers = append(r.Headers, record.Header{Key: []byte("item_type_name")})
	if m := topic.Match(r); m.Action != contract.Unknown {
		t.Errorf("%+v", m)
	}
	r = typed("shop.Order")
	if n := testing.AllocsPerRun(100, func() { topic.Match(r) }); n != 0 {
		t.Errorf("%v allocations a match", n)
	}
}

// Lanes run at once: forks share no state. The race detector watches.
func TestForks(t *testing.T) {
	topic := load(t, order(nil)).Topic("orders")
	var lanes sync.WaitGroup
	for i := range 4 {
		fork := topic.Fork()
		lanes.Go(func() {
			r := typed("shop.Order")
			r.Value = []byte{byte(2 * i), 6, 0, 2, 'a'}
			want := appendRow(t, topic.Fork(), r)
			for range 200 {
				if got := appendRow(t, fork, r); !bytes.Equal(got, want) {
					t.Errorf("%x, want %x", got, want)
					return
				}
			}
		})
	}
	lanes.Wait()
}

func TestTombstones(t *testing.T) {
	r := typed("shop.Order")
	r.Value = nil
	if m := load(t, order(nil)).Topic("orders").Match(r); m.Action != contract.Ignore {
		t.Errorf("%+v", m)
	}
	m := load(t, order(func(c *contract.Config) { c.Tombstones = "dead_letter" })).Topic("orders").Match(r)
	if m.Action != contract.Unknown || m.Reason == "" {
		t.Errorf("%+v", m)
	}
}

func TestEveryRecord(t *testing.T) {
	topic := load(t, order(func(c *contract.Config) { c.Types = []string{"*"} })).Topic("orders")
	for _, itemType := range []string{"", "a", "a.b"} {
		if m := topic.Match(typed(itemType)); m.Action != contract.Row {
			t.Errorf("%q: %+v", itemType, m)
		}
	}
}

// The fingerprint travels in checkpoints: it must never change for a routing, and change with all that decides where a
// record counts.
func TestFingerprint(t *testing.T) {
	of := func(change func(*contract.Config)) uint64 { return load(t, order(change)).Topic("orders").Fingerprint }
	base := of(nil)
	if base != pinned {
		t.Errorf("the fingerprint of a routing changed to %#x: open lanes could not replay", base)
	}
	for name, change := range map[string]func(*contract.Config){
		"event id":  func(c *contract.Config) { c.EventID = "" },
		"layout":    func(c *contract.Config) { c.PartitionBy = "none"; c.ClusterBy = []string{"none"} },
		"payload":   func(c *contract.Config) { c.Payload = "order"; c.TopicVersion = "v9" },
		"key":       func(c *contract.Config) { c.Key = "omit" },
		"delivery":  func(c *contract.Config) { c.Delivery = "at_least_once" },
		"evolution": func(c *contract.Config) { c.Evolution, c.MissingValues = "additive", "default" },
		"columns":   func(c *contract.Config) { c.Columns = map[string]contract.Column{"total": {Skip: true}} },
		"a default": func(c *contract.Config) { c.TypeHeader = "item_type_name"; c.Tombstones = "ignore" },
	} {
		if of(change) != base {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	seen := map[uint64]string{base: "base"}
	for name, change := range map[string]func(*contract.Config){
		"header":     func(c *contract.Config) { c.TypeHeader = "type" },
		"type":       func(c *contract.Config) { c.Types = []string{"shop.Order2"} },
		"pattern":    func(c *contract.Config) { c.Types = []string{"shop.Order.*"} },
		"ignored":    func(c *contract.Config) { c.Ignore = []string{"shop.X"} },
		"table":      func(c *contract.Config) { c.Table = "orders2" },
		"tombstones": func(c *contract.Config) { c.Tombstones = "dead_letter" },
	} {
		f := of(change)
		if seen[f] != "" {
			t.Errorf("%s: the fingerprint of %s", name, seen[f])
		}
		seen[f] = name
	}
	// The order of the entries says nothing.
	a, b := order(nil), order(func(c *contract.Config) { c.Table = "returns"; c.Types = []string{"shop.Return"} })
	if load(t, a, b).Topic("orders").Fingerprint != load(t, b, a).Topic("orders").Fingerprint {
		t.Error("the order of the entries changes the fingerprint")
	}
}

const pinned = 0xc446585d781a5230

// TestContractWithoutCode lays a row out by nothing but a schema file.
func TestContractWithoutCode(t *testing.T) {
	topic := load(t, order(func(c *contract.Config) { c.Topic = "orders_v3_topic"; c.Payload = "order" })).Topic(
		"orders_v3_topic").Fork()
	route := topic.Routes[0]
	if route.Layout.GetPartitionField() != "event_time" ||
		strings.Join(route.Layout.GetClusterFields(), " ") != "event_type" {
		t.Errorf("layout %v", route.Layout)
	}
	r := typed("shop.Order")
	r.Value = []byte("\x0e\x06\x02\x06\x01\xe2\x40\x02a")
	text := rowOf(t, route, appendRow(t, topic, r))
	want := `event_id:"7" event_type:"Order" item_type:"shop.Order" event_time:3000 ingest_time:1800000001000001 ` +
		`topic_version:"v3" ` +
		`kafka_topic:"orders" kafka_partition:1 kafka_offset:2 kafka_headers:{key:"item_type_name" value:"shop.Order"} ` +
		`order:{id:7 placed:3000 total:"1234.56" customer:{name:"a"}}`
	if text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}

// rowOf is a row as text, by the descriptor of its route.
func rowOf(t *testing.T, route *lanev1.Route, encoded []byte) string {
	t.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("row.proto"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{route.GetDescriptor_()},
	}, &protoregistry.Files{})
	if err != nil {
		t.Fatal(err)
	}
	row := dynamicpb.NewMessage(file.Messages().Get(0))
	if err := proto.Unmarshal(encoded, row); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(prototext.MarshalOptions{}.Format(row)), " ")
}

func TestBadRecords(t *testing.T) {
	topic := load(t, order(func(c *contract.Config) { c.Types = []string{"*"} })).Topic("orders").Fork()
	good := "\x0e\x06\x00\x02a"
	for field, spoil := range map[string]func(*record.Record){
		"payload.customer.name": func(r *record.Record) { r.Value = []byte("\x0e\x06\x00\x02\xff") },
		"payload.id":            func(r *record.Record) { r.Value = []byte{} },
		"item_type":             func(r *record.Record) { r.Headers[0].Value = []byte("a\xff") },
		"kafka_headers[1].key": func(r *record.Record) {
			r.Headers = append(r.Headers,
				record.Header{Key: []byte("\xff")})
		},
		"kafka_timestamp": func(r *record.Record) { r.TimestampMicros = 1 << 62 },
	} {
		r := typed("shop.Order")
		r.Value = []byte(good)
		appendRow(t, topic, r)
		spoil(r)
		m := topic.Match(r)
		dst, err := m.Contract.AppendRow([]byte("before"), r, m, now)
		var e *decode.Error
		if !errors.As(err, &e) || e.Field != field || e.Contract != "order" || string(dst) != "before" {
			t.Errorf("%s: %q, %v", field, dst, err)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		key, message string
		configs      []contract.Config
	}{
		{"contracts[0].builtin", "no built-in", []contract.Config{{Builtin: "nothing"}}},
		{"contracts[0].schema", "settles", []contract.Config{{Builtin: "stock.v1", Schema: "x.avsc"}}},
		{"contracts[0].format", "", []contract.Config{order(func(c *contract.Config) { c.Format = "xml" })}},
		{
			"contracts[0].unknown_fields", "choices", []contract.Config{
				order(func(c *contract.Config) { c.Format, c.UnknownFields = "json", "ignore" }),
			},
		},
		{
			"contracts[0].unknown_fields", "format json", []contract.Config{
				order(func(c *contract.Config) { c.UnknownFields = "drop" }),
			},
		},
		{
			"contracts[0].mode", "choices", []contract.Config{
				order(func(c *contract.Config) { c.Format, c.Mode = "json", "loose" }),
			},
		},
		{"contracts[0].topic", "missing", []contract.Config{order(func(c *contract.Config) { c.Topic = "" })}},
		{"contracts[0].topic", "no name", []contract.Config{order(func(c *contract.Config) { c.Topic = "a b" })}},
		{"contracts[0].table", "no name", []contract.Config{order(func(c *contract.Config) { c.Table = "a.b.c.d" })}},
		{"contracts[0].types", "missing", []contract.Config{order(func(c *contract.Config) { c.Types = nil })}},
		{"contracts[0].types", "last dot", []contract.Config{order(
			func(c *contract.Config) { c.Types = []string{"a*"} })}},
		{"contracts[0].ignore", "place to go", []contract.Config{order(
			func(c *contract.Config) { c.Ignore = c.Types })}},
		{"contracts[0].schema", "no such file", []contract.Config{
			order(func(c *contract.Config) { c.Schema = "none.avsc" }),
		}},
		{
			"contracts[0].schema", "payload.x[]: the type shop.Node contains itself",
			[]contract.Config{order(func(c *contract.Config) {
				c.Schema, c.EventID, c.EventTime = "recursive.avsc", "", contract.EventTime{}
			})},
		},
		{"contracts[0].event_id", "no field no", []contract.Config{order(
			func(c *contract.Config) { c.EventID = "no" })}},
		{
			"contracts[0].event_time", "unit already", []contract.Config{
				order(func(c *contract.Config) { c.EventTime.Unit = "ms" }),
			},
		},
		{
			"contracts[0].event_time.unit", "choices", []contract.Config{
				order(func(c *contract.Config) { c.EventTime.Unit = "h" }),
			},
		},
		{"contracts[0].tombstones", "choices", []contract.Config{order(
			func(c *contract.Config) { c.Tombstones = "keep" })}},
		{
			"contracts[0].partition_by", "choices", []contract.Config{
				order(func(c *contract.Config) { c.PartitionBy = "kafka_key" }),
			},
		},
		{
			"contracts[0].cluster_by", "twice", []contract.Config{
				order(func(c *contract.Config) { c.ClusterBy = []string{"event_id", "event_id"} }),
			},
		},
		{
			"contracts[1].table", "already", []contract.Config{
				order(nil), order(func(c *contract.Config) { c.Types = []string{"b"} }),
			},
		},
		{
			"contracts[1].types", "place to go",
			[]contract.Config{order(nil), order(func(c *contract.Config) { c.Table = "b" })},
		},
		{
			"contracts[1].type_header", "says", []contract.Config{
				order(func(c *contract.Config) { c.TypeHeader = "item_type_name" }),
				order(func(c *contract.Config) { c.Table, c.Types, c.TypeHeader = "b", []string{"b"}, "h" }),
			},
		},
		{
			"contracts[1].tombstones", "says", []contract.Config{
				order(func(c *contract.Config) { c.Tombstones = "ignore" }),
				order(func(c *contract.Config) { c.Table, c.Types, c.Tombstones = "b", []string{"b"}, "dead_letter" }),
			},
		},
	} {
		_, err := contract.Load(t.Context(), c.configs, "testdata", contract.Env{})
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Key != c.key ||
			!strings.Contains(problems[0].Message, c.message) || problems[0].Remedy == "" {
			t.Errorf("%s …%s…: %v", c.key, c.message, err)
		}
	}
	// All of them together.
	_, err := contract.Load(t.Context(), []contract.Config{
		{Builtin: "a"},
		order(func(c *contract.Config) { c.Table = "" }),
		order(func(c *contract.Config) { c.EventID = "no" }),
	}, "testdata", contract.Env{})

	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Errorf("%v", err)
	}
	// And all of one schema, each under the key that can mend it.
	_, err = contract.Load(t.Context(), []contract.Config{order(func(c *contract.Config) {
		c.EventID, c.EventTime.Field, c.Tombstones = "customer", "total", "keep"
		c.Columns = map[string]contract.Column{
			"id": {Type: "JSON"}, "customer.phone": {Type: "DATE"}, "customer.name": {Type: "NUMERIC"},
		}
	})}, "testdata", contract.Env{})

	var keys []string
	if errors.As(err, &problems) {
		for _, p := range problems {
			keys = append(keys, p.Key+" "+strings.SplitN(p.Message, ":", 2)[0])
		}
	}
	if got := strings.Join(keys, ", "); got != "contracts[0].tombstones \"keep\" is not one of the choices, "+
		"contracts[0].columns payload.customer.phone, contracts[0].columns payload.id, contracts[0].event_id "+
		"payload.customer, contracts[0].event_time payload.total" {
		t.Errorf("%s: %v", got, err)
	}
}
