package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/logging"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// serve runs the gRPC server, health and reflection, until ctx ends. It says that it serves while work goes on and
// ready finds no fault.
func serve(ctx, work context.Context, env Env, ready func() error) error {
	counted := grpcprom.NewServerMetrics()
	env.Registry.MustRegister(counted)
	caught := recovery.WithRecoveryHandler(func(p any) error {
		env.Log.Error("a call panicked", "panic", p, "stack", string(debug.Stack()))
		return status.Error(codes.Internal, "internal error")
	})
	// A line for calls that fail; probes come every few seconds and say nothing.
	failures := logging.WithLevels(func(code codes.Code) logging.Level {
		if code == codes.OK || code == codes.Canceled {
			return logging.LevelDebug
		}
		return logging.LevelWarn
	})
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(counted.UnaryServerInterceptor(), logging.UnaryServerInterceptor(lines(env.Log), failures, logging.WithLogOnEvents(logging.FinishCall)),
			recovery.UnaryServerInterceptor(caught)),
		grpc.ChainStreamInterceptor(counted.StreamServerInterceptor(), logging.StreamServerInterceptor(lines(env.Log), failures, logging.WithLogOnEvents(logging.FinishCall)),
			recovery.StreamServerInterceptor(caught)),
	)
	state := health.NewServer()
	state.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	healthv1.RegisterHealthServer(server, state)
	reflection.Register(server)

	served := make(chan error, 1)
	go func() { served <- server.Serve(env.GRPC) }()
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

// lines adapts slog to the middleware.
func lines(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(ctx context.Context, level logging.Level, msg string, fields ...any) {
		log.Log(ctx, slog.Level(level), "gRPC call", append(fields, "event", msg)...)
	})
}
