package write

import (
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The request that is read by hand says what protobuf reads of the same bytes, and bytes that protobuf refuses, or that
// have rows of another wire type, are refused too, not read beyond their end.
func FuzzRequest(f *testing.F) {
	seed := func(r *storagepb.AppendRowsRequest) {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed(&storagepb.AppendRowsRequest{})
	seed(&storagepb.AppendRowsRequest{
		WriteStream: "projects/p/datasets/d/tables/t/streams/s", Offset: wrapperspb.Int64(0),
	})
	seed(&storagepb.AppendRowsRequest{
		Offset: wrapperspb.Int64(7), DefaultMissingValueInterpretation: storagepb.AppendRowsRequest_DEFAULT_VALUE,
		MissingValueInterpretations: map[string]storagepb.AppendRowsRequest_MissingValueInterpretation{
			"a": storagepb.AppendRowsRequest_NULL_VALUE, "": storagepb.AppendRowsRequest_DEFAULT_VALUE,
		},
		Rows: &storagepb.AppendRowsRequest_ProtoRows{ProtoRows: &storagepb.AppendRowsRequest_ProtoData{
			WriterSchema: &storagepb.ProtoSchema{ProtoDescriptor: &descriptorpb.DescriptorProto{Name: proto.String(
				"R")}},
			Rows: &storagepb.ProtoRows{SerializedRows: [][]byte{{}, {8, 1}}},
		}},
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		var want storagepb.AppendRowsRequest
		valid := proto.Unmarshal(b, &want) == nil
		var got request
		err := newCodec(false).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &got)
		defer got.free()
		if !valid || err != nil {
			return
		}
		if got.stream != want.WriteStream || got.whole != want.DefaultMissingValueInterpretation {
			t.Errorf("%q %v, protobuf reads %q %v", got.stream, got.whole, want.WriteStream,
				want.DefaultMissingValueInterpretation)
		}
		if len(got.missing) != len(want.MissingValueInterpretations) {
			t.Errorf("%v, protobuf reads %v", got.missing, want.MissingValueInterpretations)
		}
		for column, how := range want.MissingValueInterpretations {
			if got.missing[column] != how {
				t.Errorf("%q is %v, protobuf reads %v", column, got.missing[column], how)
			}
		}
		if _, last := want.Rows.(*storagepb.AppendRowsRequest_ProtoRows); last && !got.arrow {
			if n := len(want.GetProtoRows().GetRows().GetSerializedRows()); got.count != n {
				t.Errorf("%d rows, protobuf reads %d", got.count, n)
			}
		}
	})
}
