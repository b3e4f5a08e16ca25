package sink

import (
	"encoding/gob"
	"encoding/json"
	"net/url"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	storage "cloud.google.com/go/bigquery/storage/apiv1"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/waybill-data/waybill/pkg/processors"
)

// floor is what the floor of the sink is told in the file $WAYBILL_FLOOR.
type floor struct {
	// Blocks is a file of blocks of rows, in gob.
	Blocks string
	// GRPC and REST are the emulator's; Credentials is a credentials file, which asks for TLS.
	GRPC, REST, Credentials string
	// Table is a table that is there, as projects/P/datasets/D/tables/T.
	Table string
	// Lanes is the number of write streams at once.
	Lanes int
}

type floorBlock struct {
	Rows  int
	Bytes []byte
}

const floorWindow = 16

// BenchmarkFloor sends blocks of rows to BigQuery's emulator with Google's client and nothing else: no queue, no
// resend. `encoded` sends a block as it lies, through the sink's codec; `messages` sends it the way of the library, one
// byte slice a row through protobuf. The processor time is that of this process, so the sending end only. `make bench`
// runs it, on rows of its workload.
func BenchmarkFloor(b *testing.B) {
	path := os.Getenv("WAYBILL_FLOOR")
	if path == "" {
		b.Skip("make bench runs this: it needs blocks of rows and an emulator, named in the file $WAYBILL_FLOOR")
	}
	var f floor
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		b.Fatal(err)
	}
	file, err := os.Open(f.Blocks)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var blocks []floorBlock
	if err := gob.NewDecoder(file).Decode(&blocks); err != nil {
		b.Fatal(err)
	}
	c := Defaults()
	c.Project, c.Dataset, c.Credentials = "sandbox", "waybill", f.Credentials
	c.Insecure, c.Endpoint = f.Credentials == "", Endpoint{GRPC: f.GRPC, REST: f.REST}
	options, _, err := c.clientOptions("floor")
	if err != nil {
		b.Fatal(err)
	}
	client, err := dialer(b.Context(), options)()
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // Every call on it has ended.
	for _, way := range []struct {
		name string
		send func(*floorCall, floorBlock) error
	}{{"encoded", (*floorCall).encoded}, {"messages", (*floorCall).messages}} {
		b.Run(way.name, func(b *testing.B) {
			for b.Loop() {
				f.measure(b, client, blocks, way.send)
			}
		})
	}
}

func (f *floor) measure(
	b *testing.B, client *storage.BigQueryWriteClient, blocks []floorBlock, send func(*floorCall, floorBlock) error,
) {
	var calls []*floorCall
	for range f.Lanes {
		calls = append(calls, newFloorCall(b, client, f.Table))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, _ := processors.Used()
	wall := time.Now()
	var senders sync.WaitGroup
	for lane, call := range calls {
		senders.Go(func() {
			for i := 0; i < floorWindow || time.Since(wall) < 700*time.Millisecond; i++ {
				call.credits <- struct{}{}
				if err := send(call, blocks[(i+lane)%len(blocks)]); err != nil {
					b.Error(err)
					return
				}
			}
			call.close(b)
		})
	}
	senders.Wait()
	used, _ := processors.Used()
	runtime.ReadMemStats(&after)
	rows := int64(0)
	for _, call := range calls {
		rows += call.offset
	}
	b.ReportMetric(float64(used-began)/float64(rows), "cpu-ns/row")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(rows), "alloc-B/row")
}

// floorCall is one write stream and its AppendRows call.
type floorCall struct {
	preamble preamble
	stream   storagepb.BigQueryWrite_AppendRowsClient
	offset   int64
	credits  chan struct{}
	ended    chan error
}

func newFloorCall(b *testing.B, client *storage.BigQueryWriteClient, table string) *floorCall {
	made, err := client.CreateWriteStream(b.Context(), &storagepb.CreateWriteStreamRequest{
		Parent: table, WriteStream: &storagepb.WriteStream{Type: storagepb.WriteStream_COMMITTED},
	})
	if err != nil {
		b.Fatal(err)
	}
	schema, err := proto.Marshal(&storagepb.ProtoSchema{ProtoDescriptor: &descriptorpb.DescriptorProto{
		Name: proto.String("Row"),
	}})
	if err != nil {
		b.Fatal(err)
	}
	ctx := metadata.AppendToOutgoingContext(b.Context(), "x-goog-request-params",
		"write_stream="+url.QueryEscape(made.GetName()))
	stream, err := client.AppendRows(ctx, gax.WithGRPCOptions(grpc.ForceCodecV2(newCodec())))
	if err != nil {
		b.Fatal(err)
	}
	c := &floorCall{
		preamble: preamble{stream: made.GetName(), schema: schema, trace: "floor"}, stream: stream,
		credits: make(chan struct{}, floorWindow), ended: make(chan error, 1),
	}
	go func() {
		var r reply
		for {
			if err := stream.RecvMsg(&r); err != nil {
				c.ended <- nil // The server ends the call once it has responded to everything.
				return
			}
			if r.fault != nil {
				c.ended <- r.fault
				return
			}
			<-c.credits
		}
	}()
	return c
}

// encoded sends a block as it lies.
func (c *floorCall) encoded(k floorBlock) error {
	rows := mem.BufferSlice{mem.SliceBuffer(k.Bytes)}
	request := next(c.offset, rows)
	if c.offset == 0 {
		request = c.preamble.first(0, rows)
	}
	c.offset += int64(k.Rows)
	return c.stream.SendMsg(request)
}

// messages sends a block through the library's messages.
func (c *floorCall) messages(k floorBlock) error {
	rows := make([][]byte, 0, k.Rows)
	for rest := k.Bytes; len(rest) > 0; {
		row, n := protowire.ConsumeBytes(rest[1:])
		rows = append(rows, row)
		rest = rest[1+n:]
	}
	data := &storagepb.AppendRowsRequest_ProtoData{Rows: &storagepb.ProtoRows{SerializedRows: rows}}
	request := &storagepb.AppendRowsRequest{
		Offset: wrapperspb.Int64(c.offset), Rows: &storagepb.AppendRowsRequest_ProtoRows{ProtoRows: data},
	}
	if c.offset == 0 {
		request.WriteStream = c.preamble.stream
		data.WriterSchema = &storagepb.ProtoSchema{ProtoDescriptor: &descriptorpb.DescriptorProto{Name: proto.String(
			"Row")}}
	}
	c.offset += int64(k.Rows)
	return c.stream.SendMsg(request)
}

// close waits for all responses.
func (c *floorCall) close(b *testing.B) {
	for range floorWindow {
		select {
		case c.credits <- struct{}{}:
		case err := <-c.ended:
			b.Errorf("the call ended early: %v", err)
			return
		}
	}
	if err := c.stream.CloseSend(); err != nil {
		b.Error(err)
	}
	if err := <-c.ended; err != nil {
		b.Error(err)
	}
}
