package lanewire

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

const (
	// maxPlain bounds what goes through protobuf, in bytes; it is gRPC's own default bound. Protobuf makes an object of
	// every row and block, so a larger Append in an unusual form would cost many times its size. Encoders write the
	// usual form; what remains is written by hand.
	maxPlain = 4 << 20
	// MaxControl bounds the other messages of a lane, Open with its descriptors among them, in bytes: an object of
	// protobuf may cost fifty times what it takes on the wire. The largest table that BigQuery takes, of 10,000
	// columns, is described in less than half of it, and fifty tables of large events are in all of it.
	MaxControl = 1 << 20
)

// decode recognises an Append in the form that encoders write: one `append` field and nothing else, in it known fields
// only, and in each block one encoding. Anything else, malformed input included, is left to protobuf (false, nil): it
// holds the rules for it. The blocks of a take references of their own.
func decode(data mem.BufferSlice, a *Append) (recognised bool, err error) {
	c := newCursor(data)
	if tag, ok := c.byte(); !ok || tag != tagAppend {
		return false, nil
	}
	if end, ok := c.length(c.size); !ok || end != c.size {
		return false, nil
	}
	for c.pos < c.size {
		ok := false
		switch tag, _ := c.byte(); tag {
		case tagSequence:
			a.Sequence, ok = c.uvarint(c.size)
		case tagEndPosition:
			var v uint64
			v, ok = c.uvarint(c.size)
			a.EndPosition = int64(v) // Protobuf's int64 is the two's complement in a varint.
		case tagBlocks:
			if len(a.Blocks) == MaxBlocks {
				a.Free()
				return false, fmt.Errorf("append has more than %d blocks", MaxBlocks)
			}
			var b Block
			if ok = decodeBlock(&c, &b); ok {
				a.Blocks = append(a.Blocks, b)
			}
		case tagTrace:
			a.Trace, ok = decodeTrace(&c)
		}
		if !ok {
			a.Free()
			*a = Append{}
			return false, nil
		}
	}
	if err := checkBounds(a); err != nil {
		a.Free()
		return false, err
	}
	return true, nil
}

// decodeTrace reads a short text. What protobuf would refuse is left to it.
func decodeTrace(c *cursor) (string, bool) {
	end, ok := c.length(c.size)
	if !ok || end-c.pos > maxTrace {
		return "", false
	}
	var text [maxTrace]byte
	n := 0
	for ; c.pos < end; n++ {
		if text[n], ok = c.byte(); !ok {
			return "", false
		}
	}
	return string(text[:n]), utf8.Valid(text[:n])
}

// decodeBlock reads a length and the block behind it. When it fails b holds no reference.
func decodeBlock(c *cursor, b *Block) bool {
	end, ok := c.length(c.size)
	if !ok {
		return false
	}
	encodings := 0
	for c.pos < end {
		ok := false
		switch tag, _ := c.byte(); tag {
		case tagRoute:
			ok = c.uint32(end, &b.Route)
		case tagRows:
			ok = c.uint32(end, &b.Rows)
		case tagDropped:
			ok = c.uint32(end, &b.Dropped)
		case tagDeliveryEvents, tagPhysicalStockEvents, tagEncoded:
			if encodings++; encodings > 1 {
				break // Which one counts, or whether they merge, is protobuf's to say.
			}
			var rowsEnd int
			if rowsEnd, ok = c.length(end); ok {
				b.Bytes = c.take(rowsEnd)
			}
		}
		if !ok {
			b.Bytes.Free()
			return false
		}
	}
	return true
}

// decodePlain reads any LaneRequest through protobuf, and lays an Append's rows down again. Protobuf's meaning holds:
// of several branches of a oneof the last counts, a message given twice is merged, unknown fields inside rows are kept.
func (c codec) decodePlain(data mem.BufferSlice, r *Request) error {
	first := newCursor(data)
	tag, _ := first.byte()
	switch size := data.Len(); {
	case size > maxPlain:
		return fmt.Errorf("lane request of %d bytes is not an append in the form that encoders "+
			"write; any other may have %d bytes", size, maxPlain)
	case size > MaxControl && tag != tagAppend:
		return fmt.Errorf("lane request of %d bytes, at most %d when it is no append", size, MaxControl)
	}
	var m lanev1.LaneRequest
	if err := c.plain.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("lane request: %w", err)
	}
	typed, ok := m.GetMessage().(*lanev1.LaneRequest_Append)
	if !ok {
		r.Control = &m
		return nil
	}
	a := Append{
		Sequence: typed.Append.GetSequence(), EndPosition: typed.Append.GetEndPosition(),
		Trace: typed.Append.GetTrace(),
	}
	for i, block := range typed.Append.GetBlocks() {
		b := Block{Route: block.GetRoute(), Rows: block.GetRows(), Dropped: block.GetDropped()}
		rows, err := encodedRows(block)
		if err != nil {
			return fmt.Errorf("lane request: block %d: %w", i, err)
		}
		if len(rows) > 0 {
			b.Bytes = mem.BufferSlice{mem.SliceBuffer(rows)}
		}
		a.Blocks = append(a.Blocks, b)
	}
	if err := checkBounds(&a); err != nil {
		return fmt.Errorf("lane request: %w", err)
	}
	r.Append = a
	return nil
}

// encodedRows is the block's rows as `rows = 1` entries.
func encodedRows(b *lanev1.Block) ([]byte, error) {
	switch rows := b.GetEncoding().(type) {
	case *lanev1.Block_Encoded:
		return rows.Encoded, nil
	case *lanev1.Block_DeliveryEvents:
		return proto.Marshal(rows.DeliveryEvents)
	case *lanev1.Block_PhysicalStockEvents:
		return proto.Marshal(rows.PhysicalStockEvents)
	case nil:
		return nil, nil
	default:
		return nil, fmt.Errorf("encoding %T is unknown", rows)
	}
}
