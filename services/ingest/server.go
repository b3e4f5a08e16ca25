package ingest

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/waybill-data/waybill/pkg/service"
	adminv1 "github.com/waybill-data/waybill/proto/admin/v1"
)

// apis are what the gRPC port responds beside health.
type apis struct {
	view  adminv1.AdminServiceServer
	steer adminv1.SteeringServiceServer
	seen  adminv1.RecordServiceServer
}

// serve runs the gRPC server, health and reflection, until ctx ends. It says that it serves while work goes on and
// ready finds no fault.
func serve(
	ctx, work context.Context, env service.Env, ports *service.Ports, ready func() error, of apis,
) error {
	// A line for calls that fail; probes come every few seconds and say nothing.
	options, _ := service.ServerOptions(&env, ports, func(code codes.Code) bool {
		return code != codes.OK && code != codes.Canceled
	})
	server := grpc.NewServer(options...)
	state := health.NewServer()
	state.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	healthv1.RegisterHealthServer(server, state)
	adminv1.RegisterAdminServiceServer(server, of.view)
	adminv1.RegisterSteeringServiceServer(server, of.steer)
	adminv1.RegisterRecordServiceServer(server, of.seen)
	reflection.Register(server)

	served := make(chan error, 1)
	go func() { served <- server.Serve(service.Bound(env.GRPC, 0)) }()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		now := healthv1.HealthCheckResponse_SERVING
		if work.Err() != nil || ready() != nil {
			now = healthv1.HealthCheckResponse_NOT_SERVING
		}
		state.SetServingStatus("", now)
		select {
		case <-tick.C:
		case err := <-served:
			return fmt.Errorf("gRPC server: %w", err)
		case <-ctx.Done():
			state.Shutdown() // tells those who watch; the server then waits for them, but not for long
			timer := time.AfterFunc(stopWithin, server.Stop)
			server.GracefulStop()
			timer.Stop()
			return <-served // nil after a stop
		}
	}
}
