package json

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

// FuzzComposed decodes any value for what is one value as an object: no panic, an error leaves nothing behind, and what
// is taken is JSON, a shape that a GEOGRAPHY takes, and a number that a BIGNUMERIC takes.
func FuzzComposed(f *testing.F) {
	for _, seed := range []string{
		`{"wkb":"AQEAAAAAAAAAAIAqQAAAAAAAQEpA","srid":4326}`, `{"wkb":null}`, `{"srid":1,"x":{"y":[]}}`, `{}`, `null`,
		`{"scale":2,"value":"MDk="}`, `{"value":"","scale":0}`, `{"scale":-1,"value":"z8c="}`, `{"w\u006bb":"\/w=="}`,
	} {
		f.Add([]byte(seed))
	}
	p, err := Compile([]byte(`{"properties":{"g":`+debeziumPoint+`,"gs":{"items":`+debeziumPoint+`},"v":`+
		debeziumVariable+`}}`), JSONSchema, Settings{}, decode.Options{
		Contract: "c", Payload: "payload",
		Columns: decode.Columns{"g": {Type: decode.Geography}, "gs": {Type: decode.Geography}},
	})
	if err != nil {
		f.Fatal(err)
	}
	message := decodetest.Payload(f, p)
	shape, number := decode.Column{Type: decode.Geography}, decode.Column{Type: decode.BigNumeric}
	d := p.decoder()
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, field := range []string{"g", "gs", "v"} {
			payload := append(append([]byte(`{"`+field+`":`), value...), '}')
			if field == "gs" {
				payload = append(append([]byte(`{"gs":[`), value...), "]}"...)
			}
			row, err := d.Append([]byte("before"), payload)
			if err != nil {
				if string(row) != "before" {
					t.Fatalf("%s: %q, %v", payload, row, err)
				}
				continue
			}
			if at, reason := decode.CheckJSON(payload); reason != "" {
				t.Fatalf("%s is taken: %s at %d", payload, reason, at)
			}
			m := dynamicpb.NewMessage(message)
			if err := proto.Unmarshal(bytes.TrimPrefix(row, []byte("before")), m); err != nil {
				t.Fatal(err)
			}
			texts := []string{m.Get(message.Fields().ByName("g")).String()}
			for list, i := m.Get(message.Fields().ByName("gs")).List(), 0; i < list.Len(); i++ {
				texts = append(texts, list.Get(i).String())
			}
			for _, text := range texts {
				if reason := shape.CheckText([]byte(text)); text != "" && reason != "" {
					t.Fatalf("%s is %q: %s", payload, text, reason)
				}
			}
			cell := decode.Cell{Column: &number}
			if text := m.Get(message.Fields().ByName("v")).String(); text != "" {
				if _, reason := cell.AppendText(nil, []byte(text), &decode.Taken{}); reason != "" {
					t.Fatalf("%s is %q: %s", payload, text, reason)
				}
			}
		}
	})
}
