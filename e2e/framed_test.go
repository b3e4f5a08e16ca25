package e2e

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/e2e/stack"
)

// framedLoad is a topic whose records name their schema, of any format.
type framedLoad struct {
	*world
	topic    string
	registry *sr.Client
	client   *kgo.Client

	mu sync.Mutex
	// rows are the rows that are due, by partition/offset.
	rows map[string]map[string]any
}

// newFramedLoad starts the sandbox, and the services later.
func newFramedLoad(t *testing.T, topic, contracts string) *framedLoad {
	t.Helper()
	w := prepared(t, stack.Config{Contracts: contracts})
	w.upSandbox()
	w.create(topic)
	f := &framedLoad{
		world: w, topic: topic, rows: map[string]map[string]any{},
		client: w.client(kgo.RecordPartitioner(kgo.RoundRobinPartitioner())),
	}
	var err error
	if f.registry, err = sr.NewClient(sr.URLs("http://" + w.Endpoints.Registry)); err != nil {
		t.Fatal(err)
	}
	return f
}

// register makes a schema the next version of a subject, and returns the header of the records that name it.
func (f *framedLoad) register(subject string, s sr.Schema) string {
	f.t.Helper()
	registered, err := f.registry.CreateSchema(f.ctx, subject, s)
	if err != nil {
		f.t.Fatalf("register %s: %v", subject, err)
	}
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(registered.ID)))
}

// send produces a record and remembers the row that is due.
func (f *framedLoad) send(value string, row map[string]any) {
	f.client.Produce(f.ctx, &kgo.Record{Topic: f.topic, Value: []byte(value)}, func(r *kgo.Record, err error) {
		if err != nil {
			f.t.Error(err)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.rows[fmt.Sprint(r.Partition, "/", r.Offset)] = row
	})
	f.sent[f.topic]++
}

func (f *framedLoad) flush() {
	f.t.Helper()
	if err := f.client.Flush(f.ctx); err != nil {
		f.t.Fatal(err)
	}
}

// compare asks for all rows; each offset is there once and says what was sent, and nothing is a dead letter.
func (f *framedLoad) compare(columns string) {
	f.t.Helper()
	f.settled()
	rows := f.sql("SELECT kafka_partition, kafka_offset, " + columns + " FROM " + f.topic)
	if len(rows) != len(f.rows) {
		f.t.Errorf("%d rows of %d records", len(rows), len(f.rows))
	}
	for _, row := range rows {
		place := fmt.Sprint(row["kafka_partition"], "/", row["kafka_offset"])
		delete(row, "kafka_partition")
		delete(row, "kafka_offset")
		want, ok := f.rows[place]
		if !ok {
			f.t.Fatalf("offset %s is there twice, or was not sent", place)
		}
		delete(f.rows, place)
		if diff := cmp.Diff(want, row); diff != "" {
			f.t.Fatalf("offset %s (-sent +row):\n%s", place, diff)
		}
	}
	if len(f.rows) > 0 {
		f.t.Errorf("%d records have no row", len(f.rows))
	}
	if letters, err := f.log.Produced(f.ctx, f.topic+stack.DeadLetters); err != nil || letters != 0 {
		f.t.Errorf("%d dead letters, %v", letters, err)
	}
	if n := f.metric(f.Ingests[0], "waybill_ingest_contract_versions"); n < 1 {
		f.t.Errorf("ingest has %v versions", n)
	}
}

// grow is the course of a test: records of the first version, then of both, an ingest that is killed, then of both
// again. send makes a record of a version, 1 or 2; second registers the second version.
func (f *framedLoad) grow(send func(version, i int), second func()) {
	f.t.Helper()
	const third = 2000
	for i := range third {
		send(1, i)
	}
	f.flush()
	if err := f.UpServices(f.ctx); err != nil {
		f.t.Fatal(err)
	}
	f.committed(f.topic, third/2)
	second()
	for i := range third {
		send(1+i%2, third+i)
	}
	f.flush()
	f.committed(f.topic, third+third/2)
	if n := f.metric(f.Ingests[0], "waybill_ingest_contract_versions"); n != 2 {
		f.t.Errorf("ingest has %v versions, want 2", n)
	}
	f.Ingests[0].Kill()
	f.restart(f.Ingests[0])
	for i := range third {
		send(1+i%2, 2*third+i)
	}
	f.flush()
}

// JSON behind the ids of a JSON Schema that grows, by what another subject has.
func TestSchemaGrowsJSON(t *testing.T) {
	t.Parallel()
	f := newFramedLoad(t, "tickets", `  - topic: tickets
    format: json
    framing: confluent
    subject: tickets-value
    evolution: additive
    table: tickets
    types: ["*"]
    event_id: id
`)
	schema := func(more string, references ...sr.SchemaReference) sr.Schema {
		return sr.Schema{
			Type: sr.TypeJSON, References: references,
			Schema: `{"$id":"https://tickets.example/ticket.json","type":"object",
			"required":["id"],"properties":{"id":{"type":"integer"},"name":{"type":"string"}` + more + `}}`,
		}
	}
	f.register("place", sr.Schema{
		Type:   sr.TypeJSON,
		Schema: `{"type":"object","properties":{"city":{"type":"string"}}}`,
	})
	headers := map[int]string{1: f.register("tickets-value", schema(""))}
	f.grow(func(version, i int) {
		row := map[string]any{"id": float64(i), "name": fmt.Sprint("n", i), "city": nil, "tags": []any{}}
		value := fmt.Sprintf(`%s{"id": %d, "name": "n%d"`, headers[version], i, i)
		if version == 2 {
			value += fmt.Sprintf(`, "tags": ["a", "%d"], "place": {"city": "Köln %d"}`, i, i)
			row["tags"], row["city"] = []any{"a", fmt.Sprint(i)}, fmt.Sprint("Köln ", i)
		}
		f.send(value+"}", row)
	}, func() {
		headers[2] = f.register("tickets-value", schema(
			`,"tags":{"type":"array","items":{"type":"string"}},"place":{"$ref":"place.json"}`,
			sr.SchemaReference{Name: "https://tickets.example/place.json", Subject: "place", Version: 1}))
	})
	f.compare("payload.id AS id, payload.name AS name, payload.place.city AS city, payload.tags AS tags")
}

// Protobuf behind an id and message indexes, with columns that the contract asks for: the message is not the file's
// first one, it imports a file that another subject has, and the message and what it imports grow.
func TestSchemaGrowsProtobuf(t *testing.T) {
	t.Parallel()
	f := newFramedLoad(t, "rides", `  - topic: rides
    format: protobuf
    framing: confluent
    subject: rides-value
    message: city.Ride
    evolution: additive
    table: rides
    types: ["*"]
    event_id: id
    event_time: {field: at}
    columns:
      meta: {type: JSON}
      at: {type: TIMESTAMP, unit: ms}
      from.height: {type: NUMERIC}
`)
	register := func(version int, place, ride string) string {
		f.register("place", sr.Schema{
			Type: sr.TypeProtobuf,
			Schema: `syntax = "proto3"; package common; message Place { string name = 1; string height = 3; ` + place +
				` }`,
		})
		return f.register("rides-value", sr.Schema{
			Type: sr.TypeProtobuf,
			Schema: `syntax = "proto3"; package city; import "common/place.proto";
				message Header { string trace = 1; }
				message Ride { int64 id = 1; common.Place from = 2; common.Place to = 3; string meta = 6; int64 at = 7; ` + ride +
				` }`,
			References: []sr.SchemaReference{{Name: "common/place.proto", Subject: "place", Version: version}},
		})
	}
	headers := map[int]string{1: register(1, "", "")}
	const second = "\x02\x02" // one index: the second message of the file
	f.grow(func(version, i int) {
		row := map[string]any{
			"id": float64(i), "place": fmt.Sprint("p", i), "zone": nil, "fare": nil, "states": []any{},
			"n":      fmt.Sprint(i),
			"second": float64(i % 60), "taken": true, "height": "10.5", "dest": "10.50",
		}
		var from, ride []byte
		from = protowire.AppendString(protowire.AppendTag(from, 1, protowire.BytesType), fmt.Sprint("p", i))
		from = protowire.AppendString(protowire.AppendTag(from, 3, protowire.BytesType), "10.50")
		if version == 2 {
			from = protowire.AppendVarint(protowire.AppendTag(from, 2, protowire.VarintType), uint64(i%7))
			row["zone"], row["fare"], row["states"] = float64(i%7), float64(i)+0.5, []any{"STATE_NONE", "STATE_PAID"}
		}
		ride = protowire.AppendVarint(protowire.AppendTag(ride, 1, protowire.VarintType), uint64(i))
		ride = protowire.AppendBytes(protowire.AppendTag(ride, 2, protowire.BytesType), from)
		ride = protowire.AppendBytes(protowire.AppendTag(ride, 3, protowire.BytesType), from)
		ride = protowire.AppendString(protowire.AppendTag(ride, 6, protowire.BytesType), fmt.Sprintf(`{"n": %d}`, i))
		ride = protowire.AppendVarint(protowire.AppendTag(ride, 7, protowire.VarintType),
			uint64(1767323040000+1000*(i%60)))
		if version == 2 {
			ride = protowire.AppendFixed64(protowire.AppendTag(ride, 4, protowire.Fixed64Type),
				math.Float64bits(float64(i)+0.5))
			ride = protowire.AppendBytes(protowire.AppendTag(ride, 5, protowire.BytesType), []byte{0, 1})
		}
		f.send(headers[version]+second+string(ride), row)
	}, func() {
		headers[2] = register(2, "optional int32 zone = 2;",
			"enum State { STATE_NONE = 0; STATE_PAID = 1; } optional double fare = 4; repeated State states = 5;")
	})
	f.compare(`payload.id AS id, payload.from.name AS place, payload.from.zone AS zone, payload.fare AS fare,
		payload.states AS states,
		JSON_VALUE(payload.meta, '$.n') AS n, EXTRACT(SECOND FROM payload.at) AS second,
		event_time = payload.at AS taken,
		CAST(payload.from.height AS STRING) AS height, payload.to.height AS dest`)
}
