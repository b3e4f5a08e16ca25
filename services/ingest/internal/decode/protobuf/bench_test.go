package protobuf

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/waybill-data/waybill/services/ingest/internal/decode/decodetest"
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
		"id": int64(123456789), "customer": "customer-0123456789-abcdef-0123456789",
		"product": "a product with a name of some length", "price": 12.5, "quantity": int32(3),
		"paid": true, "created_at": int64(1760000000000000),
		"address": "12 Long Street, 1234 AB Some City, Netherlands",
		"note":    strings.Repeat("note ", 20),
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
	decodetest.Bench(b, compile(b, m, Drop, options), payload)
}

// No payload allocates, once the decoder has met one like it: neither one that is passed through nor one that is
// rewritten.
func TestNothingIsAllocated(t *testing.T) {
	order, payload := orderPayload(t)
	every := parse(t, everything3).Messages().ByName("Every")
	for _, tt := range []struct {
		name    string
		m       protoreflect.MessageDescriptor
		payload []byte
		same    bool
	}{
		{"passed through", order, payload, true},
		{"rewritten", every, join(
			varintField(1, 5), nested(300, varintField(3, 1)...), nested(301, nested(7, 'x')...), nested(301),
			nested(999, 1, 2), nested(208, 1, 2, 77), nested(500, nested(1, 'k')...),
			nested(600, varintField(1, 1_700_000_000)...), nested(602, varintField(1, 90061)...),
			nested(610, nested(1, 'w')...), nested(632), nested(620,
				nested(1, join(nested(1, 'a'), nested(2, nested(6, nested(1, varintField(4, 1)...)...)...))...)...),
		), false},
	} {
		d := compile(t, tt.m, Drop, options).NewDecoder()
		var row []byte
		var err error
		if n := testing.AllocsPerRun(100, func() { row, err = d.Append(row[:0], tt.payload) }); n != 0 || err != nil {
			t.Errorf("%s: %v allocations a row, %v", tt.name, n, err)
		}
		if bytes.Equal(row, tt.payload) != tt.same {
			t.Errorf("%s: got %x of %x", tt.name, row, tt.payload)
		}
	}
}
