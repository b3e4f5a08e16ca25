package sink

import (
	"bytes"
	"io"
	"net"
	"testing"

	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/waybill-data/waybill/pkg/processors/rowcost"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

// discard confirms every append without reading its rows.
type discard struct{ codec }

func (d discard) Unmarshal(data mem.BufferSlice, v any) error {
	if _, ok := v.(*io.LimitedReader); ok {
		return nil
	}
	return d.codec.Unmarshal(data, v)
}

// BenchmarkSink sends blocks of about 1 MiB over loopback gRPC to a peer in this process that drops them. Processor
// time and allocations are those of the process, so both ends of the call.
func BenchmarkSink(b *testing.B) {
	rowcost.Benchmark(b, benchRows, rowcost.Workload{Name: "delivery", Size: 9500}, rowcost.Workload{
		Name: "stock", Size: 290,
	})
}

// A sink allocates for a request, not for a row: this is both ends of the call.
func TestSinkAllocatesNothingARow(t *testing.T) {
	rowcost.Allocations(t, benchRows, 290, 0.25)
}

// benchRows sends rows of a size and returns the processor time in nanoseconds and the allocations of one.
func benchRows(b testing.TB, size, wanted int) (spent, allocated float64) {
	const window = 16
	rows := (1 << 20) / size
	ok, err := proto.Marshal(&storagepb.AppendRowsResponse{Response: &storagepb.AppendRowsResponse_AppendResult_{
		AppendResult: &storagepb.AppendRowsResponse_AppendResult{},
	}})
	if err != nil {
		b.Fatal(err)
	}
	description := storagepb.BigQueryWrite_ServiceDesc
	description.Streams = []grpc.StreamDesc{{
		StreamName: "AppendRows", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error {
			for {
				if err := s.RecvMsg(&io.LimitedReader{}); err != nil {
					return nil //nolint:nilerr // The client has gone, which is how every call ends.
				}
				if err := s.SendMsg(&request{head: ok}); err != nil {
					return err
				}
			}
		},
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(discard{newCodec()}), grpc.MaxRecvMsgSize(32<<20))
	server.RegisterService(&description, &fakeBigQuery{})
	go server.Serve(listener) //nolint:errcheck // Stop ends it.
	defer server.Stop()
	c := Defaults()
	c.Project, c.Insecure, c.Endpoint = "test-project", true,
		Endpoint{GRPC: listener.Addr().String(), REST: "http://127.0.0.1:1"}
	s, err := Open(b.Context(), c, Env{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // Nothing was written that could be lost.

	block := make([][]byte, rows)
	for i := range block {
		block[i] = bytes.Repeat([]byte{byte(i)}, size)
	}
	data := mem.BufferSlice{mem.SliceBuffer(frame(block...).Materialize())}
	credits := make(chan struct{}, window)
	var failed error
	// A default stream: its responses hold no offset, so that one response serves all.
	a := s.open(&table{sink: s, weather: s.weatherOf("t")},
		preamble{stream: "s", schema: []byte{}, trace: "t", repeats: true}, 0, func(r lane.Result) {
			if r.Err != nil {
				failed = r.Err
			}
			<-credits
		})
	defer a.Close()
	meter := rowcost.Start()
	sent := 0
	for ; sent < wanted; sent += rows {
		credits <- struct{}{}
		a.Append(uint64(sent), rows, data)
	}
	for range window {
		credits <- struct{}{}
	}
	spent, allocated = meter.Row(sent)
	if failed != nil {
		b.Fatal(failed)
	}
	return spent, allocated
}
