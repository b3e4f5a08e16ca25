package lane

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/pkg/processors/rowcost"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// BenchmarkLane carries batches of 1 MiB from an ingest in this process, over loopback gRPC, through the writer's half
// of a lane to a sink that takes everything at once. Processor time and allocations are those of the process, so both
// ends of the call.
func BenchmarkLane(b *testing.B) {
	rowcost.Benchmark(b, carryRows, rowcost.Workload{Name: "delivery", Size: 9500}, rowcost.Workload{
		Name: "stock", Size: 290,
	})
}

// A lane allocates for a batch, not for a row: this is both ends of one, gRPC included.
func TestLaneAllocatesNothingARow(t *testing.T) {
	rowcost.Allocations(t, carryRows, 290, 0.25)
}

// carryRows carries rows of a size through a lane and returns the processor time in nanoseconds and the allocations of
// one.
func carryRows(b testing.TB, size, wanted int) (spent, allocated float64) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(lanewire.Codec()), grpc.MaxRecvMsgSize(32<<20),
		grpc.WaitForHandlers(true))
	lanev1.RegisterLaneServiceServer(server, &Service{Sink: everything{}, Name: "bench"})
	go server.Serve(listener) //nolint:errcheck // Stop ends it.
	defer server.Stop()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	stream, err := lanev1.NewLaneServiceClient(conn).Lane(b.Context(), grpc.ForceCodecV2(lanewire.Codec()))
	if err != nil {
		b.Fatal(err)
	}
	var sending sync.Mutex
	send := func(m any) {
		sending.Lock()
		defer sending.Unlock()
		if err := stream.SendMsg(m); err != nil {
			b.Error(err)
		}
	}
	send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{
		Group: "bench", Topic: "orders", Routes: []*lanev1.Route{{
			Table: "t",
			Row:   &lanev1.Route_Message{Message: "m"},
		}},
	}}})

	const window = 16
	rows := max(1, (1<<20)/size)
	row := protowire.AppendBytes([]byte{0x0a}, make([]byte, size))
	data := mem.BufferSlice{mem.SliceBuffer(bytes.Repeat(row, rows))}
	credits := make(chan struct{}, window)
	opened := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			switch {
			case m.GetOpened() != nil:
				send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{}}})
				close(opened)
			case m.GetCheckpoint() != nil:
				send(&lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{
					Barrier: m.GetCheckpoint().GetBarrier(),
				}}})
			case m.GetSettled() != nil:
				<-credits
			}
		}
	}()
	<-opened
	meter := rowcost.Start()
	sent := 0
	for sequence := uint64(1); sent < wanted; sequence++ {
		credits <- struct{}{}
		sent += rows
		send(&lanewire.Append{
			Sequence: sequence, EndPosition: int64(sent), Blocks: []lanewire.Block{{Rows: uint32(rows), Bytes: data}},
		})
	}
	for range window {
		credits <- struct{}{}
	}
	spent, allocated = meter.Row(sent)
	for range window {
		<-credits
	}
	if err := stream.CloseSend(); err != nil {
		b.Fatal(err)
	}
	<-ended
	return spent, allocated
}

// everything is a sink that takes every row and keeps none.
type everything struct{}

func (everything) Table(context.Context, *lanev1.Route) (Table, error) { return everything{}, nil }
func (everything) Finalize(context.Context, string) (int64, error)     { return 0, nil }
func (everything) Name() string                                        { return "projects/p/datasets/d/tables/t" }

func (everything) Create(context.Context) (string, error) {
	return "projects/p/datasets/d/tables/t/streams/s", nil
}

func (e everything) Default(results func(Result)) Appender { return e.Open("", 0, results) }

func (everything) Open(_ string, _ int64, results func(Result)) Appender {
	a := taker{results: make(chan Result, 64), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for r := range a.results {
			results(r)
		}
	}()
	return a
}

// taker confirms every append from a goroutine of its own, as a sink does.
type taker struct {
	results chan Result
	done    chan struct{}
}

func (t taker) Append(id uint64, rows int, data mem.BufferSlice) {
	data.Free()
	t.results <- Result{ID: id, Written: rows}
}
func (taker) Resume() {}
func (t taker) Close() {
	close(t.results)
	<-t.done
}
