package writer

import (
	"context"
	"fmt"
	"sync"
	"time"

	orcaservicev3 "github.com/cncf/xds/go/xds/service/orca/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/waybill-data/waybill/pkg/buffers"
	"github.com/waybill-data/waybill/pkg/fleetview"
	"github.com/waybill-data/waybill/pkg/lanewire"
	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
	lanev1 "github.com/waybill-data/waybill/proto/lane/v1"
	"github.com/waybill-data/waybill/services/writer/internal/lane"
)

const (
	// laneWindow and connectionWindow are HTTP/2 flow-control windows, in bytes. The first bounds what lies in the
	// transport of a lane that does not read; gRPC widens it by the message that a lane has begun to read.
	laneWindow       = 256 << 10
	connectionWindow = 8 << 20
	// readBuffer is how much of a connection is read at once, in bytes: there are few connections, and rows come in
	// megabytes.
	readBuffer = 128 << 10
	// stopWithin is how long calls may take once all lanes have ended: health watchers do not end by themselves, nor do
	// peers that do not read. It is taken off the drain timeout, of which it is at most a tenth.
	stopWithin = time.Second
)

// server is the gRPC server of a writer.
type server struct {
	grpc   *grpc.Server
	health *health.Server
	lanes  *lane.Service
	env    service.Env
	// drainIn is the drain timeout.
	drainIn time.Duration
	// connections bounds those of the port.
	connections int
	pace        *service.Pace
}

// apis are what people and programs ask a writer.
type apis struct {
	view *fleetview.View
	acts adminv1.SteeringServiceServer
}

func newServer(
	c *Config, ports *service.Ports, lanes *lane.Service, tables *lane.Tables, reports *load, of apis, env service.Env,
) *server {
	lanes.Received = newReceived(c.Memory.Size(), env.Registry)
	// A lane says itself how it ends, and probes come every few seconds: a line only for what nobody expects.
	options, counted := service.ServerOptions(&env, ports, func(code codes.Code) bool {
		return code == codes.Internal || code == codes.Unknown || code == codes.Unimplemented
	})
	pace := service.NewPace()
	options = append(options,
		grpc.ForceServerCodecV2(lanewire.Codec()),
		// An Append is bounded by the window; beside its rows it is small.
		grpc.MaxRecvMsgSize(int(c.Limits.WindowBytes)+1<<20),
		// gRPC's own pool clears what it hands out, frame by frame. The option is experimental: the version of gRPC is
		// pinned.
		experimental.BufferPool(lanes.Received),
		grpc.MaxConcurrentStreams(service.CallsOfConnection),
		pace.Option(),
		pace.Credentials(ports.GRPC),
		grpc.ReadBufferSize(readBuffer),
		grpc.InitialWindowSize(laneWindow),
		grpc.InitialConnWindowSize(connectionWindow),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             5 * time.Second,
			PermitWithoutStream: true,
		}),
	)
	s := &server{
		grpc: grpc.NewServer(options...), health: health.NewServer(), lanes: lanes, env: env,
		drainIn:     c.DrainTimeout.Std(),
		connections: c.GRPC.Connections,
		pace:        pace,
	}
	lanev1.RegisterLaneServiceServer(s.grpc, lanes)
	lanev1.RegisterTableServiceServer(s.grpc, tables)
	orcaservicev3.RegisterOpenRcaServiceServer(s.grpc, reports)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	adminv1.RegisterAdminServiceServer(s.grpc, of.view)
	adminv1.RegisterSteeringServiceServer(s.grpc, of.acts)
	adminv1.RegisterRecordServiceServer(s.grpc, &records{lanes: lanes, self: of.view.Self})
	for _, name := range []string{
		lanev1.LaneService_ServiceDesc.ServiceName, lanev1.TableService_ServiceDesc.ServiceName,
	} {
		s.health.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	reflection.Register(s.grpc)
	counted.InitializeMetrics(s.grpc)
	return s
}

// serve serves until ctx ends, then drains: it says that it no longer serves, asks all lanes to settle and close, waits
// for them, and stops, within the drain timeout whatever lanes and their peers do.
func (s *server) serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(service.Bound(s.pace.Listen(s.env.GRPC), s.connections)) }()
	relieving, relieved := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { s.lanes.Relieve(relieving) })
	defer watch.Wait()
	defer relieved()
	select {
	case err := <-served:
		s.grpc.Stop()
		return fmt.Errorf("gRPC server: %w", err)
	case <-ctx.Done():
	}
	by := time.Now().Add(s.drainIn)
	s.health.Shutdown()
	s.env.Log.Info("writer drains", "lanes", len(s.lanes.Status()), "timeout", s.drainIn)
	drain, cancel := context.WithDeadline(context.WithoutCancel(ctx), by.Add(-min(stopWithin, s.drainIn/10)))
	defer cancel()
	if err := s.lanes.Drain(drain, "the writer stops"); err != nil {
		s.env.Log.Warn("lanes did not drain in time and were cut; their next owner fences their streams", "error", err)
	}
	timer := time.AfterFunc(min(stopWithin, time.Until(by)), s.grpc.Stop)
	s.grpc.GracefulStop()
	timer.Stop()
	if err := <-served; err != nil {
		return fmt.Errorf("gRPC server: %w", err)
	}
	return nil
}

// newReceived makes the memory that connections read into. As much again as the budget may be on its way in: messages
// that wait for room, unfinished ones, what lanes that do not read leave in the transport. Calls without an Open have
// no more than that, however little the lanes hold. Each lane adds something for
// what is not rows. An HTTP/2 frame of gRPC has at most 16 KiB.
func newReceived(budget int64, registry prometheus.Registerer) *buffers.Counted {
	received := buffers.NewCounted(2*budget, 512, 1<<10, 4<<10, 16<<10, 64<<10, 256<<10)
	promauto.With(registry).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "waybill_writer_received_bytes",
		Help: "Bytes of memory with what connections have read and BigQuery does not hold yet, what lanes have not " +
			"let in and unfinished messages included; at most about twice memory.budget and 64 KiB a lane.",
	}, func() float64 { return float64(received.Out()) })
	return received
}
