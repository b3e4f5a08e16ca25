package lanewire

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of proto/lane/v1/lane.proto that the fast path knows. A test compares them with the descriptors.
const (
	fieldAppend = 2 // LaneRequest.append

	fieldSequence    = 1 // Append.sequence
	fieldEndPosition = 2 // Append.end_position
	fieldBlocks      = 3 // Append.blocks
	fieldTrace       = 4 // Append.trace

	fieldRoute   = 1 // Block.route
	fieldRows    = 2 // Block.rows
	fieldDropped = 3 // Block.dropped

	fieldDeliveryEvents      = 4  // Block.delivery_events
	fieldPhysicalStockEvents = 5  // Block.physical_stock_events
	fieldEncoded             = 15 // Block.encoded
)

// Tags of those fields; all are below 16, so each tag is one byte.
const (
	tagAppend byte = fieldAppend<<3 | byte(protowire.BytesType)

	tagSequence    byte = fieldSequence<<3 | byte(protowire.VarintType)
	tagEndPosition byte = fieldEndPosition<<3 | byte(protowire.VarintType)
	tagBlocks      byte = fieldBlocks<<3 | byte(protowire.BytesType)
	tagTrace       byte = fieldTrace<<3 | byte(protowire.BytesType)

	tagRoute   byte = fieldRoute<<3 | byte(protowire.VarintType)
	tagRows    byte = fieldRows<<3 | byte(protowire.VarintType)
	tagDropped byte = fieldDropped<<3 | byte(protowire.VarintType)

	tagDeliveryEvents      byte = fieldDeliveryEvents<<3 | byte(protowire.BytesType)
	tagPhysicalStockEvents byte = fieldPhysicalStockEvents<<3 | byte(protowire.BytesType)
	tagEncoded             byte = fieldEncoded<<3 | byte(protowire.BytesType)
)

// encode writes LaneRequest{append} with the rows in Block.encoded, byte for byte as protobuf does. It takes over the
// references of a, which is empty afterwards, and copies no row.
func encode(a *Append) (mem.BufferSlice, error) {
	if err := checkBounds(a); err != nil {
		a.Free()
		return nil, err
	}
	body := sizeVarintField(a.Sequence) + sizeVarintField(uint64(a.EndPosition))
	buffers := 1
	for i := range a.Blocks {
		body += 1 + protowire.SizeBytes(sizeBlock(&a.Blocks[i]))
		buffers += 1 + len(a.Blocks[i].Bytes)
	}
	if a.Trace != "" {
		body += 1 + protowire.SizeBytes(len(a.Trace))
	}
	head := make([]byte, 0, 1+protowire.SizeVarint(uint64(body))+body-a.Size())
	out := make(mem.BufferSlice, 0, buffers)

	head = append(head, tagAppend)
	head = protowire.AppendVarint(head, uint64(body))
	head = appendVarintField(head, tagSequence, a.Sequence)
	head = appendVarintField(head, tagEndPosition, uint64(a.EndPosition))
	sent := 0 // bytes of head that out refers to already
	for i := range a.Blocks {
		b := &a.Blocks[i]
		head = append(head, tagBlocks)
		head = protowire.AppendVarint(head, uint64(sizeBlock(b)))
		head = appendVarintField(head, tagRoute, uint64(b.Route))
		head = appendVarintField(head, tagRows, uint64(b.Rows))
		head = appendVarintField(head, tagDropped, uint64(b.Dropped))
		head = append(head, tagEncoded)
		head = protowire.AppendVarint(head, uint64(b.Bytes.Len()))
		out = append(out, mem.SliceBuffer(head[sent:]))
		sent = len(head)
		out = append(out, b.Bytes...)
		b.Bytes = nil
	}
	if a.Trace != "" {
		head = append(head, tagTrace)
		head = protowire.AppendString(head, a.Trace)
	}
	if sent < len(head) {
		out = append(out, mem.SliceBuffer(head[sent:]))
	}
	a.Blocks, a.Trace = nil, ""
	return out, nil
}

// checkBounds refuses what the other end would refuse.
func checkBounds(a *Append) error {
	if len(a.Blocks) > MaxBlocks {
		return fmt.Errorf("append %d has %d blocks, more than %d", a.Sequence, len(a.Blocks), MaxBlocks)
	}
	if len(a.Trace) > maxTrace {
		return fmt.Errorf("append %d has a trace of %d bytes, more than %d", a.Sequence, len(a.Trace), maxTrace)
	}
	for i := range a.Blocks {
		if a.Blocks[i].Rows > MaxRows {
			return fmt.Errorf("append %d: block %d has %d rows, more than %d", a.Sequence, i, a.Blocks[i].Rows, MaxRows)
		}
	}
	return nil
}

// sizeBlock is the size of an encoded Block. The rows count even when there are none, as a set branch of a oneof does.
func sizeBlock(b *Block) int {
	return sizeVarintField(uint64(b.Route)) + sizeVarintField(uint64(b.Rows)) + sizeVarintField(uint64(b.Dropped)) +
		1 + protowire.SizeBytes(b.Bytes.Len())
}

// sizeVarintField is the size of a proto3 scalar without presence: zero is not written.
func sizeVarintField(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}

func appendVarintField(dst []byte, tag byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(append(dst, tag), v)
}
