package json

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// everySchema has a column of each kind.
const everySchema = `{"type":"record","name":"R","fields":[
	{"name":"l","type":["null","long"]},{"name":"i","type":["null","int"]},{"name":"d","type":["null","double"]},` +
	`{"name":"f","type":["null","float"]},
	{"name":"b","type":["null","boolean"]},{"name":"s","type":["null","string"]},{"name":"y","type":["null","bytes"]},
	{"name":"e","type":["null",{"type":"enum","name":"E","symbols":["A","B"]}]},
	{"name":"n","type":["null",{"type":"bytes","logicalType":"decimal","precision":20,"scale":5}]},
	{"name":"date","type":["null",{"type":"int","logicalType":"date"}]},{"name":"time","type":["null",{"type":"int",` +
	`"logicalType":"time-millis"}]},
	{"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},{"name":"local","type":["null",` +
	`{"type":"long","logicalType":"local-timestamp-nanos"}]},
	{"name":"list","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"id","type":"long",` +
	`"default":5},{"name":"a_name_too_long_for_words","type":["null","string"]}]}},"default":[]},
	{"name":"map","type":{"type":"map","values":["null","I"]},"default":{}},
	{"name":"u","type":["null","long","string","I",{"type":"array","items":"boolean"}]}]}`

// FuzzDecode decodes any payload: no panic, whatever is taken is JSON to jsontext and a message with no fields but the
// schema's, and an error leaves nothing behind. With lenient and keep nothing that is JSON is refused but for its
// values.
func FuzzDecode(f *testing.F) {
	for _, s := range syntax {
		f.Add([]byte(s))
	}
	fields := []string{"l", "d", "s", "n", "at", "list", "map", "u"}
	for _, cases := range values {
		for i, c := range cases {
			f.Add([]byte(`{"` + fields[i%len(fields)] + `":` + c[0] + `}`))
		}
	}
	f.Add([]byte(`{"list":[{"id":1,"x":{"y":1}}],"map":{"k":{"z":[]}},"l":1,"i":2,"d":1.5,"f":2,"b":true,"s":"é",` +
		`"y":"YQ==","e":"A","n":"1.5","date":"2020-01-01","time":5,"at":1,"local":"2020-01-01T00:00:00","u":{"id":1}}`))
	var plans []*Plan
	for _, s := range []Settings{{}, {Unknown: Keep, Lenient: true}} {
		p, err := Compile([]byte(everySchema), Avro, s, decode.Options{
			Contract: "c", Payload: "payload", EventID: "s", EventTime: "at",
		})
		if err != nil {
			f.Fatal(err)
		}
		plans = append(plans, p)
	}
	message := decodetest.Payload(f, plans[1])
	decoders := []*Decoder{plans[0].decoder(), plans[1].decoder()}
	syntaxOnly := compile(f,
		`{"type":"record","name":"R","fields":[{"name":"not_in_the_payload","type":["null","long"]}]}`,
		Settings{Unknown: Drop}).decoder()
	f.Fuzz(func(t *testing.T, payload []byte) {
		checkSyntax(t, syntaxOnly, payload)
		given := bytes.Clone(payload)
		for i, d := range decoders {
			row, err := d.Append(nil, payload)
			if !bytes.Equal(given, payload) {
				t.Fatal("the payload was written to")
			}
			if err != nil {
				e, ok := errors.AsType[*decode.Error](err)
				if row != nil || !ok || e.Offset < 0 || e.Offset > len(payload) {
					t.Fatalf("%x, %#v", row, err)
				}
				continue
			}
			if !judged(payload) {
				t.Fatal("taken, but jsontext says it is no JSON")
			}
			m := dynamicpb.NewMessage(message)
			if err := proto.Unmarshal(row, m); err != nil {
				t.Fatal(err)
			}
			if len(m.GetUnknown()) > 0 {
				t.Fatal("fields that the message does not have")
			}
			if canonical, err := (proto.MarshalOptions{}).Marshal(m); err != nil || len(canonical) != len(row) {
				t.Fatalf("%d bytes where proto.Marshal makes %d: %v", len(row), len(canonical), err)
			}
			if extra := m.Get(message.Fields().ByName(extraName)); i == 1 && extra.String() != "" &&
				!stdjson.Valid([]byte(extra.String())) {
				t.Fatalf("%s is not JSON", extra)
			}
		}
	})
}

// FuzzSchema compiles any schema and runs it on any payload.
func FuzzSchema(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"$ref":"#/$defs/A"},"b":{"anyOf":[{"type":"null"},{"enum":["x",`+
		`1]}]},"c":{"items":{"type":"integer"},"default":[1]}},"required":["a"],`+
		`"$defs":{"A":{"additionalProperties":{"type":"number"}}}}`), []byte(`{"a":{"k":1},"b":"x"}`))
	f.Add([]byte(`{"allOf":[{"properties":{"a":{"format":"date-time"}}},{"required":["a"]},`+
		`{"properties":{"b":{"const":true}}}]}`), []byte(
		`{"a":"2020-01-01T00:00:00Z","b":true}`))
	f.Add([]byte(everySchema), []byte(`{"l":1}`))
	f.Add([]byte(defaults), []byte(`{}`))
	f.Fuzz(func(t *testing.T, schema, payload []byte) {
		for _, language := range []Language{Avro, JSONSchema} {
			for _, s := range []Settings{{}, {Unknown: Keep, Lenient: true}} {
				p, err := Compile(schema, language, s, decode.Options{Contract: "c", Payload: "p"})
				if err != nil {
					continue
				}
				message := decodetest.Payload(t, p)
				row, err := p.decoder().Append(nil, payload)
				if err != nil && row != nil {
					t.Fatal("a row and an error")
				}
				if err := proto.Unmarshal(row, dynamicpb.NewMessage(message)); err != nil {
					t.Fatal(err)
				}
				if err == nil && !judged(payload) {
					t.Fatal("taken, but jsontext says it is no JSON")
				}
			}
		}
	})
}

// defaults has a default of each kind.
const defaults = `{"type":"record","name":"R","fields":[
	{"name":"l","type":"long","default":-5},{"name":"d","type":"double","default":1.5},{"name":"b","type":"boolean",` +
	`"default":true},{"name":"s","type":"string","default":"é\"x"},
	{"name":"y","type":"bytes","default":"\u0000\u00ff"},{"name":"n","type":{"type":"bytes","logicalType":"decimal",` +
	`"precision":4,"scale":2},"default":"\u00ff\u0085"},
	{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]},"default":"B"},{"name":"at",` +
	`"type":{"type":"long","logicalType":"timestamp-millis"},"default":1},
	{"name":"day","type":{"type":"int","logicalType":"date"},"default":3},{"name":"list","type":{"type":"array",` +
	`"items":{"type":"array","items":["null","bytes"]}},"default":[["\u0001",null],[]]},
	{"name":"map","type":{"type":"map","values":"bytes"},"default":{"k":"a"}},{"name":"r","type":{"type":"record",` +
	`"name":"I","fields":[{"name":"x","type":"bytes"},{"name":"y","type":"int","default":7}]},"default":{"x":"b"}},
	{"name":"null","type":["null","int"],"default":null},{"name":"u","type":["string","long"],"default":"u"}]}`

func TestDefaults(t *testing.T) {
	const want = `l:-5 d:1.5 b:true s:"é\"x" y:"\x00\xff" n:"-1.23" e:"B" at:1000 day:3 list:{items:{value:"\x01"} ` +
		`items:{}} list:{} ` +
		`map:{key:"k" value:"a"} r:{x:"b" y:7} u:{string_value:"u"}`
	if got := text(t, compile(t, defaults, Settings{}), `{}`); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := text(t, compile(t, defaults, Settings{}),
		`{"l":null}`); got != `l at 5: null, and the schema requires a value` {
		t.Error(got)
	}
}

// One decoder after another payload, good or bad, decodes as a new one does.
func TestDecoderKeepsNothing(t *testing.T) {
	p := compile(t, everySchema, Settings{Unknown: Keep})
	used := p.decoder()
	for range 2 {
		for _, cases := range values {
			for _, c := range cases {
				payload := []byte(`{"u":` + c[0] + `,"list":[{"x":` + c[0] +
					`,"a_name_too_long_for_words":"a"}],"map":{"k":{"no":[` + c[0] + `]}}}`)
				want, wantErr := p.decoder().Append(nil, payload)
				got, err := used.Append(nil, payload)
				if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() ||
					!slices.Equal(got, want) {
					t.Fatalf("%s: %x, %v, want %x, %v", payload, got, err, want, wantErr)
				}
			}
		}
	}
}
