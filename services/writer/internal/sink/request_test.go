package sink

import (
	"bytes"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// frame is the block of the given rows, cut into two buffers in the middle.
func frame(rows ...[]byte) mem.BufferSlice {
	var b []byte
	for _, row := range rows {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendBytes(b, row)
	}
	return mem.BufferSlice{mem.SliceBuffer(b[:len(b)/2]), mem.SliceBuffer(b[len(b)/2:])}
}

// The bytes of a request are those of protobuf for the same AppendRowsRequest.
func TestRequestHasTheBytesOfProtobuf(t *testing.T) {
	schema := &storagepb.ProtoSchema{ProtoDescriptor: &descriptorpb.DescriptorProto{Name: proto.String("Row")}}
	encoded, err := proto.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	c := newCodec()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "rows")
		offset := rapid.Int64Min(0).Draw(t, "offset")
		data := &storagepb.AppendRowsRequest_ProtoData{Rows: &storagepb.ProtoRows{SerializedRows: rows}}
		want := &storagepb.AppendRowsRequest{
			Offset: wrapperspb.Int64(offset), Rows: &storagepb.AppendRowsRequest_ProtoRows{ProtoRows: data},
		}
		r := next(offset, frame(rows...))
		if rapid.Bool().Draw(t, "first") {
			want.WriteStream, want.TraceId, data.WriterSchema = "projects/p/s", "waybill:writer:1", schema
			p := preamble{
				stream: want.WriteStream, schema: encoded, trace: want.TraceId,
				fills: rapid.Bool().Draw(t, "fills"),
			}
			if p.fills {
				want.DefaultMissingValueInterpretation = storagepb.AppendRowsRequest_DEFAULT_VALUE
			}
			r = p.first(offset, frame(rows...))
		}
		got, err := c.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Materialize(), wantBytes) {
			t.Fatalf("got %x\nwant %x", got.Materialize(), wantBytes)
		}
	})
}

// A reply read by hand says what protobuf says.
func TestReply(t *testing.T) {
	appended := func(offset *wrapperspb.Int64Value) *storagepb.AppendRowsResponse {
		return &storagepb.AppendRowsResponse{
			WriteStream: "projects/p/s",
			Response: &storagepb.AppendRowsResponse_AppendResult_{
				AppendResult: &storagepb.AppendRowsResponse_AppendResult{Offset: offset},
			},
		}
	}
	withSchema := appended(wrapperspb.Int64(7))
	withSchema.UpdatedSchema = &storagepb.TableSchema{Fields: []*storagepb.TableFieldSchema{{Name: "a"}}}
	for name, test := range map[string]struct {
		response *storagepb.AppendRowsResponse
		want     reply
	}{
		"offset":         {appended(wrapperspb.Int64(1 << 40)), reply{offset: 1 << 40}},
		"offset zero":    {appended(wrapperspb.Int64(0)), reply{offset: 0}},
		"no offset":      {appended(nil), reply{offset: -1}},
		"updated schema": {withSchema, reply{offset: 7}},
		"empty":          {&storagepb.AppendRowsResponse{}, reply{offset: -1, fault: noResult()}},
		"schema alone": {
			&storagepb.AppendRowsResponse{UpdatedSchema: withSchema.UpdatedSchema},
			reply{offset: -1, fault: noResult()},
		},
		"error that is none": {&storagepb.AppendRowsResponse{
			Response: &storagepb.AppendRowsResponse_Error{Error: &rpcstatus.Status{Message: "fine"}},
		}, reply{offset: -1, fault: noResult()}},
		"row errors": {&storagepb.AppendRowsResponse{
			Response: &storagepb.AppendRowsResponse_Error{Error: &rpcstatus.Status{
				Code: int32(codes.InvalidArgument), Message: "bad rows",
			}},
			RowErrors: []*storagepb.RowError{{Index: 3, Code: storagepb.RowError_FIELDS_ERROR, Message: "no date"}},
		}, reply{offset: -1, fault: &fault{
			kind: refused, code: "INVALID_ARGUMENT", status: codes.InvalidArgument, text: "bad rows", expected: -1,
			received: -1, rows: []lane.RefusedRow{{Row: 3, Code: "FIELDS_ERROR", Message: "no date"}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := proto.Marshal(test.response)
			if err != nil {
				t.Fatal(err)
			}
			for _, data := range []mem.BufferSlice{
				{mem.SliceBuffer(b)}, {mem.SliceBuffer(b[:len(b)/2]), mem.SliceBuffer(b[len(b)/2:])},
			} {
				got := reply{offset: 99}
				if err := newCodec().Unmarshal(data, &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(reply{}, fault{})); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte{0x0a, 0x04, 0x0a, 0x02, 0x08, 0x05})
	f.Add([]byte{0x12, 0x02, 0x08, 0x03})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r reply
		if err := r.decode(b); err != nil {
			return
		}
		var want storagepb.AppendRowsResponse
		if err := proto.Unmarshal(b, &want); err != nil {
			return // Read past what protobuf refuses inside fields that do not matter.
		}
		if (want.GetAppendResult() == nil || len(want.GetRowErrors()) > 0) != (r.fault != nil) {
			t.Fatalf("fault %v, protobuf says %v", r.fault, &want)
		}
	})
}
