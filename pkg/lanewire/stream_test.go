package lanewire

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

// counting is a writer that settles each Append with the number of its rows as position, and responds to Open with
// Opened.
type counting struct {
	lanev1.UnimplementedLaneServiceServer
}

func (counting) Lane(stream lanev1.LaneService_LaneServer) error {
	for {
		var request Request
		if err := stream.RecvMsg(&request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		response := &lanev1.LaneResponse{
			Message: &lanev1.LaneResponse_Opened{Opened: &lanev1.Opened{Writer: request.Control.GetOpen().GetGroup()}},
		}
		if request.Control == nil {
			settled := &lanev1.Settled{Sequence: request.Append.Sequence}
			for _, b := range request.Append.Blocks {
				n, err := CountRows(b.Bytes)
				if err != nil {
					return err
				}
				settled.Position += int64(n)
			}
			response.Message = &lanev1.LaneResponse_Settled{Settled: settled}
		}
		request.Free()
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// Both ends over a real connection: a client with the codec and one with gRPC's own get the same responses, health
// works beside them, and every buffer comes back, those that gRPC reads into as well.
func TestOverGRPC(t *testing.T) {
	received, sent := newCountingPool(t), newCountingPool(t)
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.ForceServerCodecV2(Codec()), experimental.BufferPool(received))
	lanev1.RegisterLaneServiceServer(server, counting{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:lane", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn,
			error,
		) {
			return listener.DialContext(ctx)
		}))
	if err != nil {
		t.Fatal(err)
	}

	if r, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(),
		&grpc_health_v1.HealthCheckRequest{}); err != nil ||
		r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", r, err)
	}

	rows := events(300) // several frames of HTTP/2
	data := wire(t, rows)
	open := &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Open{Open: &lanev1.Open{Group: "g"}}}
	for name, lane := range map[string]struct {
		options []grpc.CallOption
		batch   any
	}{
		"codec": {
			[]grpc.CallOption{grpc.ForceCodecV2(Codec())},
			&Append{Sequence: 4, EndPosition: 9, Blocks: []Block{{Rows: 300, Bytes: sent.cut(data, 40_000)}}},
		},
		"protobuf, typed": {nil, request(&lanev1.Append{Sequence: 4, EndPosition: 9, Blocks: []*lanev1.Block{
			{Rows: 300, Encoding: &lanev1.Block_DeliveryEvents{DeliveryEvents: rows}},
		}})},
	} {
		stream, err := lanev1.NewLaneServiceClient(conn).Lane(t.Context(), lane.options...)
		if err != nil {
			t.Fatal(err)
		}
		for message, want := range map[any]*lanev1.LaneResponse{
			open:       {Message: &lanev1.LaneResponse_Opened{Opened: &lanev1.Opened{Writer: "g"}}},
			lane.batch: {Message: &lanev1.LaneResponse_Settled{Settled: &lanev1.Settled{Sequence: 4, Position: 300}}},
		} {
			if err := stream.SendMsg(message); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, err := stream.Recv(); err != nil || !proto.Equal(got, want) {
				t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the call ended with %v", name, err)
		}
	}

	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	server.GracefulStop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	received.wantNoneOut()
	sent.wantNoneOut()
}
