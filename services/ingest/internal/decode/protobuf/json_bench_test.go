package protobuf

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode"
	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
)

const jsonSchema = `syntax = "proto3"; import "google/protobuf/struct.proto"; import "google/protobuf/timestamp.proto";
message M { google.protobuf.Struct s = 1; R r = 2; }
message R { int64 id = 1; string name = 2; repeated double prices = 3; map<string, int64> counts = 4;
  google.protobuf.Timestamp at = 5; bool paid = 6; repeated R parts = 7; }`

// BenchmarkJSON writes JSON columns: a Struct, and a message that contains itself.
func BenchmarkJSON(b *testing.B) {
	m := parse(b, jsonSchema).Messages().ByName("M")
	for name, text := range map[string]string{
		"struct": `{"s":{"name":"a product with a name","price":12.5,"tags":["new","sale",null,true],` +
			`"address":{"street":"12 Long Street","zip":"1234 AB","city":"Some City"},"quantity":3,"note":"é \"quoted\""}}`,
		"record": `{"r":{"id":123456789,"name":"a product with a name","prices":[1.5,2.25,1000],"counts":{"a":1,"b":2},` +
			`"at":"2026-02-28T13:05:00.25Z","paid":true,"parts":[{"id":2,"name":"part"},{"id":3,"name":"other"}]}}`,
	} {
		b.Run(name, func(b *testing.B) {
			p, err := compiled(b, jsonSchema, decode.Columns{"r": {Type: decode.JSON}}, nil)
			if err != nil {
				b.Fatal(err)
			}
			in := dynamicpb.NewMessage(m)
			if err := protojson.Unmarshal([]byte(text), in); err != nil {
				b.Fatal(err)
			}
			run(b, p, in)
		})
	}
}

func run(b *testing.B, p *Plan, in protoreflect.ProtoMessage) {
	b.Helper()
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	decodetest.Bench(b, p, payload)
}
