// Package lanewire is the wire form of the lane protocol's hot path: a gRPC codec that carries an Append from ingest to
// the writer without looking at its rows.
//
// The contract stays lane.v1 of the proto module, and so do the bytes: what this codec writes is what protobuf writes
// for the same LaneRequest, and it reads whatever protobuf reads. What it saves is the work a row: protobuf unmarshals
// `repeated` rows into one Go object each, while a block of rows has the same bytes in every encoding of Block and in
// BigQuery's ProtoRows (`repeated bytes serialized_rows = 1`), so both services pass it along as it is.
//
// Ingest sends and the writer receives through the generated stream, with the codec forced on the call and on the
// server:
//
//	stream, err := client.Lane(ctx, grpc.ForceCodecV2(lanewire.Codec()))
//	err = stream.SendMsg(&lanewire.Append{Sequence: 1, EndPosition: 43, Blocks: blocks})
//
//	server := grpc.NewServer(grpc.ForceServerCodecV2(lanewire.Codec()))
//	var request lanewire.Received
//	err := stream.RecvMsg(&request)
//	defer request.Free()
//
// Every other message goes through gRPC's own protobuf codec, so that health, reflection and the responses need nothing
// special.
//
// # References
//
// Rows live in reference-counted buffers. Each function says what becomes of the references: those of a sent Append
// pass to gRPC, those of a received Request are the caller's to Free, and SplitRows and DropRows return references of
// their own.
package lanewire

import (
	"google.golang.org/grpc/mem"

	"github.com/waybill-data/waybill/pkg/buffers"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// Buffers is the pool that rows lie in, of both services: ingest lays them down in its buffers, the writer's gRPC reads
// them into some. An HTTP/2 frame of gRPC has at most 16 KiB.
var Buffers mem.BufferPool = buffers.New(4<<10, 16<<10, 64<<10, 256<<10)

const (
	// MaxRows is the most rows one block may hold. A row takes at least two bytes on the wire, so without a bound one
	// message of the usual 16 MiB could ask for eight million of them.
	MaxRows = 1 << 20
	// MaxBlocks is the most blocks an Append may hold: one a route.
	MaxBlocks = 1 << 10
	// maxTrace is how long Append.Trace may be, in bytes: W3C's traceparent has 55.
	maxTrace = 64
)

// Append is one batch. It is lane.v1.Append with its rows left encoded.
type Append struct {
	// Sequence is 1 for the first batch of a call, then one more each.
	Sequence uint64
	// EndPosition is the position once this batch is settled: one more than the offset of its last record.
	EndPosition int64
	// Blocks are the rows, at most one block a route.
	Blocks []Block
	// Trace is the span that one record of the batch waits in, as W3C's traceparent; empty when none is traced.
	Trace string
}

// Block is the rows of a batch that go to one table.
type Block struct {
	// Route is the index of the route in Open.
	Route uint32
	// Rows is how many rows the sender says there are; CountRows says how many there are.
	Rows uint32
	// Dropped is how many rows ingest dropped because Opened.replay counts them.
	Dropped uint32
	// Bytes are the rows: concatenated entries of tag 0x0a, length, encoded row. A row may straddle buffers.
	Bytes mem.BufferSlice
}

// Request is what the writer receives: an Append, or one of the other messages of a lane.
type Request struct {
	// Control is the message when it is not an Append, else nil.
	Control *lanev1.LaneRequest
	// Append is the batch when Control is nil. Its blocks hold references: Free them, or take Bytes over and leave nil.
	Append Append
}

// Received is a Request as a server reads it: one that breaks the contract does not fail the call, for which gRPC would
// say INTERNAL, but says why in Err, so that the server can say INVALID_ARGUMENT.
type Received struct {
	Request
	// Err is why the request is none; it is empty then.
	Err error
}

// Free gives back the buffers of the blocks. The request holds nothing afterwards, so freeing it again is harmless.
func (r *Request) Free() { r.Append.Free() }

// Free gives back the buffers of the blocks and forgets them.
func (a *Append) Free() {
	for i := range a.Blocks {
		a.Blocks[i].Bytes.Free()
		a.Blocks[i].Bytes = nil
	}
	a.Blocks = nil
}

// Size is how many bytes of rows the blocks hold.
func (a *Append) Size() int {
	n := 0
	for i := range a.Blocks {
		n += a.Blocks[i].Bytes.Len()
	}
	return n
}
