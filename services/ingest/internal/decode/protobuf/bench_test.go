package protobuf

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

const order270 = `syntax = "proto3"; package bench;
message Order {
  int64 id = 1; string customer = 2; string product = 3; double price = 4; int32 quantity = 5; bool paid = 6;
  int64 created_at = 7; string address = 8; string note = 9;
}`

func orderPayload(t testing.TB) (protoreflect.MessageDescriptor, []byte) {
	m := parse(t, order270).Messages().Get(0)
	d := dynamicpb.NewMessage(m)
	for name, v := range map[protoreflect.Name]any{
		"id": int64(123456789), "customer": "customer-0123456789-abcdef-0123456789", "product": "a product with a name of some length", "price": 12.5, "quantity": int32(3),
		"paid": true, "created_at": int64(1760000000000000), "address": "12 Long Street, 1234 AB Some City, Netherlands", "note": strings.Repeat("note ", 20),
	} {
		d.Set(m.Fields().ByName(name), protoreflect.ValueOf(v))
	}
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return m, payload
}

func BenchmarkOrder270(b *testing.B) {
	m, payload := orderPayload(b)
	d := compile(b, m, Drop, options).NewDecoder()
	row, err := d.Append(nil, payload)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Append(row[:0], payload); err != nil {
			b.Fatal(err)
		}
	}
}

// No shape of payload allocates, once the decoder has met it.
func TestNothingIsAllocated(t *testing.T) {
	m, payload := orderPayload(t)
	d := compile(t, m, Drop, options).NewDecoder()
	var row []byte
	if n := testing.AllocsPerRun(100, func() { row, _ = d.Append(row[:0], payload) }); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
	if !bytes.Equal(row, payload) {
		t.Error("the payload is not passed through")
	}
}
