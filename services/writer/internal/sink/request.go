package sink

import (
	"fmt"
	"slices"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/encoding"
	// Registers gRPC's own protobuf codec, which every message but the hot two goes through.
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Field numbers of google.cloud.bigquery.storage.v1.AppendRowsRequest, its ProtoData, and AppendRowsResponse.
const (
	fieldWriteStream = 1
	fieldOffset      = 2
	fieldProtoRows   = 4
	fieldTraceID     = 6
	// fieldMissing is default_missing_value_interpretation, which holds for the requests of a connection from the one
	// on that says it (google/cloud/bigquery/storage/v1/storage.proto).
	fieldMissing = 8

	fieldWriterSchema = 1
	fieldRows         = 2

	fieldAppendResult = 1
	fieldAppendError  = 2
	fieldRowErrors    = 4
	fieldOffsetValue  = 1
)

// request is one AppendRowsRequest, encoded around its rows: head and rows are its bytes. The rows are a block as
// ingest laid it down, which has the bytes of ProtoRows, so no row is looked at.
type request struct {
	head []byte
	// rows is one reference, which passes to gRPC with the message.
	rows mem.BufferSlice
	// passed says that gRPC has taken the reference.
	passed bool
}

// free gives the rows back if gRPC never took them.
func (r *request) free() {
	if !r.passed {
		r.passed = true
		r.rows.Free()
	}
}

// preamble is what the first request of a connection says and the others need not repeat.
type preamble struct {
	stream string
	// repeats says that this is a default stream, which takes no offsets.
	repeats bool
	// schema is an encoded ProtoSchema.
	schema []byte
	trace  string
	// fills has the default values of columns take the place of missing ones.
	fills bool
}

// size bounds what a request adds to its rows.
func (p *preamble) size() int { return len(p.stream) + len(p.schema) + len(p.trace) + 64 }

// first encodes the request that opens a connection. A negative offset is none.
func (p *preamble) first(offset int64, rows mem.BufferSlice) *request {
	head := make([]byte, 0, p.size())
	head = protowire.AppendTag(head, fieldWriteStream, protowire.BytesType)
	head = protowire.AppendString(head, p.stream)
	head = appendOffset(head, offset)
	// The Go library writes the members of a oneof, as the rows are one, after all other fields; so do we.
	head = protowire.AppendTag(head, fieldTraceID, protowire.BytesType)
	head = protowire.AppendString(head, p.trace)
	if p.fills {
		head = protowire.AppendTag(head, fieldMissing, protowire.VarintType)
		head = protowire.AppendVarint(head, uint64(storagepb.AppendRowsRequest_DEFAULT_VALUE))
	}
	return &request{head: appendRows(head, p.schema, rows.Len()), rows: rows}
}

// next encodes a request on a connection that knows its stream and schema. A negative offset is none.
func next(offset int64, rows mem.BufferSlice) *request {
	return &request{head: appendRows(appendOffset(make([]byte, 0, 32), offset), nil, rows.Len()), rows: rows}
}

// appendOffset encodes the offset, a google.protobuf.Int64Value: its zero is an empty message, which is not the same as
// none.
func appendOffset(b []byte, offset int64) []byte {
	if offset < 0 {
		return b
	}
	b = protowire.AppendTag(b, fieldOffset, protowire.BytesType)
	if offset == 0 {
		return protowire.AppendVarint(b, 0)
	}
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(fieldOffsetValue)+protowire.SizeVarint(uint64(offset))))
	b = protowire.AppendTag(b, fieldOffsetValue, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(offset))
}

// appendRows encodes ProtoData up to where its rows begin; size is their length.
func appendRows(b, schema []byte, size int) []byte {
	inner := protowire.SizeTag(fieldRows) + protowire.SizeBytes(size)
	if len(schema) > 0 {
		inner += protowire.SizeTag(fieldWriterSchema) + protowire.SizeBytes(len(schema))
	}
	b = protowire.AppendTag(b, fieldProtoRows, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	if len(schema) > 0 {
		b = protowire.AppendTag(b, fieldWriterSchema, protowire.BytesType)
		b = protowire.AppendBytes(b, schema)
	}
	b = protowire.AppendTag(b, fieldRows, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(size))
}

// codec sends a request without copying its rows and reads the ordinary response without a protobuf message for each.
type codec struct{ plain encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Name is the content subtype, which is what BigQuery expects.
func (codec) Name() string { return "proto" }

// Marshal passes a request's reference on to gRPC.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*request)
	if !ok {
		return c.plain.Marshal(v)
	}
	if r.passed {
		return nil, fmt.Errorf("append request marshalled twice")
	}
	r.passed = true
	out := make(mem.BufferSlice, 0, len(r.rows)+1)
	return append(append(out, mem.SliceBuffer(r.head)), r.rows...), nil
}

// Unmarshal reads a reply.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*reply)
	if !ok {
		return c.plain.Unmarshal(data, v)
	}
	if len(data) == 1 {
		return r.decode(data[0].ReadOnlyData())
	}
	return r.decode(data.Materialize())
}

// reply is what an AppendRowsResponse says to the queue.
type reply struct {
	// offset of the first row written, or -1 when BigQuery does not say.
	offset int64
	// fault is nil when BigQuery says that the rows are written; that it says nothing is a fault.
	fault *fault
}

// decode reads the ordinary response, `append_result`, by hand: one a request, and nothing in it but an offset. One
// with errors goes through protobuf. One with neither, for example with nothing but an updated schema, confirms
// nothing.
func (r *reply) decode(b []byte) error {
	*r = reply{offset: -1}
	written := false
	for in := b; len(in) > 0; {
		number, kind, n := protowire.ConsumeTag(in)
		if n < 0 {
			return protowire.ParseError(n)
		}
		in = in[n:]
		if number == fieldAppendError || number == fieldRowErrors {
			return r.decodeFault(b)
		}
		if number == fieldAppendResult && kind == protowire.BytesType {
			result, n := protowire.ConsumeBytes(in)
			if n < 0 {
				return protowire.ParseError(n)
			}
			in = in[n:]
			offset, err := resultOffset(result)
			if err != nil {
				return err
			}
			r.offset, written = offset, true
			continue
		}
		n = protowire.ConsumeFieldValue(number, kind, in)
		if n < 0 {
			return protowire.ParseError(n)
		}
		in = in[n:]
	}
	if !written {
		r.fault = noResult()
	}
	return nil
}

// resultOffset reads AppendResult{Int64Value offset = 1}; -1 when there is none.
func resultOffset(b []byte) (int64, error) {
	value, n := message(b, 1)
	if n < 0 {
		return 0, protowire.ParseError(n)
	}
	if value == nil {
		return -1, nil
	}
	if len(value) == 0 {
		return 0, nil
	}
	number, kind, n := protowire.ConsumeTag(value)
	if n < 0 {
		return 0, protowire.ParseError(n)
	}
	if number != fieldOffsetValue || kind != protowire.VarintType {
		return -1, nil
	}
	offset, m := protowire.ConsumeVarint(value[n:])
	if m < 0 {
		return 0, protowire.ParseError(m)
	}
	return int64(offset), nil
}

// message finds the message in the given field; nil when there is none, a negative number when the bytes are broken.
func message(b []byte, field protowire.Number) ([]byte, int) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, n
		}
		b = b[n:]
		if number == field && kind == protowire.BytesType {
			value, n := protowire.ConsumeBytes(b)
			return slices.Clip(value), n
		}
		n = protowire.ConsumeFieldValue(number, kind, b)
		if n < 0 {
			return nil, n
		}
		b = b[n:]
	}
	return nil, 0
}

// decodeFault reads a response that says no.
func (r *reply) decodeFault(b []byte) error {
	var response storagepb.AppendRowsResponse
	if err := proto.Unmarshal(b, &response); err != nil {
		return err
	}
	if response.GetError().GetCode() == 0 && len(response.GetRowErrors()) == 0 {
		if r.offset = -1; response.GetAppendResult().GetOffset() != nil {
			r.offset = response.GetAppendResult().GetOffset().GetValue()
		}
		if response.GetAppendResult() == nil {
			r.fault = noResult()
		}
		return nil
	}
	r.offset = -1
	r.fault = inStream(response.GetError(), response.GetRowErrors())
	return nil
}
