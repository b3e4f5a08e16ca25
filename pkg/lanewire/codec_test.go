package lanewire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	envelopev1 "github.com/waybill-data/waybill/proto/envelope/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	stockv1 "github.com/waybill-data/waybill/proto/stock/v1"
)

// wire marshals as any other protobuf program would.
func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// events are n typed rows of growing size.
func events(n int) *deliveryv6.DeliveryEventRows {
	rows := &deliveryv6.DeliveryEventRows{}
	for i := range n {
		rows.Rows = append(rows.Rows, &deliveryv6.DeliveryEvent{
			EventId:      proto.String(fmt.Sprintf("event-%d", i)),
			KafkaHeaders: []*envelopev1.Header{{Key: proto.String("k"), Value: bytes.Repeat([]byte{byte(i)}, i*7)}},
			Delivery:     &deliveryv6.Delivery{Waybill: proto.String(strings.Repeat("w", i*11))},
		})
	}
	return rows
}

func request(a *lanev1.Append) *lanev1.LaneRequest {
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Append{Append: a}}
}

func encoded(route, rows, dropped uint32, data []byte) *lanev1.Block {
	return &lanev1.Block{Route: route, Rows: rows, Dropped: dropped, Encoding: &lanev1.Block_Encoded{Encoded: data}}
}

// appends are the shapes of an Append, as protobuf's own messages.
func appends(t testing.TB) map[string]*lanev1.Append {
	rows := wire(t, events(9))
	return map[string]*lanev1.Append{
		"empty":             {},
		"position only":     {Sequence: 7, EndPosition: 1 << 40},
		"negative position": {Sequence: 1, EndPosition: -1},
		"no rows":           {Sequence: 1, EndPosition: 2, Blocks: []*lanev1.Block{encoded(0, 0, 0, nil)}},
		"all dropped":       {Sequence: 1, EndPosition: 2, Blocks: []*lanev1.Block{encoded(3, 0, 1<<32-1, nil)}},
		"one block":         {Sequence: 300, EndPosition: 20000, Blocks: []*lanev1.Block{encoded(0, 9, 0, rows)}},
		"three blocks": {Sequence: 1 << 63, EndPosition: 1 << 62, Blocks: []*lanev1.Block{
			encoded(0, 9, 2, rows), encoded(1, 0, 0, nil), encoded(200, 1, 0, []byte{tagRow, 0}),
		}},
		"traced": {
			Sequence: 2, EndPosition: 3, Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			Blocks: []*lanev1.Block{encoded(1, 9, 0, rows)},
		},
		"longest trace": {Sequence: 2, EndPosition: 3, Trace: strings.Repeat("é", maxTrace/2)},
		"large":         {Sequence: 2, EndPosition: 3, Blocks: []*lanev1.Block{encoded(1, 60, 0, wire(t, events(60)))}},
	}
}

// fromProtobuf is the Append that m stands for, by protobuf's own reading.
func fromProtobuf(t testing.TB, m *lanev1.Append) Append {
	t.Helper()
	a := Append{Sequence: m.GetSequence(), EndPosition: m.GetEndPosition(), Trace: m.GetTrace()}
	for _, block := range m.GetBlocks() {
		b := Block{Route: block.GetRoute(), Rows: block.GetRows(), Dropped: block.GetDropped()}
		switch rows := block.GetEncoding().(type) {
		case *lanev1.Block_Encoded:
			b.Bytes = mem.BufferSlice{mem.SliceBuffer(rows.Encoded)}
		case *lanev1.Block_DeliveryEvents:
			b.Bytes = mem.BufferSlice{mem.SliceBuffer(wire(t, rows.DeliveryEvents))}
		case *lanev1.Block_PhysicalStockEvents:
			b.Bytes = mem.BufferSlice{mem.SliceBuffer(wire(t, rows.PhysicalStockEvents))}
		}
		a.Blocks = append(a.Blocks, b)
	}
	return a
}

// sameBytes compares rows by their bytes, wherever those lie.
var sameBytes = cmp.Transformer("bytes", func(s mem.BufferSlice) string { return string(s.Materialize()) })

func TestEncodeAsProtobufDoes(t *testing.T) {
	for name, m := range appends(t) {
		t.Run(name, func(t *testing.T) {
			pool := newCountingPool(t)
			a := fromProtobuf(t, m)
			for i := range a.Blocks {
				a.Blocks[i].Bytes = pool.cut(a.Blocks[i].Bytes.Materialize(), 100, 1, 37)
			}
			got, err := Codec().Marshal(&a)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wire(t, request(m)), got.Materialize()); diff != "" {
				t.Errorf("bytes differ from protobuf's (-want +got):\n%s", diff)
			}
			if len(a.Blocks) != 0 {
				t.Errorf("the append still holds %d blocks", len(a.Blocks))
			}
			got.Free()
			pool.wantNoneOut()
		})
	}
}

func TestDecodeAnyFragmentation(t *testing.T) {
	for name, m := range appends(t) {
		t.Run(name, func(t *testing.T) {
			data := wire(t, request(m))
			want := fromProtobuf(t, m)
			for _, sizes := range [][]int{{}, {1}, {2}, {3, 1}, {5, 1, 1, 8}, {64}, {1, 1000}, {16384}} {
				pool := newCountingPool(t)
				message := pool.cut(data, sizes...)
				var got Request
				if err := Codec().Unmarshal(message, &got); err != nil {
					t.Fatalf("fragments of %v: %v", sizes, err)
				}
				message.Free() // as gRPC does
				if got.Control != nil {
					t.Errorf("fragments of %v: a control message", sizes)
				}
				if diff := cmp.Diff(want, got.Append, sameBytes); diff != "" {
					t.Errorf("fragments of %v: (-want +got):\n%s", sizes, diff)
				}
				got.Free()
				got.Free() // harmless
				pool.wantNoneOut()
			}
		})
	}
}

// The three encodings of a block have the same bytes, whatever the codec's fast path knows of them.
func TestTypedBlocks(t *testing.T) {
	deliveries := events(5)
	stocks := &stockv1.PhysicalStockEventRows{
		Rows: []*stockv1.PhysicalStockEvent{{EventId: proto.String("a")}, {}, {EventId: proto.String("")}},
	}
	m := &lanev1.Append{Sequence: 1, EndPosition: 9, Blocks: []*lanev1.Block{
		{Rows: 5, Encoding: &lanev1.Block_DeliveryEvents{DeliveryEvents: deliveries}},
		{Route: 1, Rows: 3, Encoding: &lanev1.Block_PhysicalStockEvents{PhysicalStockEvents: stocks}},
		{Route: 2},
	}}
	pool := newCountingPool(t)
	message := pool.cut(wire(t, request(m)), 11)
	var got Request
	recognised, err := decode(message, &got.Append)
	if err != nil || !recognised {
		t.Fatalf("decode: recognised %v, %v; typed blocks are for the fast path", recognised, err)
	}
	message.Free()
	for i, want := range []proto.Message{deliveries, stocks} {
		if !bytes.Equal(got.Append.Blocks[i].Bytes.Materialize(), wire(t, want)) {
			t.Errorf("block %d: bytes are not those of %T", i, want)
		}
		if n, err := CountRows(got.Append.Blocks[i].Bytes); err != nil || n != int(m.Blocks[i].Rows) {
			t.Errorf("block %d: CountRows = %d, %v", i, n, err)
		}
	}
	got.Free()
}

func TestControlMessages(t *testing.T) {
	for _, want := range []*lanev1.LaneRequest{
		{},
		{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{Group: "g", Topic: "t", Partition: 3, Position: 42}}},
		{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{}}},
		{Message: &lanev1.LaneRequest_LeftOut{LeftOut: &lanev1.LeftOut{Offsets: []int64{1, 5, 9}, Sequence: 2}}},
	} {
		pool := newCountingPool(t)
		message := pool.cut(wire(t, want), 1)
		got := Request{Append: Append{Sequence: 99}}
		if err := Codec().Unmarshal(message, &got); err != nil {
			t.Fatal(err)
		}
		message.Free()
		if diff := cmp.Diff(want, got.Control, protocmp.Transform()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(Append{}, got.Append, sameBytes); diff != "" {
			t.Errorf("append of an earlier message remains (-want +got):\n%s", diff)
		}
	}
}

// Whatever is legal protobuf has protobuf's meaning, in forms that no encoder writes.
func TestUnusualForms(t *testing.T) {
	rows := func(ids ...string) []byte {
		m := &deliveryv6.DeliveryEventRows{}
		for _, id := range ids {
			m.Rows = append(m.Rows, &deliveryv6.DeliveryEvent{EventId: proto.String(id)})
		}
		return wire(t, m)
	}
	field := func(number protowire.Number, content ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), bytes.Join(content, nil))
	}
	varint := func(number protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
	}
	unknown := protowire.AppendFixed64(protowire.AppendTag(nil, 77, protowire.Fixed64Type), 5)
	longTag := []byte{0x92, 0x80, 0x00} // tag 0x12 in three bytes

	for name, data := range map[string][]byte{
		"unknown field in the request": append(field(2, varint(1, 4)), unknown...),
		"unknown field first": append(bytes.Clone(unknown),
			field(2, varint(1, 4), field(3, varint(2, 1), field(15, rows("a"))))...),
		"unknown field in the append":     field(2, varint(1, 4), unknown),
		"unknown field in a block":        field(2, field(3, unknown, field(15, rows("a")))),
		"unknown field in a typed row":    field(2, field(3, field(4, field(1, unknown)), unknown)),
		"unknown field beside typed rows": field(2, field(3, field(4, unknown, rows("a")), unknown)),
		"scalar given twice":              field(2, varint(1, 4), varint(1, 5), field(3, varint(2, 9), varint(2, 1))),
		"scalar wider than its type":      field(2, field(3, varint(1, 1<<40+3))),
		"scalar with another wire type":   field(2, field(1, []byte("x")), varint(2, 6)),
		"append given twice merges": append(field(2, varint(1, 4), field(3, field(15, rows("a")))),
			field(2, varint(2, 5), field(3, field(15, rows("b"))))...),
		"durable replaces append":     append(field(2, varint(1, 4)), field(3, varint(1, 8))...),
		"append replaces durable":     append(field(3, varint(1, 8)), field(2, varint(1, 4))...),
		"encoding given twice":        field(2, field(3, field(15, rows("a")), field(15, rows("b")))),
		"typed encoding twice merges": field(2, field(3, field(4, rows("a")), field(4, rows("b")))),
		"other encoding replaces":     field(2, field(3, field(4, rows("a")), field(5, []byte{10, 0}))),
		"tag longer than needed":      append(bytes.Clone(longTag), field(2, varint(1, 4))[1:]...),
		"length longer than needed":   {0x12, 0x82, 0x00, 0x08, 0x04},
	} {
		t.Run(name, func(t *testing.T) {
			var m lanev1.LaneRequest
			if err := proto.Unmarshal(data, &m); err != nil {
				t.Fatalf("the case is not legal protobuf: %v", err)
			}
			pool := newCountingPool(t)
			message := pool.cut(data, 3)
			var got Request
			if err := Codec().Unmarshal(message, &got); err != nil {
				t.Fatal(err)
			}
			message.Free()
			if m.GetAppend() == nil {
				if diff := cmp.Diff(&m, got.Control, protocmp.Transform()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				return
			}
			if diff := cmp.Diff(fromProtobuf(t, m.GetAppend()), got.Append, sameBytes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			got.Free()
		})
	}
}

func TestBounds(t *testing.T) {
	manyBlocks := &lanev1.Append{Blocks: make([]*lanev1.Block, MaxBlocks+1)}
	for i := range manyBlocks.Blocks {
		manyBlocks.Blocks[i] = &lanev1.Block{}
	}
	unusual := wire(t, request(&lanev1.Append{Blocks: []*lanev1.Block{encoded(0, 1, 0, make([]byte, maxPlain))}}))
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"blocks": {wire(t, request(manyBlocks)), "more than 1024 blocks"},
		"rows": {
			wire(t, request(&lanev1.Append{Blocks: []*lanev1.Block{encoded(0, MaxRows+1, 0, nil)}})),
			"more than 1048576",
		},
		"rows, unusual form": {
			append(wire(t, request(&lanev1.Append{Blocks: []*lanev1.Block{encoded(0, MaxRows+1, 0, nil)}})), 0x78, 1),
			"more than 1048576",
		},
		"unusual and large": {append(unusual, 0x78, 1), "any other may have 4194304 bytes"},
		"open too large": {
			wire(t, &lanev1.LaneRequest{
				Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{Topic: strings.Repeat("t", MaxControl)}},
			}), "at most 1048576 when it is no append",
		},
		"cut short": {
			wire(t, request(&lanev1.Append{Blocks: []*lanev1.Block{encoded(0, 1, 0, []byte("abc"))}}))[:7],
			"invalid wire-format",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := newCountingPool(t)
			message := pool.cut(tt.data)
			var got Request
			err := Codec().Unmarshal(message, &got)
			message.Free()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want one with %q", err, tt.want)
			}
			// A server sees it as the caller's fault, not as one of the call.
			var received Received
			message = pool.cut(tt.data)
			if err := Codec().Unmarshal(message, &received); err != nil || received.Err == nil ||
				received.Control != nil ||
				len(received.Append.Blocks) > 0 {
				t.Errorf("received %+v: %v", received, err)
			}
			message.Free()
			pool.wantNoneOut()
		})
	}

	pool := newCountingPool(t)
	for _, a := range []*Append{
		{Blocks: []Block{{Rows: MaxRows + 1, Bytes: pool.cut([]byte("abc"))}}},
		{Blocks: make([]Block, MaxBlocks+1)},
	} {
		if _, err := Codec().Marshal(a); err == nil {
			t.Error("an append out of bounds was encoded")
		}
	}
	pool.wantNoneOut()
}

// Messages of other services are bounded before protobuf makes objects of them.
func TestOtherMessagesAreBounded(t *testing.T) {
	for size, fits := range map[int]bool{maxPlain - 16: true, maxPlain + 1: false} {
		data := wire(t, &lanev1.DiffRequest{Routes: []*lanev1.Route{{Table: strings.Repeat("t", size)}}})
		var got lanev1.DiffRequest
		if err := Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, &got); (err == nil) != fits {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
}

// What the fast path knows of the contract, against the contract.
func TestFieldNumbers(t *testing.T) {
	for _, known := range []struct {
		message proto.Message
		fields  map[protoreflect.Name]protoreflect.FieldNumber
	}{
		{&lanev1.LaneRequest{}, map[protoreflect.Name]protoreflect.FieldNumber{"append": fieldAppend}},
		{&lanev1.Append{}, map[protoreflect.Name]protoreflect.FieldNumber{
			"sequence": fieldSequence, "end_position": fieldEndPosition, "blocks": fieldBlocks,
			"trace": fieldTrace,
		}},
		{&lanev1.Block{}, map[protoreflect.Name]protoreflect.FieldNumber{
			"route": fieldRoute, "rows": fieldRows, "dropped": fieldDropped,
			"delivery_events": fieldDeliveryEvents, "physical_stock_events": fieldPhysicalStockEvents,
			"encoded": fieldEncoded,
		}},
	} {
		descriptor := known.message.ProtoReflect().Descriptor()
		for name, number := range known.fields {
			if got := descriptor.Fields().ByName(name).Number(); got != number {
				t.Errorf("%s.%s is field %d, the codec has %d", descriptor.FullName(), name, got, number)
			}
		}
		if _, request := known.message.(*lanev1.LaneRequest); !request &&
			descriptor.Fields().Len() != len(known.fields) {
			t.Errorf("%s has %d fields, the codec knows %d", descriptor.FullName(), descriptor.Fields().Len(),
				len(known.fields))
		}
	}
}
