package confluent_test

import (
	"bytes"
	"testing"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/avro"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/confluent"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/json"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/protobuf"
)

// writers makes of each format a contract's plan and one for the payloads of another version of its schema.
var writers = map[string]struct {
	compile func(t *testing.T, o decode.Options) (columns, writer decode.Plan)
	payload string
}{
	"avro": {func(t *testing.T, o decode.Options) (columns, writer decode.Plan) {
		reader, err := avro.Parse(one)
		must(t, err)
		other, err := avro.Parse(two)
		must(t, err)
		columns, err = reader.Compile(o)
		must(t, err)
		writer, err = reader.CompileFor(other, o, avro.Resolution{Origin: "it", Lenient: true})
		must(t, err)
		return columns, writer
	}, "\x0a\x02x\x04cd"},
	"json": {func(t *testing.T, o decode.Options) (columns, writer decode.Plan) {
		s, err := json.Parse([]byte(
			`{"properties":{"id":{"type":"string"},"n":{"type":"integer"},"j":{}},"required":["id","n"]}`),
			json.JSONSchema)
		must(t, err)
		settings := json.Settings{Unknown: json.Keep}
		columns, err = s.Compile(settings, o)
		must(t, err)
		writer, err = s.Relaxed().Compile(settings, o)
		must(t, err)
		return columns, writer
	}, `{"id":"cd","j":{"a":[1,"b",null]},"more":{"x":1.5}}`},
	"protobuf": {func(t *testing.T, o decode.Options) (columns, writer decode.Plan) {
		source := func(text string) map[string]string {
			return map[string]string{"p.proto": `syntax = "proto3"; package p; message Other { int32 a = 1; } ` + text}
		}
		older, err := protobuf.ParseSource(source(
			`message M { string id = 1; int64 n = 2; E e = 3; string total = 4; } enum E { ZERO = 0; }`), "p.proto")
		must(t, err)
		schema, err := protobuf.NewSchema(older, "p.M")
		must(t, err)
		plan, err := schema.Compile(protobuf.Drop, o)
		must(t, err)
		newer, err := protobuf.ParseSource(source(`message M { string id = 1; int32 n = 2; E e = 3; string total = 4; `+
			`string more = 5; } enum E { ZERO = 0; ONE = 1; }`), "p.proto")
		must(t, err)
		writer, err = plan.Written(newer)
		must(t, err)
		return plan, writer
	}, "\x02\x02\x0a\x02cd\x10\x05\x18\x01\x2a\x03new"},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Behind a schema id no format allocates for a record, not even when the ids alternate, and the row is that of the
// format alone.
func TestFormatsAllocateNothing(t *testing.T) {
	for name, w := range writers {
		o := decode.Options{Contract: "c", Payload: "payload", EventID: "id"}
		columns, writer := w.compile(t, o)
		plan := confluent.NewPlan("c", "payload", columns)
		plan.Learn(1, confluent.Source{Plan: writer})
		plan.Learn(2, confluent.Source{Plan: writer})
		alone, err := writer.NewDecoder().Append(nil, []byte(w.payload))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d, row := plan.NewDecoder(), make([]byte, 0, 1024)
		records := [][]byte{
			append(header(1), w.payload...), append(header(2), w.payload...),
		}
		for _, r := range records {
			row, err = d.Append(row[:0], r)
			if id, ok := d.EventID(); err != nil || !bytes.Equal(row, alone) || !ok || string(id) != "cd" {
				t.Errorf("%s: %x of event %q, %v, want %x", name, row, id, err, alone)
			}
		}
		if n := testing.AllocsPerRun(100, func() {
			for _, r := range records {
				row, _ = d.Append(row[:0], r)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		inner, body := writer.NewDecoder(), []byte(w.payload)
		if n := testing.AllocsPerRun(100, func() { row, _ = inner.Append(row[:0], body) }); n != 0 {
			t.Errorf("%s without the schema id: %v allocations", name, n)
		}
	}
}
