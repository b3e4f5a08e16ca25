package contract_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/ingest/internal/contract"
	"github.com/waybill-data/waybill/services/ingest/internal/record"
)

// rowText is a framed row as JSON, without the fields that say where it came from.
func rowText(t *testing.T, route *lanev1.Route, framed []byte) string {
	t.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("row.proto"), Syntax: proto.String("proto2"),
		MessageType: []*descriptorpb.DescriptorProto{proto.CloneOf(route.GetDescriptor_())},
	}, &protoregistry.Files{})
	if err != nil {
		t.Fatal(err)
	}
	body, n := protowire.ConsumeBytes(framed[1:])
	if n != len(framed)-1 {
		t.Fatal("the row is not framed")
	}
	row := dynamicpb.NewMessage(file.Messages().Get(0))
	if err := proto.Unmarshal(body, row); err != nil {
		t.Fatal(err)
	}
	if len(row.GetUnknown()) > 0 {
		t.Fatalf("the descriptor lacks fields of the row: %x", row.GetUnknown())
	}
	if again, err := (proto.MarshalOptions{Deterministic: true}).Marshal(row); err != nil || len(again) != len(body) {
		t.Errorf("the row has %d bytes, protobuf's library writes %d, %v", len(body), len(again), err)
	}
	for _, name := range []string{
		"ingest_time", "kafka_topic", "kafka_partition", "kafka_offset", "kafka_headers", "item_type",
	} {
		row.Clear(row.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	out, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(" ", "", "\n", "").Replace(string(out))
}

// change is a contract of changes, in a folder of its own.
func change(t *testing.T, shelf *shelf, file, schema string, adjust func(*contract.Config)) *contract.Topic {
	t.Helper()
	dir := t.TempDir()
	c := contract.Config{
		Topic: "changes", Table: "changes", Types: []string{"*"}, PayloadPath: "after", Operation: "op",
		EventTime: contract.EventTime{Field: "ts_ms", Unit: "ms"},
	}
	if file != "" {
		c.Schema = file
		if err := os.WriteFile(filepath.Join(dir, file), []byte(schema), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	adjust(&c)
	env := contract.Env{}
	if shelf != nil {
		env.Schemas = shelf
	}
	set, err := contract.Load(t.Context(), []contract.Config{c}, dir, env)
	if err != nil {
		t.Fatal(err)
	}
	return set.Topic("changes").Fork()
}

func taken(t *testing.T, topic *contract.Topic, value []byte, headers ...record.Header) string {
	t.Helper()
	r := &record.Record{Topic: "changes", TimestampMicros: -1, Value: value, Headers: headers}
	if _, err := topic.Prepare(t.Context(), []record.Record{*r}, nil); err != nil {
		t.Fatal(err)
	}
	m := topic.Match(r)
	if m.Contract == nil {
		return m.Action.String()
	}
	before := []byte("rows before")
	row, err := m.Contract.AppendRow(before, r, m, 1)
	if err != nil {
		if !bytes.Equal(row, before) {
			t.Errorf("a refused row leaves %q", row)
		}
		return err.Error()
	}
	again, err := m.Contract.AppendRow(make([]byte, 0, 1<<12), r, m, 1) // with room, straight to its place
	if err != nil || !bytes.Equal(again, row[len(before):]) {
		t.Errorf("with room %x, without %x, %v", again, row[len(before):], err)
	}
	return rowText(t, topic.Routes[m.Route], row[len(before):])
}

// debezium is the envelope of a change as Debezium's connectors write it in Avro.
const debezium = `{"type":"record","name":"Envelope","namespace":"db.shop.orders","fields":[
	{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"long"},` +
	`{"name":"note","type":["null","string"],"default":null},
		{"name":"at","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}}],` +
	`"connect.name":"db.shop.orders.Value"}],"default":null},
	{"name":"after","type":["null","Value"],"default":null},
	{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.mysql",` +
	`"fields":[{"name":"db","type":"string"},{"name":"ts_ms","type":"long"}]}},
	{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}],` +
	`"connect.name":"db.shop.orders.Envelope"}`

func avroLong(v int64) string { return string(binary.AppendVarint(nil, v)) }

// avroChange is a datum of that schema. Nil is no row.
func avroChange(before, after *int64, op string) string {
	row := func(id *int64) string {
		if id == nil {
			return "\x00"
		}
		return "\x02" + avroLong(*id) + "\x02" + avroLong(1) + "n" + avroLong(1_000_000)
	}
	return row(before) + row(after) + avroLong(2) + "db" + avroLong(5) + avroLong(int64(len(op))) + op + "\x02" +
		avroLong(3000)
}

// Of an envelope of changes the row after the change is the payload, and what was done is a column beside it: a delete
// is a row whose payload is null. Whatever else is in the envelope has no column.
func TestPayloadWithinAnEnvelope(t *testing.T) {
	one, two := int64(1), int64(2)
	const payload = `"payload":{"id":"2","note":"n","at":"1970-01-0100:00:01.000000"}`
	for name, c := range map[string]struct {
		topic                  func(t *testing.T) *contract.Topic
		update, delete, refuse []byte
	}{
		"avro": {
			func(t *testing.T) *contract.Topic {
				return change(t, nil, "envelope.avsc", debezium,
					func(c *contract.Config) { c.Format, c.EventID = "avro", "after.id" })
			},
			[]byte(avroChange(&one, &two, "u")), []byte(avroChange(&two, nil, "d")),
			[]byte(avroChange(&one, &two, "u")[:9]),
		},
		"framed avro": {
			func(t *testing.T) *contract.Topic {
				s := &shelf{}
				s.putText("changes-value", 7, "avro", debezium)
				return change(t, s, "", "", func(c *contract.Config) {
					c.Format, c.Framing, c.Subject, c.EventID, c.Evolution = "avro", "confluent", "changes-value",
						"after.id", "additive"
				})
			},
			append(header(7), avroChange(&one, &two, "u")...),
			append(header(7), avroChange(&two, nil, "d")...),
			append(header(7), avroChange(&one, &two, "u")[:9]...),
		},
		"json": {
			func(t *testing.T) *contract.Topic {
				return change(t, nil, "envelope.avsc", debezium,
					func(c *contract.Config) { c.Format, c.EventID = "json", "after.id" })
			},
			[]byte(`{"op":"u","before":{"id":1,"at":2},"after":{"id":2,"note":"n","at":1000000},"source":{"db":"db",` +
				`"ts_ms":5},"ts_ms":3000}`),
			[]byte(`{"after":null,"before":{"id":2,"note":"n","at":1000000},"source":{},"op":"d","ts_ms":3000}`),
			[]byte(`{"op":"u","after":{"id":"2"},"ts_ms":3000}`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			topic := c.topic(t)
			for _, f := range topic.Routes[0].GetDescriptor_().GetNestedType() {
				if f.GetName() == "Source" || f.GetName() == "Envelope" {
					t.Errorf("the row describes %s, which it does not have", f.GetName())
				}
			}
			for range 2 { // the second time with what was kept of the first
				if got, want := taken(t, topic, c.update),
					`{"event_id":"2","event_time":"3000000","operation":"u",`+payload+`}`; got != want {
					t.Errorf("update: %s, want %s", got, want)
				}
				if got, want := taken(t, topic, c.delete),
					`{"event_id":"changes/0/0","event_time":"3000000","operation":"d"}`; got != want {
					t.Errorf("delete: %s, want %s", got, want)
				}
				if got := taken(t, topic, c.refuse); !strings.Contains(got, "payload.after.") {
					t.Errorf("refused: %s", got)
				}
				if got := taken(t, topic, nil); got != "ignore" {
					t.Errorf("tombstone: %s", got)
				}
			}
			r := record.Record{Topic: "changes", TimestampMicros: -1}
			block := make([]byte, 0, 1<<12)
			if n := testing.AllocsPerRun(100, func() {
				for _, value := range [][]byte{c.update, c.delete} {
					r.Value = value
					m := topic.Match(&r)
					var err error
					if block, err = m.Contract.AppendRow(block[:0], &r, m, 1); err != nil {
						t.Fatal(err)
					}
				}
			}); n != 0 {
				t.Errorf("%v allocations a row", n)
			}
		})
	}
}

// The same of a protobuf message, where the record may be cut in two, which no writer of changes does.
func TestPayloadWithinAMessage(t *testing.T) {
	s := &shelf{}
	s.putText("changes-value", 7, "protobuf", `syntax = "proto3"; package shop;
		message Change { Row before = 1; Row after = 2; string op = 3; int64 ts_ms = 4; Outer deep = 5; } message Outer { `+
		`Row row = 1; } message Row { int64 id = 1; }`)
	message := func(fields ...string) []byte {
		out := append(header(7), 0)
		for i, f := range fields {
			out = protowire.AppendString(protowire.AppendTag(out, protowire.Number(2+i%2), protowire.BytesType), f)
		}
		return protowire.AppendVarint(protowire.AppendTag(out, 4, protowire.VarintType), 3000)
	}
	topic := change(t, s, "", "", func(c *contract.Config) {
		c.Format, c.Framing, c.Subject = "protobuf", "confluent", "changes-value"
	})
	for want, value := range map[string][]byte{
		`{"event_id":"changes/0/0","event_time":"3000000","operation":"c","payload":{"id":"5"}}`: message("\x08\x05",
			"c"),
		`{"event_id":"changes/0/0","event_time":"3000000","operation":"c","payload":{"id":"0"}}`: message("", "c"),
		`{"event_id":"changes/0/0","event_time":"3000000","operation":"c","payload":{"id":"6"}}`: message(
			"\x08\x05", "c", "\x08\x06"),
	} {
		if got := taken(t, topic, value); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	deep := change(t, s, "", "", func(c *contract.Config) {
		c.Format, c.Framing, c.Subject, c.PayloadPath, c.Operation = "protobuf", "confluent", "changes-value",
			"deep.row", ""
	})
	value := append(header(7), 0)
	value = protowire.AppendString(protowire.AppendTag(value, 5, protowire.BytesType), "\x0a\x02\x08\x09")
	if got, want := taken(t, deep, value), `{"event_id":"changes/0/0","payload":{"id":"9"}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What payload_path cannot be is said when the configuration is loaded.
func TestPayloadPathProblems(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "e.avsc"), []byte(debezium), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, adjust := range map[string]func(*contract.Config){
		"wants a record, and the records around it": func(c *contract.Config) { c.PayloadPath = "op" },
		"payload.nowhere":                       func(c *contract.Config) { c.PayloadPath = "nowhere" },
		"payload.ts_ms: wants a text":           func(c *contract.Config) { c.Operation = "ts_ms" },
		"is not a field of the payload itself":  func(c *contract.Config) { c.Operation = "source.db" },
		"write payload_path, for example after": func(c *contract.Config) { c.PayloadPath = "" },
		"a raw payload has no records in it":    func(c *contract.Config) { c.Format, c.Schema = "raw", "" },
		"the built-in contract stock.v1 settles this": func(c *contract.Config) {
			c.Builtin, c.Format, c.Schema = "stock.v1", "", ""
		},
		"write unknown_fields: drop or refuse": func(c *contract.Config) { c.Format, c.UnknownFields = "json", "keep" },
		"columns leaves op out of the table": func(c *contract.Config) {
			c.EventID, c.Columns = "op", map[string]contract.Column{"op": {Skip: true}}
		},
		"the schema has no field nowhere here": func(c *contract.Config) { c.EventID = "nowhere" },
		"the schema has no field before there": func(c *contract.Config) {
			c.Columns = map[string]contract.Column{"after.before": {Type: "STRING"}}
		},
	} {
		c := contract.Config{
			Topic: "t", Format: "avro", Schema: "e.avsc", Table: "t", Types: []string{"*"}, PayloadPath: "after",
			Operation: "op",
		}
		adjust(&c)
		if _, err := contract.Load(t.Context(), []contract.Config{c}, dir, contract.Env{}); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// The headers of CloudEvents say type, identity and time; without them the record has its place and no time.
func TestCloudEvents(t *testing.T) {
	topic := change(t, nil, "", "", func(c *contract.Config) {
		*c = contract.Config{
			Topic: "changes", Table: "changes", Format: "raw", As: "json", CloudEvents: "binary",
			Types:      []string{"shop.*"},
			Tombstones: "row",
		}
	})
	header := func(pairs ...string) (all []record.Header) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, record.Header{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
		}
		return all
	}
	full := header("ce_specversion", "1.0", "ce_type", "shop.Paid", "ce_id", "e-1", "ce_source", "/shop", "ce_time",
		"2026-02-28T13:05:00.25+01:00")
	for _, c := range []struct {
		name, want string
		value      []byte
		headers    []record.Header
	}{
		{
			"full", `{"event_id":"e-1","event_type":"Paid","event_time":"1772280300250000","payload":"{}"}`, []byte("{}"),
			full,
		},
		{"null", `{"event_id":"e-1","event_type":"Paid","event_time":"1772280300250000"}`, nil, full},
		{
			"type alone", `{"event_id":"changes/0/0","event_type":"Paid","payload":"{}"}`, []byte("{}"),
			header("ce_type", "shop.Paid"),
		},
		{
			"empty id", `{"event_id":"changes/0/0","event_type":"Paid","payload":"{}"}`, []byte("{}"),
			header("ce_type", "shop.Paid", "ce_id", "", "ce_time", ""),
		},
		{
			"the last counts", `{"event_id":"b","event_type":"Paid","payload":"{}"}`, []byte("{}"),
			header("ce_id", "a", "ce_type", "shop.Paid", "ce_id", "b"),
		},
		{"no type", "unknown", []byte("{}"), header("ce_id", "e-1")},
		{
			"no time", "changes: event_time: the header ce_time is no time as RFC 3339 has it, years 1 to 9999",
			[]byte("{}"), header("ce_type", "shop.Paid", "ce_time", "yesterday"),
		},
		{
			"no zone", "changes: event_time: the header ce_time is no time as RFC 3339 has it, years 1 to 9999",
			[]byte("{}"), header("ce_type", "shop.Paid", "ce_time", "2026-02-28T13:05:00"),
		},
		{
			"no text", "changes: event_id: the header ce_id is not valid UTF-8", []byte("{}"),
			header("ce_type", "shop.Paid", "ce_id", "\xff"),
		},
	} {
		for range 2 {
			if got := taken(t, topic, c.value, c.headers...); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
	}
	if l := topic.Routes[0].GetLayout(); l.GetPartitionField() != "event_time" {
		t.Errorf("the table is partitioned by %s", l.GetPartitionField())
	}
	r := record.Record{Topic: "changes", TimestampMicros: -1, Value: []byte("{}"), Headers: full}
	block := make([]byte, 0, 1<<12)
	if n := testing.AllocsPerRun(100, func() {
		m := topic.Match(&r)
		var err error
		if block, err = m.Contract.AppendRow(block[:0], &r, m, 1); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
	for says, adjust := range map[string]func(*contract.Config){
		"write binary":                      func(c *contract.Config) { c.CloudEvents = "structured" },
		"the headers of CloudEvents say it": func(c *contract.Config) { c.Key = "event_id" },
		"the built-in contract stock.v1": func(c *contract.Config) {
			c.Builtin, c.Format, c.As = "stock.v1", "",
				""
		},
	} {
		c := contract.Config{
			Topic: "t", Format: "raw", As: "json", Table: "t", Types: []string{"*"},
			CloudEvents: "binary",
		}
		adjust(&c)
		if _, err := contract.Load(t.Context(), []contract.Config{c}, t.TempDir(), contract.Env{}); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
