package lanewire

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	stockv1 "github.com/waybill-data/waybill/proto/stock/v1"
)

// The codec and protobuf read the same message, however it is cut into buffers. Two differences are by design: the
// codec does not look into rows, so that it takes an Append whose typed rows are malformed, and it has bounds.
func FuzzDecode(f *testing.F) {
	for _, m := range appends(f) {
		if data := wire(f, request(m)); len(data) < 10_000 {
			f.Add(data, uint16(7))
		}
	}
	f.Add(wire(f, request(&lanev1.Append{Blocks: []*lanev1.Block{
		{Encoding: &lanev1.Block_DeliveryEvents{DeliveryEvents: events(2)}},
		{Encoding: &lanev1.Block_PhysicalStockEvents{PhysicalStockEvents: &stockv1.PhysicalStockEventRows{}}},
	}})), uint16(1))
	f.Add(wire(f, &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{Barrier: 3}}}),
		uint16(2))

	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		pool := newCountingPool(t)
		message := pool.cut(data, int(cut)%64+1)
		var got Request
		err := Codec().Unmarshal(message, &got)
		message.Free()
		defer got.Free()

		var want lanev1.LaneRequest
		wantErr := proto.Unmarshal(data, &want)
		switch {
		case err != nil && wantErr == nil && fromProtobufIsBounded(&want):
			t.Fatalf("protobuf reads what the codec refuses: %v", err)
		case err != nil:
			return
		case wantErr != nil && got.Control != nil:
			t.Fatalf("the codec reads a control message that protobuf refuses: %v", wantErr)
		case wantErr != nil:
			return // malformed typed rows: CountRows or BigQuery finds out
		case want.GetAppend() == nil:
			if !proto.Equal(&want, got.Control) {
				t.Fatal("another control message")
			}
			return
		}
		sameAppend(t, want.GetAppend(), &got.Append)
	})
}

func fromProtobufIsBounded(m *lanev1.LaneRequest) bool {
	for _, b := range m.GetAppend().GetBlocks() {
		if b.GetRows() > MaxRows {
			return false
		}
	}
	return len(m.GetAppend().GetBlocks()) <= MaxBlocks && len(m.GetAppend().GetTrace()) <= maxTrace
}

// sameAppend compares blocks by what their rows mean: a typed block may have been written in another order of bytes.
func sameAppend(t *testing.T, want *lanev1.Append, got *Append) {
	t.Helper()
	if got.Sequence != want.GetSequence() || got.EndPosition != want.GetEndPosition() ||
		got.Trace != want.GetTrace() || len(got.Blocks) != len(want.GetBlocks()) {
		t.Fatalf("append %d to %d with %d blocks, want %d to %d with %d", got.Sequence, got.EndPosition,
			len(got.Blocks), want.GetSequence(), want.GetEndPosition(), len(want.GetBlocks()))
	}
	for i, w := range want.GetBlocks() {
		g := got.Blocks[i]
		if g.Route != w.GetRoute() || g.Rows != w.GetRows() || g.Dropped != w.GetDropped() {
			t.Fatalf("block %d: %+v, want %v", i, g, w)
		}
		rows := g.Bytes.Materialize()
		switch encoding := w.GetEncoding().(type) {
		case *lanev1.Block_Encoded:
			if !bytes.Equal(rows, encoding.Encoded) {
				t.Fatalf("block %d: other bytes", i)
			}
		case *lanev1.Block_DeliveryEvents:
			sameRows(t, rows, encoding.DeliveryEvents, &deliveryv6.DeliveryEventRows{})
		case *lanev1.Block_PhysicalStockEvents:
			sameRows(t, rows, encoding.PhysicalStockEvents, &stockv1.PhysicalStockEventRows{})
		case nil:
			if len(rows) != 0 {
				t.Fatalf("block %d: rows from nowhere", i)
			}
		}
	}
}

func sameRows(t *testing.T, rows []byte, want, got proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(rows, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(wire(t, want), wire(t, got)) {
		t.Fatal("other rows")
	}
}

// CountRows takes exactly what is a sequence of row entries, and what it counts can be split and put together again.
func FuzzCountRows(f *testing.F) {
	f.Add(frame([][]byte{[]byte("abc"), nil, bytes.Repeat([]byte("x"), 200)}), uint16(3))
	f.Add([]byte{tagRow, 0x80, 0x00, tagRow}, uint16(1))
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		want, valid := 0, true
		for rest := data; len(rest) > 0 && valid; want++ {
			if rest[0] != tagRow {
				valid = false
				break
			}
			_, n := protowire.ConsumeBytes(rest[1:])
			if valid = n >= 0; valid {
				rest = rest[1+n:]
			}
		}
		pool := newCountingPool(t)
		message := pool.cut(data, int(cut)%64+1)
		defer message.Free()
		got, err := CountRows(message)
		if (err == nil) != valid {
			t.Fatalf("CountRows: %v, but the framing is valid: %v", err, valid)
		}
		if !valid {
			return
		}
		if got != want {
			t.Fatalf("CountRows = %d, want %d", got, want)
		}
		first, rest, err := SplitRows(message, got/2)
		if err != nil {
			t.Fatal(err)
		}
		whole := append(append(mem.BufferSlice{}, first...), rest...)
		if !bytes.Equal(whole.Materialize(), data) {
			t.Fatal("split lost bytes")
		}
		whole.Free()
	})
}
