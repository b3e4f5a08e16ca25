package lane

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/waybill-data/waybill/pkg/lanewire"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener over net.Pipe, which a synctest bubble can see through.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (p *pipes) dial(ctx context.Context, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, errors.New("no writer")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// writer is a writer with real gRPC.
type writer struct {
	*Service
	client lanev1.LaneServiceClient
	stop   func()
}

func startWriter(t testing.TB, service *Service) *writer {
	t.Helper()
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := grpc.NewServer(grpc.ForceServerCodecV2(lanewire.Codec()), grpc.MaxRecvMsgSize(33<<20))
	lanev1.RegisterLaneServiceServer(server, service)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	conn, err := grpc.NewClient("passthrough:///writer", grpc.WithContextDialer(l.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(lanewire.Codec())))
	if err != nil {
		t.Fatal(err)
	}
	return &writer{service, lanev1.NewLaneServiceClient(conn), func() {
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	}}
}

func durable(barrier uint64) *lanev1.LaneRequest {
	return &lanev1.LaneRequest{Message: &lanev1.LaneRequest_Durable{Durable: &lanev1.Durable{Barrier: barrier}}}
}
