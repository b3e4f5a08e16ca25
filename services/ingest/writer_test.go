package ingest

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	deliveryv6 "github.com/waybill-data/waybill/proto/delivery/v6"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// memoryWriter is a writer that keeps delivery rows in memory and settles every batch at once. Its checkpoint is the
// position. Plain gRPC and protobuf: what ingest sends is what the .proto says, whatever codec ingest uses.
type memoryWriter struct {
	lanev1.UnimplementedLaneServiceServer

	mu   sync.Mutex
	rows []*deliveryv6.DeliveryEvent
	open []*lanev1.Open
}

func (w *memoryWriter) events() []*deliveryv6.DeliveryEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*deliveryv6.DeliveryEvent(nil), w.rows...)
}

func (w *memoryWriter) opens() []*lanev1.Open {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*lanev1.Open(nil), w.open...)
}

func token(position int64) string { return "at-" + strconv.FormatInt(position, 10) }

func (w *memoryWriter) Lane(stream grpc.BidiStreamingServer[lanev1.LaneRequest, lanev1.LaneResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	if c := open.GetCheckpoint(); c != "" && c != token(open.GetPosition()) {
		return status.Errorf(codes.FailedPrecondition, "checkpoint %q at position %d", c, open.GetPosition())
	}
	w.mu.Lock()
	w.open = append(w.open, open)
	w.mu.Unlock()
	position := open.GetPosition()
	opened := &lanev1.Opened{
		Checkpoint: token(position), Writer: "memory",
		Limits: &lanev1.Limits{BlockBytes: 1 << 20, WindowBytes: 4 << 20, WindowBatches: 8},
	}
	if err := stream.Send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	var barrier uint64
	leftOut := false
	var held []*lanev1.Append // behind the barrier
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			closed := &lanev1.Closed{Position: position, Checkpoint: token(position)}
			return stream.Send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Closed{Closed: closed}})
		}
		if err != nil {
			return err
		}
		switch m := request.GetMessage().(type) {
		case *lanev1.LaneRequest_LeftOut:
			leftOut = true
			barrier++
			raised := &lanev1.Checkpoint{Barrier: barrier, Position: position, Checkpoint: token(position)}
			if err := stream.Send(&lanev1.LaneResponse{Message: &lanev1.LaneResponse_Checkpoint{
				Checkpoint: raised,
			}}); err != nil {
				return err
			}
		case *lanev1.LaneRequest_Append:
			held = append(held, m.Append)
		case *lanev1.LaneRequest_Durable:
			leftOut = leftOut && m.Durable.GetBarrier() < barrier
		}
		for ; !leftOut && len(held) > 0; held = held[1:] {
			if err := w.take(held[0]); err != nil {
				return err
			}
			position = held[0].GetEndPosition()
			settled := &lanev1.Settled{Sequence: held[0].GetSequence(), Position: position, Checkpoint: token(position)}
			response := &lanev1.LaneResponse{Message: &lanev1.LaneResponse_Settled{Settled: settled}}
			if err := stream.Send(response); err != nil {
				return err
			}
		}
	}
}

func (w *memoryWriter) take(a *lanev1.Append) error {
	for _, b := range a.GetBlocks() {
		var rows deliveryv6.DeliveryEventRows
		if err := proto.Unmarshal(b.GetEncoded(), &rows); err != nil {
			return status.Errorf(codes.InvalidArgument, "block: %v", err)
		}
		if len(rows.GetRows()) != int(b.GetRows()) {
			return status.Errorf(codes.InvalidArgument, "%d rows in a block of %d", len(rows.GetRows()), b.GetRows())
		}
		w.mu.Lock()
		w.rows = append(w.rows, rows.GetRows()...)
		w.mu.Unlock()
	}
	return nil
}

// startWriter serves a memoryWriter with health and returns its address.
func startWriter(t *testing.T, w lanev1.LaneServiceServer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	lanev1.RegisterLaneServiceServer(server, w)
	serves := health.NewServer()
	serves.SetServingStatus(lanev1.LaneService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(server, serves)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
