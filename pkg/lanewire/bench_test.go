package lanewire

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// A batch as ingest sends it: rows of 250 bytes, 1 MiB of them, in the buffers of 16 KiB that gRPC reads into.
const (
	benchRow   = 250
	benchRows  = 1 << 20 / benchRow
	benchFrame = 16 << 10
)

func benchBlock() []byte {
	rows := make([][]byte, benchRows)
	for i := range rows {
		rows[i] = bytes.Repeat([]byte{byte(i)}, benchRow)
	}
	return frame(rows)
}

// benchMessage is the batch as it arrives.
func benchMessage(t testing.TB) mem.BufferSlice {
	data := wire(t, request(&lanev1.Append{
		Sequence: 9, EndPosition: 1 << 33, Blocks: []*lanev1.Block{encoded(0, benchRows, 0, benchBlock())},
	}))
	var out mem.BufferSlice
	for len(data) > 0 {
		n := min(len(data), benchFrame)
		part := data[:n:n]
		out = append(out, mem.NewBuffer(&part, mem.NopBufferPool{}))
		data = data[n:]
	}
	return out
}

// Not one allocation depends on the rows: per message there are the slices of blocks and of buffers, and the bytes
// between blocks.
func TestAllocations(t *testing.T) {
	rows := mem.Buffer(mem.SliceBuffer(benchBlock()))
	codec := Codec()
	if n := testing.AllocsPerRun(100, func() {
		a := Append{Sequence: 9, EndPosition: 1 << 33, Blocks: []Block{{Rows: benchRows, Bytes: mem.BufferSlice{rows}}}}
		if _, err := codec.Marshal(&a); err != nil {
			t.Fatal(err)
		}
	}); n > 6 {
		t.Errorf("encode: %v allocations an append, want at most 6", n)
	}

	message := benchMessage(t)
	if n := testing.AllocsPerRun(100, func() {
		var r Request
		if err := codec.Unmarshal(message, &r); err != nil {
			t.Fatal(err)
		}
		r.Free()
	}); n > 3 {
		t.Errorf("decode: %v allocations an append, want at most 3", n)
	}

	data := mem.BufferSlice{rows}
	if n := testing.AllocsPerRun(100, func() {
		if n, err := CountRows(data); err != nil || n != benchRows {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("count: %v allocations, want none", n)
	}
}

func perRow(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
	b.ReportAllocs()
}

func BenchmarkEncodeAppend(b *testing.B) {
	rows := mem.SliceBuffer(benchBlock())
	codec := Codec()
	for b.Loop() {
		a := Append{Sequence: 9, EndPosition: 1 << 33, Blocks: []Block{{Rows: benchRows, Bytes: mem.BufferSlice{rows}}}}
		out, err := codec.Marshal(&a)
		if err != nil {
			b.Fatal(err)
		}
		out.Free()
	}
	perRow(b)
}

func BenchmarkDecodeAppend(b *testing.B) {
	message := benchMessage(b)
	codec := Codec()
	for b.Loop() {
		var r Request
		if err := codec.Unmarshal(message, &r); err != nil {
			b.Fatal(err)
		}
		r.Free()
	}
	perRow(b)
}

func BenchmarkCountRows(b *testing.B) {
	data := benchMessage(b)
	var r Request
	if err := Codec().Unmarshal(data, &r); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if n, err := CountRows(r.Append.Blocks[0].Bytes); err != nil || n != benchRows {
			b.Fatal(n, err)
		}
	}
	perRow(b)
}

// What the fast path saves: small typed rows through protobuf.
func BenchmarkDecodeTypedByProtobuf(b *testing.B) {
	rows := events(1)
	for len(rows.Rows) < benchRows {
		rows.Rows = append(rows.Rows, rows.Rows[0])
	}
	data := wire(b, request(&lanev1.Append{Blocks: []*lanev1.Block{{
		Rows: benchRows, Encoding: &lanev1.Block_DeliveryEvents{DeliveryEvents: rows},
	}}}))
	for b.Loop() {
		var m lanev1.LaneRequest
		if err := proto.Unmarshal(data, &m); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b)
}
